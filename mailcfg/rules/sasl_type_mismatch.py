"""The SASL implementation and its path do not belong together, or there is no such implementation.

What it does: looks at smtpd_sasl_type and smtpd_sasl_path where there is AUTH: `cyrus`, the default, with the path of a
socket; `dovecot` with the name of an smtpd.conf; any other word, which Postfix has not. A client that logs in knows
`cyrus` alone.

Why it is bad: with a socket for its name libsasl finds no smtpd.conf and takes its defaults, by which nobody can log
in. With the name of a file Postfix looks for a socket of Dovecot's in the queue directory. Of another word smtpd and
smtp die, and `postfix check` says nothing.

Wrong:

    # main.cf
    smtpd_sasl_auth_enable = yes
    smtpd_sasl_path = private/auth

Wrong:

    # main.cf
    smtpd_sasl_auth_enable = yes
    smtpd_sasl_type = dovecot

Wrong:

    # main.cf
    smtpd_sasl_auth_enable = yes
    smtpd_sasl_type = Dovecot
    smtpd_sasl_path = private/auth

Wrong:

    # main.cf
    relayhost = [smtp.example.net]:587
    smtp_tls_security_level = encrypt
    smtp_sasl_auth_enable = yes
    smtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd
    smtp_sasl_type = dovecot

Right:

    # main.cf
    smtpd_sasl_auth_enable = yes
    smtpd_sasl_type = dovecot
    smtpd_sasl_path = private/auth

Right:

    # main.cf
    smtpd_sasl_auth_enable = yes
    smtpd_sasl_type = cyrus
    smtpd_sasl_path = smtpd
    # sasl/smtpd.conf
    pwcheck_method: saslauthd
    mech_list: PLAIN LOGIN

References: SASL_README, postconf(5) smtpd_sasl_type, postconf(5) smtpd_sasl_path.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.effective import Scope
from mailcfg.configuration import Origin
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject, label

SEVERITY = Severity.ERROR
REFERENCES = ("SASL_README", "postconf(5) smtpd_sasl_type", "postconf(5) smtpd_sasl_path")

STEM = "smtpd"
"""smtpd_sasl_path by default: the smtpd.conf of Cyrus SASL."""


def check(subject: Subject) -> Iterator[Said]:
    """Look at each listener with AUTH, then at each way out that logs in."""
    told: set[Origin] = set()
    for endpoint, scope in subject.listeners():
        if scope.text("smtpd_sasl_auth_enable").lower() != "yes":
            continue
        wrong = _wrong(subject, scope)
        if wrong is None:
            continue
        message, effect, policy, main, names = wrong
        at = subject.endpoint_place(endpoint, *names, "smtpd_sasl_auth_enable")
        if at not in told:
            told.add(at)
            yield Said(
                f"{label(endpoint)}: {message}", effect, at, names[0], endpoint.service, policy=policy, main=main
            )
    for hop in subject.behaviour.outbound:
        service = subject.service(hop.service)
        side = service.command if service else "smtp"
        scope = subject.scope(service)
        value = scope.value(f"{side}_sasl_type")
        if value.value == "cyrus" or value.origin in told or scope.text(f"{side}_sasl_auth_enable").lower() != "yes":
            continue
        told.add(value.origin)
        yield Said(
            f"{side} has no SASL implementation {value.value!r}: a client knows cyrus alone",
            f"{side} dies of it: no mail leaves",
            value.origin,
            value.name,
            hop.service,
            policy=f"remove {value.name} from [postfix.main]",
            main=f"{value.name} = cyrus",
        )


def names_a_file(path: str) -> bool:
    """Whether a path means an smtpd.conf, and no socket."""
    return path.endswith(".conf") or path.rpartition("/")[2].startswith(STEM)


def _wrong(subject: Subject, scope: Scope) -> tuple[str, str, str, str, tuple[str, ...]] | None:
    """What does not fit: message, effect, the mending of a policy and of main.cf, and where to point."""
    kind, path = scope.text("smtpd_sasl_type"), scope.text("smtpd_sasl_path")
    names = ("smtpd_sasl_path", "smtpd_sasl_type")
    if kind == "cyrus":
        if "/" not in path or names_a_file(path):
            return None
        effect = f"libsasl finds no {path}.conf and takes its defaults: a password that Dovecot knows is refused"
        message = f"{path} is the path of a socket, and smtpd_sasl_type is cyrus"
        return message, effect, 'backend = "dovecot"', "smtpd_sasl_type = dovecot", names
    if kind == "dovecot":
        queue = scope.text("queue_directory") or subject.platform.postfix.queue_directory
        if path != STEM or subject.around.dovecot_socket(path, queue=queue, chroot="").ok:
            return None
        message = f"smtpd_sasl_type is dovecot, and {path} is no socket of Dovecot's"
        effect = "smtpd finds nobody to ask, and dies of having no mechanism: every connection ends"
        return message, effect, 'backend = "saslauthd"', "smtpd_sasl_path = private/auth", names
    message = f"Postfix has no SASL implementation {kind!r}"
    effect = "smtpd dies of it: the port is open, and every connection ends without a greeting"
    main = "smtpd_sasl_type = dovecot" if kind.lower() == "dovecot" else "smtpd_sasl_type = cyrus"
    return message, effect, "sasl.backend decides it", main, names[::-1]
