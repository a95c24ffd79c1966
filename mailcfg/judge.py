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
    subject.told.clear()
    found: list[Finding] = []
    for id, module in sorted(chosen, key=lambda each: getattr(each[1], "LAST", False)):
        for said in module.check(subject):
            subject.told.append((id, said, said.severity or module.SEVERITY))
            found.append(_finding(id, module, said, subject, locate))
    return in_order(found)


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
    added: list[Finding] = []
    for each in accepted:
        matching = [finding for finding in left if _matches(each, finding)]
        if not matching and each.rule not in rule_ids() and all(one.rule != each.rule for one in found):
            added.append(_unknown(each))
        elif each.until < today:
            added.append(_expired(each, matching))
        elif not matching:
            added.append(_idle(each, found))
        else:
            left = [finding for finding in left if finding not in matching]
    return in_order((*left, *added))


def _matches(accepted: Accepted, finding: Finding) -> bool:
    return (
        finding.rule == accepted.rule
        and (not accepted.service or accepted.service == finding.service)
        and (not accepted.setting or accepted.setting == finding.setting)
    )


def unknown_rule(id: str) -> tuple[str, str]:
    """What to say of an id that no rule has, and what to do."""
    from difflib import get_close_matches

    near = get_close_matches(id, rule_ids(), 1)
    return f"there is no rule {id}", f"did you mean {near[0]}?" if near else "`mailcfg rules` lists them"


def _unknown(each: Accepted) -> Finding:
    message, advice = unknown_rule(each.rule)
    effect = "it accepts nothing"
    return Finding("acceptance-unknown", Severity.ERROR, message, each.at, effect=effect, help=advice, key=each.key)


def _expired(each: Accepted, matching: list[Finding]) -> Finding:
    """As grave as what was accepted."""
    grave = [severity for severity in Severity if any(one.severity is severity for one in matching)]
    return Finding(
        "acceptance-expired",
        grave[0] if grave else Severity.WARNING,
        f"the acceptance of {each.rule} ended on {each.until}",
        each.at,
        effect=f"what was accepted counts again: {each.because}" if matching else "it accepts nothing any more",
        help="mend what the rule says, or set a new date with a reason that holds today" if matching else "remove it",
        key=each.key,
    )


def _idle(each: Accepted, found: list[Finding]) -> Finding:
    """What it names too narrowly is told: a service or a parameter may be misspelt."""
    narrowed = " and ".join(filter(None, (each.service and f"service {each.service}", each.setting)))
    others = [one for one in found if one.rule == each.rule]
    places = dict.fromkeys(" with ".join(filter(None, (one.service, one.setting))) for one in others)
    seen = ", ".join(filter(None, places))
    return Finding(
        "acceptance-unused",
        Severity.WARNING,
        f"{each.rule} finds nothing {f'for {narrowed}' if narrowed else 'here'} that could be accepted",
        each.at,
        effect="an acceptance that is left behind would hide the next one of its kind",
        help=f"{each.rule} finds something at {seen}: name that, or remove it" if seen else "remove it",
        key=each.key,
    )


def documentation(id: str) -> str:
    """The docstring of a rule."""
    return (rule(id).__doc__ or "").strip()


def titles() -> Iterator[tuple[str, str, Severity]]:
    """Id, first sentence and severity of every rule."""
    for id, module in rules():
        yield id, documentation(id).partition("\n")[0], module.SEVERITY
