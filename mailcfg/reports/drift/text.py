"""Drift for people: by file, desired and live side by side with their lines, and a line that sums it up."""

from __future__ import annotations

import textwrap
from collections import Counter
from itertools import groupby

from mailcfg.drift.compare import Comparison
from mailcfg.drift.difference import Difference, Report
from mailcfg.reports.text import clean

WIDTH = 46
"""Columns for each side; longer values go on below."""

COLORS = {"error": "31", "warning": "33", "info": "36"}

NOTHING = "-"

HARMLESS = "harmless: no client meets a difference"

CAUSES = {
    "edited-by-hand": "edited by hand",
    "policy-ahead": "policy ahead, not applied",
    "both": "both edited by hand and policy ahead",
}


def render(comparison: Comparison, color: bool) -> str:
    """The report as text; empty when all is in sync."""
    report = comparison.report
    if report.status == "in-sync":
        return ""
    lines: list[str] = []
    for file, group in groupby(report.differences, key=lambda each: each.file):
        lines.append(_painted(clean(file), "1", color))
        for each in group:
            lines += _row(each, color)
        lines.append("")
    lines += _consequences(report, color)
    return "\n".join([*lines, summary(report), *_ignored(report)]) + "\n"


def _consequences(report: Report, color: bool) -> list[str]:
    """What the differences do together, and no row tells."""
    told = {effect for each in report.differences for effect in each.effects}
    left = [each for each in report.consequences if each.sentence not in told]
    if not left:
        return []
    lines = [_painted("all of it together", "1", color)]
    lines += [f"  {_painted(each.severity, COLORS[each.severity], color)}: {clean(each.sentence)}" for each in left]
    return [*lines, ""]


def _painted(text: str, code: str, color: bool) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if color else text


def _row(each: Difference, color: bool) -> list[str]:
    cause = f", {CAUSES[each.cause]}" if each.cause else ""
    service = f" ({clean(each.service)})" if each.service and each.service != each.setting else ""
    kind = _painted(each.kind, COLORS[each.severity], color)
    gap = " " * (12 - len(each.kind))
    lines = [f"  {kind}{gap}{clean(each.setting)}{service}{cause}".rstrip()]
    origin = each.origin
    desired = _place(f"{origin.file}:{origin.line}" if origin and origin.file else "", origin.key if origin else "")
    live = _place(f"line {each.line}" if each.line else "", "")
    lines += _side_by_side(f"desired{desired}", f"live{live}")
    lines += _side_by_side(_value(each.desired), _value(each.live))
    words = [*each.explanation, *each.effects, *([HARMLESS] if each.harmless else [])]
    lines += [f"      = {clean(text)}" for text in words]
    return lines


def _place(place: str, key: str) -> str:
    words = " ".join(word for word in (place, f"({key})" if key else "") if word)
    return f", {words}" if words else ""


def _value(value: str | None) -> str:
    if value is None:
        return NOTHING
    return value or '""'


def _side_by_side(one: str, other: str) -> list[str]:
    left, right = (
        [
            piece
            for line in clean_lines(text)
            for piece in textwrap.wrap(line, WIDTH, break_on_hyphens=False, subsequent_indent=" ") or [""]
        ]
        for text in (one, other)
    )
    height = max(len(left), len(right))
    left += [""] * (height - len(left))
    right += [""] * (height - len(right))
    return [f"      {a:<{WIDTH}}  {b}".rstrip() for a, b in zip(left, right, strict=True)]


def clean_lines(text: str) -> list[str]:
    """A value's lines without control characters."""
    return [clean(line) for line in text.split("\n")]


def _ignored(report: Report) -> list[str]:
    """How much the policy tolerates, and until when."""
    if not report.ignored:
        return []
    ends = sorted({each.until for each in report.ignored})
    return [f"{len(report.ignored)} ignored{', the first' if len(ends) > 1 else ''} until {ends[0]}"]


def summary(report: Report) -> str:
    """The whole report in one line."""
    counts = Counter(each.kind for each in report.differences)
    files = len({each.file for each in report.differences})
    parts: list[str] = []
    if counts:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))
        parts.append(f"drift: {kinds} in {files} file{'s' * (files > 1)}")
    if report.unknown:
        named = ", ".join(clean(each.file) for each in report.unknown)
        parts.append(f"could not tell: {named}")
    return f"{clean(report.site)}: " + "; ".join(parts or ["in sync"])
