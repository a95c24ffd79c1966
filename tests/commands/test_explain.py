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
        ([":25"], ":25 says what to explain, not of which host: name a site.toml or a directory"),
        (["smtpd_tls_auth_only"], "smtpd_tls_auth_only says what to explain, not of which host"),
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
    (tmp_path / "main.cf").write_text("a\x1b b\x07 = c\n")
    assert main(["explain", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert "main.cf:1" in err
    assert not {"\x1b", "\x07"} & set(err)


# --- configurations that a copy of a directory holds ------------------------------------------------------------------


def copied(tmp_path: Path, main: str) -> str:
    """A directory with this main.cf alone."""
    (tmp_path / "main.cf").write_text(f"compatibility_level = 3.6\n{main}")
    return str(tmp_path)


DEBIAN = ("--platform", "debian-12", "--postfix", "3.7.11")


def test_a_value_cannot_steer_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = copied(tmp_path, "myhostname = a\x1b[31mb\x07\nsmtp_tls_security_level = e\x1b]0;x\x07\n")
    for words in ([], [":25"], ["smtp_tls_security_level"]):
        out = told(capsys, at, *words, *DEBIAN)
        assert not [each for each in out if not each.isprintable() and each != "\n"]
    assert "e\ufffd]0;x\ufffd" in out


def test_networks_to_which_auth_is_not_announced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main = "smtpd_sasl_auth_enable = yes\nsmtpd_sasl_exceptions_networks = "
    out = told(capsys, copied(tmp_path, f"{main}0.0.0.0/0, [::]/0\n"), *DEBIAN)
    assert (
        "AUTH is never offered\n    smtpd_sasl_exceptions_networks = 0.0.0.0/0, [::]/0 (AUTH is not announced to" in out
    )
    assert "anybody, and still accepted)" in out
    assert "mail may pass in clear, AUTH is not announced and still accepted" in out
    out = told(capsys, copied(tmp_path, f"{main}192.0.2.0/24\n"), *DEBIAN)
    assert "AUTH PLAIN LOGIN is offered before TLS" in out
    assert "192.0.2.0/24 (AUTH is not announced to these clients, and still accepted)" in out


def test_what_is_only_assumed_kills_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main = "smtpd_sasl_auth_enable = yes\nsmtpd_sasl_security_options = noplaintext, noanonymous\n"
    at = copied(tmp_path, main)
    (endpoint,) = json.loads(told(capsys, at, *DEBIAN, "--format", "json"))["endpoints"]
    assert endpoint["works"]
    assert any("none is left under smtpd_sasl_security_options" in each for each in endpoint["unknown"])
    out = told(capsys, at, *DEBIAN)
    assert "dead" not in out
    assert "AUTH is not known" in out
    assert "whether AUTH is offered is not known" in out


def test_a_mechanism_that_this_machine_lacks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sasl").mkdir()
    (tmp_path / "sasl/smtpd.conf").write_text("mech_list: GSS-SPNEGO\n")
    at = copied(tmp_path, f"smtpd_sasl_auth_enable = yes\ncyrus_sasl_config_path = {tmp_path}/sasl\n")
    out = told(capsys, at, *DEBIAN)
    assert "dead" not in out
    assert (
        "which SASL mechanisms are installed where these files come from: of those of this machine none is left" in out
    )


def test_options_under_which_no_mechanism_is_left_anywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sasl").mkdir()
    (tmp_path / "sasl/smtpd.conf").write_text("mech_list: PLAIN LOGIN\n")
    main = f"smtpd_sasl_auth_enable = yes\ncyrus_sasl_config_path = {tmp_path}/sasl\n"
    at = copied(tmp_path, f"{main}smtpd_sasl_security_options = noplaintext\n")
    assert "dead: no mechanism is left under smtpd_sasl_security_options" in told(capsys, at, *DEBIAN)


def test_a_certificate_that_was_not_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = copied(tmp_path, "smtpd_tls_security_level = may\nsmtpd_tls_cert_file = /etc/ssl/certs/nowhere.pem\n")
    assert "it shows /etc/ssl/certs/nowhere.pem: not read; RSA is assumed\n" in told(capsys, at, *DEBIAN)
    document = json.loads(told(capsys, at, *DEBIAN, "--format", "json"))
    jsonschema.Draft202012Validator(schema.behaviour()).validate(document)
    assert [each["key_type"] for each in document["endpoints"][0]["certificates"]] == [None]


@pytest.mark.parametrize(
    ("main", "cause"),
    [
        ("smtpd_sasl_auth_enable = no\n", "smtpd_sasl_auth_enable = no"),
        ("smtpd_sasl_auth_enable = yes\nsmtpd_discard_ehlo_keywords = auth\n", "smtpd_discard_ehlo_keywords = auth"),
        ("smtpd_sasl_auth_enable = yes\nsmtpd_tls_auth_only = yes\n", "smtpd_tls_auth_only = yes"),
        ("smtpd_sasl_auth_enable = yes\nsmtpd_tls_security_level = encrypt\n", "smtpd_tls_security_level = encrypt"),
    ],
)
def test_why_auth_is_never_offered(main: str, cause: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert f"  AUTH is never offered\n    {cause} ← " in told(capsys, copied(tmp_path, main), *DEBIAN)


def test_where_the_old_line_of_auth_comes_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = copied(tmp_path, "smtpd_sasl_auth_enable = yes\nbroken_sasl_auth_clients = yes\n")
    out = told(capsys, at, *DEBIAN)
    assert f"clients of another age\n    broken_sasl_auth_clients = yes ← {at}/main.cf:3" in out


def test_a_parameter_that_another_is_made_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    copied(tmp_path, "low = $lower\nlower = may\nsmtpd_tls_security_level = $low\nrelayhost = [192.0.2.1]\n")
    monkeypatch.chdir(tmp_path.parent)
    name = tmp_path.name
    out = told(capsys, name, "lower", *DEBIAN)
    assert f"main.cf: lower = may ← {name}/main.cf:3" in out
    assert "port 25: it has a say in whether there is TLS" in out
    assert "it is not among the reasons of this prediction" in told(capsys, name, "mailbox_size_limit", *DEBIAN)
    document = json.loads(told(capsys, name, "lower", *DEBIAN, "--format", "json"))
    assert document["values"] == [{"service": "", "value": "may", "file": f"{name}/main.cf", "line": 3}]
    assert "tls" in document["endpoints"][0]["because"]
    assert "protocols" not in document["endpoints"][0]["because"]


def test_a_main_cf_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at = copied(tmp_path, "")
    assert "no master.cf: port 25 of a default master.cf is assumed" in told(capsys, at, *DEBIAN)
    assert json.loads(told(capsys, at, *DEBIAN, "--format", "json"))["unknown"] == [
        "no master.cf: port 25 of a default master.cf is assumed"
    ]
