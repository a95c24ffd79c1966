"""Clients can submit mail by STARTTLS only.

What it does: looks for a listener on port 587 at which clients log in, without one beside it that begins with TLS.

Why it is bad: RFC 8314 asks servers for both ports, and prefers 465. What begins with TLS has no cleartext part in
which an attacker can remove STARTTLS or add commands, and a client set to it never falls back.

Wrong:

    # main.cf
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    smtpd_sasl_path = smtpd
    # master.cf
    submission inet n - n - - smtpd
      -o smtpd_tls_security_level=encrypt
      -o smtpd_sasl_auth_enable=yes
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com
    # sasl/smtpd.conf
    pwcheck_method: saslauthd
    mech_list: PLAIN LOGIN

Wrong:

    # site.toml
    hostname = "mail.example.com"
    platform = "debian-12"

    [tls]
    guideline = "mozilla-6.0-intermediate"

    [certificates.mail]

    [submission]

    [sasl]
    backend = "saslauthd"

Right:

    # site.toml
    hostname = "mail.example.com"
    platform = "debian-12"

    [tls]
    guideline = "mozilla-6.0-intermediate"

    [certificates.mail]

    [submission]
    [submissions]

    [sasl]
    backend = "saslauthd"

References: RFC 8314 §3.3.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject, label
from mailcfg.rules.submission_without_tls import submissions

SEVERITY = Severity.WARNING
REFERENCES = ("RFC 8314 §3.3",)


def check(subject: Subject) -> Iterator[Said]:
    """Look for submission without a listener that begins with TLS."""
    first = next(submissions(subject), None)
    if first is None or first.implicit:
        return
    for endpoint, scope in subject.listeners():
        if endpoint.port == 465 or scope.text("smtpd_tls_wrappermode").lower() == "yes":
            return
    yield Said(
        f"clients submit mail at {label(first)}, and there is no port 465",
        "every client begins in cleartext, where an attacker can hide STARTTLS from it",
        subject.endpoint_place(first),
        "smtpd_tls_wrappermode",
        first.service,
        policy="[submissions]",
        main=f"{subject.platform.postfix.submissions_service} inet n - y - - smtpd, with -o smtpd_tls_wrappermode=yes",
    )
