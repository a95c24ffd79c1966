"""A key is too short, or of a kind that clients do not take.

What it does: looks at the kind and the size of the key of each certificate: RSA below 2048 bits and curves below 224
bits are an error, DSA and curves that TLS 1.3 does not have a warning, RSA below 3072 bits a note.

Why it is bad: a short key can be broken, and OpenSSL's security levels refuse it, so that handshakes fail. What TLS 1.3
does not have no client of today offers.

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key rsa-1024, certificate mail.example.com, intermediate

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-secp256k1, certificate mail.example.com, intermediate

Right:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com, intermediate

References: RFC 9325 §4.5, RFC 8446 §4.2.3.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.key_mismatch import identities, uses

SEVERITY = Severity.ERROR
REFERENCES = ("RFC 9325 §4.5", "RFC 8446 §4.2.3")

CURVES = frozenset(["secp256r1", "secp384r1", "secp521r1"])
"""Those for which TLS 1.3 has ECDSA signatures (RFC 8446 §4.2.3)."""


def check(subject: Subject) -> Iterator[Said]:
    """Look at the keys that are there, or that a policy wants."""
    if subject.is_policy:
        yield from _planned(subject)
        return
    for use, identity, name, origin in identities(subject):
        told = _weak(identity.algorithm, identity.key_bits, identity.curve)
        if told is None:
            continue
        words, severity = told
        yield Said(
            f"the key of {identity.file} is {words}",
            _effect(severity),
            origin,
            name,
            use.service,
            policy='certificates.NAME.key = "ecdsa-p256"',
            main=f"a new key for {identity.file}: ECDSA with P-256, or RSA with 3072 bits",
            severity=severity,
        )


def _planned(subject: Subject) -> Iterator[Said]:
    used = {each.file for use in uses(subject) for each in use.loaded.shown}
    for each in subject.configuration.certificates:
        kind, _, size = each.key_type.partition("-")
        if each.certificate_file not in used or kind != "rsa":
            continue
        told = _weak(kind, int(size), "")
        if told is not None:
            words, severity = told
            yield Said(
                f"the key of certificate {each.name} is {words}",
                _effect(severity),
                each.origin,
                policy=f'certificates.{each.name}.key = "ecdsa-p256" or "rsa-3072"',
                main="a new key: ECDSA with P-256, or RSA with 3072 bits",
                severity=severity,
            )


def _weak(algorithm: str, bits: int, curve: str) -> tuple[str, Severity] | None:
    match algorithm:
        case "rsa" | "rsapss" if bits < 2048:
            return f"RSA with {bits} bits", Severity.ERROR
        case "rsa" | "rsapss" if bits < 3072:
            return f"RSA with {bits} bits", Severity.INFO
        case "dsa":
            return f"DSA with {bits} bits", Severity.ERROR if bits < 2048 else Severity.WARNING
        case "ecdsa" if bits < 224:
            return f"on the curve {curve}, of {bits} bits", Severity.ERROR
        case "ecdsa" if curve and curve not in CURVES:
            return f"on the curve {curve}, which TLS 1.3 does not have for signatures", Severity.WARNING
    return None


def _effect(severity: Severity) -> str:
    if severity is Severity.ERROR:
        return "it can be broken, and clients with today's settings refuse it"
    if severity is Severity.WARNING:
        return "most clients cannot complete a handshake with it"
    return "it suffices today; for what has to stay secret beyond 2030, guidelines want 3072 bits"
