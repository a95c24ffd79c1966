"""A dash in the chroot column of master.cf means yes here.

What it does: looks for listeners whose chroot column is a dash, where Postfix takes that for y: before Postfix 3.0, and
later on while main.cf has no compatibility_level, or one of 0.

Why it is bad: the dash means n in today's manual page, and y on this host. Inside the queue directory saslauthd's
socket, sasldb and the resolver's files are not where they are looked for, and with the day somebody sets
compatibility_level it all moves outside.

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    # master.cf
    smtp inet n - - - - smtpd

Right:

    # main.cf
    compatibility_level = 3.6
    smtpd_tls_security_level = may
    # master.cf
    smtp inet n - - - - smtpd

Right:

    # main.cf
    smtpd_tls_security_level = may
    # master.cf
    smtp inet n - n - - smtpd

References: master(5), COMPATIBILITY_README.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.listening import in_chroot
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject

SEVERITY = Severity.INFO
REFERENCES = ("master(5)", "COMPATIBILITY_README")


def check(subject: Subject) -> Iterator[Said]:
    """Look at the listeners of a master.cf; the compiler writes the column out."""
    if subject.is_policy or not subject.whole:
        return
    level = subject.main.text("compatibility_level")
    meant = [
        each
        for each in subject.services
        if each.chroot == "-"
        and (each.type == "inet" or each.command == "smtpd")
        and in_chroot(each, subject.postfix.series, level)
    ]
    if not meant:
        return
    rest = f", and so it does for {', '.join(each.id for each in meant[1:])}" if meant[1:] else ""
    yield Said(
        f"the dash in the chroot column of {meant[0].id} means y here{rest}",
        f"{'they run' if rest else 'it runs'} inside the queue directory, without the host's files and sockets",
        meant[0].origin,
        "compatibility_level",
        meant[0].id,
        main="y or n in that column",
    )
