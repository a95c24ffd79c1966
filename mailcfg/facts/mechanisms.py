"""SASL mechanisms: what each demands, which security options it satisfies, and the plugins that bring them."""

from __future__ import annotations

import tomllib
from functools import cache
from typing import Literal, NamedTuple

from mailcfg import resources


class MechanismFacts(NamedTuple):
    """One mechanism. `needs` is what the server checks a client with; `obsolete` says why nobody should offer it, empty
    where it is sound.
    """

    name: str
    needs: Literal["password", "secret", "nothing", "other"]
    allows: frozenset[str]
    obsolete: str = ""


class Mechanisms(NamedTuple):
    """All that is known of them. `plugins`: mechanisms by file name; `auxprops`: databases of passwords by theirs;
    `directories`: where those files lie; `packaged`: what a machine is taken to have that cannot be asked.
    """

    known: dict[str, MechanismFacts]
    plugins: dict[str, tuple[str, ...]]
    auxprops: dict[str, str]
    directories: tuple[str, ...]
    packaged: tuple[str, ...]


UNKNOWN = MechanismFacts("", "other", frozenset())
"""A mechanism that no plugin of ours brings: nothing is known of it."""


@cache
def mechanisms() -> Mechanisms:
    """The facts that ship with mailcfg."""
    data = tomllib.loads(resources.fact("mechanisms.toml").decode())
    return Mechanisms(
        {
            name: MechanismFacts(name, row["needs"], frozenset(row["allows"]), row.get("obsolete", ""))
            for name, row in data["mechanisms"].items()
        },
        {file: tuple(names) for file, names in data["plugins"].items()},
        data["auxprops"],
        tuple(data["directories"]["paths"]),
        tuple(data["packaged"]["mechanisms"]),
    )
