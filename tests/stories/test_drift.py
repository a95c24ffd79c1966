"""Drift, told in steps: a machine is put in place, somebody does something to it, and the right thing is said."""

from __future__ import annotations

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.postfix import lab
from tests.sites import ROOT, SITES
from tests.stories.machine import PACKAGED_MAIN, Machine, mailcfg, make, place

MAIN = "/etc/postfix/main.cf"
MASTER = "/etc/postfix/master.cf"
SASL = "/etc/postfix/sasl/smtpd.conf"
KEY = "/etc/ssl/private/mail.key"
CERTIFICATE = "/etc/ssl/certs/mail.pem"


def manifest(machine: Machine) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((machine.bundle / "manifest.json").read_text())
    return found


def only(machine: Machine) -> dict[str, Any]:
    """The only difference that is told."""
    told = machine.told()
    assert told.code == 1, told.out + told.err
    assert told.json["status"] == "drift"
    (row,) = told.json["differences"]
    found: dict[str, Any] = row
    return found


def silent(machine: Machine) -> None:
    """All is in sync, and nothing is said of it; a second time from memory."""
    for _ in range(2):
        answer = machine.drift()
        assert (answer.code, answer.out, answer.err) == (0, "", "")
    assert machine.told().json["status"] == "in-sync"


def is_row(row: dict[str, Any], kind: str, file: str, setting: str, line: int | None, live: str | None = "") -> None:
    expected = {"kind": kind, "file": file, "setting": setting, "line": line}
    assert {name: row[name] for name in expected} == expected
    if live != "":
        assert row["live"] == live


# --- in place --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("site", [site for site in SITES if site.stem not in ("dovecot", "submission-only")], ids=str)
def test_a_site_put_in_place_is_in_sync(site: Path, tmp_path: Path) -> None:
    lab.needs("postconf", "openssl", "saslpasswd2")
    machine = place(site, tmp_path)
    silent(machine)
    again = machine.drift(target=site)
    assert (again.code, again.out) == (0, "")


@pytest.mark.parametrize("site", ["dovecot", "submission-only"])
def test_a_site_with_a_script_on_the_host(site: str, tmp_path: Path) -> None:
    lab.needs("postconf", "openssl")
    machine = place(ROOT / f"sites/{site}.toml", tmp_path)
    silent(machine)
    hook = next(file["target"] for file in manifest(machine)["files"] if file["path"].startswith("acme/"))
    line = machine.append(hook, "rm -rf /\n")
    is_row(only(machine), "changed", hook, "", line)


def test_what_is_in_sync_is_told_in_every_format(machine: Machine) -> None:
    told = machine.told().json
    assert (told["schema"], told["site"], told["status"], told["differences"]) == (
        "mailcfg/drift/1", "quickstart", "in-sync", [],
    )  # fmt: skip
    assert 'mailcfg_drift_status{site="quickstart",status="in-sync"} 1' in machine.drift("--format", "prometheus").out
    assert machine.drift("--diff").out == ""


# --- main.cf ---------------------------------------------------------------------------------------------------------


def test_edit(machine: Machine) -> None:
    line = machine.replace(MAIN, "smtpd_tls_auth_only = yes", "smtpd_tls_auth_only = no")
    row = only(machine)
    is_row(row, "changed", MAIN, "smtpd_tls_auth_only", line, "no")
    assert row["desired"] == "yes"
    # Port 25 takes no password, and the others ask for TLS anyway: until somebody changes that, nobody meets it.
    assert (row["severity"], row["harmless"], row["effects"]) == ("info", True, [])
    assert (row["origin"]["file"], row["origin"]["line"], row["origin"]["key"]) == ("quickstart.toml", 17, "mx.auth")


def test_delete(machine: Machine) -> None:
    machine.replace(MAIN, "smtpd_tls_mandatory_protocols = >=TLSv1.2\n", "")
    row = only(machine)
    is_row(row, "missing", MAIN, "smtpd_tls_mandatory_protocols", None, None)
    # The default lets TLS 1.0 in, but no cipher of the list has anything older than 1.2.
    assert (row["severity"], row["harmless"]) == ("info", True)


def test_delete_what_is_the_default_anyway(machine: Machine) -> None:
    machine.replace(MAIN, "smtpd_sasl_type = cyrus\n", "")
    row = only(machine)
    is_row(row, "missing", MAIN, "smtpd_sasl_type", None, None)
    assert row["severity"] == "info"


def test_duplicate(machine: Machine) -> None:
    first = machine.line(MAIN, "smtpd_tls_auth_only")
    line = machine.append(MAIN, "smtpd_tls_auth_only = no\n")
    row = only(machine)
    is_row(row, "duplicate", MAIN, "smtpd_tls_auth_only", line, "no")
    assert (row["severity"], row["harmless"]) == ("info", True)
    assert row["explanation"][0] == f"line {line} wins over line {first}"


def test_duplicate_that_changes_nothing(machine: Machine) -> None:
    line = machine.append(MAIN, "smtpd_tls_auth_only = yes\n")
    row = only(machine)
    is_row(row, "duplicate", MAIN, "smtpd_tls_auth_only", line, "yes")
    assert row["severity"] == "info"


def test_postconf_e(machine: Machine) -> None:
    machine.postconf("-e", "smtpd_tls_security_level=none", "smtpd_tls_auth_only=no", "mynetworks=127.0.0.0/8")
    told = machine.told()
    assert told.code == 1
    assert told.rows == [
        ("changed", MAIN, "smtpd_tls_security_level"),
        ("changed", MAIN, "smtpd_tls_auth_only"),
    ]


def test_postconf_e_of_the_same_values(machine: Machine) -> None:
    machine.postconf("-e", "smtpd_tls_auth_only=yes", "smtpd_tls_security_level=may")
    silent(machine)


def test_another_spelling_of_the_same(machine: Machine) -> None:
    for old, new in (
        ("smtpd_tls_auth_only = yes", "smtpd_tls_auth_only   =   YES"),
        ("smtpd_tls_security_level = may", "smtpd_tls_security_level =\n  may"),
        ("smtpd_tls_mandatory_protocols = >=TLSv1.2", "smtpd_tls_mandatory_protocols = !SSLv2 !sslv3, !TLSv1:!TLSv1.1"),
        ("smtpd_tls_protocols = >=TLSv1.2", "smtpd_tls_protocols = TLSv1.3, TLSv1.2"),
        ("smtp_tls_mandatory_ciphers = high", "smtp_tls_mandatory_ciphers = $smtpd_tls_mandatory_ciphers"),
        ("smtp_tls_mandatory_exclude_ciphers = aNULL", "smtp_tls_mandatory_exclude_ciphers = ${mine}\nmine = aNULL"),
        ("smtpd_tls_exclude_ciphers = aNULL, RC4, 3DES, ", "smtpd_tls_exclude_ciphers = RC4 aNULL\n # why\n  3DES, "),
        ("smtpd_tls_loglevel = 1", "smtpd_tls_loglevel=1"),
        ("myhostname = mail.example.com", "myhostname = mail.${mydomain}\nmydomain = example.com"),
    ):
        machine.replace(MAIN, old, new)
    silent(machine)


def test_a_reference_that_expands_to_something_else(machine: Machine) -> None:
    line = machine.replace(MAIN, "smtpd_tls_security_level = may", "smtpd_tls_security_level = $mine\nmine = none")
    row = only(machine)
    is_row(row, "changed", MAIN, "smtpd_tls_security_level", line, "$mine")


def test_a_protocol_list_that_lets_in_more(machine: Machine) -> None:
    line = machine.replace(
        MAIN, "smtpd_tls_mandatory_protocols = >=TLSv1.2", "smtpd_tls_mandatory_protocols = !SSLv2, !SSLv3, !TLSv1"
    )
    is_row(only(machine), "changed", MAIN, "smtpd_tls_mandatory_protocols", line)


def test_comments_only(machine: Machine) -> None:
    text = machine.read(MAIN)
    commented = "".join(f"# {number}\n\n{line}\n" for number, line in enumerate(text.split("\n")))
    machine.write(MAIN, commented.replace("\n#", "\n   #"))
    machine.append(MASTER, "# the end\n")
    machine.append(SASL, "# the end\n")
    machine.append("/etc/default/saslauthd", "\n# the end\n")
    machine.replace("/etc/default/saslauthd", "THREADS=5", "THREADS='5'  # enough")
    silent(machine)


def test_reorder(machine: Machine) -> None:
    lines = machine.read(MAIN).splitlines()
    joined = "\n".join(lines).replace("\n  ", " ").splitlines()
    machine.write(MAIN, "\n".join(reversed(joined)) + "\n")
    silent(machine)


def test_unmanaged_parameters_are_nobodys_business(machine: Machine) -> None:
    machine.append(MAIN, "message_size_limit = 1\nsmtpd_helo_required = yes\n")
    machine.replace(MAIN, "biff = no", "biff = yes")
    silent(machine)


def test_a_parameter_nobody_declared(machine: Machine) -> None:
    line = machine.append(MAIN, "smtpd_tls_ask_ccert = yes\n")
    row = only(machine)
    is_row(row, "extra", MAIN, "smtpd_tls_ask_ccert", line, "yes")
    assert row["desired"] is None
    assert row["origin"] is None


def test_a_parameter_with_its_default_is_not_extra(machine: Machine) -> None:
    machine.append(MAIN, "smtpd_tls_ask_ccert = no\nsmtpd_use_tls = no\n")
    silent(machine)


def test_the_packages_main_cf_comes_back(machine: Machine) -> None:
    machine.write(MAIN, PACKAGED_MAIN)
    told = machine.told()
    assert told.code == 1
    kinds = {each["setting"]: each["kind"] for each in told.json["differences"]}
    managed = {each["name"]: each["value"] for each in manifest(machine)["configuration"]["parameters"]}
    assert set(kinds) < set(managed)
    assert kinds["smtpd_tls_cert_file"] == kinds["myhostname"] == "changed"
    assert kinds["smtpd_tls_auth_only"] == kinds["smtpd_tls_mandatory_protocols"] == "missing"
    # The package sets these to what the policy wants.
    assert set(managed) - set(kinds) == {"smtpd_tls_security_level", "smtp_tls_security_level"}
    assert {each["file"] for each in told.json["differences"]} == {MAIN}


def test_emptied(machine: Machine) -> None:
    machine.write(MAIN, "")
    told = machine.told()
    assert told.code == 1
    managed = [each["name"] for each in manifest(machine)["configuration"]["parameters"]]
    assert sorted(told.rows) == sorted(("missing", MAIN, name) for name in managed)


@pytest.mark.parametrize("path", [MAIN, MASTER, SASL, "/etc/default/saslauthd"])
def test_deleted(machine: Machine, path: str) -> None:
    machine.at(path).unlink()
    told = machine.told()
    assert told.code == 1
    assert ("missing", path, "") in told.rows
    assert {file for _, file, _ in told.rows} == {path}


# --- master.cf -------------------------------------------------------------------------------------------------------


def test_override_in_master_cf(machine: Machine) -> None:
    line = machine.line(MASTER, "smtp      inet") if "smtp      inet" in machine.read(MASTER) else None
    text = machine.read(MASTER)
    number = next(at for at, each in enumerate(text.splitlines(), 1) if each.split()[:2] == ["smtp", "inet"])
    lines = text.splitlines()
    lines[number:number] = ["  # for the old printer", "  -o smtpd_tls_security_level=none"]
    machine.write(MASTER, "\n".join(lines) + "\n")
    row = only(machine)
    is_row(row, "shadowed", MASTER, "smtpd_tls_security_level", number + 2, "none")
    assert row["service"] == "smtp/inet"
    assert row["desired"] == "may"
    assert line is None or line == number


def test_override_that_says_the_same(machine: Machine) -> None:
    text = machine.read(MASTER)
    machine.write(MASTER, text.replace("smtpd\n", "smtpd -o smtpd_tls_security_level=MAY\n", 1))
    silent(machine)


def test_override_of_a_service_is_edited(machine: Machine) -> None:
    text = machine.read(MASTER)
    before = text[: text.index("smtpd_tls_security_level=encrypt")]
    machine.write(MASTER, text.replace("smtpd_tls_security_level=encrypt", "smtpd_tls_security_level=may", 1))
    row = only(machine)
    is_row(row, "changed", MASTER, "smtpd_tls_security_level", before.count("\n") + 1, "may")
    assert (row["service"], row["desired"], row["severity"]) == ("submission/inet", "encrypt", "error")
    assert row["origin"]["key"] == "submission.tls"


def test_override_of_a_service_is_lost(machine: Machine) -> None:
    machine.postconf("-PX", "submission/inet/smtpd_tls_auth_only")
    row = only(machine)
    assert (row["kind"], row["setting"], row["service"]) == ("missing", "smtpd_tls_auth_only", "submission/inet")
    # main.cf says yes for all services.
    assert row["severity"] == "info"


def test_an_override_of_another_transport(machine: Machine) -> None:
    line = machine.replace(
        MASTER,
        "-o syslog_name=postfix/$service_name",
        "-o smtp_tls_security_level=none -o smtp_tls_block_early_mail_reply=yes",
    )
    told = machine.told()
    assert [(each["kind"], each["setting"], each["service"], each["line"]) for each in told.json["differences"]] == [
        ("shadowed", "smtp_tls_security_level", "relay/unix", line),
        ("extra", "smtp_tls_block_early_mail_reply", "relay/unix", line),
    ]


def test_a_new_listener(machine: Machine) -> None:
    line = machine.append(MASTER, "2525 inet n - n - - smtpd\n  -o smtpd_sasl_auth_enable=yes\n")
    told = machine.told()
    rows = told.json["differences"]
    assert told.code == 1
    is_row(rows[0], "extra", MASTER, "2525/inet", line)
    assert rows[0]["severity"] == "error"
    assert [(each["kind"], each["setting"]) for each in rows[1:]] == [("shadowed", "smtpd_sasl_auth_enable")]


def test_a_listener_goes(machine: Machine) -> None:
    machine.postconf("-M#", "submissions/inet")
    row = only(machine)
    is_row(row, "missing", MASTER, "submissions/inet", None, None)
    assert row["origin"]["key"] == "submissions"


def test_a_listener_by_its_number(machine: Machine) -> None:
    text = machine.read(MASTER)
    machine.write(MASTER, text.replace("\nsubmission ", "\n587 ").replace("\nsmtp       inet", "\n25 inet"))
    silent(machine)


def test_a_service_twice(machine: Machine) -> None:
    line = machine.append(MASTER, "smtp inet n - y - - smtpd\n")
    row = only(machine)
    is_row(row, "duplicate", MASTER, "smtp/inet", line)


def test_out_of_the_chroot(machine: Machine) -> None:
    machine.postconf("-F", "submission/inet/chroot=n")
    row = only(machine)
    assert (row["kind"], row["setting"], row["service"], row["desired"], row["live"]) == (
        "changed", "chroot", "submission/inet", "y", "n",
    )  # fmt: skip


# --- smtpd.conf ------------------------------------------------------------------------------------------------------


def test_smtpd_conf_is_edited(machine: Machine) -> None:
    line = machine.replace(SASL, "mech_list: PLAIN LOGIN", "mech_list: PLAIN LOGIN CRAM-MD5")
    row = only(machine)
    is_row(row, "changed", SASL, "mech_list", line, "PLAIN LOGIN CRAM-MD5")
    assert row["explanation"] == ["also has CRAM-MD5"]
    assert row["origin"]["key"] == "sasl.mechanisms"


def test_smtpd_conf_in_another_spelling(machine: Machine) -> None:
    machine.replace(SASL, "mech_list: PLAIN LOGIN", "MECH_LIST:   login plain  ")
    silent(machine)


def test_smtpd_conf_gets_a_setting(machine: Machine) -> None:
    line = machine.append(SASL, "sql_passwd: example-only\n")
    row = only(machine)
    is_row(row, "extra", SASL, "sql_passwd", line, "(hidden)")
    for words in ([], ["--diff"], ["--format", "json"]):
        assert "example-only" not in machine.drift(*words).out


def test_smtpd_conf_in_a_second_place_that_wins(tmp_path: Path) -> None:
    lab.needs("postconf", "openssl")
    machine = place(ROOT / "sites/rhel-9.toml", tmp_path)
    silent(machine)
    other = machine.at("/etc/sasl/smtpd.conf")
    other.parent.mkdir()
    other.write_text("pwcheck_method: auxprop\n")
    silent(machine)
    line = machine.line(MAIN, "cyrus_sasl_config_path")
    machine.postconf("-e", "cyrus_sasl_config_path=/etc/sasl:/etc/sasl2")
    told = machine.told()
    rows = told.json["differences"]
    assert told.code == 1
    assert [(each["kind"], each["file"], each["setting"]) for each in rows] == [
        ("changed", MAIN, "cyrus_sasl_config_path"),
        ("shadowed", "/etc/sasl/smtpd.conf", ""),
    ]
    assert rows[0]["line"] == line
    assert rows[1]["desired"] == "/etc/sasl2/smtpd.conf"


def test_the_table_with_the_password(tmp_path: Path) -> None:
    lab.needs("postconf", "openssl", "postmap")
    machine = place(ROOT / "sites/relay-client.toml", tmp_path)
    table, index = "/etc/postfix/sasl_passwd", "/etc/postfix/sasl_passwd.db"
    silent(machine)
    machine.at(index).chmod(0o640)
    row = only(machine)
    is_row(row, "mode", index, "", None, "0640")
    assert row["effects"] == [f"the file's group can read {index}"]
    machine.at(index).unlink()
    row = only(machine)
    is_row(row, "missing", index, "smtp_sasl_password_maps", None, None)
    assert row["origin"]["key"] == "relay.credentials"
    lab.run("postmap", f"hash:{machine.at(table)}")
    # Some take the source away once it is indexed.
    machine.at(table).unlink()
    silent(machine)


def test_the_password_database_of_sasl(tmp_path: Path) -> None:
    lab.needs("postconf", "openssl", "saslpasswd2")
    machine = place(ROOT / "sites/sasldb-scram.toml", tmp_path)
    machine.at("/etc/sasldb2").chmod(0o644)
    is_row(only(machine), "mode", "/etc/sasldb2", "", None, "0644")
    machine.at("/etc/sasldb2").unlink()
    is_row(only(machine), "missing", "/etc/sasldb2", "sasldb_path", None, None)


def test_dovecots_settings(tmp_path: Path) -> None:
    lab.needs("postconf", "openssl")
    machine = place(ROOT / "sites/dovecot.toml", tmp_path)
    path = "/etc/dovecot/conf.d/99-mailcfg.conf"
    machine.write(path, machine.read(path).replace("    mode = 0660", "  # the socket\n  mode=0660") + "\n")
    silent(machine)
    line = machine.replace(path, "mode=0660", "mode=0666")
    row = only(machine)
    is_row(row, "changed", path, "service auth > unix_listener /var/spool/postfix/private/auth > mode", line, "0666")
    machine.append(path, "auth_mechanisms = plain\n")
    assert [each[0] for each in machine.told().rows] == ["changed", "duplicate"]
    machine.append(path, "}\n")
    answer = machine.told()
    assert answer.code == 2
    assert answer.json["unknown"][0]["file"] == path


# --- modes, owners, certificates -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "mode", "desired", "severity"),
    [
        (MAIN, 0o666, "0644", "error"),
        (MASTER, 0o600, "0644", "warning"),
        (SASL, 0o664, "0644", "error"),
        (KEY, 0o644, "0600", "error"),
    ],
)
def test_chmod(machine: Machine, path: str, mode: int, desired: str, severity: str) -> None:
    machine.at(path).chmod(mode)
    row = only(machine)
    is_row(row, "mode", path, "", None, f"{mode:04o}")
    assert (row["desired"], row["severity"]) == (desired, severity)


@pytest.mark.parametrize("path", ["/etc/postfix", "/etc/postfix/sasl", "/etc/ssl/private"])
def test_a_directory_that_anybody_can_write(machine: Machine, path: str) -> None:
    machine.at(path).chmod(0o775)
    silent(machine)
    machine.at(path).chmod(0o777)
    row = only(machine)
    is_row(row, "mode", path, "", None, "0777")
    assert (row["desired"], row["severity"]) == ("0775", "error")
    machine.at(path).chmod(0o1777)
    silent(machine)


def test_a_key_may_be_stricter(machine: Machine) -> None:
    machine.at(KEY).chmod(0o400)
    silent(machine)


@pytest.mark.parametrize("path", [MAIN, SASL, KEY])
def test_chown(machine: Machine, path: str) -> None:
    shutil.chown(machine.at(path), "nobody", "nogroup")
    row = only(machine)
    is_row(row, "owner", path, "", None)
    assert row["desired"].startswith("root")
    assert not row["live"].startswith("root")


def certificate(machine: Machine) -> dict[str, Any]:
    found: dict[str, Any] = manifest(machine)["configuration"]["certificates"][0]
    return found


def test_replaced_key(machine: Machine) -> None:
    before = machine.at(CERTIFICATE).read_bytes()
    make(machine, certificate(machine))
    machine.at(CERTIFICATE).write_bytes(before)
    row = only(machine)
    is_row(row, "certificate", KEY, "mail", None, "another key")


def test_renewed_certificate(machine: Machine) -> None:
    before = machine.at(CERTIFICATE).read_bytes()
    make(machine, certificate(machine), days=90)
    assert machine.at(CERTIFICATE).read_bytes() != before
    silent(machine)


def test_certificate_for_another_name(machine: Machine) -> None:
    make(machine, certificate(machine) | {"names": ["mail.example.com", "imap.example.com"]})
    row = only(machine)
    is_row(row, "certificate", CERTIFICATE, "mail", None, "mail.example.com, imap.example.com")
    assert row["explanation"] == ["it is not valid for smtp.example.com"]


def test_certificate_with_a_wildcard(machine: Machine) -> None:
    make(machine, certificate(machine) | {"names": ["*.example.com"]})
    silent(machine)


def test_certificate_of_another_type(machine: Machine) -> None:
    make(machine, certificate(machine) | {"key_type": "rsa-2048"})
    row = only(machine)
    is_row(row, "certificate", CERTIFICATE, "mail", None, "rsa-2048")
    assert row["desired"] == "ecdsa-p256"


@pytest.mark.parametrize("path", [CERTIFICATE, KEY])
def test_certificate_is_gone(machine: Machine, path: str) -> None:
    machine.at(path).unlink()
    row = only(machine)
    is_row(row, "certificate", path, "mail", None, None)
    assert "absent" in row["explanation"][0]


@pytest.mark.parametrize("path", [CERTIFICATE, KEY])
@pytest.mark.parametrize("text", ["", "garbage\n", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_certificate_is_damaged(machine: Machine, path: str, text: str) -> None:
    machine.write(path, text)
    row = only(machine)
    is_row(row, "certificate", path, "mail", None, "unreadable")


@pytest.mark.parametrize(
    ("days", "live", "word"),
    [
        (39, None, ""),
        (41, "expires", "it is expiring: 18 days are left"),
        (61, "expired", "it has expired"),
        (-2, "starts", "it is not valid yet"),
    ],
)
def test_a_certificate_ends(machine: Machine, days: int, live: str | None, word: str) -> None:
    """It lasts sixty days; the clock is set, for mailcfg alone."""
    lab.needs("faketime")
    command = ["faketime", "-f", f"{days:+}d", sys.executable, "-m", "mailcfg", "drift", machine.bundle]
    done = lab.run(*map(str, command), "--root", machine.root, "--format", "json", check=False)
    rows = json.loads(done.stdout)["differences"]
    assert done.returncode == (1 if live else 0)
    assert [(row["kind"], row["setting"], row["live"].split()[0], row["explanation"]) for row in rows] == (
        [("certificate", "mail", live, [word])] if live else []
    )


# --- asking ----------------------------------------------------------------------------------------------------------


EXAMPLE = Path(__file__).parent / "drift.txt"
"""What a person sees; the README shows it too."""


def test_all_at_once_as_people_read_it(machine: Machine) -> None:
    # postconf appends parameters in another order every time; here they stand as in the bundle.
    packaged = [line for line in PACKAGED_MAIN.splitlines(True) if "_tls_" not in line and "myhostname =" not in line]
    machine.write(MAIN, "".join(packaged) + (machine.bundle / "postfix/main.cf").read_text())
    machine.replace(MAIN, "smtpd_tls_auth_only = yes", "smtpd_tls_auth_only = no")
    machine.replace(MAIN, "smtpd_sasl_auth_enable = no", "smtpd_sasl_auth_enable = yes")
    machine.append(MAIN, "smtpd_tls_mandatory_protocols = !SSLv2, !SSLv3\n")
    text = machine.read(MASTER)
    once = "-o smtpd_sasl_auth_enable=yes"
    machine.write(MASTER, text.replace(once, f"{once} -o smtpd_tls_security_level=may", 1))
    machine.replace(SASL, "PLAIN LOGIN", "PLAIN LOGIN CRAM-MD5")
    machine.at(KEY).chmod(0o644)
    answer = machine.drift()
    assert (answer.code, answer.err) == (1, "")
    assert answer.out == EXAMPLE.read_text()
    colored = machine.drift("--color", "always").out
    assert "\x1b[31m" in colored
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == answer.out


def test_the_diff_is_what_would_mend_it(machine: Machine) -> None:
    before = machine.read(MAIN), machine.read(MASTER), machine.read(SASL)
    machine.replace(MAIN, "smtpd_tls_auth_only = yes", "smtpd_tls_auth_only = no")
    machine.append(MAIN, "smtpd_tls_loglevel = 4\nsmtpd_tls_ask_ccert = yes\n")
    machine.replace(MASTER, "-o smtpd_tls_wrappermode=yes", "-o smtpd_tls_wrappermode=no")
    machine.append(MASTER, "2525 inet n - n - - smtpd\n")
    machine.replace(SASL, "PLAIN LOGIN", "PLAIN")
    answer = machine.drift("--diff")
    assert answer.code == 1
    patch = answer.out.replace(" (live)\n", "\n").replace(" (desired)\n", "\n")
    lab.run("patch", "-p1", "-d", machine.root, text=patch.replace("--- /", "--- a/").replace("+++ /", "+++ b/"))
    assert machine.read(SASL) == before[2]
    assert machine.read(MAIN).replace("smtpd_tls_loglevel = 4", "smtpd_tls_loglevel = 1")  # The later line was kept.
    silent(machine)


def test_without_a_target_the_machine_names_its_site(machine: Machine, tmp_path: Path) -> None:
    nothing = mailcfg("drift", "--root", machine.root)
    assert nothing.code == 2
    assert "/etc/mailcfg/site.toml" in nothing.err
    applied = machine.at("/var/lib/mailcfg/applied")
    shutil.copytree(machine.bundle, applied)
    assert mailcfg("drift", "--root", machine.root).code == 0
    own = machine.at("/etc/mailcfg/site.toml")
    own.parent.mkdir()
    shutil.copy(ROOT / "sites/quickstart.toml", own)
    with own.open("a") as file:
        file.write('[postfix.main]\nsmtpd_helo_required = "yes"\n')
    first = mailcfg("drift", "--root", machine.root, "--format", "json")
    assert first.json["site"] == "site"
    assert first.rows == [("missing", MAIN, "smtpd_helo_required")]
    named = mailcfg("drift", "--root", machine.root, MAILCFG_SITE=str(machine.bundle))
    assert (named.code, named.out) == (0, "")


def test_another_directory(machine: Machine) -> None:
    machine.at("/etc/postfix").rename(machine.at("/etc/postfix-out"))
    assert machine.drift().code == 1
    answer = machine.drift("--config-dir", "/etc/postfix-out")
    assert (answer.code, answer.out, answer.err) == (0, "", "")


def test_a_tar_says_the_same(machine: Machine, tmp_path: Path) -> None:
    built = mailcfg("build", ROOT / "sites/quickstart.toml", "--format", "tar", "-o", tmp_path / "tar", "--quiet")
    assert built.code == 0
    answer = machine.drift(target=tmp_path / "tar" / "quickstart.tar")
    assert (answer.code, answer.out, answer.err) == (0, "", "")
    machine.at(KEY).chmod(0o644)
    assert machine.drift(target=tmp_path / "tar" / "quickstart.tar").code == 1
