"""What a comparison finds: differences, what could not be told, and the answer they amount to."""

from __future__ import annotations

from typing import Literal, NamedTuple

from mailcfg.behaviour.changes import Change
from mailcfg.behaviour.model import Behaviour
from mailcfg.configuration import Origin

SCHEMA = "mailcfg/drift/1"

Kind = Literal[
    "changed", "missing", "extra", "duplicate", "shadowed", "mode", "owner", "certificate", "pending"
]  # fmt: skip
"""What sort of difference it is. `pending`: the file is newer than the running Postfix."""

Status = Literal["in-sync", "drift", "unknown"]

Cause = Literal["edited-by-hand", "policy-ahead", "both"]
"""Who moved since mailcfg applied the policy last: somebody the files, somebody the policy, or both."""


class Difference(NamedTuple):
    """One difference. `file` and `line` are the live machine's, line None where there is none. `setting` is a
    parameter, a service, a certificate or, where the whole file is meant, empty; `service` is the service of master.cf
    that it is about. `desired` and `live` are None where that side has nothing. `effects` says what it lets happen,
    where that is known; `explanation` says in words what differs inside a long value. `cause` says who moved, None
    where mailcfg has not applied anything here or it cannot be told; `harmless`: no client meets anything else for it.
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
    cause: Cause | None = None
    harmless: bool = False


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


class Ignored(NamedTuple):
    """A difference that the policy tolerates: why, and until which day (ISO 8601)."""

    difference: Difference
    because: str
    until: str


class Report(NamedTuple):
    """The answer for one site. `checked` is when it was found and `until` when time alone would change it, in seconds
    since 1970; None: never. `live` and `desired` are what clients meet now and would meet with all differences mended,
    None where that was not looked at or cannot be told; `consequences` say what differs between the two.
    """

    site: str
    differences: tuple[Difference, ...]
    unknown: tuple[Unknown, ...]
    expiries: tuple[Expiry, ...]
    until: int | None
    checked: int
    consequences: tuple[Change, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    live: Behaviour | None = None
    desired: Behaviour | None = None

    @property
    def status(self) -> Status:
        """What could not be told is never in sync, whatever else is known."""
        if self.unknown:
            return "unknown"
        return "drift" if self.differences else "in-sync"
