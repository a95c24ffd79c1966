"""What a comparison finds: differences, what could not be told, and the answer they amount to."""

from __future__ import annotations

from typing import Literal, NamedTuple

from mailcfg.configuration import Origin

SCHEMA = "mailcfg/drift/1"

Kind = Literal[
    "changed", "missing", "extra", "duplicate", "shadowed", "mode", "owner", "certificate", "pending"
]  # fmt: skip
"""What sort of difference it is. `pending`, files newer than the running Postfix, is not told yet."""

Status = Literal["in-sync", "drift", "unknown"]


class Difference(NamedTuple):
    """One difference. `file` and `line` are the live machine's, line None where there is none. `setting` is a
    parameter, a service, a certificate or, where the whole file is meant, empty; `service` is the service of master.cf
    that it is about. `desired` and `live` are None where that side has nothing. `effects` says what it lets happen,
    where that is known; `explanation` says in words what differs inside a long value.
    """

    kind: Kind
    file: str
    line: int | None
    setting: str
    service: str
    desired: str | None
    live: str | None
    severity: Literal["error", "warning", "info"]
    origin: Origin | None
    effects: tuple[str, ...] = ()
    explanation: tuple[str, ...] = ()


class Unknown(NamedTuple):
    """Something that could not be told: the file of the machine, the line unless it is all of it, and why."""

    file: str
    line: int | None
    reason: str


class Expiry(NamedTuple):
    """When a certificate of the policy ends, in seconds since 1970."""

    name: str
    file: str
    not_after: int


class Report(NamedTuple):
    """The answer for one site. `checked` is when it was found and `until` when time alone would change it, in seconds
    since 1970; None: never.
    """

    site: str
    differences: tuple[Difference, ...]
    unknown: tuple[Unknown, ...]
    expiries: tuple[Expiry, ...]
    until: int | None
    checked: int

    @property
    def status(self) -> Status:
        """What could not be told is never in sync, whatever else is known."""
        if self.unknown:
            return "unknown"
        return "drift" if self.differences else "in-sync"
