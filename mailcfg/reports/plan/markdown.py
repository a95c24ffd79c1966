"""A plan as Markdown, for a comment on a pull request: a line a host, and the details folded away."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from mailcfg.plan.group import Group, grouped
from mailcfg.plan.model import Diff, Plan
from mailcfg.reports.findings import readable, shortened
from mailcfg.reports.markdown import ESCAPES, code, escaped, row
from mailcfg.reports.plan import headline, judged, mark, names, number, rest, short, subject, summary, values
from mailcfg.reports.text import WORDS, clean

LINE = 300
"""Characters of what is said of a host in one line, and of a line of a diff."""

NAMED = 100
"""How many hosts of a group are named."""

NOTE = 120
"""Room that is kept for what is said of things that are left out."""

ROWS = 200
"""How many rows a table has at most."""


def render(plan: Plan, limit: int, color: bool) -> str:
    """The comment, in at most so many characters. It says so when nothing changes, since it may take the place of one
    that said otherwise. What protects less comes first, so that it is the last to be left out.
    """
    commit = f" ({code(plan.commit[:12])})" if plan.commit and not plan.commit.startswith(plan.base) else ""
    text = f"### mailcfg plan: {escaped(headline(plan))}\n\nAgainst {code(shortened(plan.base, 100))}{commit}.\n"
    groups = grouped(plan.hosts)
    still = sum(each.status == "unchanged" for each in plan.hosts)
    last = f"- {number(still, 'host')}: nothing changes\n" if still and groups else ""
    # The lines may take half of the room, and the details what is left of it.
    lines, left = _fitted([(_line(each), len(each.sites)) for each in groups], (limit - len(text)) // 2 - len(last))
    if left:
        lines += f"- {number(left, 'more host')} that there is no room to name\n"
    text += ("\n" if lines or last else "") + lines + last
    details, left = _details(groups, limit - len(text) - NOTE)
    text += details
    if left:
        text += f"\nThe details of {number(left, 'host')} do not fit here: run `mailcfg plan` to see them.\n"
    return text


def _fitted(parts: Sequence[tuple[str, int]], room: int) -> tuple[str, int]:
    """As many parts as there is room for, and how many hosts are left out."""
    text = ""
    for index, (part, _) in enumerate(parts):
        if len(text) + len(part) > room - NOTE:
            return text, sum(count for _, count in parts[index:])
        text += part
    return text, 0


def _details(groups: Sequence[Group], room: int) -> tuple[str, int]:
    """The details of as many groups as there is room for; a diff that is too long is left out alone."""
    text = ""
    for index, group in enumerate(groups):
        if group.plan.status == "unknown":
            continue
        part = _folded(group, group.plan.diffs)
        if len(text) + len(part) > room:
            part = _folded(group, None)
        if len(text) + len(part) > room:
            return text, sum(len(each.sites) for each in groups[index:] if each.plan.status != "unknown")
        text += part
    return text, 0


def _line(group: Group) -> str:
    named = ", ".join(code(each) if index < 5 else each for index, each in enumerate(names(group)))
    bold = "**" if group.plan.weaker else ""
    return f"- {named}: {bold}{escaped(shortened(summary(group.plan), LINE))}{bold}\n"


def _folded(group: Group, diffs: Sequence[Diff] | None) -> str:
    plan = group.plan
    title = shortened(f"{', '.join(names(group))}: {summary(plan)}", LINE)
    parts = [f"<details>\n<summary>{_html(title)}</summary>\n"]
    parts += [f"Note: {escaped(note)}\n" for note in plan.notes]
    if plan.behaviour:
        met = [
            (
                mark(each, plan.status),
                escaped(each.where),
                escaped(each.was),
                f"**{escaped(each.now)}**" if each.weaker else escaped(each.now),
            )
            for each in plan.behaviour
        ]
        parts.append(_table(("", "What clients meet at", "Before", "After"), met))
    if plan.findings:
        found = [(each.change, each.finding) for each in judged(plan.findings)]
        cells = [
            (change, WORDS[each.severity], code(each.rule), escaped(each.message), escaped(each.effect))
            for change, each in found
        ]
        parts.append(_table(("", "Severity", "Rule", "Finding", "Why"), cells))
    others = [(code(subject(each)), *map(escaped, values(each))) for each in rest(plan)]
    if others:
        parts.append(_table(("Of the host", "Before", "After"), others))
    if diffs is None:
        parts.append("The lines that change do not fit here.\n")
    else:
        parts += [part for diff in diffs for part in _diff(diff)]
    if len(group.sites) > 1:
        parts.append(f"The same for {_listed(group.sites)}.\n")
    return "\n" + "\n".join(parts) + "\n</details>\n"


def _listed(sites: Sequence[str]) -> str:
    more = len(sites) - NAMED
    return ", ".join(code(short(each)) for each in sites[:NAMED]) + (f" and {more} more" if more > 0 else "")


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    text = row(columns) + row(["---"] * len(columns)) + "".join(map(row, rows[:ROWS]))
    more = len(rows) - ROWS
    return text + (f"\n{more} more of these.\n" if more > 0 else "")


def _diff(diff: Diff) -> Iterator[str]:
    """A block that nothing in it can end: its fence is longer than any that a line begins with."""
    lines = [shortened(clean(line), LINE) for line in diff.lines]
    longest = max((len(run) for line in lines for run in re.findall("`+", line)), default=0)
    fence = "`" * max(3, longest + 1)
    yield f"{code(diff.path)}\n"
    yield "\n".join([f"{fence}diff", *lines, fence]) + "\n"


def _html(text: str) -> str:
    """Text between tags, where Markdown has no meaning but GitHub still looks for people and issues."""
    return "".join(ESCAPES[each] if each in "&<>@#" else each for each in readable(text).replace("\n", " "))
