"""What mailcfg says of the listeners of a stage, and where that differs from what a client met."""

from __future__ import annotations

import time
from typing import NamedTuple

from mailcfg.behaviour.model import Endpoint, Mechanism
from mailcfg.facts.platforms import platform
from mailcfg.facts.version import Version
from mailcfg.found import subject
from mailcfg.machine import Machine
from tests.behaviour.observed import Observed, suites
from tests.behaviour.stage import Stage


class Difference(NamedTuple):
    """One thing that was said of a listener and is not so."""

    field: str
    predicted: object
    observed: object

    def __str__(self) -> str:
        return f"{self.field}: predicted {self.predicted}, observed {self.observed}"


def predicted(stage: Stage) -> dict[int, Endpoint]:
    """The endpoints by port, from the files of the batch that was put in place last."""
    found = subject(
        Machine(stage.root or "/"),
        platform(stage.platform),
        stage.version,
        Version.parse(stage.openssl),
        stage.config_directory,
        time.time(),
    )
    endpoints = {each.port: each for each in found.behaviour.endpoints if each.port is not None}
    assert len(endpoints) == len(found.behaviour.endpoints)
    return endpoints


def differences(said: Endpoint | None, met: Observed) -> tuple[list[Difference], int]:
    """What differs, and how much was compared."""
    if said is None:
        return [Difference("endpoint", None, "a listener")], 1
    if said.client_certificate:
        # Our client has none: it gets no further than the handshake, and behind a wrapper not that far.
        return _without_certificate(said, met)
    pairs: list[tuple[str, object, object]] = [("works", said.works, met.works)]
    # Of a listener that is dead nothing else is said.
    if said.works and met.works:
        pairs += [
            ("tls", said.tls, met.tls),
            ("implicit", said.implicit, met.implicit),
            ("protocols", said.protocols, met.protocols),
            # A name that mech_list repeats is announced again.
            ("auth_before_tls", sorted(said.auth_before_tls), sorted(set(met.auth_before_tls))),
            ("auth_after_tls", sorted(said.auth_after_tls), sorted(set(met.auth_after_tls))),
            ("legacy_auth_line", said.legacy_auth_line, met.legacy_auth_line),
            ("cleartext_mail", said.cleartext_mail, met.cleartext_mail),
            ("anonymous", said.anonymous, met.anonymous),
            *_prospects("before", said.mechanisms_before, met.succeeded_before),
            *_prospects("after", said.mechanisms_after, met.succeeded_after),
            ("certificates", sorted({each.algorithm for each in said.certificates}), sorted(met.shown)),
            # Our own certificates have two names, the second of which tells them apart.
            ("names", sorted({each.names[-1] for each in said.certificates if each.names}), sorted(met.names)),
        ]
        negotiable = frozenset(name for names in said.suites.values() for name in names)
        pairs += [(f"suite of {version}", suite in negotiable, True) for version, suite in met.ciphers.items()]
        if met.suites is not None:
            pairs.append(("suites", *_apart(negotiable.intersection(suites()), met.suites)))
    return [Difference(*pair) for pair in pairs if pair[1] != pair[2]], len(pairs)


def _without_certificate(said: Endpoint, met: Observed) -> tuple[list[Difference], int]:
    """What differs at an endpoint that asks for a certificate, to somebody who has none."""
    pairs: list[tuple[str, object, object]] = [("works", said.works and not said.implicit, met.works)]
    if met.works:
        pairs += [
            ("tls", said.tls, met.tls),
            ("auth_before_tls", sorted(said.auth_before_tls), sorted(set(met.auth_before_tls))),
            ("auth_after_tls", [], sorted(met.auth_after_tls)),
            ("cleartext_mail", said.cleartext_mail, met.cleartext_mail),
        ]
    return [Difference(*pair) for pair in pairs if pair[1] != pair[2]], len(pairs)


def _prospects(when: str, said: tuple[Mechanism, ...], met: dict[str, bool]) -> list[tuple[str, object, object]]:
    """Whether a mechanism succeeds, where both can tell."""
    return [
        (f"{each.name} {when} TLS succeeds", each.succeeds, met[each.name])
        for each in said
        if each.succeeds is not None and each.name in met
    ]


def _apart(said: frozenset[str], met: frozenset[str]) -> tuple[list[str], list[str]]:
    """What is only in one of two sets."""
    return sorted(said - met), sorted(met - said)
