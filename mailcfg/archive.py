"""A plain tar, read without trust: regular files by name, or a sentence that says what else is in it.

Only what `mailcfg build --format tar` writes, and a tar that somebody packed of the same tree, gets through. The
library's reader is for archives of every kind, and forgiving; this one takes nothing from a header on its word.
"""

from __future__ import annotations

import re
from typing import NamedTuple

BLOCK = 512
END = bytes(BLOCK)

FILE_LIMIT = 4 * 1024 * 1024
"""Bytes of one file beyond which it is none of a bundle: the longest that is built has some kilobytes."""

TOTAL_LIMIT = 16 * 1024 * 1024
"""Bytes of all files together."""

MEMBER_LIMIT = 1024
"""So many files and directories at most."""

_HEADER_LIMIT = 64 * 1024
"""Bytes of an extended header, which holds a name and times."""

_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\0": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"PK\x03\x04": "zip",
}

_NUMBER = re.compile(rb" *([0-7]+)[ \0]*")

_RECORD = re.compile(rb"([1-9][0-9]{0,5}) ([A-Za-z0-9.]{1,64})=")

_HARMLESS = {b"path", b"mtime", b"atime", b"ctime", b"uid", b"gid", b"uname", b"gname", b"comment"}
"""What an extended header may say: a longer name, and what nobody reads."""

_REFUSED = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"6": "a FIFO",
    b"g": "a header for all members",
    b"S": "a sparse file",
    b"L": "a long name in GNU's own form",
    b"K": "a long link in GNU's own form",
}


class ArchiveError(ValueError):
    """A file that is no plain tar of regular files. The message says what is wrong, and where."""


class Contents(NamedTuple):
    """What a tar holds: files by their names, in order, and the names of directories without a slash at their end."""

    files: dict[str, bytes]
    directories: tuple[str, ...]


def shown(name: str) -> str:
    """A name that somebody else chose, as it may stand in a sentence."""
    return name if name.isprintable() and len(name) < 200 else ascii(name[:200])


def wrong_name(name: str) -> str:
    """What is wrong with a relative path; empty for one that leads to a file below, in its one spelling."""
    steps = name.split("/")
    if name.startswith("/"):
        return "is an absolute path"
    if ".." in steps:
        return "leads out of the bundle"
    if "" in steps or "." in steps:
        return "has an empty step or a dot in its path"
    if not name.isprintable() or "\\" in name:
        return "has a control character or a backslash in its name"
    return ""


def read(data: bytes) -> Contents:
    """The members of a tar. Raises ArchiveError for whatever is not a regular file or a directory, has a name that is
    absolute, leads out, or stands twice, exceeds a limit, or is cut off, and for anything behind the end.
    """
    for magic, program in _COMPRESSED.items():
        if data.startswith(magic):
            raise ArchiveError(f"is compressed with {program}: a bundle is a plain tar")
    files: dict[str, bytes] = {}
    directories: dict[str, None] = {}
    place, total, name, extended = 0, 0, "", False
    while True:
        header = data[place : place + BLOCK]
        if len(header) < BLOCK:
            raise ArchiveError("is no tar" if not place else "is cut off: its end is missing")
        if header == END:
            break
        size = _checked(header, place)
        kind = header[156:157]
        limit = _HEADER_LIMIT if kind == b"x" else FILE_LIMIT
        told = shown(name or _name(header))
        if kind in _REFUSED:
            raise ArchiveError(f"{told} is {_REFUSED[kind]}, and a bundle holds plain files")
        if kind not in (b"0", b"\0", b"5", b"x"):
            raise ArchiveError(f"{told} is a member of an unknown kind, {kind!a}")
        if size > limit:
            raise ArchiveError(f"{told} says that it has {size:,} bytes; no more than {limit:,} are read")
        if header[157:257].strip(b"\0"):
            raise ArchiveError(f"{told} names a link")
        start = place + BLOCK
        end = start + size
        place = start + -(-size // BLOCK) * BLOCK
        if place > len(data):
            raise ArchiveError(f"is cut off within {told}")
        if data[end:place].strip(b"\0"):
            raise ArchiveError(f"{told} has something between its end and the next member")
        content = data[start:end]
        if kind == b"x":
            if extended:
                raise ArchiveError(f"{told} has two extended headers")
            name, extended = _extended(content, told), True
            continue
        name = name or _name(header)
        if kind == b"5" and name.endswith("/"):
            name = name[:-1]
        _fits(name, files, directories)
        if kind == b"5":
            if size:
                raise ArchiveError(f"{shown(name)} is a directory with content")
            directories[name] = None
        else:
            files[name] = content
        total += size
        if total > TOTAL_LIMIT:
            raise ArchiveError(f"holds more than {TOTAL_LIMIT:,} bytes")
        if len(files) + len(directories) > MEMBER_LIMIT:
            raise ArchiveError(f"holds more than {MEMBER_LIMIT:,} members")
        name, extended = "", False
    if extended:
        raise ArchiveError("ends after an extended header")
    if len(data) < place + 2 * BLOCK or len(data) % BLOCK:
        raise ArchiveError("is cut off: its end is missing")
    if data[place:].strip(b"\0"):
        raise ArchiveError("holds something behind its end")
    return Contents(files, tuple(directories))


def _fits(name: str, files: dict[str, bytes], directories: dict[str, None]) -> None:
    wrong = wrong_name(name)
    if wrong:
        raise ArchiveError(f"{shown(name)} {wrong}")
    if name in files or name in directories:
        raise ArchiveError(f"{shown(name)} stands there twice")
    above = name
    while "/" in above:
        above = above.rpartition("/")[0]
        if above in files:
            raise ArchiveError(f"{shown(name)} lies below {shown(above)}, which is a file")


def _checked(header: bytes, place: int) -> int:
    """The size that a header names, once its checksum is right and it is of one of the two known forms."""
    said = _number(header[148:156])
    if said is None or said != sum(header) - sum(header[148:156]) + 8 * 0x20:
        raise ArchiveError("is no tar" if not place else f"is damaged at byte {place:,}: a header's checksum is wrong")
    if header[257:263] != b"ustar\0" and header[257:265] != b"ustar  \0":
        raise ArchiveError("is a tar of an old form: POSIX's is read")
    size = _number(header[124:136])
    if size is None:
        raise ArchiveError(f"{shown(_name(header))} has a size that is no octal number")
    return size


def _number(field: bytes) -> int | None:
    found = _NUMBER.fullmatch(field)
    return int(found[1], 8) if found else None


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise ArchiveError(f"{data!a} is a name that is not UTF-8") from None


def _name(header: bytes) -> str:
    name, _, rest = header[:100].partition(b"\0")
    prefix, _, more = header[345:500].partition(b"\0") if header[257:263] == b"ustar\0" else (b"", b"", b"")
    if rest.strip(b"\0") or more.strip(b"\0"):
        raise ArchiveError(f"{shown(_text(name))} has a NUL in its name")
    return _text(prefix + b"/" + name if prefix else name)


def _extended(content: bytes, told: str) -> str:
    """The name that an extended header gives to the member behind it, or empty. Raises ArchiveError for a header that
    says anything of weight beside it.
    """
    name = ""
    seen: set[bytes] = set()
    place = 0
    while place < len(content):
        found = _RECORD.match(content, place)
        end = place + int(found[1]) if found else 0
        if found is None or end > len(content) or end <= found.end() or content[end - 1 : end] != b"\n":
            raise ArchiveError(f"{told} has an extended header that is damaged")
        key, value = found[2], content[found.end() : end - 1]
        if key not in _HARMLESS or key in seen:
            raise ArchiveError(f"{told} has an extended header with {key.decode()}, which no bundle needs")
        seen.add(key)
        if key == b"path":
            name = _text(value)
            if not name:
                raise ArchiveError(f"{told} has an extended header with an empty name")
        place = end
    return name
