"""Users can log in at the port where other servers deliver.

What it does: looks for AUTH on port 25 where the world reaches it and may deliver: not on the loopback interface, not
at a private address, and not where every stranger is turned away. AUTH inside TLS alone is a note: RFC 6409 gives
submission a port of its own, or a host of its own, and forbids nothing. AUTH outside TLS is a warning.

Why it is bad: port 25 must be open to everybody, so that whoever guesses passwords can do it there, where TLS cannot be
demanded and many networks do not let users through. Submission has its own ports, with rules of their own.

Wrong:

    # main.cf
    smtpd_sasl_auth_enable = yes
    smtpd_tls_security_level = may
    # sasl/smtpd.conf
    pwcheck_method: saslauthd
    mech_list: PLAIN LOGIN

Right:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # master.cf
    smtp inet n - n - - smtpd
    submissions inet n - n - - smtpd
      -o smtpd_tls_wrappermode=yes
      -o smtpd_sasl_auth_enable=yes
    # sasl/smtpd.conf
    pwcheck_method: saslauthd
    mech_list: PLAIN LOGIN
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

References: RFC 6409 §3.1, RFC 8314.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.reach import closed, only_local, private
from mailcfg.configuration import Origin
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject, label

SEVERITY = Severity.WARNING
REFERENCES = ("RFC 6409 §3.1", "RFC 8314")


def check(subject: Subject) -> Iterator[Said]:
    """Look at each port 25."""
    told: set[Origin] = set()
    for endpoint in subject.behaviour.endpoints:
        if endpoint.port != 25 or not (endpoint.auth_before_tls or endpoint.auth_after_tls):
            continue
        scope = subject.scope_of(endpoint)
        if only_local(endpoint, scope) or private(endpoint.address) or closed(scope):
            continue
        at = subject.endpoint_place(endpoint, "smtpd_sasl_auth_enable")
        if at in told:
            continue
        told.add(at)
        clear = bool(endpoint.auth_before_tls)
        yield Said(
            f"{label(endpoint)} offers AUTH{'' if clear else ' inside TLS'}, where everybody may deliver",
            "passwords can be guessed where nobody can be kept out"
            + (", and sent without TLS" if clear else ", and TLS cannot be demanded"),
            at,
            "smtpd_sasl_auth_enable",
            endpoint.service,
            policy='[mx] with auth = "never", and [submissions]',
            main="smtpd_sasl_auth_enable = no, and -o smtpd_sasl_auth_enable=yes below submission and submissions",
            severity=SEVERITY if clear else Severity.INFO,
        )
