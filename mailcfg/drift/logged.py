"""Settings that decide what is logged, or written into a message's header, and nothing that a client meets."""

from __future__ import annotations

LOGGED = frozenset(
    [
        *("smtpd_tls_loglevel", "smtp_tls_loglevel", "lmtp_tls_loglevel", "tlsproxy_tls_loglevel"),
        *("tlsproxy_client_loglevel", "syslog_name", "syslog_facility", "maillog_file"),
        *("smtp_tls_note_starttls_offer", "lmtp_tls_note_starttls_offer"),
        "smtpd_tls_received_header",
    ]
)
"""Source: postconf(5), each by its name."""

SECRETIVE = 2
"""The highest level of logging that shows nothing of what passes: 3 dumps the handshake, 4 all that follows STARTTLS,
passwords included (postconf(5), smtpd_tls_loglevel).
"""

WORDS = "only what is logged, or noted in a header, differs"


def only_logged(setting: str, *values: str | None) -> bool:
    """Whether a difference between these values is one of logging alone, and none that shows what passes."""
    if setting not in LOGGED:
        return False
    if not setting.endswith("loglevel"):
        return True
    return all(value is None or (value.isascii() and value.isdecimal() and int(value) <= SECRETIVE) for value in values)
