"""A protocol list has a range, and this Postfix is older than ranges.

What it does: looks for `>=` or `<=` in the protocol list that holds for a listener or a way out, where Postfix is older
than 3.6.

Why it is bad: to such a Postfix the word is no protocol version, and it turns TLS off: STARTTLS stays announced, and
every use of it gets "454 4.7.0 TLS not available".

Wrong:

    # postfix 3.5.25
    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_protocols = >=TLSv1.2
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

Right:

    # postfix 3.5.25
    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_protocols = !SSLv2, !SSLv3, !TLSv1, !TLSv1.1
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

References: postconf(5) smtpd_tls_protocols.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.protocols import protocols
from mailcfg.facts.guidelines import RANGES_SINCE
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.protocol_unknown import is_range, without_tls
from mailcfg.rules.ssl_enabled import POLICY, by_list, floor, place, together

SEVERITY = Severity.ERROR
REFERENCES = ("postconf(5) smtpd_tls_protocols",)


def check(subject: Subject) -> Iterator[Said]:
    """Look for a range where there are none yet."""
    if subject.postfix.series >= RANGES_SINCE:
        return
    for some in by_list(subject):
        first = some[0]
        word = protocols(first.protocols.text, subject.postfix).unknown
        if word is None or not is_range(word, subject.postfix):
            continue
        yield Said(
            f"{first.protocols.name}: Postfix {subject.postfix} does not know {word!r}, and turns TLS off for"
            f" {together(some)}",
            without_tls(first),
            place(subject, first),
            first.protocols.name,
            first.service,
            policy=POLICY,
            main=floor(subject, first.protocols.name),
        )
