"""Drift as a JSON document, with the schema `drift`."""

from __future__ import annotations

from json import dumps
from typing import Any, NamedTuple

from mailcfg.drift.compare import Comparison
from mailcfg.drift.difference import SCHEMA, Difference, Expiry, Status, Unknown


class Document(NamedTuple):
    """The answer for one site. `unknown` lists what could not be read, and is empty unless the status is unknown."""

    schema: str
    site: str
    status: Status
    differences: tuple[Difference, ...]
    unknown: tuple[Unknown, ...]
    certificates: tuple[Expiry, ...]


def render(comparison: Comparison, color: bool) -> str:
    """The report as JSON."""
    report = comparison.report
    document = Document(SCHEMA, report.site, report.status, report.differences, report.unknown, report.expiries)
    return dumps(_plain(document), indent=2) + "\n"


def _plain(value: Any) -> Any:
    """Named tuples as objects. A text of bytes that are no UTF-8 gets a mark in their place."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _plain(each) for name, each in value._asdict().items()}
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, str):
        return value.encode(errors="surrogateescape").decode(errors="replace")
    return value
