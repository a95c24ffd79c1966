"""TLS begins at another moment than clients of that port expect.

What it does: looks for smtpd_tls_wrappermode on port 25 or 587, where clients begin with SMTP, and for a port 465
without it, where they begin with TLS. A port 465 behind a proxy, which may have taken TLS off, is not looked at.

Why it is bad: either side waits for the other to begin, and no client gets anywhere.

Wrong:

    # main.cf
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    smtpd_tls_wrappermode = yes
    # master.cf
    submission inet n - n - - smtpd
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

Wrong:

    # main.cf
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # master.cf
    submissions inet n - n - - smtpd
      -o smtpd_tls_security_level=encrypt
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

Right:

    # main.cf
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # master.cf
    submission inet n - n - - smtpd
      -o smtpd_tls_security_level=encrypt
    submissions inet n - n - - smtpd
      -o smtpd_tls_wrappermode=yes
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

References: RFC 8314 §3.3, postconf(5) smtpd_tls_wrappermode.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.model import Endpoint
from mailcfg.behaviour.reach import only_local
from mailcfg.configuration import Origin
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject, label

SEVERITY = Severity.ERROR
REFERENCES = ("RFC 8314 §3.3", "postconf(5) smtpd_tls_wrappermode")

STARTTLS = (25, 587)
"""Ports whose clients begin with SMTP (RFC 5321, RFC 6409)."""

IMPLICIT = 465
"""The port whose clients begin with TLS (RFC 8314 §7.3)."""


def check(subject: Subject) -> Iterator[Said]:
    """Hold smtpd_tls_wrappermode against the port."""
    early: dict[Origin, list[Endpoint]] = {}
    for endpoint in subject.behaviour.endpoints:
        if endpoint.port not in STARTTLS and endpoint.port != IMPLICIT:
            continue
        scope = subject.scope_of(endpoint)
        value = scope.value("smtpd_tls_wrappermode")
        wraps = (value.value or "").lower() == "yes"
        if wraps and endpoint.port != IMPLICIT:
            early.setdefault(value.origin, []).append(endpoint)
        elif (
            endpoint.port == IMPLICIT
            and not wraps
            and not scope.text("smtpd_upstream_proxy_protocol")
            and not only_local(endpoint, scope)
        ):
            yield Said(
                f"{label(endpoint)} waits for SMTP, and its clients begin with TLS",
                "no client gets as far as the greeting",
                subject.endpoint_place(endpoint, "smtpd_tls_wrappermode"),
                "smtpd_tls_wrappermode",
                endpoint.service,
                policy='[submissions] with tls = "implicit"',
                main=f"-o smtpd_tls_wrappermode=yes, below {endpoint.service.partition('/')[0]}",
            )
    for origin, endpoints in early.items():
        ports = ", ".join(label(each) for each in endpoints)
        begins, waits = ("begins", "its") if len(endpoints) == 1 else ("begin", "their")
        yield Said(
            f"{ports} {begins} with TLS, and {waits} clients with SMTP",
            "no client gets as far as the greeting",
            origin,
            "smtpd_tls_wrappermode",
            endpoints[0].service,
            policy='tls = "offered" for [mx], "required" for [submission]',
            main="smtpd_tls_wrappermode = no, and -o smtpd_tls_wrappermode=yes below the service of port 465",
        )
