"""Every output format of the drift of hosts, read back by whoever is meant to read it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from junitparser import Error, Failure, JUnitXml, Skipped
from prometheus_client.parser import text_string_to_metric_families

from mailcfg import resources
from mailcfg.reports.differences import TEXTS, findings_of, message
from mailcfg.reports.findings import readable
from mailcfg.reports.hosts import Host, counted, named
from tests.postfix import lab
from tests.reports.hosts import AUTH_ONLY, DRIFTING, EVERY, HARD, IN_SYNC, MISSING, MODE, OVERRIDE, UNKNOWN, hosts
from tests.reports.test_findings import GRAMMAR, SARIF, Page, commands

FORMATS = resources.modules("reports/hosts")

BERLIN = (Host("berlin", IN_SYNC),)
QUICKSTART = (Host("quickstart", DRIFTING),)
MADRID = (Host("madrid", UNKNOWN),)

with_any_hosts: Callable[[Callable[..., None]], Callable[..., None]] = lambda test: settings(  # noqa: E731
    max_examples=40, deadline=None
)(given(hosts)(test))


def render(format: str, hosts: Sequence[Host]) -> str:
    text: str = import_module(f"mailcfg.reports.hosts.{format}").render(hosts)
    return text


def findings(hosts: Sequence[Host]) -> int:
    return sum(len(findings_of(host)) for host in hosts)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("hosts", [EVERY, BERLIN, MADRID, HARD], ids=["every", "in-sync", "unknown", "hostile"])
def test_nothing_steers_a_terminal_and_everything_can_be_written(format: str, hosts: tuple[Host, ...]) -> None:
    text = render(format, hosts)
    assert text == render(format, hosts)
    text.encode()
    assert [each for each in set(text) if not each.isprintable() and each not in "\n\t"] == []
    assert text == "" or text.endswith("\n")
    assert (text == "") is (format == "github" and hosts == BERLIN)


def test_what_a_difference_is_called() -> None:
    assert message(AUTH_ONLY) == "smtpd_tls_auth_only is no, desired is yes"
    assert message(MISSING) == "smtpd_tls_mandatory_protocols is missing, desired is >=TLSv1.2"
    assert message(MODE) == "the mode is 0644, desired is 0600: every user of the machine can read it"
    assert message(OVERRIDE) == "smtpd_tls_loglevel of submission/inet is 4, and the policy does not have it"
    assert message(AUTH_ONLY._replace(live="")) == 'smtpd_tls_auth_only is "", desired is yes'
    gone = MISSING._replace(setting="", desired="present", explanation=("there is no such file",))
    assert message(gone) == "the file is missing: there is no such file"


def test_a_difference_as_a_finding() -> None:
    first, missing, harmless, mode, consequence = findings_of(QUICKSTART[0])
    assert (first.rule, first.severity.value, first.setting) == ("drift-changed", "error", "smtpd_tls_auth_only")
    assert (first.location.file, first.location.line) == ("/etc/postfix/main.cf", 71)
    assert first.effect == "port 25: AUTH PLAIN LOGIN is offered in cleartext"
    assert first.help == (
        "edited by hand since the policy was applied: apply the policy, or change mx.auth (quickstart.toml:17)"
    )
    assert missing.help == "the policy is ahead and not applied yet: apply it"
    assert (harmless.service, harmless.effect) == ("submission/inet", "harmless: no client meets anything else")
    assert harmless.help == "apply the policy, or write this into it"
    assert mode.location.line == 0
    # What a difference says itself is not told again.
    assert consequence.rule == "drift-consequence"
    assert consequence.message == "port 587: TLSv1 is accepted"
    assert (consequence.location.file, consequence.location.line) == ("/etc/postfix/main.cf", 71)
    assert consequence.help == "with the policy port 587 is so: TLSv1.2 is the least"


def test_every_kind_has_its_text() -> None:
    from typing import get_args

    from mailcfg.drift.difference import Kind

    assert set(TEXTS) == set(get_args(Kind))


def test_hosts_of_one_site_are_told_apart() -> None:
    hosts = named([("a.json", IN_SYNC), ("b.json", DRIFTING), ("c.json", IN_SYNC)])
    assert [host.name for host in hosts] == ["berlin (a.json)", "quickstart", "berlin (c.json)"]
    assert counted(hosts) == "1 drifting, 2 in sync"


# --- SARIF -----------------------------------------------------------------------------------------------------------


def check_sarif(hosts: Sequence[Host]) -> list[dict[str, Any]]:
    text = render("sarif", hosts)
    assert text.isascii()
    log = json.loads(text)
    SARIF.validate(log)
    runs: list[dict[str, Any]] = log["runs"]
    for host, run in zip(hosts, runs, strict=True):
        document = host.document
        accepted = [each for each in run["results"] if each.get("suppressions")]
        assert len(run["results"]) == len(findings_of(host)) + len(document.ignored)
        assert len(accepted) == len(document.ignored)
        # Of the suppressions of all results either all are there or none is (3.27.23).
        assert len({"suppressions" in each for each in run["results"]}) <= 1
        assert run["invocations"][0]["executionSuccessful"] is (document.status != "unknown")
        assert len(run["invocations"][0]["toolExecutionNotifications"]) == len(document.unknown)
        names = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
        assert all(names[each["ruleIndex"]] == each["ruleId"] for each in run["results"])
        assert {each["ruleId"] for each in run["results"]} <= set(names)
    return runs


def test_sarif() -> None:
    drifting, in_sync, unknown = check_sarif(EVERY)
    assert drifting["automationDetails"] == {"id": "mailcfg-drift/quickstart/"}
    assert in_sync["results"] == []
    result = drifting["results"][0]
    assert (result["ruleId"], result["level"]) == ("drift-changed", "error")
    assert result["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "file:///etc/postfix/main.cf"},
        "region": {"startLine": 71},
    }
    assert drifting["results"][-1]["suppressions"] == [
        {"kind": "external", "status": "accepted", "justification": "a test of the provider (until 2027-01-31)"}
    ]
    rules = {each["id"]: each for each in drifting["tool"]["driver"]["rules"]}
    assert rules["drift-mode"]["shortDescription"]["text"] == "A file or directory has another mode"
    told = [each["message"]["text"] for each in unknown["invocations"][0]["toolExecutionNotifications"]]
    assert told == ["Permission denied", "line 3: no table"]
    check_sarif(HARD)


@with_any_hosts
def test_sarif_holds_anything(hosts: tuple[Host, ...]) -> None:
    check_sarif(hosts)


# --- JUnit -----------------------------------------------------------------------------------------------------------

SKIPPING: dict[str, tuple[set[str], set[str], set[str]]] = {
    **GRAMMAR,
    "testsuite": (GRAMMAR["testsuite"][0], {"skipped"}, {"testcase"}),
    "testcase": (*GRAMMAR["testcase"][:2], {"skipped", *GRAMMAR["testcase"][2]}),
    "skipped": (set(), {"type", "message"}, set()),
}
"""What junit-10.xsd says, with what is skipped."""


def check_junit(hosts: Sequence[Host]) -> JUnitXml:
    text = render("junit", hosts)
    assert text.isascii()
    root = ElementTree.fromstring(text)
    for element in root.iter():
        required, allowed, inside = SKIPPING[element.tag]
        assert required <= set(element.keys()) <= required | allowed
        assert {child.tag for child in element} <= inside
    told: JUnitXml = JUnitXml.fromstring(text.encode())
    results = [result for suite in told for case in suite for result in case.result]
    unread = sum(len(host.document.unknown) for host in hosts)
    ignored = sum(len(host.document.ignored) for host in hosts)
    assert sum(isinstance(each, Error) for each in results) == told.errors == unread
    assert sum(isinstance(each, Failure) for each in results) == told.failures
    assert sum(isinstance(each, Skipped) for each in results) == ignored
    assert sum(suite.skipped or 0 for suite in told) == ignored
    assert told.tests == sum(len(list(suite)) for suite in told) > 0
    whole = "".join(root.itertext())
    assert all(readable(each.message) in whole for host in hosts for each in findings_of(host))
    return told


def test_junit() -> None:
    told = check_junit(EVERY)
    assert [(suite.name, suite.tests, suite.failures, suite.errors) for suite in told][:4] == [
        ("quickstart: /etc/postfix/main.cf", 3, 3, 0),
        ("quickstart: /etc/postfix/master.cf", 2, 0, 0),
        ("quickstart: /etc/ssl/private/mail.key", 1, 1, 0),
        ("berlin", 1, 0, 0),
    ]
    [passed] = check_junit(BERLIN)
    assert [(case.name, case.is_passed) for case in passed] == [("in sync", True)]
    alone = check_junit(QUICKSTART)
    assert next(iter(alone)).name == "/etc/postfix/main.cf"
    [skipped] = [case.result[0] for suite in alone for case in suite if case.is_skipped]
    assert skipped.message == "tolerated until 2027-01-31: a test of the provider"
    check_junit(HARD)


@with_any_hosts
def test_junit_holds_anything(hosts: tuple[Host, ...]) -> None:
    check_junit(hosts)


def test_what_is_in_sync_but_for_what_is_ignored_passes() -> None:
    host = Host("berlin", IN_SYNC._replace(ignored=DRIFTING.ignored))
    told = check_junit([host])
    assert [(suite.name, suite.tests, suite.failures) for suite in told] == [
        ("/etc/postfix/master.cf", 1, 0),
        ("berlin", 1, 0),
    ]
    [run] = check_sarif([host])
    assert [bool(each["suppressions"]) for each in run["results"]] == [True]
    assert render("github", [host]) == ""
    page = Page(render("markdown", [host]))
    assert "mailcfg drift: berlin: in sync" in page.all
    assert "a test of the provider" in page.all


# --- GitHub ----------------------------------------------------------------------------------------------------------


def check_github(hosts: Sequence[Host]) -> list[tuple[str, dict[str, str], str]]:
    told = commands(render("github", hosts))
    assert len(told) == findings(hosts) + sum(len(host.document.unknown) for host in hosts)
    return told


def test_github() -> None:
    told = check_github(EVERY)
    assert told[0] == (
        "error",
        {"file": "/etc/postfix/main.cf", "line": "71", "title": "drift-changed"},
        "quickstart: smtpd_tls_auth_only is no, desired is yes\n"
        "why: port 25: AUTH PLAIN LOGIN is offered in cleartext\n"
        "help: edited by hand since the policy was applied: apply the policy, or change mx.auth (quickstart.toml:17)",
    )
    unread = {"file": "/etc/postfix/main.cf", "title": "mailcfg could not read it"}
    assert ("error", unread, "madrid: Permission denied") in told
    assert not any("a test of the provider" in words for _, _, words in told)
    check_github(HARD)


@with_any_hosts
def test_github_holds_anything(hosts: tuple[Host, ...]) -> None:
    check_github(hosts)


# --- Markdown --------------------------------------------------------------------------------------------------------


def check_markdown(hosts: Sequence[Host]) -> Page:
    text = render("markdown", hosts)
    assert len(text) <= 65_536
    page = Page(text)
    assert page.tags <= {
        "h3", "h4", "table", "thead", "tbody", "tr", "th", "td", "code", "br", "p", "details", "summary",
    }  # fmt: skip
    assert not re.search(r"@(?!\u200b)|#(?!\u200b)", page.all)
    assert text.count("<details>") == text.count("</details>")
    return page


def test_markdown() -> None:
    page = check_markdown(EVERY)
    assert page.all.startswith("mailcfg drift: 3 hosts: 1 unknown, 1 drifting, 1 in sync")
    worst = "error: port 25: AUTH PLAIN LOGIN is offered in cleartext"
    ends, checked = "mail: 2027-01-29", "2026-11-28 15:07 UTC"
    assert page.rows[1:4] == [
        ["quickstart", "drifting", worst, "4", ends, checked],
        ["berlin", "in sync", "", "0", ends, checked],
        ["madrid", "unknown", worst, "4", ends, checked],
    ]
    assert [
        "error",
        "port 25",
        "AUTH PLAIN LOGIN is offered in cleartext",
        "AUTH is not offered before TLS",
    ] in page.rows
    assert ["/etc/postfix/main.cf", "Permission denied"] in page.rows
    assert render("markdown", BERLIN) == "### mailcfg drift: berlin: in sync\n"
    alone = check_markdown(QUICKSTART)
    assert alone.all.startswith("mailcfg drift: quickstart: 2 errors, 2 warnings, 1 note in 3 files")
    assert "details" in alone.tags
    assert ["2027-01-31", "a test of the provider", "/etc/postfix/master.cf"] in [row[:3] for row in alone.rows]
    check_markdown(HARD)


def test_markdown_of_many_hosts_fits_into_a_comment() -> None:
    many = [Host(f"host-{number}", DRIFTING) for number in range(200)]
    page = check_markdown(many)
    assert "200 hosts: 200 drifting" in page.all
    assert re.search(r"\d+ more rows do not fit here", page.all)
    # The ones that are named come first, all of them.
    assert [row[0] for row in page.rows[1:201]] == [host.name for host in many]


@with_any_hosts
def test_markdown_holds_anything(hosts: tuple[Host, ...]) -> None:
    check_markdown(hosts)


# --- Prometheus ------------------------------------------------------------------------------------------------------


def promtool(text: str) -> None:
    lab.needs("promtool")
    done = subprocess.run(["promtool", "check", "metrics"], input=text, text=True, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("hosts", [EVERY, BERLIN, MADRID, HARD], ids=["every", "in-sync", "unknown", "hostile"])
def test_promtool_has_nothing_to_say(hosts: tuple[Host, ...]) -> None:
    promtool(render("prometheus", hosts))


@pytest.mark.skipif(shutil.which("promtool") is None, reason="not installed: promtool (sh tests/run installs it)")
def test_promtool_would_say_something() -> None:
    with pytest.raises(AssertionError):
        promtool("# TYPE mailcfg_x_total gauge\nmailcfg_x_total 1\n")


def check_prometheus(hosts: Sequence[Host]) -> dict[str, list[tuple[dict[str, str], float]]]:
    families = {family.name: family for family in text_string_to_metric_families(render("prometheus", hosts))}
    for name, family in families.items():
        assert (family.type, bool(family.documentation)) == ("gauge", True), name
        assert all(sample.name == name for sample in family.samples)
    return {name: [(each.labels, each.value) for each in family.samples] for name, family in families.items()}


def test_prometheus() -> None:
    told = check_prometheus(EVERY)
    assert told["mailcfg_drift_status"][:3] == [
        ({"site": "quickstart", "status": "in-sync"}, 0),
        ({"site": "quickstart", "status": "drift"}, 1),
        ({"site": "quickstart", "status": "unknown"}, 0),
    ]
    assert told["mailcfg_drift_consequences"][:3] == [
        ({"site": "quickstart", "severity": "error"}, 1),
        ({"site": "quickstart", "severity": "warning"}, 1),
        ({"site": "quickstart", "severity": "info"}, 0),
    ]
    assert told["mailcfg_drift_ignored"] == [
        ({"site": "quickstart"}, 1),
        ({"site": "berlin"}, 0),
        ({"site": "madrid"}, 1),
    ]
    assert ({"site": "madrid"}, 2) in told["mailcfg_drift_unreadable"]
    assert ({"site": "berlin"}, IN_SYNC.checked) in told["mailcfg_drift_checked_timestamp_seconds"]


@with_any_hosts
def test_prometheus_holds_anything(hosts: tuple[Host, ...]) -> None:
    distinct = {host.name: host for host in hosts}
    told = check_prometheus(tuple(distinct.values()))
    assert len(told["mailcfg_drift_ignored"]) == len(distinct)
