"""A server's TLS level is one that only a client has.

What it does: looks for smtpd_tls_security_level = verify, secure, fingerprint, dane or dane-only where an smtpd reads
it. Measured on Postfix 3.7.11: smtpd warns of the first three and takes them for encrypt; of the others it dies.

Why it is bad: those levels say how a client checks a server. A server that is to check its clients' certificates asks
for them by smtpd_tls_ask_ccert or smtpd_tls_req_ccert; with a level nobody is checked, or nobody answers at all.

Wrong:

    # main.cf
    smtpd_tls_security_level = verify
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

Wrong:

    # main.cf
    smtpd_tls_security_level = dane
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

Right:

    # main.cf
    smtp_tls_security_level = dane
    smtp_dns_support_level = dnssec
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

References: postconf(5) smtpd_tls_security_level.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.tls import LEVELS
from mailcfg.configuration import Origin
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject

SEVERITY = Severity.ERROR
REFERENCES = ("postconf(5) smtpd_tls_security_level",)

SERVER = ("", "none", "may", "encrypt")
"""Levels of a server."""

FATAL = ("dane", "dane-only")
"""Levels of a client that smtpd dies of (src/smtpd/smtpd.c, pre_jail_init; measured)."""


def check(subject: Subject) -> Iterator[Said]:
    """Look at the level of each smtpd."""
    seen: set[Origin] = set()
    for endpoint, scope in subject.listeners():
        value = scope.value("smtpd_tls_security_level")
        level = (value.value or "").lower()
        if level in SERVER or level not in LEVELS or value.origin in seen:
            continue
        if scope.text("smtpd_tls_wrappermode").lower() == "yes":
            continue  # The level is not looked at then.
        seen.add(value.origin)
        fatal = level in FATAL
        yield Said(
            f"{value.value} is a level of a client: smtpd {'dies of it' if fatal else 'takes it for encrypt'}",
            "the port is open, and every connection to it ends without a greeting"
            if fatal
            else "nobody is let in without TLS, and nobody's certificate is checked",
            value.origin,
            "smtpd_tls_security_level",
            endpoint.service,
            policy='tls = "offered", or "required" for clients that log in',
            main="smtpd_tls_security_level = may, or encrypt for clients that log in",
        )
