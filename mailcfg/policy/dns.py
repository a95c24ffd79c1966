"""`[dns]`: what is published in the DNS about this host, so that it can be held against what the host does."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mailcfg.policy.table import Table
from mailcfg.policy.values import matching

TlsaRecord = Annotated[
    str,
    matching(
        r"[0-3] [01] [0-2] [0-9A-Fa-f]{40,}", "the data of a TLSA record", '"3 1 1 5f1c…", as postfix tls prints it'
    ),
]
MxPattern = Annotated[
    str,
    matching(
        r"(\*\.)?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+\.?", "the name of an MX", '"mail.example.com" or "*.example.com"'
    ),
]


Printable = Annotated[
    str, matching(r"[ -~]+", "one line of printable ASCII", '"v=TLSRPTv1; rua=mailto:tls@example.com"')
]


class MtaSts(Table):
    """The MTA-STS policy of the domain, as https://mta-sts.DOMAIN/.well-known/mta-sts.txt has it (RFC 8461)."""

    version: Printable = "STSv1"
    """The version line."""
    mode: Printable
    """`enforce`, `testing` or `none`."""
    mx: list[MxPattern] = Field(min_length=1)
    """The names that an MX of the domain may have."""
    max_age: int = Field(ge=0)
    """For how many seconds senders keep the policy."""


class Dns(Table):
    """What is published in the DNS about this host."""

    tlsa: list[TlsaRecord] = []
    """The TLSA records of port 25, each as `usage selector type digest` (RFC 6698)."""
    tlsrpt: Printable | None = None
    """The TXT record at `_smtp._tls`, such as "v=TLSRPTv1; rua=mailto:tls@example.com" (RFC 8460)."""
    mta_sts: MtaSts | None = None
    """The MTA-STS policy of the domain."""
