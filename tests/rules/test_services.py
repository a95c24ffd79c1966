"""Rules on the TLS of each service, of the way out, and on what is declared to be in the DNS: where they speak, and
where they keep silent.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mailcfg.behaviour.routes import is_local
from mailcfg.problem import Finding, Severity
from mailcfg.rules.mta_sts_policy import covers
from tests.rules.examples import Example, checked

PEM = "/etc/ssl/private/mail.pem"
TLS = f"smtpd_tls_chain_files = {PEM}\n"
SITE = """hostname = "mail.example.com"
platform = "debian-12"

[tls]
guideline = "mozilla-6.0-intermediate"

[certificates.mail]
issuer = "acme"

[mx]

"""
DIGEST = "5f" * 32
RELAY = "relayhost = [smtp.example.net]:587\n"
PASSWORDS = "smtp_sasl_auth_enable = yes\nsmtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd\n"
EXPOSED = PASSWORDS + "smtp_sasl_security_options = noanonymous\n"
DANE = "smtp_tls_security_level = dane\n"
DNSSEC = "smtp_dns_support_level = dnssec\n"
SMTPD_CONF = {"sasl/smtpd.conf": "pwcheck_method: saslauthd\nmech_list: PLAIN LOGIN\n"}


@pytest.fixture
def say(tmp_path: Path) -> Say:
    return Say(tmp_path)


class Say:
    """What one rule says of files."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = 0

    def __call__(
        self, rule: str, main: str = "", master: str = "", postfix: str | None = None, **files: str
    ) -> list[Finding]:
        texts = {"main.cf": main, **SMTPD_CONF}
        if master:
            texts["master.cf"] = master
        texts |= {f"/etc/{name}.conf": text for name, text in files.items()}
        described = {PEM: "key ecdsa-p256, certificate mail.example.com"}
        return self._found(rule, Example(texts, described, "debian-12", postfix))

    def site(self, rule: str, text: str) -> list[Finding]:
        return self._found(rule, Example({"site.toml": text}, {}, "debian-12", None))

    def _found(self, rule: str, example: Example) -> list[Finding]:
        self._count += 1
        path = self._path / str(self._count)
        path.mkdir()
        found = checked(example, path, time.time())
        assert found.unknown == ()
        return [each for each in found.findings if each.rule == rule]


def at(found: list[Finding]) -> list[tuple[str, int]]:
    return [(each.location.file.rpartition("/")[2], each.location.line) for each in found]


# --- listeners -------------------------------------------------------------------------------------------------------

MX = "smtp inet n - n - - smtpd\n"
SUBMISSION = "submission inet n - n - - smtpd\n  -o smtpd_sasl_auth_enable=yes\n"
ENCRYPT = TLS + "smtpd_tls_security_level = encrypt\n"


@pytest.mark.parametrize(
    ("main", "master", "line"),
    [
        (ENCRYPT, MX, ("main.cf", 2)),
        (ENCRYPT, "192.0.2.1:25 inet n - n - - smtpd\n", ("main.cf", 2)),
        (TLS + "smtpd_enforce_tls = yes\n", MX, ("main.cf", 2)),
        (TLS + "smtpd_tls_wrappermode = yes\n", MX, ("main.cf", 2)),
        (TLS, MX + "  -o smtpd_tls_security_level=encrypt\n", ("master.cf", 2)),
        (ENCRYPT, "smtp inet n - n - 1 postscreen\nsmtpd pass - - n - - smtpd\n", ("main.cf", 2)),
        (ENCRYPT + "smtpd_relay_restrictions = permit_auth_destination, reject\n", MX, ("main.cf", 2)),
    ],
)
def test_an_mx_that_demands_tls(say: Say, main: str, master: str, line: tuple[str, int]) -> None:
    assert at(say("tls-required-on-mx", main, master)) == [line]


@pytest.mark.parametrize(
    ("main", "master"),
    [
        (ENCRYPT, "127.0.0.1:25 inet n - n - - smtpd\n"),
        (ENCRYPT, "10.0.0.1:smtp inet n - n - - smtpd\n"),
        (ENCRYPT + "inet_interfaces = loopback-only\n", MX),
        (ENCRYPT + "inet_interfaces = localhost, 127.0.0.1\n", MX),
        (ENCRYPT + "smtpd_client_restrictions = permit_mynetworks, reject\n", MX),
        (ENCRYPT + "smtpd_recipient_restrictions = permit_sasl_authenticated, reject\n", MX),
        (ENCRYPT, MX + "  -o smtpd_tls_security_level=may\n"),
        (ENCRYPT + "master_service_disable = inet\n", MX),
    ],
)
def test_what_is_no_mx_may_demand_tls(say: Say, main: str, master: str) -> None:
    assert say("tls-required-on-mx", main, master) == []


def test_submission_names_the_line_and_what_is_exposed(say: Say) -> None:
    main = TLS + "smtpd_tls_security_level = may\n"
    (found,) = say("submission-without-tls", main, SUBMISSION)
    assert at([found]) == [("main.cf", 2)]
    assert found.message == "port 587 takes mail and passwords without TLS"
    assert found.service == "submission/inet"


def test_submission_without_any_level_is_at_its_service(say: Say) -> None:
    (found,) = say("submission-without-tls", "smtpd_tls_auth_only = yes\n", MX + SUBMISSION)
    assert at([found]) == [("master.cf", 2)]
    assert found.message == "port 587 takes mail without TLS"


@pytest.mark.parametrize(
    "master",
    [
        SUBMISSION + "  -o smtpd_tls_security_level=encrypt\n",
        SUBMISSION + "  -o smtpd_tls_wrappermode=yes\n",
        SUBMISSION.replace("submission inet", "127.0.0.1:587 inet"),
        "submission inet n - n - - smtpd\n",
        SUBMISSION.replace("submission inet", "2525 inet"),
    ],
)
def test_submission_that_demands_tls_is_local_or_has_no_auth(say: Say, master: str) -> None:
    assert say("submission-without-tls", TLS, master) == []


def test_implicit_tls_is_asked_for_once(say: Say) -> None:
    master = SUBMISSION + SUBMISSION.replace("submission inet", "192.0.2.1:587 inet")
    assert at(say("implicit-tls-missing", ENCRYPT, master)) == [("master.cf", 1)]


@pytest.mark.parametrize(
    "other",
    [
        "smtps inet n - n - - smtpd\n  -o smtpd_tls_wrappermode=yes\n",
        "465 inet n - n - - smtpd\n",
        "2465 inet n - n - - smtpd\n  -o smtpd_tls_wrappermode=yes\n",
    ],
)
def test_any_listener_with_implicit_tls_will_do(say: Say, other: str) -> None:
    assert say("implicit-tls-missing", ENCRYPT, SUBMISSION + other) == []


def test_implicit_tls_is_not_asked_for_without_logins(say: Say) -> None:
    assert say("implicit-tls-missing", ENCRYPT, "submission inet n - n - - smtpd\n") == []


def test_wrappermode_in_main_is_one_finding_for_all_ports(say: Say) -> None:
    (found,) = say("wrappermode-port", TLS + "smtpd_tls_wrappermode = yes\n", MX + SUBMISSION)
    assert at([found]) == [("main.cf", 2)]
    assert found.message == "port 25, port 587 begin with TLS, and their clients with SMTP"


def test_a_proxy_may_have_taken_tls_off(say: Say) -> None:
    smtps = "smtps inet n - n - - smtpd\n"
    assert at(say("wrappermode-port", TLS, smtps)) == [("master.cf", 1)]
    assert say("wrappermode-port", TLS, smtps + "  -o smtpd_upstream_proxy_protocol=haproxy\n") == []
    assert say("wrappermode-port", TLS, "127.0.0.1:465 inet n - n - - smtpd\n") == []


@pytest.mark.parametrize(
    ("level", "says"),
    [
        ("verify", "verify is a level of a client: smtpd takes it for encrypt"),
        ("Secure", "Secure is a level of a client: smtpd takes it for encrypt"),
        ("fingerprint", "fingerprint is a level of a client: smtpd takes it for encrypt"),
        ("dane", "dane is a level of a client: smtpd dies of it"),
        ("dane-only", "dane-only is a level of a client: smtpd dies of it"),
    ],
)
def test_each_level_of_a_client(say: Say, level: str, says: str) -> None:
    main = TLS + f"smtpd_tls_security_level = {level}\n"
    (found,) = say("client-level-on-server", main, MX + SUBMISSION)
    assert (found.message, at([found])) == (says, [("main.cf", 2)])
    assert say("level-unknown", main, MX + SUBMISSION) == []


def test_a_level_of_a_client_that_no_server_has(say: Say) -> None:
    main = TLS + "smtpd_tls_security_level = verify\n"
    assert say("client-level-on-server", main, MX + "  -o smtpd_tls_security_level=may\n") == []
    assert say("client-level-on-server", main, "smtps inet n - n - - smtpd\n  -o smtpd_tls_wrappermode=yes\n") == []
    found = say("client-level-on-server", TLS, SUBMISSION + "  -o smtpd_tls_security_level=fingerprint\n")
    assert at(found) == [("master.cf", 3)]


@pytest.mark.parametrize(
    ("main", "master", "line"),
    [
        ("smtpd_tls_security_level = bogus\n", MX + SUBMISSION, ("main.cf", 1)),
        ("smtpd_tls_security_level = halfdane\n", MX, ("main.cf", 1)),
        ("smtpd_tls_security_level = may, encrypt\n", MX, ("main.cf", 1)),
        ("smtp_tls_security_level = ture\n", MX, ("main.cf", 1)),
        ("", MX + "lmtp unix - - n - - lmtp\n  -o lmtp_tls_security_level=on\n", ("master.cf", 3)),
        ("", MX + "out unix - - n - - smtp\n  -o smtp_tls_security_level=yes\n", ("master.cf", 3)),
        (
            "postscreen_tls_security_level = maybe\n",
            "smtp inet n - n - 1 postscreen\nsmtpd pass - - n - - smtpd\n",
            ("main.cf", 1),
        ),
        (
            "smtp_tls_security_level = may\nsmtp_tls_policy_maps = hash:/x, inline:{ { a.example = encrypted } }\n",
            MX,
            ("main.cf", 2),
        ),
    ],
)
def test_an_unknown_level(say: Say, main: str, master: str, line: tuple[str, int]) -> None:
    assert at(say("level-unknown", main, master)) == [line]


@pytest.mark.parametrize(
    ("main", "master"),
    [
        ("smtpd_tls_security_level = MAY\nsmtp_tls_security_level = Dane-Only\n", MX),
        ("smtpd_tls_security_level = bogus\n", MX + "  -o smtpd_tls_security_level=may\n"),
        ("smtpd_tls_security_level = bogus\n", "smtps inet n - n - - smtpd\n  -o smtpd_tls_wrappermode=yes\n"),
        ("smtpd_tls_security_level =\n", MX),
        (
            "smtp_tls_security_level = bogus\nsmtp_tls_policy_maps = hash:/etc/postfix/tls\n",
            MX + "smtp unix - - n - - smtp\n  -o smtp_tls_security_level=may\n",
        ),
    ],
)
def test_a_level_that_is_known_or_not_read(say: Say, main: str, master: str) -> None:
    assert say("level-unknown", main, master) == []


def test_an_empty_level_beside_a_certificate(say: Say) -> None:
    assert at(say("tls-not-offered", TLS)) == [("main.cf", 1)]
    assert at(say("tls-not-offered", TLS + "smtpd_tls_security_level =\n")) == [("main.cf", 2)]
    assert at(say("tls-not-offered", f"smtpd_tls_cert_file = {PEM}\n", postfix="3.3.0")) == [("main.cf", 1)]


@pytest.mark.parametrize(
    ("main", "master"),
    [
        (TLS + "smtpd_tls_security_level = none\n", MX),
        (TLS + "smtpd_use_tls = yes\n", MX),
        (TLS, "submissions inet n - n - - smtpd\n  -o smtpd_tls_wrappermode=yes\n"),
        (TLS, "127.0.0.1:10025 inet n - n - - smtpd\n127.0.0.1:25 inet n - n - - smtpd\n"),
        ("", MX),
        ("smtpd_tls_security_level = may\nsmtpd_tls_cert_file = none\n", MX),
        ("smtpd_tls_security_level = may\nsmtpd_tls_cert_file = /etc/ssl/absent.pem\n", MX),
    ],
)
def test_tls_that_is_there_is_not_wanted_or_fails_otherwise(say: Say, main: str, master: str) -> None:
    assert say("tls-not-offered", main, master) == []


def test_no_certificate_is_one_finding_a_switch(say: Say) -> None:
    master = MX + SUBMISSION + "smtps inet n - n - - smtpd\n  -o smtpd_tls_wrappermode=yes\n"
    found = say("tls-not-offered", "smtpd_tls_security_level = may\n", master)
    assert at(found) == [("main.cf", 1), ("master.cf", 5)]
    assert found[0].message == "port 25, port 587 have TLS turned on, and no certificate"


# --- the way out -----------------------------------------------------------------------------------------------------

WRAPPED = "smtp_tls_security_level = encrypt\nsmtp_tls_wrappermode = yes\n"


@pytest.mark.parametrize(
    ("main", "line"),
    [
        ("relayhost = [smtp.example.net]:465\n", 1),
        ("relayhost = smtp.example.net:smtps\nsmtp_tls_security_level = encrypt\n", 1),
        ("relayhost = [2001:db8::1]:465\nsmtp_tls_wrappermode = no\n", 2),
        ("relayhost = [a.example]:587, [b.example]:465\n", 1),
        ("smtp_fallback_relay = [b.example]:465\n", 1),
        ("default_transport = smtp:[smtp.example.net]:465\n", 1),
        (WRAPPED + RELAY, 2),
        (WRAPPED + "relayhost = smtp.example.net\n", 2),
        ("relayhost = [smtp.example.net]:465\nsmtp_tls_wrappermode = yes\nsmtp_tls_security_level = may\n", 2),
        ("relayhost = [smtp.example.net]:2465\nsmtp_tls_wrappermode = yes\n", 2),
    ],
)
def test_a_relay_at_the_wrong_moment(say: Say, main: str, line: int) -> None:
    assert at(say("relay-wrappermode", main)) == [("main.cf", line)]


@pytest.mark.parametrize(
    "main",
    [
        "relayhost = [smtp.example.net]:465\n" + WRAPPED,
        "relayhost = [smtp.example.net]:2465\n" + WRAPPED,
        RELAY,
        "relayhost = [127.0.0.1]:465\n",
        "relayhost = [smtp.example.net]:465\nsmtp_tls_wrappermode = yes\nsmtp_tls_policy_maps = hash:/etc/tls\n",
        "relayhost = [smtp.example.net]:465\nsmtp_tls_wrappermode = yes\n"
        "smtp_tls_policy_maps = inline:{ { [smtp.example.net]:465 = secure } }\n",
        "relayhost = [smtp.example.net]:465\ndefault_transport = uucp\n",
        "relayhost = [smtp.example.net]:465\ndefault_transport = smtps:[other.example]:25\n",
    ],
)
def test_a_relay_that_is_right_or_not_known(say: Say, main: str) -> None:
    assert say("relay-wrappermode", main) == []


@pytest.mark.parametrize(
    ("next_hop", "local"),
    [
        ("[127.0.0.1]:10024", True),
        ("127.0.0.1:10024", True),
        ("[localhost]", True),
        ("localhost", True),
        ("[::1]:25", True),
        ("", False),
        ("[2001:db8::1]:25", False),
        ("localhost.example:25", False),
        ("[mx.localhost]:25", False),
    ],
)
def test_this_machine(next_hop: str, local: bool) -> None:
    assert is_local(next_hop) is local


FILTER = "content_filter = scan:[127.0.0.1]:10024\nsmtp_tls_security_level = encrypt\n"
SCAN = MX + "scan unix - - n - 2 smtp\n"


@pytest.mark.parametrize(
    ("main", "master"),
    [
        (FILTER, SCAN),
        (FILTER.replace("encrypt", "secure"), SCAN),
        (FILTER.replace("127.0.0.1", "10.89.0.4"), SCAN),
        (
            "# none here\nsmtp_tls_security_level = encrypt\n",
            MX + "  -o content_filter=scan:[127.0.0.1]:10024\n" + SCAN[len(MX) :],
        ),
        ("relayhost = [127.0.0.1]:11125\nsmtp_tls_security_level = encrypt\n", MX),
        ("virtual_transport = smtp:[::1]:2525\nsmtp_tls_security_level = verify\n", MX),
        (
            "virtual_transport = lmtp:inet:127.0.0.1:24\nlmtp_tls_security_level = encrypt\n",
            MX + "lmtp unix - - n - - lmtp\n",
        ),
        (FILTER, SCAN + "127.0.0.1:10024 inet n - n - - smtpd\n  -o smtpd_tls_security_level=none\n"),
    ],
)
def test_a_general_level_that_holds_for_a_local_next_hop(say: Say, main: str, master: str) -> None:
    (found,) = say("client-level-global", main, master)
    assert at([found]) == [("main.cf", 2)]
    assert found.severity is Severity.WARNING


@pytest.mark.parametrize(
    ("main", "master"),
    [
        (FILTER, SCAN + "  -o smtp_tls_security_level=none\n"),
        (FILTER, SCAN + "  -o smtp_tls_security_level=encrypt\n"),
        (FILTER, SCAN.replace(" smtp\n", " lmtp\n")),
        (FILTER, SCAN.replace(" 2 smtp\n", " 2 pipe user=nobody argv=/bin/cat\n")),
        (FILTER + "smtp_tls_policy_maps = hash:/etc/postfix/tls\n", SCAN),
        (FILTER + "smtp_tls_policy_maps = inline:{ { [127.0.0.1]:10024 = none } }\n", SCAN),
        (FILTER.replace("encrypt", "dane"), SCAN),
        (FILTER.replace("[127.0.0.1]", "[scan.example.com]"), SCAN),
        ("relayhost = [10.0.0.1]:25\nsmtp_tls_security_level = encrypt\n", MX),
        (
            FILTER + TLS,
            SCAN + "127.0.0.1:10024 inet n - n - - smtpd\n  -o smtpd_tls_security_level=may\n",
        ),
        ("mailbox_transport = lmtp:unix:private/dovecot-lmtp\nsmtp_tls_security_level = encrypt\n", MX),
    ],
)
def test_a_local_next_hop_that_is_left_out(say: Say, main: str, master: str) -> None:
    assert say("client-level-global", main, master) == []


@pytest.mark.parametrize(
    ("main", "line"),
    [
        (RELAY + EXPOSED + "smtp_tls_security_level = may\n", 5),
        (RELAY + EXPOSED + DANE, 5),
        (RELAY + EXPOSED, 4),
        (EXPOSED + "smtp_tls_security_level = may\n", 4),
        (RELAY + EXPOSED + "smtp_tls_security_level = may\nsmtp_sasl_mechanism_filter = plain\n", 5),
        (
            RELAY + EXPOSED + "smtp_tls_security_level = secure\n"
            "smtp_tls_policy_maps = inline:{ { [smtp.example.net]:587 = may } }\n",
            6,
        ),
    ],
)
def test_a_password_that_can_be_read(say: Say, main: str, line: int) -> None:
    assert at(say("relay-credentials-exposed", main)) == [("main.cf", line)]


@pytest.mark.parametrize(
    "main",
    [
        RELAY + EXPOSED + "smtp_tls_security_level = encrypt\n",
        RELAY + PASSWORDS + "smtp_tls_security_level = may\n",
        RELAY + EXPOSED + "smtp_tls_security_level = may\nsmtp_sasl_mechanism_filter = scram-sha-256\n",
        RELAY + EXPOSED + "smtp_tls_security_level = may\nsmtp_tls_policy_maps = hash:/etc/postfix/tls\n",
        RELAY + EXPOSED + "smtp_tls_security_level = may\n"
        "smtp_tls_policy_maps = inline:{ { [smtp.example.net]:587 = encrypt } }\n",
        RELAY + EXPOSED + "smtp_tls_security_level = secure\nsmtp_tls_policy_maps = inline:{ { old.example = may } }\n",
        EXPOSED + "smtp_tls_security_level = may\nsmtp_tls_policy_maps = inline:{ { [a.example]:587 = encrypt } }\n",
        "relayhost = [127.0.0.1]:1025\n" + EXPOSED + "smtp_tls_security_level = may\n",
        RELAY + EXPOSED.replace("= yes", "= no") + "smtp_tls_security_level = may\n",
    ],
)
def test_a_password_that_cannot_be_read_or_nobody_can_tell(say: Say, main: str) -> None:
    assert say("relay-credentials-exposed", main) == []


# --- DANE, MTA-STS, TLSRPT, REQUIRETLS -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("main", "line", "effect"),
    [
        (DANE, 1, "cleartext"),
        (DANE.replace("dane", "Dane-Only"), 1, "no mail leaves"),
        (DANE + "smtp_dns_support_level = enabled\n", 2, "cleartext"),
        (DANE + DNSSEC + "smtp_host_lookup = native\n", 3, "cleartext"),
        (DANE + DNSSEC + "ignore_mx_lookup_error = yes\n", 3, "cleartext"),
        (DANE + DNSSEC + "smtp_dns_resolver_options = res_defnames\n", 3, "cleartext"),
        ("smtp_tls_security_level = may\nsmtp_tls_policy_maps = inline:{ { a.example = dane-only } }\n", 2, "no mail"),
    ],
)
def test_dane_that_cannot_be_had(say: Say, main: str, line: int, effect: str) -> None:
    (found,) = say("dane-without-dnssec", main)
    assert (at([found]), found.severity) == ([("main.cf", line)], Severity.ERROR)
    assert effect in found.effect


def test_dane_of_another_service(say: Say) -> None:
    master = MX + "dane unix - - n - - smtp\n  -o smtp_tls_security_level=dane\n"
    assert at(say("dane-without-dnssec", "", master)) == [("master.cf", 3)]
    assert say("dane-without-dnssec", "", master + "  -o smtp_dns_support_level=dnssec\n") == []
    assert say("dane-without-dnssec", DANE + DNSSEC.replace("dnssec", "DNSSEC")) == []


@pytest.mark.parametrize(
    ("resolv", "says"),
    [
        ("nameserver 192.0.2.53\n", True),
        ("# a comment\nsearch example.com\nnameserver 2001:db8::53\nnameserver 192.0.2.53\n", True),
        ("nameserver 192.0.2.53\nnameserver 127.0.0.53\n", False),
        ("nameserver ::1\n", False),
        ("search example.com\n", False),
    ],
)
def test_the_resolver_that_dane_believes(say: Say, resolv: str, says: bool) -> None:
    found = say("dane-without-dnssec", DANE + DNSSEC, resolv=resolv)
    assert [(at([each]), each.severity) for each in found] == ([([("resolv.conf", 0)], Severity.WARNING)] * says)


def test_a_resolver_that_smtp_does_not_see(say: Say) -> None:
    master = MX + "smtp unix - - y - - smtp\n"
    assert say("dane-without-dnssec", DANE + DNSSEC, master, resolv="nameserver 192.0.2.53\n") == []
    assert say("dane-without-dnssec", "smtp_tls_security_level = may\n", resolv="nameserver 192.0.2.53\n") == []


def test_the_resolver_of_a_chroot(tmp_path: Path) -> None:
    path = "/var/spool/postfix/etc/resolv.conf"
    texts = {"main.cf": DANE + DNSSEC, "master.cf": MX + "smtp unix - - y - - smtp\n", path: "nameserver 192.0.2.53\n"}
    found = checked(Example(texts, {}, "debian-12", None), tmp_path, time.time()).findings
    assert [each.location.file for each in found if each.rule == "dane-without-dnssec"] == [path]


STS = "socketmap:inet:127.0.0.1:8461:postfix"


@pytest.mark.parametrize(
    ("maps", "says"),
    [
        (STS, True),
        ("socketmap:unix:/run/postfix-mta-sts-resolver/sock:postfix", True),
        (f"inline:{{ {{ a.example = encrypt }} }}, {STS}", True),
        (f"inline:{{ {{ a.example = dane }} }}, {STS}", False),
        (f"hash:/etc/postfix/tls, {STS}", False),
        (f"socketmap:inet:127.0.0.1:8642:QUERY, {STS}", False),
        ("socketmap:inet:127.0.0.1:8642:QUERY", False),
        ("hash:/etc/postfix/mta-sts", False),
        ("", False),
    ],
)
def test_mta_sts_before_dane(say: Say, maps: str, says: bool) -> None:
    main = DANE + DNSSEC + f"smtp_tls_policy_maps = {maps}\n"
    assert at(say("mta-sts-over-dane", main)) == [("main.cf", 3)] * says
    assert say("mta-sts-over-dane", main.replace("= dane", "= may")) == []


@pytest.mark.parametrize(
    ("records", "severities"),
    [
        ([f"3 1 1 {DIGEST}"], []),
        ([f"2 1 1 {DIGEST}", f"2 0 1 {DIGEST}"], []),
        ([f"3 1 1 {DIGEST}", f"3 1 2 {DIGEST}{DIGEST}", f"3 0 1 {DIGEST}"], []),
        ([f"3 0 1 {DIGEST}"], [Severity.WARNING]),
        ([f"3 1 2 {DIGEST}{DIGEST}"], [Severity.WARNING]),
        ([f"3 1 0 {DIGEST}{DIGEST}"], [Severity.WARNING]),
        ([f"0 1 1 {DIGEST}"], [Severity.ERROR]),
        ([f"3 1 1 {DIGEST}", f"1 0 1 {DIGEST}"], [Severity.ERROR]),
        ([f"3 1 1 {DIGEST[:40]}"], [Severity.ERROR]),
        ([f"3 1 1 {DIGEST[:40]}", f"3 0 1 {DIGEST}"], [Severity.ERROR, Severity.WARNING]),
    ],
)
def test_tlsa_records(say: Say, records: list[str], severities: list[Severity]) -> None:
    text = ", ".join(f'"{each}"' for each in records)
    found = say.site("tlsa-usage", SITE + f'[dns]\ntlsa = [{text}]\ntlsrpt = "v=TLSRPTv1; rua=mailto:a@example.com"\n')
    assert sorted(each.severity.value for each in found) == sorted(each.value for each in severities)
    assert {each.location.line for each in found} <= {13}
    assert {each.key for each in found} <= {"dns.tlsa"}


def sts(site: str = SITE, **keys: str) -> str:
    table = {"mode": '"enforce"', "mx": '["mail.example.com"]', "max_age": "604800"} | keys
    return site + "[dns.mta_sts]\n" + "".join(f"{key} = {value}\n" for key, value in table.items())


@pytest.mark.parametrize(
    ("text", "words", "severity"),
    [
        (sts(version='"STSv2"'), "version STSv2", Severity.ERROR),
        (sts(mode='"enforced"'), "'enforced' is no mode", Severity.ERROR),
        (sts(max_age="31557601"), "over 31557600", Severity.ERROR),
        (sts(max_age="600"), "less than a day", Severity.WARNING),
        (sts(mx='["mail.example.com."]'), "ends in a dot", Severity.WARNING),
        (sts(mx='["*.mail.example.com"]'), "no mx pattern covers mail.example.com", Severity.ERROR),
        (sts(SITE.replace("acme", "private-ca")), "its issuer is private-ca", Severity.ERROR),
        (
            sts(SITE.replace("[mx]", '[mx]\ntls = "none"\n[submission]\n[submissions]\n[sasl]\nbackend = "saslauthd"')),
            "port 25 has none",
            Severity.ERROR,
        ),
    ],
)
def test_an_mta_sts_policy_that_does_not_fit(say: Say, text: str, words: str, severity: Severity) -> None:
    (found,) = say.site("mta-sts-policy", text)
    assert words in found.message
    assert (found.severity, found.key) == (severity, "dns.mta_sts")
    assert found.location.line > 8


@pytest.mark.parametrize(
    "text",
    [
        sts(),
        sts(max_age="31557600"),
        sts(mode='"none"', mx='["other.example.com"]', max_age="0"),
        sts(mode='"testing"', mx='["*.example.com", "other.example.org"]'),
        sts(
            SITE.replace("[mx]", '[submission]\n[submissions]\n[sasl]\nbackend = "saslauthd"'), mx='["mx.example.com"]'
        ),
        SITE,
    ],
)
def test_an_mta_sts_policy_that_fits(say: Say, text: str) -> None:
    assert say.site("mta-sts-policy", text) == []


def test_a_pattern_covers_one_label() -> None:
    assert covers(["*.example.com"], "MX.example.com")
    assert covers(["mx.Example.com."], "mx.example.com")
    assert not covers(["*.example.com"], "a.mx.example.com")
    assert not covers(["*.example.com"], "example.com")
    assert not covers(["example.com"], "mx.example.com")


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ("v=TLSRPTv1; rua=mailto:a@example.com", False),
        ("v=TLSRPTv1;rua=https://example.com/tls,mailto:a@example.com;", False),
        ("v=TLSRPTv2; rua=mailto:a@example.com", True),
        ("rua=mailto:a@example.com; v=TLSRPTv1", True),
        ("v=TLSRPTv1", True),
        ("v=TLSRPTv1; rua=a@example.com", True),
    ],
)
def test_a_tlsrpt_record(say: Say, record: str, says: bool) -> None:
    found = say.site("tlsrpt-missing", SITE + f'[dns]\ntlsrpt = "{record}"\n')
    assert [(each.severity, each.location.line) for each in found] == [(Severity.ERROR, 13)] * says


def test_a_tlsrpt_record_that_is_absent(say: Say) -> None:
    (found,) = say.site("tlsrpt-missing", SITE + f'[dns]\ntlsa = ["3 1 1 {DIGEST}"]\n')
    assert (found.severity, found.location.line, found.key) == (Severity.INFO, 13, "dns.tlsa")
    (found,) = say.site("tlsrpt-missing", sts())
    assert (found.severity, found.key) == (Severity.INFO, "dns.mta_sts")
    assert say.site("tlsrpt-missing", SITE) == []


REPORTS = "smtp_tlsrpt_enable = yes\n"
SOCKET = "smtp_tlsrpt_socket_name = run/tlsrpt/tlsrpt.sock\n"


@pytest.mark.parametrize(
    ("main", "postfix", "said"),
    [
        (REPORTS + SOCKET, "3.9.1", [(Severity.ERROR, 1)]),
        (REPORTS.replace("yes", "no"), "3.9.1", []),
        (DANE + DNSSEC, "3.9.1", []),
        (DANE + DNSSEC, "3.10.13", [(Severity.INFO, 1)]),
        (f"smtp_tls_policy_maps = {STS}\nsmtp_tls_security_level = may\n", "3.10.13", [(Severity.INFO, 2)]),
        ("smtp_tls_security_level = may\n", "3.10.13", []),
        (DANE + DNSSEC + REPORTS + SOCKET, "3.10.13", []),
        (DANE + DNSSEC + REPORTS, "3.10.13", [(Severity.ERROR, 3)]),
    ],
)
def test_reports_on_the_way_out(say: Say, main: str, postfix: str, said: list[tuple[Severity, int]]) -> None:
    found = say("tlsrpt-missing", main, postfix=postfix)
    assert [(each.severity, each.location.line) for each in found] == said


def test_requiretls_by_version(say: Say) -> None:
    main = "myhostname = mail.example.com\nsmtp_requiretls_policy = opportunistic\nrequiretls_enable = yes\n"
    master = MX + "out unix - - n - - smtp\n  -o requiretls_enable=no\n"
    found = say("requiretls-unsupported", main, master, postfix="3.10.13")
    assert at(found) == [("main.cf", 2), ("main.cf", 3), ("master.cf", 3)]
    assert found[2].service == "out/unix"
    assert say("requiretls-unsupported", main, master, postfix="3.11.7") == []
    assert say("requiretls-unsupported", "my_requiretls_words = yes\n") == []
