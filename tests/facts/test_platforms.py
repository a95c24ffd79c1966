"""Platforms: every value has a source, fits the others, and on Debian is what the machine itself says."""

from __future__ import annotations

import grp
import os
import posixpath
import re
import socket
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from mailcfg.facts.parameters import catalogue
from mailcfg.facts.platforms import Platform, platform, platform_names
from mailcfg.facts.version import Version
from mailcfg.policy.sasl import Saslauthd
from tests.postfix import lab
from tests.sites import ROOT, compiled_text

FOLDER = ROOT / "mailcfg/facts/platforms"

MEASURED = {"debian-11", "debian-12", "debian-13"}

all_platforms = pytest.mark.parametrize("name", platform_names())


def data(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{name}.toml").read_text())


def leaves(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values, without those that need no source."""
    for key, value in table.items():
        if prefix or key not in ("id", "title", "basis", "sources"):
            if isinstance(value, dict):
                yield from leaves(value, f"{prefix}{key}.")
            else:
                yield f"{prefix}{key}", value


def ancestors(key: str) -> list[str]:
    """A dotted key and the tables that it stands in, nearest first."""
    steps = key.split(".")
    return [".".join(steps[:length]) for length in range(len(steps), 0, -1)]


def test_the_folder_is_the_list() -> None:
    assert platform_names() == sorted(path.stem for path in FOLDER.glob("*.toml"))
    assert {"debian-12", "ubuntu-24.04", "rhel-9", "centos-5"} <= set(platform_names())


@all_platforms
def test_a_platform_is_named_like_its_file(name: str) -> None:
    facts = platform(name)
    assert facts.id == name
    assert facts.title
    assert list(data(name)) == list(Platform._fields)


def test_an_unknown_platform() -> None:
    with pytest.raises(KeyError):
        platform("debian-1")
    with pytest.raises(KeyError):
        platform("../guidelines/rfc9325")


@all_platforms
def test_every_value_has_a_source(name: str) -> None:
    sources = data(name)["sources"]
    assert [key for key, _ in leaves(data(name)) if not any(each in sources for each in ancestors(key))] == []


@all_platforms
def test_every_source_is_of_a_value(name: str) -> None:
    keys = {each for key, _ in leaves(data(name)) for each in ancestors(key)}
    for key, source in data(name)["sources"].items():
        assert key in keys, key
        assert re.match(r"(?:measured|documented|inferred): \S", source), key


@all_platforms
def test_only_what_was_run_is_called_measured(name: str) -> None:
    facts = platform(name)
    assert (facts.basis == "ran") == (name in MEASURED)
    measured = [key for key, source in facts.sources.items() if source.startswith("measured")]
    assert bool(measured) == (name in MEASURED)


@all_platforms
def test_versions_are_versions(name: str) -> None:
    facts = platform(name)
    version = Version.parse(facts.postfix.version)
    assert version.series <= catalogue().newest
    Version.parse(facts.openssl.version)
    level = facts.postfix.compatibility_level
    assert (level == "") == (version.series < (3, 0))
    if level:
        assert re.fullmatch(r"\d+(?:\.\d+)?", level)
        assert tuple(map(int, level.split("."))) <= version.series


@all_platforms
def test_paths_are_absolute_and_clean(name: str) -> None:
    for key, value in leaves(data(name)):
        last = key.rpartition(".")[2]
        if re.search(r"(?:_directory|_file|_bundle|_path|sasldb)$", last) and not key.startswith("packages."):
            for path in value if isinstance(value, list) else [value] if isinstance(value, str) else []:
                if path or last not in ("chroot_socket_directory", "dovecot_directory", "ldap_settings_file"):
                    assert path.startswith("/"), key
                    assert path == posixpath.normpath(path), key


@all_platforms
def test_values_fit_each_other(name: str) -> None:
    facts = platform(name)
    postfix, daemon = facts.postfix, facts.saslauthd
    assert postfix.default_table_type in postfix.table_types
    assert list(postfix.table_types) == sorted(set(postfix.table_types))
    assert set(facts.packages.tables) == {"cdb", "ldap", "lmdb", "mysql", "pcre", "pgsql", "sqlite"}
    assert postfix.submissions_service in ("smtps", "submissions")
    # Debian 13 names its directory in main.cf, and only there does Cyrus SASL then look.
    assert facts.sasl.config_path_honoured or facts.sasl.config_directory in facts.sasl.search_path
    inside = daemon.chroot_socket_directory
    assert inside in ("", f"{postfix.queue_directory}{daemon.library_socket_directory}")
    assert set(daemon.mechanisms) <= set(get_args(Saslauthd.model_fields["mechanism"].annotation))
    assert "ldap" not in daemon.mechanisms or daemon.ldap_settings_file
    assert len(set(facts.certificates)) == 3


@all_platforms
def test_commands_are_there_where_they_are_needed(name: str) -> None:
    facts = platform(name)
    commands = facts.commands
    for command in (commands.check, commands.reload, commands.restart, commands.enable_saslauthd):
        assert command
    assert facts.saslauthd.service in commands.enable_saslauthd
    assert facts.saslauthd.service in commands.restart_saslauthd
    assert bool(commands.join_saslauthd_group) == bool(facts.saslauthd.group)
    assert facts.saslauthd.group in commands.join_saslauthd_group.split() or not facts.saslauthd.group
    assert commands.reload_dovecot or not facts.sasl.dovecot_directory
    assert facts.packages.install
    assert facts.packages.postfix
    assert facts.packages.saslauthd
    for command in commands:
        assert command == command.strip()
        assert "\n" not in command


@all_platforms
def test_a_policy_of_few_lines_compiles_for_it(name: str, tmp_path: Path) -> None:
    """With the first mechanism that its saslauthd has, and an RSA key, which the oldest Postfix can show as well."""
    mechanism = platform(name).saslauthd.mechanisms[0]
    more = '[sasl.saslauthd.rimap]\nhost = "imap.example.com"\n' if mechanism == "rimap" else ""
    policy = f"""hostname = "mail.example.com"
platform = "{name}"
[tls]
guideline = "custom"
[certificates.mail]
issuer = "existing"
key = "rsa-2048"
[mx]
[submission]
[submissions]
[sasl]
backend = "saslauthd"
[sasl.saslauthd]
mechanism = "{mechanism}"
{more}"""
    compiled = compiled_text(tmp_path, policy)
    assert compiled.findings == []
    assert compiled.configuration.platform == name
    assert all(step.run for step in compiled.configuration.steps)


# --- the machine itself ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def here() -> Platform:
    """The facts of the Debian release that runs here; elsewhere nothing can be measured."""
    release = Path("/etc/os-release")
    lines = (
        dict(line.split("=", 1) for line in release.read_text().splitlines() if "=" in line) if release.exists() else {}
    )
    name = f"{lines.get('ID', 'an unknown system')}-{lines.get('VERSION_ID', '')}".replace('"', "")
    if name not in MEASURED:
        pytest.skip(f"this is {name}; only Debian 11, 12 and 13 are measured")
    lab.needs("postconf", "openssl", "saslauthd")
    return platform(name)


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What `postconf -d` prints, whatever the main.cf of this machine says."""
    folder = tmp_path_factory.mktemp("stock")
    for name in ("main.cf", "master.cf"):
        (folder / name).write_text("")
        os.utime(folder / name, (1_000_000_000, 1_000_000_000))  # postconf waits for a file that was written just now.
    printed = lab.run("postconf", "-c", folder, "-d").stdout.splitlines()
    return {name: value.strip() for name, _, value in (line.partition(" =") for line in printed)}


def test_postfix_is_what_the_file_says(here: Platform, stock: dict[str, str]) -> None:
    assert Version.parse(stock["mail_version"]).series == Version.parse(here.postfix.version).series
    assert stock["config_directory"] == here.postfix.config_directory
    assert stock["queue_directory"] == here.postfix.queue_directory
    assert stock["mail_owner"] == here.postfix.mail_owner
    assert stock["default_database_type"] == here.postfix.default_table_type


def test_table_types_are_what_postconf_says(here: Platform) -> None:
    """All of them, and beside them only those of packages that somebody has added."""
    there = set(lab.run("postconf", "-m").stdout.split())
    assert set(here.postfix.table_types) <= there
    assert there - set(here.postfix.table_types) <= set(here.packages.tables)


def test_the_shipped_files_of_postfix_are_what_the_file_says(here: Platform) -> None:
    shipped = Path("/usr/share/postfix")
    main = (shipped / "main.cf.debian").read_text()
    level = re.search(r"(?m)^compatibility_level *= *(\S+)", main)
    assert level is not None
    assert level[1] == here.postfix.compatibility_level
    smtpd = re.search(r"(?m)^smtp +inet +\S+ +\S+ +(\S+) .* smtpd$", (shipped / "master.cf.dist").read_text())
    assert smtpd is not None
    assert (smtpd[1] != "n") == here.postfix.chroot


def test_port_465_has_the_name_that_the_file_says(here: Platform) -> None:
    if not Path("/etc/services").exists():
        pytest.skip("no /etc/services (package netbase)")
    assert socket.getservbyname(here.postfix.submissions_service) == 465


def test_openssl_is_what_the_file_says(here: Platform) -> None:
    words = lab.run("openssl", "version").stdout.split()
    assert Version.parse(words[1]).series == Version.parse(here.openssl.version).series


def test_saslauthd_is_what_the_file_says(here: Platform) -> None:
    daemon = here.saslauthd
    said = lab.run("saslauthd", "-v", check=False)
    mechanisms = (said.stdout + said.stderr).partition("mechanisms:")[2].split()
    assert set(daemon.mechanisms) <= set(mechanisms)
    assert grp.getgrnam(daemon.group)
    assert Path(daemon.settings_file).is_file()


def test_directories_are_there(here: Platform) -> None:
    for path in (
        here.postfix.config_directory,
        here.postfix.queue_directory,
        here.sasl.config_directory,
        here.certificates.certificate_directory,
        here.certificates.key_directory,
    ):
        assert Path(path).is_dir(), path
