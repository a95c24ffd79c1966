"""A protocol list says two things at once, or leaves a gap.

What it does: looks for a list that both names versions and excludes some with `!`, and for one that leaves out a
version between two that it leaves on.

Why it is bad: one name without `!` turns off all that is not named, so that the exclusions beside it say nothing. And a
TLS client cannot have a gap: it offers the versions below the gap alone (measured with OpenSSL 3.0), so that
`!TLSv1.1` on the client leaves TLS 1.0 and nothing else.

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_protocols = !SSLv2, !SSLv3, TLSv1.2, TLSv1.3
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

Wrong:

    # main.cf
    smtp_tls_security_level = encrypt
    smtp_tls_mandatory_protocols = !SSLv2, !SSLv3, !TLSv1.1

Right:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_protocols = TLSv1.2, TLSv1.3
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    smtp_tls_security_level = encrypt
    smtp_tls_mandatory_protocols = !SSLv2, !SSLv3, !TLSv1, !TLSv1.1
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

References: postconf(5) smtpd_tls_protocols, postconf(5) smtp_tls_protocols.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.protocols import Protocols, protocols
from mailcfg.behaviour.tls import spoken
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.ssl_enabled import POLICY, by_list, floor, gap, place, together

SEVERITY = Severity.WARNING
REFERENCES = ("postconf(5) smtpd_tls_protocols", "postconf(5) smtp_tls_protocols")


def check(subject: Subject) -> Iterator[Said]:
    """Look at how the lists that hold are written."""
    for some in by_list(subject):
        first = some[0]
        read = protocols(first.protocols.text, subject.postfix)
        if not (read.included or read.excluded) or read.unknown is not None or not first.protocols.is_set:
            continue
        left = [each for each in read.versions if each in spoken(subject.openssl)]
        said = _said(first.protocols.name, read, left, client=first.hop is not None)
        if said is None:
            continue
        yield Said(
            f"{said[0]}: {together(some)}",
            said[1],
            place(subject, first),
            first.protocols.name,
            first.service,
            policy=POLICY,
            main=floor(subject, first.protocols.name),
        )


def _said(name: str, read: Protocols, left: list[str], *, client: bool) -> tuple[str, str] | None:
    """What is wrong with a list, and what it does."""
    below = left[: gap(left)]
    if len(below) < len(left):
        rest = " and ".join(left[len(below) :])
        return (
            f"{name} leaves {' and '.join(below)} and {rest} on, with a gap between them",
            f"smtp offers {' and '.join(below)} alone: a client cannot skip a version"
            if client
            else "a peer whose newest version is in the gap gets an older one, or none",
        )
    if read.included - {"SSLv2"} and read.excluded:
        return (
            f"{name} both names versions and excludes some",
            f"the names decide alone: {' and '.join(left) or 'nothing'} is on, and what is excluded was off already"
            if not read.excluded & read.included
            else "a version that is both named and excluded is off",
        )
    return None
