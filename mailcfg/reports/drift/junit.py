"""Drift as JUnit XML, for pipelines that count tests."""

from __future__ import annotations

from mailcfg.drift.compare import Comparison
from mailcfg.reports.hosts import host_of, junit


def render(comparison: Comparison, color: bool) -> str:
    """The report of this host."""
    return junit.render((host_of(comparison),))
