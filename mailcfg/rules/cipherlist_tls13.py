"""A cipher list holds suites of TLS 1.3, or nothing.

What it does: looks in the tls_*_cipherlist parameters for names such as TLS_AES_128_GCM_SHA256, and for an empty list.

Why it is bad: these lists are for TLS 1.2 and older; Postfix has no parameter for suites of TLS 1.3, which are all on.
OpenSSL passes over such names, and a list that has no others fails every handshake. With an empty list smtpd and smtp
die at their start, as soon as they use TLS.

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_ciphers = high
    tls_high_cipherlist = TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:ECDHE-ECDSA-AES128-GCM-SHA256
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    tls_medium_cipherlist =
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

Right:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_protocols = >=TLSv1.3
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

References: postconf(5) tls_medium_cipherlist, mozilla/ssl-config-generator#41.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.effective import default
from mailcfg.behaviour.tls import cipher_list
from mailcfg.behaviour.words import ciphers
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.cipherlist_unused import LISTS, selecting
from mailcfg.rules.ssl_enabled import assigned, uses

SEVERITY = Severity.ERROR
REFERENCES = ("postconf(5) tls_medium_cipherlist", "mozilla/ssl-config-generator#41")

SUITES = frozenset(
    f"TLS_{each}" for each in ("AES_128_GCM_SHA256", "AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256")
) | frozenset(
    f"TLS_{each}" for each in ("AES_128_CCM_SHA256", "AES_128_CCM_8_SHA256", "SHA256_SHA256", "SHA384_SHA384")
)
"""The suites of TLS 1.3 that OpenSSL knows (openssl-ciphers(1))."""


def check(subject: Subject) -> Iterator[Said]:
    """Look at what each list holds."""
    for service, name, _, origin in assigned(subject):
        if name not in LISTS:
            continue
        scope = subject.scope(subject.service(service) if service else None)
        value = scope.value(name)
        if value.value is None or value.origin != origin:
            continue
        if not value.value:
            if default(name, subject.postfix) and (uses(subject) or _tls(subject)):
                yield Said(
                    f"{name} is empty",
                    "whatever uses TLS dies at its start: no connection gets a greeting",
                    origin,
                    name,
                    service,
                    policy="remove it from [postfix.main]",
                    main=f"remove {name}",
                )
            continue
        names = [each for each in ciphers(value.value) if each.lstrip("!+-").upper() in SUITES]
        if not names or not uses(subject):
            continue
        nothing = bool(selecting(subject, name)) and bool(cipher_list(value.value, (), subject.openssl).wrong)
        yield Said(
            f"{name} has {names[0]}, which is a suite of TLS 1.3, and those cannot be chosen here",
            "nothing is left of the list, and every handshake fails"
            if nothing
            else "OpenSSL passes over it: every suite of TLS 1.3 is on, whatever the list says",
            origin,
            name,
            service,
            policy="tls.ciphers without it",
            main=f"{name} without {', '.join(names)}",
        )


def _tls(subject: Subject) -> bool:
    """Whether a listener would use TLS if smtpd did not die of it."""
    for _, scope in subject.listeners():
        level = scope.text("smtpd_tls_security_level").lower()
        wraps = scope.text("smtpd_tls_wrappermode").lower() == "yes"
        if level not in ("", "none") or wraps:
            return True
    return False
