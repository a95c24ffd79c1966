"""Knowledge as data, each row with its source: platforms, guidelines, Postfix parameters by version."""

from __future__ import annotations

import tomllib
from functools import cache
from typing import Any

from mailcfg import resources


@cache
def names(kind: str) -> list[str]:
    """Identifiers of all `platforms` or `guidelines`: the files of that folder."""
    return resources.fact_names(kind)


def read(kind: str, name: str) -> dict[str, Any]:
    """The data of one platform or guideline. Raises KeyError when there is none of that name."""
    if name not in names(kind):
        raise KeyError(name)
    return tomllib.loads(resources.fact(f"{kind}/{name}.toml").decode())
