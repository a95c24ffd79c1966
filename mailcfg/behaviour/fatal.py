"""Values that smtpd dies of when it starts: a boolean that is neither yes nor no, a number that is none, nothing where
something must be.
"""

from __future__ import annotations

import json
from functools import cache

from mailcfg import resources
from mailcfg.behaviour.effective import Scope
from mailcfg.behaviour.model import Reason
from mailcfg.behaviour.words import boolean, is_number, is_time
from mailcfg.facts.parameters import catalogue
from mailcfg.facts.version import Version


@cache
def _table(postfix: Version, tls: bool) -> dict[str, str]:
    """By name, what a parameter must be: `bool`, `integer`, `time`, or `something`. `tls`: those that are read only
    when TLS is used. Measured, see facts/fatal.json.
    """
    data = json.loads(resources.fact("fatal.json"))
    rows = data["smtpd"]["tls"] if tls else data["smtpd"]
    known = catalogue()
    there = known.known_to(postfix)
    found: dict[str, str] = {}
    for name in rows["values"]:
        parameter = known.get(name)
        if parameter and there[name] and parameter.kind in ("bool", "integer", "time"):
            found[name] = parameter.kind
    for name in rows["nonempty"]:
        if there[name] and _counts(data["changes"].get(name, {}), postfix):
            found.setdefault(name, "something")
    return found


def _counts(change: dict[str, str], postfix: Version) -> bool:
    """Whether one counts for that version."""
    since, until = change.get("since"), change.get("until")
    return (since is None or Version.parse(since).series <= postfix.series) and (
        until is None or postfix.series < Version.parse(until).series
    )


def flaw(scope: Scope, *, tls: bool = False) -> Reason | None:
    """The first value that smtpd dies of, and why; None where it starts."""
    table = _table(scope.postfix, tls)
    for name in (*scope.effective.main, *scope.overrides):
        kind = table.get(name)
        wrong = _wrong(scope, name, kind) if kind else ""
        if wrong:
            return scope.reason(name, wrong)
    return None


def _wrong(scope: Scope, name: str, kind: str) -> str:
    value = scope.value(name)
    text = value.value
    if text is None:
        return f"Postfix cannot expand {name} = {value.written}"
    match kind:
        case "something":
            return "" if text else f"{name} is empty"
        case "bool":
            return "" if boolean(text) is not None else f"{name} = {text} is neither yes nor no"
        case "integer":
            return "" if is_number(text) else f"{name} = {text} is no number"
        case _:
            return "" if is_time(text) else f"{name} = {text} is no time"
