"""Drift as JUnit XML: a suite for each file that differs, or for a host in sync; what the policy ignores is skipped."""

from __future__ import annotations

from collections.abc import Sequence

from mailcfg.reports.differences import TITLE, context_of, findings_of
from mailcfg.reports.findings import junit
from mailcfg.reports.hosts import Host


def render(hosts: Sequence[Host]) -> str:
    """The document; with several hosts each suite begins with the name of its own."""
    several = len(hosts) > 1
    suites = [
        suite
        for host in hosts
        for suite in junit.suites(
            findings_of(host), context_of(host), host.name if several and host.document.status != "in-sync" else ""
        )
    ]
    return junit.document(TITLE, suites)
