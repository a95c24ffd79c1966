"""A session can be set up without forward secrecy.

What it does: looks at listeners on which TLS is mandatory and that can negotiate a suite whose secret travels encrypted
to the RSA key of the certificate, as Postfix's own lists have them (16 of 71 with OpenSSL 3.0). Where TLS is optional
nothing is said, since a peer that shares no cipher goes on in cleartext.

Why it is bad: whoever gets the key of the certificate, years later too, reads every such session that was recorded; and
the padding of this exchange has been broken again and again (Bleichenbacher, ROBOT).

Wrong:

    # main.cf
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    smtpd_tls_mandatory_protocols = >=TLSv1.2
    # /etc/ssl/private/mail.pem = key rsa-2048, certificate mail.example.com
    # master.cf
    submission inet n - n - - smtpd
      -o smtpd_tls_security_level=encrypt

Wrong:

    # site.toml
    hostname = "mail.example.com"
    platform = "debian-12"

    [tls]
    guideline = "custom"
    minimum = "TLSv1.2"

    [certificates.mail]
    key = "rsa-3072"

    [submissions]

    [sasl]
    backend = "saslauthd"

Right:

    # main.cf
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    smtpd_tls_mandatory_protocols = >=TLSv1.2
    smtpd_tls_mandatory_exclude_ciphers = aNULL, kRSA
    # /etc/ssl/private/mail.pem = key rsa-2048, certificate mail.example.com
    # master.cf
    submission inet n - n - - smtpd
      -o smtpd_tls_security_level=encrypt

Right:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key rsa-2048, certificate mail.example.com

References: RFC 9325 §4.1.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.cipher_broken import deciding, judged
from mailcfg.rules.cipher_key_mismatch import loaded_of
from mailcfg.rules.ssl_enabled import Use, grouped, place, together, uses

SEVERITY = Severity.WARNING
REFERENCES = ("RFC 9325 §4.1",)


def check(subject: Subject) -> Iterator[Said]:
    """Look for the RSA key exchange where TLS is mandatory."""
    found = tuple(each for each in uses(subject) if each.mandatory and _static(subject, each))
    for some in grouped(found, "grade"):
        first = some[0]
        names = _static(subject, first)
        held = deciding(first)
        own = "smtpd_tls_mandatory_exclude_ciphers"
        others = first.scope.text(own)
        yield Said(
            f"{together(some)} {'accept' if len(some) > 1 else 'accepts'} {len(names)} suites without forward secrecy"
            f"{assumed(subject, first)}, such as {names[0]}",
            "whoever gets the key one day reads every such session that was recorded",
            place(subject, first, held),
            held.name,
            first.service,
            policy='a guideline in tls.guideline, such as "rfc9325"',
            main=f"{own} = {others}, kRSA" if others else f"{own} = aNULL, kRSA",
            severity=Severity.INFO if first.scope.value(held.name).origin.via else None,
        )


def assumed(subject: Subject, use: Use) -> str:
    """What to add where the key could not be read, and RSA is taken for granted."""
    loaded = loaded_of(subject, use.scope)
    return " with an RSA key" if loaded is not None and loaded.unknown else ""


def _static(subject: Subject, use: Use) -> tuple[str, ...]:
    if use.endpoint is None:
        return ()
    names = use.endpoint.suites.get("rsa")
    return judged(names, subject.openssl).static_rsa if names else ()
