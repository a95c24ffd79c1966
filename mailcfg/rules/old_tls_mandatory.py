"""TLS 1.0 or 1.1 is good enough where TLS is mandatory.

What it does: looks for listeners that do nothing without TLS and complete a handshake with TLS 1.0 or 1.1; and for next
hops to which TLS is demanded and for which smtp is told, in the files, to offer these versions. Where the peer must
prove who it is, smtp with OpenSSL 3.0 or newer completes neither, whatever the list says. DANE is left out: postconf(5)
advises to keep TLS 1.0 for it. Where a policy pins a guideline that has such a floor, and where Postfix's
own default for next hops holds, it is said more softly.

Why it is bad: TLS 1.0 and 1.1 rest on SHA-1 and MD5 and have no authenticated encryption. Where nothing is let through
without TLS there is no cleartext to fall back to, so refusing them costs nothing but clients that are out of care.

Wrong:

    # main.cf
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com
    # master.cf
    submission inet n - n - - smtpd
      -o smtpd_tls_security_level=encrypt

Wrong:

    # main.cf
    relayhost = [smtp.example.com]:587
    smtp_tls_security_level = encrypt
    smtp_tls_mandatory_protocols = >=TLSv1.1

Wrong:

    # site.toml
    hostname = "mail.example.com"
    platform = "debian-12"

    [tls]
    guideline = "custom"

    [certificates.mail]

    [submissions]

    [sasl]
    backend = "saslauthd"

Right:

    # main.cf
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    smtpd_tls_mandatory_protocols = >=TLSv1.2
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com
    # master.cf
    submission inet n - n - - smtpd
      -o smtpd_tls_security_level=encrypt

Right:

    # main.cf
    smtp_tls_security_level = dane
    smtp_dns_support_level = dnssec
    smtp_tls_mandatory_protocols = >=TLSv1

Right:

    # main.cf
    smtp_tls_security_level = secure
    smtp_tls_mandatory_protocols = !SSLv2, !SSLv3

References: RFC 8996, RFC 8997, RFC 9325 §3.1.1.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.ciphers import Suite
from mailcfg.facts.guidelines import PROTOCOLS, guideline
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.cipher_broken import client_suites
from mailcfg.rules.ssl_enabled import POLICY, Use, floor, grouped, place, together, uses

SEVERITY = Severity.ERROR
REFERENCES = ("RFC 8996", "RFC 8997", "RFC 9325 §3.1.1")

OLD = ("TLSv1", "TLSv1.1")
"""The versions that RFC 8996 forbids."""


def check(subject: Subject) -> Iterator[Said]:
    """Look at what listeners and next hops with mandatory TLS can use."""
    found = tuple(each for each in uses(subject) if each.mandatory and old_ones(subject, each))
    for some in grouped(found, "protocols"):
        first = some[0]
        versions = [each for each in OLD if any(each in old_ones(subject, one) for one in some)]
        server = first.endpoint is not None
        verb = "is sent" if not server else "complete handshakes" if len(some) > 1 else "completes handshakes"
        yield Said(
            f"{together(some)} {verb} with {' and '.join(versions)}, although TLS is mandatory",
            "passwords and mail pass under versions whose signatures and digests are broken"
            if server
            else "mail, and a password for it, passes under a version that nobody should accept",
            place(subject, first),
            first.protocols.name,
            first.service,
            policy=POLICY,
            main=floor(subject, first.protocols.name),
            severity=_softer(subject, first),
        )


def _softer(subject: Subject, use: Use) -> Severity | None:
    if use.hop is not None and not use.protocols.is_set:
        return Severity.INFO
    return Severity.WARNING if pinned_below(subject, use) else None


def pinned_below(subject: Subject, use: Use) -> bool:
    """Whether a list is what the pinned guideline says, and that guideline has a floor below TLS 1.2."""
    via = use.protocols.origin.via.partition(",")[0]
    if not via or via != subject.guideline():
        return False
    try:
        minimum = guideline(via).minimum
    except KeyError:
        return False
    return bool(minimum) and PROTOCOLS.index(minimum) < PROTOCOLS.index("TLSv1.2")


def old_ones(subject: Subject, use: Use) -> tuple[str, ...]:
    """The old versions with which a handshake can succeed."""
    if use.endpoint is not None:
        return tuple(each for each in OLD if each in use.endpoint.protocols)
    if use.hop is None or use.hop.tls == "dane":
        return ()
    versions = tuple(each for each in OLD if each in use.hop.protocols)
    return versions if versions and any(_old(each) for each in client_suites(subject, use)) else ()


def _old(suite: Suite) -> bool:
    """Whether a suite is older than TLS 1.2."""
    return suite.minimum not in ("TLSv1.2", "TLSv1.3")
