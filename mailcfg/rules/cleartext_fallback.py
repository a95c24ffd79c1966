"""Mail that could be encrypted is sent in cleartext, because too new a TLS is asked for.

What it does: looks at the ways out on which TLS is optional, level may, and level dane for a peer without TLSA records,
and whose protocol list does not offer TLS 1.2.

Why it is bad: a peer that speaks TLS 1.2 and nothing newer fails the handshake. The mail is deferred once and then sent
in cleartext (measured on Postfix 3.7.11 with >=TLSv1.3), so that the stricter list protects less. Where smtp has a
password for the peer the mail stays in the queue instead.

Wrong:

    # main.cf
    smtp_tls_security_level = may
    smtp_tls_protocols = >=TLSv1.3

Wrong:

    # main.cf
    smtp_tls_security_level = dane
    smtp_dns_support_level = dnssec
    smtp_tls_protocols = >=TLSv1.3

Wrong:

    # site.toml
    hostname = "mail.example.com"
    platform = "debian-12"

    [tls]
    guideline = "custom"

    [outbound]
    tls = "opportunistic"

    [postfix.main]
    smtp_tls_protocols = ">=TLSv1.3"

Right:

    # main.cf
    smtp_tls_security_level = may
    smtp_tls_protocols = >=TLSv1.2

Right:

    # main.cf
    smtp_tls_security_level = encrypt
    smtp_tls_mandatory_protocols = >=TLSv1.3

References: RFC 9325 §5.2, RFC 7435.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.protocols import protocols
from mailcfg.behaviour.tls import spoken
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.protocol_unknown import client_fails
from mailcfg.rules.ssl_enabled import POLICY, floor, grouped, offered, place, together, uses

SEVERITY = Severity.ERROR
REFERENCES = ("RFC 9325 §5.2", "RFC 7435")


def check(subject: Subject) -> Iterator[Said]:
    """Look at what is offered where a peer without TLS gets its mail all the same."""
    if "TLSv1.2" not in spoken(subject.openssl):
        return
    some_ways = tuple(each for each in uses(subject) if each.hop and not each.mandatory and not each.hop.implicit)
    for some in grouped(some_ways, "protocols"):
        first = some[0]
        left = offered(first, subject.postfix, subject.openssl)
        if "TLSv1.2" in left or protocols(first.protocols.text, subject.postfix).unknown is not None:
            continue
        yield Said(
            f"{together(some)} offers {' and '.join(left) or 'no version of TLS'}, where TLS is optional",
            f"to a peer with no newer TLS than 1.2 {client_fails(first)}, after one deferral"
            if left
            else f"no handshake succeeds: {client_fails(first)}",
            place(subject, first),
            first.protocols.name,
            first.service,
            policy=POLICY,
            main=floor(subject, first.protocols.name),
        )
