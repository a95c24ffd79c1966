"""A key exchange group is asked for that this Postfix or OpenSSL does not have.

What it does: looks for tls_ffdhe_auto_groups before Postfix 3.8 and tls_eecdh_auto_curves before 3.2, which do not
exist there; and for groups in their values that came with a later OpenSSL or Postfix, such as X25519MLKEM768. A name
with `?` before it says itself that it may be absent.

Why it is bad: the parameter or the name is passed over in silence, or with a line in the log. What was to protect
sessions against a quantum computer does not, and nobody is told.

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    tls_ffdhe_auto_groups = ffdhe2048
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    tls_eecdh_auto_curves = X25519MLKEM768 X25519 prime256v1
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

Right:

    # platform debian-13
    # postfix 3.10.13
    # main.cf
    smtpd_tls_security_level = may
    tls_eecdh_auto_curves = X25519MLKEM768 X25519 prime256v1
    tls_ffdhe_auto_groups = ffdhe2048
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

References: postconf(5) tls_eecdh_auto_curves, postconf(5) tls_ffdhe_auto_groups.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.words import ciphers
from mailcfg.facts.guidelines import FINITE_GROUPS_SINCE, GROUP_NEEDS, HYBRID_GROUPS_SINCE
from mailcfg.facts.version import Version
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.ssl_enabled import assigned, uses

SEVERITY = Severity.ERROR
REFERENCES = ("postconf(5) tls_eecdh_auto_curves", "postconf(5) tls_ffdhe_auto_groups")

SINCE = {"tls_eecdh_auto_curves": (3, 2), "tls_ffdhe_auto_groups": FINITE_GROUPS_SINCE}
"""The Postfix series that has each parameter (postconf(5))."""

_NEEDS = {name.lower(): (name, needed) for name, needed in GROUP_NEEDS.items()}


def check(subject: Subject) -> Iterator[Said]:
    """Look at the parameters with groups, and at the names in them."""
    for service, name, _, origin in assigned(subject):
        since = SINCE.get(name)
        if since is None or not uses(subject):
            continue
        text = subject.scope(subject.service(service) if service else None).text(name)
        if subject.postfix.series < since:
            yield Said(
                f"Postfix {subject.postfix} has no {name}, which came with {'.'.join(map(str, since))}",
                "it is passed over: the groups are those that Postfix or OpenSSL chooses",
                origin,
                name,
                service,
                policy="remove it from [postfix.main]: mailcfg sets what the target has",
                main=f"remove {name}",
            )
            continue
        unknown = {word: why for word in ciphers(text) if (why := missing(word, subject.postfix, subject.openssl))}
        if not unknown:
            continue
        kept = [word for word in ciphers(text) if word not in unknown]
        yield Said(
            f"{name}: {', '.join(unknown)} cannot be had: {next(iter(unknown.values()))}",
            "it is passed over, and sessions are set up without it",
            origin,
            name,
            service,
            policy="tls.groups without it, or a platform that has it",
            main=f"{name} = {' '.join(kept)}" if kept else f"remove {name}",
        )


def missing(word: str, postfix: Version, openssl: Version) -> str:
    """Why a group cannot be had; empty where it can, or may be absent (`?`), or is not known to us."""
    name, needed = _NEEDS.get(word.lstrip("*").lower(), ("", None))
    if needed is None:
        return ""
    if openssl < needed:
        return f"OpenSSL {openssl} is older than {needed}"
    if "MLKEM" in name and postfix.series < HYBRID_GROUPS_SINCE:
        return f"Postfix {postfix} is older than {'.'.join(map(str, HYBRID_GROUPS_SINCE))}"
    return ""
