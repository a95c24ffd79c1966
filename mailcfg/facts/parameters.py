"""The catalogue of Postfix parameters: what exists in which version, of which kind, with which default."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, NamedTuple

from mailcfg import resources
from mailcfg.facts.version import Version


class Parameter(NamedTuple):
    """One parameter. `default` maps a Postfix series to the default from that series on; None: it is gone."""

    name: str
    kind: str
    values: tuple[str, ...]
    since: tuple[int, int] | None
    deprecated: str
    removed: str
    replacement: str
    default: dict[tuple[int, int], str | None]

    def exists_in(self, version: Version) -> bool:
        """Whether that Postfix knows it. Before the oldest series of the catalogue only `since` tells."""
        if version.series < min(self.default):
            gone = bool(self.removed) and _series(self.removed) <= version.series
            return not gone and (self.since is None or self.since <= version.series)
        return self.default[max(series for series in self.default if series <= version.series)] is not None

    def default_in(self, version: Version) -> str | None:
        """Its default in that Postfix, as `postconf -d` prints it; None where it does not exist."""
        if not self.exists_in(version):
            return None
        known = [series for series in self.default if series <= version.series]
        return self.default[max(known) if known else min(self.default)]


def _series(text: str) -> tuple[int, int]:
    major, minor = text.split(".")
    return int(major), int(minor)


class Catalogue:
    """All parameters. Rows become Parameter objects only when they are asked for."""

    def __init__(self, data: dict[str, Any]) -> None:
        self._rows: dict[str, dict[str, Any]] = data["parameters"]
        self.service_suffixes: dict[str, dict[str, Any]] = data["service_parameters"]
        self.table_suffixes: dict[str, list[str]] = data.get("table_parameters", {})
        self.newest = _series(data["versions"][-1])
        self._known: dict[str, Parameter] = {}
        self._existing: dict[tuple[int, int], _Existing] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    def names(self) -> list[str]:
        """Every name, of every version."""
        return list(self._rows)

    def get(self, name: str) -> Parameter | None:
        """The parameter of that name, of any version."""
        known = self._known.get(name)
        row = self._rows.get(name)
        if known or row is None:
            return known
        parameter = Parameter(
            name=name,
            kind=row["kind"],
            values=tuple(row.get("values", ())),
            since=_series(row["since"]) if row.get("since") else None,
            deprecated=row.get("deprecated") or "",
            removed=row.get("removed") or "",
            replacement=row.get("replacement") or "",
            default={_series(series): value for series, value in row["default"].items()},
        )
        self._known[name] = parameter
        return parameter

    def known_to(self, version: Version) -> dict[str, bool]:
        """Whether that Postfix knows a name, for any name: rows are looked at when first asked for."""
        series = version.series
        if series not in self._existing:
            self._existing[series] = _Existing(self, version)
        return self._existing[series]

    def nearest(self, name: str) -> str | None:
        """The known name that looks most like one that is not known."""
        from difflib import get_close_matches

        near = get_close_matches(name, self._rows, 1, 0.75)
        return near[0] if near else None


class _Existing(dict[str, bool]):
    """Names that one version knows, filled as they are asked for."""

    def __init__(self, of: Catalogue, version: Version) -> None:
        super().__init__()
        self._of = of
        self._version = version

    def __missing__(self, name: str) -> bool:
        parameter = self._of.get(name)
        known = self[name] = parameter is not None and parameter.exists_in(self._version)
        return known


@cache
def catalogue() -> Catalogue:
    """The catalogue that ships with mailcfg."""
    return Catalogue(json.loads(resources.fact("parameters.json")))
