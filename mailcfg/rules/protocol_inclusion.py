"""A protocol list names what is allowed, and so turns newer versions off.

What it does: looks for a version in a protocol list without `!` or `>=` before it. Postfix then allows what is named
and nothing else. It is wrong where TLS 1.2 or 1.3, which this OpenSSL speaks, is neither named nor excluded on purpose.

Why it is bad: such a list was right when it was written and gets worse with every new version: TLS 1.3 stays off, and a
peer that insists on it finds no TLS here (measured on Postfix 3.7.11 with `!SSLv2,!SSLv3,!TLSv1,TLSv1.1,TLSv1.2`).

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_protocols = !SSLv2, !SSLv3, !TLSv1, TLSv1.1, TLSv1.2
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

Wrong:

    # main.cf
    smtp_tls_security_level = encrypt
    smtp_tls_mandatory_protocols = TLSv1.2

Right:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_protocols = >=TLSv1.2
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    smtp_tls_security_level = may
    smtp_tls_protocols = TLSv1.2, TLSv1.3
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

References: postconf(5) smtpd_tls_protocols, postconf(5) smtp_tls_mandatory_protocols.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.protocols import NUMBERS, Protocols, protocols
from mailcfg.behaviour.tls import spoken
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.ssl_enabled import POLICY, by_list, floor, place, together

SEVERITY = Severity.ERROR
REFERENCES = ("postconf(5) smtpd_tls_protocols", "postconf(5) smtp_tls_mandatory_protocols")

MODERN = ("TLSv1.2", "TLSv1.3")
"""The versions that RFC 9325 wants."""

TLS13_KNOWN_SINCE = (3, 4)
"""The Postfix series that can turn TLS 1.3 off; older patch releases of that time can too (postconf(5))."""


def check(subject: Subject) -> Iterator[Said]:
    """Look for inclusions that leave something newer out."""
    for some in by_list(subject):
        first = some[0]
        read = protocols(first.protocols.text, subject.postfix)
        if not read.included:
            continue
        named = sorted(read.included - {"SSLv2"}, key=lambda each: NUMBERS[each.lower()])
        out = [
            each
            for each in MODERN
            if each in spoken(subject.openssl)
            and _left_out(each, read)
            and (each != "TLSv1.3" or subject.postfix.series >= TLS13_KNOWN_SINCE)
        ]
        if read.unknown is not None or not named or not out:
            continue
        yield Said(
            f"{first.protocols.name} names {', '.join(named)}, which turns {' and '.join(out)} off for"
            f" {together(some)}",
            f"a peer that wants {out[-1]} gets an older version, or no TLS at all",
            place(subject, first),
            first.protocols.name,
            first.service,
            policy=POLICY,
            main=floor(subject, first.protocols.name),
        )


def _left_out(version: str, read: Protocols) -> bool:
    """Whether nothing but an inclusion of others turns a version off."""
    number = NUMBERS[version.lower()]
    bounded = number < read.floor or bool(read.ceiling and number > read.ceiling)
    return version not in read.included and version not in read.excluded and not bounded
