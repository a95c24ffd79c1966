"""Values that a daemon dies of when it starts: a boolean that is neither yes nor no, a number that is none, nothing
where something must be.
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
def _table(daemon: str, postfix: Version) -> dict[str, str]:
    """By name, what a parameter must be: `bool`, `integer`, `time`, or `something`. Measured, see facts/fatal.json."""
    data = json.loads(resources.fact("fatal.json"))[daemon]
    known = catalogue()
    found: dict[str, str] = {}
    for name in data["values"]:
        parameter = known.get(name)
        if parameter and parameter.kind in ("bool", "integer", "time"):
            found[name] = parameter.kind
    for name in data["nonempty"]:
        found.setdefault(name, "something")
    return {name: kind for name, kind in found.items() if known.known_to(postfix)[name]}


def flaw(scope: Scope, daemon: str) -> Reason | None:
    """The first value that a daemon dies of, and why; None where it starts."""
    table = _table(daemon, scope.postfix)
    for name in (*scope.effective.main, *scope.overrides):
        kind = table.get(name)
        if kind is None:
            continue
        value = scope.value(name)
        if value.value is None:
            return scope.reason(name, f"Postfix cannot expand {name} = {value.written}")
        text = value.value
        if kind == "something":
            if not text:
                return scope.reason(name, f"{name} is empty")
        elif kind == "bool":
            if boolean(text) is None:
                return scope.reason(name, f"{name} = {text} is neither yes nor no")
        elif kind == "integer":
            if not is_number(text):
                return scope.reason(name, f"{name} = {text} is no number")
        elif not is_time(text):
            return scope.reason(name, f"{name} = {text} is no time")
    return None
