"""Differences that do not look like one: another file, another line or another service undoes what the policy says."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.postfix import lab
from tests.sites import ROOT
from tests.stories.machine import Machine, mailcfg, place
from tests.stories.test_drift import CERTIFICATE, KEY, MAIN, MASTER, certificate, is_row, only, silent

# --- services --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "services"),
    [
        ("submission/inet, submissions/inet", ["submission/inet", "submissions/inet"]),
        ("SUBMISSION.inet", ["submission/inet"]),
        ("!submission/inet, inet", ["smtp/inet", "submissions/inet"]),
        ("smtp/unix, lmtp", []),
    ],
)
def test_services_switched_off_in_main_cf(machine: Machine, value: str, services: list[str]) -> None:
    line = machine.append(MAIN, f"master_service_disable = {value}\n")
    told = machine.told()
    rows = told.json["differences"]
    assert [each["service"] for each in rows] == services
    for row in rows:
        is_row(row, "missing", MAIN, "master_service_disable", line, value)
    assert told.code == (1 if services else 0)


def test_the_manager_of_tls_is_gone(machine: Machine) -> None:
    machine.postconf("-M#", "tlsmgr/unix")
    row = only(machine)
    is_row(row, "missing", MASTER, "tlsmgr/unix", None, None)
    assert row["effects"][0] == "STARTTLS is offered and answered with 454"


def test_the_default_of_the_chroot_column(machine: Machine) -> None:
    machine.postconf("-F", "submission/inet/chroot=-")
    row = only(machine)
    assert (row["kind"], row["setting"], row["live"]) == ("changed", "chroot", "-")
    machine.replace(MAIN, "compatibility_level = 3.6\n", "")
    silent(machine)
    machine.append(MAIN, "compatibility_level = 2\n")
    assert only(machine)["setting"] == "chroot"


def test_an_override_of_what_a_value_refers_to(machine: Machine) -> None:
    machine.replace(MAIN, "smtp_tls_security_level = may", "way_out = may\nsmtp_tls_security_level = $way_out")
    silent(machine)
    machine.replace(MASTER, "-o syslog_name=postfix/$service_name", "-o way_out=none")
    row = only(machine)
    assert (row["kind"], row["file"], row["setting"], row["service"], row["live"]) == (
        "shadowed", MAIN, "smtp_tls_security_level", "relay/unix", "none",
    )  # fmt: skip


def test_a_value_that_names_its_service(machine: Machine) -> None:
    machine.write(MASTER, machine.read(MASTER).replace("=postfix/submission", "=postfix/$service_name", 1))
    silent(machine)


# --- parameters ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("smtpd_discard_ehlo_keywords = starttls", True),
        ("smtpd_discard_ehlo_keywords = silent-discard, AUTH", True),
        ("smtpd_discard_ehlo_keyword_address_maps = cidr:/etc/postfix/esmtp", True),
        ("smtp_discard_ehlo_keywords = STARTTLS", True),
        ("smtpd_noop_commands = starttls", True),
        ("smtpd_discard_ehlo_keywords = chunking, dsn", False),
        ("smtpd_noop_commands = vrfy", False),
    ],
)
def test_what_takes_tls_away(machine: Machine, line: str, told: bool) -> None:
    number = machine.append(MAIN, line + "\n")
    if not told:
        silent(machine)
        return
    row = only(machine)
    is_row(row, "extra", MAIN, line.partition(" ")[0], number)


def test_what_takes_tls_away_from_one_service(machine: Machine) -> None:
    machine.append(MASTER, "other unix - - n - - smtp\n  -o smtp_discard_ehlo_keywords=starttls\n")
    row = only(machine)
    assert (row["kind"], row["setting"], row["service"]) == ("extra", "smtp_discard_ehlo_keywords", "other/unix")


def test_versions_by_their_numbers(machine: Machine) -> None:
    machine.replace(MAIN, "smtpd_tls_mandatory_protocols = >=TLSv1.2", "smtpd_tls_mandatory_protocols = >=0303")
    silent(machine)
    machine.replace(MAIN, "smtpd_tls_mandatory_protocols = >=0303", "smtpd_tls_mandatory_protocols = >=0301")
    assert only(machine)["setting"] == "smtpd_tls_mandatory_protocols"


def test_values_that_double_each_other(machine: Machine) -> None:
    lines = "".join(f"x{number} = $x{number + 1} $x{number + 1}\n" for number in range(40))
    machine.append(MAIN, lines + "x40 = y\nsmtpd_tls_CAfile = $x0\n")
    answer = machine.drift()
    assert answer.code == 2
    assert "macro call nesting" in answer.err


def test_a_password_in_a_value_that_cannot_be_read(machine: Machine) -> None:
    machine.append(MAIN, "smtp_sasl_password_maps = inline:{x=user:hunter2${\n")
    for words in ((), ("--format", "json"), ("--format", "prometheus"), ("--diff",)):
        answer = machine.drift(*words)
        assert answer.code == 2
        assert "hunter2" not in answer.out + answer.err
        assert "smtp_sasl_password_maps" in answer.err


# --- certificates and tables -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "more", "words"),
    [
        (KEY, KEY, "holds 2 private keys"),
        (KEY, CERTIFICATE, "holds a certificate as well"),
        (CERTIFICATE, "-----BEGIN CERTIFICATE-----\nAAAA\n", "holds a PEM block that is cut off"),
    ],
)
def test_more_in_a_file_than_belongs_there(machine: Machine, path: str, more: str, words: str) -> None:
    machine.append(path, machine.read(more) if more.startswith("/") else more)
    row = only(machine)
    is_row(row, "certificate", path, "mail", None, "unreadable")
    assert row["explanation"] == [words]


def test_a_private_key_in_a_file_that_all_can_read(machine: Machine) -> None:
    machine.append(CERTIFICATE, machine.read(KEY))
    rows = {each["kind"]: each for each in machine.told().json["differences"]}
    assert rows.keys() == {"mode", "certificate"}
    assert rows["mode"]["effects"] == ["a private key in it can be read by others"]


@pytest.fixture
def with_authority(tmp_path: Path) -> Machine:
    lab.needs("postconf", "openssl")
    return place(ROOT / "sites/internal-ca.toml", tmp_path)


def test_another_authority(with_authority: Machine) -> None:
    machine = with_authority
    wanted = certificate(machine)
    silent(machine)
    lab.run(
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Other CA", "-addext",
        "keyUsage=critical,keyCertSign", "-keyout", machine.root / "other.key",
        "-out", machine.at(wanted["ca_certificate_file"]),
    )  # fmt: skip
    row = only(machine)
    is_row(row, "certificate", wanted["ca_certificate_file"], wanted["name"], None, "another")
    machine.write(wanted["ca_certificate_file"], "")
    assert only(machine)["explanation"] == ["holds no certificate in PEM"]


def test_authorities_to_believe_are_gone(tmp_path: Path) -> None:
    lab.needs("postconf", "openssl", "postmap")
    machine = place(ROOT / "sites/relay-client.toml", tmp_path)
    silent(machine)
    path = "/etc/ssl/certs/ca-certificates.crt"
    machine.write(path, "")
    row = only(machine)
    is_row(row, "certificate", path, "smtp_tls_CAfile", None, None)
    assert row["explanation"] == ["it holds no certificate"]
    machine.at(path).unlink()
    assert only(machine)["explanation"] == ["there is no such file"]


def test_an_index_that_is_empty(tmp_path: Path) -> None:
    lab.needs("postconf", "openssl", "postmap")
    machine = place(ROOT / "sites/relay-client.toml", tmp_path)
    machine.write("/etc/postfix/sasl_passwd.db", "")
    row = only(machine)
    is_row(row, "changed", "/etc/postfix/sasl_passwd.db", "smtp_sasl_password_maps", None, "an empty file")


# --- settings of daemons ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("line", ['MECHANISMS = "shadow"', 'MECHANISMS: "shadow"', "MECHANISMS=pam -x"])
def test_what_a_shell_does_not_take_for_an_assignment(machine: Machine, line: str) -> None:
    path = "/etc/default/saslauthd"
    (old,) = [each for each in machine.read(path).splitlines() if each.startswith("MECHANISMS=")]
    number = machine.replace(path, old, line)
    rows = machine.told().json["differences"]
    assert [(each["kind"], each["setting"], each["line"]) for each in rows] == [
        ("extra", "", number), ("missing", "MECHANISMS", None),
    ]  # fmt: skip


# --- directories, roots and memory -----------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/etc/postfix", "/etc", "/etc/ssl/private"])
def test_a_directory_of_somebody_else(machine: Machine, path: str) -> None:
    shutil.chown(machine.at(path), "nobody")
    row = only(machine)
    is_row(row, "owner", path, "", None)
    assert row["severity"] == "error"


def test_a_directory_that_a_group_can_write(machine: Machine) -> None:
    shutil.chown(machine.at("/etc/postfix"), group="nogroup")
    silent(machine)
    machine.at("/etc/postfix").chmod(0o775)
    row = only(machine)
    is_row(row, "mode", "/etc/postfix", "", None, "0775")
    assert row["desired"] == "0755"


def test_who_stands_for_root_is_remembered(machine: Machine) -> None:
    for path in [machine.root, *machine.root.rglob("*")]:
        os.chown(path, 4242, -1, follow_symlinks=False)
    silent(machine)
    os.chown(machine.root, 0, -1)
    assert {each["kind"] for each in machine.told().json["differences"]} == {"owner"}
    assert machine.drift().code == 1


def test_the_machines_own_policy_lies_within_its_root(machine: Machine, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    shutil.copytree(machine.bundle, outside / "applied")
    applied = machine.at("/var/lib/mailcfg/applied")
    applied.parent.mkdir(parents=True)
    applied.symlink_to(outside / "applied")
    answer = mailcfg("drift", "--root", machine.root)
    assert answer.code == 2
    applied.unlink()
    shutil.copytree(machine.bundle, machine.at("/opt/bundle"))
    applied.symlink_to("/opt/bundle")
    for _ in range(2):
        assert mailcfg("drift", "--root", machine.root).code == 0
    own = machine.at("/etc/mailcfg/site.toml")
    own.parent.mkdir()
    shutil.copy(ROOT / "sites/quickstart.toml", machine.at("/opt/quickstart.toml"))
    own.symlink_to("/opt/quickstart.toml")
    for _ in range(2):
        assert mailcfg("drift", "--root", machine.root).code == 0
    (outside / "quickstart.toml").write_text("")
    own.unlink()
    own.symlink_to(outside / "quickstart.toml")
    assert mailcfg("drift", "--root", machine.root).code == 2
