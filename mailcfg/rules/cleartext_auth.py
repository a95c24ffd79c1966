"""Passwords are asked for in cleartext.

What it does: looks at what each listener announces before TLS. PLAIN and LOGIN hand the password over as it is, so one
that announces them outside TLS takes passwords that anybody on the path can read. A listener that only this machine
reaches is left alone.

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

from mailcfg.behaviour.model import Endpoint
from mailcfg.behaviour.reach import only_local
from mailcfg.configuration import Origin
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.mechanisms_undeclared import labels, needs

SEVERITY = Severity.ERROR
REFERENCES = ("RFC 4954 §4", "RFC 4616 §1", "postconf(5) smtpd_tls_auth_only")


def check(subject: Subject) -> Iterator[Said]:
    """Look at what each listener announces before TLS; one finding for each line that decides it."""
    found: dict[tuple[Origin, tuple[str, ...]], list[Endpoint]] = {}
    for endpoint in subject.behaviour.endpoints:
        if not endpoint.auth_before_tls:
            continue
        names = tuple(each for each in endpoint.auth_before_tls if needs(each) == "password")
        if not names or only_local(endpoint, subject.scope_of(endpoint)):
            continue
        at = subject.endpoint_place(endpoint, "smtpd_tls_auth_only", "smtpd_sasl_auth_enable")
        found.setdefault((at, names), []).append(endpoint)
    for (at, names), alike in found.items():
        yield Said(
            f"{labels(alike)} {'announces' if len(alike) == 1 else 'announce'} AUTH {' '.join(names)} without TLS",
            "anyone on the path reads the password",
            at,
            "smtpd_tls_auth_only",
            alike[0].service,
            policy='auth = "inside-tls"',
            main="smtpd_tls_auth_only = yes",
        )
