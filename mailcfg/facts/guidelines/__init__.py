"""One guideline and level a file, and what each becomes on an older Postfix or OpenSSL."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from mailcfg import facts
from mailcfg.facts.version import Version

PROTOCOLS = ("SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
"""Protocol versions as Postfix spells them, oldest first."""

RANGES_SINCE = (3, 6)
"""The Postfix series that reads `>=TLSv1.2` (postconf(5), smtpd_tls_protocols)."""

EXCLUSIONS_SINCE = (2, 5)
"""The Postfix series that reads `!SSLv2` (postconf(5), smtpd_tls_mandatory_protocols)."""

FIRST_PROTOCOLS = ("SSLv2", "SSLv3", "TLSv1")
"""The protocol names of the Postfix before that."""

OPENSSL_NEEDED = {"TLSv1.1": Version(1, 0, 1), "TLSv1.2": Version(1, 0, 1), "TLSv1.3": Version(1, 1, 1)}
"""The OpenSSL that first spoke a protocol version (its CHANGES file)."""

GROUP_NEEDS = {
    "X25519": Version(1, 1, 0),
    "X448": Version(1, 1, 1),
    "X25519MLKEM768": Version(3, 5, 0),
    "SecP256r1MLKEM768": Version(3, 5, 0),
    "SecP384r1MLKEM1024": Version(3, 5, 0),
}
"""The OpenSSL that first knew a group (its CHANGES file); the NIST curves are older than all that matter."""

FINITE_GROUPS_SINCE = (3, 8)
"""The Postfix series with tls_ffdhe_auto_groups."""

OLD_GROUPS = {"prime256v1", "secp384r1", "secp521r1", "ffdhe2048", "ffdhe3072", "ffdhe4096", "ffdhe6144", "ffdhe8192"}
"""Groups that every OpenSSL of today knows."""

HYBRID_GROUPS_SINCE = (3, 10)
"""The Postfix series that hands group names to OpenSSL as they are: before, a name without a NID is a warning."""


class Guideline(NamedTuple):
    """What a guideline asks. `minimum` is a protocol version or empty for Postfix's own choice; `ciphers` are OpenSSL
    names up to TLS 1.2; `opportunistic` names the guideline that holds where TLS is optional.
    """

    id: str
    title: str
    minimum: str
    ciphers: tuple[str, ...]
    ciphersuites: tuple[str, ...]
    groups: tuple[str, ...]
    server_preference: bool | None
    certificate_types: tuple[str, ...]
    maximum_lifetime_days: int
    recommended_lifetime_days: int
    opportunistic: str = ""


@cache
def guideline(name: str) -> Guideline:
    """One guideline. Raises KeyError when it is unknown."""
    data = facts.read("guidelines", name)
    data.pop("sources")
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
    return Guideline(**values)


def guideline_names() -> list[str]:
    """Identifiers of all guidelines, sorted."""
    return facts.names("guidelines")


def protocol_list(minimum: str, postfix: Version) -> str:
    """The value of a protocols parameter that allows `minimum` and newer: a range, exclusions before Postfix 3.6, and
    before 2.5 the protocols themselves.
    """
    if postfix.series >= RANGES_SINCE:
        return f">={minimum}"
    if postfix.series < EXCLUSIONS_SINCE:
        return ", ".join(protocol for protocol in PROTOCOLS[PROTOCOLS.index(minimum) :] if protocol in FIRST_PROTOCOLS)
    return ", ".join(f"!{protocol}" for protocol in PROTOCOLS[: PROTOCOLS.index(minimum)])


def known_groups(groups: tuple[str, ...], postfix: Version, openssl: Version) -> tuple[str, ...]:
    """Those of the groups that this Postfix with this OpenSSL can use."""
    return tuple(
        group
        for group in groups
        if (group in OLD_GROUPS or (group in GROUP_NEEDS and openssl >= GROUP_NEEDS[group]))
        and ("MLKEM" not in group or postfix.series >= HYBRID_GROUPS_SINCE)
        and (not group.startswith("ffdhe") or postfix.series >= FINITE_GROUPS_SINCE)
    )
