"""Whatever SASL plugin is installed is announced.

What it does: looks for listeners with Cyrus SASL whose smtpd.conf has no mech_list, or that find no smtpd.conf at all,
and that announce more than PLAIN and LOGIN for that reason. With saslauthd, which can check no others, it is an error.

Why it is bad: on Debian that is ten mechanisms: five kinds of SCRAM, DIGEST-MD5, CRAM-MD5, NTLM, PLAIN and LOGIN. A
client takes the one it likes best, which is often one that cannot succeed or that is broken, and installing a package
changes what is offered.

Wrong:

    # main.cf
    smtpd_sasl_auth_enable = yes
    # sasl/smtpd.conf
    pwcheck_method: saslauthd

Wrong:

    # main.cf
    smtpd_sasl_auth_enable = yes

Wrong:

    # site.toml
    hostname = "mail.example.com"
    platform = "debian-12"
    [tls]
    guideline = "mozilla-6.0-intermediate"
    [certificates.mail]
    [submission]
    [submissions]
    [sasl]
    backend = "saslauthd"
    mechanisms = "all-installed"

Right:

    # main.cf
    smtpd_sasl_auth_enable = yes
    # sasl/smtpd.conf
    pwcheck_method: saslauthd
    mech_list: PLAIN LOGIN

Right:

    # main.cf
    smtpd_sasl_auth_enable = yes
    smtpd_sasl_mechanism_filter = plain, login
    # sasl/smtpd.conf
    pwcheck_method: saslauthd

References: SASL_README, Cyrus SASL options mech_list.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple
from weakref import WeakKeyDictionary

from mailcfg.behaviour.auth import DEFAULT_VERIFIER
from mailcfg.behaviour.effective import Scope
from mailcfg.behaviour.listening import in_chroot
from mailcfg.behaviour.model import Endpoint
from mailcfg.behaviour.surroundings import SaslConf
from mailcfg.configuration import Origin, Service
from mailcfg.facts.mechanisms import UNKNOWN, mechanisms
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject, label

SEVERITY = Severity.ERROR
REFERENCES = ("SASL_README", "Cyrus SASL options mech_list")


class Reader(NamedTuple):
    """An smtpd with AUTH by Cyrus SASL, and the smtpd.conf that it reads."""

    endpoint: Endpoint
    service: Service
    scope: Scope
    conf: SaslConf


_READERS: WeakKeyDictionary[Subject, tuple[Reader, ...]] = WeakKeyDictionary()


def check(subject: Subject) -> Iterator[Said]:
    """Look at every smtpd.conf without a mech_list."""
    told: set[object] = set()
    for reader in readers(subject):
        conf = reader.conf
        key = conf.path or conf.searched
        if "mech_list" in conf.settings or conf.unknown or conf.refused or key in told:
            continue
        others = [each for each in announced(reader.endpoint) if needs(each) != "password"]
        if not others or (not conf.path and _lies_elsewhere(subject)):
            continue
        told.add(key)
        name = f"{reader.scope.text('smtpd_sasl_path')}.conf"
        alike = [each.endpoint for each in readers(subject) if (each.conf.path or each.conf.searched) == key]
        yield Said(
            f"{name} {'has no mech_list' if conf.path else 'is not there'}: {labels(alike)} "
            f"{'announces' if len(alike) == 1 else 'announce'} every installed mechanism",
            f"clients may choose {some(others)}",
            place_of_mechanisms(subject, reader),
            "mech_list",
            reader.service.id,
            policy='mechanisms = ["PLAIN", "LOGIN"]',
            main=f"mech_list: PLAIN LOGIN (in {conf.path or name})",
            severity=SEVERITY if not conf.path or "auxprop" not in verifiers(conf) else Severity.WARNING,
        )


def _lies_elsewhere(subject: Subject) -> bool:
    """Whether there is an smtpd.conf, and only its place is wrong: that is a finding of its own."""
    from mailcfg.rules import smtpd_conf_unread

    return any(True for _ in smtpd_conf_unread.check(subject))


def readers(subject: Subject) -> tuple[Reader, ...]:
    """Every listener whose smtpd authenticates by Cyrus SASL, those included that die of it."""
    found = _READERS.get(subject)
    if found is None:
        found = _READERS[subject] = tuple(_readers(subject))
    return found


def _readers(subject: Subject) -> Iterator[Reader]:
    for endpoint in subject.behaviour.endpoints:
        service = subject.smtpd_of(endpoint)
        if service is None:
            continue
        scope = subject.scope(service)
        if scope.text("smtpd_sasl_auth_enable").lower() != "yes" or scope.text("smtpd_sasl_type") != "cyrus":
            continue
        path, config_path = scope.text("smtpd_sasl_path"), scope.text("cyrus_sasl_config_path")
        yield Reader(endpoint, service, scope, subject.around.sasl(service.id, path, config_path))


def announced(endpoint: Endpoint) -> tuple[str, ...]:
    """Every mechanism of an endpoint, before TLS or inside it, in the server's order."""
    if endpoint.auth_before_tls == endpoint.auth_after_tls:
        return endpoint.auth_after_tls
    return tuple(dict.fromkeys((*endpoint.auth_before_tls, *endpoint.auth_after_tls)))


def needs(mechanism: str) -> str:
    """What the server checks a client with."""
    return mechanisms().known.get(mechanism, UNKNOWN).needs


def verifiers(conf: SaslConf) -> list[str]:
    """The words of pwcheck_method, in small letters; libsasl's default where it is not set."""
    method = conf.settings.get("pwcheck_method")
    return method.value.lower().split() if method else [DEFAULT_VERIFIER]


def chroot_of(subject: Subject, reader: Reader) -> str:
    """The directory that an smtpd is confined to; empty for none."""
    level = reader.scope.text("compatibility_level")
    if not in_chroot(reader.service, subject.postfix.series, level):
        return ""
    return reader.scope.text("queue_directory") or subject.platform.postfix.queue_directory


def maybe_a_copy(subject: Subject) -> bool:
    """Whether live files stand elsewhere than they belong, so that what is around them may be on another machine."""
    usual = subject.platform.postfix.config_directory
    return not subject.is_policy and subject.configuration.config_directory != usual


def place_of_mechanisms(subject: Subject, reader: Reader) -> Origin:
    """Where the mechanisms are decided: mech_list, or the file that has none, or what makes libsasl look for one."""
    conf = reader.conf
    listing = conf.settings.get("mech_list")
    if listing is not None:
        return listing.origin
    if conf.settings:
        first = conf.settings.get("pwcheck_method") or next(iter(conf.settings.values()))
        return first.origin._replace(key="sasl.mechanisms") if subject.is_policy else first.origin
    if conf.path:
        return Origin(conf.path, 0, 0, "")
    return subject.endpoint_place(reader.endpoint, "smtpd_sasl_path", "smtpd_sasl_type", "smtpd_sasl_auth_enable")


def labels(endpoints: Iterable[Endpoint]) -> str:
    """What a person calls several endpoints."""
    return ", ".join(dict.fromkeys(label(each) for each in endpoints))


def some(names: list[str]) -> str:
    """Names in a sentence, the first three where there are more than four."""
    if len(names) > 4:
        return f"{', '.join(names[:3])} and {len(names) - 3} more"
    return " or ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
