"""Drift as metrics in Prometheus's text format: a sample for each host, state and kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import get_args

from mailcfg.drift.difference import Kind, Status
from mailcfg.reports.findings import readable
from mailcfg.reports.hosts import SEVERITIES, Host

Sample = tuple[dict[str, str], int]
"""The labels beside the site's, and the value."""


def render(hosts: Sequence[Host]) -> str:
    """The metrics; every kind, state and severity has its series, so that an alert needs no special case."""
    lines: list[str] = []
    for name, told, samples in METRICS:
        found = [
            f"{name}{{{_labels({'site': host.name, **labels})}}} {value}"
            for host in hosts
            for labels, value in samples(host)
        ]
        if found:
            lines += [f"# HELP {name} {told}", f"# TYPE {name} gauge", *found]
    return "".join(f"{line}\n" for line in lines)


def _status(host: Host) -> Iterator[Sample]:
    for each in get_args(Status):
        yield {"status": each}, int(each == host.document.status)


def _differences(host: Host) -> Iterator[Sample]:
    counts = Counter(each.kind for each in host.document.differences)
    for kind in get_args(Kind):
        yield {"kind": kind}, counts[kind]


def _consequences(host: Host) -> Iterator[Sample]:
    counts = Counter(each.severity for each in host.document.consequences)
    for severity in SEVERITIES:
        yield {"severity": severity}, counts[severity]


def _ignored(host: Host) -> Iterator[Sample]:
    yield {}, len(host.document.ignored)


def _unreadable(host: Host) -> Iterator[Sample]:
    yield {}, len(host.document.unknown)


def _ends(host: Host) -> Iterator[Sample]:
    for each in host.document.certificates:
        yield {"certificate": each.name}, each.not_after


def _checked(host: Host) -> Iterator[Sample]:
    yield {}, host.document.checked


METRICS = (
    (
        "mailcfg_drift_status",
        "Which of its three states the host is in: 1 for that one, 0 for the others.",
        _status,
    ),
    ("mailcfg_drift_differences", "Differences between the policy and the live machine, by kind.", _differences),
    (
        "mailcfg_drift_consequences",
        "Ways in which clients meet something else than with the policy, by severity.",
        _consequences,
    ),
    ("mailcfg_drift_ignored", "Differences that the policy tolerates.", _ignored),
    ("mailcfg_drift_unreadable", "Files that could not be read.", _unreadable),
    (
        "mailcfg_certificate_not_after_timestamp_seconds",
        "When a certificate of the policy ends.",
        _ends,
    ),
    (
        "mailcfg_drift_checked_timestamp_seconds",
        "When the machine was last compared with the policy.",
        _checked,
    ),
)
"""Name, help and samples of each metric."""


def _labels(labels: dict[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(text: str) -> str:
    """A label's value; what nobody can read gets a mark in its place."""
    return readable(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
