"""A mechanism is announced that nobody here can check.

What it does: looks for mechanisms other than PLAIN and LOGIN that are announced while pwcheck_method names saslauthd
alone. libsasl looks for their secrets in /etc/sasldb2 all the same: where that cannot be read, or a policy names no
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

from mailcfg.behaviour.surroundings import SaslConf
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.mechanisms_undeclared import announced, needs, place_of_mechanisms, readers, some, verifiers

SEVERITY = Severity.ERROR
REFERENCES = ("SASL_README", "Cyrus SASL options pwcheck_method")

PASSWORD_VERIFIERS = frozenset({"saslauthd", "authdaemond", "pwcheck", "alwaystrue"})
"""Words of pwcheck_method whose verifiers are handed a password (libsasl's lib/checkpw.c)."""


def check(subject: Subject) -> Iterator[Said]:
    """Look at what is announced beside PLAIN and LOGIN."""
    told: set[tuple[str, ...]] = set()
    for reader in readers(subject):
        names = [each for each in announced(reader.endpoint) if needs(each) == "secret"]
        if not names or not takes_passwords(reader.conf):
            continue
        key = (reader.conf.path, *names)
        if key in told:
            continue
        told.add(key)
        chances = {
            each.name: each.succeeds for each in (*reader.endpoint.mechanisms_before, *reader.endpoint.mechanisms_after)
        }
        never = subject.is_policy or all(chances.get(each) is False for each in names)
        daemon = verifiers(reader.conf)[0]
        yield Said(
            f"{daemon} cannot check {some(names)}",
            f"{daemon} is handed a password, and {'they never send' if len(names) > 1 else f'{names[0]} never sends'} one"
            + (": no login by it succeeds" if never else ": the secrets would have to be in /etc/sasldb2"),
            place_of_mechanisms(subject, reader),
            "mech_list",
            reader.service.id,
            policy='mechanisms = ["PLAIN", "LOGIN"], or backend = "sasldb"',
            main="mech_list: PLAIN LOGIN",
            severity=SEVERITY if never else Severity.WARNING,
        )


def takes_passwords(conf: SaslConf) -> bool:
    """Whether all that checks passwords needs to be handed one, and no other source of secrets is set up."""
    return PASSWORD_VERIFIERS.issuperset(verifiers(conf)) and "auxprop_plugin" not in conf.settings
