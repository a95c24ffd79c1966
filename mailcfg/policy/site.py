"""The policy of one mail host: the whole document."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, ConfigDict

from mailcfg.policy.accept import Accept
from mailcfg.policy.certificates import Certificate
from mailcfg.policy.dns import Dns
from mailcfg.policy.ignore import Ignore
from mailcfg.policy.listeners import Listener
from mailcfg.policy.outbound import Outbound, Relay
from mailcfg.policy.passthrough import Postfix
from mailcfg.policy.sasl import Sasl
from mailcfg.policy.table import Table
from mailcfg.policy.tls import Tls
from mailcfg.policy.values import Host, Identifier, PostfixVersion
from mailcfg.policy.watch import Watch


def as_table(value: Any) -> Any:
    """`postfix = "3.7"` is short for a table with that version."""
    return {"version": value} if isinstance(value, str) else value


class Site(Table):
    """What must be true of one mail host."""

    model_config = ConfigDict(defer_build=False)

    hostname: Host
    """The host's full name (myhostname)."""
    platform: str
    """What it runs on; `mailcfg platforms` lists them."""
    tls: Tls | None = None
    """TLS for all listeners and for outgoing mail."""
    certificates: dict[Identifier, Certificate] = {}
    """Certificates by name."""
    mx: Listener | None = None
    """Port 25: other servers deliver here."""
    submission: Listener | None = None
    """Port 587: users send, STARTTLS required."""
    submissions: Listener | None = None
    """Port 465: users send, TLS from the first byte (RFC 8314)."""
    listeners: dict[Identifier, Listener] = {}
    """Further listeners by name."""
    sasl: Sasl | None = None
    """Who checks passwords."""
    relay: Relay | None = None
    """A host that takes all outgoing mail."""
    outbound: Outbound | None = None
    """Delivery to other servers."""
    postfix: Annotated[Postfix, BeforeValidator(as_table, json_schema_input_type=PostfixVersion | Postfix)] = Postfix()
    """The Postfix version, where it is not the platform's (`postfix = "3.7"`, or `version` in this table), and
    parameters and services that no other table expresses."""
    dns: Dns | None = None
    """What is published in the DNS about this host."""
    accept: list[Accept] = []
    """Findings that are known and tolerated."""
    ignore: list[Ignore] = []
    """Drift that is known and tolerated."""
    watch: Watch | None = None
    """How often the host compares itself with this policy."""
