"""TOML text, its values, and where in the text each of them stands."""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from itertools import accumulate
from typing import Any, NamedTuple

from mailcfg.problem import Finding, Location, PolicyError, Severity

Path = tuple[str | int, ...]
"""A route of keys through a TOML document: `("submission", "tls")`, or `("sasl", "mechanisms", 1)`."""


class Span(NamedTuple):
    """Offsets into the text: a key (or table header) and the value that belongs to it."""

    key_start: int
    key_end: int
    value_start: int
    value_end: int


class Source:
    """One TOML file: `text`, `values` as `tomllib` reads them, and positions, which are looked up only when needed.

    `file` is the name that people see: the path as they gave it.
    """

    __slots__ = ("_lines", "_spans", "file", "text", "values")

    def __init__(self, text: str, file: str) -> None:
        """Parse. Raises PolicyError with the position of the first syntax error."""
        self.file = file
        self.text = text
        self._spans: dict[Path, Span] | None = None
        self._lines: list[int] | None = None
        try:
            # tomllib itself turns CRLF into LF; doing it here keeps offsets and values in step.
            self.text = text.replace("\r\n", "\n")
            self.values: dict[str, Any] = tomllib.loads(self.text)
        except RecursionError:
            raise PolicyError([self._whole("toml-syntax", "nested too deeply", "a policy needs four levels")]) from None
        except ValueError as error:
            raise PolicyError([self._syntax_error(str(error))]) from None
        long = _LONG_NUMBER.search(self.text)
        if long and _unprintable(self.values):
            # Python reads hexadecimal numbers of any length, and then cannot print them.
            message = "a number has too many digits"
            raise PolicyError(
                [Finding("toml-syntax", Severity.ERROR, message, self.at(*long.span()), help=_syntax_help(message, ""))]
            )

    def has(self, path: Path) -> bool:
        """Tell whether this very text sets the path."""
        node: Any = self.values
        for step in path:
            known = range(len(node)) if isinstance(node, list) else node if isinstance(node, dict) else ()
            if step in known:
                node = node[step]
            else:
                return False
        return True

    def locate(self, path: Path, *, key: bool = False) -> Location:
        """Where the value of a path stands (or its key); of a path that is not there, its nearest table."""
        spans = self.spans()
        while path and path not in spans:
            path, key = path[:-1], True
        span = spans.get(path)
        if span is None:
            return self.at(0, 0)
        return self.at(span.key_start, span.key_end) if key else self.at(span.value_start, span.value_end)

    def position(self, path: Path) -> tuple[int, int]:
        """Line and column, from 1, of the key of a path that this text sets."""
        start = self.spans()[path].key_start
        lines = self._lines or self._starts()
        line = bisect_right(lines, start)
        return line, start - lines[line - 1] + 1

    def at(self, start: int, end: int) -> Location:
        """Turn offsets into a location. What spans several lines is underlined on the first of them."""
        lines = self._lines or self._starts()
        line = bisect_right(lines, start)
        begin = lines[line - 1]
        text = self.text[begin:].split("\n", 1)[0]
        length = max(1, min(end, begin + len(text)) - start)
        return Location(self.file, line, start - begin + 1, length, text)

    def spans(self) -> dict[Path, Span]:
        """Positions of every key and value of the document."""
        if self._spans is None:
            self._spans = scan(self.text)
        return self._spans

    def _starts(self) -> list[int]:
        """Offsets at which lines begin."""
        self._lines = [0, *accumulate([len(line) + 1 for line in self.text.split("\n")])]
        return self._lines

    def _whole(self, rule: str, message: str, help: str) -> Finding:
        return Finding(rule, Severity.ERROR, message, Location(self.file), help=help)

    def _syntax_error(self, message: str) -> Finding:
        match = re.search(r" \(at line (\d+), column (\d+)\)$", message)
        if match:
            line, column = int(match[1]), int(match[2])
            lines = self.text.split("\n")
            text = lines[line - 1] if line <= len(lines) else ""
            location = Location(self.file, line, column, 1, text)
            message = message[: match.start()]
        elif message.endswith(" (at end of document)"):
            end = len(self.text.rstrip())
            location = self.at(end, end)
            message = message.removesuffix(" (at end of document)") + ": the file ends too early"
        else:
            # Not a matter of syntax for Python: it says neither where nor in a user's words.
            location = Location(self.file)
            message = "a number has too many digits" if "digits" in message else message
        return Finding("toml-syntax", Severity.ERROR, message, location, help=_syntax_help(message, location.text))


_LONG_NUMBER = re.compile(r"0[xob][0-9A-Fa-f_]{3500,}")


def _unprintable(value: Any) -> bool:
    """Whether a value holds an integer of more digits than Python prints."""
    if isinstance(value, dict):
        return any(map(_unprintable, value.values()))
    if isinstance(value, list):
        return any(map(_unprintable, value))
    return isinstance(value, int) and value.bit_length() > 14_284


def _syntax_help(message: str, line: str) -> str:
    if message.endswith("the file ends too early"):
        return "close the bracket, brace or quote that is still open"
    if "digits" in message:
        return "no key of a policy takes such a number"
    if "overwrite" in message and line.startswith("[postfix"):
        return 'postfix = "…" and this table say the same key: write version = "…" under [postfix] instead'
    if "overwrite" in message or "twice" in message or "already" in message.lower():
        return "a key or table stands once in a file: keep one of them"
    if line.startswith("\ufeff"):
        return "remove the byte order mark at the start of the file"
    value = line.partition("=")[2].strip()
    if message.startswith("Invalid value") and value and not value.startswith(('"', "'", "[", "{")):
        return f'text stands in quotes: "{value.split("#")[0].strip()}"'
    if message.startswith("Invalid value") and not value:
        return "write a value after the equals sign, or remove the line"
    if "after key" in message and ":" in line:
        return 'TOML writes key = "value", with an equals sign'
    if "Illegal character" in message and value.startswith('"'):
        return "the text lacks its closing quote on this line"
    return "see the TOML specification, https://toml.io"


_BLANK = re.compile(r"(?:[ \t\n]+|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}' r"|'''(?:[^']|'(?!''))*'{3,5}" r'|"(?:[^"\\\n]|\\.)*"' r"|'[^'\n]*'",
    re.DOTALL,
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[Tt ]\d\d:\d\d(?::\d\d)?(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)?)?|[^,\]}#\s]+")
_SIMPLE = re.compile(
    r'([A-Za-z0-9_-]+)[ \t]*=[ \t]*("[^"\\\n]*"(?!")|true\b|false\b|\d+\b(?![-:.]))[ \t]*(?:#[^\n]*)?(?:\n|\Z)'
)
"""The statement that most lines of a policy are."""
_SIMPLE_TABLE = re.compile(r"\[([A-Za-z0-9_-]+)\][ \t]*(?:#[^\n]*)?(?:\n|\Z)")


def scan(text: str) -> dict[Path, Span]:
    """Offsets of every key and value of a text that tomllib has accepted.

    tomllib tells no positions. Since it has judged the syntax, this only has to find where things stand.
    """
    spans: dict[Path, Span] = {}
    lengths: dict[Path, int] = {}
    table: Path = ()
    position = 0
    end = len(text)
    while True:
        blank = _BLANK.match(text, position)
        assert blank
        position = blank.end()
        if position >= end:
            return spans
        simple = _SIMPLE.match(text, position)
        if simple:
            spans[(*table, simple[1])] = Span(*simple.span(1), *simple.span(2))
            position = simple.end()
            continue
        header = _SIMPLE_TABLE.match(text, position)
        if header and not lengths:
            table = (header[1],)
            spans[table] = Span(position, header.end(1) + 1, position, header.end(1) + 1)
            position = header.end()
            continue
        if text[position] == "[":
            start = position
            many = text.startswith("[[", position)
            keys, position = _scan_key(text, position + 1 + many)
            position += 1 + many
            table = _table(keys, lengths, many)
            here = spans[table] = Span(start, position, start, position)
            for depth in range(1, len(table)):
                # Of a table that only headers below it imply, the first of these is the place.
                spans.setdefault(table[:depth], here)
            continue
        position = _scan_pair(text, position, table, spans)


def _table(keys: tuple[str, ...], lengths: dict[Path, int], many: bool) -> Path:
    """The path of a header: below an array of tables it means the array's last element."""
    path: Path = ()
    for index, key in enumerate(keys):
        path = (*path, key)
        if many and index == len(keys) - 1:
            lengths[path] = lengths.get(path, 0) + 1
        if path in lengths:
            path = (*path, lengths[path] - 1)
    return path


def _scan_key(text: str, position: int) -> tuple[tuple[str, ...], int]:
    parts: list[str] = []
    while True:
        position = _skip_space(text, position)
        bare = _BARE_KEY.match(text, position)
        if bare:
            parts.append(bare[0])
            position = bare.end()
        else:
            quoted = _STRING.match(text, position)
            assert quoted, "tomllib accepted a key that is neither bare nor quoted"
            # The escapes of a quoted key are tomllib's business.
            parts.append(quoted[0][1:-1] if "\\" not in quoted[0] else str(tomllib.loads(f"k = {quoted[0]}")["k"]))
            position = quoted.end()
        position = _skip_space(text, position)
        if not text.startswith(".", position):
            return tuple(parts), position
        position += 1


def _skip_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    assert match
    return match.end()


def _skip_blank(text: str, position: int) -> int:
    match = _BLANK.match(text, position)
    assert match
    return match.end()


def _scan_pair(text: str, position: int, table: Path, spans: dict[Path, Span]) -> int:
    start = position
    keys, position = _scan_key(text, position)
    key_end = position
    while text[key_end - 1] in " \t":
        key_end -= 1
    position = _skip_space(text, position + 1)
    path: Path = table
    for key in keys[:-1]:
        path = (*path, key)
        spans.setdefault(path, Span(start, key_end, start, key_end))
    path = (*path, keys[-1])
    value_start = position
    position = _scan_value(text, position, path, spans)
    spans[path] = Span(start, key_end, value_start, position)
    return position


def _scan_value(text: str, position: int, path: Path, spans: dict[Path, Span]) -> int:
    first = text[position]
    if first in "\"'":
        match = _STRING.match(text, position)
        assert match, "tomllib accepted a string that does not end"
        return match.end()
    if first == "[":
        position = _skip_blank(text, position + 1)
        index = 0
        while text[position] != "]":
            start = position
            position = _scan_value(text, position, (*path, index), spans)
            spans[(*path, index)] = Span(start, position, start, position)
            index += 1
            position = _skip_blank(text, position)
            if text[position] == ",":
                position = _skip_blank(text, position + 1)
        return position + 1
    if first == "{":
        position = _skip_blank(text, position + 1)
        while text[position] != "}":
            position = _skip_blank(text, _scan_pair(text, position, path, spans))
            if text[position] == ",":
                position = _skip_blank(text, position + 1)
        return position + 1
    match = _DATE.match(text, position)
    assert match
    return match.end()
