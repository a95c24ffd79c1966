"""A machine as it would be with some of its files changed."""

from __future__ import annotations

from collections.abc import Mapping

from mailcfg.live import Door
from mailcfg.machine import File, Unreadable


class Overlay:
    """A door to a machine whose files at some paths are others: bytes (with the mode and owners that are there, or
    those of a plain file of root's), a whole File, or None for gone.
    """

    def __init__(self, door: Door, files: Mapping[str, bytes | File | None]) -> None:
        self._door = door
        self._files = files

    @property
    def owners(self) -> tuple[int, int]:
        """The user and group that stand for root's."""
        return self._door.owners

    def look(self, path: str, *, content: bool = True) -> File | None:
        """The file at a path as it would be. Raises Unreadable for what the machine itself cannot tell."""
        if path not in self._files:
            return self._door.look(path, content=content)
        new = self._files[path]
        if isinstance(new, bytes):
            there = self._door.look(path, content=False)
            uid, gid = self.owners
            new = File(new, there.mode, there.uid, there.gid) if there else File(new, 0o644, uid, gid)
        return new

    def entries(self, path: str) -> dict[str, str]:
        """What would lie in a directory, by name, each with its kind. Raises Unreadable."""
        changed = {name: new for each, new in self._files.items() if (name := _inside(each, path))}
        try:
            found = self._door.entries(path)
        except Unreadable:
            if not any(new is not None for new in changed.values()):
                raise
            found = {}  # The files to come bring their directory.
        found |= dict.fromkeys(changed, "a file")
        return {name: kind for name, kind in found.items() if changed.get(name, b"") is not None}


def _inside(path: str, directory: str) -> str:
    """The name of a file that lies in a directory; empty for one that does not."""
    place, _, name = path.rpartition("/")
    return name if place == directory else ""


class Snapshot:
    """A door through which each thing is looked at once: whoever comes again sees what was there the first time."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._found: dict[tuple[str, bool], File | Unreadable | None] = {}
        self._entries: dict[str, dict[str, str] | Unreadable] = {}

    @property
    def owners(self) -> tuple[int, int]:
        """The user and group that stand for root's."""
        return self._door.owners

    def look(self, path: str, *, content: bool = True) -> File | None:
        """The file at a path. Raises Unreadable."""
        key = path, content
        if key not in self._found:
            try:
                self._found[key] = self._door.look(path, content=content)
            except Unreadable as error:
                self._found[key] = error
        found = self._found[key]
        if isinstance(found, Unreadable):
            raise found
        return found

    def entries(self, path: str) -> dict[str, str]:
        """What lies in a directory, by name, each with its kind. Raises Unreadable."""
        if path not in self._entries:
            try:
                self._entries[path] = self._door.entries(path)
            except Unreadable as error:
                self._entries[path] = error
        found = self._entries[path]
        if isinstance(found, Unreadable):
            raise found
        return dict(found)
