"""`mailcfg check`: what it looks at, what its exit status means, and that nothing is called fine that was not read."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mailcfg.cli import main
from mailcfg.judge import rule_ids
from tests.sites import ROOT, SITES

LEAK = "smtpd_sasl_auth_enable = yes\nsmtpd_tls_security_level = may\n\n  \nsmtpd_tls_auth_only =\n  no\n"
WORDS = ["--platform", "debian-12"]


def run(*words: str | Path) -> tuple[int, str]:
    """The command as a user runs it: exit status and standard output."""
    command = [sys.executable, "-m", "mailcfg", *map(str, words)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, done.stdout


@pytest.fixture
def leak(tmp_path: Path) -> Path:
    (tmp_path / "main.cf").write_text(LEAK)
    return tmp_path


@pytest.mark.parametrize("site", SITES, ids=lambda site: site.stem)
def test_shipped_sites_are_clean(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["check", str(site), "--fail-on", "warning"])
    out = capsys.readouterr().out
    if site.stem == "article-as-written":
        assert code == 1
    else:
        assert code == 0, out


def test_the_article_gets_its_corrections(capsys: pytest.CaptureFixture[str]) -> None:
    """Every row of the corrections that a rule can see, each at the line that it is about."""
    assert main(["check", "sites/article-as-written.toml", "--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    lines = (ROOT / "sites/article-as-written.toml").read_text().splitlines()

    def at(rule: str, text: str) -> bool:
        return any(each["rule"] == rule and each["line"] and text in lines[each["line"] - 1] for each in found)

    assert at("client-server-confusion", "smtp_sasl_security_options")
    assert at("client-server-confusion", "smtp_tls_mandatory_protocols")
    assert at("mandatory-without-effect", "smtpd_tls_mandatory_ciphers")
    assert at("mechanisms-undeclared", "all-installed")
    assert at("mechanism-unverifiable", "all-installed")
    assert at("legacy-auth-line", "legacy_auth_line")
    assert any(each["rule"] == "ssl-enabled" for each in found)


def test_a_directory_is_told_with_line_and_reason(leak: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(leak), *WORDS, "--color", "never"]) == 1
    out = capsys.readouterr().out
    assert f"{leak}/main.cf:5:1: error[cleartext-auth] port 25 announces AUTH" in out
    assert "anyone on the path reads the password" in out
    assert "smtpd_tls_auth_only = yes" in out


def test_json_has_the_shape_that_others_rely_on(leak: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(leak), *WORDS, "--format", "json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["schema"] == "mailcfg/findings/1"
    (found,) = [each for each in document["findings"] if each["rule"] == "cleartext-auth"]
    assert found["severity"] == "error"
    assert found["setting"] == "smtpd_tls_auth_only"
    assert found["service"] == "smtp/inet"
    assert (found["file"], found["line"], found["column"]) == (f"{leak}/main.cf", 5, 1)
    assert found["references"]


@pytest.mark.parametrize("format", ["text", "json", "sarif", "github", "gitlab", "junit", "markdown"])
def test_every_format_names_the_rule(leak: Path, format: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(leak), *WORDS, "--format", format]) == 1
    assert "cleartext-auth" in capsys.readouterr().out


def test_the_least_grave_finding_that_counts(leak: Path) -> None:
    (leak / "main.cf").write_text("broken_sasl_auth_clients = yes\n" + LEAK.replace("no", "yes"))
    (leak / "sasl").mkdir()
    (leak / "sasl/smtpd.conf").write_text("pwcheck_method: saslauthd\nmech_list: PLAIN LOGIN\n")
    codes = [main(["check", str(leak), *WORDS, "--quiet", "--fail-on", each]) for each in ("error", "info")]
    assert codes[1] == 1


def test_what_cannot_be_read_is_no_agreement(leak: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (leak / "main.cf").write_text("smtpd_tls_auth_only yes\n")
    assert main(["check", str(leak), *WORDS]) == 2
    out = capsys.readouterr().out
    assert "missing '='" in out
    assert "write name = value" in out
    assert out.endswith("\n1 file could not be read\n")
    (leak / "main.cf").write_text("")
    (leak / "master.cf").mkdir()
    assert main(["check", str(leak), *WORDS]) == 2


def test_a_policy_that_cannot_be_compiled_is_no_agreement(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = tmp_path / "site.toml"
    site.write_text('hostname = "mail.example.com"\nplatform = "debian-12"\ntsl = 1\n')
    assert main(["check", str(site)]) == 2
    assert f"{site}:3:1" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "nothing to check"),
        (["docs"], "holds no main.cf"),
        (["sites/quickstart.toml", "--root", "/nowhere"], "no such directory"),
        (["--live", "--config-dir", "etc"], "from its slash on"),
        (["--live", "--platform", "windows"], "one of"),
        (["--live", "--postfix", "new"], "a version such as"),
    ],
)
def test_a_wrong_command_line_says_what_to_do(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["check", *words]) == 2
    assert says in capsys.readouterr().err


def test_a_version_of_postfix_leaves_the_platform(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    etc = tmp_path / "etc"
    (etc / "postfix").mkdir(parents=True)
    (etc / "os-release").write_text("ID=debian\nVERSION_ID=12\n")
    (etc / "postfix/main.cf").write_text("alias_maps = hash:/etc/aliases\n")
    words = ["check", "--live", "--root", str(tmp_path), "--fail-on", "warning", "--postfix"]
    # Arch Linux, which has 3.11, is without hash tables; Debian is not.
    assert main([*words, "3.11"]) == 0
    assert main([*words, "9.9"]) == 2
    assert "--postfix 9.9: what is known here is Postfix 2.3 to 3.11" in capsys.readouterr().err


def test_the_live_machine_below_a_root(leak: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "root"
    (root / "etc/postfix").mkdir(parents=True)
    (root / "etc/postfix/main.cf").write_text(LEAK)
    (root / "etc/os-release").write_text('ID=debian\nVERSION_ID="11"\n')
    assert main(["check", "--live", "--root", str(root), "--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)["findings"]
    assert {each["file"] for each in found if each["rule"] == "cleartext-auth"} == {"/etc/postfix/main.cf"}


# --- acceptances -----------------------------------------------------------------------------------------------------

PLAIN = """hostname = "mail.example.com"
platform = "debian-12"

[mx]
tls = "none"
auth = "anywhere"

[sasl]
backend = "saslauthd"
"""

ACCEPT = """
[[accept]]
rule = "cleartext-auth"
until = {until}
because = "a lab behind a wire of its own"
"""


def checked(path: Path, text: str, capsys: pytest.CaptureFixture[str]) -> list[dict[str, object]]:
    path.write_text(text)
    main(["check", str(path), "--format", "json"])
    found: list[dict[str, object]] = json.loads(capsys.readouterr().out)["findings"]
    return found


def test_what_is_accepted_is_not_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = tmp_path / "site.toml"
    before = checked(site, PLAIN, capsys)
    assert "cleartext-auth" in {each["rule"] for each in before}
    after = checked(site, PLAIN + ACCEPT.format(until="2999-01-01"), capsys)
    assert {each["rule"] for each in before} - {each["rule"] for each in after} == {"cleartext-auth"}
    assert {each["rule"] for each in after} <= {each["rule"] for each in before}


def test_an_acceptance_that_has_ended_is_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = PLAIN + ACCEPT.format(until="2020-01-01")
    found = checked(tmp_path / "site.toml", text, capsys)
    (expired,) = [each for each in found if each["rule"] == "acceptance-expired"]
    assert "2020-01-01" in str(expired["message"])
    assert "cleartext-auth" in text.splitlines()[int(str(expired["line"])) - 1]
    assert "cleartext-auth" in {each["rule"] for each in found}


def test_an_acceptance_of_nothing_is_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = PLAIN + ACCEPT.format(until="2999-01-01").replace("cleartext-auth", "ssl-enabled")
    found = checked(tmp_path / "site.toml", text, capsys)
    assert "acceptance-unused" in {each["rule"] for each in found}
    assert "cleartext-auth" in {each["rule"] for each in found}


def test_an_acceptance_of_another_service_counts_for_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = PLAIN + ACCEPT.format(until="2999-01-01") + 'service = "submission/inet"\n'
    assert "cleartext-auth" in {each["rule"] for each in checked(tmp_path / "site.toml", text, capsys)}


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("until = 2999-13-01", "toml"),
        ('until = "next year"', "is no day"),
        ('because = "short"', "because"),
        ("until = 2999-01-01T00:00:00", "is no day"),
    ],
)
def test_a_bad_acceptance_is_told(line: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = line.partition(" ")[0]
    text = PLAIN + "\n".join(
        line if each.startswith(name) else each for each in ACCEPT.format(until="2999-01-01").splitlines()
    )
    site = tmp_path / "site.toml"
    site.write_text(text + "\n")
    assert main(["check", str(site)]) == 2
    assert says.lower() in capsys.readouterr().out.lower()


# --- build asks the rules --------------------------------------------------------------------------------------------


def test_a_build_is_refused_for_an_error_of_a_rule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site, dist = tmp_path / "site.toml", tmp_path / "dist"
    site.write_text(PLAIN)
    assert main(["build", str(site), "-o", str(dist)]) == 1
    err = capsys.readouterr().err
    assert "error[cleartext-auth]" in err
    assert "--allow-findings" in err
    assert not (dist / "site").exists()
    assert main(["build", str(site), "-o", str(dist), "--allow-findings"]) == 0
    assert (dist / "site/manifest.json").exists()
    assert main(["build", str(site), "-o", str(dist), "--check"]) == 1


# --- the rules themselves --------------------------------------------------------------------------------------------


def test_rules_are_listed_and_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rules"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in listed] == list(rule_ids())
    assert main(["rules", "cleartext-auth"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("cleartext-auth (error)\n")
    assert "Wrong:" in out
    assert main(["rules", "cleartext-auht"]) == 2
    assert "did you mean cleartext-auth?" in capsys.readouterr().err


# --- what it costs ---------------------------------------------------------------------------------------------------


def test_a_live_directory_is_checked_without_pydantic(leak: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "mailcfg", "check", str(leak), *WORDS]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 1
    names = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert names & {"pydantic", "pydantic_core", "jinja2", "rich", "deepdiff"} == set()


def test_many_sites_on_two_processes_say_the_same(tmp_path: Path) -> None:
    for number in range(300):
        (tmp_path / f"s{number}.toml").write_text(PLAIN.replace("mail.", f"mail{number}."))
    paths = sorted(map(str, tmp_path.glob("*.toml")))
    one, two = (run("check", *paths, "--format", "json", "-j", jobs) for jobs in ("1", "2"))
    assert one == two
    assert one[0] == 1


def test_a_directory_of_policies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It stands for what is in it; a main.cf makes it a directory of Postfix."""
    base = 'platform = "debian-12"\n[tls]\nguideline = "mozilla-5.7-intermediate"\n[outbound]\ntls = "opportunistic"\n'
    for folder, text in (("sound", base), ("broken", base.replace("tic", "tc"))):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "base.toml").write_text(text)
        for name in ("a", "b"):
            site = f'extends = "base.toml"\nhostname = "{name}.example.com"\n'
            (tmp_path / folder / f"{name}.toml").write_text(site)
    assert main(["check", f"{tmp_path}/sound", "--quiet"]) == 0
    assert main(["check", f"{tmp_path}/broken/", "--format", "json"]) == 2
    unknown = json.loads(capsys.readouterr().out)["unknown"]
    assert [each["file"] for each in unknown] == [f"{tmp_path}/broken/{name}.toml" for name in ("a", "b")]
    (tmp_path / "sound/main.cf").write_text(LEAK)
    assert main(["check", f"{tmp_path}/sound", *WORDS, "--quiet"]) == 1
