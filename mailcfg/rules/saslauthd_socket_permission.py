"""smtpd may not reach saslauthd's socket.

What it does: looks at the directories above saslauthd's socket, as far as they are on this machine: the socket itself
is open to all, and it is its directory that decides. smtpd opens it as the user of the mail system.

Why it is bad: the log says "Permission denied", and every password is answered with 454, right or wrong. On Debian the
directory belongs to the group sasl, and nothing puts postfix into it.

Wrong:

    # main.cf
    smtpd_sasl_auth_enable = yes
    # sasl/smtpd.conf
    pwcheck_method: saslauthd
    mech_list: PLAIN LOGIN
    # /var/run/saslauthd = directory, mode 0700
    # /var/run/saslauthd/mux = socket

Right:

    # main.cf
    smtpd_sasl_auth_enable = yes
    # sasl/smtpd.conf
    pwcheck_method: saslauthd
    mech_list: PLAIN LOGIN
    # /var/run/saslauthd = directory, mode 0711
    # /var/run/saslauthd/mux = socket

References: saslauthd(8), SASL_README.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.configuration import Origin
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.mechanisms_undeclared import chroot_of, maybe_a_copy
from mailcfg.rules.saslauthd_socket_chroot import absent, askers, mux_of, place_of_socket

SEVERITY = Severity.ERROR
REFERENCES = ("saslauthd(8)", "SASL_README")


def check(subject: Subject) -> Iterator[Said]:
    """Look at the way to the socket. A policy's steps open it."""
    if subject.is_policy or maybe_a_copy(subject):
        return
    told: set[tuple[Origin, str]] = set()
    for reader in askers(subject):
        mux, chroot = mux_of(subject, reader.conf), chroot_of(subject, reader)
        reach = subject.around.saslauthd(mux, chroot=chroot, service=reader.service.id)
        at = place_of_socket(reader)
        if reach.ok is not False or absent(reach) or (at, chroot) in told:
            continue
        told.add((at, chroot))
        directory = f"{chroot}{mux}".rpartition("/")[0]
        join = subject.platform.commands.join_saslauthd_group
        yield Said(
            f"smtpd cannot reach saslauthd: {reach.why}",
            "every password is answered with 454",
            at,
            "saslauthd_path",
            reader.service.id,
            policy="take the steps that the bundle lists",
            main=f"{join}, and a restart of Postfix" if join else f"chgrp postfix {directory}, and chmod 0710",
        )
