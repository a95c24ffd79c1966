"""`mailcfg explain`: a table, the reasons under it, and the same for programs."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from mailcfg import schema
from mailcfg.cli import main
from tests.sites import ROOT, SITES


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["explain", *words]) == 0
    return capsys.readouterr().out


@pytest.fixture(autouse=True)
def at_the_top(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def test_why_auth_is_hidden_before_starttls(capsys: pytest.CaptureFixture[str]) -> None:
    out = told(capsys, "sites/article.toml", ":25")
    assert "AUTH is hidden before STARTTLS because smtpd_tls_auth_only is yes" in out
    assert "smtpd_tls_auth_only = yes ← mx.auth, article.toml:18" in out
    assert "AUTH PLAIN LOGIN is offered inside TLS" in out
    assert ":587" not in out


def test_the_table_is_read_at_a_glance(capsys: pytest.CaptureFixture[str]) -> None:
    lines = told(capsys, "sites/quickstart.toml").splitlines()
    head = lines.index(next(line for line in lines if line.startswith("endpoint")))
    rows = [line.split() for line in lines[head + 1 : head + 5]]
    assert [row[:2] for row in rows] == [[":25", "offered"], [":587", "required"], [":465", "implicit"], ["→", "*"]]
    assert all(len(line) < 120 for line in lines[head : head + 5])
    assert "nothing passes in clear" in lines[head + 2]


def test_a_guideline_is_named_behind_the_key(capsys: pytest.CaptureFixture[str]) -> None:
    out = told(capsys, "sites/quickstart.toml", ":587")
    assert "← tls.guideline, quickstart.toml:7 ← mozilla-6.0-intermediate" in out


def test_one_parameter_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    out = told(capsys, "sites/quickstart.toml", "smtpd_tls_security_level")
    assert "main.cf: smtpd_tls_security_level = may ← mx.tls, quickstart.toml:16" in out
    assert "submission/inet: smtpd_tls_security_level = encrypt ← submission.tls" in out
    assert "port 25: it has a say in whether there is TLS" in out


@pytest.mark.parametrize("site", SITES, ids=lambda site: site.stem)
def test_json_follows_its_schema(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(told(capsys, str(site), "--format", "json"))
    jsonschema.Draft202012Validator(schema.behaviour()).validate(document)
    assert document["schema"] == "mailcfg/behaviour/1"
    for endpoint in document["endpoints"]:
        assert endpoint["because"]["tls"]


def test_json_has_the_shape_that_others_rely_on(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(told(capsys, "sites/quickstart.toml", "--format", "json"))
    assert (document["platform"], document["postfix"]) == ("debian-12", "3.7.11")
    (submission,) = [each for each in document["endpoints"] if each["port"] == 587]
    wanted = {
        "service": "submission/inet", "works": True, "tls": "required", "protocols": ["TLSv1.2", "TLSv1.3"],
        "auth_before_tls": [], "auth_after_tls": ["PLAIN", "LOGIN"], "legacy_auth_line": False, "cleartext_mail": False,
    }  # fmt: skip
    assert {name: submission[name] for name in wanted} == wanted
    (reason,) = submission["because"]["tls"]
    assert (reason["setting"], reason["value"], reason["file"]) == (
        "smtpd_tls_security_level",
        "encrypt",
        "quickstart.toml",
    )
    outbound = document["outbound"]
    assert (outbound["tls"], outbound["falls_back_to_cleartext"], outbound["credentials_in_clear"]) == (
        "opportunistic", True, False,
    )  # fmt: skip


def test_existing_files_without_a_policy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "main.cf").write_text("smtpd_sasl_auth_enable = yes\nsmtpd_tls_security_level = bogus\n")
    (tmp_path / "master.cf").write_text(
        "smtp inet n - n - - smtpd\nsubmission inet n - n - - smtpd\n  -o smtpd_tls_security_level=none\n"
        "tlsmgr unix - - n 1000? 1 tlsmgr\nsmtp unix - - n - - smtp\n"
    )
    out = told(capsys, str(tmp_path), "--platform", "debian-12")
    assert "dead: 'bogus' is no TLS security level" in out
    assert f"smtpd_tls_security_level = bogus ← {tmp_path}/main.cf:2" in out
    assert "passwords can pass in clear" in out
    assert f"smtpd_tls_security_level = none ← {tmp_path}/master.cf:3" in out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["sites/quickstart.toml", ":26"], "nothing listens on :26; the endpoints are :25, :587, :465"),
        (["sites/quickstart.toml", "smtpd_tls_auth_olny"], "did you mean smtpd_tls_auth_only?"),
        ([], "nothing to explain"),
        (["nowhere.toml"], "there is no such file"),
        (["docs"], "holds no main.cf"),
    ],
)
def test_what_cannot_be_explained(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", *words]) == 2
    assert says in capsys.readouterr().err


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "main.cf").write_text("a b = c\n")
    assert main(["explain", str(tmp_path)]) == 2
    assert f"{tmp_path}/main.cf:1" in capsys.readouterr().err
