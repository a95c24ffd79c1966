"""Hosts that change alike, told once, and what matters most first."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import NamedTuple

from mailcfg.plan.model import HostPlan, Judged
from mailcfg.problem import Location, Severity


class Group(NamedTuple):
    """Hosts of which the same is to be said. `plan` is the first one's."""

    plan: HostPlan
    sites: tuple[str, ...]


def grouped(hosts: Iterable[HostPlan]) -> list[Group]:
    """The hosts that change, or that cannot be told: those that protect less first, then those that nobody can tell,
    then by what is found in them.
    """
    groups: dict[Hashable, list[HostPlan]] = {}
    for each in hosts:
        if each.status != "unchanged":
            groups.setdefault(_alike(each), []).append(each)
    found = [Group(each[0], tuple(plan.site for plan in each)) for each in groups.values()]
    return sorted(found, key=_rank)


def _alike(plan: HostPlan) -> Hashable:
    """All that is said of a host but its names and the lines of its policy."""
    return plan._replace(
        site="",
        hostname="",
        renamed_from="renamed" if plan.renamed_from else "",
        behaviour=tuple(each._replace(reasons=()) for each in plan.behaviour),
        findings=tuple(_placeless(each) for each in plan.findings),
    )


def _placeless(judged: Judged) -> Judged:
    return judged._replace(finding=judged.finding._replace(location=Location("")))


GRAVEST = tuple(Severity)


def _rank(group: Group) -> tuple[int, int, int]:
    plan = group.plan
    grave = [GRAVEST.index(each.finding.severity) for each in plan.findings if each.change == "new"]
    grave += [GRAVEST.index(Severity(each.severity)) for each in plan.behaviour if plan.status == "changed"]
    statuses = ("unknown", "changed", "new", "removed")
    return not plan.weaker, statuses.index(plan.status) if not plan.weaker else 0, min(grave, default=len(GRAVEST))
