"""A server keeps TLS sessions in a database.

What it does: looks for smtpd_tls_session_cache_database where a listener has TLS, with a Postfix that has session
tickets.

Why it is bad: since Postfix 2.11 clients keep their sessions themselves, in tickets, and postconf(5) prefers that
parameter empty. The database serves clients without tickets alone, and holds the secrets of sessions on disk.

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    smtpd_tls_session_cache_database = btree:${data_directory}/smtpd_scache
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

Right:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    smtpd_tls_session_cache_database =
    smtp_tls_session_cache_database = btree:${data_directory}/smtp_scache
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

References: postconf(5) smtpd_tls_session_cache_database.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject

SEVERITY = Severity.INFO
REFERENCES = ("postconf(5) smtpd_tls_session_cache_database",)

NAME = "smtpd_tls_session_cache_database"

TICKETS_SINCE = (2, 11)
"""The Postfix series that prefers session tickets (postconf(5))."""


def check(subject: Subject) -> Iterator[Said]:
    """Look at main.cf alone: tlsmgr keeps the database, and an override of smtpd has no effect on it."""
    setting = subject.effective.main.get(NAME)
    if setting is None or not setting.value or subject.postfix.series < TICKETS_SINCE or not subject.main.text(NAME):
        return
    if any(endpoint.encrypts for endpoint in subject.behaviour.endpoints):
        yield Said(
            "TLS sessions of clients are kept in a database",
            "it serves clients without session tickets alone, and holds the secrets of sessions on disk",
            setting.origin,
            NAME,
            policy=f"remove {NAME} from [postfix.main]",
            main=f"{NAME} =",
        )
