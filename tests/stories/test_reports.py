"""Every output format of drift, held against its own schema or tool."""

from __future__ import annotations

import json
import os
import shutil
import stat
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from junitparser import JUnitXml
from prometheus_client.parser import text_string_to_metric_families

from mailcfg import resources
from tests.reports.test_findings import SARIF, Page, commands
from tests.reports.test_hosts import promtool
from tests.sites import ROOT
from tests.stories.machine import Machine, copied, mailcfg

MAIN = "/etc/postfix/main.cf"
KEY = "/etc/ssl/private/mail.key"

FORMATS = resources.modules("reports/drift")


@pytest.fixture
def drifting(machine: Machine) -> Machine:
    """A machine with one difference of nearly every kind, and names that are hard to print."""
    machine.replace(MAIN, "smtpd_tls_auth_only = yes", "smtpd_tls_auth_only = no")
    machine.replace(MAIN, "smtpd_tls_mandatory_protocols = >=TLSv1.2\n", "")
    machine.append(MAIN, 'smtpd_tls_loglevel = 4\nsmtpd_tls_dh1024_param_file = \x1b[31m/tmp/\u202e"\\\n')
    machine.append("/etc/postfix/master.cf", "25000 inet n - n - - smtpd -o smtpd_tls_security_level=none\n")
    machine.at(KEY).chmod(0o644)
    machine.at("/etc/ssl/certs/mail.pem").unlink()
    return machine


def schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / "schemas/drift.schema.json").read_text())
    return found


def test_the_formats_are_the_files() -> None:
    assert FORMATS == ["diff", "github", "html", "json", "junit", "markdown", "prometheus", "sarif", "text"]


@pytest.mark.parametrize("state", ["in-sync", "drift", "unknown"])
def test_json(drifting: Machine, quickstart: Machine, state: str) -> None:
    machine = quickstart if state == "in-sync" else drifting
    if state == "unknown":
        machine.at(KEY).unlink()
        machine.at(KEY).mkdir()
    told = machine.told().json
    jsonschema.Draft202012Validator(schema()).validate(told)
    assert told["status"] == state
    assert bool(told["unknown"]) is (state == "unknown")
    assert bool(told["differences"]) is (state != "in-sync")
    if state == "drift":
        kinds = {"changed", "missing", "duplicate", "extra", "shadowed", "mode", "certificate"}
        assert {each["kind"] for each in told["differences"]} == kinds


def test_json_is_what_others_rely_on(drifting: Machine) -> None:
    """The keys of the contract, with their meaning."""
    rows = {(each["kind"], each["setting"]): each for each in drifting.told().json["differences"]}
    row = rows["changed", "smtpd_tls_auth_only"]
    assert (row["kind"], row["file"], row["setting"]) == ("changed", MAIN, "smtpd_tls_auth_only")
    assert (row["desired"], row["live"], row["severity"]) == ("yes", "no", "error")
    assert row["line"] == drifting.line(MAIN, "smtpd_tls_auth_only")
    assert row["origin"].items() >= {"file": "quickstart.toml", "line": 17, "key": "mx.auth"}.items()
    assert isinstance(row["effects"], list)
    assert rows["missing", "smtpd_tls_mandatory_protocols"]["live"] is None
    assert rows["extra", "25000/inet"]["desired"] is None


@pytest.mark.parametrize("state", ["in-sync", "drift"])
def test_prometheus(drifting: Machine, quickstart: Machine, state: str, tmp_path: Path) -> None:
    machine = quickstart if state == "in-sync" else drifting
    target = tmp_path / "mailcfg.prom"
    answer = machine.drift("--format", "prometheus", "-o", target)
    assert (answer.code, answer.out, answer.err) == (int(state == "drift"), "", "")
    families = {family.name: family for family in text_string_to_metric_families(target.read_text())}
    assert len(families) == 6 + (state == "in-sync")
    for name, family in families.items():
        # What `promtool check metrics` asks for.
        assert (family.type, bool(family.documentation)) == ("gauge", True), name
        assert all(sample.name == name for sample in family.samples)
    lines = target.read_text().splitlines()
    for status in ("in-sync", "drift", "unknown"):
        assert f'mailcfg_drift_status{{site="quickstart",status="{status}"}} {int(status == state)}' in lines
    ends = [line for line in lines if line.startswith("mailcfg_certificate_not_after_timestamp_seconds")]
    assert len(ends) == (state == "in-sync")
    assert stat.S_IMODE(target.stat().st_mode) == 0o644


@pytest.mark.parametrize("state", ["in-sync", "drift", "unknown"])
def test_the_formats_of_pipelines(drifting: Machine, quickstart: Machine, state: str) -> None:
    """What a real machine gives is what their own readers take, and says which of the three it is."""
    machine = quickstart if state == "in-sync" else drifting
    if state == "unknown":
        machine.at(KEY).unlink()
        machine.at(KEY).mkdir()
    code = {"in-sync": 0, "drift": 1, "unknown": 2}[state]
    said = {}
    for format in ("sarif", "junit", "github", "markdown", "html", "prometheus"):
        answer = machine.drift("--format", format)
        assert answer.code == code, answer.err
        said[format] = answer.out
    [run] = json.loads(said["sarif"])["runs"]
    SARIF.validate(json.loads(said["sarif"]))
    assert bool(run["results"]) is (state != "in-sync")
    assert run["invocations"][0]["executionSuccessful"] is (state != "unknown")
    suites = JUnitXml.fromstring(said["junit"].encode())
    assert (bool(suites.failures), bool(suites.errors)) == (state != "in-sync", state == "unknown")
    assert bool(commands(said["github"])) is (state != "in-sync")
    page = Page(said["markdown"])
    assert page.all.startswith("mailcfg drift: quickstart: in sync") is (state == "in-sync")
    assert "Listeners" in said["html"]
    assert f'class="label {state}"' in said["html"]
    if shutil.which("promtool"):
        promtool(said["prometheus"])


def test_what_the_policy_ignores(quickstart: Machine, tmp_path: Path) -> None:
    """It is told where a format has a place for it, and nowhere as drift."""
    policy = tmp_path / "quickstart.toml"
    why = "a provider looks for a handshake that fails"
    policy.write_text(
        (ROOT / "sites/quickstart.toml").read_text().replace("../schemas", str(ROOT / "schemas"))
        + f'\n[[ignore]]\nsetting = "smtpd_tls_loglevel"\nuntil = 9999-01-31\nbecause = "{why}"\n'
    )
    machine = copied(quickstart, tmp_path)
    machine.append(MAIN, "smtpd_tls_loglevel = 4\n")

    def said(format: str) -> str:
        answer = machine.drift("--format", format, target=policy)
        assert (answer.code, answer.err) == (0, "")
        return answer.out

    [result] = json.loads(said("sarif"))["runs"][0]["results"]
    assert result["suppressions"] == [
        {"kind": "external", "status": "accepted", "justification": f"{why} (until 9999-01-31)"}
    ]
    skipped, passed = (case for suite in JUnitXml.fromstring(said("junit").encode()) for case in suite)
    assert (skipped.is_skipped, passed.is_passed, passed.name) == (True, True, "in sync")
    assert said("github") == ""
    assert why in Page(said("markdown")).all
    assert why in said("html")
    assert 'mailcfg_drift_ignored{site="quickstart"} 1\n' in said("prometheus")


def test_a_report_of_machines(drifting: Machine, quickstart: Machine, tmp_path: Path) -> None:
    """Each host writes its document, and one page has all of them; an output of another verb is refused by name."""
    files = [tmp_path / "one.json", tmp_path / "other.json"]
    for machine, file in zip((drifting, quickstart), files, strict=True):
        machine.drift("--format", "json", "-o", file)
    answer = mailcfg("report", *files, "-o", tmp_path / "hosts.html")
    assert (answer.code, answer.out, answer.err) == (0, "", "")
    page = (tmp_path / "hosts.html").read_text()
    assert "<h1>2 mail hosts</h1>" in page
    assert "port 25" in page
    files[0].write_text(mailcfg("check", ROOT / "sites/quickstart.toml", "--format", "json").out)
    answer = mailcfg("report", *files)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        f"mailcfg: {files[0]}: is no document of mailcfg drift: write one with mailcfg drift --format json\n"
    )


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_is_replaced_in_one_step(drifting: Machine, tmp_path: Path, format: str) -> None:
    """Whoever reads it meanwhile has the old one: it is another file, not the same one written again."""
    target = tmp_path / "report"
    target.write_text("old")
    with target.open() as reader:
        answer = drifting.drift("--format", format, "-o", target)
        assert (answer.code, answer.out) == (1, "")
        assert reader.read() == "old"
    assert target.read_text() not in ("", "old")
    assert os.listdir(tmp_path) == ["root", "report"] or sorted(os.listdir(tmp_path)) == ["report", "root"]


@pytest.mark.parametrize("format", FORMATS)
def test_nothing_steers_the_terminal(drifting: Machine, format: str) -> None:
    out = drifting.drift("--format", format).out
    assert "\x1b" not in out
    assert "smtpd_tls_dh1024_param_file" in out.replace("\\", "") or format == "prometheus"


def test_colour_is_for_those_who_ask(drifting: Machine) -> None:
    for words in ([], ["--diff"]):
        assert "\x1b[" not in drifting.drift(*words).out
        assert "\x1b[" in drifting.drift(*words, "--color", "always").out
        assert "\x1b[" not in drifting.drift(*words, "--color", "never").out


def test_quiet(drifting: Machine) -> None:
    answer = drifting.drift("--quiet")
    assert (answer.code, answer.out, answer.err) == (1, "", "")


def test_the_schema_is_printed() -> None:
    assert mailcfg("schema", "drift").json == schema()
