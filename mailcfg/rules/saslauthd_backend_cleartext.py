"""saslauthd sends passwords on without encryption.

What it does: reads saslauthd's own settings where an smtpd asks it: rimap to another host, which is never encrypted,
and ldap with an ldap:// address of another host without ldap_start_tls. The host itself is no other one.

Why it is bad: TLS between client and smtpd ends here, and the password goes on in clear over the network behind it.

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
    [sasl.saslauthd]
    mechanism = "rimap"
    [sasl.saslauthd.rimap]
    host = "imap.example.com"

Wrong:

    # main.cf
    smtpd_sasl_auth_enable = yes
    # sasl/smtpd.conf
    pwcheck_method: saslauthd
    mech_list: PLAIN LOGIN
    # /etc/default/saslauthd
    START=yes
    MECHANISMS="ldap"
    OPTIONS="-c -m /var/run/saslauthd"
    # /etc/saslauthd.conf
    ldap_servers: ldap://ldap.example.com
    ldap_search_base: dc=example,dc=com

Right:

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
    [sasl.saslauthd]
    mechanism = "rimap"
    [sasl.saslauthd.rimap]
    host = "127.0.0.1"

Right:

    # main.cf
    smtpd_sasl_auth_enable = yes
    # sasl/smtpd.conf
    pwcheck_method: saslauthd
    mech_list: PLAIN LOGIN
    # /etc/default/saslauthd
    START=yes
    MECHANISMS="ldap"
    OPTIONS="-c -m /var/run/saslauthd"
    # /etc/saslauthd.conf
    ldap_servers: ldap://ldap.example.com
    ldap_start_tls: yes
    ldap_search_base: dc=example,dc=com

References: SASL_README, saslauthd(8), Cyrus SASL LDAP_SASLAUTHD.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import NamedTuple

from mailcfg.configuration import Origin
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.mechanisms_undeclared import maybe_a_copy, readers, verifiers

SEVERITY = Severity.ERROR
REFERENCES = ("SASL_README", "saslauthd(8)", "Cyrus SASL LDAP_SASLAUTHD")

MECHANISM_KEYS = ("MECHANISMS", "MECH", "SASLAUTHD_AUTHMECH")
"""What the platforms' settings call saslauthd's -a (Debian, Red Hat, SUSE)."""

OPTION_KEYS = ("OPTIONS", "FLAGS", "SASLAUTHD_PARAMS", "SASLAUTHD_OPTS", "saslauthd_flags")
"""What they call its other options (the last two: Alpine and Arch, FreeBSD)."""

FURTHER_KEYS = {"MECH_OPTIONS": "-O", "SOCKETDIR": "-m"}
"""Settings that stand for one option (Debian, Red Hat)."""

WITH_ARGUMENT = "aOHmnst"
"""saslauthd's options that take a word (saslauthd(8))."""

SWITCHED_ON = ("1", "y", "on", "t")
"""How words begin that saslauthd takes for yes in its settings of LDAP, where capitals are no (lak.c)."""

_ASSIGNMENT = re.compile(r"^[ \t]*(?:export[ \t]+)?([A-Za-z_]+)=(.*)$")
_LDAP = re.compile(r"ldap://(\[[^\]]*\]|[^:/?\s]*)", re.IGNORECASE)


class Settings(NamedTuple):
    """saslauthd's settings: what it asks, its options by letter, and the line in which each stands."""

    mechanism: str
    options: dict[str, str]
    lines: dict[str, int]
    started: bool


NONE = Settings("", {}, {}, True)


def check(subject: Subject) -> Iterator[Said]:
    """Look at saslauthd's settings where somebody asks it."""
    asked = any(
        "saslauthd" in verifiers(each.conf) and not each.conf.unknown and not each.conf.refused
        for each in readers(subject)
    )
    # Beside a copy the settings on this machine may be another host's.
    if not asked or maybe_a_copy(subject):
        return
    text = subject.around.text(subject.platform.saslauthd.settings_file) or ""
    if "rimap" not in text and "ldap" not in text:
        return
    settings = saslauthd_settings(subject)
    if not settings.started:
        return
    if "rimap" in settings.mechanism.split():
        yield from _rimap(subject, settings)
    if "ldap" in settings.mechanism.split():
        yield from _ldap(subject, settings)


def _rimap(subject: Subject, settings: Settings) -> Iterator[Said]:
    letter = "-O" if settings.options.get("-O") else "-H"
    host = settings.options.get(letter, "")
    name = host.partition("/")[0]
    if not name or is_here(subject, name):
        return
    yield Said(
        f"saslauthd hands every password to the IMAP server {name} without TLS",
        "anyone on the way there reads it; saslauthd has no TLS for rimap",
        _place(subject, settings.lines[letter], "sasl.saslauthd.rimap.host"),
        "rimap",
        policy='host = "127.0.0.1", with the IMAP server or a tunnel such as stunnel to it on this host',
        main="-O 127.0.0.1, with the IMAP server or a tunnel such as stunnel to it on this host",
    )


def _ldap(subject: Subject, settings: Settings) -> Iterator[Said]:
    path = settings.options.get("-O") or subject.platform.saslauthd.ldap_settings_file
    text = subject.around.text(path) if path else None
    if text is None:
        return
    values: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        key, colon, value = line.strip().partition(":")
        if colon and not key.startswith("#"):
            values[key.strip().lower()] = (value.strip(), number)
    servers, number = values.get("ldap_servers", ("", 0))
    clear = [host for host in _LDAP.findall(servers) if host and not is_here(subject, host.strip("[]"))]
    if not clear or values.get("ldap_start_tls", ("no", 0))[0].startswith(SWITCHED_ON):
        return
    # A bind by SASL need not send the password, and what `custom` fetches is mostly a hash.
    if values.get("ldap_use_sasl", ("no", 0))[0].startswith(SWITCHED_ON):
        return
    if values.get("ldap_auth_method", ("bind", 0))[0].lower() == "custom":
        return
    extra = next((each for each in subject.configuration.files if each.target == path), None)
    at = extra.origin._replace(key="sasl.saslauthd.ldap.servers") if extra else Origin(path, number, 1, "")
    yield Said(
        f"saslauthd binds at ldap://{clear[0]} with every password, without TLS",
        "anyone on the way there reads it",
        at,
        "ldap_start_tls",
        policy="start_tls = true, or an ldaps:// address",
        main=f"ldap_start_tls: yes (in {path}), or an ldaps:// address",
    )


def saslauthd_settings(subject: Subject) -> Settings:
    """What the platform's file of settings makes of saslauthd; nothing where there is none."""
    facts = subject.platform.saslauthd
    text = subject.around.text(facts.settings_file) if facts.settings_file else None
    if text is None:
        return NONE
    mechanism, options, lines, started = "", dict[str, str](), dict[str, int](), True
    for number, line in enumerate(text.splitlines(), 1):
        match = _ASSIGNMENT.match(line)
        if match is None:
            continue
        key = match[1]
        try:
            words = shlex.split(match[2], comments=True)
        except ValueError:
            continue
        value = " ".join(words)
        if key in MECHANISM_KEYS:
            mechanism = value
        elif key in FURTHER_KEYS:
            if value:
                options[FURTHER_KEYS[key]] = value
                lines[FURTHER_KEYS[key]] = number
        elif key in OPTION_KEYS:
            for letter, argument in _options(value.split()):
                options[letter] = argument
                lines[letter] = number
        elif key == "START":
            started = value != "no"
    return Settings(mechanism or options.get("-a", ""), options, lines, started)


def _options(words: list[str]) -> Iterator[tuple[str, str]]:
    """Options that take a word, as getopt(3) reads them."""
    rest = iter(words)
    for word in rest:
        if len(word) > 1 and word[0] == "-" and word[1] in WITH_ARGUMENT:
            yield word[:2], word[2:] or next(rest, "")


def is_here(subject: Subject, host: str) -> bool:
    """Whether a host is this one: what is sent there passes no network."""
    name = host.strip("[]").lower().rstrip(".")
    if name in ("localhost", "localhost.localdomain", "ip6-localhost", "::1") or name.startswith("127."):
        return True
    return name == subject.main.text("myhostname").lower()


def _place(subject: Subject, line: int, key: str) -> Origin:
    """Where saslauthd's settings say something, or the policy's key that it comes from."""
    path = subject.platform.saslauthd.settings_file
    extra = next((each for each in subject.configuration.files if each.target == path), None)
    return extra.origin._replace(key=key) if extra else Origin(path, line, 1, "")
