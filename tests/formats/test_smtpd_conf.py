"""smtpd.conf: read without a fault whatever the bytes, edited in its own line and nowhere else.

That libsasl reads the same is tested in tests/postfix/test_libsasl.py.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailcfg.configuration import Origin, Setting
from mailcfg.formats import smtpd_conf
from mailcfg.formats.smtpd_conf import LONGEST, Entry, parse
from tests.sites import ROOT

CORPUS = ROOT.parent / "shared" / "corpus" / "sasl"

MARK = b"\xef\xbb\xbf"

READ: list[tuple[bytes, list[Entry]]] = [
    (b"", []),
    (b"\n \t\n# a: b\n  #c\n", []),
    (b"mech_list: PLAIN LOGIN\n", [Entry("mech_list", "PLAIN LOGIN", 1)]),
    (b" \tA-b_C9:\v\fPLAIN \r\n", [Entry("a-b_c9", "PLAIN", 1)]),
    (b"a:b\n\na:c", [Entry("a", "b", 1), Entry("a", "c", 3)]),
    (b"a: b # c\n", [Entry("a", "b # c", 1)]),
    (b"a: b\\\n# c\n", [Entry("a", "b\\", 1)]),
    (b"a: :b:\n", [Entry("a", ":b:", 1)]),
    (b": b\n", [Entry("", "b", 1)]),
    (b"a: b\rc: d\n", [Entry("a", "b\rc: d", 1)]),
    (b"a: \xc3\xa4\xff\xa0\n", [Entry("a", "ä\udcff\udca0", 1)]),
    (b"a: b\0c\nd: e\n", [Entry("a", "b", 1), Entry("d", "e", 2)]),
    (b"\0a: b\n", []),
    (b"#" * LONGEST + b"a: b\nc: d\n", [Entry("a", "b", 1), Entry("c", "d", 2)]),
]

REFUSED: list[tuple[bytes, int, str]] = [
    (b"a: b\nmech_list PLAIN\n", 2, "no colon after the name"),
    (b"mech_list : PLAIN\n", 1, "a blank between 'mech_list' and the colon"),
    (b"mech_list = PLAIN\n", 1, "no colon after the name"),
    (b"\nmech_list:\n", 2, "'mech_list' has no value"),
    (b"mech_list: \t\r\n", 1, "'mech_list' has no value"),
    (b"mech_list:\0PLAIN\n", 1, "'mech_list' has no value"),
    (b"mech.list: PLAIN\n", 1, "no colon after the name"),
    (b"a: b\n = c\n", 2, "no name at its beginning"),
    (b"; a: b\n", 1, "no name at its beginning"),
    (b"\xc3\xa4: b\n", 1, "no name at its beginning"),
    (b"\xff: b\n", 1, "no name at its beginning"),
    (MARK + b"a: b\n", 1, "it begins with a byte order mark"),
    (b"#" * LONGEST + b"a\n", 1, "no colon after the name"),
]


@pytest.mark.parametrize(("data", "entries"), READ)
def test_what_is_read(data: bytes, entries: list[Entry]) -> None:
    conf = parse(data)
    assert list(conf.entries) == entries
    assert not any(problem.fatal for problem in conf.problems)


@pytest.mark.parametrize(("data", "line", "message"), REFUSED)
def test_what_is_refused(data: bytes, line: int, message: str) -> None:
    fatal = [problem for problem in parse(data).problems if problem.fatal]
    assert [(problem.line, problem.message) for problem in fatal] == [(line, f"{smtpd_conf.REFUSED}: {message}")]


def test_a_problem_repeats_no_password() -> None:
    conf = parse(b"sql_passwd:\n  example-only\nsql_passwd example-only\n=example-only\nexample-only=: x\n")
    assert len(conf.problems) == 5
    assert not any("example-only" in problem.message for problem in conf.problems)


def test_what_is_worth_saying() -> None:
    problems = parse(b"a: b\0c\n#" + b"x" * 3 * LONGEST + b"\nc: d" + b" " * LONGEST).problems
    assert [problem.line for problem in problems if not problem.fatal] == [1, 2]
    assert {problem.line for problem in problems if problem.fatal} == {2}


def test_the_first_of_two_holds() -> None:
    conf = parse(b"a: 1\nA: 2\nb: 3\n")
    assert conf.effective() == {"a": Entry("a", "1", 1), "b": Entry("b", "3", 3)}


def test_mechanisms() -> None:
    assert smtpd_conf.mechanisms("plain\tLOGIN  Plain") == ("PLAIN", "LOGIN", "PLAIN")
    assert smtpd_conf.mechanisms("PLAIN, LOGIN\u00a0X") == ("PLAIN,", "LOGIN\u00a0X")


@settings(max_examples=500, database=None, derandomize=True)
@given(
    st.one_of(st.binary(), st.lists(st.sampled_from([b"a: b", b"\n", b"\r", b"\0", b"#", b" ", MARK])).map(b"".join))
)
def test_any_bytes(data: bytes) -> None:
    conf = parse(data)
    assert conf.render() == data
    for other in (conf.set("a", "c"), conf.remove("a"), conf.only("a")):
        assert parse(other.render()).entries == other.entries


# --- edits -----------------------------------------------------------------------------------------------------------

SET: list[tuple[bytes, bytes]] = [
    (b"", b"mech_list: PLAIN\n"),
    (b"a: b\n", b"a: b\nmech_list: PLAIN\n"),
    (b"a: b", b"a: b\nmech_list: PLAIN\n"),
    (b"a: b\r\n# c\r\n", b"a: b\r\n# c\r\nmech_list: PLAIN\r\n"),
    (b"a: b\r\n# c", b"a: b\r\n# c\r\nmech_list: PLAIN\r\n"),
    (b"# x\n\tMECH_List:\t LOGIN \r\n# y", b"# x\n\tMECH_List:\t PLAIN \r\n# y"),
    (b"mech_list:LOGIN", b"mech_list:PLAIN"),
    (b"mech_list: LOGIN\nmech_list: X\n", b"mech_list: PLAIN\nmech_list: X\n"),
    (b"#mech_list: LOGIN\n", b"#mech_list: LOGIN\nmech_list: PLAIN\n"),
    # What libsasl refuses and was meant to be this setting gives way.
    (b"# x\nmech_list LOGIN\r\n# y\r\n", b"# x\nmech_list: PLAIN\r\n# y\r\n"),
    (b"mech_list = LOGIN\nmech_list: X\n", b"mech_list: PLAIN\n"),
    (b"mech_list:\nmech_list =\n", b"mech_list: PLAIN\n"),
    (MARK + b"mech_list: LOGIN\n", b"mech_list: PLAIN\n"),
    # What it refuses otherwise is not ours to judge.
    (b"mechanisms LOGIN\n", b"mechanisms LOGIN\nmech_list: PLAIN\n"),
    (b"mech_list: LOGIN\0\0X\r\na: b\n", b"mech_list: PLAIN\r\na: b\n"),
    (b"#" * LONGEST + b"mech_list: LOGIN\n", b"#" * LONGEST + b"\nmech_list: PLAIN\n"),
    (
        b"mech_list: " + b"x" * (LONGEST - 11) + b"a: b\n",
        b"mech_list: PLAIN\na: b\n",
    ),
]


@pytest.mark.parametrize(("before", "after"), SET)
def test_set(before: bytes, after: bytes) -> None:
    conf = parse(before).set("Mech_List", "PLAIN")
    assert conf.render() == after
    assert conf.effective()["mech_list"].value == "PLAIN"
    assert conf.set("mech_list", "PLAIN").render() == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"", b""),
        (b"a: b\nc: d\n", b"c: d\n"),
        (b"# x\na: b\r\n\r\nA:c", b"# x\n\r\n"),
        (b"a\n a = b\n#a: b\nc: d", b"#a: b\nc: d"),
        (b"#" * LONGEST + b"a: b\nc: d\n", b"#" * LONGEST + b"\nc: d\n"),
    ],
)
def test_remove(before: bytes, after: bytes) -> None:
    assert parse(before).remove("A").render() == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"b: c\n", b"b: c\n"),
        (b"a: 1\n# x\na: 2\r\nA: 1\n", b"a: 1\n# x\n"),
        (b"a = 0\na: 1\na:\n", b"a: 1\n"),
        (b"a\na\n", b""),
    ],
)
def test_only(before: bytes, after: bytes) -> None:
    assert parse(before).only("A").render() == after


OURS_REFUSED = (b"a 4", b"a:", b"a=5")
OURS = (b"a: 1", b"a:2 ", b" A: 3", b"a: \xff", *OURS_REFUSED)
OTHERS = (b"b: 5", b"b: 6", b"# a: 7", b"", b"\t# x", b"a_b: 8", b"junk", b": 9")

LINES = st.lists(st.sampled_from((*OURS, *OTHERS)), max_size=8)


@settings(max_examples=1000, database=None, derandomize=True)
@given(LINES, st.sampled_from([b"\n", b"\r\n"]), st.booleans())
def test_an_edit_changes_its_own_line_alone(lines: list[bytes], end: bytes, ended: bool) -> None:
    data = end.join(lines) + (end if ended else b"")
    conf = parse(data)
    if end not in data:
        end = b"\n"
    others = [line for line in data.split(end) if line not in OURS]

    def kept(edited: smtpd_conf.SmtpdConf, *new: bytes) -> bool:
        """Whether all other lines are there, in order; an edit may end the last one, or take its line away."""
        found = [line for line in edited.render().split(end) if line not in (*OURS, *new)]
        return found in (others, [*others, b""], others[:-1] if others[-1:] == [b""] else others)

    changed = conf.set("a", "new")
    assert kept(changed, b"a: new", b"a:new ", b" A: new")
    assert changed.effective()["a"].value == "new"
    assert not any(line in OURS_REFUSED for line in changed.render().split(end))
    removed = conf.remove("a")
    assert kept(removed)
    assert not any(line in OURS for line in removed.render().split(end))
    alone = conf.only("a")
    assert kept(alone)
    values = [entry.value for entry in conf.entries if entry.name == "a"]
    assert [entry.value for entry in alone.entries if entry.name == "a"] == values[:1]


@settings(max_examples=300, database=None, derandomize=True)
@given(LINES, st.sampled_from([b"\n", b"\r\n"]))
def test_an_entry_knows_its_line(lines: list[bytes], end: bytes) -> None:
    conf = parse(end.join(lines))
    for index, entry in enumerate(conf.entries):
        changed = [*lines]
        changed[entry.line - 1] = b"c: changed"
        expected = [*conf.entries]
        expected[index] = Entry("c", "changed", entry.line)
        assert list(parse(end.join(changed)).entries) == expected


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("mech list", "x", "no name"),
        ("mech_list:", "x", "no name"),
        ("ä", "x", "no name"),
        ("#a", "x", "no name"),
        ("a", "", "no value"),
        ("a", " x", "blanks"),
        ("a", "x\r", "blanks"),
        ("a", "x\ny", "one line"),
        ("a", "x\0y", "NUL"),
        ("a", "\ud800", "UTF-8"),
        ("\ud800", "x", "UTF-8"),
        ("a", "x" * LONGEST, "bytes"),
        ("a", "x" * (LONGEST - 2), "bytes"),
    ],
)
def test_what_cannot_be_written(name: str, value: str, why: str) -> None:
    with pytest.raises(smtpd_conf.Unwritable, match=why):
        parse(b"").set(name, value)


def test_the_longest_value() -> None:
    value = "x" * (LONGEST - 3)
    for before in (b"", b"   a:     b  \n", b"a: b"):
        conf = parse(before).set("a", value)
        assert (conf.effective()["a"].value, conf.problems) == (value, ())


def test_line() -> None:
    setting = Setting("mech_list", "PLAIN LOGIN", Origin("site.toml", 1, 1, "sasl.mechanisms"))
    text = smtpd_conf.line(setting)
    assert parse(text.encode()).entries == (Entry("mech_list", "PLAIN LOGIN", 1),)


def test_corpus() -> None:
    if not CORPUS.is_dir():
        pytest.skip("the corpus of files from public repositories is not here")
    found = sorted(CORPUS.glob("*.conf"))
    assert found
    for path in found:
        conf = parse(path.read_bytes())
        assert (conf.render(), conf.problems) == (path.read_bytes(), ())
        assert conf.effective()["pwcheck_method"].value in ("saslauthd", "auxprop")


# --- long files -----------------------------------------------------------------------------------------------------

LONG = 100_000


@pytest.mark.parametrize(
    "data",
    [
        b"".join(b"name_%d: value %d\n" % (number, number) for number in range(LONG)),
        b"mech_list: PLAIN LOGIN\r\n" * LONG,
        b"# comment\n" * LONG,
        b"no colon\n" * LONG,
        b"x" * LONG * 30,
    ],
    ids=["names", "one name", "comments", "refused", "one line"],
)
def test_long_files_come_back(data: bytes) -> None:
    """However long, and however deep, it is read, and comes back."""
    assert parse(data).render() == data
