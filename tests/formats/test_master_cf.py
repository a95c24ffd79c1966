"""Arguments are what the real master passes and the real smtpd takes; what is not a service is not written."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings

from mailcfg.facts.version import Version
from mailcfg.formats import master_cf
from tests.formats import configurations
from tests.postfix import lab
from tests.postfix.lab import Postfix

Record = Callable[[str, object], None]

PROBE = f"""#!{sys.executable} -ISB
import os, socket, sys
name = sys.argv[sys.argv.index("-n") + 1]
with open({{directory!r}} + "/" + name + ".new", "wb") as file:
    file.write(b"\\0".join(os.fsencode(each) for each in sys.argv[1:]))
os.rename({{directory!r}} + "/" + name + ".new", {{directory!r}} + "/" + name)
socket.socket(fileno=6).accept()
"""
"""Stands in for a daemon, and notes what master passes it. Descriptor 6 is the socket that it listens on."""


@pytest.fixture(scope="module")
def postfix() -> Iterator[Postfix]:
    """A private Postfix that has been started once, since the first start takes seconds."""
    lab.needs("postfix")
    with lab.directory() as path:
        instance = Postfix(path)
        instance.prepare()
        instance.configure("", "")
        with instance.running():
            pass
        yield instance


def begin_quickly(postfix: Postfix) -> None:
    """Leave out the checks at the next start."""
    (postfix.spool / "quick-start").touch()


# --- master ----------------------------------------------------------------------------------------------------------


def argument_texts(count: int) -> list[bytes]:
    """What may stand behind the command of a service, the same in every run."""
    found: list[bytes] = []

    @seed(1)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(configurations.arguments())
    def gather(text: bytes) -> None:
        found.append(text.replace(b"\0", b""))

    gather()
    return found


def test_master_passes_these_arguments(postfix: Postfix, record_property: Record) -> None:
    daemons = postfix.path / "daemons"
    daemons.mkdir()
    for program in Path("/usr/lib/postfix/sbin").iterdir():
        (daemons / program.name).symlink_to(program)
    noted = postfix.path / "noted"
    noted.mkdir()
    (daemons / "probe").write_text(PROBE.format(directory=str(noted)))
    (daemons / "probe").chmod(0o755)
    plain = "plain unix n - n - - probe\n"
    rows = b"".join(b"s%d unix n - n - - probe %s\n" % pair for pair in enumerate(argument_texts(150)))
    read = master_cf.parse(rows)
    refused = {problem.line for problem in read.problems if problem.fatal}
    kept = [row for row in read.rows if not refused & set(range(row.line, row.end + 1))]
    assert len(kept) > 100
    lines = rows.split(b"\n")
    text = b"".join(b"\n".join(lines[row.line - 1 : row.end]) + b"\n" for row in kept)
    postfix.configure(f"daemon_directory = {daemons}\n", "")
    with (postfix.etc / "master.cf").open("ab") as file:
        file.write(plain.encode() + text)
    begin_quickly(postfix)
    with postfix.running():
        for name in ["plain", *(row.name for row in kept)]:
            with socket.socket(socket.AF_UNIX) as knock:
                knock.connect(str(postfix.spool / "public" / name))
                lab.wait_for(f"master to run {name}: {postfix.log[-500:]}", (noted / name).exists)
    prefix = (noted / "plain").read_bytes().split(b"\0")
    for row in kept:
        passed = (noted / row.name).read_bytes().split(b"\0")
        expected = [row.name.encode() if each == b"plain" else each for each in prefix]
        expected += [word.text.encode(errors="surrogateescape") for word in row.arguments]
        assert passed == expected, row
    record_property("agrees: services of which master passes the arguments that are read", len(kept))


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("PORT inet y - n - - smtpd", "inet service cannot be private"),
        ("PORT inet - - n - - smtpd", "inet service cannot be private"),
        ("x unix - - n ? - smtpd", 'field "wakeup_time": bad value: "?"'),
        ("x unix - - n -? - smtpd", 'field "wakeup_time": bad value: "-?"'),
        ("x unix - - n - - -", 'field "command" has no default value'),
        ("x unix - - n - - smtpd -o { a = b", "missing '}' in \"{ a = b\""),
        ("x unix - - n - - smtpd {a}b", "syntax error after '}' in \"{a}b\""),
        ("x unix - - n - - smtpd {a} } {", "missing '}' in \"{\""),
        ("x unix - - n - - smtpd { a } -v", None),
        ("x pass n - n 5? - smtpd", None),
    ],
)
def test_master_does_not_start(postfix: Postfix, row: str, words: str | None) -> None:
    row = row.replace("PORT", f"127.0.0.1:{lab.free_port()}")
    fatal = [problem.message for problem in master_cf.parse(row.encode()).problems if problem.fatal]
    assert fatal == ([words] if words else [])
    postfix.configure("", row + "\n")
    # It ends by itself after a second, and dies within one of what it refuses.
    code = lab.run("/usr/lib/postfix/sbin/master", "-c", postfix.etc, "-d", "-e", "1", check=False).returncode
    assert code == (1 if words else 0)


def test_master_runs_the_last_of_two(postfix: Postfix) -> None:
    port, other = lab.free_port(), lab.free_port()
    rows = [
        "one unix n - n - - smtpd",
        "one unix n - n - - smtpd -v",
        "two unix n - n - - smtpd",
        "two unix - - n - - smtpd",
        "three unix - - n - - smtpd",
        "three unix y - n - - smtpd",
        "four unix - - n - - smtpd",
        "four fifo - - n - - smtpd",
        f"127.0.0.1:{port} inet n - n - - smtpd",
        f"[127.0.0.1]:{port} inet n - n - - smtpd",
        f"127.0.0.1:{other} inet n - n - - smtpd",
    ]
    text = "".join(f"{row}\n" for row in rows)
    told = {problem.message.split('"')[1] for problem in master_cf.parse(text.encode()).problems}
    postfix.configure("", text)
    begin_quickly(postfix)
    before = len(postfix.log)
    with postfix.running():
        # The log is written by a service that master starts in between.
        lab.wait_for("warnings", lambda: postfix.log[before:].count("duplicate master.cf entry") >= len(told))
    log = postfix.log[before:]
    warned = {line.partition("entry for service ")[2].split()[0] for line in log.splitlines() if "duplicate" in line}
    assert {name.strip('"') for name in warned} == told == {"one", "three", f"127.0.0.1:{port}"}


# --- smtpd -----------------------------------------------------------------------------------------------------------

OPTIONS = [
    "-o smtpd_banner=z",
    "-o { smtpd_banner = a  b }",
    "-o {smtpd_banner=z}",
    "-o{smtpd_banner=z}",
    "-o {{smtpd_banner=z}}",
    "{ -o smtpd_banner=z }",
    "{-osmtpd_banner=z}",
    "{-o} smtpd_banner=z",
    "-osmtpd_banner=foo",
    "-vo smtpd_banner=z",
    "-vosmtpd_banner=z",
    "-o smtpd_banner=z -o smtpd_banner=y",
    "-o smtpd_banner=y=z",
    "-o {smtpd_banner = # z }",
    "-o smtpd_banner=a,b -v",
    "-m 5 -o smtpd_banner=z",
    "-i 100 -t inet -n x -s 1 -o smtpd_banner=z",
    "-l -c -d -u -V -z -o smtpd_banner=z",
    "-v",
    "-o smtpd_banner",
    "-o {smtpd_banner}",
    "-o =z",
    "-o smtpd_banner = z",
    "-o { smtpd_banner = z } }",
    "-o smtpd_banner=a, b",
    "# for mail",
    "x -o smtpd_banner=z",
    "-- -o smtpd_banner=z",
    "- -o smtpd_banner=z",
    "-q -o smtpd_banner=z",
    "-o",
    "-m",
    "-S 5",
]


def test_smtpd_takes_these_options(postfix: Postfix, record_property: Record) -> None:
    ports = [lab.free_port() for _ in OPTIONS]
    text = "".join(
        f"127.0.0.1:{port} inet n - n - - smtpd {options}\n" for port, options in zip(ports, OPTIONS, strict=True)
    )
    rows = master_cf.parse(text.encode()).rows
    postfix.configure("smtpd_banner = default\n", text)
    begin_quickly(postfix)
    answered = died = 0
    before = len(postfix.log)
    with postfix.running():
        for port, row in zip(ports, rows, strict=True):
            with socket.create_connection(("127.0.0.1", port), lab.TIMEOUT) as client:
                if row.problems:
                    words = f"smtpd[%s]: fatal: {row.problems[0].message}\n".partition("%s]")[2]
                    lab.wait_for(f"smtpd to say {words}", lambda words=words: words in postfix.log[before:])
                    died += 1
                    continue
                taken = {each.name: each.value for each in row.overrides}
                assert client.recv(500).decode() == f"220 {taken.get('smtpd_banner', 'default')}\r\n", row
                answered += 1
    assert answered > 5
    assert died > 5
    record_property("agrees: smtpd that take the options that are read, or die as foretold", answered + died)


# --- edits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "id"),
    [
        (["a inet n - n - - smtpd", "b inet n - n - - smtpd"], "a/inet"),
        (["a inet n - n - - smtpd"], "b/inet"),
        ([" a inet n - n - - smtpd"], "a/inet"),
        (["# a inet n - n - - smtpd"], "a/inet"),
        (["a inet n - n - - smtpd -o { x = y"], "a/inet"),
        (["a inet n - n - -"], "a/inet"),
        (["a inet n - n - - smtpd\n -v"], "a/inet"),
        (["a inet n - n - - smtpd", " -o a=\0"], "a/inet"),
        (["a inet n - n - - smtpd", " -o a=\ud800"], "a/inet"),
        ([], "a/inet"),
    ],
    ids=str,
)
def test_what_is_not_that_service_is_not_written(lines: list[str], id: str) -> None:
    with pytest.raises(master_cf.Unwritable):
        master_cf.parse(b"").set(lines, id)


def test_a_service_that_is_written_already() -> None:
    data = b"a inet n - n - - smtpd\r\n -v\r\n# end\r\n"
    file = master_cf.parse(data, Version(3, 5))
    assert file.set(["a inet n - n - - smtpd", " -v"], "a/inet") is file
    assert file.remove("b/inet") is file
    assert file.only("a/inet") is file
    assert file.remove("a/inet").postfix == Version(3, 5)


def test_a_row_without_a_line_end() -> None:
    file = master_cf.parse(b"a inet n - n - - smtpd\r\nb inet n - n - - smtpd")
    assert file.set(["b inet n - n - - smtpd", "  -v"], "b/inet").data == (
        b"a inet n - n - - smtpd\r\nb inet n - n - - smtpd\r\n  -v"
    )


def test_words_know_their_lines() -> None:
    data = b"#\na inet n - n - -\n smtpd\n# -o\n  -o { first =\n# no\n  1 } -o\n  second=2\n\n\v-o third=3\n"
    (row,) = master_cf.parse(data).rows
    assert (row.line, row.end) == (2, 10)
    assert [(each.name, each.line) for each in row.overrides] == [("first", 5), ("second", 8)]
    lines = data.split(b"\n")
    for override in row.overrides:
        assert override.name.encode() in lines[override.line - 1]
        lines[override.line - 1] = lines[override.line - 1].replace(override.name.encode(), b"other")
        (edited,) = master_cf.parse(b"\n".join(lines)).rows
        assert "other" in [each.name for each in edited.overrides]
        lines = data.split(b"\n")
    assert [(word.text, word.line) for word in row.arguments][-1] == ("third=3", 10)
