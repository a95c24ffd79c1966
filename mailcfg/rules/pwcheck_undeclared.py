"""Nobody checks passwords, or whoever happens to be installed does.

What it does: looks at pwcheck_method and auxprop_plugin of an smtpd.conf: an error where no password can be checked,
because the database is not there, smtpd may not read it, or libsasl has no such verifier or plugin; also where
saslauthd_path is set and saslauthd is never asked. A file that says neither is a warning, and auxprop without a plugin
a note.

Why it is bad: without pwcheck_method libsasl takes auxprop, and without auxprop_plugin every plugin that is installed,
sasldb with its /etc/sasldb2 among them. What cannot be looked up is answered with 454 or 535, whatever the password.

Wrong:

    # main.cf
    smtpd_sasl_auth_enable = yes
    # sasl/smtpd.conf
    saslauthd_path: /var/run/saslauthd/mux
    mech_list: PLAIN LOGIN

Wrong:

    # main.cf
    smtpd_sasl_auth_enable = yes
    # sasl/smtpd.conf
    pwcheck_method: pam
    mech_list: PLAIN LOGIN

Wrong:

    # main.cf
    smtpd_sasl_auth_enable = yes
    # sasl/smtpd.conf
    pwcheck_method: auxprop
    auxprop_plugin: sasldb
    mech_list: PLAIN LOGIN
    # /etc/sasldb2 = text users, mode 0600

Right:

    # main.cf
    smtpd_sasl_auth_enable = yes
    # sasl/smtpd.conf
    pwcheck_method: auxprop
    auxprop_plugin: sasldb
    mech_list: PLAIN LOGIN
    # /etc/sasldb2 = text users, mode 0644

References: Cyrus SASL options pwcheck_method, Cyrus SASL options auxprop_plugin, SASL_README.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.auth import SASLDB
from mailcfg.configuration import Origin
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.mechanism_unverifiable import has_secrets
from mailcfg.rules.mechanisms_undeclared import Reader, chroot_of, maybe_a_copy, needs, readers, verifiers

SEVERITY = Severity.ERROR
REFERENCES = ("Cyrus SASL options pwcheck_method", "Cyrus SASL options auxprop_plugin", "SASL_README")


def check(subject: Subject) -> Iterator[Said]:
    """Look at every smtpd.conf that is read. One that is absent is mechanisms-undeclared."""
    told: set[str] = set()
    for reader in readers(subject):
        conf = reader.conf
        if not conf.path or conf.unknown or conf.refused or conf.path in told:
            continue
        words = verifiers(conf)
        if words == ["saslauthd"]:
            continue
        found = _wrong(subject, reader, words)
        if found is None:
            continue
        told.add(conf.path)
        message, effect, severity = found
        yield Said(
            message,
            effect,
            _place(reader),
            "pwcheck_method",
            reader.service.id,
            policy='sasl.backend = "saslauthd" or "sasldb"',
            main="pwcheck_method: saslauthd, or auxprop with auxprop_plugin: sasldb and a database that smtpd may read",
            severity=severity,
        )


def _wrong(subject: Subject, reader: Reader, words: list[str]) -> tuple[str, str, Severity] | None:
    """What is wrong with who checks passwords: message, effect and severity."""
    settings = reader.conf.settings
    every = (*reader.endpoint.mechanisms_before, *reader.endpoint.mechanisms_after)
    checked = {each.name: each for each in every if needs(each.name) in ("password", "secret")}
    if not checked:
        return None
    if "pwcheck_method" not in settings and "saslauthd_path" in settings:
        message = "saslauthd_path is set, and pwcheck_method is not: libsasl never asks saslauthd"
        return message, "it looks for passwords in /etc/sasldb2, or wherever a plugin has them", SEVERITY
    if "saslauthd" not in words:
        hopeless = [each for each in checked.values() if each.succeeds is False]
        if maybe_a_copy(subject):
            # The database on this machine may be another host's; what libsasl has not, it has nowhere.
            hopeless = [each for each in hopeless if each.why.startswith("libsasl has no password verifier")]
        passwords = [each for each in checked.values() if needs(each.name) == "password"]
        if hopeless and all(each in hopeless for each in passwords or checked.values()):
            return f"nobody can log in: {hopeless[0].why}", "a right password is refused like a wrong one", SEVERITY
    if "auxprop" not in words or "auxprop_plugin" in settings:
        return None
    if words == ["auxprop"] and has_secrets(subject, reader) is False:
        path = settings["sasldb_path"].value if "sasldb_path" in settings else SASLDB
        why = subject.around.sasldb(path, chroot=chroot_of(subject, reader)).why
        return f"nobody can log in: {why}", "a right password is refused like a wrong one", SEVERITY
    if "pwcheck_method" not in settings:
        message = f"{reader.conf.path.rpartition('/')[2]} does not say who checks passwords"
        return message, "libsasl asks every auxprop plugin that is installed", Severity.WARNING
    message = "auxprop_plugin is not set: libsasl asks every plugin that is installed"
    return message, "a package that is installed later has a say in who may log in", Severity.INFO


def _place(reader: Reader) -> Origin:
    settings = reader.conf.settings
    found = settings.get("pwcheck_method") or settings.get("saslauthd_path") or next(iter(settings.values()), None)
    return found.origin if found else Origin(reader.conf.path, 0, 0, "")
