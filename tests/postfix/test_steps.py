"""The commands that `build` prints, run as a person would paste them, on the main.cf and master.cf of the package."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from mailcfg.configuration import Configuration
from tests.postfix import lab
from tests.postfix.readback import folded
from tests.sites import ROOT, built, compiled

SITES = ("quickstart", "relay-client", "office-berlin", "submission-only")

MAIN = """# kept: a comment
compatibility_level = 3.6
smtpd_banner = $myhostname ESMTP
smtpd_tls_cert_file=/etc/ssl/certs/ssl-cert-snakeoil.pem
smtpd_tls_key_file=/etc/ssl/private/ssl-cert-snakeoil.key
smtpd_tls_security_level=encrypt
mydestination = localhost,
  localhost.localdomain
"""

MASTER = """# kept: a comment
smtp      inet  n       -       y       -       -       smtpd
  -o smtpd_tls_security_level=none
pickup    unix  n       -       y       60      1       pickup
cleanup   unix  n       -       y       -       0       cleanup
smtp      unix  -       -       y       -       -       smtp
"""


@pytest.mark.parametrize("site", SITES)
def test_main_and_master(site: str, tmp_path: Path) -> None:
    lab.needs("postconf")
    etc, here = tmp_path / "etc", tmp_path / "bundle"
    etc.mkdir()
    (etc / "main.cf").write_text(MAIN)
    (etc / "master.cf").write_text(MASTER)
    path = moved(tmp_path, site)
    configuration = compiled(path).configuration
    for name, data in built(path).contents().items():
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (here / name).write_bytes(data)
    apply(configuration, here, etc)
    first = {name: (etc / name).read_bytes() for name in ("main.cf", "master.cf")}
    assert agrees(configuration, etc) == []
    # A policy without port 25 closes the one that every package opens; one without listeners leaves it alone.
    listens = any(line.split()[:2] == [b"smtp", b"inet"] for line in first["master.cf"].splitlines())
    assert listens is (site == "relay-client" or any(each.id == "smtp/inet" for each in configuration.services))
    assert b"# kept: a comment" in first["main.cf"]
    assert b"# kept: a comment" in first["master.cf"]
    assert b"mydestination = localhost,\n  localhost.localdomain\n" in first["main.cf"]
    apply(configuration, here, etc)
    assert {name: (etc / name).read_bytes() for name in first} == first, "a second time changes nothing"


def moved(folder: Path, site: str) -> Path:
    """The site for the Postfix that is installed here."""
    for source in (ROOT / "sites").glob("*.toml"):
        (folder / source.name).write_bytes(source.read_bytes())
    version = lab.run("postconf", "-h", "mail_version").stdout.strip()
    path = folder / "moved.toml"
    path.write_text(f'extends = "{site}.toml"\nplatform = "debian-12"\npostfix = "{version}"\n')
    return path


def apply(configuration: Configuration, here: Path, etc: Path) -> None:
    """Run the steps that change main.cf and master.cf; the others need a host of their own."""
    environment = {**os.environ, "PATH": lab.PATH, "MAIL_CONFIG": str(etc)}
    for step in configuration.steps:
        if step.name in ("main.cf", "master.cf", "stock-services"):
            done = subprocess.run(["sh", "-ec", step.run], cwd=here, env=environment, text=True, capture_output=True)
            assert (done.returncode, done.stderr) == (0, ""), step.run


def agrees(configuration: Configuration, etc: Path) -> list[str]:
    wrong: list[str] = []
    read = lab.run("postconf", "-c", etc, "-n").stdout.splitlines()
    for setting in configuration.parameters:
        if folded(f"{setting.name} = {setting.value}") not in read:
            wrong.append(setting.name)
    overrides = lab.run("postconf", "-c", etc, "-P").stdout.splitlines()
    wanted = [
        folded(f"{service.id}/{setting.name} = {setting.value}")
        for service in configuration.services
        for setting in service.overrides
    ]
    managed = tuple(f"{service.id}/" for service in configuration.services)
    wrong += sorted(set(wanted) ^ {line for line in overrides if line.startswith(managed)})
    return wrong
