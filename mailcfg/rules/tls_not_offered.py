"""A server has what TLS takes, and offers none; or it offers TLS and has no certificate.

What it does: looks for a port 25 without TLS although certificates are configured for it, because
smtpd_tls_security_level is empty, which is its default; and for listeners that announce STARTTLS, or begin with TLS,
without any certificate.

Why it is bad: an empty level means none, not may: all mail comes in clear. Without a certificate every STARTTLS gets
"454 TLS not available", after which a sender goes on in clear, or gives up.

Wrong:

    # main.cf
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

Wrong:

    # main.cf
    smtpd_tls_security_level = may

Right:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

Right:

    # main.cf
    smtpd_tls_security_level = none

References: postconf(5) smtpd_tls_security_level, postconf(5) smtpd_tls_chain_files.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.effective import Scope
from mailcfg.behaviour.model import Endpoint
from mailcfg.behaviour.reach import only_local
from mailcfg.behaviour.tls import CHAIN_FILES_SINCE
from mailcfg.configuration import Origin
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject, label

SEVERITY = Severity.ERROR
REFERENCES = ("postconf(5) smtpd_tls_security_level", "postconf(5) smtpd_tls_chain_files")

CERTIFICATES = ("smtpd_tls_chain_files", "smtpd_tls_cert_file", "smtpd_tls_eccert_file", "smtpd_tls_dcert_file")
"""Parameters that name a server's certificates (postconf(5))."""

SWITCHES = ("smtpd_tls_wrappermode", "smtpd_tls_security_level", "smtpd_use_tls", "smtpd_enforce_tls")
"""Parameters that turn TLS on."""


def check(subject: Subject) -> Iterator[Said]:
    """Hold the level of each listener against its certificates."""
    bare: dict[Origin, list[Endpoint]] = {}
    for endpoint in subject.behaviour.endpoints:
        if endpoint.encrypts:
            continue
        scope = subject.scope_of(endpoint)
        if endpoint.tls == "none" and endpoint.works:
            certificate = _certificate(scope) if endpoint.port == 25 and _level_is_empty(scope) else ""
            if certificate and not only_local(endpoint, scope):
                yield Said(
                    f"{label(endpoint)} has a certificate and offers no TLS: smtpd_tls_security_level is empty",
                    "every mail comes in clear",
                    subject.endpoint_place(endpoint, "smtpd_tls_security_level", certificate),
                    "smtpd_tls_security_level",
                    endpoint.service,
                    policy='[mx] with tls = "offered"',
                    main="smtpd_tls_security_level = may",
                )
        elif _wants(endpoint, scope) and not _certificate(scope):
            bare.setdefault(subject.endpoint_place(endpoint, *_deciding(scope)), []).append(endpoint)
    for origin, endpoints in bare.items():
        first = endpoints[0]
        one = len(endpoints) == 1
        yield Said(
            f"{', '.join(map(label, endpoints))} {'has' if one else 'have'} TLS turned on, and no certificate",
            "no handshake succeeds: clients go on in clear, or give up",
            origin,
            "smtpd_tls_chain_files" if subject.postfix.series >= CHAIN_FILES_SINCE else "smtpd_tls_cert_file",
            first.service,
            policy="[certificates.NAME], and tls.certificate where there is more than one",
            main="smtpd_tls_chain_files = KEY, CHAIN"
            if subject.postfix.series >= CHAIN_FILES_SINCE
            else "smtpd_tls_cert_file = CHAIN, smtpd_tls_key_file = KEY",
        )


def _certificate(scope: Scope) -> str:
    """The first parameter that names a certificate, or says `none`; empty where there is none."""
    for name in CERTIFICATES:
        if scope.text(name) and (name != "smtpd_tls_chain_files" or scope.postfix.series >= CHAIN_FILES_SINCE):
            return name
    return ""


def _level_is_empty(scope: Scope) -> bool:
    """Whether nothing turns TLS on or off."""
    value = scope.value("smtpd_tls_security_level").value
    older = (scope.text(name).lower() for name in ("smtpd_use_tls", "smtpd_enforce_tls"))
    return value == "" and scope.text("smtpd_tls_cert_file").lower() != "none" and "yes" not in older


def _wants(endpoint: Endpoint, scope: Scope) -> bool:
    """Whether a listener is to speak TLS and cannot."""
    return endpoint.tls == "broken" or scope.text("smtpd_tls_wrappermode").lower() == "yes"


def _deciding(scope: Scope) -> tuple[str, ...]:
    """The parameter that turns TLS on."""
    if scope.text("smtpd_tls_wrappermode").lower() == "yes":
        return SWITCHES[:1]
    if scope.text("smtpd_tls_security_level"):
        return SWITCHES[1:2]
    return tuple(name for name in SWITCHES[2:] if scope.text(name).lower() == "yes")
