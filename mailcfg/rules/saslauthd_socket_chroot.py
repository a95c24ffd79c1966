"""smtpd looks for saslauthd's socket where it is not.

What it does: looks at the path of saslauthd's socket in smtpd.conf, which must end in /mux, and at smtpds that run in
the queue directory while the socket lies outside it. smtpd opens it after it has changed its root directory.

Why it is bad: libsasl cannot connect, and every password is answered with 454. `postfix check` says nothing, and
testsaslauthd, which runs outside, succeeds.

Wrong:

    # main.cf
    smtpd_sasl_auth_enable = yes
    # master.cf
    smtp inet n - y - - smtpd
    # sasl/smtpd.conf
    pwcheck_method: saslauthd
    mech_list: PLAIN LOGIN
    # /var/run/saslauthd/mux = socket

Wrong:

    # main.cf
    smtpd_sasl_auth_enable = yes
    # sasl/smtpd.conf
    pwcheck_method: saslauthd
    saslauthd_path: /var/run/saslauthd
    mech_list: PLAIN LOGIN

Right:

    # main.cf
    smtpd_sasl_auth_enable = yes
    # master.cf
    smtp inet n - y - - smtpd
    # sasl/smtpd.conf
    pwcheck_method: saslauthd
    saslauthd_path: /var/run/saslauthd/mux
    mech_list: PLAIN LOGIN
    # /var/spool/postfix/var/run/saslauthd/mux = socket

References: Cyrus SASL options saslauthd_path, saslauthd(8), master(5).
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.surroundings import Reach, SaslConf
from mailcfg.configuration import Origin
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject, label
from mailcfg.rules.mechanisms_undeclared import Reader, chroot_of, readers, verifiers
from mailcfg.rules.saslauthd_backend_cleartext import saslauthd_settings

SEVERITY = Severity.ERROR
REFERENCES = ("Cyrus SASL options saslauthd_path", "saslauthd(8)", "master(5)")

SOCKET = "/mux"
"""What saslauthd calls its socket, whatever its directory (saslauthd(8), ipc_unix.c)."""


def check(subject: Subject) -> Iterator[Said]:
    """Look at each smtpd that asks saslauthd. The compiler puts the two together."""
    if subject.is_policy:
        return
    told: set[tuple[Origin, str]] = set()
    for reader in askers(subject):
        mux, chroot = mux_of(subject, reader.conf), chroot_of(subject, reader)
        if not mux.endswith(SOCKET):
            if _reach(subject, reader, mux, chroot).ok:
                continue
            message = f"saslauthd_path is {mux}; saslauthd's socket is called {SOCKET[1:]}"
            said = _said(reader, message, f"saslauthd_path: {mux.rstrip('/')}{SOCKET}")
        elif chroot:
            outside = _outside(subject, reader, mux, chroot)
            if not outside:
                continue
            message = f"{label(reader.endpoint)} runs in {chroot}, and saslauthd's socket is at {outside}"
            said = _said(reader, message, f"saslauthd -m {chroot}{mux.removesuffix(SOCKET)}, or n in the chroot column")
        else:
            continue
        if (said.at, chroot) not in told:
            told.add((said.at, chroot))
            yield said


def askers(subject: Subject) -> Iterator[Reader]:
    """Every smtpd that announces AUTH and whose libsasl asks saslauthd."""
    for reader in readers(subject):
        endpoint, conf = reader.endpoint, reader.conf
        if conf.unknown or conf.refused or not (endpoint.auth_before_tls or endpoint.auth_after_tls):
            continue
        if "saslauthd" in verifiers(conf):
            yield reader


def mux_of(subject: Subject, conf: SaslConf) -> str:
    """Where libsasl looks for saslauthd's socket."""
    path = conf.settings.get("saslauthd_path")
    return path.value if path else f"{subject.platform.saslauthd.library_socket_directory}{SOCKET}"


def place_of_socket(reader: Reader) -> Origin:
    """Where the path of the socket is decided."""
    settings = reader.conf.settings
    found = settings.get("saslauthd_path") or settings.get("pwcheck_method")
    return found.origin if found else Origin(reader.conf.path, 0, 0, "")


def _reach(subject: Subject, reader: Reader, mux: str, chroot: str) -> Reach:
    return subject.around.saslauthd(mux, chroot=chroot, service=reader.service.id)


def _outside(subject: Subject, reader: Reader, mux: str, chroot: str) -> str:
    """The socket that lies outside a chroot while there is none inside; empty where that is not so."""
    inside = _reach(subject, reader, mux, chroot)
    if inside.ok is not False or not absent(inside):
        return ""
    around = _reach(subject, reader, mux, "")
    if around.ok or (around.ok is False and not absent(around)):
        return mux
    # saslauthd does not run now: what its own settings say of where it will be.
    directory = saslauthd_settings(subject).options.get("-m", "").rstrip("/")
    return f"{directory}{SOCKET}" if directory and not f"{directory}/".startswith(f"{chroot}/") else ""


def absent(reach: Reach) -> bool:
    """Whether there is no socket, rather than one that cannot be reached."""
    return reach.why.startswith("there is no socket")


def _said(reader: Reader, message: str, main: str) -> Said:
    return Said(
        message,
        "every password is answered with 454",
        place_of_socket(reader),
        "saslauthd_path",
        reader.service.id,
        policy="sasl.saslauthd.socket_directory, which the compiler fits to the chroot",
        main=main,
    )
