"""A certificate is signed with a hash that can be forged.

What it does: looks at the signature of each certificate that a listener shows. It is a warning for a self-signed one,
whose signature nobody relies on.

Why it is bad: for MD5 and SHA-1 two certificates with one signature can be made. OpenSSL from security level 1 on, and
every browser and mail program, refuses such a signature, so that handshakes fail.

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem
    -----BEGIN PRIVATE KEY-----
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgFzcE98+uUa8cSSaU
    X1h6TxJ9f2sq0GSSB2HtbVopDqqhRANCAATfLpHVjkP6wbLqKrVWQOqJjWItqT0B
    LRio4xA8ZLJO2A2qlIvl7qfZFHKrreYZgSY/31GdxO7N8GXJoLKpHv2B
    -----END PRIVATE KEY-----
    -----BEGIN CERTIFICATE-----
    MIIBdjCCAR6gAwIBAgIBATAJBgcqhkjOPQQBMA4xDDAKBgNVBAMMA2xhYjAgFw0y
    NjExMjgxMzI5MDRaGA8yMTI1MDYyMjEzMjkwNFowGzEZMBcGA1UEAwwQbWFpbC5l
    eGFtcGxlLmNvbTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABN8ukdWOQ/rBsuoq
    tVZA6omNYi2pPQEtGKjjEDxksk7YDaqUi+Xup9kUcqut5hmBJj/fUZ3E7s3wZcmg
    sqke/YGjXzBdMBsGA1UdEQQUMBKCEG1haWwuZXhhbXBsZS5jb20wHQYDVR0OBBYE
    FJqttSVFwCb/zlUNIu7IfFhnIrZHMB8GA1UdIwQYMBaAFFfACp4GmhRpylRWRcuC
    QWsh/48cMAkGByqGSM49BAEDRwAwRAIgGkQqGTRV++Bw5AK4NezMP/RDl4D6hy4b
    09yfeUrfEkwCIDqeIeGtcOtPd4h55e6svjqYgX9vXXGIvUjDRD6p5jPa
    -----END CERTIFICATE-----

Right:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key rsa-3072, certificate mail.example.com sha256, intermediate

References: RFC 9325 §4.5, RFC 9155.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.key_mismatch import identities

SEVERITY = Severity.ERROR
REFERENCES = ("RFC 9325 §4.5", "RFC 9155")

WEAK = {"md2": "MD2", "md4": "MD4", "md5": "MD5", "sha1": "SHA-1"}
"""Hashes for which collisions were made."""


def check(subject: Subject) -> Iterator[Said]:
    """Look at the signatures of what could be read."""
    for use, identity, name, origin in identities(subject):
        weak = WEAK.get(identity.signature_hash)
        if weak is None:
            continue
        yield Said(
            f"the certificate of {identity.file} is signed with {weak}",
            "whoever verifies it today turns it down",
            origin,
            name,
            use.service,
            policy="certificates.NAME: the script signs with SHA-256",
            main=f"have {identity.file} signed again, with SHA-256",
            severity=Severity.WARNING if identity.self_signed else None,
        )
