"""What a client meets otherwise: two behaviours of one host in sentences, and which of them protects less."""

from __future__ import annotations

from typing import Literal, NamedTuple

from mailcfg.behaviour.model import Behaviour, Reason

Severity = Literal["error", "warning", "info"]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
"""The gravest first."""


class Change(NamedTuple):
    """One way in which a client meets something else than before.

    `where` is what a person calls the endpoint or the way out (`port 25`, `the way out to relay.example`), `service`
    its service in master.cf, `aspect` what it is about (`tls`, `auth_before_tls` …). `was` and `now` are whole
    sentences without a full stop, each true of its side (`AUTH PLAIN LOGIN is offered in cleartext`). `weaker`: it
    protects less than before. `severity` is that of `now` as seen from `was`: `info` where nothing got worse.
    `reasons` are the settings that decide it now.
    """

    where: str
    service: str
    aspect: str
    was: str
    now: str
    weaker: bool
    severity: Severity
    reasons: tuple[Reason, ...] = ()

    @property
    def sentence(self) -> str:
        """What is so now, and where: `port 25: AUTH PLAIN LOGIN is offered in cleartext`."""
        return f"{self.where}: {self.now}"


def changes(before: Behaviour, after: Behaviour) -> tuple[Change, ...]:
    """Every way in which `after` differs from `before`, endpoint by endpoint, the gravest first. What one of the two
    only assumes, and the other knows or assumes otherwise, is no change.
    """
    # Imported here: the type alone is part of every report, also of one that has nothing to tell.
    from mailcfg.behaviour.endpoint_changes import endpoint_changes
    from mailcfg.behaviour.hop_changes import hop_changes

    found = [
        *endpoint_changes(before.endpoints, after.endpoints),
        *hop_changes(before.outbound, after.outbound),
    ]
    return tuple(sorted(found, key=lambda each: (SEVERITIES.index(each.severity), not each.weaker)))
