"""Twenty-one set-ups that `postfix check` passes and that do something else than they say: each is told."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from mailcfg.cli import main
from tests.rules.examples import Example, checked, placed

PEM = "/etc/ssl/private/mail.pem"
GOOD = {PEM: "key ecdsa-p256, certificate mail.example.com"}
MAIN, MASTER, CONF = "main.cf", "master.cf", "sasl/smtpd.conf"
SASL = "smtpd_sasl_auth_enable = yes\nsmtpd_tls_auth_only = yes\n"
MAY = "smtpd_tls_security_level = may\n"
TLS = f"myhostname = mail.example.com\nsmtpd_tls_security_level = may\nsmtpd_tls_chain_files = {PEM}\n"
SASLAUTHD = "pwcheck_method: saslauthd\nmech_list: PLAIN LOGIN\n"


class Trap(NamedTuple):
    """A set-up, and the findings that it must get: rule, file, line."""

    files: dict[str, str]
    described: dict[str, str]
    wanted: list[tuple[str, str, int]]


TRAPS = {
    "E1": Trap({MAIN: TLS + "tls_ffdhe_auto_groups = ffdhe2048\n"}, GOOD, [("parameter-too-new", MAIN, 4)]),
    "E2": Trap(
        {
            MAIN: "smtpd_tls_security_levl = may\nsmtpd_tls_security_level = bogus\n"
            "smtpd_tls_cert_file = /etc/ssl/missing.pem\nsmtpd_sasl_auth_enable = yes\n"
            "smtpd_sasl_security_options = bogus\nsmtpd_tls_loglevel = 0\nsmtpd_tls_loglevel = 1\n",
            CONF: SASLAUTHD,
        },
        {},
        [
            ("parameter-unknown", MAIN, 1),
            ("level-unknown", MAIN, 2),
            ("certificate-unreadable", MAIN, 3),
            ("sasl-option-unknown", MAIN, 5),
            ("parameter-duplicate", MAIN, 7),
        ],
    ),
    "E3": Trap({MAIN: TLS + "smtpd_tls_security_level = bogus\n"}, GOOD, [("level-unknown", MAIN, 4)]),
    "E4": Trap(
        {MAIN: TLS + SASL + "smtpd_sasl_security_options = noanonymous, noplaintxt\n", CONF: SASLAUTHD},
        GOOD,
        [("sasl-option-unknown", MAIN, 6)],
    ),
    "E5": Trap(
        {MAIN: TLS + "smtpd_tls_protocols = !SSLv2,!SSLv3,!TLSv1,TLSv1.1,TLSv1.2\n"},
        GOOD,
        [("protocol-inclusion", MAIN, 4)],
    ),
    "E6": Trap(
        {
            MAIN: TLS + "smtpd_tls_mandatory_protocols = SSLv3, TLSv1\n",
            MASTER: "submission inet n - n - - smtpd\n  -o smtpd_tls_security_level=encrypt\n",
        },
        GOOD,
        [("ssl-enabled", MAIN, 4), ("old-tls-mandatory", MAIN, 4)],
    ),
    "E7": Trap({MAIN: TLS + "smtpd_tls_protocols = >=TLSv9\n"}, GOOD, [("protocol-unknown", MAIN, 4)]),
    "E8": Trap(
        {MAIN: MAY + "smtpd_tls_cert_file = /etc/ssl/a.pem\nsmtpd_tls_key_file = /etc/ssl/b.key\n"},
        {"/etc/ssl/a.pem": "certificate mail.example.com", "/etc/ssl/b.key": "key ecdsa-p256"},
        [("key-mismatch", MAIN, 2)],
    ),
    "E9": Trap(
        {MAIN: TLS + SASL + "smtp_sasl_security_options = noplaintext\n", CONF: SASLAUTHD},
        GOOD,
        [("client-server-confusion", MAIN, 6)],
    ),
    "E10": Trap(
        {MAIN: TLS + SASL, CONF: "pwcheck_method: saslauthd\n"},
        GOOD,
        [("mechanisms-undeclared", CONF, 0), ("mechanism-unverifiable", CONF, 1)],
    ),
    "E11": Trap(
        {MAIN: TLS + SASL + "cyrus_sasl_config_path = /etc/sasl2\n", CONF: SASLAUTHD},
        GOOD,
        [("smtpd-conf-unread", MAIN, 6)],
    ),
    "E12": Trap(
        {MAIN: "smtp_tls_security_level = may\nsmtp_tls_protocols = >=TLSv1.3\n"}, {}, [("cleartext-fallback", MAIN, 2)]
    ),
    "E13": Trap(
        {
            MAIN: "smtpd_tls_chain_files = /etc/ssl/private/rsa.pem\n",
            MASTER: "submission inet n - n - - smtpd\n  -o smtpd_tls_security_level=encrypt\n",
        },
        {"/etc/ssl/private/rsa.pem": "key rsa-2048, certificate mail.example.com"},
        [("cipher-static-rsa", MASTER, 1)],
    ),
    "E14": Trap(
        {MAIN: "smtpd_tls_security_level = may\nsmtpd_tls_chain_files = /etc/ssl/a.pem, /etc/ssl/a.key\n"},
        {"/etc/ssl/a.key": "key ecdsa-p256", "/etc/ssl/a.pem": "certificate mail.example.com of /etc/ssl/a.key"},
        [("chain-file-order", MAIN, 2)],
    ),
    "E15": Trap(
        {MAIN: TLS + f"smtpd_tls_cert_file = {PEM}\nsmtpd_tls_key_file = {PEM}\n"},
        GOOD,
        [("chain-file-order", MAIN, 4)],
    ),
    "E16": Trap({MAIN: TLS + "smtpd_tls_security_level = verify\n"}, GOOD, [("client-level-on-server", MAIN, 4)]),
    "E17": Trap({MAIN: TLS + "smtpd_tls_ciphers = bogus\n"}, GOOD, [("cipher-grade-invalid", MAIN, 4)]),
    "E18": Trap({MAIN: TLS + "smtpd_tls_ciphers = HIGH\n"}, GOOD, []),
    "E19": Trap(
        {MAIN: MAY + "smtpd_tls_cert_file = /etc/ssl/a.pem\nsmtpd_tls_key_file = /etc/ssl/a.key\n"},
        {"/etc/ssl/a.pem": "certificate mail.example.com"},
        [("certificate-unreadable", MAIN, 3)],
    ),
    "E20": Trap(
        {MAIN: TLS, MASTER: "smtp inet n - n - - smtpd\n  -o smtpd_tls_auth_only = yes\n"},
        GOOD,
        [("override-syntax", MASTER, 2)],
    ),
    "E21": Trap({MAIN: "smtpd_tls_security_level = may\n"}, {}, [("tls-not-offered", MAIN, 1)]),
}

every = pytest.mark.parametrize("name", TRAPS)


@every
def test_a_trap_is_told_at_its_line(name: str, tmp_path: Path) -> None:
    trap = TRAPS[name]
    found = checked(Example(trap.files, trap.described, "debian-12", "3.7.11"), tmp_path, time.time())
    assert found.unknown == ()
    told = [
        (each.rule, each.location.file.partition("/etc/postfix/")[2], each.location.line) for each in found.findings
    ]
    for rule, file, line in trap.wanted:
        assert any(one == rule and (not line or (there, at) == (file, line)) for one, there, at in told), told
    if not trap.wanted:
        assert [each for each in told if each[0] == "cipher-grade-invalid"] == []


@every
def test_the_command_says_so(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trap = TRAPS[name]
    (target,) = placed(Example(trap.files, trap.described, "debian-12", "3.7.11"), tmp_path)
    words = ["check", target, "--root", str(tmp_path), "--platform", "debian-12", "--postfix", "3.7.11"]
    code = main([*words, "--format", "json", "--fail-on", "info"])
    found = json.loads(capsys.readouterr().out)["findings"]
    assert {rule for rule, _, _ in trap.wanted} <= {each["rule"] for each in found}
    assert code == (1 if found else 0)
