"""Drift as SARIF 2.1.0, for code scanning."""

from __future__ import annotations

from mailcfg.drift.compare import Comparison
from mailcfg.reports.hosts import host_of, sarif


def render(comparison: Comparison, color: bool) -> str:
    """The report of this host."""
    return sarif.render((host_of(comparison),))
