"""What every part of the comparison sees, and where it puts what it finds."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from mailcfg.behaviour.effective import Values
from mailcfg.configuration import Origin
from mailcfg.desired import Desired
from mailcfg.drift.difference import Difference, Expiry, Kind, Report, Unknown
from mailcfg.facts.platforms import platform
from mailcfg.facts.version import Version
from mailcfg.live import Door, Facts, Live
from mailcfg.machine import File, Unreadable

ROOT = 0
"""The user and group that own a machine's configuration."""


def in_order(differences: Iterable[Difference], *first: str) -> tuple[Difference, ...]:
    """By file, some first, and by line; what has none behind the rest."""
    order = {path: index for index, path in enumerate(first)}
    key = lambda each: (order.get(each.file, len(first)), each.file, each.line or 1 << 30)  # noqa: E731
    return tuple(sorted(differences, key=key))


class View:
    """Both sides of a comparison, and its findings so far. Times are seconds since 1970."""

    def __init__(
        self, wanted: Desired, live: Live, door: Door, postfix: Version, now: float, facts: Facts | None
    ) -> None:
        self.wanted = wanted
        self.configuration = wanted.configuration
        self.live = live
        self.door = door
        self.postfix = postfix
        self.now = now
        self.facts = facts
        self.main_path = f"{self.configuration.config_directory}/main.cf"
        self.master_path = f"{self.configuration.config_directory}/master.cf"
        directory = self.configuration.config_directory
        self.values = Values({each.name: each.value for each in live.configuration.parameters}, directory, postfix)
        self.wanted_values = Values(
            {each.name: each.value for each in live.configuration.parameters}
            | {each.name: each.value for each in self.configuration.parameters},
            directory,
            postfix,
        )
        self.platform = platform(self.configuration.platform)
        self.root_group = self.platform.postfix.root_group
        self.root_users = {ROOT, door.owners[0]}
        self.files: dict[str, bytes] = {}
        self._differences: list[Difference] = []
        self._unknown = [Unknown(each.file, each.line or None, each.reason) for each in live.troubles]
        self._expiries: list[Expiry] = []
        self._until: list[int] = []
        self._names: dict[str, dict[int, str]] = {}

    def differs(
        self,
        kind: Kind,
        file: str,
        setting: str,
        desired: str | None,
        live: str | None,
        severity: Literal["error", "warning", "info"],
        *,
        line: int | None = None,
        service: str = "",
        origin: Origin | None = None,
        effects: Iterable[str] = (),
        explanation: Iterable[str] = (),
    ) -> None:
        """Note a difference."""
        self._differences.append(
            Difference(
                kind, file, line, setting, service, desired, live, severity, origin, tuple(effects), tuple(explanation)
            )
        )

    def look(self, path: str, *, content: bool = True) -> File | None:
        """A file of the machine; None where there is none. Raises Unreadable, and notes it."""
        try:
            found = self.door.look(path, content=content)
        except Unreadable as error:
            self.unknown(error.path, error.reason)
            raise
        if found is not None and content:
            self.files[path] = found.data
        return found

    def unknown(self, file: str, reason: str, line: int | None = None) -> None:
        """Note that something could not be told."""
        found = Unknown(file, line, reason)
        if found not in self._unknown:
            self._unknown.append(found)

    def is_unknown(self, file: str) -> bool:
        """Whether a file could not be read."""
        return any(each.file == file for each in self._unknown)

    def expires(self, expiry: Expiry) -> None:
        """Note when a certificate ends."""
        self._expiries.append(expiry)

    def changes_at(self, when: int) -> None:
        """Note a moment at which the answer may become another one by itself."""
        if when > self.now:
            self._until.append(when)

    def owner(self, uid: int) -> str:
        """A user's name on that machine, or the number."""
        return self._named("/etc/passwd", uid)

    def group(self, gid: int) -> str:
        """A group's name on that machine, or the number."""
        return self._named("/etc/group", gid)

    def is_group(self, gid: int, name: str) -> bool:
        """Whether that is the group of a name. A copy of some files, without the list of groups, gets the benefit."""
        if name == self.root_group:
            return gid in (ROOT, self.door.owners[1])
        self.group(gid)
        known = self._names["/etc/group"]
        return known.get(gid) == name if name in known.values() else True

    def _named(self, path: str, number: int) -> str:
        if number == ROOT and path == "/etc/passwd":
            return "root"
        if path not in self._names:
            self._names[path] = self._read_names(path)
        return self._names[path].get(number, str(number))

    def _read_names(self, path: str) -> dict[int, str]:
        try:
            found = self.door.look(path)
        except Unreadable:
            return {}  # A number names its user as well.
        names: dict[int, str] = {}
        for line in found.data.decode(errors="replace").splitlines() if found else ():
            fields = line.split(":")
            if len(fields) > 2 and fields[2].isdecimal():
                names.setdefault(int(fields[2]), fields[0])
        return names

    def report(self) -> Report:
        """All that was found, in the order of the files."""
        differences = in_order(self._differences, self.main_path, self.master_path)
        until = min(self._until) if self._until else None
        return Report(self.wanted.site, differences, tuple(self._unknown), tuple(self._expiries), until, int(self.now))
