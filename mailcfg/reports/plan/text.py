"""A plan as people read it in a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.plan.group import Group, grouped
from mailcfg.plan.model import Plan
from mailcfg.problem import Severity
from mailcfg.reports.plan import headline, judged, mark, names, number, rest, short, subject, summary, values
from mailcfg.reports.text import COLORS, WORDS, clean

DIFF = {"+": "32", "-": "31", "@": "36"}


def render(plan: Plan, limit: int, color: bool) -> str:
    """The plan, the hosts that protect less first. A limit has no meaning for it."""
    lines = [clean(f"against {plan.base}: {headline(plan)}")]
    for group in grouped(plan.hosts):
        lines += ["", *_group(group, color)]
    still = sum(each.status == "unchanged" for each in plan.hosts)
    if still and still < len(plan.hosts):
        lines += ["", f"{number(still, 'host')}: nothing changes"]
    return "".join(f"{line}\n" for line in lines)


def _group(group: Group, color: bool) -> Iterator[str]:
    plan = group.plan

    def paint(code: str, text: str) -> str:
        return f"\x1b[{code}m{clean(text)}\x1b[0m" if color else clean(text)

    several = f" ({number(len(group.sites), 'host')})" if len(group.sites) > 1 else ""
    yield paint("1", ", ".join(names(group))) + several + clean(f": {summary(plan)}")
    for note in plan.notes if plan.status != "unknown" else ():
        yield f"  note: {clean(note)}"
    for change in plan.behaviour:
        severity = Severity(change.severity)
        told = mark(change, plan.status)
        where = f"{told}: {change.where}" if told else change.where
        yield f"  {paint(COLORS[severity] if told else '1', where)}: {clean(change.now)}"
        yield f"      was: {clean(change.was)}"
    for each in judged(plan.findings):
        found = each.finding
        label = f"{each.change} {WORDS[found.severity]}[{found.rule}]"
        yield f"  {paint(COLORS[found.severity] if each.change == 'new' else '2', label)} {clean(found.message)}"
    for altered in rest(plan):
        was, now = values(altered)
        yield f"  {clean(subject(altered))}: {clean(now)}, was {clean(was)}"
    for diff in plan.diffs:
        yield f"  {paint('1', diff.path)}"
        for line in diff.lines:
            yield "    " + (paint(DIFF[line[0]], line) if line[:1] in DIFF else clean(line))
    if len(group.sites) > len(names(group)):
        yield "  the same for: " + clean(", ".join(map(short, group.sites)))
