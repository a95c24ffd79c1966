"""Dovecot's settings files: what the model reads is what the real doveconf reads."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from itertools import dropwhile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailcfg.formats.dovecot import DovecotConf, Entry, parse
from tests.postfix import lab
from tests.sites import GOLDEN

EXAMPLES = int(os.environ.get("MAILCFG_EXAMPLES", "600"))
"""How many files a test generates, always the same ones; with the variable set, others each time."""

generated = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize="MAILCFG_EXAMPLES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)

Say = Callable[[str], None]


# --- by itself -------------------------------------------------------------------------------------------------------

LISTENER = ("service auth", "unix_listener /var/spool/postfix/private/auth")


def test_the_file_that_mailcfg_writes() -> None:
    conf = parse((GOLDEN / "dovecot" / "dovecot" / "99-mailcfg.conf").read_bytes())
    assert conf.entries == (
        Entry(("auth_mechanisms",), "plain login", 2),
        Entry((*LISTENER, "mode"), "0660", 6),
        Entry((*LISTENER, "user"), "postfix", 7),
        Entry((*LISTENER, "group"), "postfix", 8),
    )
    assert conf.problems == ()


READ: list[tuple[bytes, dict[str, str]]] = [
    (b"", {}),
    (b"# a = b\n \t\n\ta=b c \t d\t\n", {"a": "b c \t d"}),
    (b"a = b # c\nb = c#d\n", {"a": "b", "b": "c"}),
    (b"a = \" b # c \" # d\nb = ' c '\n", {"a": " b # c ", "b": " c "}),
    (b"a = it's # b\n", {"a": "it's # b"}),
    (b'a = "b" "c"\nb = "c\'\nd = "\ne = \'a\\\'b\\\\\'\n', {"a": 'b" "c', "b": "\"c'", "d": "", "e": "a'b\\"}),
    (b"a =\na = b\nb =\n", {"a": "b", "b": ""}),
    (b"a = b\r\nb = c\r", {"a": "b", "b": "c"}),
    (b"a = b\0c\n\0\nb = \xc3\xa4\xff", {"a": "b", "b": "ä\udcff"}),
    (b"a = b \\\n\t c\\ \n d # e\nb = c", {"a": "b c d", "b": "c"}),
    (b"a = b \\\n# c\nb = c\\\n\nd = e \\", {}),
    (b"a \\\n= b\n", {"a": "b"}),
    (b"s {\n a = b\n}\ns {\n a = c\n}\n", {"s/a": "b", "s #2/a": "c"}),
    (b's x {\n a = b\n}\ns "x"{\n a = c # d\n} # e\n', {"s x/a": "c"}),
    (b"s x {\n t y {\n  a = b\n }\n}\nb = c", {"s x/t y/a": "b", "b": "c"}),
    (b"plugin {\n a = b\n}\nplugin {\n a = c\n}\n", {"plugin/a": "c"}),
    (
        b"service/auth/unix_listener/x/mode = 0660\nplugin/a = b",
        {"service auth/unix_listener x/mode": "0660", "plugin/a": "b"},
    ),
    (b"unix_listener/\\sa\\_b\\\\s\\ec/mode = 0660", {"unix_listener /a b\\s=c/mode": "0660"}),
    (b"a/b = c\n//d = e\n", {"a/b": "c", "//d": "e"}),
    (b"a = b\na = $a c\nd = $a e\n", {"a": "b c", "d": "b c e"}),
    (b"a = $b c\nd = < \t/e f\n", {"a": "$b c", "d": "</e f"}),
    (b"a = b\ns x {\n a = c\n a = $a d\n e = $a f\n}", {"a": "b", "s x/a": "b d", "s x/e": "b f"}),
    (b"a = b\na = c  $a \t $a$a x$a '$a'  $b\n", {"a": "c b $a$a x$a '$a' $b"}),
    (b"a = b\nlocal x {\n c = $a d\n}", {"a": "b", "local x/c": "$a d"}),
    (b'a = "$b c"\n', {"a": "$b c"}),
    (b"!include conf.d/*.conf\n!include_try x\na = b\n", {"a": "b"}),
]


@pytest.mark.parametrize(("data", "values"), READ)
def test_what_is_read(data: bytes, values: dict[str, str]) -> None:
    conf = parse(data)
    assert {"/".join(path): entry.value for path, entry in conf.effective().items()} == values
    assert not any(problem.fatal for problem in conf.problems)


def test_an_entry_knows_its_line() -> None:
    data = b"# x\na = b\ns x \\\n{\n\n  c = \\\n  d \\\n  e\n\tt y {\n f = g\n}\n}\nh = i"
    conf = parse(data)
    assert [entry.line for entry in conf.entries] == [2, 6, 10, 13]
    for index, entry in enumerate(conf.entries):
        lines = data.split(b"\n")
        lines[entry.line - 1] = b"new = value" + (b"\\" if entry.path[-1] == "c" else b"")
        found = parse(b"\n".join(lines)).entries[index]
        assert (found.path, found.line) == ((*entry.path[:-1], "new"), entry.line)


REFUSED: list[tuple[bytes, int, str]] = [
    (b"\na\n", 2, "Expecting '{'"),
    (b"a b\n", 1, "Expecting '{'"),
    (b"service auth\n{\n}\n", 1, "Expecting '{'"),
    (b"service auth{\n}\n", 1, "Expecting '{'"),
    (b'service "auth {\n}\n', 1, "Expecting '{'"),
    (b"service auth {\n}}\n", 2, "Expecting '{'"),
    (b"service auth {\n} }\n", 2, "Expecting '{'"),
    (b"service auth { client_limit = 7 }\n", 1, "Garbage after '{'"),
    (b"service auth {}\n", 1, "Garbage after '{'"),
    (b"service auth \\\n{ \\\n}\n", 3, "Garbage after '{'"),
    (b"= a\n", 1, "Missing key name ('=' at the beginning of line)"),
    (b"service auth {\n}\n}\n", 3, "Unexpected '}'"),
    (b"service auth {\n unix_listener a {\n}\n\n", 1, "Missing '}'"),
    (b"service auth {\n}\\\n", 1, "Missing '}'"),
    (b"auth_mechanisms\0 = a\n", 1, "Expecting '{'"),
]


@pytest.mark.parametrize(("data", "line", "message"), REFUSED)
def test_what_is_refused(data: bytes, line: int, message: str) -> None:
    assert [problem[:2] for problem in parse(b"a = b\n" + data).problems if problem.fatal] == [(line + 1, message)]


TOLD: list[tuple[bytes, int, str]] = [
    (b"\n!include conf.d/*.conf\n", 2, "!include conf.d/*.conf is not followed"),
    (b"!include_try x\n", 1, "!include_try x is not followed"),
    (b"a = <b\n", 1, "the value of a stands in another file"),
    (b"a = $b c\n", 1, "the value of a has that of another setting in it, which this file does not tell"),
    (
        b"a = b\nc = d $a\n",
        2,
        "a word within a value begins with $: Dovecot 2.3.19 puts another value in, 2.3.13 does not",
    ),
    (b"a = b#c\n", 1, "a # without a blank before it begins a comment"),
    (b"a = b \\\n# c\n", 1, "it is continued by an empty line or a comment, and lost"),
    (b"a = b \\\n", 1, "it is continued by an empty line or a comment, and lost"),
    (b"a = b \\", 1, "it is continued by nothing, and lost"),
    (b"passdb/0/args = x\n", 1, "passdb/0/args has a section by its number, which this file does not tell"),
    (b"auth default {\n}\n", 1, "a section of Dovecot 1, whose settings begin with auth_ today, is not converted"),
]


@pytest.mark.parametrize(("data", "line", "message"), TOLD)
def test_what_is_told(data: bytes, line: int, message: str) -> None:
    assert parse(data).problems == ((line, message, False),)


@settings(max_examples=1000, database=None, derandomize=True)
@given(
    st.one_of(
        st.binary(),
        st.lists(
            st.sampled_from(
                (
                    *(b"a", b" ", b"=", b"{", b"}", b"\n", b"\r", b"\0", b"#", b"\\", b'"', b"'", b"<", b"$", b"$a"),
                    *(b"a = b\n", b"s {\n", b"s x {\n", b"}\n", b"!include x\n"),
                )
            )
        ).map(b"".join),
    )
)
def test_any_bytes(data: bytes) -> None:
    conf = parse(data)
    assert conf.render() == data
    assert sum(problem.fatal for problem in conf.problems) <= 1
    lines = data.count(b"\n") + 1
    assert all(1 <= entry.line <= lines for entry in conf.entries)
    assert all(1 <= problem.line <= lines for problem in conf.problems)


# --- doveconf --------------------------------------------------------------------------------------------------------

FATAL = re.compile(rb"Fatal: Error in configuration file \S+?(?: line (\d+))?: (.*)")
LAST = 1_000_000
"""The line of what Dovecot finds at the end, when it looks at all settings together."""
STARTED = re.compile(rb" \(section started at \S+:(\d+)\)$")
SYNTAX = (
    *("Expecting '{'", "Garbage after '{'", "Unexpected '}'", "Missing '}'"),
    "Missing key name ('=' at the beginning of line)",
)
AMBIGUOUS = b"Ambiguous '#' character"


class Doveconf:
    """The real reader, and what was held against it."""

    def __init__(self, path: Path) -> None:
        lab.needs("doveconf")
        self.path = path / "x.conf"
        self.counts = dict.fromkeys(
            ("files", "refused", "refused for their meaning", "with a value from elsewhere", "values", "whole outputs"),
            0,
        )

    def run(self, data: bytes, *words: str) -> tuple[int, list[bytes], list[bytes]]:
        """Exit status, lines of output, lines of complaint."""
        self.path.write_bytes(data)
        done = subprocess.run(["doveconf", "-c", self.path, *words], capture_output=True, timeout=lab.TIMEOUT)
        shown = done.stdout.split(b"\n")[:-1]
        if "-n" in words:
            shown = list(dropwhile(lambda line: line.startswith(b"# "), shown))
        return done.returncode, shown, done.stderr.splitlines()

    def disagreement(self, data: bytes) -> str:
        """What the model and Dovecot say differently of a file; nothing where they agree."""
        conf = parse(data)
        elsewhere = any(problem.message.startswith("the value of ") for problem in conf.problems)
        # With -x doveconf puts in what values refer to, and so does the model where the file alone says it.
        expand = () if elsewhere else ("-x",)
        code, shown, said = self.run(data, "-n", *expand)
        refusal = next((match for line in said if (match := FATAL.search(line))), None)
        expected = next(((problem.line, problem.message) for problem in conf.problems if problem.fatal), None)
        if (refusal is None) != (code == 0):
            return f"exit status {code}: {said!r}"
        self.counts["files"] += 1
        found = refused(refusal) if refusal else None
        if found and found[1] not in SYNTAX:
            # Which settings there are, and where, is not the model's business; what stands above is.
            self.counts["refused for their meaning"] += 1
            above = expected and expected[0] < found[0] and not expected[1].startswith("Missing '}'")
            return f"{expected} is above {found}" if above else ""
        if found or expected:
            self.counts["refused"] += 1
            return "" if found == expected else f"refused: {found}, the model says {expected}"
        told = sum("without a blank before it" in problem.message for problem in conf.problems)
        if sum(AMBIGUOUS in line for line in said) != told:
            return f"{said}, the model says {conf.problems}"
        if elsewhere and b"$" in data:
            self.counts["with a value from elsewhere"] += 1
            return ""
        return self.values(conf, data, *expand) or self.whole(conf, shown, *expand)

    def values(self, conf: DovecotConf, data: bytes, *expand: str) -> str:
        """Of each setting that doveconf shows by its name, the value."""
        wanted = {key(path): entry for path, entry in conf.effective().items() if addressable(path)}
        if not wanted:
            return ""
        code, shown, said = self.run(data, "-h", *expand, *wanted)
        expected = [entry.value.encode(errors="surrogateescape") for entry in wanted.values()]
        self.counts["values"] += len(expected)
        return "" if (code, shown) == (0, expected) else f"{list(wanted)}: {shown}, the model says {expected} ({said})"

    def whole(self, conf: DovecotConf, shown: list[bytes], *expand: str) -> str:
        """What doveconf shows of the file, and of one in which each entry is spelled in the plainest way."""
        code, other, said = self.run(plain(conf), "-n", *expand)
        self.counts["whole outputs"] += 1
        return "" if (code, other) == (0, shown) else f"{shown}\nof the model's entries: {other} ({said})"


@pytest.fixture
def doveconf(tmp_path: Path) -> Doveconf:
    return Doveconf(tmp_path)


def refused(match: re.Match[bytes]) -> tuple[int, str]:
    """Line and words of a refusal. Of a section that is not closed Dovecot names the line where it opens."""
    message = match[2]
    started = STARTED.search(message)
    line = int(started[1] if started else match[1] or LAST)
    return line, STARTED.sub(b"", message).decode(errors="surrogateescape")


ESCAPES = str.maketrans({"/": "\\s", " ": "\\_", "\\": "\\\\", "=": "\\e"})


def key(path: tuple[str, ...]) -> str:
    """A path in the spelling of doveconf's arguments: service/auth/client_limit."""
    *sections, name = path
    found = []
    for kind, named, rest in (each.partition(" ") for each in sections):
        found += [kind, rest.translate(ESCAPES)] if named else [kind]
    return "/".join((*found, name))


def addressable(path: tuple[str, ...]) -> bool:
    """Whether doveconf shows the value by name and as it stands: no filter, no nameless section, no number."""
    return path[0].partition(" ")[0] in ("service", "plugin", *NAMES) and path[-1] not in TYPED


def plain(conf: DovecotConf) -> bytes:
    """A file with the same entries, each quoted, each section opened for itself."""
    groups: dict[tuple[str, ...], list[Entry]] = {}
    for path, entry in conf.effective().items():
        groups.setdefault(path[:-1], []).append(entry)
    lines: list[str] = []
    for sections, entries in groups.items():
        for kind, named, rest in (each.partition(" ") for each in sections):
            lines.append(
                f"{kind} {rest if not named else _name(rest)} {{" if named and rest[0] != "#" else f"{kind} {{"
            )
        lines += [f"{entry.path[-1]} = {_quoted(entry.value)}" for entry in entries]
        lines += ["}"] * len(sections)
    return "".join(f"{line}\n" for line in lines).encode(errors="surrogateescape")


def _name(text: str) -> str:
    return f'"{text}"' if " " in text else text


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


# --- files -----------------------------------------------------------------------------------------------------------

NAMES = ("auth_mechanisms", "auth_realms")
TYPED = ("mode", "client_limit", "port", "ssl")

BLANK = st.sampled_from(["", "", " ", "  ", "\t", " \t "])
GAP = st.sampled_from([" ", " ", "\t", "  "])
TEXT = st.lists(
    st.sampled_from(
        (
            *("plain", "login", "x", " ", "  ", "\t", "=", "{", "}", ",", ";", "%", "ä", "\udcff", "\r", "\f", "\v"),
            *("'", '"', "\\", '\\"', "#", " #", " # x", "$", "<x", "!", "/", "\u00a0", ' "a # b" ', "\0"),
        )
    ),
    max_size=5,
).map("".join)
QUOTED = TEXT.map(lambda text: '"' + re.sub(r'([\\"])', r"\\\1", text) + '"')
SINGLE = TEXT.map(lambda text: "'" + text.replace("'", "\\'") + "'")
VARIABLE = st.sampled_from(NAMES).flatmap(
    lambda name: st.sampled_from([f"${name} y", f"x  ${name}\t", f"y ${name} \t z"])
)
VALUE = st.integers(0, 9).flatmap(
    lambda number: (TEXT, TEXT, TEXT, QUOTED, QUOTED, SINGLE, VARIABLE, *[TEXT] * 3)[number]
)
TAIL = st.sampled_from([*[""] * 9, " ", "\t", " ", "\t", " # x", "#x", ' # "', " # x", " \\", "\\"])
"""What stands behind a statement: nothing, blanks, a comment, a continuation."""
CONTINUED = st.sampled_from([" ", " ", " ", " ", " \\\n  ", "\\\n", " \\ \n\t", " \\\r\n", " \\\n\\\n"])


@st.composite
def statements(draw: st.DrawFn, *names: str) -> str:
    """A setting in some spelling."""
    name = draw(st.sampled_from(names))
    if name in TYPED:
        value = draw({"mode": st.sampled_from(["0660", '"0600"', "432"]), "ssl": st.just("no")}.get(name, st.just("7")))
    else:
        value = draw(VALUE)
    gaps = [draw(st.one_of(BLANK, CONTINUED)) for _ in range(2)]
    return draw(BLANK) + name + gaps[0] + "=" + gaps[1] + value + draw(TAIL)


SILENT = st.sampled_from(["", "  ", "# x", "\t# a = {", "#}", "\0x", "\r"])

SECTION_NAMES = st.sampled_from(
    ["auth-x", "/v/p", '"a b"', "e=f", "a\\b", "'q'", '"auth-x"', '"/v/p"', 'a"b', '"c\\d"']
)


@st.composite
def sections(draw: st.DrawFn, kind: str, name: str, inside: st.SearchStrategy[str]) -> str:
    """A section over some lines. One without a setting would still make a listener, and show."""
    head = draw(BLANK) + kind + (draw(GAP) + name if name else "")
    lines = [
        head + draw(st.one_of(GAP, CONTINUED)) + "{" + draw(st.sampled_from(["", " ", "\t", " # {", "# }"])),
        *draw(st.lists(inside, min_size=1, max_size=3)),
        draw(BLANK) + "}" + draw(st.sampled_from(["", "  ", " # }", "\t"])),
    ]
    return "\n".join(lines)


@st.composite
def listeners(draw: st.DrawFn) -> str:
    made = sections("unix_listener", draw(SECTION_NAMES), statements("user", "group", "mode"))
    return draw(made)


LIMIT = statements("client_limit")
SERVICE = st.sampled_from(["auth", '"auth"', "auth-worker"]).flatmap(
    lambda name: sections("service", name, st.one_of(listeners(), listeners(), LIMIT))
)
PLUGIN = sections("plugin", "", statements("a", "b", "c_d"))
PASSDB = st.sampled_from(["passdb", "userdb"]).flatmap(
    lambda kind: sections(kind, "", statements("args", "default_fields").map(lambda line: f"driver = static\n{line}"))
)
FILTER = st.sampled_from(
    [("protocol", "imap"), ("protocol", '"imap"'), ("local", "127.0.0.1"), ("remote", "127.0.0.1")]
)
FILTERED = FILTER.flatmap(lambda each: sections(*each, statements("ssl_cipher_list", "login_greeting")))
GLOBAL = statements(*NAMES)
PATHS = st.sampled_from(
    ["service/auth/client_limit = 9", "plugin/a = b c", "service/auth-worker/client_limit= 8 # x", "plugin/b="]
)
ODD = st.one_of(
    st.sampled_from(
        (
            *(
                "}",
                "{",
                "} }",
                "}}",
                "auth_mechanisms",
                "auth_mechanisms plain",
                "= x",
                " =",
                "\0",
                "\x0c",
                "!include_try /nonexistent",
            ),
            *(
                "service auth",
                "service auth{",
                "service auth {}",
                "service auth { client_limit = 1 }",
                'service "auth {',
            ),
            *(
                "service auth {",
                "plugin {",
                "!include /nonexistent/x",
                "auth_mechanisms\0 = x",
                "\ufeffa = b",
                "\\",
                "a \\",
            ),
        )
    ),
    TEXT,
)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    odd = [ODD] if draw(st.integers(0, 3)) == 0 else []
    kinds = st.one_of(GLOBAL, GLOBAL, GLOBAL, SERVICE, SERVICE, PLUGIN, PLUGIN, PASSDB, FILTERED, SILENT, PATHS, *odd)
    end = draw(st.sampled_from(["\n", "\n", "\r\n", "\n\n"]))
    text = end.join(draw(st.lists(kinds, max_size=6))) + draw(st.sampled_from(["", end]))
    return text.encode(errors="surrogateescape")


def test_generated_files(doveconf: Doveconf, say: Say) -> None:
    @generated
    @given(files())
    def agrees(data: bytes) -> None:
        assert doveconf.disagreement(data) == ""

    agrees()
    say(f"{doveconf.counts}, disagreements: 0")
    assert EXAMPLES < 100 or EXAMPLES * 0.05 < doveconf.counts["refused"] < EXAMPLES * 0.7


MECHANISMS: list[bytes] = [
    b"=plain\tlogin",
    b" \t=  a  b \t\r\n",
    b" = a\rb\r",
    b" =",
    b" = a # b",
    b" = a#b",
    b' = "a # b"#c',
    b" = it's # a",
    b' = "a" "b"',
    b" = ' a'",
    b' = "',
    b' = "a\\"b\\\\c\\d"',
    b" = a\nauth_mechanisms = b",
    b" = a\nauth_mechanisms = $auth_mechanisms b",
    b" = a\nauth_realms = $auth_mechanisms b",
    b" = a\nauth_realms = b  $auth_mechanisms c \t x$auth_mechanisms '$auth_mechanisms'",
    b" = a\nauth_realms = 'b $auth_mechanisms c",
    b" = a \\\n  b \\\n\tc",
    b" = a\\\nb",
    b" = a \\\n# c\nauth_realms = b",
    b" = a \\\n\nauth_realms = b",
    b" = a # b \\\nauth_realms = b",
    b" = a\n\\",
    b" = \xc3\xa4\xff\xa0",
    b" = a\0b",
    b"\0= a",
    b" = {",
    b" = }",
    b"",
    b" plain",
    b" = a\n = b",
    b" = a\n!include /nonexistent/mailcfg\n",
    b" = a\n!include_try /nonexistent/mailcfg\n",
]
"""What may stand behind `auth_mechanisms`."""

SECTIONS: list[bytes] = [
    b"service auth {\n unix_listener x {\n mode = 0660\n user = a\n}\n unix_listener x {\n user = b\n}\n}",
    b"service auth {\n unix_listener x {\n user = a\n}\n}\nservice auth {\n unix_listener x {\n user = b\n}\n}",
    b'service "auth"{ # x\n unix_listener "a b" {\n user = a\n}\n} # y\n',
    b"service auth {\n unix_listener /a/b {\n user = a\n}\n}\nservice/auth/unix_listener/\\sa\\sb/user = c",
    b"service auth {\n}\nplugin {\n a = b\n}\nplugin/a = c\nplugin {\n d = e\n}",
    b"auth_realms = b\nplugin {\n a = c\n auth_realms = $auth_realms d\n auth_realms = $auth_realms e\n}",
    b"plugin {\n a = < /etc/hostname\n}",
    b"service auth\n{\n}",
    b"service auth{\n}",
    b"service auth {}",
    b"service auth { client_limit = 7 }",
    b"service auth {\n}}",
    b"service auth {\n} }",
    b"service auth {\n}\n}",
    b"service auth {",
    b"service auth {\n}\\\n",
    b'service "auth {\n}',
    b"service auth \\\n{ \\\n}",
    b"passdb {\n driver = static\n args = a\n}\npassdb {\n driver = static\n args = b # c\n}",
    b"protocol imap {\n auth_realms = a\n}\nauth_realms = b\nprotocol imap {\n auth_realms = c\n}",
]


def test_spellings(doveconf: Doveconf, say: Say) -> None:
    for data in (*(b"auth_mechanisms" + each for each in MECHANISMS), *SECTIONS):
        assert doveconf.disagreement(data) == "", data
    say(f"{doveconf.counts}, disagreements: 0")


def test_files_of_the_package(doveconf: Doveconf, say: Say) -> None:
    found = sorted(Path("/usr/share/dovecot").glob("**/*.conf"))
    if not found:
        pytest.skip("the package of this system does not keep its files in /usr/share/dovecot")
    for path in found:
        data = path.read_bytes()
        included = [line for line in data.split(b"\n") if line.startswith(b"!include")]
        told = [problem for problem in parse(data).problems if problem.message.endswith(" is not followed")]
        assert len(told) == len(included)
        assert all(data.split(b"\n")[problem.line - 1] in included for problem in told)
        # What an include brings is left out on both sides.
        assert doveconf.disagreement(data.replace(b"\n!include", b"\n#!include")) == "", path
    say(f"{doveconf.counts}, disagreements: 0")


def test_doveconf_reads_what_mailcfg_writes(doveconf: Doveconf) -> None:
    written = sorted(GOLDEN.glob("*/dovecot/*.conf"))
    assert written
    for path in written:
        assert parse(path.read_bytes()).problems == ()
        assert doveconf.disagreement(path.read_bytes()) == "", path
    assert doveconf.counts["whole outputs"] == len(written)


# --- long files -----------------------------------------------------------------------------------------------------

LONG = 100_000


@pytest.mark.parametrize(
    "data",
    [
        b"".join(b"name_%d = value %d\n" % (number, number) for number in range(LONG)),
        b"auth_mechanisms = plain login\r\n" * LONG,
        b"# comment\n" * LONG,
        b"a = \\\n" * LONG,
        b"passdb {\n  driver = pam # x\n}\n" * (LONG // 3),
        b"s x {\n" * LONG,
        b"a = $a x\n" * (LONG // 2),
        b'"' * LONG * 5,
    ],
    ids=["names", "one name", "comments", "one value", "sections", "nested", "growing", "one line"],
)
def test_long_files_come_back(data: bytes) -> None:
    """However long, and however deep, it is read, and comes back."""
    assert parse(data).render() == data
