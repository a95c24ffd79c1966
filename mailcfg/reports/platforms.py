"""The list of platforms, as a table and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Literal, NamedTuple

from mailcfg.facts.platforms import Platform

SCHEMA = "mailcfg/platforms/1"


class Row(NamedTuple):
    """One platform: what it ships, and whether its facts were measured (`ran`) or read (`documented`)."""

    id: str
    title: str
    postfix: str
    openssl: str
    basis: Literal["ran", "documented"]


class Listing(NamedTuple):
    """All platforms."""

    schema: str
    platforms: tuple[Row, ...]


def _rows(platforms: Iterable[Platform]) -> list[Row]:
    return [Row(each.id, each.title, each.postfix.version, each.openssl.version, each.basis) for each in platforms]


def as_text(platforms: Iterable[Platform]) -> str:
    """A table with a line for each platform."""
    lines = [("PLATFORM", "POSTFIX", "OPENSSL", "BASIS", "")]
    lines += [(row.id, row.postfix, row.openssl, row.basis, row.title) for row in _rows(platforms)]
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join(table) + "\n"


def as_json(platforms: Iterable[Platform]) -> str:
    """The same as a JSON document."""
    rows = [row._asdict() for row in _rows(platforms)]
    return json.dumps({"schema": SCHEMA, "platforms": rows}, indent=2) + "\n"
