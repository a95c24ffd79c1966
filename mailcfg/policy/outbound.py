"""`[outbound]` and `[relay]`: how mail leaves."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mailcfg.policy.sasl import Mechanism, SecurityOption
from mailcfg.policy.table import Table
from mailcfg.policy.tls import Protocol
from mailcfg.policy.values import FilePath, Host, Identifier, NameMatch, NextHop, TableType

Level = Literal["none", "opportunistic", "required", "verified", "dane", "dane-only"]


class Destination(Table):
    """TLS towards one next hop."""

    tls: Level
    """As in `outbound.tls`."""
    match: list[NameMatch] | None = Field(default=None, min_length=1)
    """For `verified`: the names of which the peer's certificate must have one."""
    minimum: Protocol | None = None
    """The oldest protocol version. Default: the guideline's."""


class Outbound(Table):
    """Delivery to other servers."""

    tls: Level = "opportunistic"
    """`none`; `opportunistic`, TLS where the peer offers it (Postfix: may); `required` (encrypt); `verified`, the
    peer's certificate is checked (secure, or verify with match = ["hostname"]); `dane`, and `dane-only`."""
    match: list[NameMatch] | None = Field(default=None, min_length=1)
    """For `verified`: the names of which the peer's certificate must have one. Default: nexthop and dot-nexthop."""
    ca_file: FilePath | None = None
    """The authorities that are believed. Default: the platform's, where something is verified."""
    certificate: Identifier | None = None
    """A client certificate, for the rare peer that asks for one."""
    destinations: dict[NextHop, Destination] = {}
    """Next hops that differ from the rest."""


class Relay(Table):
    """A host that takes all outgoing mail."""

    host: Host
    """The relay's name."""
    port: int = Field(default=587, ge=1, le=65535)
    """Its port."""
    mx_lookup: bool = False
    """Whether the relay's MX records are looked up, instead of its address."""
    mode: Literal["starttls", "implicit"] | None = None
    """How TLS begins. Default: implicit on port 465, else STARTTLS."""
    tls: Level = "verified"
    """As in `outbound.tls`."""
    match: list[NameMatch] | None = Field(default=None, min_length=1)
    """For `verified`: the names of which the relay's certificate must have one. Default: its host name."""
    ca_file: FilePath | None = None
    """The authorities that are believed. Default: the platform's."""
    credentials: FilePath | None = None
    """A file that exists only on the host, with a line `[host]:port user:password`. Without it there is no AUTH."""
    credentials_type: TableType | None = None
    """The table type of that file. Default: the platform's (its source then needs postmap)."""
    mechanisms: list[Mechanism] | None = Field(default=None, min_length=1)
    """The mechanisms that may be used (smtp_sasl_mechanism_filter). Default: any that the options below allow."""
    security_options: list[SecurityOption] = ["noanonymous", "noplaintext"]
    """What a mechanism must not do without TLS (smtp_sasl_security_options)."""
    tls_security_options: list[SecurityOption] = ["noanonymous"]
    """What it must not do inside TLS (smtp_sasl_tls_security_options)."""
