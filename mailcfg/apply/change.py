"""One file that an apply or a rollback changes."""

from __future__ import annotations

from typing import NamedTuple

from mailcfg.machine import File, digest
from mailcfg.state import Status


class FileChange(NamedTuple):
    """A file of the machine: as it was found, None for absent, and as it is to be, None for gone."""

    path: str
    before: File | None
    after: File | None


def status(found: File | None) -> Status | None:
    """What is recorded of a file."""
    return None if found is None else Status(digest(found.data), found.mode, found.uid, found.gid)


def same(found: File | None, other: File | None) -> bool:
    """Whether two looks at a path saw the same: bytes, permissions and owners."""
    return status(found) == status(other)
