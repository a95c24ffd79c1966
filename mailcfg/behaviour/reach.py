"""Whom a listener lets in: this machine alone, a private network, or the world."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

from mailcfg.behaviour.effective import Scope
from mailcfg.behaviour.listening import LOOPBACK
from mailcfg.behaviour.model import Endpoint
from mailcfg.behaviour.words import listed

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


def closed(scope: Scope) -> bool:
    """Whether a list of restrictions ends in `reject` without a way in for strangers before it."""
    for name in RESTRICTIONS:
        for word in listed(scope.text(name)):
            if word in OPENING:
                break
            if word in ("reject", "defer"):
                return True
    return False
