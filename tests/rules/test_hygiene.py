"""What the rules on the hygiene of files say at their edges, where, and of what they say nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mailcfg.checking import check_all
from mailcfg.problem import Finding, Severity
from mailcfg.subjects import Wish
from tests.rules.examples import Example, checked

PLATFORM = "debian-12"
CERTIFICATE = {"/etc/ssl/private/mail.pem": "key ecdsa-p256, certificate mail.example.com, intermediate"}
TLS = "smtpd_tls_security_level = may\nsmtpd_tls_chain_files = /etc/ssl/private/mail.pem\n"


def said(
    tmp_path: Path,
    rule: str,
    main: str = "",
    master: str | None = None,
    *,
    postfix: str | None = None,
    platform: str = PLATFORM,
    described: dict[str, str] | None = None,
    **files: str,
) -> list[Finding]:
    """What a rule says of a main.cf, a master.cf and other files."""
    texts = {"main.cf": main, **({"master.cf": master} if master is not None else {}), **files}
    found = checked(Example(texts, described or {}, platform, postfix), tmp_path, time.time())
    assert found.unknown == ()
    return [each for each in found.findings if each.rule == rule]


def lines(found: list[Finding]) -> list[tuple[str, int]]:
    return [(each.location.file.rpartition("/")[2], each.location.line) for each in found]


def said_of_policy(tmp_path: Path, rule: str, text: str) -> list[Finding]:
    found = checked(Example({"site.toml": text}, {}, PLATFORM, None), tmp_path, time.time())
    assert found.unknown == ()
    return [each for each in found.findings if each.rule == rule]


def main_alone(tmp_path: Path, rule: str, main: str) -> list[Finding]:
    etc = tmp_path / "etc/postfix"
    etc.mkdir(parents=True)
    (etc / "main.cf").write_text(main)
    (found,) = check_all([str(etc)], Wish(str(tmp_path), None, PLATFORM, None, 0), "1970-01-01", live=False, jobs=1)
    assert found.unknown == ()
    return [each for each in found.findings if each.rule == rule]


# --- parameters ------------------------------------------------------------------------------------------------------


def test_an_unknown_parameter_is_told_with_its_line_and_the_nearest_name(tmp_path: Path) -> None:
    main = "# a comment\nsmtpd_tls_security_levl = may\n"
    master = "submission inet n - y - - smtpd\n  -o smtpd_tls_auth_only=yes\n  -o smtpd_tls_auth_onyl=yes\n"
    found = said(tmp_path, "parameter-unknown", main, master)
    assert lines(found) == [("main.cf", 2), ("master.cf", 3)]
    assert [each.setting for each in found] == ["smtpd_tls_security_levl", "smtpd_tls_auth_onyl"]
    assert [each.service for each in found] == ["", "submission/inet"]
    assert "smtpd_tls_security_level" in found[0].help


@pytest.mark.parametrize(
    ("main", "master"),
    [
        ("mua = permit\nsmtpd_client_restrictions = $mua\n", None),
        ("mua = permit\n", "submission inet n - n - - smtpd\n  -o smtpd_client_restrictions=$mua\n"),
        ("smtpd_restriction_classes = strict\nstrict = reject\n", None),
        ("slow_destination_concurrency_limit = 1\n", "slow unix - - n - - smtp\n"),
        ("policyd-spf_time_limit = 3600\n", "policyd-spf unix - n n - 0 spawn user=nobody argv=/bin/true\n"),
        ("virtual_alias_maps = ldap:users\nusers_search_base = dc=example\n", None),
        ("master_service_disable = 587/inet\n", "587 inet n - n - - smtpd\n  -o smtpd_tls_auth_onyl=yes\n"),
    ],
)
def test_what_something_refers_to_is_known(main: str, master: str | None, tmp_path: Path) -> None:
    assert said(tmp_path, "parameter-unknown", main, master) == []


def test_a_main_cf_alone_may_hold_what_its_master_cf_refers_to(tmp_path: Path) -> None:
    main = "mua_client_restrictions = reject\nslow_destination_rate_delay = 1s\nsmtpd_tls_security_levl = may\n"
    found = main_alone(tmp_path, "parameter-unknown", main)
    assert [(each.setting, each.severity) for each in found] == [("smtpd_tls_security_levl", Severity.WARNING)]


@pytest.mark.parametrize(
    ("name", "master", "advice"),
    [
        ("amavis_destination_concurrency_limit", "", "master.cf has no service amavis"),
        ("amavis_destination_concurrency_limit", "amavs unix - - n - - smtp\n", "amavs_destination_concurrency_limit?"),
        ("amavis_destination_recipient_limit", "amavis-in unix - - n - - smtp\n", "master.cf has no service amavis"),
        ("local_destination_concurrency_limt", "", "did you mean local_destination_concurrency_limit?"),
        ("policy_time_limit", "polcy unix - n n - 0 spawn user=nobody argv=/bin/true\n", "polcy_time_limit?"),
    ],
)
def test_of_a_transport_that_is_not_there_no_other_is_named(
    name: str, master: str, advice: str, tmp_path: Path
) -> None:
    (found,) = said(tmp_path, "parameter-unknown", f"{name} = 2\n", f"smtp inet n - n - - smtpd\n{master}")
    assert advice in found.help
    assert ("local_" in found.help) is name.startswith("local_")


def test_a_newer_parameter_is_no_unknown_one(tmp_path: Path) -> None:
    main = "smtpd_forbid_bare_newline = yes\n"
    master = "submission inet n - y - - smtpd\n  -o smtpd_hide_client_session=yes\n"
    found = said(tmp_path, "parameter-too-new", main, master, postfix="3.7.11")
    assert lines(found) == [("master.cf", 2)]
    assert "3.10" in found[0].message
    assert said(tmp_path / "again", "parameter-unknown", main, master, postfix="3.7.11") == []


def test_of_a_newer_parameter_that_something_reads_nothing_is_said(tmp_path: Path) -> None:
    main = "tls_ffdhe_auto_groups = ffdhe2048\nsmtpd_banner = $tls_ffdhe_auto_groups\n"
    assert said(tmp_path, "parameter-too-new", main, postfix="3.7.11") == []


def test_duplicates_are_told_once_where_the_last_stands(tmp_path: Path) -> None:
    main = "biff = no\nmyhostname = a.example\nmyhostname = b.example\nmyhostname = a.example\nbiff =  no\n"
    found = said(tmp_path, "parameter-duplicate", main)
    assert lines(found) == [("main.cf", 4), ("main.cf", 5)]
    assert [each.severity for each in found] == [Severity.ERROR, Severity.INFO]
    assert "lines 2, 3 and 4" in found[0].message


def test_the_options_of_two_services_are_no_duplicates(tmp_path: Path) -> None:
    master = "25 inet n - y - - smtpd\n  -o biff=no\n587 inet n - y - - smtpd\n  -o biff=yes\n"
    assert said(tmp_path, "parameter-duplicate", "biff = no\n", master) == []


def test_a_value_is_not_shown_where_it_is_set_twice(tmp_path: Path) -> None:
    found = said(tmp_path, "parameter-duplicate", "x_password = one\nx_password = wonderland\n")
    assert len(found) == 1
    assert "wonderland" not in "".join([found[0].message, found[0].effect, found[0].help])


@pytest.mark.parametrize(
    ("main", "postfix", "severities"),
    [
        ("smtpd_use_tls = yes\n", "3.8", []),
        ("smtpd_use_tls = yes\n", "3.9", [Severity.WARNING]),
        ("smtpd_use_tls = no\n", "3.9", [Severity.INFO]),
        ("smtpd_sasl_application_name = smtpd\n", "3.7", [Severity.WARNING]),
        ("smtp_tls_per_site = hash:/x\n", "3.11", [Severity.WARNING]),
        ("smtpd_tls_dh1024_param_file = /x\n", "3.11", []),
        ("tls_legacy_public_key_fingerprints = yes\n", "3.10", []),
        ("tls_legacy_public_key_fingerprints = yes\n", "3.11", [Severity.WARNING]),
    ],
)
def test_deprecated_in_which_version(main: str, postfix: str, severities: list[Severity], tmp_path: Path) -> None:
    found = said(tmp_path, "parameter-deprecated", main, postfix=postfix)
    assert [each.severity for each in found] == severities


# --- overrides -------------------------------------------------------------------------------------------------------

SUBMISSION = "submission inet n - n - - smtpd\n"


@pytest.mark.parametrize(
    ("main", "row", "expected"),
    [
        ("encrypt", SUBMISSION + "  -o smtpd_tls_security_level=may\n", Severity.ERROR),
        ("encrypt", SUBMISSION + "  -o smtpd_tls_security_level=none\n", Severity.ERROR),
        ("encrypt", SUBMISSION + "  -o smtpd_tls_security_level=none\n  -o smtpd_tls_wrappermode=yes\n", None),
        ("encrypt", SUBMISSION + "  -o smtpd_tls_security_level=verify\n", None),
        ("encrypt", "25 inet n - n - - smtpd\n  -o smtpd_tls_security_level=may\n", None),
        ("encrypt", "127.0.0.1:10025 inet n - n - - smtpd\n  -o smtpd_tls_security_level=none\n", None),
        ("may", "25 inet n - n - - smtpd\n  -o smtpd_tls_security_level=none\n", Severity.ERROR),
        ("may", "10.0.0.1:10025 inet n - n - - smtpd\n  -o smtpd_tls_security_level=none\n", None),
        ("may", SUBMISSION + "  -o smtpd_tls_security_level=encrypt\n", None),
    ],
)
def test_a_level_that_an_option_lowers(main: str, row: str, expected: Severity | None, tmp_path: Path) -> None:
    text = f"smtpd_tls_security_level = {main}\nsmtpd_tls_chain_files = /etc/ssl/private/mail.pem\n"
    found = said(tmp_path, "override-contradicts", text, row, described=CERTIFICATE)
    assert [each.severity for each in found] == ([expected] if expected else [])
    assert all(line == ("master.cf", 2) for line in lines(found))


CYRUS = {"sasl/smtpd.conf": "pwcheck_method: saslauthd\nmech_list: PLAIN LOGIN\n"}
AUTH = TLS + "smtpd_sasl_auth_enable = yes\nsmtpd_tls_auth_only = yes\n"


def test_auth_only_is_told_where_passwords_can_go_in_clear(tmp_path: Path) -> None:
    master = (
        "25 inet n - n - - smtpd\n  -o smtpd_tls_auth_only=no\n"
        + SUBMISSION
        + ("  -o smtpd_tls_auth_only=no\n  -o smtpd_tls_security_level=encrypt\n")
    )
    found = said(tmp_path, "override-contradicts", AUTH, master, described=CERTIFICATE, **CYRUS)
    assert lines(found) == [("master.cf", 2)]
    assert found[0].severity is Severity.ERROR


def test_older_versions_are_told_where_tls_is_mandatory(tmp_path: Path) -> None:
    main = TLS + "smtpd_tls_protocols = >=TLSv1.2\nsmtpd_tls_mandatory_protocols = >=TLSv1.2\n"
    options = "  -o smtpd_tls_protocols=>=TLSv1\n  -o smtpd_tls_mandatory_protocols=>=TLSv1\n"
    master = f"25 inet n - n - - smtpd\n{options}{SUBMISSION}  -o smtpd_tls_security_level=encrypt\n{options}"
    found = said(tmp_path, "override-contradicts", main, master, described=CERTIFICATE)
    assert lines(found) == [("master.cf", 7)]
    assert found[0].severity is Severity.WARNING


def test_a_sasl_type_that_no_listener_uses(tmp_path: Path) -> None:
    main = AUTH + "smtpd_sasl_type = cyrus\n"
    dovecot = "  -o smtpd_sasl_type=dovecot\n  -o smtpd_sasl_path=private/auth\n"
    first = f"25 inet n - n - - smtpd\n  -o smtpd_sasl_auth_enable=no\n{SUBMISSION}{dovecot}"
    others = {**CYRUS, "/etc/dovecot/dovecot.conf": "auth_mechanisms = plain login\n"}
    socket = {**CERTIFICATE, "/var/spool/postfix/private/auth": "socket"}
    found = said(tmp_path, "override-contradicts", main, first, described=socket, **others)
    assert [(each.severity, each.setting) for each in found] == [(Severity.WARNING, "smtpd_sasl_type")]
    second = f"25 inet n - n - - smtpd\n{SUBMISSION}{dovecot}"
    assert said(tmp_path / "again", "override-contradicts", main, second, described=socket, **others) == []


POLICY = """hostname = "mail.example.com"
platform = "debian-12"
[tls]
guideline = "mozilla-6.0-intermediate"
[certificates.mail]
[mx]
[submission]
[submissions]
[sasl]
backend = "saslauthd"
"""


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("[postfix.master.submission.options]\nsmtpd_tls_mandatory_protocols = '>=TLSv1.1'\n", 1),
        ("[postfix.master.submission.options]\nsmtpd_tls_mandatory_protocols = '>=TLSv1.3'\n", 0),
        ("[postfix.master.submission.options]\nsmtpd_sasl_security_options = ''\n", 1),
        ("[postfix.master.mx.options]\nsmtpd_tls_mandatory_protocols = '>=TLSv1'\n", 0),
        (
            "[postfix.main]\nsmtpd_tls_fingerprint_digest = 'sha256'\n"
            "[postfix.master.mx.options]\nsmtpd_tls_fingerprint_digest = 'sha1'\n",
            0,
        ),
    ],
)
def test_options_against_the_tables_of_a_policy(more: str, expected: int, tmp_path: Path) -> None:
    found = said_of_policy(tmp_path, "override-contradicts", POLICY + more)
    assert [each.location.line for each in found] == [len((POLICY + more).splitlines())] * expected


@pytest.mark.parametrize(
    ("master", "line", "words"),
    [
        (SUBMISSION + "  -o smtpd_tls_auth_only = yes\n", 2, "missing '='"),
        (SUBMISSION + "  -o a=b\n  -o x=permit_mynetworks, reject\n", 3, "the value of x ends at a blank"),
        (SUBMISSION + "  -o x= yes\n", 2, "the value of x ends at a blank"),
        ("25 inet n - n - - smtpd # port 25\n", 1, "#"),
        (SUBMISSION + "  -Z\n", 2, "invalid option"),
        ("slow unix - - n - - smtp\n  -o smtp_fallback_relay=a, b\n", 2, "b is no part of it"),
    ],
)
def test_options_that_are_cut_off(master: str, line: int, words: str, tmp_path: Path) -> None:
    (found,) = said(tmp_path, "override-syntax", "x =\na =\nbiff = $x $a\n", master)
    assert lines([found]) == [("master.cf", line)]
    assert words in found.message


@pytest.mark.parametrize(
    "master",
    [
        SUBMISSION + "  -v -o a=b -D\n",
        SUBMISSION + "  -o { a = b, c }\n  -o a=b,c\n",
        "policy unix - n n - 0 spawn user=nobody argv=/bin/true -o a=b, c\n",
        "maildrop unix - n n - - pipe flags=DRX user=vmail argv=/usr/bin/maildrop -d ${recipient}, x\n",
        "slow unix - - n - - smtp\n  -o smtp_fallback_relay=\n  -o smtp_helo_timeout=5\n",
    ],
)
def test_options_that_are_whole(master: str, tmp_path: Path) -> None:
    assert said(tmp_path, "override-syntax", "a =\nbiff = $a\n", master) == []


def test_nothing_is_said_of_a_row_that_master_does_not_run(tmp_path: Path) -> None:
    main = "master_service_disable = submission/inet\n"
    assert said(tmp_path, "override-syntax", main, SUBMISSION + "  -o a = b\n") == []


# --- the rest --------------------------------------------------------------------------------------------------------


def test_dashes_in_the_chroot_column_are_one_finding(tmp_path: Path) -> None:
    master = "25 inet n - - - - smtpd\n587 inet n - - - - smtpd\n465 inet n - n - - smtpd\n"
    (found,) = said(tmp_path, "chroot-default", "", master)
    assert found.severity is Severity.INFO
    assert lines([found]) == [("master.cf", 1)]
    assert "587/inet" in found.message
    assert "465/inet" not in found.message


@pytest.mark.parametrize(("main", "postfix", "expected"), [("3", "3.7", 0), ("3.6", "3.7", 0), ("3", "2.11", 1)])
def test_what_a_dash_means(main: str, postfix: str, expected: int, tmp_path: Path) -> None:
    found = said(
        tmp_path, "chroot-default", f"compatibility_level = {main}\n", "25 inet n - - - - smtpd\n", postfix=postfix
    )
    assert len(found) == expected


@pytest.mark.parametrize(
    ("value", "platform", "expected"),
    [
        ("hash:/x", "rhel-10", 1),
        ("proxy:btree:/x", "rhel-10", 1),
        ("check_sender_access hash:/x, reject", "rhel-10", 1),
        ("pipemap:{ inline:{ a=b }, hash:/x }", "rhel-10", 1),
        ("regexp:/etc/hash:x", "rhel-10", 0),
        ("$default_database_type:/x", "rhel-10", 0),
        ("pcre:/x ldap:/y lmdb:/z cdb:/w", "rhel-10", 0),
        ("hash:/x btree:/y", "debian-13", 0),
    ],
)
def test_table_types(value: str, platform: str, expected: int, tmp_path: Path) -> None:
    found = said(tmp_path, "table-type-unsupported", f"transport_maps = {value}\n", platform=platform)
    assert len(found) == expected


@pytest.mark.parametrize(
    ("main", "expected"),
    [
        ("smtp_tls_loglevel = 1\n", []),
        ("smtpd_tls_loglevel = 2\nsmtp_tls_loglevel = $smtpd_tls_loglevel\n", [1, 2]),
        ("smtpd_tls_loglevel = two\n", []),
    ],
)
def test_log_levels(main: str, expected: list[int], tmp_path: Path) -> None:
    assert [line for _, line in lines(said(tmp_path, "loglevel-verbose", main))] == expected


@pytest.mark.parametrize(
    ("main", "expected"),
    [
        ("smtp_sasl_password_maps = inline:{ { relay = u:p } }\n", 1),
        ("smtp_sasl_password_maps = inline:{ }\n", 0),
        ("smtp_sasl_password_maps = static:{user:wonderland}\n", 1),
        ("smtp_sasl_password_maps = static:$login\nlogin = x\n", 0),
        ("smtp_sasl_password_maps = lmdb:/etc/postfix/absent\n", 0),
        ("db_password = wonderland\n", 1),
        ("db_password =\n", 0),
        ("db_bind_pw = a:b\n", 1),
        ("db_password = $other\nother = x\n", 0),
        ("lmtp_sasl_password_result_delimiter = :\n", 0),
        ("smtp_sasl_password_result_delimiter = :\n", 0),
    ],
)
def test_passwords_in_main_cf(main: str, expected: int, tmp_path: Path) -> None:
    found = said(tmp_path, "secret-exposed", main)
    assert len(found) == expected
    assert all("wonderland" not in each.message + each.effect + each.help for each in found)


def test_a_file_in_a_closed_directory_is_not_exposed(tmp_path: Path) -> None:
    main = "smtp_sasl_password_maps = texthash:/etc/postfix/private/sasl_passwd\n"
    described = {
        "/etc/postfix/private": "directory, mode 0700",
        "/etc/postfix/private/sasl_passwd": "text relay u:p, mode 0644",
    }
    assert said(tmp_path, "secret-exposed", main, described=described) == []


def test_the_password_of_a_database_in_a_file_that_all_may_read(tmp_path: Path) -> None:
    main = "virtual_alias_maps = proxy:mysql:/etc/postfix/a.cf, ldap:/etc/postfix/b.cf\n"
    described = {
        "/etc/postfix/a.cf": "text password = wonderland, mode 0644",
        "/etc/postfix/b.cf": "text bind = no, mode 0644",
    }
    (found,) = said(tmp_path, "secret-exposed", main, described=described)
    assert "/etc/postfix/a.cf" in found.message


def test_a_table_of_passwords_is_told_once(tmp_path: Path) -> None:
    main = "smtp_sasl_password_maps = hash:/etc/postfix/p\nlmtp_sasl_password_maps = hash:/etc/postfix/p\n"
    described = {"/etc/postfix/p": "text r u:p, mode 0644", "/etc/postfix/p.db": "text r u:p, mode 0600"}
    found = said(tmp_path, "secret-exposed", main, described=described)
    assert lines(found) == [("main.cf", 1)]


@pytest.mark.parametrize(("level", "postfix", "expected"), [("may", "3.7", 1), ("none", "3.7", 0), ("may", "2.10", 0)])
def test_session_caches(level: str, postfix: str, expected: int, tmp_path: Path) -> None:
    main = (
        f"smtpd_tls_security_level = {level}\nsmtpd_tls_cert_file = /etc/ssl/private/mail.pem\n"
        "smtpd_tls_session_cache_database = btree:/x\n"
    )
    found = said(tmp_path, "session-cache-server", main, postfix=postfix, described=CERTIFICATE)
    assert len(found) == expected
