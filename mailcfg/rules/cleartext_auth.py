"""Passwords are asked for in cleartext.

What it does: looks at what each listener announces before TLS. PLAIN and LOGIN hand the password over as it is, so one
that announces them outside TLS takes passwords that anybody on the path can read.

Why it is bad: anyone between client and server reads the password, and whoever can change what passes can remove
STARTTLS from the greeting, so that even clients that would have used it do not.

Wrong:

    # main.cf
    smtpd_sasl_auth_enable = yes
    smtpd_tls_security_level = may
    smtpd_tls_auth_only = no
    # sasl/smtpd.conf
    pwcheck_method: saslauthd
    mech_list: PLAIN LOGIN

Right:

    # main.cf
    smtpd_sasl_auth_enable = yes
    smtpd_tls_security_level = may
    smtpd_tls_auth_only = yes
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com
    # sasl/smtpd.conf
    pwcheck_method: saslauthd
    mech_list: PLAIN LOGIN

References: RFC 4954 §4, RFC 4616 §1, postconf(5) smtpd_tls_auth_only.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.facts.mechanisms import UNKNOWN, mechanisms
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject, label

SEVERITY = Severity.ERROR
REFERENCES = ("RFC 4954 §4", "RFC 4616 §1", "postconf(5) smtpd_tls_auth_only")


def check(subject: Subject) -> Iterator[Said]:
    """Look at what each listener announces before TLS."""
    known = mechanisms().known
    for endpoint in subject.behaviour.endpoints:
        open_ones = [name for name in endpoint.auth_before_tls if known.get(name, UNKNOWN).needs == "password"]
        if not open_ones:
            continue
        yield Said(
            f"{label(endpoint)} announces AUTH {' '.join(open_ones)} without TLS",
            "anyone on the path reads the password",
            subject.endpoint_place(endpoint, "smtpd_tls_auth_only", "smtpd_sasl_auth_enable"),
            "smtpd_tls_auth_only",
            endpoint.service,
            policy='auth = "inside-tls"',
            main="smtpd_tls_auth_only = yes",
        )
