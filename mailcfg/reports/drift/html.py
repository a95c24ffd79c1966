"""Drift as a page for a browser, in one file."""

from __future__ import annotations

from mailcfg.drift.compare import Comparison
from mailcfg.reports.hosts import host_of, html

NEEDS_BEHAVIOUR = True
"""The page shows what listeners do, also of a host that is in sync."""


def render(comparison: Comparison, color: bool) -> str:
    """The report of this host."""
    return html.render((host_of(comparison),))
