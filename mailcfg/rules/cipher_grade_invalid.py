"""A cipher grade is no grade, or one that nobody should ask for.

What it does: looks at the *_tls_ciphers and *_tls_mandatory_ciphers that hold: Postfix knows high, medium, low, export
and null, in any case. low and export are a warning: before Postfix 3.8 they bring in weaker ciphers, since then they
mean medium.

Why it is bad: the daemons start, and nothing is checked until a handshake: STARTTLS is answered with 220, and then the
connection is closed (measured on Postfix 3.7.11).

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_ciphers = strong
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

Wrong:

    # main.cf
    smtp_tls_security_level = may
    smtp_tls_ciphers = export

Right:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_ciphers = HIGH
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

References: postconf(5) smtpd_tls_mandatory_ciphers.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.tls import GRADES, LOW_IS_MEDIUM_SINCE
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.protocol_unknown import client_fails
from mailcfg.rules.ssl_enabled import Use, grouped, place, together, uses

SEVERITY = Severity.ERROR
REFERENCES = ("postconf(5) smtpd_tls_mandatory_ciphers",)

SOUND = ("high", "medium", "null")
"""Grades of which this rule says nothing."""


def check(subject: Subject) -> Iterator[Said]:
    """Look at the grades that hold."""
    found = tuple(each for each in uses(subject) if each.grade.is_set and each.grade.text.lower() not in SOUND)
    for some in grouped(found, "grade"):
        first = some[0]
        word = first.grade.text
        old = word.lower() in GRADES
        table = first.grade.name.endswith("_policy_maps")
        if not word and not table:
            continue  # An empty value is another matter: the daemon dies of it.
        since = ".".join(map(str, LOW_IS_MEDIUM_SINCE))
        if not old:
            effect = _fails(first)
        elif subject.postfix.series >= LOW_IS_MEDIUM_SINCE:
            effect = f"it means medium since Postfix {since}, and says something else"
        else:
            effect = "ciphers that can be broken are let in wherever OpenSSL still has them"
        yield Said(
            f"{first.grade.name}: {word!r} is {'a grade of another age' if old else 'no cipher grade'},"
            f" for {together(some)}",
            effect,
            place(subject, first, first.grade),
            first.grade.name,
            first.service,
            policy="remove it from [postfix.main]: the guideline sets the grade",
            main="ciphers=medium, or none" if table else f"{first.grade.name} = medium",
            severity=Severity.WARNING if old else None,
        )


def _fails(use: Use) -> str:
    if use.hop is not None:
        return f"every handshake fails: {client_fails(use)}"
    return "STARTTLS is answered with 220, and then the connection is closed"
