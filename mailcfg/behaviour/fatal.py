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
    measured = json.loads(resources.fact("fatal.json"))["smtpd"]
    rows = measured["tls"] if tls else measured
    known = catalogue()
    there = known.known_to(postfix)
    found: dict[str, str] = {}
    for name in rows["values"]:
        parameter = known.get(name)
        if parameter and there[name] and parameter.kind in ("bool", "integer", "time"):
            found[name] = parameter.kind
    for name in rows["nonempty"]:
        parameter = known.get(name)
        # A default that is empty is no reason to die: newer versions allow it.
        if there[name] and parameter and parameter.default_in(postfix):
            found.setdefault(name, "something")
    return found


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
