"""The installed postconf reads every bundle for its version without a warning, and reads the values that were meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailcfg.facts.version import Version
from tests.postfix import lab
from tests.postfix.readback import disagreements, write
from tests.sites import ROOT, SITES, built, compiled


def run(command: list[str]) -> tuple[int, str, str]:
    done = lab.run(*command, check=False)
    return done.returncode, done.stdout, done.stderr


def installed() -> Version:
    return Version.parse(lab.run("postconf", "-h", "mail_version").stdout.strip())


@pytest.mark.parametrize("site", SITES, ids=lambda path: path.stem)
def test_postconf_agrees(site: Path, tmp_path: Path) -> None:
    """Every site, moved to the platform that is installed here if it is made for another."""
    lab.needs("postconf")
    version = installed()
    if Version.parse(compiled(site).configuration.postfix).series != version.series:
        site = moved(tmp_path, site, "debian-12", str(version))
    bundle = built(site)
    configuration = compiled(site).configuration
    write(tmp_path, bundle)
    assert disagreements(configuration, str(tmp_path / "etc"), run) == []


def moved(folder: Path, site: Path, platform: str, postfix: str) -> Path:
    """The same site for another platform and Postfix version."""
    for path in (ROOT / "sites").glob("*.toml"):
        (folder / path.name).write_bytes(path.read_bytes())
    path = folder / "moved.toml"
    path.write_text(f'extends = "{site.name}"\nplatform = "{platform}"\n[postfix]\nversion = "{postfix}"\n')
    return path


def test_the_fifteen_settings_of_the_article() -> None:
    article = {
        "smtpd_tls_cert_file": "/etc/pki/tls/certs/postfix.pem",
        "smtpd_tls_key_file": "/etc/pki/tls/private/postfix.pem",
        "smtpd_tls_mandatory_ciphers": "high",
        "smtp_tls_mandatory_protocols": "SSLv3, TLSv1",
        "smtpd_tls_loglevel": "1",
        "smtpd_tls_received_header": "yes",
        "smtpd_tls_security_level": "may",
        "smtpd_tls_auth_only": "yes",
        "tls_random_source": "dev:/dev/urandom",
        "smtpd_sasl_auth_enable": "yes",
        "smtpd_sasl_authenticated_header": "yes",
        "smtpd_sasl_path": "smtpd",
        "smtpd_sasl_security_options": "noanonymous",
        "smtp_sasl_security_options": "noplaintext",
        "broken_sasl_auth_clients": "yes",
    }
    site = ROOT / "sites" / "article-as-written.toml"
    values = {setting.name: setting.value for setting in compiled(site).configuration.parameters}
    assert {name: values.get(name) for name in article} == article
    contents = built(site).contents()
    assert contents["sasl2/smtpd.conf"] == b"pwcheck_method: saslauthd\n"
    text = contents["postfix/main.cf"].decode().splitlines()
    assert [f"{name} = {value}" for name, value in article.items() if f"{name} = {value}" not in text] == []


def test_the_paths_and_commands_of_the_article() -> None:
    configuration = compiled(ROOT / "sites" / "article-as-written.toml").configuration
    assert configuration.sasl[0].path == "/usr/lib64/sasl2/smtpd.conf"
    commands = [step.run for step in configuration.steps]
    assert any(command.startswith("yum install ") and "cyrus-sasl" in command for command in commands)
    assert "service postfix restart" in commands
