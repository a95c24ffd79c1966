"""All rules over one subject: what they say becomes findings, with places and without what was accepted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import import_module
from typing import NamedTuple, cast

from mailcfg import resources
from mailcfg.configuration import Origin
from mailcfg.problem import Finding, Location, Severity, in_order
from mailcfg.rule import Rule, Said, Subject


class Accepted(NamedTuple):
    """What a policy tolerates: a rule, until a day (ISO 8601), with a reason; `service` and `setting` narrow it. `at`
    is where the policy says so, `key` its key.
    """

    rule: str
    until: str
    because: str
    service: str
    setting: str
    at: Location
    key: str


Locate = Callable[[Origin], Location]
"""Turns an origin into a place with its line of text."""


@cache
def rule_ids() -> tuple[str, ...]:
    """The ids of all rules: the files of the folder `rules`."""
    return tuple(name.replace("_", "-") for name in resources.modules("rules"))


@cache
def rule(id: str) -> Rule:
    """The module of a rule."""
    return cast("Rule", import_module(f"mailcfg.rules.{id.replace('-', '_')}"))


@cache
def rules() -> tuple[tuple[str, Rule], ...]:
    """Every rule by its id."""
    return tuple((id, rule(id)) for id in rule_ids())


def findings(subject: Subject, locate: Locate, only: Iterable[str] | None = None) -> list[Finding]:
    """What the rules say of a subject, in the order of the files."""
    chosen = rules() if only is None else [(id, rule(id)) for id in only]
    return in_order(
        _finding(id, module, said, subject, locate) for id, module in chosen for said in module.check(subject)
    )


def _finding(id: str, module: Rule, said: Said, subject: Subject, locate: Locate) -> Finding:
    return Finding(
        rule=id,
        severity=said.severity or module.SEVERITY,
        message=said.message,
        location=locate(said.at),
        effect=said.effect,
        help=_help(said, policy=subject.is_policy),
        key=said.at.key,
        references=module.REFERENCES,
        setting=said.setting,
        service=said.service,
    )


def _help(said: Said, *, policy: bool) -> str:
    """The mending in the words of what was looked at; the other form behind it."""
    if policy:
        return f"{said.policy} (main.cf: {said.main})" if said.policy and said.main else said.policy or said.main
    return f"{said.main} (in a policy: {said.policy})" if said.policy and said.main else said.main or said.policy


def without_accepted(found: list[Finding], accepted: Iterable[Accepted], today: str) -> list[Finding]:
    """Findings without those that a policy accepts. An acceptance that has run out, or that accepts nothing, is a
    finding itself. `today` is a day in ISO 8601.
    """
    left = list(found)
    for each in accepted:
        if each.until < today:
            left.append(_expired(each))
            continue
        matching = [finding for finding in left if _matches(each, finding)]
        if not matching:
            left.append(_idle(each))
        left = [finding for finding in left if finding not in matching]
    return in_order(left)


def _matches(accepted: Accepted, finding: Finding) -> bool:
    return (
        finding.rule == accepted.rule
        and (not accepted.service or accepted.service == finding.service)
        and (not accepted.setting or accepted.setting == finding.setting)
    )


def _expired(each: Accepted) -> Finding:
    return Finding(
        "acceptance-expired",
        Severity.ERROR,
        f"the acceptance of {each.rule} ended on {each.until}",
        each.at,
        effect=f"what was accepted counts again: {each.because}",
        help="mend what the rule says, or set a new date with a reason that holds today",
        key=each.key,
    )


def _idle(each: Accepted) -> Finding:
    return Finding(
        "acceptance-unused",
        Severity.WARNING,
        f"{each.rule} finds nothing here that could be accepted",
        each.at,
        effect="an acceptance that is left behind would hide the next one of its kind",
        help="remove it",
        key=each.key,
    )


def documentation(id: str) -> str:
    """The docstring of a rule."""
    return (rule(id).__doc__ or "").strip()


def titles() -> Iterator[tuple[str, str, Severity]]:
    """Id, first sentence and severity of every rule."""
    for id, module in rules():
        yield id, documentation(id).partition("\n")[0], module.SEVERITY
