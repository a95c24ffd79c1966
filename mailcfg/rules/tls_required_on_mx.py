"""Port 25 takes mail from the world, and only inside TLS.

What it does: looks for a port 25 that answers nothing but STARTTLS, or that begins with TLS, and whose restrictions let
strangers in. One that listens on loopback or on a private address, or that turns all but its own clients away, is not
an MX.

Why it is bad: a server that has mail for an MX cannot know that TLS is wanted there, and one without it has no other
way to deliver. RFC 3207 forbids it for a server that others find by its MX record. DANE and MTA-STS are how a domain
makes senders use TLS.

Wrong:

    # main.cf
    smtpd_tls_security_level = encrypt
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

Wrong:

    # site.toml
    hostname = "mail.example.com"
    platform = "debian-12"

    [tls]
    guideline = "mozilla-6.0-intermediate"

    [certificates.mail]

    [mx]
    tls = "required"

Right:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

Right:

    # main.cf
    smtpd_tls_security_level = encrypt
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    smtpd_client_restrictions = permit_mynetworks, reject
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

References: RFC 3207 §4, postconf(5) smtpd_tls_security_level.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.reach import closed, only_local, private
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject, label

SEVERITY = Severity.ERROR
REFERENCES = ("RFC 3207 §4", "postconf(5) smtpd_tls_security_level")


def check(subject: Subject) -> Iterator[Said]:
    """Look for a port 25 that is open to all and demands TLS."""
    for endpoint in subject.behaviour.endpoints:
        if endpoint.port != 25 or not endpoint.works or endpoint.cleartext_mail:
            continue
        scope = subject.scope_of(endpoint)
        if only_local(endpoint, scope) or private(endpoint.address) or closed(scope):
            continue
        setting = "smtpd_tls_wrappermode" if endpoint.implicit else "smtpd_tls_security_level"
        if not scope.text(setting):
            setting = "smtpd_enforce_tls"
        yield Said(
            f"{label(endpoint)} takes mail from anyone, and only inside TLS",
            "a server that does not speak TLS cannot deliver here, and its mail goes back to the sender",
            subject.endpoint_place(endpoint, setting),
            setting,
            endpoint.service,
            policy='[mx] with tls = "offered"',
            main="smtpd_tls_security_level = may",
        )
