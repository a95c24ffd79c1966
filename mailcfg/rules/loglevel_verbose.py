"""TLS is logged more verbosely than in normal operation.

What it does: looks for log levels of TLS of 2 and more.

Why it is bad: from 2 on, every session fills the log with steps of its handshake, and at 3 and 4 with dumps of what was
sent; what matters drowns, and at level 4 the log holds what was sent inside TLS. postconf(5): not to be used except in
case of problems.

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_loglevel = 3

Wrong:

    # site.toml
    hostname = "mail.example.com"
    platform = "debian-12"
    [tls]
    guideline = "mozilla-6.0-intermediate"
    log_level = 2
    [certificates.mail]
    [mx]

Right:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_loglevel = 1

References: postconf(5) smtpd_tls_loglevel.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject

SEVERITY = Severity.WARNING
REFERENCES = ("postconf(5) smtpd_tls_loglevel",)


def check(subject: Subject) -> Iterator[Said]:
    """Look at what is set for the server, the client and tlsproxy."""
    told: set[object] = set()
    for service, name, value, origin in subject.assigned():
        if not name.endswith("_tls_loglevel") or value in ("0", "1"):
            continue
        if "$" in value:
            value = subject.scope(subject.service(service) if service else None).text(name)
        # One key of a policy sets the server's level and the client's.
        if not value.isdecimal() or int(value) < 2 or (subject.is_policy and origin in told):
            continue
        told.add(origin)
        yield Said(
            f"{name} is {int(value)}",
            "the log fills with the handshakes of every session",
            origin,
            name,
            service,
            policy="tls.log_level = 1",
            main=f"{name} = 1",
        )
