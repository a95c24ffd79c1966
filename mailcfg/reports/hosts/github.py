"""Drift as workflow commands, which GitHub Actions shows as annotations; what the policy ignores is not told."""

from __future__ import annotations

from collections.abc import Sequence

from mailcfg.reports.differences import context_of, findings_of
from mailcfg.reports.findings import github
from mailcfg.reports.hosts import Host


def render(hosts: Sequence[Host]) -> str:
    """A command for each difference and for each file that could not be read; empty when all is in sync."""
    return "".join(
        github.render(
            [each._replace(message=f"{host.name}: {each.message}") for each in findings_of(host)],
            context._replace(unknown=tuple((file, f"{host.name}: {reason}") for file, reason in context.unknown)),
        )
        for host, context in ((host, context_of(host)) for host in hosts)
    )
