"""smtpd.conf of Cyrus SASL: settings as lines, read as libsasl reads them, edited without touching anything else."""

from __future__ import annotations

from typing import NamedTuple

from mailcfg.configuration import Setting
from mailcfg.formats.logical import Problem

LONGEST = 4095
"""Bytes that libsasl reads at once: the rest of a longer line is taken for another line (measured, 2.1.28)."""

NAME_CHARACTERS = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
"""What a name is made of. libsasl turns capitals into small letters when it reads one (measured, 2.1.28)."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"

REFUSED = "error when parsing configuration file"
"""What Postfix logs of a file that libsasl refuses, before smtpd dies."""


class Unwritable(ValueError):
    """A setting that smtpd.conf cannot hold. The message says why."""


class Entry(NamedTuple):
    """A setting as libsasl gets it, its name in small letters, and its physical line, from 1."""

    name: str
    value: str
    line: int


class SmtpdConf:
    """One smtpd.conf; it never changes, an edit gives another one. Names and values: UTF-8 with surrogateescape.

    `entries` are all settings in file order, also those below the first fatal problem, where libsasl stops. With one,
    smtpd dies as soon as a client connects (measured).
    """

    __slots__ = ("data", "entries", "problems")

    def __init__(self, data: bytes, entries: tuple[Entry, ...], problems: tuple[Problem, ...]) -> None:
        self.data = data
        self.entries = entries
        self.problems = problems

    def effective(self) -> dict[str, Entry]:
        """Of each name the entry that holds: the first one (measured, 2.1.28)."""
        found: dict[str, Entry] = {}
        for entry in self.entries:
            found.setdefault(entry.name, entry)
        return found

    def render(self) -> bytes:
        """The file, byte for byte."""
        return self.data

    def set(self, name: str, value: str) -> SmtpdConf:
        """The file with this value: in the line that holds, else in a new one at the end. Raises Unwritable.

        A line that libsasl refuses gives way if it begins with this name (`mech_list PLAIN`). Another one stays, and
        with it the fatal problem: then the result takes no effect either.
        """
        key, text = _encoded(name, value)
        pieces, ours = self._of(key)
        if not ours:
            return parse(_appended(self.data, key + b": " + text))
        sound = [index for index, refused in ours if not refused]
        chosen = sound[0] if sound else ours[0][0]
        edits = {index: b"" for index, refused in ours if refused}
        edits[chosen] = _rewritten(pieces[chosen][0], key, text)
        return parse(_edited(pieces, edits))

    def remove(self, name: str) -> SmtpdConf:
        """The file without the lines that set this name, or that try to and are refused."""
        pieces, ours = self._of(_key(name))
        return parse(_edited(pieces, {index: b"" for index, _ in ours}))

    def only(self, name: str) -> SmtpdConf:
        """The file without those lines of this name that do not hold."""
        pieces, ours = self._of(_key(name))
        holds = next((index for index, refused in ours if not refused), None)
        return parse(_edited(pieces, {index: b"" for index, _ in ours if index != holds}))

    def _of(self, key: bytes) -> tuple[list[tuple[bytes, int]], list[tuple[int, str]]]:
        """All pieces, and which of them begin with a name: the index of each, and why it is refused."""
        pieces = _pieces(self.data)
        ours: list[tuple[int, str]] = []
        for index, (piece, _) in enumerate(pieces):
            name, _value, refused = _read(piece)
            if name == key:
                ours.append((index, refused))
        return pieces, ours


def parse(data: bytes) -> SmtpdConf:
    """Read a smtpd.conf. Any bytes will do: what libsasl refuses is a fatal problem of its line.

    Measured with libsasl 2.1.27 and 2.1.28, which read alike: `name: value` with any blanks around each but none
    before the colon; a line that is empty or begins with # is skipped; # within a value is a part of it; no line is
    continued; a NUL ends the line.
    """
    entries: list[Entry] = []
    problems: list[Problem] = []
    names: dict[bytes, str] = {}
    previous = told = 0
    for piece, line in _pieces(data):
        if line == previous != told and piece.strip():
            told = line
            problems.append(Problem(line, f"more than {LONGEST} bytes: the rest is read as another line", False))
        previous = line
        name, value, refused = _read(piece)
        if refused:
            problems.append(Problem(line, refused, True))
        elif name is not None:
            text = names.get(name)
            if text is None:
                text = names[name] = name.decode()
            entries.append(Entry(text, value.decode(errors="surrogateescape"), line))
        if b"\0" in piece:
            problems.append(Problem(line, "a NUL: the rest of the line is not read", False))
    return SmtpdConf(data, tuple(entries), tuple(problems))


def line(setting: Setting) -> str:
    """A setting as one line of smtpd.conf."""
    return f"{setting.name}: {setting.value}"


def mechanisms(value: str) -> tuple[str, ...]:
    """What a value of mech_list asks for, in its order, in capitals. libsasl announces those of them that it has.

    Blanks alone separate, a comma is part of a name that does not exist: `PLAIN, LOGIN` announces LOGIN. With nothing
    left to announce smtpd dies (measured, 2.1.28 and Postfix 3.7).
    """
    words = value.encode(errors="surrogateescape").upper().split()
    return tuple(word.decode(errors="surrogateescape") for word in words)


def _pieces(data: bytes) -> list[tuple[bytes, int]]:
    """What libsasl reads at once, and the physical line of it: a line with its end, or a part of one that is long."""
    *lines, last = data.split(b"\n")
    found = [(each + b"\n", number) for number, each in enumerate(lines, 1)]
    if last:
        found.append((last, len(lines) + 1))
    if all(len(piece) <= LONGEST for piece, _ in found):
        return found
    return [(piece[at : at + LONGEST], number) for piece, number in found for at in range(0, len(piece), LONGEST)]


def _read(piece: bytes) -> tuple[bytes | None, bytes, str]:
    """The name, the value, and why libsasl refuses the line, else nothing.

    The name is None where nothing is set: in a line to be skipped, and in one that is refused and begins with no name.
    """
    if b"\0" in piece:
        piece = piece[: piece.index(b"\0")]
    text = piece.strip()
    if not text or text.startswith(b"#"):
        return None, b"", ""
    name, colon, value = text.partition(b":")
    value = value.lstrip()
    if colon and value and not name.translate(None, NAME_CHARACTERS):
        return name.lower(), value, ""
    return _refused(text)


def _refused(text: bytes) -> tuple[bytes | None, bytes, str]:
    """A line that libsasl refuses: the name that it begins with, and why.

    The words repeat nothing that does not stand before a colon: it may be a password that got into a line of its own.
    """
    if text.startswith(_BYTE_ORDER_MARK):
        name, _, _ = _refused(text.removeprefix(_BYTE_ORDER_MARK))
        return name, b"", f"{REFUSED}: it begins with a byte order mark"
    rest = text.lstrip(NAME_CHARACTERS)
    name = text[: len(text) - len(rest)].lower()
    if rest == b":":
        return name, b"", f"{REFUSED}: {name.decode()!r} has no value"
    if not name:
        return None, b"", f"{REFUSED}: no name at its beginning"
    if rest.lstrip().startswith(b":"):
        return name, b"", f"{REFUSED}: a blank between {name.decode()!r} and the colon"
    return name, b"", f"{REFUSED}: no colon after the name"


def _key(name: str) -> bytes:
    return name.encode(errors="surrogateescape").lower()


def _encoded(name: str, value: str) -> tuple[bytes, bytes]:
    """Name and value as bytes. Raises Unwritable where libsasl would read something else."""
    try:
        key, text = _key(name), value.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        raise Unwritable("not UTF-8") from None
    if key.translate(None, NAME_CHARACTERS):
        raise Unwritable(f"{name!r} is no name: it may have letters, digits, - and _")
    if not text:
        raise Unwritable(f"{name} has no value, and libsasl refuses such a file")
    if text != text.strip():
        raise Unwritable("blanks around a value are lost")
    if b"\n" in text or b"\0" in text:
        raise Unwritable("a value is one line without a NUL")
    if len(key) + len(b": ") + len(text) > LONGEST:
        raise Unwritable(f"a line can have {LONGEST} bytes")
    return key, text


def _rewritten(piece: bytes, key: bytes, text: bytes) -> bytes:
    """A line with another value; all else in it is kept, if libsasl can read it so."""
    body, nul, _ = piece.partition(b"\0")
    blanks = body[len(body.rstrip()) :]
    end = b"\r\n" if piece.endswith(b"\r\n") else b"\n" if piece.endswith(b"\n") else b""
    _, value, refused = _read(piece)
    if not refused:
        before = body[: len(body.rstrip()) - len(value)]
        if len(before) + len(text) <= LONGEST:
            return before + text + (end if nul else blanks)
    return key + b": " + text + end


def _appended(data: bytes, text: bytes) -> bytes:
    """The file with one more line, which ends as the first one does."""
    first, newline, _ = data.partition(b"\n")
    end = b"\r\n" if newline and first.endswith(b"\r") else b"\n"
    gap = end if data and not data.endswith(b"\n") else b""
    return data + gap + text + end


def _edited(pieces: list[tuple[bytes, int]], edits: dict[int, bytes]) -> bytes:
    """The file with some pieces replaced. Where a part of a long line was, the parts around it become lines."""
    found: list[bytes] = []
    for index, (piece, _) in enumerate(pieces):
        if index in edits:
            piece = edits[index]
            if found and not found[-1].endswith(b"\n"):
                found.append(b"\n")
            if piece and not piece.endswith(b"\n") and index + 1 < len(pieces):
                piece += b"\n"
        if piece:
            found.append(piece)
    return b"".join(found)
