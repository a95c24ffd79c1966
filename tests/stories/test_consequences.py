"""What drift lets happen, told in steps: somebody edits a machine, and the sentence says what a client meets now."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from mailcfg import target
from mailcfg.behaviour.changes import changes
from mailcfg.behaviour.effective import Scope
from mailcfg.drift.compare import compare
from mailcfg.drift.consequences import CLIENT, MASKED, MOST_ROWS, SERVER, _plain, _Scene, with_consequences
from mailcfg.drift.difference import Difference, Report
from mailcfg.machine import Machine as Door
from tests.sites import ROOT
from tests.stories.machine import Machine

MAIN = "/etc/postfix/main.cf"
MASTER = "/etc/postfix/master.cf"
SASL = "/etc/postfix/sasl/smtpd.conf"
KEY = "/etc/ssl/private/mail.key"
CERTIFICATE = "/etc/ssl/certs/mail.pem"

BROKEN = "STARTTLS is offered and nobody can complete it, so that"
ABSENT = "/etc/ssl/private/mail.key is absent, and nothing behind it is loaded; there is no certificate to show"


def told(machine: Machine) -> Report:
    """The report on a machine, without the command around it."""
    now = time.time()
    wanted = target.load(str(machine.bundle), Door())
    compared = compare(wanted, Door(str(machine.root)), now)
    return with_consequences(compared, Door(str(machine.root)), now).report


def row(report: Report, setting: str) -> Difference:
    (found,) = (each for each in report.differences if each.setting == setting)
    return found


# --- one edit, and what it does --------------------------------------------------------------------------------------


class Edit(NamedTuple):
    """An edit: text that is appended to a file, or put in the place of another. `effects` are those of the row about
    `setting`.
    """

    file: str
    old: str
    new: str
    setting: str
    effects: tuple[str, ...]
    severity: str = "error"


EDITS = {
    "AUTH at port 25, in clear": Edit(
        MAIN, "", "smtpd_sasl_auth_enable = yes\nsmtpd_tls_auth_only = no\n", "smtpd_tls_auth_only",
        ("port 25: AUTH PLAIN LOGIN is offered in cleartext",),
    ),
    "AUTH at port 25, inside TLS": Edit(
        MAIN, "smtpd_sasl_auth_enable = no", "smtpd_sasl_auth_enable = yes", "smtpd_sasl_auth_enable",
        ("port 25: AUTH PLAIN LOGIN is offered inside TLS",),
    ),
    "no TLS": Edit(
        MAIN, "smtpd_tls_security_level = may", "smtpd_tls_security_level = none", "smtpd_tls_security_level",
        ("port 25: there is no TLS: mail passes in clear",),
    ),
    "TLS demanded of the whole world": Edit(
        MAIN, "smtpd_tls_security_level = may", "smtpd_tls_security_level = encrypt", "smtpd_tls_security_level",
        ("port 25: TLS is required: before STARTTLS nothing is taken",),
    ),
    "an unknown level": Edit(
        MAIN, "smtpd_tls_security_level = may", "smtpd_tls_security_level = maybe", "smtpd_tls_security_level",
        ("port 25: no session gets past the banner: 'maybe' is no TLS security level of a server",),
    ),
    "old versions": Edit(
        MAIN, "smtpd_tls_protocols = >=TLSv1.2", "smtpd_tls_protocols = >=TLSv1", "smtpd_tls_protocols",
        ("port 25: TLS 1.0 and 1.1 are accepted",),
    ),
    "only TLS 1.2": Edit(
        MAIN, "smtpd_tls_mandatory_protocols = >=TLSv1.2", "smtpd_tls_mandatory_protocols = TLSv1.2",
        "smtpd_tls_mandatory_protocols",
        ("port 587: TLS 1.3 is not accepted", "port 465: TLS 1.3 is not accepted"),
    ),
    "protocols that nobody knows": Edit(
        MAIN, "smtpd_tls_protocols = >=TLSv1.2", "smtpd_tls_protocols = TLSv9", "smtpd_tls_protocols",
        (
            f"port 25: {BROKEN} mail passes in clear: 'TLSv9' is no protocol version",
        ),
    ),
    "anonymous ciphers": Edit(
        MAIN, "smtpd_tls_exclude_ciphers = aNULL, RC4", "smtpd_tls_exclude_ciphers = RC4",
        "smtpd_tls_exclude_ciphers", ("port 25: a handshake can succeed without any certificate",),
    ),
    "another certificate file": Edit(
        MAIN, "smtpd_tls_chain_files = /etc/ssl/private/mail.key,", "smtpd_tls_chain_files =",
        "smtpd_tls_chain_files",
        (
            f"port 25: {BROKEN} mail passes in clear: /etc/ssl/certs/mail.pem holds a certificate before any key;"
            " a key comes first",
        ),
    ),
    "submission without demanding TLS": Edit(
        MASTER, "-o syslog_name=postfix/submission\n    -o smtpd_tls_security_level=encrypt",
        "-o syslog_name=postfix/submission\n    -o smtpd_tls_security_level=may", "smtpd_tls_security_level",
        ("port 587: TLS is offered, not required: mail passes in clear",),
    ),
    "AUTH switched off for users": Edit(
        MASTER, "-o smtpd_tls_wrappermode=yes\n    -o smtpd_sasl_auth_enable=yes",
        "-o smtpd_tls_wrappermode=yes\n    -o smtpd_sasl_auth_enable=no", "smtpd_sasl_auth_enable",
        ("port 465: AUTH is not offered inside TLS",),
    ),
    "465 without its wrapper": Edit(
        MASTER, "-o smtpd_tls_wrappermode=yes", "-o smtpd_tls_wrappermode=no", "smtpd_tls_wrappermode",
        ("port 465: a session begins in clear, with a greeting",),
    ),
    "a listener of somebody's own": Edit(
        MASTER, "", "2525 inet n - y - - smtpd -o smtpd_sasl_auth_enable=yes -o smtpd_tls_auth_only=no\n", "2525/inet",
        (
            "port 2525: AUTH PLAIN LOGIN is offered in cleartext",
            "port 2525: there is a listener: TLS is offered, not required: mail passes in clear",
        ),
    ),
    "a listener moved to another port": Edit(
        MASTER, "submissions inet", "4650 inet", "submissions/inet", ("port 465: nothing listens",)
    ),
    "a service switched off": Edit(
        MAIN, "", "master_service_disable = submission.inet\n", "master_service_disable",
        ("port 587: nothing listens",),
    ),
    "no tlsmgr": Edit(
        MASTER, "tlsmgr    unix", "#tlsmgr    unix", "tlsmgr/unix",
        (
            "STARTTLS is offered and answered with 454",
            "mail leaves without TLS, or not at all",
            "port 465: no session gets past the banner: master.cf has no tlsmgr, from which TLS gets its"
            " random numbers",
        ),
    ),
    "one mechanism more": Edit(
        SASL, "PLAIN LOGIN", "PLAIN LOGIN CRAM-MD5", "mech_list",
        (
            "port 587: AUTH PLAIN LOGIN CRAM-MD5 is offered inside TLS",
            "port 465: AUTH PLAIN LOGIN CRAM-MD5 is offered inside TLS",
        ),
    ),
    "one mechanism fewer": Edit(
        SASL,
        "PLAIN LOGIN",
        "PLAIN",
        "mech_list",
        ("port 587: AUTH PLAIN is offered inside TLS", "port 465: AUTH PLAIN is offered inside TLS"),
    ),
    "mail leaves in clear": Edit(
        MAIN, "smtp_tls_security_level = may", "smtp_tls_security_level = none", "smtp_tls_security_level",
        ("the way out: mail leaves without TLS",),
    ),
    "mail leaves by old versions": Edit(
        MAIN, "smtp_tls_protocols = >=TLSv1.2", "smtp_tls_protocols = >=TLSv1", "smtp_tls_protocols",
        ("the way out: TLS 1.0 and 1.1 are spoken",),
    ),
    "AUTH=": Edit(
        MAIN, "broken_sasl_auth_clients = no", "broken_sasl_auth_clients = yes", "broken_sasl_auth_clients",
        (
            "port 587: AUTH= is announced as well, for clients of another age",
            "port 465: AUTH= is announced as well, for clients of another age",
        ),
    ),
    "STARTTLS hidden": Edit(
        MAIN, "", "smtpd_discard_ehlo_keywords = starttls\n", "smtpd_discard_ehlo_keywords",
        (
            "port 25: there is no TLS: mail passes in clear",
            "port 587: TLS is demanded and not announced: no mail passes",
        ),
    ),
}  # fmt: skip


def edited(machine: Machine, edit: Edit) -> None:
    if edit.old:
        machine.replace(edit.file, edit.old, edit.new)
    else:
        machine.append(edit.file, edit.new)


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_and_what_it_does(name: str, machine: Machine) -> None:
    edit = EDITS[name]
    edited(machine, edit)
    report = told(machine)
    found = row(report, edit.setting)
    assert set(edit.effects) <= set(found.effects)
    assert (found.harmless, found.severity) == (False, edit.severity)
    sentences = {each.sentence for each in report.consequences}
    assert {each for each in edit.effects if each.startswith(("port", "the way"))} <= sentences
    assert report.live is not None
    assert report.desired is not None


def test_the_certificate_is_gone(machine: Machine) -> None:
    machine.at(KEY).unlink()
    report = told(machine)
    found = row(report, "mail")
    assert found.effects == (
        "STARTTLS is offered and answered with 454",
        f"port 25: {BROKEN} mail passes in clear: {ABSENT}",
        f"port 587: {BROKEN} no mail passes: {ABSENT}",
        "port 587: AUTH is not offered, for want of TLS",
        f"port 465: no session gets past the banner: {ABSENT.rpartition('; ')[2]}",
    )
    # What is desired is what the policy would have made.
    assert report.desired is not None
    assert [each.tls for each in report.desired.endpoints] == ["offered", "required", "implicit"]
    assert report.desired.endpoints[0].certificates[0].names == ("mail.example.com", "smtp.example.com")


def test_all_of_it_in_the_command(machine: Machine) -> None:
    machine.append(MAIN, "smtpd_sasl_auth_enable = yes\nsmtpd_tls_auth_only = no\n")
    machine.append(MASTER, "2525 inet n - y - - smtpd\n")
    machine.postconf("-M#", "submissions/inet")
    answer = machine.drift()
    assert answer.code == 1
    assert "      = port 25: AUTH PLAIN LOGIN is offered in cleartext\n" in answer.out
    document = machine.told().json
    (clear,) = (
        each for each in document["consequences"] if (each["where"], each["aspect"]) == ("port 25", "auth_before_tls")
    )
    assert (clear["weaker"], clear["severity"], clear["was"]) == (True, "error", "AUTH is not offered in cleartext")
    reason = next(each for each in clear["reasons"] if each["setting"] == "smtpd_tls_auth_only")
    assert (reason["file"], reason["line"], reason["value"]) == (
        MAIN,
        row(told(machine), "smtpd_tls_auth_only").line,
        "no",
    )
    endpoints: dict[int, dict[str, Any]] = {each["port"]: each for each in document["endpoints"]}
    assert list(endpoints) == [25, 587, 2525, 465]
    assert endpoints[25]["auth_before_tls"] == ["PLAIN", "LOGIN"]
    assert endpoints[25]["desired"]["auth_before_tls"] == []
    assert (endpoints[2525]["works"], endpoints[2525]["desired"]) == (True, None)
    assert (endpoints[465]["works"], endpoints[465]["desired"]["tls"]) == (False, "implicit")
    assert document["checked"] > 1_700_000_000


def test_what_clients_meet_is_in_the_document_also_when_all_is_in_sync(machine: Machine) -> None:
    document = machine.told().json
    assert document["status"] == "in-sync"
    assert [(each["port"], each["tls"], each["desired"]["tls"]) for each in document["endpoints"]] == [
        (25, "offered", "offered"), (587, "required", "required"), (465, "implicit", "implicit"),
    ]  # fmt: skip
    assert document["consequences"] == []


# --- what does nothing -----------------------------------------------------------------------------------------------

HARMLESS: dict[str, tuple[str, str, str, str]] = {
    "another spelling, twice": (MAIN, "", "smtpd_tls_auth_only = YES\n", "smtpd_tls_auth_only"),
    "the default without its line": (MAIN, "smtpd_sasl_type = cyrus\n", "", "smtpd_sasl_type"),
    "a parameter that holds for nobody": (
        MAIN, "smtpd_tls_auth_only = yes", "smtpd_tls_auth_only = no", "smtpd_tls_auth_only",
    ),
    "versions for which no cipher is left": (
        MAIN, "smtpd_tls_mandatory_protocols = >=TLSv1.2", "smtpd_tls_mandatory_protocols = >=TLSv1.1",
        "smtpd_tls_mandatory_protocols",
    ),
    "more in the log": (MAIN, "smtpd_tls_loglevel = 1", "smtpd_tls_loglevel = 2", "smtpd_tls_loglevel"),
    "another name in the log": (
        MASTER, "-o syslog_name=postfix/submissions", "-o syslog_name=postfix/smtps", "syslog_name",
    ),
    "less in the header": (
        MAIN, "smtpd_tls_received_header = yes", "smtpd_tls_received_header = no", "smtpd_tls_received_header",
    ),
    "security options of AUTH that nobody offers": (
        MAIN, "smtpd_sasl_security_options = noanonymous", "smtpd_sasl_security_options = noplaintext",
        "smtpd_sasl_security_options",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HARMLESS)
def test_what_nobody_meets_is_harmless(name: str, machine: Machine) -> None:
    file, old, new, setting = HARMLESS[name]
    if old:
        machine.replace(file, old, new)
    else:
        machine.append(file, new)
    report = told(machine)
    found = row(report, setting)
    assert (found.harmless, found.severity, found.effects) == (True, "info", ())
    assert report.consequences == ()
    assert report.status == "drift"
    assert "harmless: no client meets a difference" in machine.drift().out


NEVER_HARMLESS: dict[str, Callable[[Machine], object]] = {
    "a log of all that passes": lambda m: m.replace(MAIN, "smtpd_tls_loglevel = 1", "smtpd_tls_loglevel = 4"),
    "restrictions": lambda m: m.replace(
        MASTER,
        "-o smtpd_tls_wrappermode=yes\n    -o smtpd_sasl_auth_enable=yes\n    -o smtpd_tls_auth_only=yes\n    "
        "-o smtpd_relay_restrictions=permit_sasl_authenticated,reject",
        "-o smtpd_tls_wrappermode=yes\n    -o smtpd_sasl_auth_enable=yes\n    -o smtpd_tls_auth_only=yes\n    "
        "-o smtpd_relay_restrictions=permit",
    ),
    "the mode of a key": lambda m: m.at(KEY).chmod(0o640),
    "curves": lambda m: m.replace(
        MAIN, "tls_eecdh_auto_curves = X25519 prime256v1 secp384r1", "tls_eecdh_auto_curves = prime256v1"
    ),
    "ciphers of another kind, for some": lambda m: m.replace(
        MAIN, "tls_high_cipherlist = ECDHE-ECDSA-AES128-GCM-SHA256:", "tls_high_cipherlist = "
    ),
    "how many processes": lambda m: m.replace(
        MASTER,
        "submission inet  n       -       y       -       -  ",
        "submission inet  n       -       y       -       1  ",
    ),
    "a list of ciphers that the way out may name": lambda m: (
        m.replace(MAIN, "smtp_tls_ciphers = medium", "smtp_tls_ciphers = low"),
        m.append(MAIN, "tls_low_cipherlist = FOO\n"),
    ),
    "a log level that another setting is made of": lambda m: (
        m.replace(MAIN, "smtpd_tls_loglevel = 1", "smtpd_tls_loglevel = 2"),
        m.append(MAIN, "my_networks = ${{$smtpd_tls_loglevel} == {2} ? {0.0.0.0/0} : {127.0.0.0/8}}\n"),
    ),
    "who says without a password who he is": lambda m: m.append(MAIN, "smtpd_authorized_xclient_hosts = 0.0.0.0/0\n"),
    "STARTTLS as a command that ends the session": lambda m: m.append(MAIN, "smtpd_forbidden_commands = STARTTLS\n"),
    "login names in every message": lambda m: m.replace(
        MAIN, "smtpd_sasl_authenticated_header = no", "smtpd_sasl_authenticated_header = yes"
    ),
    "digits that are none": lambda m: m.replace(MAIN, "smtpd_tls_loglevel = 1", "smtpd_tls_loglevel = ٢"),
    "who is trusted": lambda m: m.append(MAIN, "smtpd_tls_CApath = /tmp\n"),
}


@pytest.mark.parametrize("name", NEVER_HARMLESS)
def test_what_nobody_can_vouch_for_is_never_called_harmless(name: str, machine: Machine) -> None:
    NEVER_HARMLESS[name](machine)
    report = told(machine)
    assert report.differences
    assert not any(each.harmless for each in report.differences)
    assert report.consequences == ()


def test_a_default_is_what_the_live_values_make_of_it(machine: Machine) -> None:
    machine.replace(MAIN, "smtpd_sasl_tls_security_options = noanonymous\n", "")
    assert row(told(machine), "smtpd_sasl_tls_security_options").explanation[0].startswith("Postfix's own default")
    machine.replace(MAIN, "smtpd_sasl_security_options = noanonymous", "smtpd_sasl_security_options =")
    assert (
        "Postfix's own default means the same" not in row(told(machine), "smtpd_sasl_tls_security_options").explanation
    )


def test_a_name_is_followed_through_every_reference(machine: Machine) -> None:
    line = machine.replace(MAIN, "smtp_tls_security_level = may", "smtp_tls_security_level = $first")
    machine.append(MAIN, "first = $second\nsecond = may\n")
    machine.replace(MASTER, "-o syslog_name=postfix/$service_name", "-o second=none")
    found = row(told(machine), "smtp_tls_security_level")
    assert (found.kind, found.file, found.line, found.service) == ("shadowed", MAIN, line, "relay/unix")
    assert (found.live, found.harmless, found.severity) == ("none", False, "error")
    # The policy's value in main.cf mends it, whatever the service overrides.
    machine.replace(MAIN, "smtp_tls_security_level = $first", "smtp_tls_security_level = may")
    assert not told(machine).differences


def test_a_parameter_that_another_one_is_made_of_is_not_called_harmless(machine: Machine) -> None:
    machine.replace(MAIN, "smtpd_tls_auth_only = yes", "smtpd_tls_auth_only = no")
    machine.append(MAIN, "my_banner = $smtpd_tls_auth_only\n")
    assert not row(told(machine), "smtpd_tls_auth_only").harmless


def test_each_parameter_of_which_harmlessness_is_said_is_asked_for(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The behaviour is predicted from each of them: none could change without being looked at."""
    asked: set[str] = set()
    value = Scope.value

    def noted(self: Scope, name: str) -> Any:
        asked.add(name)
        return value(self, name)

    monkeypatch.setattr(Scope, "value", noted)
    for grade in ("null", "export", "low"):
        machine.append(MAIN, f"smtpd_tls_ciphers = {grade}\n")
        told(machine)
    machine.append(MAIN, "smtpd_tls_security_level =\nsmtp_tls_security_level =\nsmtp_enforce_tls = yes\n")
    machine.append(MAIN, "smtpd_use_tls = yes\nsmtpd_enforce_tls = no\n")
    told(machine)
    machine.append(MAIN, "smtp_enforce_tls = no\n")
    told(machine)
    assert asked >= SERVER | CLIENT


# --- several rows together -------------------------------------------------------------------------------------------


def test_only_both_together_open_it_and_both_are_told(machine: Machine) -> None:
    machine.replace(MAIN, "smtpd_sasl_auth_enable = no", "smtpd_sasl_auth_enable = yes")
    machine.replace(MAIN, "smtpd_tls_auth_only = yes", "smtpd_tls_auth_only = no")
    report = told(machine)
    clear = "port 25: AUTH PLAIN LOGIN is offered in cleartext"
    assert clear in row(report, "smtpd_tls_auth_only").effects
    assert clear in row(report, "smtpd_sasl_auth_enable").effects
    # With the other one mended, neither does so any more.
    machine.replace(MAIN, "smtpd_sasl_auth_enable = yes", "smtpd_sasl_auth_enable = no")
    assert row(told(machine), "smtpd_tls_auth_only").harmless


def test_each_of_two_opens_it_and_both_are_told(machine: Machine) -> None:
    machine.replace(MAIN, "smtpd_tls_security_level = may", "smtpd_tls_security_level = none")
    machine.append(MAIN, "smtpd_discard_ehlo_keywords = starttls\n")
    report = told(machine)
    none = "port 25: there is no TLS: mail passes in clear"
    assert none in row(report, "smtpd_tls_security_level").effects
    assert none in row(report, "smtpd_discard_ehlo_keywords").effects


def test_what_another_difference_hides_is_not_said_to_be_so(machine: Machine) -> None:
    machine.append(MAIN, "smtpd_sasl_auth_enable = yes\nsmtpd_tls_auth_only = no\nsmtpd_tls_security_level = maybe\n")
    report = told(machine)
    dead = "port 25: no session gets past the banner: 'maybe' is no TLS security level of a server"
    assert [each.sentence for each in report.consequences] == [dead]
    assert row(report, "smtpd_tls_security_level").effects[0] == dead
    assert row(report, "smtpd_sasl_auth_enable").effects == (
        "port 25: AUTH PLAIN LOGIN is offered inside TLS, once the other differences are mended",
    )


def test_what_no_row_does_by_itself_is_told_at_the_end(machine: Machine) -> None:
    """Either of the two lines breaks it alone as well, each in other words than both together."""
    for at in range(MOST_ROWS + 1):
        machine.append(MASTER, f"127.0.0.1:{3000 + at} inet n - y - - smtpd\n")
    machine.append(MAIN, "smtpd_tls_auth_only = no\nsmtpd_sasl_auth_enable = yes\n")
    report = told(machine)
    assert len(report.differences) > MOST_ROWS
    # Too many to mend one by one: the rows have what names them as a reason.
    clear = "port 25: AUTH PLAIN LOGIN is offered in cleartext"
    assert clear in row(report, "smtpd_tls_auth_only").effects
    assert clear in row(report, "smtpd_sasl_auth_enable").effects
    assert not any(each.harmless for each in report.differences)
    assert "all of it together\n" in machine.drift().out


def test_where_the_files_cannot_be_read_nothing_is_said(machine: Machine) -> None:
    machine.append(MAIN, "smtpd_tls_auth_only = no\nthis is no line\n")
    answer = machine.drift("--format", "json")
    assert answer.code == 2
    assert (answer.json["endpoints"], answer.json["consequences"]) == ([], [])


def test_what_the_policy_ignores_is_no_consequence(machine: Machine) -> None:
    site = machine.root.parent / "quickstart.toml"
    because = "somebody measures what is without it"
    ignore = f'[[ignore]]\nsetting = "smtpd_tls_security_level"\nbecause = "{because}"\nuntil = 2100-01-01\n'
    site.write_text((ROOT / "sites/quickstart.toml").read_text() + ignore)
    machine.replace(MAIN, "smtpd_tls_security_level = may", "smtpd_tls_security_level = none")
    machine.append(MAIN, "smtp_tls_protocols = >=TLSv1\n")
    document = machine.drift("--format", "json", target=site).json
    assert [each["where"] for each in document["consequences"]] == ["the way out"]
    assert [each["difference"]["setting"] for each in document["ignored"]] == ["smtpd_tls_security_level"]
    assert document["endpoints"][0]["tls"] == document["endpoints"][0]["desired"]["tls"] == "none"


def test_no_password_is_in_a_reason(machine: Machine) -> None:
    machine.append(
        MAIN,
        "relayhost = [relay.example]:587\nsmtp_sasl_auth_enable = yes\nsmtp_sasl_security_options = noanonymous\n"
        "smtp_sasl_password_maps = inline:{ [relay.example]:587=user:hunter22 }\n",
    )
    answer = machine.told()
    clear = next(each for each in answer.json["consequences"] if each["aspect"] == "credentials_in_clear")
    assert clear["now"] == "a password can leave in clear"
    hidden = next(each for each in clear["reasons"] if each["setting"] == "smtp_sasl_password_maps")
    assert hidden["value"] == "(hidden)"
    everything = answer.out + machine.drift().out + "".join(map(str, told(machine).differences))
    assert "hunter22" not in everything


LINES = (
    "smtpd_tls_auth_only = no", "smtpd_sasl_auth_enable = yes", "smtpd_tls_security_level = encrypt",
    "smtpd_tls_security_level = none", "smtpd_tls_security_level =", "smtpd_use_tls = yes", "smtpd_enforce_tls = yes",
    "smtpd_tls_mandatory_protocols = >=TLSv1", "smtpd_tls_protocols = TLSv1.2", "smtpd_tls_ciphers = high",
    "smtpd_tls_mandatory_ciphers = low", "smtpd_tls_exclude_ciphers =", "smtpd_tls_mandatory_exclude_ciphers = AES128",
    "smtpd_sasl_security_options = noplaintext", "smtpd_sasl_tls_security_options = noplaintext, noanonymous",
    "broken_sasl_auth_clients = yes", "smtp_tls_security_level = encrypt", "smtp_tls_security_level =",
    "smtp_use_tls = yes", "smtp_enforce_tls = yes", "smtp_tls_protocols = >=TLSv1", "smtp_tls_wrappermode = yes",
    "smtp_tls_mandatory_protocols = >=TLSv1.3", "smtpd_discard_ehlo_keywords = starttls", "smtpd_tls_loglevel = 2",
    "master_service_disable = submission.inet", "smtp_sasl_auth_enable = yes", "smtpd_tls_wrappermode = yes",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(40))
def test_of_edits_drawn_at_random_those_that_are_harmless_do_nothing(seed: int, machine: Machine) -> None:
    """Mended one by one and all at once, nothing else is met; and what is said of the others is so."""
    drawn = random.Random(seed)
    machine.append(MAIN, "".join(f"{line}\n" for line in drawn.sample(LINES, drawn.randint(2, 7))))
    door, now = Door(str(machine.root)), time.time()
    compared = compare(target.load(str(machine.bundle), Door()), door, now)
    report = with_consequences(compared, door, now).report
    scene = _Scene(compared, door, now)
    harmless = frozenset(at for at, each in enumerate(report.differences) if each.harmless)
    assert _plain(scene.mended(harmless)) == _plain(scene.live)
    assert _plain(scene.mended(scene.all - harmless)) == _plain(scene.mended(scene.all))
    so = {each.sentence for each in report.consequences}
    told = set()
    for at, each in enumerate(report.differences):
        alone = {change.sentence for change in changes(scene.mended(frozenset({at})), scene.live)}
        for effect in each.effects:
            assert effect in so | alone or effect.endswith(MASKED)
            told.add(effect)
    # Whatever is met otherwise, some row has to do with it.
    assert so <= told
