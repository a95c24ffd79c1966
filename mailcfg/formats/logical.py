"""Logical lines, as Postfix reads main.cf and master.cf: what begins with white space continues the line before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mailcfg.facts.version import Version

SPACE = b" \t\n\v\f\r"
"""What isspace(3) takes for white space in the C locale; bytes.strip and bytes.split do the same."""

SPACES = SPACE.decode()

NUL_WARNED_SINCE = (3, 9)
"""The Postfix series that warns of a NUL, behind which nothing is read (HISTORY 20231011; measured: 3.7 is silent)."""

NUL_WARNING = "text after null byte may be ignored"
SPACE_WARNING = "logical line must not start with whitespace"

_HASH = 35

Logical = tuple[list[int], list[bytes]]
"""One logical line: the numbers of the physical lines that belong to it, from 1, and those lines as they stand."""


class Problem(NamedTuple):
    """What Postfix says of a file: the physical line, from 1, its words, and whether it refuses the file for it."""

    line: int
    message: str
    fatal: bool


class Span(NamedTuple):
    """The physical lines that Postfix reads for one logical line: the first that belongs to it, the last that it reads.

    The comments and blank lines below are read with it, since a continuation may follow; at the end of a file they may
    be all there is.
    """

    first: int
    last: int


def decoded(data: bytes) -> str:
    """Bytes of a file as text: UTF-8, and what is not as surrogates, so that nothing is lost."""
    return data.decode(errors="surrogateescape")


def encoded(text: str) -> bytes:
    """The bytes of a text that `decoded` made."""
    return text.encode(errors="surrogateescape")


def logical_lines(data: bytes) -> Iterator[Logical]:
    """Logical lines of a file. Comments and blank lines stand anywhere, and end nothing (measured).

    Only the first one can begin with white space: there is nothing that it could continue, and Postfix ignores it.
    """
    numbers: list[int] = []
    parts: list[bytes] = []
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line:
            continue
        first = line[0]
        if first == _HASH:
            continue
        if first in SPACE:
            body = line.lstrip()
            if body and body[0] != _HASH:
                numbers.append(number)
                parts.append(line)
            continue
        if parts:
            yield numbers, parts
        numbers = [number]
        parts = [line]
    if parts:
        yield numbers, parts


def is_content(line: bytes) -> bool:
    """Whether a physical line is neither blank nor a comment."""
    return line.strip()[:1] not in (b"", b"#")


def spans(data: bytes) -> list[Span]:
    """The lines that Postfix names when it has something to say of a logical line, for each of them, in order."""
    count = data.count(b"\n") + (not data.endswith(b"\n") and data != b"")
    heads = [numbers[0] for numbers, _ in logical_lines(data)]
    ends = [head - 1 for head in heads[1:]] + [count]
    return [Span(head, end) for head, end in zip(heads, ends, strict=False)] or [Span(count, count)]


def span_of(known: list[Span], line: int) -> Span:
    """The span that a physical line is read with."""
    from bisect import bisect_right

    return known[max(0, bisect_right(known, line, key=lambda span: span.first) - 1)]


def starts_with_space(text: bytes) -> str:
    """What Postfix says of a first logical line that begins with white space, before it ignores it."""
    shown = decoded(text[:30].partition(b"\0")[0])
    return f'{SPACE_WARNING}: "{shown}{"..." if len(text) > 30 else ""}"'


def add_nul_problems(problems: list[Problem], data: bytes, postfix: Version | None) -> None:
    """Add what newer versions say of NULs, once for each logical line that they are read with, and sort by line."""
    if postfix is not None and postfix.series < NUL_WARNED_SINCE:
        return
    known = spans(data)
    named: set[int] = set()
    for number, line in enumerate(data.split(b"\n"), 1):
        if b"\0" in line:
            first = span_of(known, number).first
            if first not in named:
                problems.append(Problem(number, NUL_WARNING, False))
            named.add(first)
    problems.sort(key=lambda problem: problem.line)


def appended(data: bytes, lines: list[bytes]) -> bytes:
    """A file with more lines, which end as its first one does; where its last line had no end, the new one has none."""
    first, newline, _ = data.partition(b"\n")
    end = b"\r\n" if newline and first.endswith(b"\r") else b"\n"
    block = end.join(lines)
    if data and not data.endswith(b"\n"):
        return data + end + block
    return data + block + end


def without(lines: list[bytes], numbers: list[int]) -> bytes:
    """The lines but for these; among them, comments and blank lines stay."""
    gone = {number for number in numbers if is_content(lines[number - 1])}
    return b"\n".join([each for number, each in enumerate(lines, 1) if number not in gone])
