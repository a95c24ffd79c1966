"""Submission on port 587 takes mail without TLS.

What it does: looks at port 587 where clients log in, and at whether anything but STARTTLS is answered before TLS.

Why it is bad: a client that is told that there is no STARTTLS goes on without it. Whoever can change what passes
removes it from the greeting, and reads the mail, and the password too where AUTH is offered outside TLS.

Wrong:

    # main.cf
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    smtpd_tls_security_level = may
    # master.cf
    submission inet n - n - - smtpd
      -o smtpd_sasl_auth_enable=yes
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com
    # sasl/smtpd.conf
    pwcheck_method: saslauthd
    mech_list: PLAIN LOGIN

Right:

    # main.cf
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    smtpd_tls_security_level = may
    # master.cf
    submission inet n - n - - smtpd
      -o smtpd_tls_security_level=encrypt
      -o smtpd_sasl_auth_enable=yes
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com
    # sasl/smtpd.conf
    pwcheck_method: saslauthd
    mech_list: PLAIN LOGIN

References: RFC 8314, postconf(5) smtpd_tls_security_level.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.model import Endpoint
from mailcfg.behaviour.reach import only_local
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject, label

SEVERITY = Severity.ERROR
REFERENCES = ("RFC 8314", "postconf(5) smtpd_tls_security_level")

PORT = 587
"""The port of submission (RFC 6409)."""


def check(subject: Subject) -> Iterator[Said]:
    """Look at what port 587 answers before TLS."""
    for endpoint in submissions(subject):
        if not endpoint.cleartext_mail:
            continue
        passwords = bool(endpoint.auth_before_tls)
        yield Said(
            f"{label(endpoint)} takes mail{' and passwords' if passwords else ''} without TLS",
            f"whoever removes STARTTLS from the greeting reads {'both' if passwords else 'what a client then sends'}",
            subject.endpoint_place(endpoint, "smtpd_tls_security_level"),
            "smtpd_tls_security_level",
            endpoint.service,
            policy='[submission] with tls = "required"',
            main=f"-o smtpd_tls_security_level=encrypt, below {endpoint.service.partition('/')[0]}",
        )


def submissions(subject: Subject) -> Iterator[Endpoint]:
    """The listeners on port 587 at which other machines log in."""
    for endpoint in subject.behaviour.endpoints:
        if endpoint.port == PORT and endpoint.works:
            scope = subject.scope_of(endpoint)
            if scope.text("smtpd_sasl_auth_enable").lower() == "yes" and not only_local(endpoint, scope):
                yield endpoint
