"""Settings that decide what is logged, or written into a message's header, and nothing that a client meets."""

from __future__ import annotations

LOGGED = frozenset(
    [
        *("smtpd_tls_loglevel", "smtp_tls_loglevel", "lmtp_tls_loglevel", "tlsproxy_tls_loglevel"),
        *("tlsproxy_client_loglevel", "syslog_name"),
        *("smtp_tls_note_starttls_offer", "lmtp_tls_note_starttls_offer"),
        "smtpd_tls_received_header",
    ]
)
"""Source: postconf(5), each by its name. Not among them: syslog_facility and maillog_file, of which daemons die where
Postfix does not know the value, and smtpd_sasl_authenticated_header, which tells the world who logs in by which name.
"""

SECRETIVE = 2
"""The highest level of logging that shows nothing of what passes: 3 dumps the handshake, 4 all that follows STARTTLS,
passwords included (postconf(5), smtpd_tls_loglevel).
"""

WORDS = "only what is logged, or noted in a header, differs"


def only_logged(setting: str, *values: str | None) -> bool:
    """Whether a difference between these values is one of logging alone, and none that shows what passes."""
    if setting not in LOGGED:
        return False
    return all(value is None or _is_sound(setting, value) for value in values)


def _is_sound(setting: str, value: str) -> bool:
    """Whether daemons take a value, and tell no secret for it."""
    if setting.endswith("loglevel"):
        return value.isascii() and value.isdecimal() and len(value) < 9 and int(value) <= SECRETIVE
    if setting == "syslog_name":
        return bool(value.strip()) and "$" not in value.replace("$service_name", "")
    return value.lower() in ("yes", "no")
