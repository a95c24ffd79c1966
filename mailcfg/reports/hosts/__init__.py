"""The drift of one host or of many in one output format a file: `render(hosts)` gives its text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from mailcfg.drift.compare import Comparison
from mailcfg.drift.difference import Difference, Expiry, Status
from mailcfg.reports.documents import read_document
from mailcfg.reports.drift import json
from mailcfg.reports.drift.json import Document

SEVERITIES: tuple[Literal["error", "warning", "info"], ...] = ("error", "warning", "info")
"""The gravest first."""


class Host(NamedTuple):
    """A host and what was found there. `name` is its site, with the file of the document where two have one site."""

    name: str
    document: Document

    @property
    def grave(self) -> list[Difference]:
        """The differences that are worth a person's time."""
        return [each for each in self.document.differences if not each.harmless]

    @property
    def harmless(self) -> list[Difference]:
        """The differences that no client notices."""
        return [each for each in self.document.differences if each.harmless]

    @property
    def next_expiry(self) -> Expiry | None:
        """The certificate that ends first."""
        return min(self.document.certificates, key=lambda each: (each.not_after, each.name), default=None)


NAMELESS = "(no name)"
"""Stands for a site whose name is empty."""


def host_of(comparison: Comparison) -> Host:
    """The host of a comparison, by way of its document: a report is the same here and on another machine."""
    document = read_document(json.render(comparison, False))
    return Host(document.site or NAMELESS, document)


def named(documents: Sequence[tuple[str, Document]]) -> tuple[Host, ...]:
    """Documents, each with its file, as hosts."""
    sites = Counter(document.site for _, document in documents)
    found: list[Host] = []
    for source, document in documents:
        site = document.site or NAMELESS
        found.append(Host(site if sites[document.site] == 1 else f"{site} ({source})", document))
    return tuple(found)


STATES: dict[Status, str] = {"unknown": "unknown", "drift": "drifting", "in-sync": "in sync"}
"""What the states are called, the one that asks for a person first."""


def counted(hosts: Iterable[Host]) -> str:
    """How many hosts are in which state: `2 drifting, 48 in sync`."""
    counts = Counter(host.document.status for host in hosts)
    return ", ".join(f"{counts[status]} {words}" for status, words in STATES.items() if counts[status])
