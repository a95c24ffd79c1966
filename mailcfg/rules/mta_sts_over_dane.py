"""MTA-STS takes the place of DANE.

What it does: looks for an MTA-STS resolver in smtp_tls_policy_maps at a way out with level dane or dane-only, with
nothing before it that could say DANE. It is known by its name, or by port 8461, which postfix-mta-sts-resolver has.
Resolvers that do both, such as postfix-tlspol, are in order.

Why it is bad: what a policy table says of a next hop holds instead of the general level. A domain with both is checked
by MTA-STS alone, and one whose TLSA records do not fit gets its mail all the same. RFC 8461 forbids it.

Wrong:

    # main.cf
    smtp_tls_security_level = dane
    smtp_dns_support_level = dnssec
    smtp_tls_policy_maps = socketmap:inet:127.0.0.1:8461:postfix

Right:

    # main.cf
    smtp_tls_security_level = may
    smtp_tls_policy_maps = socketmap:inet:127.0.0.1:8461:postfix

Right:

    # main.cf
    smtp_tls_security_level = dane
    smtp_dns_support_level = dnssec
    smtp_tls_policy_maps = socketmap:inet:127.0.0.1:8642:QUERY

References: RFC 8461 §2, postconf(5) smtp_tls_policy_maps.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.effective import Scope
from mailcfg.behaviour.outbound import policies
from mailcfg.behaviour.words import braced
from mailcfg.configuration import Origin
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.relay_credentials_exposed import in_table

SEVERITY = Severity.ERROR
REFERENCES = ("RFC 8461 §2", "postconf(5) smtp_tls_policy_maps")

MARKS = (":8461:", "mta-sts", "mta_sts", "mtasts")
"""What the address of an MTA-STS resolver has in it: the port of postfix-mta-sts-resolver, or its name."""


def check(subject: Subject) -> Iterator[Said]:
    """Look for an MTA-STS resolver where DANE is the level."""
    seen: set[Origin] = set()
    for hop in subject.behaviour.outbound:
        if hop.tls != "dane" or in_table(hop):
            continue
        scope = subject.scope(subject.service(hop.service))
        table = resolver(scope)
        value = scope.value("smtp_tls_policy_maps")
        if not table or value.origin in seen:
            continue
        seen.add(value.origin)
        yield Said(
            f"{table} answers before {hop.level} is asked",
            "a domain whose TLSA records do not fit gets its mail all the same, if it has an MTA-STS policy",
            value.origin,
            "smtp_tls_policy_maps",
            hop.service,
            policy="a resolver that does both in [postfix.main] smtp_tls_policy_maps, such as postfix-tlspol",
            main="smtp_tls_policy_maps: put a resolver for DANE before it, or use one that does both (postfix-tlspol)",
        )


def resolver(scope: Scope) -> str:
    """The MTA-STS resolver among the policy tables; empty where there is none, or a table before it may say DANE."""
    maps = scope.text("smtp_tls_policy_maps")
    if "socketmap:" not in maps:
        return ""
    for table in braced(maps):
        if table.startswith("socketmap:") and any(mark in table.lower() for mark in MARKS):
            return table
        entries, others = policies(table)
        if others or any(entry.level.startswith("dane") for entry in entries):
            return ""
    return ""
