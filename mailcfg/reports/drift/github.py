"""Drift as workflow commands, which GitHub Actions shows as annotations."""

from __future__ import annotations

from mailcfg.drift.compare import Comparison
from mailcfg.reports.hosts import github, host_of


def render(comparison: Comparison, color: bool) -> str:
    """The report of this host."""
    return github.render((host_of(comparison),))
