"""main.cf: parameters as lines, read as Postfix reads them, edited without touching anything else."""

from __future__ import annotations

from typing import NamedTuple

from mailcfg.configuration import Setting
from mailcfg.facts.version import Version
from mailcfg.formats.logical import (
    SPACE,
    Problem,
    add_nul_problems,
    appended,
    decoded,
    encoded,
    logical_lines,
    starts_with_space,
    without,
)

__all__ = ["Entry", "MainCf", "Problem", "Unwritable", "line", "parse"]


class Unwritable(ValueError):
    """A parameter that main.cf cannot hold. The message says why."""


class Entry(NamedTuple):
    """A parameter as a daemon gets it: `value` keeps the white space within, also that of continued lines.

    `line` and `end` are the first and the last physical line that belong to it, from 1.
    """

    name: str
    value: str
    line: int
    end: int


class MainCf:
    """One main.cf; it never changes, an edit gives another one. Names and values: UTF-8 with surrogateescape.

    `entries` are all in file order, also those below the first fatal problem, where Postfix stops reading. `problems`
    are those that reading the file shows; what the values mean is not looked at.
    """

    __slots__ = ("data", "entries", "postfix", "problems")

    def __init__(
        self, data: bytes, entries: tuple[Entry, ...], problems: tuple[Problem, ...], postfix: Version | None = None
    ) -> None:
        self.data = data
        self.entries = entries
        self.problems = problems
        self.postfix = postfix

    def effective(self) -> dict[str, Entry]:
        """Of each name the entry that holds: the last one (measured)."""
        return {entry.name: entry for entry in self.entries}

    def render(self) -> bytes:
        """The file, byte for byte."""
        return self.data

    def set(self, name: str, value: str) -> MainCf:
        """The file with this value: in the logical line that holds, else in a new one at the end. Raises Unwritable.

        A value that stands there already is not written again. What was continued becomes one line; comments between
        its lines stay below it.
        """
        key, text = _encoded(name, value)
        entry = self.effective().get(name)
        if entry is None:
            return parse(appended(self.data, [key + (b" = " + text if text else b" =")]), self.postfix)
        if entry.value == value:
            return self
        lines = self.data.split(b"\n")
        lines[entry.line - 1] = _rewritten(lines[entry.line - 1], key, text)
        return parse(without(lines, list(range(entry.line + 1, entry.end + 1))), self.postfix)

    def remove(self, name: str) -> MainCf:
        """The file without any entry of this name. Comments between its lines stay."""
        return self._drop([entry for entry in self.entries if entry.name == name])

    def only(self, name: str) -> MainCf:
        """The file without those entries of this name that do not hold."""
        return self._drop([entry for entry in self.entries if entry.name == name][:-1])

    def _drop(self, entries: list[Entry]) -> MainCf:
        if not entries:
            return self
        numbers = [number for entry in entries for number in range(entry.line, entry.end + 1)]
        return parse(without(self.data.split(b"\n"), numbers), self.postfix)


def parse(data: bytes, postfix: Version | None = None) -> MainCf:
    """Read a main.cf. Any bytes will do: what Postfix refuses is a fatal problem, in its own words.

    Without a version the newest one decides which warnings there are. Measured with 3.5.25, 3.7.11, 3.10.13 and 3.11.7.
    """
    entries: list[Entry] = []
    problems: list[Problem] = []
    values: dict[str, str] = {}
    nul = b"\0" in data
    new = tuple.__new__
    for numbers, parts in logical_lines(data):
        text = parts[0] if len(parts) == 1 else b"".join(parts)
        line = numbers[0]
        if text[0] in SPACE:
            problems.append(Problem(line, starts_with_space(text), False))
            continue
        if nul:
            text = text.partition(b"\0")[0]
        head, equals, rest = text.partition(b"=")
        words = head.split()
        if len(words) != 1 or not equals:
            why = "missing '=' after attribute name" if words else "missing attribute name"
            problems.append(Problem(line, f'{why}: "{decoded(text)}"', True))
            continue
        name = words[0].decode(errors="surrogateescape")
        value = rest.strip().decode(errors="surrogateescape")
        old = values.get(name, value)
        if old != value:
            problems.append(Problem(line, f"overriding earlier entry: {name}={old}", False))
        values[name] = value
        entries.append(new(Entry, (name, value, line, numbers[-1])))
    if nul:
        add_nul_problems(problems, data, postfix)
    return MainCf(data, tuple(entries), tuple(problems), postfix)


def line(setting: Setting) -> str:
    """A parameter as one logical line of main.cf. An empty value is written as nothing behind the equals sign."""
    return f"{setting.name} = {setting.value}" if setting.value else f"{setting.name} ="


def _encoded(name: str, value: str) -> tuple[bytes, bytes]:
    """Name and value as bytes. Raises Unwritable where Postfix would read something else."""
    try:
        key, text = encoded(name), encoded(value)
    except UnicodeEncodeError:
        raise Unwritable("not UTF-8") from None
    if key.split() != [key] or b"=" in key or key.startswith(b"#") or b"\0" in key:
        raise Unwritable(f"{name!r} is no name: it has no blank and no =, and does not begin with #")
    if text != text.strip():
        raise Unwritable("blanks around a value are lost")
    if b"\n" in text or b"\0" in text:
        raise Unwritable("a value is one line without a NUL")
    return key, text


def _rewritten(line: bytes, key: bytes, text: bytes) -> bytes:
    """The first line of an entry with another value: what stands before the value and how the line ends is kept."""
    end = b"\r" if line.endswith(b"\r") else b""
    head, _, rest = line.partition(b"\0")[0].partition(b"=")
    value = rest.strip()
    if not text:
        return head + b"=" + end
    if not value:
        return key + b" = " + text + end
    return head + b"=" + rest[: rest.index(value)] + text + end
