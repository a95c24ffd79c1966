"""A certificate has expired, expires soon, or is not valid yet.

What it does: looks at the times of each certificate that Postfix loads: a note from 30 days before the end, a warning
from 14, an error from 7; of one that lives shortly, when a third, a sixth and a twelfth of its life are left.

Why it is bad: clients that verify it stop connecting on that day. What is renewed automatically is renewed when a third
of its life is left, so one that has less left is not renewed.

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com days 5, intermediate

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com days -2, intermediate

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com days 100 lasts 90, intermediate

Right:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com days 60, intermediate

References: RFC 5280 §4.1.2.5.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.key_mismatch import identities

if TYPE_CHECKING:
    from mailcfg.certificates.loading import Identity

SEVERITY = Severity.ERROR
REFERENCES = ("RFC 5280 §4.1.2.5",)

DAY = 86400
LIMITS = ((7, 12, Severity.ERROR), (14, 6, Severity.WARNING), (30, 3, Severity.INFO))
"""Days before the end, or the part of its life, whichever is shorter."""


def check(subject: Subject) -> Iterator[Said]:
    """Look at the times of what could be read."""
    for use, identity, name, origin in identities(subject):
        told = _told(identity, subject.now)
        if told is None:
            continue
        words, severity = told
        client = use.side != "smtpd"
        yield Said(
            f"the certificate of {identity.file} {words}",
            f"{'servers' if client else 'clients'} that verify it "
            + ("turn it down" if severity is Severity.ERROR and "in" not in words.split() else "will turn it down"),
            origin,
            name,
            use.service,
            policy="certificates.NAME.issuer that renews it, and its script run again",
            main=f"renew {identity.file}, and reload Postfix",
            severity=severity,
        )


def _told(identity: Identity, now: float) -> tuple[str, Severity] | None:
    if now < identity.not_before:
        return f"is valid only in {_days(identity.not_before - now)}", Severity.ERROR
    left = identity.not_after - now
    if left < 0:
        return f"expired {_days(-left)} ago", Severity.ERROR
    life = identity.not_after - identity.not_before
    for days, part, severity in LIMITS:
        if left < min(days * DAY, life / part):
            return f"expires in {_days(left)}", severity
    return None


def _days(seconds: float) -> str:
    days = int(seconds // DAY)
    if days:
        return f"{days} day{'s' * (days != 1)}"
    hours = max(1, int(seconds // 3600))
    return f"{hours} hour{'s' * (hours != 1)}"
