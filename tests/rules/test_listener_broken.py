"""What does not work is never passed over in silence: some rule says it, and says it once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from mailcfg.checking import check_all
from mailcfg.judge import documentation, rule_ids
from mailcfg.problem import Finding, Severity
from mailcfg.rules.listener_broken import OF_SERVICES, OF_SETTINGS, STANDS_STILL
from mailcfg.subjects import Looked, Wish, judged, of_directory, of_policy
from tests.rules.examples import Example, blocks, placed
from tests.rules.test_traps import TRAPS

ID = "listener-broken"
PEM = "/etc/ssl/private/mail.pem"
GOOD = {PEM: "key ecdsa-p256, certificate mail.example.com, intermediate"}
TLS = f"smtpd_tls_security_level = may\nsmtpd_tls_chain_files = {PEM}\n"
NO_TLSMGR = TLS + "tlsmgr_service_name = elsewhere\n"
TODAY = "2026-01-01"


def looked_at(example: Example, root: Path) -> Looked:
    (target,) = placed(example, root)
    if "site.toml" in example.files:
        return of_policy(target, time.time())
    return of_directory(target, Wish(str(root), None, example.platform, example.postfix, time.time()))


def said(root: Path, main: str, master: str = "smtp inet n - n - - smtpd\n", **others: str) -> list[Finding]:
    files = {"main.cf": main, "master.cf": master, **{name.replace("__", "/"): text for name, text in others.items()}}
    return judged(looked_at(Example(files, GOOD, "debian-12", None), root), TODAY)


def ours(found: list[Finding]) -> list[Finding]:
    return [each for each in found if each.rule == ID]


EXAMPLES = [
    (f"{id}-{kind}", each)
    for id in rule_ids()
    for kind, several in blocks(documentation(id)).items()
    for each in several
] + [(name, Example(trap.files, trap.described, "debian-12", "3.7.11")) for name, trap in TRAPS.items()]


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=lambda each: each if isinstance(each, str) else "")
def test_whatever_does_not_work_is_an_error(name: str, example: Example, tmp_path: Path) -> None:
    looked = looked_at(example, tmp_path)
    assert looked.subject is not None
    behaviour = looked.subject.behaviour
    broken = [each.service for each in behaviour.endpoints if not each.works or each.tls == "broken"]
    broken += [
        hop.service
        for hop in behaviour.outbound
        if hop.routed is not False and any(words in each for each in hop.causes for words in STANDS_STILL)
    ]
    errors = [each.rule for each in judged(looked, TODAY) if each.severity is Severity.ERROR]
    assert errors or not broken
    # Where another rule says why, this one is silent.
    if ID in errors and not name.startswith(ID):
        assert not set(errors) & {*OF_SERVICES, *OF_SETTINGS}


def test_the_rules_that_it_listens_to_exist() -> None:
    assert {*OF_SERVICES, *OF_SETTINGS} <= set(rule_ids())


def test_listeners_with_one_cause_are_one_finding(tmp_path: Path) -> None:
    master = "smtp inet n - n - - smtpd\nsmtps inet n - n - - smtpd\n  -o smtpd_tls_wrappermode=yes\n"
    (found,) = ours(said(tmp_path, NO_TLSMGR, master))
    assert found.severity is Severity.ERROR
    assert "port 25, port 465: master.cf has no elsewhere" in found.message
    assert found.location.line == 3


def test_without_tlsmgr_its_row_is_the_help(tmp_path: Path) -> None:
    etc = tmp_path / "etc/postfix"
    etc.mkdir(parents=True)
    (etc / "main.cf").write_text("smtpd_tls_security_level = may\nsmtpd_tls_cert_file = /etc/ssl/mail.pem\n")
    (etc / "master.cf").write_text("# one\nsmtp inet n - n - - smtpd\nsmtp unix - - n - - smtp\n")
    (only,) = check_all([str(etc)], Wish("/", None, "debian-12", None, 0), TODAY, live=False, jobs=1)
    (found,) = ours(list(only.findings))
    assert (found.location.file.rpartition("/")[2], found.location.line) == ("master.cf", 2)
    assert found.help.startswith("tlsmgr unix ")


def test_an_error_of_another_kind_hides_nothing(tmp_path: Path) -> None:
    found = said(tmp_path, NO_TLSMGR + "smtpd_tls_security_level = verify\n")
    assert {"client-level-on-server", ID} <= {each.rule for each in found}


@pytest.mark.parametrize(
    ("main", "line"),
    [
        ("\nsmtp_tls_security_level = fingerprint\n", 2),
        ("smtp_tls_security_level = may\nsmtp_tls_policy_maps = inline:{{example.org=fingerprint}}\n", 2),
        ("smtp_tls_security_level = secure\nsmtp_tls_CAfile = /etc/ssl/absent.pem\n", 1),
        ("smtp_tls_security_level = may\nsmtp_tls_CAfile = /etc/ssl/absent.pem\n", 1),
        ("smtp_tls_security_level = may\nsmtp_tls_policy_maps = inline:{{example.org=secure colour=red}}\n", 2),
    ],
)
def test_a_way_out_by_which_no_mail_leaves_or_none_with_tls(main: str, line: int, tmp_path: Path) -> None:
    (found,) = ours(said(tmp_path, main))
    assert found.location.line == line


def test_a_level_that_a_policy_table_overrules_is_not_told(tmp_path: Path) -> None:
    main = "relayhost = [r.example]:587\nsmtp_tls_security_level = fingerprint\n"
    table = "smtp_tls_policy_maps = inline:{{[r.example]:587 = encrypt}}\n"
    for name in ("without", "with", "unused"):
        (tmp_path / name).mkdir()
    assert len(ours(said(tmp_path / "without", main))) == 1
    assert ours(said(tmp_path / "with", main + table)) == []
    # Nothing is routed to this client.
    unused = "smtp inet n - n - - smtpd\nrelay unix - - n - - smtp\n  -o smtp_tls_security_level=fingerprint\n"
    assert ours(said(tmp_path / "unused", "", unused)) == []


def test_a_client_certificate_that_cannot_be_read_is_told_once(tmp_path: Path) -> None:
    found = said(tmp_path, "smtp_tls_security_level = may\nsmtp_tls_cert_file = /etc/ssl/absent.pem\n")
    assert [each.rule for each in found if each.severity is Severity.ERROR] == ["certificate-unreadable"]


def test_a_postscreen_without_smtpd(tmp_path: Path) -> None:
    (found,) = ours(said(tmp_path, "", "smtp inet n - n - 1 postscreen\n"))
    assert found.help == "smtpd pass - - n - - smtpd"


@pytest.mark.parametrize("master", ["# nothing\n", ""])
def test_a_master_cf_in_which_nothing_runs(master: str, tmp_path: Path) -> None:
    (tmp_path / "main.cf").write_text("myhostname = mail.example.com\n")
    (tmp_path / "master.cf").write_text(master)
    (only,) = check_all([str(tmp_path)], Wish("/", None, "debian-12", None, 0), TODAY, live=False, jobs=1)
    (found,) = ours(list(only.findings))
    assert found.message == "master.cf has no service that runs"
    assert found.location.file.endswith("master.cf")


def test_a_host_without_listeners_is_no_broken_one(tmp_path: Path) -> None:
    assert ours(said(tmp_path, "", "pickup unix n - n 60 1 pickup\n")) == []


def test_several_listeners_that_die_of_one_line_are_told_by_the_rule_for_it(tmp_path: Path) -> None:
    master = "smtp inet n - n - - smtpd\nsubmission inet n - n - - smtpd\n"
    sasl = "smtpd_sasl_auth_enable = yes\n"
    for place, more in enumerate(
        (
            "smtpd_helo_required = perhaps\n",
            "smtpd_tls_security_level = bogus\n",
            sasl + "smtpd_sasl_security_options = noplain\n",
            sasl + "smtpd_sasl_type = nobody\n",
            sasl + "smtpd_sasl_security_options = noplaintext, noanonymous\n",
        )
    ):
        conf = {"sasl__smtpd.conf": "pwcheck_method: saslauthd\nmech_list: PLAIN\n"}
        root = tmp_path / str(place)
        root.mkdir()
        found = said(root, more, master, **conf)
        assert ours(found) == [], more
        assert [each for each in found if each.severity is Severity.ERROR]
