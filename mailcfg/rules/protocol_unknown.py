"""A protocol list has a word that Postfix does not know.

What it does: reads the protocol list that holds for each listener and each way out as Postfix does, which gives up at
the first word that is no version: `TLSv1.4`, `TLS1.2`, `TLSv1_2`, `>=TLSv9`.

Why it is bad: Postfix turns TLS off, and only its log says so. STARTTLS stays announced and every use of it gets
"454 4.7.0 TLS not available" (measured on Postfix 3.7.11); the client finds no TLS with anybody.

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_protocols = >=TLSv9
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

Wrong:

    # main.cf
    smtp_tls_security_level = may
    smtp_tls_protocols = !SSLv2, !SSLv3, !TLS1.0

Right:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_protocols = >=TLSv1.2
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

References: postconf(5) smtpd_tls_protocols.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.protocols import protocols
from mailcfg.facts.guidelines import RANGES_SINCE
from mailcfg.facts.version import Version
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.ssl_enabled import POLICY, Use, by_list, floor, place, together

SEVERITY = Severity.ERROR
REFERENCES = ("postconf(5) smtpd_tls_protocols",)


def check(subject: Subject) -> Iterator[Said]:
    """Look for the word at which Postfix gives up."""
    for some in by_list(subject):
        first = some[0]
        word = protocols(first.protocols.text, subject.postfix).unknown
        if word is None or is_range(word, subject.postfix):
            continue
        yield Said(
            f"{first.protocols.name}: {word!r} is no protocol version, and Postfix turns TLS off for {together(some)}",
            without_tls(first),
            place(subject, first),
            first.protocols.name,
            first.service,
            policy=POLICY,
            main=floor(subject, first.protocols.name),
        )


def is_range(word: str, postfix: Version) -> bool:
    """Whether a word is unknown because that Postfix has no ranges yet."""
    return word[:2] in (">=", "<=") and postfix.series < RANGES_SINCE


def without_tls(use: Use) -> str:
    """What happens where Postfix turned TLS off although it is wanted."""
    if use.hop is not None:
        return f"no handshake begins: {client_fails(use)}"
    if use.endpoint is not None and not use.endpoint.works:
        return "every connection is closed at once"
    if use.mandatory:
        return "STARTTLS is announced and gets 454, and nothing else is let through"
    return "STARTTLS is announced and gets 454, and mail comes in cleartext"


def client_fails(use: Use) -> str:
    """What becomes of mail when no handshake succeeds. A peer that smtp has a password for gets nothing in clear.

    Source: src/smtp/smtp.h, PLAINTEXT_FALLBACK_OK_AFTER_STARTTLS_FAILURE.
    """
    if use.mandatory:
        return "no mail leaves"
    if use.hop is not None and use.hop.credentials:
        return "mail leaves in cleartext, or stays in the queue where a password is kept for the peer"
    return "mail leaves in cleartext"
