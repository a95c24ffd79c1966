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
from ipaddress import ip_address, ip_network

from mailcfg.behaviour.effective import Scope
from mailcfg.behaviour.listening import LOOPBACK
from mailcfg.behaviour.model import Endpoint
from mailcfg.behaviour.words import listed
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject, label

SEVERITY = Severity.ERROR
REFERENCES = ("RFC 3207 §4", "postconf(5) smtpd_tls_security_level")

RESTRICTIONS = tuple(f"smtpd_{each}_restrictions" for each in ("client", "relay", "recipient"))
"""Lists that can turn all strangers away."""

OPENING = ("permit", "permit_auth_destination", "permit_mx_backup")
"""Restrictions that let a stranger in before a `reject` behind them (postconf(5))."""

PRIVATE = tuple(
    ip_network(each)
    for each in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "fc00::/7", "fe80::/10", "::1/128")
)
"""Networks that the world does not reach (RFC 1918, RFC 4193, RFC 4291)."""

ONLY_LOOPBACK = frozenset({"loopback-only", "localhost", "127.0.0.1", "::1", "[::1]"})
"""Words of inet_interfaces that only this machine reaches."""


def check(subject: Subject) -> Iterator[Said]:
    """Look for a port 25 that is open to all and demands TLS."""
    for endpoint in subject.behaviour.endpoints:
        if endpoint.port != 25 or not endpoint.works or endpoint.cleartext_mail:
            continue
        scope = subject.scope_of(endpoint)
        if only_local(endpoint, scope) or private(endpoint.address) or _closed(scope):
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


def only_local(endpoint: Endpoint, scope: Scope) -> bool:
    """Whether only this machine reaches an endpoint."""
    if endpoint.address:
        return endpoint.service.startswith(LOOPBACK)
    words = listed(scope.text("inet_interfaces").lower())
    return bool(words) and ONLY_LOOPBACK.issuperset(words)


def private(address: str) -> bool:
    """Whether an address is one of a private network. What a router forwards to it nobody can tell."""
    try:
        return bool(address) and any(ip_address(address) in network for network in PRIVATE)
    except ValueError:
        return False


def _closed(scope: Scope) -> bool:
    """Whether a list of restrictions ends in `reject` without a way in for strangers before it."""
    for name in RESTRICTIONS:
        for word in listed(scope.text(name)):
            if word in OPENING:
                break
            if word in ("reject", "defer"):
                return True
    return False
