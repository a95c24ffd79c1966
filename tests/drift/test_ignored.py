"""Drift that a policy tolerates: which, until which second, and what it never covers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from jsonschema import Draft202012Validator

from mailcfg import schema
from mailcfg.configuration import Ignore, Origin
from mailcfg.dates import date
from mailcfg.drift import difference
from mailcfg.drift.difference import Difference, Report, Unknown
from mailcfg.drift.ignored import without_ignored
from mailcfg.manifest import configuration_of, manifest_text, read_manifest
from mailcfg.policy import ignore as policy_ignore
from tests.sites import ROOT, compiled_text

MAIN = "/etc/postfix/main.cf"
TODAY = "2026-06-01"
HERE = Origin("site.toml", 7, 1, "ignore.because")


def differs(setting: str = "smtpd_banner", *, service: str = "", file: str = MAIN, kind: Any = "changed") -> Difference:
    return Difference(kind, file, 3, setting, service, "a", "b", "info", None, ("so it is",), ("in words",))


def ignores(until: str = TODAY, **about: Any) -> Ignore:
    return Ignore(
        "it was so before", until, **({"setting": "", "service": "", "file": "", "kind": ""} | about), origin=HERE
    )


def report(*differences: Difference, unknown: tuple[Unknown, ...] = (), until: int | None = None) -> Report:
    return Report("site", differences, unknown, (), until, 0)


@pytest.mark.parametrize(
    ("about", "hides"),
    [
        ({"setting": "smtpd_banner"}, True),
        ({"setting": "smtpd_helo_required"}, False),
        ({"service": "smtp/inet"}, True),
        ({"service": "smtp/unix"}, False),
        ({"file": MAIN}, True),
        ({"file": "/etc/postfix/master.cf"}, False),
        ({"setting": "smtpd_banner", "kind": "changed"}, True),
        ({"setting": "smtpd_banner", "kind": "missing"}, False),
        ({"setting": "smtpd_banner", "service": "smtp/inet", "file": MAIN, "kind": "changed"}, True),
        ({"setting": "smtpd_banner", "service": "smtps/inet", "file": MAIN, "kind": "changed"}, False),
    ],
)
def test_all_that_it_names_must_be_true(about: dict[str, str], hides: bool) -> None:
    one = differs(service="smtp/inet")
    left = without_ignored(report(one), [ignores(**about)], TODAY)
    assert left.differences == (() if hides else (one,))
    assert [each.difference for each in left.ignored] == ([one] if hides else [])
    assert left.status == ("in-sync" if hides else "drift")


def test_the_others_stay_in_their_order() -> None:
    some = [differs(name) for name in ("a", "b", "c")]
    left = without_ignored(report(*some), [ignores(setting="b")], TODAY)
    assert left.differences == (some[0], some[2])
    assert left.ignored == (difference.Ignored(some[1], "it was so before", TODAY),)


def test_its_last_day_counts_to_the_last_second_in_utc() -> None:
    midnight = 1780358400
    assert (date(midnight - 1), date(midnight)) == ("2026-06-01", "2026-06-02")
    one = differs()
    before = without_ignored(report(one), [ignores(setting="smtpd_banner")], date(midnight - 1))
    after = without_ignored(report(one), [ignores(setting="smtpd_banner")], date(midnight))
    assert (before.status, before.until) == ("in-sync", midnight)
    assert (after.status, after.until) == ("drift", None)
    (told,) = after.differences
    assert told.explanation == ("in words", f"the policy ignored this until {TODAY}: it was so before")
    assert told.severity == "warning"
    assert told._replace(explanation=one.explanation, severity="info") == one


def test_what_has_run_out_makes_nothing_less_grave() -> None:
    grave = differs()._replace(severity="error")
    left = without_ignored(report(grave), [ignores("2026-05-31", setting="smtpd_banner")], TODAY)
    assert [each.severity for each in left.differences] == ["error"]


def test_one_that_has_run_out_and_hides_nothing_is_silent() -> None:
    one = differs("other")
    assert without_ignored(report(one), [ignores("2020-01-01", setting="smtpd_banner")], TODAY) == report(one)


def test_of_several_the_one_that_lasts_longest_counts() -> None:
    several = [ignores(day, setting="smtpd_banner") for day in ("2026-05-31", "2026-06-03", "2026-06-02")]
    left = without_ignored(report(differs()), several, TODAY)
    assert [each.until for each in left.ignored] == ["2026-06-03"]
    ended = without_ignored(report(differs()), several, "2026-07-01")
    assert "until 2026-06-03" in ended.differences[0].explanation[-1]


def test_the_answer_ends_with_the_first_that_hides_something() -> None:
    some = [differs("a"), differs("b")]
    several = [ignores(f"2026-06-0{day}", setting=name) for day, name in ((5, "a"), (4, "b"), (2, "c"))]
    end = 1780617600
    assert date(end - 1) == "2026-06-04"
    assert without_ignored(report(*some), several, TODAY).until == end
    assert without_ignored(report(*some, until=end - 9), several, TODAY).until == end - 9
    assert without_ignored(report(*some, until=end + 9), several, TODAY).until == end


def test_what_could_not_be_read_is_never_tolerated() -> None:
    unknown = (Unknown(MAIN, None, "Permission denied"),)
    left = without_ignored(report(differs(), unknown=unknown), [ignores(file=MAIN)], TODAY)
    assert (left.unknown, left.status) == (unknown, "unknown")


def test_the_kinds_are_those_that_are_told() -> None:
    kinds = set(get_args(difference.Kind))
    assert set(get_args(get_type_hints(Ignore)["kind"])) == kinds | {""}
    field = policy_ignore.Ignore.model_fields["kind"].annotation
    assert {word for part in get_args(field) for word in get_args(part)} == kinds


POLICY = """
hostname = "mail.example.com"
platform = "debian-12"

[mx]
tls = "none"
auth = "never"

[[ignore]]
setting = "smtpd_banner"
service = "smtp/inet"
kind = "shadowed"
until = 2026-06-01
because = \"\"\"
  the monitoring
  greets us\"\"\"

[[ignore]]
file = "/etc/postfix/master.cf"
until = "2026-06-02"
because = "a \\"quoted\\" reason, in Łódź"
"""


def test_the_manifest_holds_them_and_gives_them_back(tmp_path: Path) -> None:
    configuration = compiled_text(tmp_path, POLICY).configuration
    assert [each[:-1] for each in configuration.ignores] == [
        ("the monitoring greets us", "2026-06-01", "smtpd_banner", "smtp/inet", "", "shadowed"),
        ('a "quoted" reason, in Łódź', "2026-06-02", "", "", "/etc/postfix/master.cf", ""),
    ]
    assert [(each.origin.line, each.origin.key) for each in configuration.ignores] == [
        (14, "ignore.because"), (21, "ignore.because"),
    ]  # fmt: skip
    text = manifest_text("site", configuration, [])
    assert configuration_of(read_manifest(text)) == configuration
    Draft202012Validator(schema.manifest()).validate(json.loads(text))


def test_a_manifest_without_any_says_nothing_of_them(tmp_path: Path) -> None:
    text = manifest_text("site", compiled_text(tmp_path, POLICY[: POLICY.index("[[")]).configuration, [])
    assert "ignore" not in text
    assert read_manifest(text).configuration.ignore == ()


@pytest.mark.parametrize(
    "names",
    [
        [
            "message_size_limit",
            "smtpd_tls_ciphers",
            "policyd-spf_time_limit",
            "users_query",
            "chroot",
            "mech_list",
            "sql_select",
        ],
        ["mail", "smtp_tls_CAfile"],
    ],
)
def test_settings_that_drift_may_be_told_of(tmp_path: Path, names: list[str]) -> None:
    more = '[certificates.mail]\nnames = ["mail.example.com"]\nissuer = "self-signed"\n'
    entries = "".join(
        f'[[ignore]]\nsetting = "{name}"\nuntil = 2026-06-01\nbecause = "it was so before"\n' for name in names
    )
    configuration = compiled_text(tmp_path, POLICY[: POLICY.index("[[")] + more + entries).configuration
    assert [each.setting for each in configuration.ignores] == names


@pytest.mark.parametrize("table", ["[[ignore]]", "[watch]"])
def test_the_example_of_the_readme(tmp_path: Path, table: str) -> None:
    blocks = (ROOT / "README.md").read_text().split("```toml\n")[1:]
    (example,) = [block.partition("```")[0] for block in blocks if block.startswith(table)]
    configuration = compiled_text(tmp_path, (ROOT / "sites/quickstart.toml").read_text() + example).configuration
    if table == "[watch]":
        assert [file.target for file in configuration.files if file.template]
    else:
        (ignore,) = configuration.ignores
        assert (ignore.setting, ignore.file) == ("smtpd_tls_loglevel", MAIN)
