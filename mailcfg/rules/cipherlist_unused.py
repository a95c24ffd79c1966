"""A cipher list is set, and nothing uses it.

What it does: looks for a tls_high_cipherlist, tls_medium_cipherlist or another of a grade that no listener and no way
out selects by its *_tls_ciphers or *_tls_mandatory_ciphers. Where policy tables cannot be read, or main.cf came without
its master.cf, nothing is said.

Why it is bad: the list looks like what is negotiated and is not. Mostly the grade was set by *_tls_mandatory_ciphers,
while TLS is optional and *_tls_ciphers decides, which is medium by default.

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_mandatory_ciphers = high
    tls_high_cipherlist = ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

Right:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_ciphers = high
    tls_high_cipherlist = ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

References: TLS_README, postconf(5) smtpd_tls_ciphers.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.cipher_broken import list_name
from mailcfg.rules.ssl_enabled import Use, assigned, together, uses

SEVERITY = Severity.WARNING
REFERENCES = ("TLS_README", "postconf(5) smtpd_tls_ciphers")

LISTS = {f"tls_{grade}_cipherlist": grade for grade in ("high", "medium", "low", "export", "null")}
"""Parameters with a cipher list, and its grade."""


def check(subject: Subject) -> Iterator[Said]:
    """Look for a list that no grade in force names."""
    for service, name, _, origin in assigned(subject):
        if name not in LISTS or origin.via or not _complete(subject):
            continue
        known = [each for each in uses(subject) if not service or each.service == service]
        if not known or any(list_name(each) == name for each in known) or _referred(subject, name):
            continue
        first = known[0]
        yield Said(
            f"{name} is set, and nothing selects the grade {LISTS[name]}",
            f"{together(known)} {'use' if len(known) > 1 else 'uses'} what {list_name(first) or 'no list'} says",
            origin,
            name,
            service,
            policy="remove it from [postfix.main]: the guideline sets the list and the grade that selects it",
            main=f"{first.grade.name} = {LISTS[name]}, or remove {name}",
        )


def _complete(subject: Subject) -> bool:
    """Whether everything is known that could select a grade."""
    if not subject.whole and not subject.is_policy:
        return False
    return not any(each.hop is not None and each.hop.unknown for each in uses(subject))


def _referred(subject: Subject, name: str) -> bool:
    """Whether another parameter takes its value from it, or tlsproxy has a grade of its own."""
    return any(
        name in value or (each.startswith("tlsproxy_tls_") and each.endswith("_ciphers"))
        for _, each, value, _ in subject.assigned()
    )


def selecting(subject: Subject, name: str) -> list[Use]:
    """What selects the grade of a list."""
    return [each for each in uses(subject) if list_name(each) == name]
