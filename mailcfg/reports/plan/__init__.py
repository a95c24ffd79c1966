"""A plan in one output format a file: `render(plan, limit, color)` gives its text; the words that they share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from mailcfg.behaviour.changes import Change
from mailcfg.plan.group import Group
from mailcfg.plan.model import Altered, HostPlan, Judged, Plan, Status
from mailcfg.problem import Severity

WEAKER = "protects less"


def number(count: int, word: str) -> str:
    """`1 parameter`, `2 parameters`, `2 policies`."""
    if count == 1:
        return f"1 {word}"
    return f"{count} {word[:-1]}ies" if word.endswith("y") else f"{count} {word}s"


def headline(plan: Plan) -> str:
    """What becomes of all of them: `2 of 5 hosts change, 1 protects less`."""
    counts = Counter(each.status for each in plan.hosts)
    total = len(plan.hosts)
    moved = counts["changed"] + counts["new"] + counts["removed"]
    weaker = sum(each.weaker for each in plan.hosts)
    if total == 1 and moved:
        parts = ["the host changes" if counts["changed"] else f"the host is {'new' if counts['new'] else 'removed'}"]
    elif moved:
        parts = [f"{moved} of {number(total, 'host')} change{'s' * (moved == 1)}"]
    else:
        parts = ["nothing changes"] if not counts["unknown"] else []
    if weaker:
        parts.append(f"{weaker} {WEAKER if weaker == 1 else 'protect less'}" if total > 1 else f"it {WEAKER}")
    if counts["unknown"]:
        parts.append(f"{counts['unknown']} could not be told")
    return ", ".join(parts)


def names(group: Group, most: int = 5) -> list[str]:
    """The hosts of a group by their policies, and how many more there are."""
    shown = [short(each) for each in group.sites[:most]]
    more = len(group.sites) - len(shown)
    return shown + ([f"{more} more"] if more else [])


def short(site: str) -> str:
    """What the bundle of a policy is called."""
    return site.rpartition("/")[2].removesuffix(".toml")


def summary(plan: HostPlan) -> str:
    """One line for a host: `2 parameters, 1 service; weaker: port 587: mail can pass in clear`."""
    if plan.status == "unknown":
        return f"could not be told: {plan.notes[0]}"
    parts: list[str] = []
    if plan.renamed_from:
        parts.append(f"was {short(plan.renamed_from)}")
    if plan.status in ("new", "removed"):
        parts.append(f"{plan.status} host")
    parts.append(", ".join(_counts(plan)))
    weaker = [each for each in plan.behaviour if each.weaker]
    if weaker:
        parts.append(f"weaker: {_first(weaker)}")
    worse = [each for each in plan.behaviour if not each.weaker and each.severity == "error"]
    if worse and plan.status == "changed":
        parts.append(f"worse: {_first(worse)}")
    # Of a certificate nobody can tell from files what a client thinks of it.
    if plan.status == "changed" and not plan.behaviour and not plan.certificates:
        parts.append("TLS and AUTH stay the same")
    return "; ".join(part for part in parts if part)


def _first(found: Sequence[Change]) -> str:
    return found[0].sentence + (f", and {len(found) - 1} more" if len(found) > 1 else "")


def mark(change: Change, status: Status) -> str:
    """What a reader must not overlook. Of a host that comes or goes nothing is worse than it was."""
    if change.weaker:
        return "weaker"
    return {"error": "worse", "warning": "note"}.get(change.severity, "") if status == "changed" else ""


def _counts(plan: HostPlan) -> list[str]:
    kinds = (
        (plan.host, "fact of the host"),
        (plan.parameters, "parameter"),
        ({each.of for each in plan.services}, "service"),
        (plan.sasl, "setting of SASL"),
        ({each.file for each in plan.files}, "file"),
        ({each.of for each in plan.certificates}, "certificate"),
    )
    found = [_number(len(things), word) for things, word in kinds if things]
    for change in ("new", "gone", "accepted"):
        count = sum(each.change == change for each in plan.findings)
        if count:
            found.append(f"{count} finding{'s' * (count > 1)} {change}")
    return found


def _number(count: int, word: str) -> str:
    first, blank, rest = word.partition(" ")
    return f"{number(count, first)}{blank}{rest}"


def values(each: Altered) -> tuple[str, str]:
    """What was and what is there, in words where there was or is nothing."""
    return _value(each.was), _value(each.now)


def _value(value: str | None) -> str:
    return "(none)" if value is None else value or "(empty)"


def rest(plan: HostPlan) -> Iterable[Altered]:
    """What no diff shows: what the host is, its certificates, where files stand and with which mode."""
    certificates = (each._replace(of=f"certificate {each.of}") for each in plan.certificates)
    return (*plan.host, *certificates, *(each for each in plan.files if each.name not in ("", "content")))


def subject(each: Altered) -> str:
    """What a value is of, in few words."""
    return " ".join(part for part in (each.file if not each.of else each.of, each.name) if part)


GRAVE = tuple(Severity)


def judged(found: Iterable[Judged]) -> list[Judged]:
    """What is new first, the gravest of it before the rest."""
    order = ("new", "accepted", "gone")
    return sorted(found, key=lambda each: (order.index(each.change), GRAVE.index(each.finding.severity)))
