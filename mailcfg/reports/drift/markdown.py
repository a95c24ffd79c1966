"""Drift as Markdown, for a comment, a ticket or a chat."""

from __future__ import annotations

from mailcfg.drift.compare import Comparison
from mailcfg.reports.hosts import host_of, markdown


def render(comparison: Comparison, color: bool) -> str:
    """The report of this host."""
    return markdown.render((host_of(comparison),))
