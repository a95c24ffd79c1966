"""One operating system release a file, and the type they all have."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal, NamedTuple

from mailcfg import facts


class PostfixFacts(NamedTuple):
    """How the platform packages Postfix. `chroot` is what its master.cf says for smtpd; `packaged_parameters` are the
    TLS and SASL parameters that its main.cf sets, where that is known.
    """

    version: str
    config_directory: str
    queue_directory: str
    mail_owner: str
    chroot: bool
    compatibility_level: str
    table_types: tuple[str, ...]
    default_table_type: str
    submissions_service: str
    root_group: str
    packaged_parameters: dict[str, str] = {}


class OpensslFacts(NamedTuple):
    """The OpenSSL that Postfix is linked with."""

    version: str


class SaslFacts(NamedTuple):
    """Where Cyrus SASL looks for smtpd.conf. `config_path_honoured`: whether cyrus_sasl_config_path has an effect."""

    config_directory: str
    search_path: tuple[str, ...]
    config_path_honoured: bool
    sasldb: str
    dovecot_directory: str


class SaslauthdFacts(NamedTuple):
    """The daemon saslauthd. `library_socket_directory` is what libsasl2 uses when smtpd.conf names no socket;
    `chroot_socket_directory` is empty where the package cannot put the socket into Postfix's chroot.
    """

    library_socket_directory: str
    socket_directory: str
    chroot_socket_directory: str
    group: str
    settings_file: str
    settings_style: Literal["debian", "sysconfig-mech", "sysconfig-suse", "conf.d", "rc.conf"]
    ldap_settings_file: str
    service: str
    mechanisms: tuple[str, ...]


class CertificateFacts(NamedTuple):
    """Directories for certificates and private keys, and the file of trusted authorities."""

    certificate_directory: str
    key_directory: str
    ca_bundle: str


class PackageFacts(NamedTuple):
    """The command that installs packages, and the packages for each use."""

    install: str
    postfix: tuple[str, ...]
    saslauthd: tuple[str, ...]
    sasldb: tuple[str, ...]
    sql: tuple[str, ...]
    ldapdb: tuple[str, ...]
    client: tuple[str, ...]
    dovecot: tuple[str, ...]
    openssl: tuple[str, ...]
    tables: dict[str, tuple[str, ...]]


class CommandFacts(NamedTuple):
    """Commands for root, a line each; empty where there is nothing to run."""

    check: str
    reload: str
    restart: str
    enable_saslauthd: str
    restart_saslauthd: str
    join_saslauthd_group: str
    reload_dovecot: str


class ScheduleFacts(NamedTuple):
    """Where an administrator's units of systemd and lines of cron lie; empty where there is no such directory."""

    units: str
    cron: str


class Platform(NamedTuple):
    """One platform. `basis` is `ran` where its values were measured, `documented` where they were read."""

    id: str
    title: str
    basis: Literal["ran", "documented"]
    postfix: PostfixFacts
    openssl: OpensslFacts
    sasl: SaslFacts
    saslauthd: SaslauthdFacts
    certificates: CertificateFacts
    packages: PackageFacts
    commands: CommandFacts
    schedule: ScheduleFacts
    sources: dict[str, str]


def _frozen(table: dict[str, Any]) -> dict[str, Any]:
    return {
        key: tuple(value) if isinstance(value, list) else _frozen(value) if isinstance(value, dict) else value
        for key, value in table.items()
    }


@cache
def platform(name: str) -> Platform:
    """The facts of one platform. Raises KeyError when it is unknown, TypeError when its file lacks a key."""
    data = facts.read("platforms", name)
    return Platform(
        id=data["id"],
        title=data["title"],
        basis=data["basis"],
        postfix=PostfixFacts(**_frozen(data["postfix"])),
        openssl=OpensslFacts(**_frozen(data["openssl"])),
        sasl=SaslFacts(**_frozen(data["sasl"])),
        saslauthd=SaslauthdFacts(**_frozen(data["saslauthd"])),
        certificates=CertificateFacts(**_frozen(data["certificates"])),
        packages=PackageFacts(**_frozen(data["packages"])),
        commands=CommandFacts(**_frozen(data["commands"])),
        schedule=ScheduleFacts(**_frozen(data["schedule"])),
        sources=data["sources"],
    )


def platform_names() -> list[str]:
    """Identifiers of all platforms, sorted."""
    return facts.names("platforms")
