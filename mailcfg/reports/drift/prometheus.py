"""Drift as metrics in Prometheus's text format, for the textfile collector of its node exporter."""

from __future__ import annotations

from collections import Counter
from typing import get_args

from mailcfg.drift.compare import Comparison
from mailcfg.drift.difference import Kind, Status


def render(comparison: Comparison, color: bool) -> str:
    """The report as metrics; every kind and status has its series, so that an alert needs no special case."""
    report = comparison.report
    site = f'site="{_escaped(report.site)}"'
    counts = Counter(each.kind for each in report.differences)
    lines = [
        "# HELP mailcfg_drift_status Which of its three states the host is in: 1 for that one, 0 for the others.",
        "# TYPE mailcfg_drift_status gauge",
        *(f'mailcfg_drift_status{{{site},status="{each}"}} {int(each == report.status)}' for each in get_args(Status)),
        "# HELP mailcfg_drift_differences Differences between the policy and the live machine, by kind.",
        "# TYPE mailcfg_drift_differences gauge",
        *(f'mailcfg_drift_differences{{{site},kind="{kind}"}} {counts[kind]}' for kind in get_args(Kind)),
        "# HELP mailcfg_drift_unreadable Files that could not be read.",
        "# TYPE mailcfg_drift_unreadable gauge",
        f"mailcfg_drift_unreadable{{{site}}} {len(report.unknown)}",
    ]
    if report.expiries:
        lines += [
            "# HELP mailcfg_certificate_not_after_timestamp_seconds When a certificate of the policy ends.",
            "# TYPE mailcfg_certificate_not_after_timestamp_seconds gauge",
        ]
        lines += [
            f'mailcfg_certificate_not_after_timestamp_seconds{{{site},certificate="{_escaped(each.name)}"}} '
            f"{each.not_after}"
            for each in report.expiries
        ]
    lines += [
        "# HELP mailcfg_drift_checked_timestamp_seconds When the machine was last compared with the policy.",
        "# TYPE mailcfg_drift_checked_timestamp_seconds gauge",
        f"mailcfg_drift_checked_timestamp_seconds{{{site}}} {report.checked}",
    ]
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
