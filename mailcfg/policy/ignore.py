"""`[[ignore]]`: drift that is known and tolerated, each with a reason and a day on which that ends."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from mailcfg.policy.accept import LEAST, as_day, reason
from mailcfg.policy.table import Table
from mailcfg.policy.values import FilePath, matching, refused, shown

TYPES = ("inet", "unix", "unix-dgram", "fifo", "pass")
"""The types of a service (master(5))."""

_SERVICE = re.compile(r"([A-Za-z0-9_\[][A-Za-z0-9_.:\[\]-]*)(?:/([A-Za-z0-9_-]*))?")


def _service(text: str) -> str:
    found = _SERVICE.fullmatch(text)
    if found is None:
        raise refused(f"{shown(text)} is no service of master.cf", 'its name and type, such as "submission/inet"')
    name, type = found.groups()
    if type in TYPES:
        return text
    if type is None:
        raise refused(f"{shown(text)} lacks the type of the service", f'write "{name}/inet" or "{name}/unix"')
    from difflib import get_close_matches

    near = get_close_matches(type, TYPES, 1)
    advice = f'did you mean "{name}/{near[0]}"? ' if near else ""
    raise refused(f"{shown(type)} is no type of a service", f"{advice}the types are {', '.join(TYPES)}")


def _one_line(text: str) -> str:
    text = reason(" ".join(text.split()))
    if not text.isprintable():
        raise refused("a reason is plain text", "remove the control characters")
    return text


class Ignore(Table):
    """Drift that is tolerated: a difference is hidden where all that is given here is true of it."""

    until: Annotated[
        str, BeforeValidator(as_day, json_schema_input_type=str), Field(json_schema_extra={"format": "date"})
    ]
    """The last day, in UTC, on which it is hidden. From then on it is told again, with the reason that has run out."""
    because: Annotated[str, AfterValidator(_one_line), Field(json_schema_extra={"minLength": LEAST})]
    """Why it is tolerated: who reads this in a year must be able to judge."""
    setting: (
        Annotated[str, matching(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", "the name of a setting", '"smtpd_banner"')] | None
    ) = None
    """What is told of this parameter, or of this setting of another file, column of master.cf or certificate."""
    service: Annotated[str, AfterValidator(_service)] | None = None
    """What is told of this service of master.cf, such as "smtp/inet"."""
    file: FilePath | None = None
    """What is told of this file or directory of the host."""
    kind: (
        Literal["changed", "missing", "extra", "duplicate", "shadowed", "mode", "owner", "certificate", "pending"]
        | None
    ) = None
    """Only this sort of difference."""
