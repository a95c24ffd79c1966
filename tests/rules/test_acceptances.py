"""What becomes of acceptances: those that have ended, that accept nothing, and that nobody could have meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailcfg.judge import Accepted, without_accepted
from mailcfg.problem import Finding, Location, PolicyError, Severity
from mailcfg.subjects import of_policy

TODAY = "2026-06-01"
AT = Location("site.toml", 7)


def finding(rule: str, severity: Severity, service: str = "", setting: str = "") -> Finding:
    return Finding(rule, severity, "so it is", Location("site.toml", 3), service=service, setting=setting)


def accepted(rule: str, until: str = "2999-01-01", service: str = "", setting: str = "") -> Accepted:
    return Accepted(rule, until, "it was so before", service, setting, AT, "accept.rule")


def of_acceptance(found: list[Finding], *some: Accepted) -> Finding:
    (only,) = [each for each in without_accepted(found, some, TODAY) if each.rule.startswith("acceptance-")]
    return only


@pytest.mark.parametrize("severity", Severity)
def test_an_acceptance_that_has_ended_is_as_grave_as_what_it_accepted(severity: Severity) -> None:
    found = [finding("auth-on-mx", severity)]
    told = of_acceptance(found, accepted("auth-on-mx", "2026-05-31"))
    assert (told.rule, told.severity, told.location) == ("acceptance-expired", severity, AT)
    assert set(found) < set(without_accepted(found, [accepted("auth-on-mx", "2026-05-31")], TODAY))


def test_the_gravest_of_several_counts() -> None:
    found = [finding("auth-on-mx", each, each.value) for each in (Severity.INFO, Severity.ERROR, Severity.WARNING)]
    assert of_acceptance(found, accepted("auth-on-mx", "2026-05-31")).severity is Severity.ERROR


def test_one_that_has_ended_and_accepts_nothing_is_to_go() -> None:
    told = of_acceptance([], accepted("auth-on-mx", "2026-05-31"))
    assert (told.rule, told.severity, told.help) == ("acceptance-expired", Severity.WARNING, "remove it")


@pytest.mark.parametrize("until", ["2020-01-01", "2999-01-01"])
def test_a_rule_that_does_not_exist(until: str) -> None:
    told = of_acceptance([finding("auth-on-mx", Severity.WARNING)], accepted("auth-on-mxx", until))
    assert (told.rule, told.severity, told.location) == ("acceptance-unknown", Severity.ERROR, AT)
    assert told.message == "there is no rule auth-on-mxx"
    assert told.help == "did you mean auth-on-mx?"


def test_what_looks_like_no_rule_at_all() -> None:
    assert "mailcfg rules" in of_acceptance([], accepted("zzzzzzzz")).help


def test_where_a_rule_finds_something_is_told_to_who_names_another_service() -> None:
    found = [finding("auth-on-mx", Severity.WARNING, "smtp/inet", "smtpd_sasl_auth_enable")]
    told = of_acceptance(found, accepted("auth-on-mx", service="smpt/inet"))
    assert told.rule == "acceptance-unused"
    assert "service smpt/inet" in told.message
    assert "smtp/inet with smtpd_sasl_auth_enable" in told.help
    assert of_acceptance([], accepted("auth-on-mx", service="smpt/inet")).help == "remove it"


@pytest.mark.parametrize(("reason", "right"), [("x", False), ("          x", False), ("ten  chars", True)])
def test_a_reason_is_more_than_a_word(reason: str, right: bool, tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text(
        'hostname = "mail.example.com"\nplatform = "debian-12"\n\n[[accept]]\nrule = "auth-on-mx"\n'
        f'until = 2999-01-01\nbecause = "{reason}"\n'
    )
    if right:
        assert of_policy(str(site), 0).accepted[0].because == reason
        return
    with pytest.raises(PolicyError) as caught:
        of_policy(str(site), 0)
    (told,) = caught.value.findings
    assert "too short for a reason" in told.message
    assert "because = " in told.help
    assert told.location.line == 7
