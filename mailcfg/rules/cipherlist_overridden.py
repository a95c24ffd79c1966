"""A cipher list of Postfix is replaced by one of nobody's.

What it does: looks for a tls_high_cipherlist or tls_medium_cipherlist that is in use and is neither from a pinned
guideline nor, suite by suite, the list of one that mailcfg knows. A list that a policy writes in tls.ciphers is a note.

Why it is bad: Postfix's lists move with Postfix and OpenSSL, a guideline's with its version. A list that was copied
once stays as it was; postconf(5) strongly advises not to change these.

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    tls_medium_cipherlist = EECDH+AESGCM:EDH+AESGCM:!aNULL
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

Right:

    # site.toml
    hostname = "mail.example.com"
    platform = "debian-12"

    [tls]
    guideline = "mozilla-6.0-intermediate"

    [certificates.mail]

    [submissions]

    [sasl]
    backend = "saslauthd"

References: postconf(5) tls_high_cipherlist, postconf(5) tls_medium_cipherlist.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from mailcfg.behaviour.words import ciphers
from mailcfg.facts.guidelines import guideline, guideline_names
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.cipherlist_unused import selecting
from mailcfg.rules.ssl_enabled import assigned, together

SEVERITY = Severity.WARNING
REFERENCES = ("postconf(5) tls_high_cipherlist", "postconf(5) tls_medium_cipherlist")

LISTS = ("tls_high_cipherlist", "tls_medium_cipherlist")
"""The parameters that postconf(5) advises to leave alone, and that grades of today select."""

CUSTOM = "custom"
"""The guideline of a policy that writes its own."""


def check(subject: Subject) -> Iterator[Said]:
    """Look for a list of nobody's."""
    for service, name, _, origin in assigned(subject):
        if name not in LISTS or origin.via not in ("", CUSTOM):
            continue
        some = [each for each in selecting(subject, name) if each.scope.value(name).origin == origin]
        if not some or _known(some[0].scope.text(name)):
            continue
        yield Said(
            f"{name} replaces Postfix's own list for {together(some)}",
            "it stays as it is while Postfix, OpenSSL and what clients have move on",
            origin,
            name,
            service,
            policy="a guideline in tls.guideline",
            main=f"remove {name}; what must not be used goes into *_tls_exclude_ciphers",
            severity=Severity.INFO if origin.via else None,
        )


def _known(value: str) -> bool:
    return frozenset(ciphers(value)) in _guidelines()


@cache
def _guidelines() -> frozenset[frozenset[str]]:
    lists = (guideline(name).ciphers for name in guideline_names())
    return frozenset(frozenset(each) for each in lists if each)
