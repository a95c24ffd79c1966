"""Drift as metrics in Prometheus's text format, for the textfile collector of its node exporter."""

from __future__ import annotations

from mailcfg.drift.compare import Comparison
from mailcfg.reports.hosts import host_of, prometheus


def render(comparison: Comparison, color: bool) -> str:
    """The report of this host."""
    return prometheus.render((host_of(comparison),))
