"""Drift as SARIF 2.1.0: a run for each host, its differences as results, those that the policy ignores suppressed."""

from __future__ import annotations

from collections.abc import Sequence

from mailcfg.reports.differences import context_of, findings_of
from mailcfg.reports.findings import sarif
from mailcfg.reports.hosts import Host


def render(hosts: Sequence[Host]) -> str:
    """The log. A host in sync has a run without results, which closes those of an earlier one."""
    return sarif.document([sarif.run(findings_of(host), context_of(host), host.name) for host in hosts])
