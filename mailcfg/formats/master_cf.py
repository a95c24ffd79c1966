"""master.cf: services as lines, read as Postfix reads them, edited without touching anything else."""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from typing import NamedTuple

from mailcfg.configuration import Service, Setting
from mailcfg.facts.version import Version
from mailcfg.formats.logical import (
    SPACE,
    SPACES,
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

TYPES = ("inet", "unix", "fifo", "pass", "unix-dgram")
BOOLEANS = ("y", "n", "-")
DIGITS = "0123456789"
COLUMNS = 8

_BLANKS = " \t\r\n"
"""What stands between words: unlike elsewhere, vertical tabs and form feeds do not (measured)."""

_SPACE_CHARACTERS = frozenset(SPACES)
_SPACES = str.maketrans(_BLANKS, "    ")
_ODD = (b"\0", b"\v", b"\f", b"\x1c", b"\x1d", b"\x1e", b"\x1f")
"""With none of these in an ASCII file, words are what str.split takes for words, but for braces."""

_FLAGS = "cdDlSuvVz"
_WITH_VALUE = "imnorst"
"""Options of Postfix's daemons, without and with a value. A daemon dies of any other (measured)."""

_WITHOUT_ARGUMENTS = frozenset(
    [
        *("anvil", "bounce", "cleanup", "discard", "dnsblog", "error", "flush", "local", "nqmgr", "oqmgr", "pickup"),
        *("postlogd", "proxymap", "qmgr", "qmqpd", "scache", "showq", "smtpd", "tlsmgr", "tlsproxy"),
        *("trivial-rewrite", "verify", "virtual"),
    ]
)
"""Daemons that die of a word that is neither option nor value, as in `smtpd # for mail` (measured)."""

_PORTS = {"smtp": "25", "submission": "587", "submissions": "465", "smtps": "465"}


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
    the daemon dies whenever it starts, and the rest of Postfix runs.
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

    def render(self) -> bytes:
        """The file, byte for byte."""
        return self.data

    def set(self, lines: list[str], id: str) -> MasterCf:
        """The file with these lines for a service: instead of its last row, else at the end. Raises Unwritable.

        Lines that stand there already are not written again. Comments between those of the old row stay below it.
        """
        new = _encoded(lines, id)
        row = next((row for row in reversed(self.rows) if row.id == id), None)
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

    def adopt(self, service: Service, id: str, postfix: Version, without: frozenset[str] = frozenset()) -> MasterCf:
        """The file in which the last row of `id` has the columns and overrides of a service, or a new row at the end.

        Overrides of other parameters stay, but for those in `without`, and so does every line that needs no change. A
        row that cannot be mended line by line is written anew, with what stays behind what the service has. Raises
        Unwritable.
        """
        row = next((row for row in reversed(self.rows) if row.id == id), None)
        if row is None:
            return self.set(lines(service, postfix), service.id)
        new = _mended(self.data, row, service, postfix, without)
        if new is not None:
            old = self.data.split(b"\n")
            found = parse(b"\n".join([*old[: row.line - 1], *new, *old[row.end :]]), self.postfix)
            there = next((each for each in found.rows if each.line == row.line), None)
            if there is not None and _has(there, service, without):
                return found
        kept = {each.name: each for each in row.overrides if each.name not in without}
        own = {each.name for each in service.overrides}
        more = [Setting(each.name, each.value, service.origin) for each in kept.values() if each.name not in own]
        return self.set(lines(service._replace(overrides=(*service.overrides, *more)), postfix), id)

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
    seen: dict[str, str] = {}
    sound: set[tuple[str, ...]] = set()
    plain = is_plain(data)
    new = tuple.__new__
    for numbers, parts in logical_lines(data):
        line = numbers[0]
        if parts[0][0] in SPACE:
            problems.append(Problem(line, starts_with_space(b"".join(parts)), False))
            continue
        words, lines = split(numbers, parts, plain=plain)
        if len(words) < COLUMNS:
            problems.append(Problem(line, "bad field count", True))
            continue
        columns = words[:COLUMNS]
        rest = tuple(columns[1:])
        if rest not in sound:
            refused = _refused(columns, parts)
            if refused:
                problems.append(Problem(line, refused, True))
            else:
                sound.add(rest)
        arguments: tuple[Word, ...] = ()
        overrides: tuple[Override, ...] = ()
        own: tuple[Problem, ...] = ()
        if len(words) > COLUMNS:
            arguments = _arguments(words[COLUMNS:], lines[COLUMNS:], problems)
            overrides, own = _options(arguments, columns[7])
        key = _key(columns)
        if key in seen:
            message = f'duplicate master.cf entry for service "{seen[key]}" -- using the last entry'
            problems.append(Problem(line, message, False))
        else:
            seen[key] = columns[0]
        rows.append(new(Row, (*columns, arguments, overrides, line, numbers[-1], own)))
    if b"\0" in data:
        add_nul_problems(problems, data, postfix)
    return MasterCf(data, tuple(rows), tuple(problems), postfix)


def is_plain(data: bytes) -> bool:
    """Whether words are what str.split takes for words in the whole file, but for braces."""
    return data.isascii() and not any(odd in data for odd in _ODD)


def split(numbers: list[int], parts: list[bytes], *, plain: bool) -> tuple[list[str], list[int]]:
    """Words of a logical line, and the physical line of each. What stands in braces is not split; they are kept."""
    joined = parts[0] if len(parts) == 1 else b"".join(parts)
    if plain and b"{" not in joined:
        if len(parts) == 1:
            words = joined.decode().split()
            return words, numbers * len(words)
        words = []
        lines = []
        for index, part in enumerate(parts):
            some = part.decode().split()
            words += some
            lines += [numbers[index]] * len(some)
        return words, lines
    text = decoded(joined.partition(b"\0")[0])
    words = []
    lines = []
    ends = list(accumulate(len(decoded(part)) for part in parts))
    offset = depth = start = 0
    for chunk in text.translate(_SPACES).split(" "):
        if chunk:
            if not depth:
                start = offset
            if "{" in chunk or "}" in chunk:
                depth = _depth(chunk, depth)
            if not depth:
                words.append(text[start : offset + len(chunk)])
                lines.append(numbers[bisect_right(ends, start)])
        offset += len(chunk) + 1
    if depth:
        # A brace that is never closed takes all there is.
        words.append(text[start:])
        lines.append(numbers[bisect_right(ends, start)])
    return words, lines


def _depth(chunk: str, depth: int) -> int:
    """How many braces are open behind a text, where so many were before it. One too many closes nothing."""
    for character in chunk:
        if character == "{":
            depth += 1
        elif character == "}" and depth:
            depth -= 1
    return depth


def invalid_field(columns: list[str]) -> str | None:
    """What Postfix says where one of the eight columns has a value that it refuses."""
    _, type, private, unprivileged, chroot, wakeup, limit, _ = columns
    if type not in TYPES:
        return f'invalid type field "{type}"'
    for name, value in (("private", private), ("unprivileged", unprivileged), ("chroot", chroot)):
        if value not in BOOLEANS:
            return f'invalid {name} field "{value}"'
    if wakeup != "-" and wakeup != "-?" and wakeup.removesuffix("?").strip(DIGITS):
        return f'invalid wakeup field "{wakeup}"'
    if limit != "-" and limit.strip(DIGITS):
        return f'invalid process_limit field "{limit}"'
    return None


def _refused(columns: list[str], parts: list[bytes]) -> str | None:
    """What postconf says of the columns before it gives up, or master before it dies (measured: it does not start)."""
    invalid = invalid_field(columns)
    if invalid:
        return f'{invalid} in "{decoded(b"".join(parts).partition(bytes(1))[0])}"'
    if columns[1] == "inet" and columns[2] != "n":
        return "inet service cannot be private"
    if columns[5] in ("?", "-?"):
        return f'field "wakeup_time": bad value: "{columns[5]}"'
    if columns[7] == "-":
        return 'field "command" has no default value'
    return None


def _key(columns: list[str]) -> str:
    """What master knows a service by: of two that are the same here it runs the last one (measured)."""
    name = columns[0]
    if columns[1] != "inet":
        return f"{columns[1]} {columns[2] == 'n'} {name}"
    if ":" not in name:
        return f"inet {_PORTS.get(name, name)}"
    host, _, port = name.rpartition(":")
    return f"inet {host.strip('[]').lower()} {_PORTS.get(port, port)}"


def unbraced(word: str) -> tuple[str, str]:
    """A word that begins with a brace without its outer braces and the blanks within, and what is wrong with it."""
    depth = 0
    position = 0
    while True:
        end = word.find("}", position)
        if end < 0:
            return word[1:].strip(SPACES), f"missing '}}' in \"{word}\""
        depth += word.count("{", position, end) - 1
        position = end + 1
        if not depth:
            why = f"syntax error after '}}' in \"{word}\"" if position < len(word) else ""
            return word[1:end].strip(SPACES), why


def split_parameter(text: str) -> tuple[str, str, str]:
    """The name and the value of `name = value`, or what Postfix says where it is none."""
    head, equals, rest = text.partition("=")
    name = head.strip(SPACES)
    if not name:
        return "", "", "missing attribute name"
    if not equals or not _SPACE_CHARACTERS.isdisjoint(name):
        return "", "", "missing '=' after attribute name"
    return name, rest.strip(SPACES), ""


def _arguments(words: list[str], lines: list[int], problems: list[Problem]) -> tuple[Word, ...]:
    """Arguments as master passes them."""
    found: list[Word] = []
    for index, word in enumerate(words):
        text = word
        if word[0] == "{":
            text, why = unbraced(word)
            if why:
                problems.append(Problem(lines[index], why, True))
        found.append(Word(text, lines[index]))
    return tuple(found)


def _options(arguments: tuple[Word, ...], command: str) -> tuple[tuple[Override, ...], tuple[Problem, ...]]:
    """What a daemon takes from its arguments, as getopt(3) reads them, and what it dies of."""
    found: list[Override] = []
    problems: list[Problem] = []
    index, count = 0, len(arguments)
    while index < count:
        text, line = arguments[index]
        if text[:1] != "-" or text == "-":
            break
        index += 1
        if text == "--":
            break
        position = 1
        while text[position] in _FLAGS and position + 1 < len(text):
            position += 1
        letter, value = text[position], text[position + 1 :]
        if letter in _FLAGS:
            continue
        if letter not in _WITH_VALUE or (not value and index == count):
            return tuple(found), (*problems, Problem(line, f"invalid option: {letter}", True))
        if not value:
            value, line = arguments[index]
            index += 1
        if letter == "o":
            name, setting, why = split_parameter(value)
            if why:
                problems.append(Problem(line, f'invalid "-o {value}" option value: {why}', True))
            else:
                found.append(Override(name, setting, line))
    if index < len(arguments) and command in _WITHOUT_ARGUMENTS:
        text, line = arguments[index]
        problems.append(Problem(line, f"unexpected command-line argument: {text}", True))
    return tuple(found), tuple(problems)


class _Item(NamedTuple):
    """One argument with the words that belong to it as they stand there; `name` is the parameter that `-o` sets."""

    words: list[str]
    line: int
    name: str


def _items(words: list[str], numbers: list[int]) -> list[_Item] | None:
    """Arguments in order; None where one goes over several lines, or is none that a daemon takes."""
    found: list[_Item] = []
    index = 0
    while index < len(words):
        word, line = words[index], numbers[index]
        index += 1
        if not word.startswith("-o"):
            found.append(_Item([word], line, ""))
            continue
        value, parts = word[2:], [word]
        if not value:
            if index == len(words) or numbers[index] != line:
                return None
            value = words[index]
            parts.append(value)
            index += 1
        name, _, why = split_parameter(unbraced(value)[0] if value.startswith("{") else value)
        if why:
            return None
        found.append(_Item(parts, line, name))
    return found


def _mended(data: bytes, row: Row, service: Service, postfix: Version, without: frozenset[str]) -> list[bytes] | None:
    """The lines of a row with the columns and overrides of a service, the others as they are; None where that cannot
    be done line by line.
    """
    old = data.split(b"\n")[row.line - 1 : row.end]
    numbers = [row.line + index for index, each in enumerate(old) if is_content(each)]
    parts = [old[number - row.line] for number in numbers]
    if b"\0" in b"".join(parts) or row.problems:
        return None
    # A word in braces may go over several lines, which shows where it is split together and line by line.
    words, places = split(numbers, parts, plain=False)
    single = [
        each for number, part in zip(numbers, parts, strict=True) for each in split([number], [part], plain=False)[0]
    ]
    if words != single or [each for each in places if each == row.line][:COLUMNS] != places[:COLUMNS]:
        return None
    items = _items(words[COLUMNS:], places[COLUMNS:])
    if items is None or [each.words[0] for each in items if not each.name] != list(service.arguments):
        return None
    wanted = {each.name: each for each in service.overrides}
    values = {each.name: each.value for each in row.overrides}
    last = {each.name: index for index, each in enumerate(items) if each.name}
    kept: dict[int, list[tuple[list[str], bool]]] = {number: [] for number in numbers}
    for index, item in enumerate(items):
        if item.name in without or (item.name in wanted and last[item.name] != index):
            continue
        same = item.name not in wanted or values[item.name] == wanted[item.name].value
        kept[item.line].append((item.words if same else ["-o", override(wanted[item.name], postfix)], same))
    columns = _columns_of(service)
    found: list[bytes] = []
    end = b"\r" if old[0].endswith(b"\r") else b""
    position = 0
    for number, line in zip(range(row.line, row.end + 1), old, strict=True):
        if number not in kept:
            found.append(line)
            continue
        there = [each for each in items if each.line == number]
        untouched = len(there) == len(kept[number]) and all(same for _, same in kept[number])
        head = number == row.line
        if untouched and (not head or tuple(words[1:COLUMNS]) == columns[1:]):
            found.append(line)
            position = len(found)
            continue
        texts = [text for some, _ in kept[number] for text in some]
        if head:
            first = lines(service._replace(name=row.name, overrides=(), arguments=()), postfix)[0]
            found.append(encoded(" ".join([first, *texts])) + end)
            position = len(found)
        elif texts:
            indent = line[: len(line) - len(line.lstrip())]
            found.append(indent + encoded(" ".join(texts)) + end)
            position = len(found)
    missing = [encoded(f"  -o {override(each, postfix)}") + end for name, each in wanted.items() if name not in last]
    # Arguments stand behind all options: a row that has some is written anew.
    if missing and service.arguments:
        return None
    return [*found[:position], *missing, *found[position:]]


def _columns_of(service: Service) -> tuple[str, ...]:
    return (
        service.name, service.type, service.private, service.unprivileged, service.chroot, service.wakeup,
        service.process_limit, service.command,
    )  # fmt: skip


def _has(row: Row, service: Service, without: frozenset[str]) -> bool:
    """Whether a row is as the service wants it."""
    there = {each.name: each.value for each in row.overrides}
    return (
        _columns_of(service)[1:] == (
            row.type, row.private, row.unprivileged, row.chroot, row.wakeup, row.process_limit, row.command,
        )
        and all(there.get(each.name) == each.value for each in service.overrides)
        and not without & there.keys()
        and not row.problems
    )  # fmt: skip


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
