"""Findings for people: each with its line and what to do, and a line that sums it up."""

from __future__ import annotations

from collections.abc import Sequence

from mailcfg.problem import Finding
from mailcfg.reports.findings import Context, counted, unread
from mailcfg.reports.text import clean, finding


def render(findings: Sequence[Finding], context: Context) -> str:
    """The findings as text; empty when nothing was found and all could be read."""
    blocks = [finding(each, color=context.color) for each in findings]
    blocks += [_unread(file, reason, context.color) for file, reason in context.unknown]
    summary = "; ".join(part for part in (counted(findings), unread(context)) if part)
    return "\n".join([*blocks, f"{summary}\n"]) if blocks else ""


def _unread(file: str, reason: str, color: bool) -> str:
    place = f"\x1b[1m{clean(file)}:\x1b[0m" if color else f"{clean(file)}:"
    return f"{place} could not be read: {clean(reason)}\n"
