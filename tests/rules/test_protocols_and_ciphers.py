"""Rules on protocol versions, ciphers and groups, beyond their examples: where they point, and when they are silent."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mailcfg.checking import check_all
from mailcfg.problem import Finding
from mailcfg.subjects import Wish
from tests.rules.examples import Example, checked
from tests.sites import ROOT, SITES

PEM, RSA = "/etc/ssl/private/mail.pem", "/etc/ssl/private/rsa.pem"
KEYS = {PEM: "key ecdsa-p256, certificate mail.example.com", RSA: "key rsa-2048, certificate mail.example.com"}
MAIN, MASTER = "main.cf", "master.cf"
TLS = f"smtpd_tls_security_level = may\nsmtpd_tls_chain_files = {PEM}\n"
WITH_RSA = f"smtpd_tls_security_level = may\nsmtpd_tls_chain_files = {RSA}\n"
ALL_PORTS = """\
smtp inet n - n - - smtpd
submission inet n - n - - smtpd
  -o smtpd_tls_security_level=encrypt
submissions inet n - n - - smtpd
  -o smtpd_tls_wrappermode=yes
"""
OURS = {
    *("ssl-enabled", "old-tls-mandatory", "old-tls-opportunistic", "cleartext-fallback", "mandatory-without-effect"),
    *("protocol-inclusion", "protocol-list-mixed", "protocol-unknown", "protocol-range-unsupported"),
    *("cipher-broken", "cipher-static-rsa", "cipher-dhe-cbc", "cipher-key-mismatch", "cipher-grade-invalid"),
    *("cipherlist-unused", "cipherlist-overridden", "cipherlist-tls13"),
    *("dh-parameter-obsolete", "group-unsupported", "group-order"),
}
DANE = "smtp_tls_security_level = dane\nsmtp_dns_support_level = dnssec\n"


class Told(list[tuple[str, str, str, int]]):
    """Rule, severity, file and line of each finding of the rules that this file is about."""

    def __init__(self, findings: list[Finding]) -> None:
        self.findings = [each for each in findings if each.rule in OURS]
        super().__init__(
            (
                each.rule,
                each.severity.value,
                each.location.file.partition("/etc/postfix/")[2] or each.location.file.rpartition("/")[2],
                each.location.line,
            )
            for each in self.findings
        )

    def of(self, rule: str) -> list[tuple[str, str, int]]:
        return [each[1:] for each in self if each[0] == rule]

    def messages(self, rule: str) -> list[str]:
        return [each.message for each in self.findings if each.rule == rule]


def told(
    root: Path, main: str, master: str = "", *, platform: str = "debian-12", postfix: str | None = None, **others: str
) -> Told:
    root.mkdir(exist_ok=True)
    files = {MAIN: main, **({MASTER: master} if master else {}), **others}
    found = checked(Example(files, KEYS, platform, postfix), root, time.time())
    assert found.unknown == ()
    return Told(list(found.findings))


def site(root: Path, text: str) -> Told:
    return Told(list(checked(Example({"site.toml": text}, {}, "debian-12", None), root, time.time()).findings))


def alone(root: Path, main: str) -> Told:
    """What is said of a main.cf that was carried here without its master.cf and its certificates."""
    (root / MAIN).write_text(main)
    (only,) = check_all([str(root)], Wish("/", None, "debian-12", None, time.time()), "2026-01-01", live=False, jobs=1)
    return Told(list(only.findings))


# --- where TLS is off ------------------------------------------------------------------------------------------------

EVERYTHING = """\
smtpd_tls_protocols = SSLv3, TLSv1
smtpd_tls_mandatory_protocols = >=TLSv9
smtp_tls_protocols = >=TLSv1.3
smtp_tls_mandatory_protocols = !TLSv1.1
smtpd_tls_ciphers = bogus
smtp_tls_mandatory_ciphers = export
tls_high_cipherlist = TLS_AES_128_GCM_SHA256
tls_medium_cipherlist = ALL:eNULL
smtpd_tls_eecdh_grade = ultra
smtpd_tls_dh512_param_file = /etc/postfix/dh.pem
tls_ffdhe_auto_groups = ffdhe2048
tls_eecdh_auto_curves = X25519MLKEM768
"""


@pytest.mark.parametrize("platform", ["centos-5", "debian-11", "debian-12", "debian-13", "arch"])
def test_nothing_is_said_where_nobody_uses_tls(platform: str, tmp_path: Path) -> None:
    none = "smtpd_tls_security_level = none\nsmtp_tls_security_level = none\n"
    assert told(tmp_path, none + EVERYTHING, platform=platform) == []


def test_what_holds_for_the_client_alone_is_not_said_of_the_server(tmp_path: Path) -> None:
    found = told(tmp_path, "smtp_tls_security_level = may\n" + EVERYTHING)
    names = {each.setting for each in found.findings}
    assert not any(name.startswith("smtpd_") for name in names)
    assert "smtp_tls_protocols" in names


# --- protocols -------------------------------------------------------------------------------------------------------


def test_one_line_is_told_once_for_every_port_that_it_holds_for(tmp_path: Path) -> None:
    found = told(tmp_path, TLS + "smtpd_tls_mandatory_protocols = SSLv3, TLSv1\n", ALL_PORTS)
    assert found.of("ssl-enabled") == [("error", MAIN, 3)]
    assert found.of("old-tls-mandatory") == [("error", MAIN, 3)]
    assert found.of("protocol-inclusion") == [("error", MAIN, 3)]
    assert "port 587, port 465" in found.messages("old-tls-mandatory")[0]
    assert "port 25" not in found.messages("ssl-enabled")[0]


def test_an_override_is_told_at_its_line(tmp_path: Path) -> None:
    master = ALL_PORTS + "  -o smtpd_tls_mandatory_protocols=TLSv1.2\n"
    found = told(tmp_path, TLS + "smtpd_tls_mandatory_protocols = >=TLSv1.2\n", master)
    assert found.of("protocol-inclusion") == [("error", MASTER, 6)]
    assert {each.service for each in found.findings if each.rule == "protocol-inclusion"} == {"submissions/inet"}
    assert "port 465" in found.messages("protocol-inclusion")[0]


def test_ssl_that_openssl_does_not_speak_is_an_error_only_where_it_is_named(tmp_path: Path) -> None:
    left = told(tmp_path / "left", TLS + "smtpd_tls_protocols = !SSLv2\n")
    assert left.of("ssl-enabled") == [("warning", MAIN, 3)]
    assert "does not speak it" in next(each for each in left.findings if each.rule == "ssl-enabled").effect
    assert told(tmp_path / "empty", TLS + "smtpd_tls_protocols =\n").of("ssl-enabled") == [("warning", MAIN, 3)]
    named = told(tmp_path / "named", TLS + "smtpd_tls_protocols = SSLv3, TLSv1.2, TLSv1.3\n")
    assert named.of("ssl-enabled") == [("error", MAIN, 3)]
    assert told(tmp_path / "default", TLS, postfix="3.5.25", platform="debian-11").of("ssl-enabled") == []


def test_dane_never_uses_ssl(tmp_path: Path) -> None:
    assert told(tmp_path, DANE + "smtp_tls_mandatory_protocols = !SSLv2\n").of("ssl-enabled") == []


def test_what_postfix_cannot_expand_is_not_judged(tmp_path: Path) -> None:
    main = "smtp_tls_security_level = encrypt\nsmtp_tls_mandatory_protocols = ${x\n"
    found = checked(Example({MAIN: main}, {}, "debian-12", None), tmp_path, time.time())
    assert Told(list(found.findings)) == []


@pytest.mark.parametrize(
    ("value", "rules"),
    [
        (">=TLSv1.2", []),
        (">=0303", []),
        (">=TLSv1.2, <=TLSv1.3", []),
        ("!SSLv2 !SSLv3 !TLSv1 !TLSv1.1", []),
        ("!SSLv2:!SSLv3:!TLSv1:!TLSv1.1", []),
        ("tlsv1.2, tlsv1.3", []),
        ("SSLv2, >=TLSv1.2", []),
        (">=TLSv1.2, <=TLSv1.2", []),
        (">=TLSv1.2, !TLSv1.3", []),
        ("TLSv1.2", ["protocol-inclusion"]),
        ("TLSv1.3", ["protocol-inclusion"]),
        ("TLSv1.2, !TLSv1.3", ["protocol-list-mixed"]),
        ("!TLSv1.1, TLSv1.2, TLSv1.3", ["protocol-list-mixed"]),
        ("!SSLv3, TLSv1.2", ["protocol-inclusion", "protocol-list-mixed"]),
        ("!SSLv2, !SSLv3, !TLSv1.2", ["protocol-list-mixed"]),
        (">=TLSv1.4", ["protocol-unknown"]),
        ("!SSLv2, !SSLv3, !TLSv1_1", ["protocol-unknown"]),
        ("TLSv1.2 TLSv1.3 #new", ["protocol-unknown"]),
    ],
)
def test_how_a_protocol_list_is_judged(value: str, rules: list[str], tmp_path: Path) -> None:
    found = told(tmp_path, TLS + f"smtpd_tls_protocols = {value}\n")
    assert sorted({each[0] for each in found if each[0].startswith("protocol-")}) == rules
    assert {each[3] for each in found if each[0].startswith("protocol-")} <= {3}


def test_a_list_that_does_not_hold_is_not_judged(tmp_path: Path) -> None:
    main = TLS + "smtpd_tls_protocols = >=TLSv1.2\nsmtpd_tls_mandatory_protocols = >=TLSv9, SSLv3\n"
    assert told(tmp_path, main) == []


def test_a_port_that_closes_at_once_is_told_why(tmp_path: Path) -> None:
    found = told(tmp_path, TLS + "smtpd_tls_mandatory_protocols = TLS1.2\n", ALL_PORTS)
    (one,) = [each for each in found.findings if each.rule == "protocol-unknown"]
    assert (one.location.line, "port 465" in one.message, "port 587" in one.message) == (3, True, True)


def test_a_range_is_too_new_or_unknown_and_never_both(tmp_path: Path) -> None:
    main = TLS + "smtpd_tls_protocols = >=TLSv1.2\nsmtpd_tls_mandatory_protocols = >=TLSv1.2\n"
    old = told(tmp_path / "old", main, platform="debian-11", postfix="3.5.25")
    assert [each for each in old if each[0].startswith("protocol-")] == [
        ("protocol-range-unsupported", "error", MAIN, 3)
    ]
    wrong = told(tmp_path / "wrong", TLS + "smtpd_tls_protocols = TLSv9\n", platform="debian-11", postfix="3.5.25")
    assert wrong.of("protocol-unknown") == [("error", MAIN, 3)]
    assert wrong.of("protocol-range-unsupported") == []


def test_a_next_hop_of_a_policy_table_has_a_list_of_its_own(tmp_path: Path) -> None:
    table = "smtp_tls_policy_maps = inline:{{example.com = encrypt protocols=TLSv1.2 ciphers=bogus}}\n"
    found = told(tmp_path, "smtp_tls_security_level = may\nsmtp_tls_protocols = >=TLSv1.2\n" + table)
    assert found.of("protocol-inclusion") == [("error", MAIN, 3)]
    assert found.of("cipher-grade-invalid") == [("error", MAIN, 3)]
    assert "mail to example.com" in found.messages("protocol-inclusion")[0]


# --- old versions ----------------------------------------------------------------------------------------------------


def test_a_default_is_told_at_the_service_that_it_matters_for(tmp_path: Path) -> None:
    found = told(tmp_path, TLS, ALL_PORTS)
    assert found.of("old-tls-mandatory") == [("error", MASTER, 2)]
    assert found.of("old-tls-opportunistic") == [("info", MASTER, 1)]


def test_an_old_version_that_no_cipher_fits_is_not_told(tmp_path: Path) -> None:
    aead = "tls_medium_cipherlist = ECDHE-ECDSA-AES128-GCM-SHA256\n"
    assert told(tmp_path / "server", TLS + aead, ALL_PORTS).of("old-tls-mandatory") == []
    client = "smtp_tls_security_level = encrypt\nsmtp_tls_mandatory_protocols = >=TLSv1\n"
    assert told(tmp_path / "client", client + aead).of("old-tls-mandatory") == []
    assert told(tmp_path / "default", client).of("old-tls-mandatory") == [("error", MAIN, 2)]


def test_a_next_hop_with_the_default_is_a_note(tmp_path: Path) -> None:
    found = told(tmp_path, "relayhost = [smtp.example.com]:587\nsmtp_tls_security_level = encrypt\n")
    assert found.of("old-tls-mandatory") == [("info", MAIN, 2)]


@pytest.mark.parametrize(
    ("level", "platform", "expected"),
    [
        ("encrypt", "debian-12", [("error", MAIN, 2)]),
        ("verify", "debian-12", []),
        ("secure", "debian-12", []),
        ("fingerprint", "debian-12", []),
        # OpenSSL 1.1.1 lets a client that checks certificates use them.
        ("secure", "debian-11", [("error", MAIN, 2)]),
    ],
)
def test_an_old_version_that_a_checking_client_never_completes(
    level: str, platform: str, expected: list[tuple[str, str, int]], tmp_path: Path
) -> None:
    main = f"smtp_tls_security_level = {level}\nsmtp_tls_mandatory_protocols = !SSLv2, !SSLv3\n"
    assert told(tmp_path, main, platform=platform).of("old-tls-mandatory") == expected


def test_a_main_cf_alone_is_pointed_at_where_tls_is_turned_on(tmp_path: Path) -> None:
    main = f"\nsmtpd_tls_security_level = encrypt\nsmtpd_tls_chain_files = {PEM}\n"
    assert alone(tmp_path, main).of("old-tls-mandatory") == [("error", MAIN, 2)]


def test_a_guideline_with_an_old_floor_is_a_warning(tmp_path: Path) -> None:
    text = """\
hostname = "mail.example.com"
platform = "debian-12"
[tls]
guideline = "mozilla-5.8-old"
[certificates.mail]
key = "rsa-3072"
[mx]
[submissions]
[sasl]
backend = "saslauthd"
"""
    found = site(tmp_path, text)
    assert found.of("old-tls-mandatory") == [("warning", "site.toml", 4)]
    assert {each[1] for each in found} <= {"warning", "info"}


def test_a_pinned_rfc9325_makes_old_tls_on_port_25_a_warning(tmp_path: Path) -> None:
    text = """\
hostname = "mail.example.com"
platform = "debian-12"
[tls]
guideline = "rfc9325"
[certificates.mail]
[mx]
[postfix.master."smtp/inet".options]
smtpd_tls_protocols = ">=TLSv1"
"""
    assert site(tmp_path, text).of("old-tls-opportunistic") == [("warning", "site.toml", 8)]


# --- cleartext -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("main", "lines"),
    [
        ("smtp_tls_security_level = may\nsmtp_tls_protocols = >=TLSv1.3\n", [2]),
        ("smtp_use_tls = yes\nsmtp_tls_protocols = >=0304\n", [2]),
        ("smtp_tls_security_level = may\nsmtp_tls_protocols = TLSv1.3\n", [2]),
        ("smtp_tls_security_level = may\nsmtp_tls_protocols = SSLv3, TLSv1\n", [2]),
        # OpenSSL's client offers what is below the gap, and nothing above.
        ("smtp_tls_security_level = may\nsmtp_tls_protocols = !SSLv2, !SSLv3, !TLSv1.1\n", [2]),
        ("smtp_tls_security_level = may\nsmtp_tls_protocols = !SSLv2, !SSLv3\n", []),
        ("smtp_tls_security_level = may\nsmtp_tls_mandatory_protocols = >=TLSv1.3\n", []),
        ("smtp_tls_security_level = encrypt\nsmtp_tls_protocols = >=TLSv1.3\n", []),
        ("smtp_tls_security_level = none\nsmtp_tls_protocols = >=TLSv1.3\n", []),
        ("smtp_tls_security_level = may\nsmtp_tls_protocols = >=TLSv9\n", []),
        # With TLSA records nothing is sent in clear.
        (DANE + "smtp_tls_mandatory_protocols = >=TLSv1.3\n", []),
        (DANE + "smtp_tls_protocols = >=TLSv1.3\n", [3]),
        (
            "smtp_tls_security_level = encrypt\n"
            "smtp_tls_policy_maps = inline:{{a.example = may protocols=TLSv1.3}, {b.example = may}}\n",
            [2],
        ),
    ],
)
def test_where_mail_falls_back_to_cleartext(main: str, lines: list[int], tmp_path: Path) -> None:
    found = told(tmp_path, main)
    assert found.of("cleartext-fallback") == [("error", MAIN, line) for line in lines]


def test_a_peer_with_a_password_gets_nothing_in_clear(tmp_path: Path) -> None:
    main = "smtp_tls_security_level = may\nsmtp_tls_protocols = >=TLSv1.3\nrelayhost = [smtp.example.com]:587\n"
    password = "smtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd\n"
    (plain,) = [each.effect for each in told(tmp_path / "a", main).findings if each.rule == "cleartext-fallback"]
    (kept,) = [
        each.effect for each in told(tmp_path / "b", main + password).findings if each.rule == "cleartext-fallback"
    ]
    assert ("queue" in plain, "queue" in kept) == (False, True)


def test_a_server_with_tls13_alone_is_not_the_client(tmp_path: Path) -> None:
    assert told(tmp_path, TLS + "smtpd_tls_protocols = >=TLSv1.3\n").of("cleartext-fallback") == []


# --- mandatory -------------------------------------------------------------------------------------------------------

IDLE = "smtpd_tls_mandatory_protocols = >=TLSv1.2\nsmtpd_tls_mandatory_ciphers = high\n"


def test_what_is_for_mandatory_tls_is_told_line_by_line_where_none_is(tmp_path: Path) -> None:
    found = told(tmp_path, TLS + IDLE)
    assert found.of("mandatory-without-effect") == [("warning", MAIN, 3), ("warning", MAIN, 4)]


@pytest.mark.parametrize(
    "more",
    [
        "smtpd_tls_security_level = may\nsmtpd_tls_protocols = >=TLSv1.2\nsmtpd_tls_ciphers = high\n",
        "smtpd_tls_security_level = encrypt\n",
        "smtpd_tls_security_level = none\n",
        "smtpd_tls_security_level = may\nsmtpd_tls_wrappermode = yes\n",
    ],
)
def test_it_is_silent_where_it_holds_or_its_counterpart_is_set(more: str, tmp_path: Path) -> None:
    found = told(tmp_path, f"smtpd_tls_chain_files = {PEM}\n" + more + IDLE)
    assert found.of("mandatory-without-effect") == []


def test_a_table_that_nobody_can_read_may_demand_tls(tmp_path: Path) -> None:
    main = "smtp_tls_security_level = may\nsmtp_tls_mandatory_ciphers = high\n"
    assert told(tmp_path / "known", main).of("mandatory-without-effect") == [("warning", MAIN, 2)]
    table = "smtp_tls_policy_maps = hash:/etc/postfix/tls_policy\n"
    assert told(tmp_path / "table", main + table).of("mandatory-without-effect") == []
    transport = "smtp unix - - n - - smtp\nsecure unix - - n - - smtp\n  -o smtp_tls_security_level=encrypt\n"
    assert told(tmp_path / "service", main, transport).of("mandatory-without-effect") == []


def test_a_master_cf_that_is_not_here_may_demand_tls(tmp_path: Path) -> None:
    lists = "tls_high_cipherlist = HIGH\n"
    found = alone(tmp_path, TLS + IDLE + lists)
    assert found.of("mandatory-without-effect") == []
    assert found.of("cipherlist-unused") == []


def test_an_override_for_mandatory_tls_is_idle_at_a_service_without(tmp_path: Path) -> None:
    master = "smtp inet n - n - - smtpd\n  -o smtpd_tls_mandatory_protocols=>=TLSv1.3\n" + ALL_PORTS.partition("\n")[2]
    found = told(tmp_path, TLS + "smtpd_tls_mandatory_protocols = >=TLSv1.2\n", master)
    assert found.of("mandatory-without-effect") == [("warning", MASTER, 2)]


@pytest.mark.parametrize(
    ("more", "line"),
    [
        ("smtpd_tls_protocols = >=TLSv1.2\n", 3),
        ("smtpd_tls_protocols = >=TLSv1.2\nsmtpd_tls_mandatory_protocols = >=TLSv1.1\n", 4),
        ("smtpd_tls_ciphers = high\n", 3),
        ("smtpd_tls_ciphers = high\nsmtpd_tls_mandatory_ciphers = MEDIUM\n", 4),
        ("smtpd_tls_ciphers = HIGH\nsmtpd_tls_mandatory_ciphers = high\n", 0),
        ("smtpd_tls_protocols = >=TLSv1.2\nsmtpd_tls_mandatory_protocols = >=TLSv1.3\n", 0),
        ("smtpd_tls_protocols = <=TLSv1.2, >=TLSv1.2\nsmtpd_tls_mandatory_protocols = >=TLSv1.2\n", 0),
        ("smtpd_tls_mandatory_protocols = >=TLSv1.2\n", 0),
    ],
)
def test_mandatory_tls_that_is_weaker_than_optional(more: str, line: int, tmp_path: Path) -> None:
    found = told(tmp_path, TLS + more, ALL_PORTS)
    assert found.of("mandatory-without-effect") == ([("warning", MAIN, line)] if line else [])


def test_the_article_as_it_was_written() -> None:
    path = str(ROOT / "sites/article-as-written.toml")
    (only,) = check_all([path], Wish("/", None, None, None, time.time()), "2026-01-01", live=False, jobs=1)
    found = Told(list(only.findings))
    text = Path(path).read_text().splitlines()
    (line,) = [each[2] for each in found.of("mandatory-without-effect")]
    assert text[line - 1].startswith("smtpd_tls_mandatory_ciphers")
    assert found.of("ssl-enabled")
    assert "EXPORT" in found.messages("cipher-broken")[0]


RIGHT = [path for path in SITES if path.stem != "article-as-written"]


@pytest.mark.parametrize("path", RIGHT, ids=lambda each: each.stem)
def test_the_sites_are_clean(path: Path) -> None:
    (only,) = check_all([str(path)], Wish("/", None, None, None, time.time()), "2026-01-01", live=False, jobs=1)
    assert [each for each in Told(list(only.findings)) if each[1] != "info"] == []


# --- ciphers ---------------------------------------------------------------------------------------------------------


def test_static_rsa_is_told_once_and_only_where_tls_is_mandatory(tmp_path: Path) -> None:
    found = told(tmp_path / "all", WITH_RSA, ALL_PORTS)
    assert found.of("cipher-static-rsa") == [("warning", MASTER, 2)]
    assert "port 587, port 465" in found.messages("cipher-static-rsa")[0]
    assert told(tmp_path / "25", WITH_RSA).of("cipher-static-rsa") == []
    assert told(tmp_path / "ecdsa", TLS, ALL_PORTS).of("cipher-static-rsa") == []
    grade = told(tmp_path / "grade", WITH_RSA + "smtpd_tls_mandatory_ciphers = high\n", ALL_PORTS)
    assert grade.of("cipher-static-rsa") == [("warning", MAIN, 3)]
    clean = told(tmp_path / "clean", WITH_RSA + "smtpd_tls_mandatory_exclude_ciphers = kRSA\n", ALL_PORTS)
    assert clean.of("cipher-static-rsa") == []
    assert clean.of("cipher-dhe-cbc") == [("info", MASTER, 2)]


def test_a_key_that_is_not_here_is_spoken_of_as_such(tmp_path: Path) -> None:
    main = "smtpd_tls_security_level = encrypt\nsmtpd_tls_cert_file = /no/such.pem\nsmtpd_tls_key_file = /no/such.key\n"
    assert "with an RSA key" in alone(tmp_path, main).messages("cipher-static-rsa")[0]


def test_old_words_bring_in_old_ciphers_on_an_old_openssl(tmp_path: Path) -> None:
    old = f"smtpd_tls_security_level = may\nsmtpd_tls_cert_file = {RSA}\nsmtpd_tls_key_file = {RSA}\n"
    assert told(tmp_path / "all", old, platform="centos-5").of("cipher-broken") == [("warning", MASTER, 1)]
    out = old + "smtpd_tls_exclude_ciphers = EXPORT, LOW, RC4\n"
    assert told(tmp_path / "out", out, platform="centos-5").of("cipher-broken") == []
    assert told(tmp_path / "new", WITH_RSA).of("cipher-broken") == []


def test_a_broken_cipher_is_an_error_where_tls_is_mandatory(tmp_path: Path) -> None:
    main = WITH_RSA + "tls_medium_cipherlist = ALL:eNULL\n"
    assert told(tmp_path / "25", main).of("cipher-broken") == [("warning", MAIN, 3)]
    assert ("error", MAIN, 3) in told(tmp_path / "587", main, ALL_PORTS).of("cipher-broken")
    excluded = told(tmp_path / "out", main + "smtpd_tls_exclude_ciphers = eNULL\n", ALL_PORTS)
    assert excluded.of("cipher-broken") == []
    # smtp excludes eNULL by itself at level encrypt.
    client = "smtp_tls_security_level = encrypt\ntls_medium_cipherlist = ALL:eNULL\n"
    assert told(tmp_path / "client", client).of("cipher-broken") == []


@pytest.mark.parametrize(
    ("main", "line"),
    [
        (TLS + "tls_medium_cipherlist = HIGH:!ECDSA:!aNULL\n", 3),
        (TLS + "smtpd_tls_exclude_ciphers = aNULL, ECDSA\n", 3),
        (TLS + "tls_medium_cipherlist = ECDHE-RSA-AES128-GCM-SHA256\n", 3),
        # An anonymous session is none with this key.
        (TLS + "smtpd_tls_exclude_ciphers = ECDSA\n", 3),
        (TLS + "smtpd_tls_exclude_ciphers = RSA\n", 0),
        (WITH_RSA + "smtpd_tls_exclude_ciphers = ECDSA\n", 0),
        (TLS.replace(PEM, f"{PEM}, {RSA}") + "smtpd_tls_exclude_ciphers = ECDSA\n", 0),
        (TLS + "smtpd_tls_exclude_ciphers = ECDSA\nsmtpd_tls_protocols = >=TLSv1.3\n", 0),
        ("smtpd_tls_security_level = may\nsmtpd_tls_exclude_ciphers = ECDSA\n", 0),
        (TLS + "smtpd_tls_mandatory_exclude_ciphers = ECDSA\n", 0),
    ],
)
def test_lists_that_fit_no_key(main: str, line: int, tmp_path: Path) -> None:
    assert told(tmp_path, main).of("cipher-key-mismatch") == ([("error", MAIN, line)] if line else [])


def test_a_key_that_cannot_be_read_fits_for_all_we_know(tmp_path: Path) -> None:
    main = "smtpd_tls_security_level = may\nsmtpd_tls_chain_files = /no/such.pem\ntls_medium_cipherlist = aECDSA\n"
    assert alone(tmp_path, main).of("cipher-key-mismatch") == []


MOZILLA = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384"
    ":ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)


def test_lists_of_known_guidelines_are_nobodys_business(tmp_path: Path) -> None:
    main = TLS + "smtpd_tls_ciphers = high\n"
    backwards = ":".join(reversed(MOZILLA.split(":")))
    for place, value in enumerate((MOZILLA, backwards)):
        found = told(tmp_path / str(place), main + f"tls_high_cipherlist = {value}\n")
        assert [each for each in found if each[0].startswith("cipher")] == []
    own = told(tmp_path / "own", main + "tls_high_cipherlist = HIGH:!aNULL\n")
    assert own.of("cipherlist-overridden") == [("warning", MAIN, 4)]


def test_a_list_is_either_unused_or_overridden(tmp_path: Path) -> None:
    found = told(tmp_path, TLS + "tls_high_cipherlist = HIGH:!aNULL\n")
    assert found.of("cipherlist-unused") == [("warning", MAIN, 3)]
    assert found.of("cipherlist-overridden") == []


@pytest.mark.parametrize(
    "more",
    [
        "smtp_tls_security_level = may\nsmtp_tls_ciphers = High\n",
        "tls_medium_cipherlist = $tls_high_cipherlist\n",
        "smtp_tls_security_level = may\nsmtp_tls_policy_maps = hash:/etc/postfix/tls_policy\n",
        "smtp_tls_security_level = may\nsmtp_tls_policy_maps = inline:{{a.example = encrypt ciphers=high}}\n",
        "tlsproxy_tls_ciphers = high\n",
    ],
)
def test_a_list_that_something_may_use_is_not_unused(more: str, tmp_path: Path) -> None:
    assert told(tmp_path, TLS + f"tls_high_cipherlist = {MOZILLA}\n" + more).of("cipherlist-unused") == []


def test_a_policy_that_writes_its_own_list_gets_a_note(tmp_path: Path) -> None:
    text = """\
hostname = "mail.example.com"
platform = "debian-12"
[tls]
guideline = "custom"
minimum = "TLSv1.2"
ciphers = ["ECDHE-ECDSA-AES256-GCM-SHA384"]
[certificates.mail]
[submissions]
[sasl]
backend = "saslauthd"
"""
    assert list(site(tmp_path, text)) == [("cipherlist-overridden", "info", "site.toml", 6)]


@pytest.mark.parametrize(
    ("value", "count"),
    [
        ("ECDHE-ECDSA-AES128-GCM-SHA256:TLS_AES_128_GCM_SHA256", 1),
        ("HIGH:!TLS_AES_128_CCM_8_SHA256", 1),
        ("TLS_AES_256_GCM_SHA384", 1),
        ("", 1),
        # A name of TLS 1.2 as IANA has it, which OpenSSL knows too.
        ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", 0),
        (MOZILLA, 0),
    ],
)
def test_suites_of_tls13_in_a_list(value: str, count: int, tmp_path: Path) -> None:
    found = told(tmp_path, TLS + f"smtpd_tls_ciphers = high\ntls_high_cipherlist = {value}\n")
    assert found.of("cipherlist-tls13") == [("error", MAIN, 4)] * count


def test_an_empty_list_of_a_grade_that_is_gone_is_its_default(tmp_path: Path) -> None:
    main = TLS + "tls_export_cipherlist =\n"
    assert told(tmp_path / "new", main, platform="debian-13").of("cipherlist-tls13") == []
    assert told(tmp_path / "old", main).of("cipherlist-tls13") == [("error", MAIN, 3)]


@pytest.mark.parametrize(
    ("main", "severity"),
    [
        (TLS + "smtpd_tls_ciphers = HIGH\n", ""),
        (TLS + "smtpd_tls_ciphers = Medium\n", ""),
        (TLS + "smtpd_tls_ciphers = low\n", "warning"),
        (TLS + "smtpd_tls_ciphers = high, medium\n", "error"),
        (TLS + "smtpd_tls_mandatory_ciphers = bogus\n", ""),
        ("smtp_tls_security_level = encrypt\n\nsmtp_tls_mandatory_ciphers = bogus\n", "error"),
        ("smtp_tls_security_level = may\n\nsmtp_tls_mandatory_ciphers = bogus\n", ""),
    ],
)
def test_grades(main: str, severity: str, tmp_path: Path) -> None:
    assert told(tmp_path, main).of("cipher-grade-invalid") == ([(severity, MAIN, 3)] if severity else [])


# --- groups ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "platform", "wanted"),
    [
        ("smtpd_tls_eecdh_grade", "debian-11", False),
        ("smtpd_tls_eecdh_grade", "debian-12", True),
        ("smtpd_tls_dh512_param_file", "debian-11", False),
        ("smtpd_tls_dh512_param_file", "debian-13", True),
        ("smtpd_tls_dh1024_param_file", "debian-12", False),
        ("smtpd_tls_dh1024_param_file", "debian-13", True),
    ],
)
def test_parameters_of_diffie_hellman_by_version(name: str, platform: str, wanted: bool, tmp_path: Path) -> None:
    value = "auto" if name.endswith("grade") else "/etc/postfix/dh.pem"
    found = told(tmp_path, TLS + f"{name} = {value}\n", platform=platform)
    assert found.of("dh-parameter-obsolete") == ([("warning", MAIN, 3)] if wanted else [])


@pytest.mark.parametrize(
    ("line", "platform", "wanted"),
    [
        ("tls_ffdhe_auto_groups = ffdhe2048", "debian-12", True),
        ("tls_ffdhe_auto_groups = ffdhe2048", "debian-13", False),
        ("tls_eecdh_auto_curves = X25519MLKEM768, X25519", "debian-12", True),
        ("tls_eecdh_auto_curves = X25519MLKEM768, X25519", "debian-13", False),
        ("tls_eecdh_auto_curves = ?X25519MLKEM768 X25519", "debian-12", False),
        ("tls_eecdh_auto_curves = X25519 X448 prime256v1", "debian-12", False),
    ],
)
def test_groups_by_version(line: str, platform: str, wanted: bool, tmp_path: Path) -> None:
    found = told(tmp_path, TLS + line + "\n", platform=platform)
    assert found.of("group-unsupported") == ([("error", MAIN, 3)] if wanted else [])


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ("X25519MLKEM768 X25519", True),
        ("?X25519MLKEM768 X25519", True),
        ("*X25519MLKEM768 *X25519", True),
        ("X25519MLKEM768 *X25519", False),
        ("X25519MLKEM768:DEFAULT", False),
        ("X25519 X25519MLKEM768", False),
        ("X25519/X25519MLKEM768", False),
    ],
)
def test_whose_key_is_sent_first(value: str, wanted: bool, tmp_path: Path) -> None:
    main = f"smtp_tls_security_level = may\ntls_eecdh_auto_curves = {value}\n"
    found = told(tmp_path / "client", main, platform="debian-13")
    assert found.of("group-order") == ([("info", MAIN, 2)] if wanted else [])
    assert told(tmp_path / "server", TLS + f"tls_eecdh_auto_curves = {value}\n", platform="debian-13") == [
        ("old-tls-opportunistic", "info", MASTER, 1)
    ]
