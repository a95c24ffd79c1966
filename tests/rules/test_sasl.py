"""Rules on SASL and AUTH: where they speak, how grave it is, and where they keep silent."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mailcfg.checking import check_all
from mailcfg.problem import Finding, Severity
from mailcfg.subjects import Wish
from tests.rules.examples import Example, checked

PEM = "/etc/ssl/private/mail.pem"
AUTH = "smtpd_sasl_auth_enable = yes\n"
TLS = f"smtpd_tls_chain_files = {PEM}\nsmtpd_tls_security_level = may\n"
INSIDE = AUTH + TLS + "smtpd_tls_auth_only = yes\n"
CONF = "pwcheck_method: saslauthd\nmech_list: PLAIN LOGIN\n"
SMTPD = "/etc/postfix/sasl/smtpd.conf"
MX = "smtp inet n - n - - smtpd\n"
SUBMISSION = "submission inet n - n - - smtpd\n"
CLIENT = "relayhost = [smtp.example.net]:587\nsmtp_tls_security_level = encrypt\n"
PASSWORDS = "smtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd\n"
SITE = """hostname = "mail.example.com"
platform = "debian-12"
[tls]
guideline = "mozilla-6.0-intermediate"
[certificates.mail]
"""


class Say:
    """What one rule says of files on a machine."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = 0

    def __call__(
        self,
        rule: str,
        main: str = "",
        conf: str | None = CONF,
        master: str = "",
        *,
        platform: str = "debian-12",
        postfix: str | None = None,
        files: dict[str, str] | None = None,
        made: dict[str, str] | None = None,
    ) -> list[Finding]:
        texts = {"main.cf": main, **(files or {})}
        if conf is not None:
            texts.setdefault(SMTPD, conf)
        if master:
            texts["master.cf"] = master
        described = {PEM: "key ecdsa-p256, certificate mail.example.com", **(made or {})}
        return self._found(rule, Example(texts, described, platform, postfix))

    def site(self, rule: str, text: str) -> list[Finding]:
        return self._found(rule, Example({"site.toml": SITE + text}, {}, "debian-12", None))

    def copy(self, rule: str, main: str, files: dict[str, str] | None = None) -> list[Finding]:
        """Of files that were carried here from a machine that nobody knows."""
        self._count += 1
        path = self._path / str(self._count)
        for name, text in {"main.cf": main, "master.cf": MX, **(files or {})}.items():
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_text(text)
        wish = Wish("/", None, "debian-12", None, time.time())
        (found,) = check_all([str(path)], wish, "2026-01-01", live=False, jobs=1)
        return [each for each in found.findings if each.rule == rule]

    def _found(self, rule: str, example: Example) -> list[Finding]:
        self._count += 1
        path = self._path / str(self._count)
        path.mkdir()
        found = checked(example, path, time.time())
        assert found.unknown == ()
        return [each for each in found.findings if each.rule == rule]


@pytest.fixture
def say(tmp_path: Path) -> Say:
    return Say(tmp_path)


def at(found: list[Finding]) -> list[tuple[str, int]]:
    return [(each.location.file.rpartition("/")[2], each.location.line) for each in found]


def grave(found: list[Finding]) -> list[Severity]:
    return [each.severity for each in found]


# --- where passwords are taken ---------------------------------------------------------------------------------------


def test_cleartext_auth_is_one_finding_for_one_line(say: Say) -> None:
    found = say("cleartext-auth", AUTH + TLS, CONF, MX + SUBMISSION)
    assert at(found) == [("main.cf", 1)]
    assert found[0].message == "port 25, port 587 announce AUTH PLAIN LOGIN without TLS"


def test_cleartext_auth_of_two_lines_is_two_findings(say: Say) -> None:
    master = MX + "  -o smtpd_sasl_auth_enable=yes\n" + SUBMISSION + "  -o smtpd_sasl_auth_enable=yes\n"
    assert at(say("cleartext-auth", TLS, CONF, master)) == [("master.cf", 2), ("master.cf", 4)]


def test_cleartext_auth_to_this_machine_alone(say: Say) -> None:
    assert say("cleartext-auth", AUTH, CONF, "127.0.0.1:10025 inet n - n - - smtpd\n") == []
    assert say("cleartext-auth", AUTH + "inet_interfaces = loopback-only\n") == []


def test_cleartext_auth_of_mechanisms_that_send_no_password(say: Say) -> None:
    conf = "pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: SCRAM-SHA-256\n"
    assert say("cleartext-auth", AUTH, conf) == []


@pytest.mark.parametrize(
    ("main", "severity"), [(AUTH + TLS, Severity.WARNING), (AUTH, Severity.WARNING), (INSIDE, Severity.INFO)]
)
def test_auth_on_mx_is_as_grave_as_what_it_lets_happen(say: Say, main: str, severity: Severity) -> None:
    found = say("auth-on-mx", main)
    assert (at(found), grave(found)) == ([("main.cf", 1)], [severity])


@pytest.mark.parametrize(
    ("main", "master"),
    [
        (INSIDE, "127.0.0.1:25 inet n - n - - smtpd\n"),
        (INSIDE, "10.0.0.1:25 inet n - n - - smtpd\n"),
        (INSIDE, SUBMISSION),
        (INSIDE, MX + "  -o smtpd_sasl_auth_enable=no\n"),
        (INSIDE + "smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, reject\n", MX),
        (AUTH + "smtpd_tls_auth_only = yes\n", MX),
    ],
)
def test_auth_where_it_is_no_mx_or_nobody_can_log_in(say: Say, main: str, master: str) -> None:
    assert say("auth-on-mx", main, CONF, master) == []


def test_auth_behind_postscreen(say: Say) -> None:
    master = "smtp inet n - n - 1 postscreen\nsmtpd pass - - n - - smtpd\n"
    assert at(say("auth-on-mx", INSIDE, CONF, master)) == [("main.cf", 1)]


def test_the_legacy_line_is_told_once(say: Say) -> None:
    main = INSIDE + "broken_sasl_auth_clients = yes\n"
    assert at(say("legacy-auth-line", main, CONF, MX + SUBMISSION)) == [("main.cf", 5)]
    assert say("legacy-auth-line", TLS + "broken_sasl_auth_clients = yes\n") == []


# --- mechanisms ------------------------------------------------------------------------------------------------------

SASLDB = "pwcheck_method: auxprop\nauxprop_plugin: sasldb\n"


@pytest.mark.parametrize(
    ("conf", "severity", "place"),
    [
        ("pwcheck_method: saslauthd\n", Severity.ERROR, ("smtpd.conf", 1)),
        ("log_level: 3\npwcheck_method: saslauthd\n", Severity.ERROR, ("smtpd.conf", 2)),
        (SASLDB, Severity.WARNING, ("smtpd.conf", 1)),
        ("", Severity.WARNING, ("smtpd.conf", 0)),
        (None, Severity.ERROR, ("main.cf", 1)),
    ],
)
def test_no_mech_list(say: Say, conf: str | None, severity: Severity, place: tuple[str, int]) -> None:
    found = say("mechanisms-undeclared", AUTH, conf, MX + SUBMISSION)
    assert (at(found), grave(found)) == ([place], [severity])
    assert "port 25, port 587 announce every installed mechanism" in found[0].message


@pytest.mark.parametrize(
    "main",
    [
        "smtpd_sasl_auth_enable = no\n",
        AUTH + "smtpd_tls_auth_only = yes\n",
        AUTH + "smtpd_sasl_mechanism_filter = plain login\n",
        AUTH + "smtpd_sasl_type = dovecot\nsmtpd_sasl_path = private/auth\n",
    ],
)
def test_mech_list_is_not_asked_for_where_nothing_else_is_announced(say: Say, main: str) -> None:
    assert say("mechanisms-undeclared", main, "pwcheck_method: saslauthd\n") == []


def test_mech_list_where_only_plain_and_login_are_installed(say: Say) -> None:
    made = {f"/usr/lib/x86_64-linux-gnu/sasl2/{name}": "text x" for name in ("libplain.so", "liblogin.so")}
    assert say("mechanisms-undeclared", AUTH, "pwcheck_method: saslauthd\n", made=made) == []


def test_mech_list_may_be_elsewhere(say: Say) -> None:
    assert say.copy("mechanisms-undeclared", AUTH) == []
    files = {"sasl/smtpd.conf": "pwcheck_method: saslauthd\n"}
    assert at(say.copy("mechanisms-undeclared", AUTH, files)) == [("smtpd.conf", 1)]


@pytest.mark.parametrize("name", ["CRAM-MD5", "scram-sha-256", "Digest-MD5"])
def test_saslauthd_cannot_check_it(say: Say, name: str) -> None:
    conf = f"pwcheck_method: saslauthd\nmech_list: plain {name}\n"
    found = say("mechanism-unverifiable", AUTH, conf, MX + SUBMISSION)
    assert (at(found), grave(found)) == ([("smtpd.conf", 2)], [Severity.ERROR])
    assert found[0].message == f"saslauthd cannot check {name.upper()}"


def test_saslauthd_beside_a_sasldb_that_smtpd_reads(say: Say) -> None:
    conf = "pwcheck_method: saslauthd\nmech_list: PLAIN CRAM-MD5\n"
    open_one, closed = {"/etc/sasldb2": "text u, mode 0644"}, {"/etc/sasldb2": "text u, mode 0600"}
    assert grave(say("mechanism-unverifiable", AUTH, conf, made=open_one)) == [Severity.WARNING]
    assert grave(say("mechanism-unverifiable", AUTH, conf, made=closed)) == [Severity.ERROR]
    files = {"sasl/smtpd.conf": conf}
    assert say.copy("mechanism-unverifiable", AUTH, files)


@pytest.mark.parametrize(
    "conf",
    [
        "pwcheck_method: saslauthd auxprop\nmech_list: PLAIN CRAM-MD5\n",
        "pwcheck_method: saslauthd\nauxprop_plugin: sasldb\nmech_list: PLAIN CRAM-MD5\n",
        "pwcheck_method: saslauthd\nsql_engine: pgsql\nmech_list: PLAIN CRAM-MD5\n",
        "pwcheck_method: saslauthd\nmech_list: PLAIN GSSAPI\n",
        "mech_list: PLAIN CRAM-MD5\n",
    ],
)
def test_something_else_may_check_it(say: Say, conf: str) -> None:
    assert say("mechanism-unverifiable", AUTH, conf) == []


def test_obsolete_mechanisms_are_told_one_by_one(say: Say) -> None:
    conf = SASLDB + "mech_list: PLAIN NTLM CRAM-MD5 SCRAM-SHA-1\n"
    found = say("mechanism-obsolete", AUTH, conf, MX + SUBMISSION)
    assert at(found) == [("smtpd.conf", 3)] * 2
    assert sorted(each.message for each in found) == ["CRAM-MD5 is offered", "NTLM is offered"]
    assert say("mechanism-obsolete", AUTH, SASLDB) == []
    assert say("mechanism-obsolete", AUTH + "smtpd_sasl_mechanism_filter = !ntlm, !cram-md5, static:all\n", conf) == []


def test_obsolete_mechanisms_of_dovecot(say: Say) -> None:
    main = AUTH + "smtpd_sasl_type = dovecot\nsmtpd_sasl_path = private/auth\n"
    made = {"/var/spool/postfix/private/auth": "socket"}
    files = {"/etc/dovecot/dovecot.conf": "auth_mechanisms = plain login cram-md5\n"}
    assert at(say("mechanism-obsolete", main, None, files=files, made=made)) == [("main.cf", 2)]
    assert say("mechanism-obsolete", main, None, made=made) == []


@pytest.mark.parametrize(
    ("options", "mechanisms", "expected"),
    [
        ("", "ANONYMOUS PLAIN", [("main.cf", 2)]),
        ("noplaintext", "ANONYMOUS PLAIN", [("main.cf", 2)]),
        ("", "PLAIN LOGIN", []),
        ("noanonymous", "ANONYMOUS PLAIN", []),
    ],
)
def test_anonymous(say: Say, options: str, mechanisms: str, expected: list[tuple[str, int]]) -> None:
    conf = f"pwcheck_method: saslauthd\nmech_list: {mechanisms}\n"
    found = say("anonymous-allowed", f"{AUTH}smtpd_sasl_security_options = {options}\n", conf, MX + SUBMISSION)
    assert (at(found), grave(found)) == (expected, [Severity.ERROR] * len(expected))


def test_anonymous_where_smtpd_conf_is_elsewhere(say: Say) -> None:
    found = say.copy("anonymous-allowed", AUTH + "smtpd_sasl_security_options =\n")
    assert (at(found), grave(found)) == ([("main.cf", 2)], [Severity.WARNING])
    assert say.copy("anonymous-allowed", AUTH) == []


NOPLAINTEXT = "smtpd_sasl_security_options = noanonymous, noplaintext\n"
TLS_OPTIONS = "smtpd_sasl_tls_security_options = noanonymous\n"


@pytest.mark.parametrize(
    ("main", "conf", "line"),
    [
        (AUTH + NOPLAINTEXT, CONF, ("main.cf", 2)),
        (INSIDE + NOPLAINTEXT, CONF, ("main.cf", 5)),
        (AUTH + NOPLAINTEXT + TLS_OPTIONS + TLS, CONF, ("main.cf", 2)),
        (AUTH + NOPLAINTEXT, "pwcheck_method: saslauthd\n", ("main.cf", 2)),
        (INSIDE + NOPLAINTEXT, "pwcheck_method: saslauthd\nmech_list: PLAIN CRAM-MD5\n", ("main.cf", 5)),
        (AUTH, "pwcheck_method: saslauthd\nmech_list: CRAM-MD4\n", ("smtpd.conf", 2)),
        (AUTH + "smtpd_sasl_mechanism_filter = gssapi\n", CONF, ("main.cf", 2)),
    ],
)
def test_no_mechanism_is_left(say: Say, main: str, conf: str, line: tuple[str, int]) -> None:
    found = say("no-mechanism-left", main, conf, MX + SUBMISSION)
    assert set(at(found)) == {line}
    assert len(found) == 1


@pytest.mark.parametrize(
    ("main", "conf"),
    [
        (INSIDE + NOPLAINTEXT + TLS_OPTIONS, CONF),
        (AUTH + NOPLAINTEXT, SASLDB + "mech_list: PLAIN CRAM-MD5\n"),
        (AUTH + NOPLAINTEXT, "pwcheck_method: saslauthd\nmech_list: PLAIN GSSAPI\n"),
        (AUTH + "smtpd_sasl_security_options = noplain\n", CONF),
        ("smtpd_sasl_auth_enable = no\n" + NOPLAINTEXT, CONF),
    ],
)
def test_a_mechanism_is_left(say: Say, main: str, conf: str) -> None:
    made = {f"/usr/lib/x86_64-linux-gnu/sasl2/lib{each}.so": "text x" for each in ("plain", "crammd5", "gssapiv2")}
    assert say("no-mechanism-left", main, conf, made=made) == []


def test_what_is_left_of_what_is_elsewhere(say: Say) -> None:
    assert say.copy("no-mechanism-left", AUTH + NOPLAINTEXT) == []
    gssapi = {"sasl/smtpd.conf": "pwcheck_method: saslauthd\nmech_list: GSSAPI\n"}
    assert say.copy("no-mechanism-left", AUTH, gssapi) == []
    dovecot = AUTH + "smtpd_sasl_type = dovecot\nsmtpd_sasl_path = private/auth\n" + NOPLAINTEXT
    assert say.copy("no-mechanism-left", dovecot) == []
    assert say("no-mechanism-left", dovecot, None, made={"/var/spool/postfix/private/auth": "socket"}) == []


def test_a_filter_before_its_time(say: Say) -> None:
    main = AUTH + "smtpd_sasl_mechanism_filter = plain\n"
    assert at(say("mechanism-filter-unsupported", main, master=MX + SUBMISSION, postfix="3.5")) == [("main.cf", 2)]
    assert say("mechanism-filter-unsupported", main, postfix="3.6") == []
    assert say("mechanism-filter-unsupported", main.replace("yes", "no"), postfix="3.5") == []


# --- options and types -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("main", "line", "severity"),
    [
        (AUTH + "smtpd_sasl_security_options = noplain\n", 2, Severity.ERROR),
        (AUTH + "smtpd_sasl_security_options = NoAnonymous\n", 2, Severity.ERROR),
        (AUTH + "smtpd_sasl_security_options = ,\n", 2, Severity.ERROR),
        (INSIDE + "smtpd_sasl_security_options = noplain\n", 5, Severity.ERROR),
        (INSIDE + "smtpd_sasl_tls_security_options = noplain\n", 5, Severity.ERROR),
        (INSIDE + TLS_OPTIONS + "smtpd_sasl_security_options = noplain\n", 6, Severity.WARNING),
        (AUTH + "smtpd_sasl_tls_security_options = noplain\n", 2, Severity.WARNING),
        (CLIENT + PASSWORDS + "smtp_sasl_security_options = no_plaintext\n", 5, Severity.ERROR),
        (CLIENT + PASSWORDS + "smtp_sasl_tls_security_options = none\n", 5, Severity.ERROR),
    ],
)
def test_an_unknown_option(say: Say, main: str, line: int, severity: Severity) -> None:
    found = say("sasl-option-unknown", main, CONF, MX + SUBMISSION)
    assert (at(found), grave(found)) == ([("main.cf", line)], [severity])


@pytest.mark.parametrize(
    "main",
    [
        AUTH + "smtpd_sasl_security_options = noanonymous, noplaintext noactive,forward_secrecy mutual_auth\n",
        AUTH + "smtpd_sasl_security_options =\n",
        "smtpd_sasl_security_options = noplain\n",
        CLIENT + "smtp_sasl_security_options = noplain\n",
        CLIENT + PASSWORDS + "smtp_sasl_security_options = noplain\nsmtp_sasl_tls_security_options = noanonymous\n",
        CLIENT + PASSWORDS + "smtp_sasl_security_options =\n",
    ],
)
def test_known_options_and_those_that_nobody_reads(say: Say, main: str) -> None:
    assert say("sasl-option-unknown", main) == []


def test_dovecot_takes_options_in_any_case(say: Say) -> None:
    main = AUTH + "smtpd_sasl_type = dovecot\nsmtpd_sasl_path = private/auth\n"
    made = {"/var/spool/postfix/private/auth": "socket"}
    assert say("sasl-option-unknown", main + "smtpd_sasl_security_options = NoAnonymous\n", None, made=made) == []
    assert say("sasl-option-unknown", main + "smtpd_sasl_security_options = anonymous\n", None, made=made)


def test_an_unknown_option_says_what_was_meant(say: Say) -> None:
    (found,) = say("sasl-option-unknown", AUTH + "smtpd_sasl_security_options = no-plaintext\n")
    assert found.message == "'no-plaintext' is no SASL security option (port 25)"
    assert "did you mean noplaintext?" in found.help


@pytest.mark.parametrize(
    ("main", "line"),
    [
        (AUTH + "smtpd_sasl_path = private/auth\n", 2),
        (AUTH + "smtpd_sasl_type = cyrus\nsmtpd_sasl_path = /var/run/dovecot/auth-client\n", 3),
        (AUTH + "smtpd_sasl_type = dovecot\n", 2),
        (AUTH + "smtpd_sasl_type = dovecot\nsmtpd_sasl_path = smtpd\n", 3),
        (AUTH + "smtpd_sasl_type = Cyrus\n", 2),
        (AUTH + "smtpd_sasl_type =\n", 2),
        (CLIENT + PASSWORDS + "smtp_sasl_type = dovecot\n", 5),
    ],
)
def test_type_and_path_that_do_not_fit(say: Say, main: str, line: int) -> None:
    assert at(say("sasl-type-mismatch", main, CONF, MX + SUBMISSION)) == [("main.cf", line)]


@pytest.mark.parametrize(
    "main",
    [
        "smtpd_sasl_type = dovecot\n",
        AUTH + "smtpd_sasl_type = dovecot\nsmtpd_sasl_path = inet:127.0.0.1:12345\n",
        AUTH + "smtpd_sasl_type = dovecot\nsmtpd_sasl_path = unix:private/auth\n",
        AUTH + "smtpd_sasl_path = smtpd-other\n",
        CLIENT + "smtp_sasl_type = dovecot\n",
    ],
)
def test_type_and_path_that_fit_or_are_not_read(say: Say, main: str) -> None:
    assert say("sasl-type-mismatch", main) == []


def test_dovecot_may_have_a_socket_called_smtpd(say: Say) -> None:
    main = AUTH + "smtpd_sasl_type = dovecot\n"
    assert say("sasl-type-mismatch", main, None, made={"/var/spool/postfix/smtpd": "socket"}) == []


# --- client and server -----------------------------------------------------------------------------------------------

CLIENT_OPTION = "smtp_sasl_security_options = noplaintext\n"


@pytest.mark.parametrize(
    ("main", "lines"),
    [
        (AUTH + CLIENT_OPTION, [2]),
        (AUTH + CLIENT_OPTION + "smtpd_sasl_security_options = noanonymous\n", [2]),
        (AUTH + CLIENT_OPTION + "smtpd_sasl_security_options = noanonymous, noplaintext\n", []),
        (AUTH + CLIENT_OPTION + CLIENT + PASSWORDS, []),
        (CLIENT_OPTION, []),
        (AUTH + "smtp_sasl_security_options = noplaintext, noanonymous\n", []),
        (TLS + "smtp_tls_mandatory_protocols = >=TLSv1.2\nsmtp_tls_cert_file = /etc/mail.pem\n", [3, 4]),
        (TLS + "smtp_tls_security_level = may\nsmtp_tls_mandatory_protocols = >=TLSv1.2\n", []),
        (TLS + "smtp_tls_security_level = none\nsmtp_tls_mandatory_protocols = >=TLSv1.2\n", []),
        (TLS + "smtp_use_tls = yes\nsmtp_tls_mandatory_protocols = >=TLSv1.2\n", []),
        (TLS + "smtp_tls_protocols = >=TLSv1.2\nsmtpd_tls_protocols = >=TLSv1.2\n", []),
        ("smtp_tls_protocols = >=TLSv1.2\n", []),
        (CLIENT + PASSWORDS + "smtpd_sasl_security_options = noplaintext\n", [5]),
        (CLIENT + PASSWORDS + AUTH + "smtpd_sasl_security_options = noplaintext\n", []),
        (CLIENT + "smtpd_tls_mandatory_protocols = >=TLSv1.2\n", [3]),
        (CLIENT + TLS + "smtpd_tls_mandatory_protocols = >=TLSv1.2\n", []),
    ],
)
def test_a_parameter_of_the_other_side(say: Say, main: str, lines: list[int]) -> None:
    found = say("client-server-confusion", main)
    assert at(found) == [("main.cf", each) for each in lines]
    assert grave(found) == [Severity.WARNING] * len(lines)


def test_an_option_for_the_other_side(say: Say) -> None:
    master = MX + "  -o smtp_tls_security_level=encrypt\n" + "out unix - - n - - smtp\n  -o smtpd_tls_loglevel=1\n"
    assert at(say("client-server-confusion", master=master)) == [("master.cf", 2), ("master.cf", 4)]
    read = MX + "  -o smtp_tls_protocols=>=TLSv1.2\n  -o smtpd_tls_protocols=$smtp_tls_protocols\n"
    assert say("client-server-confusion", master=read) == []
    assert say("client-server-confusion", master=MX + "  -o smtp_helo_name=mail.example.com\n") == []


def test_a_client_without_passwords_dies(say: Say) -> None:
    found = say("client-server-confusion", "smtp_sasl_auth_enable = yes\n")
    assert (at(found), grave(found)) == ([("main.cf", 1)], [Severity.ERROR])
    assert say("client-server-confusion", CLIENT + PASSWORDS) == []
    assert say("client-server-confusion", "smtp_sasl_auth_enable = no\n") == []


def test_confusion_in_a_policy_is_in_its_own_words(say: Say) -> None:
    policy = '[mx]\n[sasl]\nbackend = "saslauthd"\n[submission]\n[submissions]\n[postfix.main]\n'
    (found,) = say.site("client-server-confusion", policy + 'smtp_sasl_security_options = "noplaintext"\n')
    assert found.key == "postfix.main.smtp_sasl_security_options"
    assert say.site("client-server-confusion", policy + 'smtp_tls_note_starttls_offer = "yes"\n') == []


# --- smtpd.conf, and what it names -----------------------------------------------------------------------------------


def test_config_path_on_debian_12(say: Say) -> None:
    def found(main: str, files: dict[str, str], conf: str | None = CONF) -> list[Finding]:
        return say("smtpd-conf-unread", AUTH + main, conf, MX + SUBMISSION, files=files)

    other = "cyrus_sasl_config_path = /etc/sasl-of-ours\n"
    ignored = {"/etc/sasl-of-ours/smtpd.conf": CONF}
    assert at(found(other, ignored)) == [("main.cf", 2)]
    assert grave(found(other, ignored)) == [Severity.ERROR]
    assert grave(found(other, {}, None)) == [Severity.ERROR]
    assert grave(found(other, {})) == [Severity.WARNING]
    assert found("cyrus_sasl_config_path = /etc/sasl-of-ours:/etc/postfix/sasl/\n", {}) == []
    assert found("cyrus_sasl_config_path =\n", {}) == []


def test_config_path_where_it_counts(say: Say) -> None:
    main = AUTH + "cyrus_sasl_config_path = /etc/postfix/sasl\n"
    assert say("smtpd-conf-unread", main, platform="debian-13") == []
    stray = say("smtpd-conf-unread", AUTH, platform="debian-13")
    assert (at(stray), grave(stray)) == ([("smtpd.conf", 0)], [Severity.ERROR])
    assert "/etc/postfix/sasl/smtpd.conf is not read" in stray[0].message


def test_an_smtpd_conf_in_the_wrong_place_is_one_finding(say: Say) -> None:
    files = {"/etc/sasl2/smtpd.conf": CONF}
    assert grave(say("smtpd-conf-unread", AUTH, None, files=files)) == [Severity.ERROR]
    assert say("mechanisms-undeclared", AUTH, None, files=files) == []


def test_two_copies(say: Say) -> None:
    old = {"/usr/lib64/sasl2/smtpd.conf": "pwcheck_method: auxprop\n", "/etc/sasl2/smtpd.conf": CONF}
    found = say("smtpd-conf-unread", AUTH, None, platform="rhel-9", files=old)
    assert grave(found) == [Severity.WARNING]
    assert found[0].message == "/etc/sasl2/smtpd.conf is not read"
    same = dict.fromkeys(old, CONF)
    assert say("smtpd-conf-unread", AUTH, None, platform="rhel-9", files=same) == []


@pytest.mark.parametrize("path", ["smtpd.conf", "/etc/postfix/sasl/smtpd", "sasl/smtpd.conf"])
def test_a_path_that_is_no_name(say: Say, path: str) -> None:
    found = say("smtpd-conf-unread", f"{AUTH}smtpd_sasl_path = {path}\n")
    assert (at(found), grave(found)) == ([("main.cf", 2)], [Severity.ERROR])
    assert "smtpd_sasl_path = smtpd" in found[0].help
    assert say("sasl-type-mismatch", f"{AUTH}smtpd_sasl_path = {path}\n") == []


def test_what_is_read_of_a_copy(say: Say) -> None:
    assert say.copy("smtpd-conf-unread", AUTH, {"smtpd.conf": CONF}) == []
    found = say.copy("smtpd-conf-unread", AUTH, {"smtpd.conf": SASLDB, "sasl/smtpd.conf": CONF})
    assert grave(found) == [Severity.WARNING]
    assert grave(say.copy("smtpd-conf-unread", AUTH + "cyrus_sasl_config_path = /etc/s\n")) == [Severity.WARNING]
    assert say("smtpd-conf-unread", "smtpd_sasl_auth_enable = no\n", None, files={"/etc/sasl2/smtpd.conf": CONF}) == []


DB = {"/etc/sasldb2": "text u, mode 0644"}
PLAIN = "mech_list: PLAIN LOGIN\n"


@pytest.mark.parametrize(
    ("conf", "made", "severity"),
    [
        (PLAIN + "saslauthd_path: /var/run/saslauthd/mux\n", DB, Severity.ERROR),
        (PLAIN + "pwcheck_method: pam\n", DB, Severity.ERROR),
        (PLAIN + "pwcheck_method: auxprop\nauxprop_plugin: shadow\n", DB, Severity.ERROR),
        (PLAIN + SASLDB, {}, Severity.ERROR),
        (PLAIN + SASLDB, {"/etc/sasldb2": "text u, mode 0600"}, Severity.ERROR),
        (PLAIN, {}, Severity.ERROR),
        (PLAIN, DB, Severity.WARNING),
        (PLAIN + "pwcheck_method: auxprop\n", DB, Severity.INFO),
        (PLAIN + "pwcheck_method: auxprop\n", {}, Severity.ERROR),
    ],
)
def test_nobody_checks_passwords(say: Say, conf: str, made: dict[str, str], severity: Severity) -> None:
    found = say("pwcheck-undeclared", AUTH, conf, MX + SUBMISSION, made=made)
    assert grave(found) == [severity]
    assert found[0].location.file.endswith("smtpd.conf")
    assert found[0].location.line


@pytest.mark.parametrize(
    "conf",
    [
        CONF,
        PLAIN + "pwcheck_method: saslauthd auxprop\nauxprop_plugin: sasldb\n",
        PLAIN + "auxprop_plugin: sasldb\n",
        PLAIN + "pwcheck_method: auxprop\nauxprop_plugin: sql\nsql_select: SELECT 1\n",
        PLAIN + "pwcheck_method: authdaemond\n",
    ],
)
def test_somebody_checks_passwords(say: Say, conf: str) -> None:
    assert say("pwcheck-undeclared", AUTH, conf, made=DB) == []


def test_who_checks_passwords_elsewhere(say: Say) -> None:
    assert say.copy("pwcheck-undeclared", AUTH) == []
    assert say.copy("pwcheck-undeclared", AUTH, {"sasl/smtpd.conf": PLAIN + SASLDB}) == []


# --- saslauthd -------------------------------------------------------------------------------------------------------

CHROOT = "smtp inet n - y - - smtpd\n"
INNER, OUTER = "/var/spool/postfix/var/run/saslauthd/mux", "/var/run/saslauthd/mux"
SETTINGS = "/etc/default/saslauthd"


def with_path(path: str) -> str:
    return f"{CONF}saslauthd_path: {path}\n"


@pytest.mark.parametrize(
    ("conf", "master", "made", "line"),
    [
        (CONF, CHROOT, {OUTER: "socket"}, 1),
        (with_path(OUTER), CHROOT, {OUTER: "socket"}, 3),
        (with_path(INNER), CHROOT, {INNER: "socket"}, 3),
        (with_path("/var/run/saslauthd"), MX, {}, 3),
        (with_path("/var/run/saslauthd/"), MX, {OUTER: "socket"}, 3),
    ],
)
def test_the_socket_is_elsewhere(say: Say, conf: str, master: str, made: dict[str, str], line: int) -> None:
    assert at(say("saslauthd-socket-chroot", AUTH, conf, master, made=made)) == [("smtpd.conf", line)]


@pytest.mark.parametrize(
    ("conf", "master", "made"),
    [
        (CONF, CHROOT, {INNER: "socket"}),
        (CONF, MX, {OUTER: "socket"}),
        (CONF, CHROOT, {}),
        (CONF, MX, {}),
        (with_path("/run/socket-of-ours"), MX, {"/run/socket-of-ours": "socket"}),
        (SASLDB + PLAIN, CHROOT, {OUTER: "socket"}),
    ],
)
def test_the_socket_is_there_or_saslauthd_does_not_run(say: Say, conf: str, master: str, made: dict[str, str]) -> None:
    assert say("saslauthd-socket-chroot", AUTH, conf, master, made=made) == []


def test_saslauthd_does_not_run_and_its_settings_tell(say: Say) -> None:
    files = {SETTINGS: 'START=yes\nMECHANISMS="pam"\nOPTIONS="-c -m /var/run/saslauthd"\n'}
    (found,) = say("saslauthd-socket-chroot", AUTH, CONF, CHROOT, files=files)
    assert OUTER in found.message
    files = {SETTINGS: f'START=yes\nMECHANISMS="pam"\nOPTIONS="-c -m {INNER.removesuffix("/mux")}"\n'}
    assert say("saslauthd-socket-chroot", AUTH, CONF, CHROOT, files=files) == []


@pytest.mark.parametrize(("mode", "count"), [("0700", 1), ("0710", 1), ("0711", 0), ("0755", 0)])
def test_the_directory_decides(say: Say, mode: str, count: int) -> None:
    made = {"/var/run/saslauthd": f"directory, mode {mode}", OUTER: "socket"}
    found = say("saslauthd-socket-permission", AUTH, CONF, MX + SUBMISSION, made=made)
    assert at(found) == [("smtpd.conf", 1)] * count
    assert say("saslauthd-socket-chroot", AUTH, CONF, MX, made=made) == []


RIMAP = 'MECHANISMS="rimap"\n'


@pytest.mark.parametrize(
    ("platform", "file", "text", "line"),
    [
        ("debian-12", SETTINGS, RIMAP + 'OPTIONS="-c -m /var/run/saslauthd -O imap.example.com -r"\n', 2),
        ("debian-12", SETTINGS, RIMAP + 'MECH_OPTIONS="imap.example.com/1143" # there\n', 2),
        ("debian-12", SETTINGS, RIMAP + 'OPTIONS="-m /x -Oimap.example.com"\n', 2),
        ("rhel-9", "/etc/sysconfig/saslauthd", 'MECH=rimap\nFLAGS="-O 192.0.2.1"\n', 2),
        ("opensuse-leap-15.6", "/etc/sysconfig/saslauthd", "SASLAUTHD_AUTHMECH=rimap\nSASLAUTHD_PARAMS='-O imap'\n", 2),
        ("arch", "/etc/conf.d/saslauthd", 'SASLAUTHD_OPTS="-m /run/saslauthd -a rimap -O imap.example.com"\n', 1),
        ("arch", "/etc/conf.d/saslauthd", '# ours\nSASLAUTHD_OPTS="-a rimap -H imap.example.com"\n', 2),
    ],
)
def test_rimap_is_never_encrypted(say: Say, platform: str, file: str, text: str, line: int) -> None:
    conf = SMTPD if platform == "debian-12" else "/etc/sasl2/smtpd.conf"
    found = say("saslauthd-backend-cleartext", AUTH, None, platform=platform, files={file: text, conf: CONF})
    assert [(each.location.file, each.location.line) for each in found] == [(file, line)]


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost/1143", "127.0.1.1", "::1", "mail.example.com"])
def test_rimap_to_this_host(say: Say, host: str) -> None:
    files = {SETTINGS: f'{RIMAP}OPTIONS="-O {host}"\n'}
    main = AUTH + "myhostname = mail.example.com\n"
    assert say("saslauthd-backend-cleartext", main, files=files) == []


LDAP = 'MECHANISMS="ldap"\n'


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("ldap_servers: ldap://ldap.example.com\n", 1),
        ("ldap_search_base: dc=x\nldap_servers: ldaps://a.example ldap://b.example:389\n", 2),
        ("ldap_servers: ldap://ldap.example.com\nldap_start_tls: no\n", 1),
        ("ldap_servers: ldap://ldap.example.com\nldap_start_tls: Yes\n", 1),
        ("ldap_servers: ldaps://ldap.example.com\n", 0),
        ("ldap_servers: ldapi:///\n", 0),
        ("ldap_servers: ldap://localhost/ ldap://[::1]:389 ldap:///\n", 0),
        ("ldap_servers: ldap://ldap.example.com\nldap_start_tls: on\n", 0),
        ("ldap_servers: ldap://ldap.example.com\nldap_use_sasl: yes\nldap_mech: DIGEST-MD5\n", 0),
        ("ldap_search_base: dc=x\n", 0),
    ],
)
def test_ldap(say: Say, text: str, line: int) -> None:
    found = say("saslauthd-backend-cleartext", AUTH, files={SETTINGS: LDAP, "/etc/saslauthd.conf": text})
    assert at(found) == ([("saslauthd.conf", line)] if line else [])


@pytest.mark.parametrize(
    ("main", "conf", "text"),
    [
        (AUTH, CONF, 'MECHANISMS="pam"\nOPTIONS="-O imap.example.com"\n'),
        (AUTH, CONF, f'START=no\n{RIMAP}OPTIONS="-O imap.example.com"\n'),
        (AUTH, SASLDB + PLAIN, f'{RIMAP}OPTIONS="-O imap.example.com"\n'),
        ("", CONF, f'{RIMAP}OPTIONS="-O imap.example.com"\n'),
    ],
)
def test_saslauthd_that_nobody_asks_or_that_asks_nobody(say: Say, main: str, conf: str, text: str) -> None:
    assert say("saslauthd-backend-cleartext", main, conf, files={SETTINGS: text}) == []


def test_backends_of_a_policy(say: Say) -> None:
    sasl = '[submission]\n[submissions]\n[sasl]\nbackend = "saslauthd"\n[sasl.saslauthd]\nmechanism = "ldap"\n'
    ldap = sasl + '[sasl.saslauthd.ldap]\nsearch_base = "dc=x"\n'
    clear = 'servers = ["ldap://ldap.example.com"]\nstart_tls = false\n'
    (found,) = say.site("saslauthd-backend-cleartext", ldap + clear)
    assert found.key == "sasl.saslauthd.ldap.servers"
    assert "servers" in found.location.text
    assert say.site("saslauthd-backend-cleartext", ldap + clear.replace("false", "true")) == []
    assert say.site("saslauthd-backend-cleartext", ldap + 'servers = ["ldaps://ldap.example.com"]\n') == []
