"""A session can be set up with finite-field Diffie-Hellman, or with CBC.

What it does: looks at listeners on which TLS is mandatory and that can negotiate a TLS_DHE suite, or a suite that
encrypts by CBC and authenticates apart from that. It is a note; a warning where the policy pins a guideline that has
neither (Mozilla's from 5.8 on). What the pinned guideline has itself is left out.

Why it is bad: the group of TLS_DHE is the server's choice and may be too small, and its cost invites overload. CBC as
TLS does it has been attacked by timing again and again (Lucky Thirteen). Every client with TLS 1.2 has AES-GCM.

Wrong:

    # main.cf
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    smtpd_tls_mandatory_protocols = >=TLSv1.2
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com
    # master.cf
    submission inet n - n - - smtpd
      -o smtpd_tls_security_level=encrypt

Wrong:

    # site.toml
    hostname = "mail.example.com"
    platform = "debian-12"

    [tls]
    guideline = "mozilla-6.0-intermediate"

    [certificates.mail]
    key = "rsa-3072"

    [submissions]

    [sasl]
    backend = "saslauthd"

    [postfix.master."submissions/inet".options]
    smtpd_tls_mandatory_ciphers = "medium"

Right:

    # site.toml
    hostname = "mail.example.com"
    platform = "debian-12"

    [tls]
    guideline = "mozilla-5.7-intermediate"

    [certificates.mail]
    key = "rsa-3072"

    [submissions]

    [sasl]
    backend = "saslauthd"

Right:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key rsa-2048, certificate mail.example.com

References: RFC 9325 §4.1, RFC 9325 §4.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from mailcfg.facts.guidelines import guideline
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.cipher_broken import deciding, judged
from mailcfg.rules.cipher_static_rsa import assumed
from mailcfg.rules.ssl_enabled import Use, grouped, place, together, uses

SEVERITY = Severity.INFO
REFERENCES = ("RFC 9325 §4.1", "RFC 9325 §4.2")


def check(subject: Subject) -> Iterator[Said]:
    """Look for DHE and CBC where TLS is mandatory."""
    found = tuple(each for each in uses(subject) if each.mandatory and _weak(subject, each))
    for some in grouped(found, "grade"):
        first = some[0]
        weak = _weak(subject, first)
        held = deciding(first)
        yield Said(
            f"{together(some)} {'accept' if len(some) > 1 else 'accepts'} {len(weak)} suites of finite-field"
            f" Diffie-Hellman or CBC{assumed(subject, first)}, such as {weak[0]}",
            "sessions of clients that prefer these rest on weaker ground than they need to",
            place(subject, first, held),
            held.name,
            first.service,
            policy='a guideline in tls.guideline, such as "mozilla-6.0-intermediate"',
            main="smtpd_tls_mandatory_ciphers = high, with the suites of a guideline in tls_high_cipherlist",
            severity=Severity.WARNING if _forbids(subject.guideline()) else None,
        )


def _weak(subject: Subject, use: Use) -> tuple[str, ...]:
    if use.endpoint is None:
        return ()
    found: list[str] = []
    for kind, names in use.endpoint.suites.items():
        if kind != "anonymous":
            one = judged(names, subject.openssl)
            found += one.finite + tuple(each for each in one.cbc if each not in one.finite)
    if not found:
        return ()
    named = guideline_suites(subject.guideline())
    return tuple(each for each in found if each not in named)


@cache
def guideline_suites(name: str) -> frozenset[str]:
    """The suites of a guideline; none where there is no guideline of that name."""
    try:
        return frozenset(guideline(name).ciphers)
    except KeyError:
        return frozenset()


@cache
def _forbids(name: str) -> bool:
    """Whether a guideline of Mozilla has neither: from 5.8 on, but for the level `old`."""
    family, _, rest = name.partition("-")
    return family == "mozilla" and not rest.startswith("5.7") and not rest.endswith("old")
