"""Who moved: a policy is applied, then somebody edits the machine, or the policy, or both, and each row says which."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sites import ROOT
from tests.stories.machine import PACKAGED_MAIN, PACKAGED_MASTER, Answer, Machine, copied, mailcfg

MAIN = "/etc/postfix/main.cf"
MASTER = "/etc/postfix/master.cf"
SASL = "/etc/postfix/sasl/smtpd.conf"
STATE = "/var/lib/mailcfg"
SITE = (ROOT / "sites/quickstart.toml").read_text()
OURS = '\n[postfix.main]\nsmtpd_tls_ask_ccert = "yes"\n'


@pytest.fixture(scope="module")
def first(quickstart: Machine, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    """A machine as the package leaves it, with something of somebody's own, and the policy applied."""
    folder = tmp_path_factory.mktemp("applied")
    made = Machine(copied(quickstart, folder).root, folder / "quickstart.toml")
    made.write(MAIN, PACKAGED_MAIN + "smtpd_tls_dh1024_param_file = /etc/ssl/dh.pem\n")
    made.write(MASTER, PACKAGED_MASTER)
    made.bundle.write_text(SITE + OURS)
    apply(made)
    return made


@pytest.fixture
def applied(first: Machine, tmp_path: Path) -> Machine:
    made = Machine(copied(first, tmp_path).root, tmp_path / "quickstart.toml")
    made.bundle.write_text(SITE + OURS)
    return made


def apply(machine: Machine, *words: str, **environment: str) -> None:
    options = ("--root", str(machine.root), "--allow-weaker", "--allow-findings", *words)
    answer = mailcfg("apply", machine.bundle, *options, **environment)
    assert answer.code == 0, answer.out + answer.err


def policy(machine: Machine, old: str, new: str) -> None:
    """Somebody changes the policy and does not apply it."""
    text = machine.bundle.read_text()
    assert text.count(old) == 1
    machine.bundle.write_text(text.replace(old, new))


def causes(answer: Answer) -> dict[tuple[str, str], str | None]:
    """The cause of each row, by kind and setting, but for what was there before mailcfg was."""
    rows = {(each["kind"], each["setting"]): each["cause"] for each in answer.json["differences"]}
    assert rows.pop(("extra", "smtpd_tls_dh1024_param_file")) is None
    return rows


def test_right_after_it_nobody_has_moved(applied: Machine) -> None:
    assert causes(applied.told()) == {}


def test_edited_by_hand(applied: Machine) -> None:
    applied.replace(MAIN, "smtpd_tls_auth_only = yes", "smtpd_tls_auth_only = no")
    applied.replace(MAIN, "smtpd_tls_ask_ccert = yes\n", "")
    applied.append(MAIN, "smtpd_tls_dh512_param_file = /etc/ssl/dh.pem\n")
    applied.replace(MASTER, "-o smtpd_tls_wrappermode=yes", "-o smtpd_tls_wrappermode=no")
    applied.append(MASTER, "2525 inet n - n - - smtpd\n")
    # Nothing of this file was changed by the apply, but it was as the policy says then.
    applied.replace(SASL, "PLAIN LOGIN", "PLAIN")
    applied.at(MAIN).chmod(0o664)
    answer = applied.told()
    found = causes(answer)
    assert found == dict.fromkeys(found, "edited-by-hand")
    assert set(found) == {
        ("changed", "smtpd_tls_auth_only"), ("missing", "smtpd_tls_ask_ccert"), ("extra", "smtpd_tls_dh512_param_file"),
        ("changed", "smtpd_tls_wrappermode"), ("extra", "2525/inet"), ("changed", "mech_list"), ("mode", ""),
    }  # fmt: skip
    assert "  changed     smtpd_tls_auth_only, edited by hand\n" in applied.drift().out


def test_policy_ahead(applied: Machine) -> None:
    policy(applied, 'tls = "offered"', 'tls = "none"')
    policy(applied, OURS, "")
    found = causes(applied.told())
    assert found == dict.fromkeys(found, "policy-ahead")
    assert {("changed", "smtpd_tls_security_level"), ("extra", "smtpd_tls_ask_ccert")} <= set(found)
    assert "  extra       smtpd_tls_ask_ccert, policy ahead, not applied\n" in applied.drift().out


def test_both(applied: Machine) -> None:
    policy(applied, 'tls = "offered"', 'tls = "required"')
    applied.replace(MAIN, "smtpd_tls_security_level=may", "smtpd_tls_security_level = none")
    applied.replace(MAIN, "smtpd_tls_loglevel = 1", "smtpd_tls_loglevel = 2")
    found = causes(applied.told())
    assert found[("changed", "smtpd_tls_security_level")] == "both"
    assert found[("changed", "smtpd_tls_loglevel")] == "edited-by-hand"
    assert "  changed     smtpd_tls_security_level, both edited by hand and policy ahead\n" in applied.drift().out
    # Somebody does by hand what the policy says by now: there is nothing to tell.
    applied.replace(MAIN, "smtpd_tls_security_level = none", "smtpd_tls_security_level = encrypt")
    assert ("changed", "smtpd_tls_security_level") not in causes(applied.told())


def test_the_policy_takes_in_what_was_there_before(applied: Machine) -> None:
    policy(applied, OURS, f'{OURS}smtpd_tls_dh1024_param_file = "/etc/ssl/other.pem"\n')
    (row,) = applied.told().json["differences"]
    assert (row["kind"], row["setting"], row["cause"]) == (
        "changed", "smtpd_tls_dh1024_param_file", "policy-ahead",
    )  # fmt: skip


def test_what_nobody_edits_has_no_cause(applied: Machine) -> None:
    """A certificate that is gone or expires, and a directory that is nobody's."""
    applied.at("/etc/ssl/certs/mail.pem").unlink()
    applied.at("/etc/ssl").chmod(0o777)
    found = causes(applied.told())
    assert found == {("certificate", "mail"): None, ("mode", ""): None}


def test_a_second_apply_is_what_counts(applied: Machine) -> None:
    policy(applied, 'tls = "offered"', 'tls = "required"')
    apply(applied)
    assert causes(applied.told()) == {}
    # master.cf was written by the first one alone.
    applied.append(MASTER, "2525 inet n - n - - smtpd\n")
    applied.replace(MAIN, "smtpd_tls_security_level=encrypt", "smtpd_tls_security_level=may")
    found = causes(applied.told())
    assert found == dict.fromkeys(found, "edited-by-hand")
    assert len(found) == 2


def test_without_anything_applied_there_is_no_cause(machine: Machine) -> None:
    machine.replace(MAIN, "smtpd_tls_auth_only = yes", "smtpd_tls_auth_only = no")
    answer = machine.told()
    assert [each["cause"] for each in answer.json["differences"]] == [None]
    assert answer.err == ""


def test_after_a_rollback_nobody_has_applied_anything(applied: Machine) -> None:
    answer = mailcfg("rollback", "--root", applied.root)
    assert answer.code == 0, answer.err
    assert {each["cause"] for each in applied.told().json["differences"]} == {None}


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("generations/0001/record.json", "{", "/lib/mailcfg: the record of what was applied is damaged"),
        ("generations/0001/record.json", None, "there is no such file"),
        ("generations/0001/after/0", None, "there is no such file"),
        ("generations/0001/bundle/manifest.json", "{}", "manifest.json"),
        ("applied", "x", "/applied: is no link of mailcfg's"),
    ],
)
def test_a_state_that_cannot_be_read_is_told_and_the_answer_stands(
    file: str, text: str | None, said: str, applied: Machine
) -> None:
    applied.replace(MAIN, "smtpd_tls_auth_only = yes", "smtpd_tls_auth_only = no")
    path = applied.at(f"{STATE}/{file}")
    path.unlink()
    if text is not None:
        path.write_text(text)
    answer = applied.told()
    assert answer.code == 1
    assert answer.json["status"] == "drift"
    assert set(causes(answer).values()) == {None}
    assert answer.err.startswith("mailcfg: ")
    assert answer.err.count("\n") == 1
    assert said in answer.err
    assert answer.err.endswith("; who changed what is not told\n")


def test_a_state_at_another_place(quickstart: Machine, tmp_path: Path) -> None:
    made = Machine(copied(quickstart, tmp_path).root, ROOT / "sites/quickstart.toml")
    made.replace(MAIN, "smtpd_tls_loglevel = 1", "smtpd_tls_loglevel = 2")
    elsewhere = str(tmp_path / "state")
    apply(made, MAILCFG_STATE=elsewhere)
    made.replace(MAIN, "smtpd_tls_loglevel = 1", "smtpd_tls_loglevel = 2")
    words = ("--format", "json")
    assert [each["cause"] for each in made.drift(*words, MAILCFG_STATE=elsewhere).json["differences"]] == [
        "edited-by-hand"
    ]
    assert [each["cause"] for each in made.drift(*words).json["differences"]] == [None]


def test_a_postfix_whose_configuration_lies_elsewhere(quickstart: Machine, tmp_path: Path) -> None:
    made = Machine(copied(quickstart, tmp_path).root, ROOT / "sites/quickstart.toml")
    made.at("/opt/postfix").mkdir(parents=True)
    made.at("/etc/postfix").rename(made.at("/opt/postfix/etc"))
    main = "/opt/postfix/etc/main.cf"
    where = ("--config-dir", "/opt/postfix/etc")
    made.replace(main, "smtpd_tls_loglevel = 1", "smtpd_tls_loglevel = 2")
    apply(made, *where)
    assert made.at(f"{STATE}/at/opt-postfix-etc/applied").is_symlink()
    made.replace(main, "smtpd_tls_loglevel = 1", "smtpd_tls_loglevel = 2")
    answer = made.drift("--format", "json", *where)
    assert [(each["setting"], each["cause"]) for each in answer.json["differences"]] == [
        ("smtpd_tls_loglevel", "edited-by-hand")
    ]
