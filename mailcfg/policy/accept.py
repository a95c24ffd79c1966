"""`[[accept]]`: findings that are known and tolerated, each with a reason and a day on which that ends."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from mailcfg.dates import DAY, date, days
from mailcfg.policy.passthrough import ParameterName
from mailcfg.policy.table import Table
from mailcfg.policy.values import matching, refused, shown

_DAY = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")


def as_day(value: Any) -> Any:
    """A date of TOML, or text that looks like one, as text."""
    text = value.isoformat() if hasattr(value, "isoformat") else value
    if isinstance(text, str) and _DAY.fullmatch(text) and date(days(*map(int, text.split("-"))) * DAY) == text:
        return text
    given = shown(text) if isinstance(text, str) else "this"
    raise refused(f"{given} is no day", "until = 2027-06-30")


LEAST = 10
"""So many characters a reason has at least."""


def reason(text: str) -> str:
    """A reason that is long enough to be one."""
    if len(text.strip()) < LEAST:
        raise refused(
            f"{shown(text)} is too short for a reason",
            'say why it is tolerated, for example because = "the old scanner is replaced in June"',
        )
    return text


class Accept(Table):
    """One finding that is tolerated."""

    rule: Annotated[str, matching(r"[a-z][a-z0-9-]*", "the id of a rule", '"auth-on-mx"')]
    """The rule's id; `mailcfg rules` lists them."""
    until: Annotated[
        str, BeforeValidator(as_day, json_schema_input_type=str), Field(json_schema_extra={"format": "date"})
    ]
    """The last day on which it is accepted. From then on the acceptance is a finding itself."""
    because: Annotated[str, AfterValidator(reason), Field(json_schema_extra={"minLength": LEAST})]
    """Why it is tolerated: who reads this in a year must be able to judge."""
    service: str | None = None
    """Only what is found at this service of master.cf, such as "smtp/inet"."""
    setting: ParameterName | None = None
    """Only what is found about this parameter."""
