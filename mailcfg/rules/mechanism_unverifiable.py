"""A mechanism is announced that nobody here can check.

What it does: looks for mechanisms other than PLAIN and LOGIN that are announced while pwcheck_method names saslauthd
alone. libsasl looks for their secrets in /etc/sasldb2 all the same: where smtpd cannot read it, or a policy names no
other backend, they can never succeed, which is an error; else it is a warning.

Why it is bad: saslauthd is handed a password, and a client never sends one by CRAM-MD5, DIGEST-MD5 or SCRAM. Many
clients prefer those to PLAIN, and every login by them is answered with 454 or 535, whatever the password is.

Wrong:

    # main.cf
    smtpd_sasl_auth_enable = yes
    # sasl/smtpd.conf
    pwcheck_method: saslauthd
    mech_list: PLAIN LOGIN CRAM-MD5

Right:

    # main.cf
    smtpd_sasl_auth_enable = yes
    # sasl/smtpd.conf
    pwcheck_method: saslauthd
    mech_list: PLAIN LOGIN

Right:

    # main.cf
    smtpd_sasl_auth_enable = yes
    # sasl/smtpd.conf
    pwcheck_method: auxprop
    auxprop_plugin: sasldb
    mech_list: SCRAM-SHA-256 PLAIN LOGIN

References: SASL_README, Cyrus SASL options pwcheck_method.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailcfg.behaviour.auth import SASLDB
from mailcfg.behaviour.surroundings import SaslConf
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.mechanisms_undeclared import (
    Reader,
    announced,
    chroot_of,
    maybe_a_copy,
    needs,
    place_of_mechanisms,
    readers,
    some,
    verifiers,
)

SEVERITY = Severity.ERROR
REFERENCES = ("SASL_README", "Cyrus SASL options pwcheck_method")

PASSWORD_VERIFIERS = frozenset({"saslauthd", "authdaemond", "pwcheck", "alwaystrue"})
"""Words of pwcheck_method whose verifiers are handed a password (libsasl's lib/checkpw.c)."""

OTHER_SOURCES = ("sql_", "ldapdb_")
"""How the settings begin without which the other auxprop plugins do nothing (libsasl's plugins/sql.c, ldapdb.c)."""


def check(subject: Subject) -> Iterator[Said]:
    """Look at what is announced beside PLAIN and LOGIN."""
    told: set[tuple[str, ...]] = set()
    for reader in readers(subject):
        names = [each for each in announced(reader.endpoint) if needs(each) == "secret"]
        key = (reader.conf.path, *names)
        if not names or key in told or not takes_passwords(reader.conf):
            continue
        told.add(key)
        never = has_secrets(subject, reader) is False
        daemon = verifiers(reader.conf)[0]
        they = "they never send" if len(names) > 1 else f"{names[0]} never sends"
        yield Said(
            f"{daemon} cannot check {some(names)}",
            f"{daemon} is handed a password, and {they} one: "
            + ("no such login succeeds" if never else "the secrets would have to be in /etc/sasldb2"),
            place_of_mechanisms(subject, reader),
            "mech_list",
            reader.service.id,
            policy='mechanisms = ["PLAIN", "LOGIN"], or backend = "sasldb"',
            main="mech_list: PLAIN LOGIN",
            severity=SEVERITY if never else Severity.WARNING,
        )


def takes_passwords(conf: SaslConf) -> bool:
    """Whether all that checks passwords needs to be handed one, and no other source of secrets is set up."""
    return (
        PASSWORD_VERIFIERS.issuperset(verifiers(conf))
        and "auxprop_plugin" not in conf.settings
        and not any(each.startswith(OTHER_SOURCES) for each in conf.settings)
    )


def has_secrets(subject: Subject, reader: Reader) -> bool | None:
    """Whether the auxprop plugins that libsasl takes by default find any secret; None where nobody can tell."""
    settings = reader.conf.settings
    if subject.is_policy:
        # Of a backend that a policy does not name nothing is set up.
        return False
    if reader.conf.unknown or maybe_a_copy(subject) or any(each.startswith(OTHER_SOURCES) for each in settings):
        return None
    path = settings["sasldb_path"].value if "sasldb_path" in settings else SASLDB
    return subject.around.sasldb(path, chroot=chroot_of(subject, reader)).ok
