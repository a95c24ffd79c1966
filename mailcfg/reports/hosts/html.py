"""Drift as a page: one file of HTML that needs no network and no other file."""

from __future__ import annotations

from collections.abc import Sequence

from mailcfg.reports.hosts import Host
from mailcfg.reports.page import page


def render(hosts: Sequence[Host]) -> str:
    """The page."""
    return page(hosts)
