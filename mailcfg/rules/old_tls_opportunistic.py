"""TLS 1.0 or 1.1 is good enough where TLS is optional.

What it does: looks for listeners that offer STARTTLS without demanding it, and complete a handshake with TLS 1.0 or
1.1, as Postfix does by default. It is a note, since a sender that is refused there may go on in cleartext; and a
warning where the policy pins a guideline that asks for TLS 1.2 without that exception.

Why it is bad: a sender that could do better is not harmed, since both sides agree on the newest version that they have.
One that cannot is out of care since 2018. Which weighs more, old TLS or none at all, is the policy's decision.

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

Wrong:

    # site.toml
    hostname = "mail.example.com"
    platform = "debian-12"

    [tls]
    guideline = "rfc9325"

    [certificates.mail]

    [mx]

    [postfix.master."smtp/inet".options]
    smtpd_tls_protocols = ">=TLSv1.1"

Right:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_protocols = >=TLSv1.2
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

References: RFC 8996, RFC 9325 §3.1.1, RFC 9325 §5.2.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.old_tls_mandatory import OLD
from mailcfg.rules.ssl_enabled import POLICY, floor, grouped, place, together, uses

SEVERITY = Severity.INFO
REFERENCES = ("RFC 8996", "RFC 9325 §3.1.1", "RFC 9325 §5.2")

STRICT = ("rfc9325",)
"""Guidelines that do not leave old versions to where TLS is optional."""


def check(subject: Subject) -> Iterator[Said]:
    """Look at what listeners with optional TLS can use."""
    found = tuple(
        each
        for each in uses(subject)
        if each.endpoint is not None and each.endpoint.tls == "offered" and _old(each.endpoint.protocols)
    )
    for some in grouped(found, "protocols"):
        first = some[0]
        versions = [one for one in OLD if any(each.endpoint and one in each.endpoint.protocols for each in some)]
        strict = subject.guideline() in STRICT
        yield Said(
            f"{together(some)} {'accept' if len(some) > 1 else 'accepts'} {' and '.join(versions)}",
            f"{subject.guideline()}, which the policy pins, forbids it"
            if strict
            else "a sender without TLS 1.2 is encrypted badly; refused, it may send in cleartext instead",
            place(subject, first),
            first.protocols.name,
            first.service,
            policy=POLICY,
            main=floor(subject, first.protocols.name),
            severity=Severity.WARNING if strict else None,
        )


def _old(versions: tuple[str, ...]) -> bool:
    return any(each in OLD for each in versions)
