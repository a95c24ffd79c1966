"""The smtpd.conf that was written is not the one that is read.

What it does: looks for cyrus_sasl_config_path where it has no effect, as on Debian 11 and 12; for an smtpd.conf in a
directory in which libsasl does not look, or behind another one that it finds first; and for a smtpd_sasl_path that is
no name of a file without .conf. An error where that file is all there is or where something points to it; a warning
where another is read that says something else.

Why it is bad: libsasl says nothing of a file that it does not find. It takes its defaults: /etc/sasldb2, and every
installed mechanism.

Wrong:

    # main.cf
    smtpd_sasl_auth_enable = yes
    cyrus_sasl_config_path = /etc/postfix/sasl2
    # /etc/postfix/sasl2/smtpd.conf
    pwcheck_method: saslauthd
    mech_list: PLAIN LOGIN

Wrong:

    # platform rhel-9
    # main.cf
    smtpd_sasl_auth_enable = yes
    # sasl/smtpd.conf
    pwcheck_method: saslauthd
    mech_list: PLAIN LOGIN

Wrong:

    # main.cf
    smtpd_sasl_auth_enable = yes
    smtpd_sasl_path = smtpd.conf
    # sasl/smtpd.conf
    pwcheck_method: saslauthd
    mech_list: PLAIN LOGIN

Right:

    # main.cf
    smtpd_sasl_auth_enable = yes
    cyrus_sasl_config_path = /etc/postfix/sasl
    # sasl/smtpd.conf
    pwcheck_method: saslauthd
    mech_list: PLAIN LOGIN

Right:

    # platform debian-13
    # main.cf
    smtpd_sasl_auth_enable = yes
    cyrus_sasl_config_path = /etc/postfix/sasl2
    # /etc/postfix/sasl2/smtpd.conf
    pwcheck_method: saslauthd
    mech_list: PLAIN LOGIN

References: SASL_README, postconf(5) cyrus_sasl_config_path, postconf(5) smtpd_sasl_path.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.configuration import Origin
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.mechanisms_undeclared import Reader, maybe_a_copy, readers
from mailcfg.rules.sasl_type_mismatch import names_a_file

SEVERITY = Severity.ERROR
REFERENCES = ("SASL_README", "postconf(5) cyrus_sasl_config_path", "postconf(5) smtpd_sasl_path")

SEARCHED_SOMEWHERE = (
    "/etc/sasl2",
    "/etc/sasl",
    "/usr/lib/sasl2",
    "/usr/lib64/sasl2",
    "/usr/lib/sasl",
    "/usr/lib/x86_64-linux-gnu/sasl2",
    "/usr/lib/aarch64-linux-gnu/sasl2",
    "/usr/local/lib/sasl2",
    "/usr/local/etc/sasl2",
)
"""Where libsasl of one platform or another looks for smtpd.conf (SASL_README, the files of facts/platforms)."""

SETTING = "cyrus_sasl_config_path"


def check(subject: Subject) -> Iterator[Said]:
    """Look at what each smtpd reads, and at what lies beside it."""
    told: set[Origin] = set()
    for reader in readers(subject):
        for said in (_name(subject, reader), _setting(subject, reader), _stray(subject, reader)):
            if said is None:
                continue
            if said.at not in told:
                told.add(said.at)
                yield said
            break


def _name(subject: Subject, reader: Reader) -> Said | None:
    """A smtpd_sasl_path that makes libsasl look for a file that nobody has."""
    path = reader.scope.text("smtpd_sasl_path")
    if reader.conf.path or not (path.endswith(".conf") or ("/" in path and names_a_file(path))):
        return None
    stem = path.rpartition("/")[2].removesuffix(".conf")
    return Said(
        f"smtpd_sasl_path = {path} makes libsasl look for {path}.conf",
        "it finds none, and takes its defaults: /etc/sasldb2 and every installed mechanism",
        subject.endpoint_place(reader.endpoint, "smtpd_sasl_path"),
        "smtpd_sasl_path",
        reader.service.id,
        policy=f'sasl.service = "{stem}"',
        main=f"smtpd_sasl_path = {stem}",
    )


def _setting(subject: Subject, reader: Reader) -> Said | None:
    """A cyrus_sasl_config_path without effect, that does not say what holds anyway."""
    value = reader.scope.value(SETTING)
    conf = reader.conf
    directories = [each.rstrip("/") for each in (value.value or "").split(":") if each]
    if subject.platform.sasl.config_path_honoured or not directories or conf.refused:
        return None
    name = f"{reader.scope.text('smtpd_sasl_path')}.conf"
    if conf.path.rpartition("/")[0] in directories or any(f"{each}/{name}" in conf.searched for each in directories):
        return None
    there = [each for each in directories if subject.around.status(f"{each}/{name}") is not None]
    lost = there or not (conf.path or conf.unknown)
    first = conf.path or (conf.searched[0] if conf.searched else "")
    return Said(
        f"{SETTING} has no effect on {subject.platform.title}",
        f"libsasl reads {conf.path}" if conf.path else f"libsasl looks for {first}, and takes its defaults without it",
        value.origin,
        SETTING,
        reader.service.id,
        policy=f"remove {SETTING} from [postfix.main]: the compiler knows where the file belongs",
        main=f"remove it, and put {name} into {first.rpartition('/')[0] or subject.platform.sasl.config_directory}",
        severity=SEVERITY if lost else Severity.WARNING,
    )


def _stray(subject: Subject, reader: Reader) -> Said | None:
    """An smtpd.conf in a place that is not searched, or that is searched later than the one that is read."""
    conf = reader.conf
    if subject.is_policy or conf.unknown or conf.refused:
        return None
    name = f"{reader.scope.text('smtpd_sasl_path')}.conf"
    own = subject.configuration.config_directory
    # Of a copy only what lies in it is its own.
    others = () if maybe_a_copy(subject) else (*SEARCHED_SOMEWHERE, *_named(subject, reader))
    for directory in (f"{own}/sasl", f"{own}/sasl2", own, *others):
        path = f"{directory}/{name}"
        if path == conf.path or subject.around.status(path) is None:
            continue
        if conf.path and _says_the_same(subject, conf.path, path):
            continue
        wanted = conf.path or (
            conf.searched[0] if conf.searched else f"{subject.platform.sasl.config_directory}/{name}"
        )
        return Said(
            f"{path} is not read",
            f"libsasl reads {conf.path}"
            if conf.path
            else f"libsasl looks for {wanted}, and takes its defaults without it",
            Origin(path, 0, 0, ""),
            "smtpd_sasl_path",
            reader.service.id,
            policy="drift tells of an smtpd.conf that hides the policy's",
            main=f"remove {path}" if conf.path else f"mv {path} {wanted}",
            severity=Severity.WARNING if conf.path else SEVERITY,
        )
    return None


def _named(subject: Subject, reader: Reader) -> tuple[str, ...]:
    value = reader.scope.text(SETTING)
    return tuple(each.rstrip("/") for each in value.split(":") if each)


def _says_the_same(subject: Subject, one: str, other: str) -> bool:
    """Whether two files have the same text, such as one that links to the other; also where nobody can tell."""
    texts = subject.around.text(one), subject.around.text(other)
    return None in texts or texts[0] == texts[1]
