"""master.cf: services as lines, read as Postfix reads them, edited without touching anything else."""

from __future__ import annotations

from typing import NamedTuple

from mailcfg.configuration import Service, Setting
from mailcfg.facts.version import Version
from mailcfg.formats.logical import (
    SPACE,
    Problem,
    add_nul_problems,
    appended,
    decoded,
    encoded,
    is_content,
    logical_lines,
    starts_with_space,
    without,
)

BRACES_SINCE = (3, 0)
"""The Postfix series that reads `{ a b }` as one word in master.cf (master(5))."""

TYPES = (b"inet", b"unix", b"fifo", b"pass", b"unix-dgram")
BOOLEANS = (b"y", b"n", b"-")
COLUMNS = 8
BLANKS = b" \t\r\n"
"""What stands between words: unlike elsewhere, vertical tabs and form feeds do not (measured)."""

_SPACES = bytes.maketrans(BLANKS, b"    ")

_WITH_VALUE = "imnorst"
"""Options of Postfix's daemons that take a value. A daemon stops looking at the first word that is no option."""


class Unwritable(ValueError):
    """A word that master.cf of that version cannot hold. The message says why."""


def word(text: str, postfix: Version) -> str:
    """One argument as master.cf wants it: plain where it can be, else in braces. Raises Unwritable."""
    if text and not any(blank in text for blank in " \t") and not text.startswith("{"):
        _closed(text, postfix)
        return text
    if postfix.series < BRACES_SINCE:
        raise Unwritable(f"a word with blanks in master.cf needs Postfix 3.0; the target is {postfix}")
    if not balanced(text):
        raise Unwritable("braces are not balanced")
    return f"{{ {text} }}"


def _closed(text: str, postfix: Version) -> None:
    """Raise Unwritable where a brace stays open: Postfix would take the words that follow for a part of this one."""
    depth = 0
    for character in text:
        depth += (character == "{") - (character == "}" and depth > 0)
    if depth and postfix.series >= BRACES_SINCE:
        raise Unwritable("a brace is not closed")


def balanced(text: str) -> bool:
    """Whether every brace has its partner, in order."""
    depth = 0
    for character in text:
        depth += (character == "{") - (character == "}")
        if depth < 0:
            return False
    return depth == 0


def override(setting: Setting, postfix: Version) -> str:
    """A setting as what follows `-o`. Raises Unwritable."""
    if not any(blank in setting.value for blank in " \t"):
        _closed(setting.value, postfix)
        return f"{setting.name}={setting.value}"
    if postfix.series < BRACES_SINCE:
        raise Unwritable(f"a value with blanks in master.cf needs Postfix 3.0; the target is {postfix}")
    if not balanced(setting.value):
        raise Unwritable("braces are not balanced")
    return f"{{ {setting.name} = {setting.value} }}"


def lines(service: Service, postfix: Version) -> list[str]:
    """A service as the lines of master.cf: its columns, then an override a line. Raises Unwritable."""
    columns = (
        f"{service.name:<9} {service.type:<5} {service.private:<7} {service.unprivileged:<7} {service.chroot:<7} "
        f"{service.wakeup:<7} {service.process_limit:<7} {service.command}"
    )
    found = [columns]
    found += [f"  -o {override(setting, postfix)}" for setting in service.overrides]
    found += [f"  {word(argument, postfix)}" for argument in service.arguments]
    return found


def line(service: Service, postfix: Version) -> str:
    """A service as one line, the form that `postconf -M` takes. Raises Unwritable."""
    parts = [
        " ".join(part.split()) if index == 0 else part.strip() for index, part in enumerate(lines(service, postfix))
    ]
    return " ".join(parts)


class Word(NamedTuple):
    """An argument as the daemon gets it (outer braces are taken off), and the physical line where it starts, from 1."""

    text: str
    line: int


class Override(NamedTuple):
    """A parameter that `-o` sets, as the daemon gets it, and the physical line where `name=value` starts, from 1."""

    name: str
    value: str
    line: int


class Row(NamedTuple):
    """One service. Columns are as they stand there; `overrides` are in order, so of two with one name the last holds.

    `line` and `end` are the first and the last physical line that belong to it, from 1. With a fatal problem of its own
    the daemon dies when it starts, and the rest of Postfix runs.
    """

    name: str
    type: str
    private: str
    unprivileged: str
    chroot: str
    wakeup: str
    process_limit: str
    command: str
    arguments: tuple[Word, ...]
    overrides: tuple[Override, ...]
    line: int
    end: int
    problems: tuple[Problem, ...] = ()

    @property
    def id(self) -> str:
        """Name and type: what makes a service one."""
        return f"{self.name}/{self.type}"


class MasterCf:
    """One master.cf; it never changes, an edit gives another one. All text: UTF-8 with surrogateescape.

    `rows` are all services in file order, also those below the first fatal problem, where Postfix stops reading, and
    those that have one. With a fatal problem master does not start.
    """

    __slots__ = ("data", "postfix", "problems", "rows")

    def __init__(
        self, data: bytes, rows: tuple[Row, ...], problems: tuple[Problem, ...], postfix: Version | None = None
    ) -> None:
        self.data = data
        self.rows = rows
        self.problems = problems
        self.postfix = postfix

    def effective(self) -> dict[str, Row]:
        """Of each service the row that master runs: the last one (measured)."""
        return {row.id: row for row in self.rows}

    def render(self) -> bytes:
        """The file, byte for byte."""
        return self.data

    def set(self, lines: list[str], id: str) -> MasterCf:
        """The file with these lines for a service: instead of its last row, else at the end. Raises Unwritable.

        Lines that stand there already are not written again. Comments between those of the old row stay below it.
        """
        new = _encoded(lines, id)
        row = self.effective().get(id)
        if row is None:
            return parse(appended(self.data, new), self.postfix)
        old = self.data.split(b"\n")
        style = old[0] if row.line == len(old) else old[row.line - 1]
        end = b"\r" if style.endswith(b"\r") else b""
        block = [each + end for each in new]
        if block == old[row.line - 1 : row.end]:
            return self
        kept = [each for each in old[row.line : row.end] if not is_content(each)]
        if row.end == len(old) and not kept:
            block[-1] = new[-1]
        return parse(b"\n".join([*old[: row.line - 1], *block, *kept, *old[row.end :]]), self.postfix)

    def remove(self, id: str) -> MasterCf:
        """The file without any row of this service. Comments between its lines stay."""
        return self._drop([row for row in self.rows if row.id == id])

    def only(self, id: str) -> MasterCf:
        """The file without those rows of this service that master does not run."""
        return self._drop([row for row in self.rows if row.id == id][:-1])

    def comment_out(self, id: str) -> MasterCf:
        """The file with every line of this service made a comment, as `postconf -M#` does."""
        lines = self.data.split(b"\n")
        for row in self.rows:
            if row.id == id:
                for number in range(row.line, row.end + 1):
                    if is_content(lines[number - 1]):
                        lines[number - 1] = b"#" + lines[number - 1]
        return parse(b"\n".join(lines), self.postfix)

    def _drop(self, rows: list[Row]) -> MasterCf:
        if not rows:
            return self
        numbers = [number for row in rows for number in range(row.line, row.end + 1)]
        return parse(without(self.data.split(b"\n"), numbers), self.postfix)


def parse(data: bytes, postfix: Version | None = None) -> MasterCf:
    """Read a master.cf. Any bytes will do: what Postfix refuses is a fatal problem, in its own words.

    Without a version the newest one decides which warnings there are. Measured with 3.5.25, 3.7.11, 3.10.13 and 3.11.7.
    """
    rows: list[Row] = []
    problems: list[Problem] = []
    seen: set[tuple[bytes, bytes]] = set()
    new = tuple.__new__
    for numbers, parts in logical_lines(data):
        line = numbers[0]
        if parts[0][0] in SPACE:
            problems.append(Problem(line, starts_with_space(b"".join(parts)), False))
            continue
        found = words(numbers, parts)
        if len(found) < COLUMNS:
            problems.append(Problem(line, "bad field count", True))
            continue
        columns = [word for word, _ in found[:COLUMNS]]
        refused = invalid_field(columns)
        if refused:
            text = decoded(b"".join(parts).partition(b"\0")[0])
            problems.append(Problem(line, f'{refused} in "{text}"', True))
        arguments: tuple[Word, ...] = ()
        overrides: tuple[Override, ...] = ()
        own: tuple[Problem, ...] = ()
        if len(found) > COLUMNS:
            arguments = tuple([_argument(word, number, problems) for word, number in found[COLUMNS:]])
            overrides, own = _options(arguments)
        if (columns[0], columns[1]) in seen:
            problems.append(Problem(line, f"duplicate service: {decoded(columns[0])}/{decoded(columns[1])}", False))
        seen.add((columns[0], columns[1]))
        texts = b"\n".join(columns).decode(errors="surrogateescape").split("\n")
        rows.append(new(Row, (*texts, arguments, overrides, line, numbers[-1], own)))
    if b"\0" in data:
        add_nul_problems(problems, data, postfix)
    return MasterCf(data, tuple(rows), tuple(problems), postfix)


def words(numbers: list[int], parts: list[bytes]) -> list[tuple[bytes, int]]:
    """Words of a logical line, each with its physical line. What stands in braces is not split; they are kept."""
    text = parts[0] if len(parts) == 1 else b"".join(parts)
    if b"{" not in text and b"\0" not in text and b"\v" not in text and b"\f" not in text:
        return [(word, number) for number, part in zip(numbers, parts, strict=True) for word in part.split()]
    text = text.partition(b"\0")[0]
    found: list[tuple[bytes, int]] = []
    flat = text.translate(_SPACES)
    index, limit = 0, len(parts[0])
    start = end = 0
    while True:
        start = end
        while flat[start : start + 1] == b" ":
            start += 1
        if start == len(text):
            return found
        end = _end(flat, start)
        while start >= limit:
            index += 1
            limit += len(parts[index])
        found.append((text[start:end], numbers[index]))


def _end(flat: bytes, start: int) -> int:
    """Where a word ends: at the first blank outside braces. A brace that is never closed takes all there is."""
    depth = 0
    while True:
        end = flat.find(b" ", start)
        if end < 0:
            end = len(flat)
        chunk = flat[start:end]
        if b"{" in chunk or (depth and b"}" in chunk):
            for byte in chunk:
                if byte == 123:
                    depth += 1
                elif byte == 125 and depth:
                    depth -= 1
        if not depth or end == len(flat):
            return end
        start = end + 1


def invalid_field(columns: list[bytes]) -> str | None:
    """What Postfix says where one of the eight columns has a value that it refuses."""
    _, type, private, unprivileged, chroot, wakeup, limit, _ = columns
    if type not in TYPES:
        return f'invalid type field "{decoded(type)}"'
    for name, value in (("private", private), ("unprivileged", unprivileged), ("chroot", chroot)):
        if value not in BOOLEANS:
            return f'invalid {name} field "{decoded(value)}"'
    if wakeup not in (b"-", b"-?") and wakeup.removesuffix(b"?").strip(b"0123456789"):
        return f'invalid wakeup field "{decoded(wakeup)}"'
    if limit != b"-" and limit.strip(b"0123456789"):
        return f'invalid process_limit field "{decoded(limit)}"'
    return None


def unbraced(word: bytes) -> tuple[bytes, str]:
    """A word that begins with a brace without its outer braces and the blanks within, and what is wrong with it."""
    depth = 0
    for position, byte in enumerate(word):
        if byte == 123:
            depth += 1
        elif byte == 125:
            depth -= 1
            if not depth:
                why = f"syntax error after '}}' in \"{decoded(word)}\"" if position + 1 < len(word) else ""
                return word[1:position].strip(), why
    return word[1:].strip(), f"missing '}}' in \"{decoded(word)}\""


def split_parameter(text: bytes) -> tuple[bytes, bytes, str]:
    """The name and the value of `name = value`, or what Postfix says where it is none."""
    head, equals, rest = text.partition(b"=")
    names = head.split()
    if not names:
        return b"", b"", "missing attribute name"
    if len(names) > 1 or not equals:
        return b"", b"", "missing '=' after attribute name"
    return names[0], rest.strip(), ""


def _argument(word: bytes, line: int, problems: list[Problem]) -> Word:
    if word[:1] == b"{":
        word, why = unbraced(word)
        if why:
            problems.append(Problem(line, why, True))
    return Word(word.decode(errors="surrogateescape"), line)


def _options(arguments: tuple[Word, ...]) -> tuple[tuple[Override, ...], tuple[Problem, ...]]:
    """What a daemon takes from its arguments, as getopt(3) reads them."""
    found: list[Override] = []
    problems: list[Problem] = []
    index = 0
    while index < len(arguments):
        word = arguments[index]
        index += 1
        text = word.text
        if len(text) < 2 or text[0] != "-" or text == "--":
            break
        for position, letter in enumerate(text[1:], 2):
            if letter not in _WITH_VALUE:
                continue
            value = Word(text[position:], word.line)
            if not value.text:
                if index == len(arguments):
                    break
                value = arguments[index]
                index += 1
            if letter == "o":
                name, setting, why = split_parameter(encoded(value.text))
                if why:
                    problems.append(Problem(value.line, f'invalid "-o {value.text}" option value: {why}', True))
                else:
                    found.append(Override(decoded(name), decoded(setting), value.line))
            break
    return tuple(found), tuple(problems)


def _encoded(lines: list[str], id: str) -> list[bytes]:
    """Lines of a service as bytes. Raises Unwritable where Postfix would read another service, or more than one."""
    try:
        new = [encoded(each) for each in lines]
    except UnicodeEncodeError:
        raise Unwritable("not UTF-8") from None
    if any(b"\n" in each or b"\0" in each for each in new):
        raise Unwritable("a line has no line end and no NUL in it")
    read = parse(b"\n".join(new))
    if [row.id for row in read.rows] != [id] or read.problems or read.rows[0].line != 1:
        raise Unwritable(f"these lines are not those of {id}")
    return new
