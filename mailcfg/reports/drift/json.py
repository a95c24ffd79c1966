"""Drift as a JSON document, with the schema `drift`."""

from __future__ import annotations

from json import dumps
from typing import Any, Literal, NamedTuple

from mailcfg.behaviour.changes import Change
from mailcfg.behaviour.model import Behaviour, Endpoint, Tls
from mailcfg.drift.compare import Comparison
from mailcfg.drift.difference import SCHEMA, Difference, Expiry, Ignored, Status, Unknown
from mailcfg.secrets import shown

NEEDS_BEHAVIOUR = True
"""What clients meet is in the document also of a host that is in sync."""


class Because(NamedTuple):
    """One setting that decides it now: its value, and the file and line where it stands; null for Postfix's own
    default. `words` is what else there is to say.
    """

    setting: str
    value: str
    file: str | None
    line: int | None
    words: str = ""


class Consequence(NamedTuple):
    """One way in which a client meets something else than the policy says: `was` is so by the policy, `now` on the live
    machine, each true of `where`. `weaker`: it protects less.
    """

    where: str
    service: str
    aspect: str
    was: str
    now: str
    weaker: bool
    severity: Literal["error", "warning", "info"]
    reasons: tuple[Because, ...] = ()


class Meets(NamedTuple):
    """What a client meets at one listener, as in the schema `behaviour`."""

    service: str
    port: int | None
    address: str
    works: bool
    tls: Tls
    protocols: tuple[str, ...]
    auth_before_tls: tuple[str, ...]
    auth_after_tls: tuple[str, ...]
    legacy_auth_line: bool
    cleartext_mail: bool


class Listener(NamedTuple):
    """What a client meets at one listener of the live machine, and what it would meet with all differences mended; null
    where nothing would listen. One that the machine lacks does not work.
    """

    service: str
    port: int | None
    address: str
    works: bool
    tls: Tls
    protocols: tuple[str, ...]
    auth_before_tls: tuple[str, ...]
    auth_after_tls: tuple[str, ...]
    legacy_auth_line: bool
    cleartext_mail: bool
    desired: Meets | None


class Document(NamedTuple):
    """The answer for one site. `unknown` lists what could not be read, and is empty unless the status is unknown. What
    the policy ignores is no part of `differences`. `consequences` are those of all differences together, and
    `endpoints` is empty where the machine's behaviour could not be told. `checked` is when, in seconds since 1970.
    """

    schema: str
    site: str
    status: Status
    differences: tuple[Difference, ...]
    unknown: tuple[Unknown, ...]
    certificates: tuple[Expiry, ...]
    consequences: tuple[Consequence, ...] = ()
    ignored: tuple[Ignored, ...] = ()
    endpoints: tuple[Listener, ...] = ()
    checked: int = 0


def render(comparison: Comparison, color: bool) -> str:
    """The report as JSON."""
    report = comparison.report
    document = Document(
        SCHEMA,
        report.site,
        report.status,
        report.differences,
        report.unknown,
        report.expiries,
        tuple(map(_consequence, report.consequences)),
        report.ignored,
        _listeners(report.live, report.desired),
        report.checked,
    )
    return dumps(_plain(document), indent=2) + "\n"


def _consequence(change: Change) -> Consequence:
    reasons = tuple(
        Because(
            each.setting,
            shown(each.setting, each.value),
            each.origin.file or None,
            each.origin.line or None,
            each.words,
        )
        for each in change.reasons
    )
    return Consequence(*change[:7], reasons=reasons)


def _listeners(live: Behaviour | None, desired: Behaviour | None) -> tuple[Listener, ...]:
    if live is None:
        return ()
    # Imported here: it brings in what a comparison of behaviours needs.
    from mailcfg.behaviour.endpoint_changes import counterpart

    left = list(desired.endpoints) if desired else []
    found: list[Listener] = []
    for each in live.endpoints:
        other = counterpart(each, left)
        if other is not None:
            left.remove(other)
        found.append(Listener(*_met(each), desired=_met(other) if other else None))
    for each in left:
        absent = _met(each)._replace(
            works=False, tls="none", protocols=(), auth_before_tls=(), auth_after_tls=(), legacy_auth_line=False,
            cleartext_mail=False,
        )  # fmt: skip
        found.append(Listener(*absent, desired=_met(each)))
    return tuple(found)


def _met(each: Endpoint) -> Meets:
    return Meets(*(getattr(each, name) for name in Meets._fields))


def _plain(value: Any) -> Any:
    """Named tuples as objects. A text of bytes that are no UTF-8 gets a mark in their place."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _plain(each) for name, each in value._asdict().items()}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, str):
        return value.encode(errors="surrogateescape").decode(errors="replace")
    return value
