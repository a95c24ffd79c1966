"""Dovecot's settings files: sections and settings, read as Dovecot 2.3 reads one file by itself."""

from __future__ import annotations

from typing import NamedTuple

from mailcfg.formats.logical import Problem

BLANKS = b" \t"
"""What stands around names and values without being part of them (measured, 2.3.19: form feeds are)."""

DEEPEST = 50
"""Sections in each other that are read. Dovecot knows no setting that stands half as deep."""

EXPANDED = 1_000_000
"""Characters of values that are put together from others in one file: `a = $a b` many times over would fill memory."""

_MAPS = (b"plugin", b"dict")
"""Sections whose name has no meaning: all of them are one (measured, 2.3.19)."""

_FILTERS = (b"protocol", b"local", b"local_name", b"remote")
"""Sections that hold other values of the settings outside (Dovecot's documentation, configuration file syntax)."""


class Entry(NamedTuple):
    """A setting: the sections around it and its name, as `("service auth", "unix_listener auth", "mode")`.

    Of nameless sections side by side the second is "passdb #2", and so on. `line` counts from 1; of a value that is
    continued it is the first.
    """

    path: tuple[str, ...]
    value: str
    line: int


class Include(NamedTuple):
    """A line that brings in other files: the sections around it, and the pattern of their names (glob(7)), which is
    relative to the file's own directory. `optional`: nothing need match.
    """

    path: tuple[str, ...]
    pattern: str
    optional: bool
    line: int


class DovecotConf:
    """One settings file. Names and values: UTF-8 with surrogateescape.

    `problems`: where one is fatal Dovecot does not start, and no entry below it is read. Another tells what the file
    alone does not: what `!include` brings, a value that is taken from another file or setting, text that is lost.
    Whether Dovecot knows a setting is not looked at.
    """

    __slots__ = ("data", "entries", "includes", "problems")

    def __init__(
        self,
        data: bytes,
        entries: tuple[Entry, ...],
        problems: tuple[Problem, ...],
        includes: tuple[Include, ...] = (),
    ) -> None:
        self.data = data
        self.entries = entries
        self.problems = problems
        self.includes = includes

    def effective(self) -> dict[tuple[str, ...], Entry]:
        """Of each path the entry that holds: the last one, in whichever of the sections with that name (measured)."""
        return {entry.path: entry for entry in self.entries}

    def render(self) -> bytes:
        """The file, byte for byte."""
        return self.data


def parse(data: bytes) -> DovecotConf:
    """Read a settings file. Any bytes will do: what Dovecot refuses is a fatal problem, in its own words.

    Measured with doveconf 2.3.19: `name = value`; `type name {` and `}` on lines of their own; # begins a comment
    anywhere but in quotes; a backslash at the end continues a line, and what was continued is lost where an empty line
    or a comment follows.
    """
    reader = _Reader()
    held: list[bytes] = []
    first = 0
    nul, comments = b"\0" in data, b"#" in data
    for number, raw in enumerate(data.split(b"\n"), 1):
        text = raw[:-1] if raw.endswith(b"\r") else raw
        if nul:
            text = text.partition(b"\0")[0]
        text = text.strip(BLANKS)
        if not text or (comments and text.startswith(b"#")):
            if held:
                reader.warn(first, "it is continued by an empty line or a comment, and lost")
                held.clear()
            continue
        if comments and b"#" in text:
            bare = _without_comment(text)
            if bare != text and bare[-1:] not in (b" ", b"\t"):
                reader.warn(number, "a # without a blank before it begins a comment")
            text = bare.rstrip(BLANKS)
        if text.endswith(b"\\"):
            text = text[:-1].rstrip(BLANKS)
            if text:
                first = first if held else number
                held.append(text)
            continue
        if held:
            text = b" ".join((*held, text))
            held.clear()
        else:
            first = number
        if not reader.statement(text, first, number):
            break
    else:
        if held:
            reader.warn(first, "it is continued by nothing, and lost")
        reader.end()
    return DovecotConf(data, tuple(reader.entries), tuple(reader.problems), tuple(reader.includes))


class _Section(NamedTuple):
    path: tuple[str, ...]
    line: int
    filters: bool
    """Whether it is a filter, or stands in one."""


class _Reader:
    """What was read so far, and the sections that are open."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.problems: list[Problem] = []
        self.includes: list[Include] = []
        self.take = self.entries.append
        self.open: list[_Section] = [_Section((), 0, False)]
        self.nameless: dict[tuple[str, ...], int] = {}
        self.values: dict[str, str] = {}
        self.seen = 0
        self.room = EXPANDED

    def warn(self, line: int, message: str) -> None:
        self.problems.append(Problem(line, message, False))

    def refuse(self, line: int, message: str) -> bool:
        self.problems.append(Problem(line, message, True))
        return False

    def statement(self, text: bytes, first: int, last: int) -> bool:
        """Take one logical line; say whether Dovecot reads on. A fatal problem has the line that Dovecot names."""
        head, equals, rest = text.partition(b"=")
        key = head.rstrip(BLANKS)
        if equals and b" " not in key and b"\t" not in key and not (key != head and key in _INCLUDES):
            if not key:
                return self.refuse(last, "Missing key name ('=' at the beginning of line)")
            value = rest.lstrip(BLANKS)
            if value.startswith(_SPECIAL) or b"/" in key or b"$" in value:
                self.setting(key, value, first)
            else:
                path = (*self.open[-1].path, key.decode("utf-8", "surrogateescape"))
                self.take(Entry(path, value.decode("utf-8", "surrogateescape"), first))
            return True
        if text == b"}":
            if len(self.open) == 1:
                return self.refuse(last, "Unexpected '}'")
            self.open.pop()
            return True
        key, rest = _word(text)
        if key in _INCLUDES:
            self.warn(first, f"{key.decode()} {_text(rest)} is not followed")
            self.includes.append(Include(self.open[-1].path, _text(rest), key == b"!include_try", first))
            return True
        if rest.startswith(b"{"):
            name = b""
        elif rest.startswith(b'"'):
            name, _, rest = rest[1:].partition(b'"')
            name, rest = _unescaped(name), rest.lstrip(BLANKS)
        else:
            name, rest = _word(rest)
        if not rest.startswith(b"{"):
            return self.refuse(last, "Expecting '{'")
        if rest != b"{":
            return self.refuse(last, "Garbage after '{'")
        if len(self.open) > DEEPEST:
            return self.refuse(last, f"more than {DEEPEST} sections in each other")
        self.section(key, name, first, last)
        return True

    def section(self, kind: bytes, name: bytes, first: int, last: int) -> None:
        around = self.open[-1]
        step = _text(kind)
        if kind in _MAPS:
            path = (*around.path, step)
        elif name:
            path = (*around.path, f"{step} {_text(name)}")
        else:
            path = (*around.path, step)
            number = self.nameless[path] = self.nameless.get(path, 0) + 1
            if number > 1:
                path = (*around.path, f"{step} #{number}")
        if kind == b"auth" and not around.path:
            self.warn(first, "a section of Dovecot 1, whose settings begin with auth_ today, is not converted")
        self.open.append(_Section(path, last, around.filters or kind in _FILTERS))

    def setting(self, key: bytes, value: bytes, line: int) -> None:
        """Take a setting that is not simply a name and a text."""
        path = (*self.open[-1].path, *_steps(key))
        if b"/" in key and any(each.isdigit() for each in key.split(b"/")):
            self.warn(line, f"{_text(key)} has a section by its number, which this file does not tell")
        if value.startswith(b"<"):
            self.warn(line, f"the value of {path[-1]} stands in another file")
            text = f"<{_text(value[1:].lstrip(BLANKS))}"
        elif value.startswith(_QUOTES):
            text = _text(_unescaped(value[1:-1]) if value[-1:] == value[:1] else value)
        elif b"$" in value:
            text = self.expanded(path[-1], value, line)
        else:
            text = _text(value)
        self.take(Entry(path, text, line))

    def expanded(self, name: str, value: bytes, line: int) -> str:
        """A value with those of other settings in it, `$auth_mechanisms login`: each a word of its own (measured).

        Dovecot looks a name up outside of all sections, and in a filter in a way of its own.
        """
        while self.seen < len(self.entries):
            entry = self.entries[self.seen]
            self.seen += 1
            if len(entry.path) == 1:
                self.values[entry.path[0]] = entry.value
        first, *others = value.split(b" ")
        words = [_text(word) for word in (first, *filter(None, (other.lstrip(BLANKS) for other in others)))]
        for index, word in enumerate(words):
            if not word.startswith("$"):
                continue
            if index:
                self.warn(
                    line, "a word within a value begins with $: Dovecot 2.3.19 puts another value in, 2.3.13 does not"
                )
            known = None if self.open[-1].filters else self.values.get(word[1:])
            if known is None:
                self.warn(line, f"the value of {name} has that of another setting in it, which this file does not tell")
                continue
            self.room -= len(known)
            if self.room < 0:
                self.warn(line, f"the value of {name} is too long to be put together")
                break
            words[index] = known
        return " ".join(words)

    def end(self) -> None:
        if len(self.open) > 1:
            self.refuse(self.open[-1].line, "Missing '}'")


_QUOTES = (b'"', b"'")

_SPECIAL = (*_QUOTES, b"<")

_INCLUDES = (b"!include", b"!include_try")


def _text(data: bytes) -> str:
    return data.decode(errors="surrogateescape")


def _word(text: bytes) -> tuple[bytes, bytes]:
    """What stands before the first blank, and what after the blanks."""
    for position, byte in enumerate(text):
        if byte in BLANKS:
            return text[:position], text[position:].lstrip(BLANKS)
    return text, b""


def _steps(key: bytes) -> tuple[str, ...]:
    """A name as a path: `service/auth/client_limit` is a setting in a section, whose name is escaped (measured)."""
    *around, name = key.split(b"/")
    if len(around) == 1 and around[0] in _MAPS:
        return _text(around[0]), _text(name)
    if len(around) % 2 or b"" in around:
        return (_text(key),)
    pairs = zip(around[::2], around[1::2], strict=True)
    return (*(_text(kind + b" " + _section_name(named)) for kind, named in pairs), _text(name))


_ESCAPED = {b"s": b"/", b"_": b" ", b"e": b"="}


def _section_name(escaped: bytes) -> bytes:
    """The name of a section as it stands before the brace."""
    first, *others = escaped.replace(b"\\\\", b"\0").split(b"\\")
    plain = b"".join((first, *(_ESCAPED.get(each[:1], each[:1]) + each[1:] for each in others)))
    return plain.replace(b"\0", b"\\")


def _without_comment(text: bytes) -> bytes:
    """A line up to its comment. A quote that is not closed hides one (measured)."""
    position = 0
    while position < len(text):
        character = text[position : position + 1]
        if character == b"#":
            return text[:position]
        if character in (b"'", b'"'):
            position += 1
            while text[position : position + 1] != character:
                if position >= len(text):
                    return text
                position += 2 if text[position : position + 1] == b"\\" else 1
        position += 1
    return text


def _unescaped(text: bytes) -> bytes:
    """Text in quotes: a backslash stands for what follows it."""
    if b"\\" not in text:
        return text
    found = bytearray()
    position = 0
    while position < len(text):
        if text[position] == 0x5C:
            position += 1
        found += text[position : position + 1]
        position += 1
    return bytes(found)
