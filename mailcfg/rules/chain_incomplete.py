"""A certificate is shown without the certificates that clients need to verify it.

What it does: looks at what follows each certificate of a server: the intermediates up to the root, in order. It is an
error where the certificate itself says that its issuer's can be fetched, which is so for every public authority, or
where the file holds others but not the issuer; a warning for a lone certificate of another authority, and for others
that stand in the wrong order or belong elsewhere; a note for the root.

Why it is bad: a client knows roots, not intermediates. Without them it cannot verify the server: mail programs show a
warning or refuse, and servers that insist on verification (MTA-STS, DANE with usage 2) do not deliver.

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com, root, intermediate

Right:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com, intermediate

Right:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com self-signed

References: RFC 8446 §4.4.2, postconf(5) smtpd_tls_cert_file.
"""

from __future__ import annotations

from binascii import Error, a2b_base64
from collections.abc import Iterator

from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.key_mismatch import identities

SEVERITY = Severity.ERROR
REFERENCES = ("RFC 8446 §4.4.2", "postconf(5) smtpd_tls_cert_file")

GRAVE = {
    "leaf only": Severity.WARNING,
    "issuer missing": Severity.ERROR,
    "wrong order": Severity.WARNING,
    "holds what is not part of it": Severity.WARNING,
    "includes root": Severity.INFO,
}
"""How grave each is that loading.Identity knows."""

WORDS = {
    "leaf only": "holds a certificate without the one of its issuer",
    "issuer missing": "holds other certificates, and not the one of its certificate's issuer",
    "wrong order": "holds its chain in the wrong order",
    "holds what is not part of it": "holds certificates that are not part of its chain",
    "includes root": "holds the root as well, which no client needs",
}

ISSUERS = bytes.fromhex("06082b06010505073002")
"""The object identifier id-ad-caIssuers in DER: where a certificate says that its issuer's can be fetched (RFC 5280
§4.2.2.1). A certificate that a root signed has it seldom.
"""


def check(subject: Subject) -> Iterator[Said]:
    """Look at the chains that listeners show."""
    for use, identity, name, origin in identities(subject):
        problem = identity.chain_problem
        if use.side != "smtpd" or identity.self_signed or problem not in GRAVE:
            continue
        severity = GRAVE[problem]
        if problem == "leaf only":
            scope = subject.scope(subject.service(use.service))
            if scope.text("smtpd_tls_CAfile") or scope.text("smtpd_tls_CApath"):
                continue  # OpenSSL adds what it finds there.
            if _names_issuers(subject.around.text(identity.file) or ""):
                severity = SEVERITY
        yield Said(
            f"{identity.file} {WORDS[problem]}",
            "each handshake is longer than it need be"
            if severity is Severity.INFO
            else "a client that does not have the missing ones already cannot verify the server"
            if problem in ("leaf only", "issuer missing")
            else "clients that take the chain as it comes cannot verify the server",
            origin,
            name,
            use.service,
            policy="certificate_file with the whole chain, leaf first (fullchain.pem)",
            main=f"{name}: a file with the certificate first, then each that signed the one before it",
            severity=severity,
        )


def _names_issuers(text: str) -> bool:
    """Whether the first certificate of a PEM file says where its issuer's can be fetched."""
    body = text.partition("-----BEGIN CERTIFICATE-----")[2].partition("-----END")[0]
    try:
        return ISSUERS in a2b_base64(body)
    except (Error, ValueError):
        return False
