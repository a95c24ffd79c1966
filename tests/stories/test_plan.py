"""A change in git, told before it is merged: what it does to each host, in a real repository."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mailcfg.cli import main
from tests.gitrepo import ENVIRONMENT, Repo
from tests.reports.test_plan import Page
from tests.sites import ROOT

SITE = 'hostname = "{0}.example.com"\nplatform = "debian-12"\n[mx]\n[submission]\n[sasl]\nbackend = "saslauthd"\n' + (
    '[tls]\nguideline = "mozilla-6.0-intermediate"\n[certificates.mail]\nissuer = "acme"\n'
)

BASE = SITE.partition("\n")[2]

EXTENDING = 'extends = "base.toml"\nhostname = "{0}.example.com"\n'

SCHEMA = jsonschema.Draft202012Validator(json.loads((ROOT / "schemas/plan.schema.json").read_text()))

Host = dict[str, Any]


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repo:
    """One that is worked in, with a site that is committed."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    repo = Repo(tmp_path / "repo")
    repo.write(mx=SITE.format("mx"))
    repo.commit()
    monkeypatch.chdir(repo.top)
    return repo


class Told:
    """Exit status, standard output and standard error of a run."""

    def __init__(self, capsys: pytest.CaptureFixture[str], *words: str | Path) -> None:
        capsys.readouterr()
        self.code = main(["plan", *map(str, words)])
        self.out, self.err = capsys.readouterr()

    @property
    def hosts(self) -> dict[str, Host]:
        """The hosts of the JSON by their policies."""
        document = json.loads(self.out)
        SCHEMA.validate(document)
        assert document["schema"] == "mailcfg/plan/1"
        return {each["site"]: each for each in document["hosts"]}


def planned(capsys: pytest.CaptureFixture[str], *words: str | Path, code: int = 0) -> dict[str, Host]:
    told = Told(capsys, *words, "--format", "json")
    assert told.code == code, told.err
    return told.hosts


def parameters(host: Host) -> dict[str, tuple[str | None, str | None]]:
    return {each["name"]: (each["was"], each["now"]) for each in host["parameters"]}


# --- what changes ----------------------------------------------------------------------------------------------------


def test_nothing_changes(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    told = Told(capsys, "mx.toml", "--base", "HEAD", "--fail-on", "change")
    assert (told.code, told.err) == (0, "")
    assert told.out.startswith("### mailcfg plan: nothing changes\n\nAgainst <code>HEAD</code> (<code>")
    # Comments, order and the ends of lines are no change of a host.
    text = (repo.top / "mx.toml").read_text()
    repo.put("mx.toml", f"# A comment.\r\n\r\n{text.replace(chr(10), chr(13) + chr(10))}")
    assert planned(capsys, "mx.toml", "--base", "HEAD", "--fail-on", "change")["mx.toml"]["status"] == "unchanged"


def test_a_weaker_endpoint(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    repo.edit("mx.toml", "[submission]", '[submission]\ntls = "offered"')
    host = planned(capsys, "mx.toml", "--base", "main")["mx.toml"]
    assert (host["status"], host["weaker"], host["hostname"]) == ("changed", True, "mx.example.com")
    assert host["services"] == [
        {
            "file": "/etc/postfix/master.cf",
            "of": "submission/inet",
            "name": "smtpd_tls_security_level",
            "was": "encrypt",
            "now": "may",
            "key": "submission.tls",
        }
    ]
    assert host["parameters"] == host["sasl"] == host["files"] == host["certificates"] == host["host"] == []
    (met,) = [each for each in host["behaviour"] if each["aspect"] == "tls"]
    assert (met["where"], met["service"], met["weaker"]) == ("port 587", "submission/inet", True)
    assert met["was"] != met["now"]
    assert ("new", "submission-without-tls") in {(each["change"], each["rule"]) for each in host["findings"]}
    told = Told(capsys, "mx.toml", "--base", "main")
    assert re.search(
        r"^- <code>mx</code>: \*\*1 service, 1 finding new; weaker: port 587: .*\*\*$", told.out, re.MULTILINE
    )
    assert (
        "```diff\n # submission\n submission inet  n       -       y       -       -       smtpd\n"
        "-  -o smtpd_tls_security_level=encrypt\n+  -o smtpd_tls_security_level=may\n```\n" in told.out
    )
    codes = [Told(capsys, "mx.toml", "--base", "main", "--fail-on", each).code for each in ("weaker", "change")]
    assert (told.code, *codes) == (0, 1, 1)


def test_a_stronger_endpoint(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    repo.edit("mx.toml", "[submission]", '[submission]\ntls = "offered"')
    repo.commit()
    repo.edit("mx.toml", '\ntls = "offered"', "")
    host = planned(capsys, "mx.toml", "--base", "HEAD", "--fail-on", "weaker")["mx.toml"]
    assert not host["weaker"]
    assert host["behaviour"]
    assert ("gone", "submission-without-tls") in {(each["change"], each["rule"]) for each in host["findings"]}
    assert Told(capsys, "mx.toml", "--base", "HEAD", "--fail-on", "change").code == 1


def test_a_change_of_something_else(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    repo.put("mx.toml", SITE.format("mx") + '[postfix.main]\nsmtpd_banner = "$myhostname"\n')
    host = planned(capsys, "mx.toml", "--base", "HEAD")["mx.toml"]
    assert parameters(host) == {"smtpd_banner": (None, "$myhostname")}
    assert (host["behaviour"], host["summary"]) == ([], "1 parameter; TLS and AUTH stay the same")


def test_everything_that_can_change(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    text = SITE.format("mx") + '[sasl.saslauthd]\nmechanism = "pam"\n'
    repo.put("mx.toml", text)
    repo.commit()
    text = text.replace('"debian-12"', '"rhel-9"').replace('"acme"', '"self-signed"').replace("mx.ex", "relay.ex")
    repo.put("mx.toml", text.replace("[mx]", "[submissions]").replace("backend", 'mechanisms = ["PLAIN"]\nbackend'))
    host = planned(capsys, "mx.toml", "--base", "HEAD")["mx.toml"]
    assert {each["name"]: (each["was"], each["now"]) for each in host["host"]}.items() >= {
        ("hostname", ("mx.example.com", "relay.example.com")),
        ("platform", ("debian-12", "rhel-9")),
    }
    assert parameters(host)["myhostname"] == ("mx.example.com", "relay.example.com")
    assert {each["of"] for each in host["services"]} == {"submission/inet", "smtps/inet", "smtp/inet"}
    assert [each["of"] for each in host["services"] if each["now"] is None] == ["smtp/inet"]
    assert ("mech_list", "PLAIN LOGIN", "PLAIN") in {(e["name"], e["was"], e["now"]) for e in host["sasl"]}
    assert ("issuer", "acme", "self-signed") in {(e["name"], e["was"], e["now"]) for e in host["certificates"]}
    assert {(each["file"], each["name"]) for each in host["files"]} >= {("/etc/sysconfig/saslauthd", "target")}
    paths = [each["path"] for each in host["diffs"]]
    assert paths[:3] == ["/etc/postfix/main.cf", "/etc/postfix/master.cf", "/etc/sasl2/smtpd.conf"]
    assert "/etc/sysconfig/saslauthd" in paths
    markdown = Told(capsys, "mx.toml", "--base", "HEAD").out
    assert "| <code>certificate mail issuer</code> | acme | self-signed |" in markdown
    assert "| <code>platform</code> | debian-12 | rhel-9 |" in markdown


def test_passwords_are_hidden(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    line = 'smtp_sasl_password_maps = "inline:{{ mx=user:{0} }}"\n'
    repo.put("mx.toml", SITE.format("mx") + "[postfix.main]\n" + line.format("hunter2"))
    repo.commit()
    repo.put("mx.toml", SITE.format("mx") + "[postfix.main]\n" + line.format("hunter3"))
    for format in ("markdown", "json", "text"):
        told = Told(capsys, "mx.toml", "--base", "HEAD", "--fail-on", "change", "--format", format)
        assert told.code == 1, told.err
        assert "hunter" not in told.out + told.err
        assert "smtp_sasl_password_maps" in told.out.replace("\\", "")
        assert "(hidden)" in told.out


def test_an_acceptance_mends_nothing(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    repo.edit("mx.toml", "[submission]", '[submission]\ntls = "offered"')
    repo.commit()
    accept = '[[accept]]\nrule = "submission-without-tls"\nuntil = 2999-01-01\nbecause = "it has no TLS"\n'
    repo.put("mx.toml", (repo.top / "mx.toml").read_text() + accept)
    host = planned(capsys, "mx.toml", "--base", "HEAD")["mx.toml"]
    assert [(each["change"], each["rule"]) for each in host["findings"]] == [("accepted", "submission-without-tls")]


def test_the_readme_shows_what_is_told(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    repo.put("sites/quickstart.toml", (ROOT / "sites/quickstart.toml").read_bytes())
    repo.put("sites/rhel-9.toml", (ROOT / "sites/rhel-9.toml").read_bytes())
    repo.commit()
    repo.edit("sites/quickstart.toml", "[submission] ", '[submission]\ntls = "offered" ')
    told = Told(capsys, "sites", "--base", "main", "--format", "text")
    assert told.out == (ROOT / "tests/stories/plan.txt").read_text()


HOSTILE = "``` ````` </details></summary> <script>alert(1)</script> | @root owner/x#1 ![x](http://evil.example) <!--"


def test_no_value_of_a_policy_leaves_its_place(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever may open a pull request writes what stands in the comment of somebody whom others trust."""
    policy = SITE.format("mx") + "[postfix.main]\n"
    repo.put("mx.toml", policy + f"smtpd_banner = '{HOSTILE}'\nsmtp_helo_name = '@root'\n")
    repo.git("branch", "a`b|<i>@root")
    told = Told(capsys, "mx.toml", "--base", "a`b|<i>@root")
    assert told.code == 0, told.err
    page = Page(told.out)
    assert set(page.tags) == {"h3", "p", "code", "ul", "li", "details", "summary", "pre"}
    assert page.open == []
    (block,) = page.blocks
    assert f"+smtpd_banner = {HOSTILE}\n" in block
    assert "script" not in page.all
    assert "Against a`b|<i>@\u200broot" in page.all


# --- which hosts -----------------------------------------------------------------------------------------------------


def test_hosts_come_and_go(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    repo.write(sites__a=SITE.format("a"), sites__b=SITE.format("b"), sites__old=SITE.format("old"))
    repo.put("sites/readme.txt", "not a policy")
    repo.commit()
    repo.write(sites__new=SITE.format("new"), sites__c=SITE.format("c"))
    (repo.top / "sites/old.toml").unlink()
    hosts = planned(capsys, "sites", "--base", "HEAD")
    assert {name: each["status"] for name, each in hosts.items()} == {
        "sites/a.toml": "unchanged",
        "sites/b.toml": "unchanged",
        "sites/c.toml": "new",
        "sites/new.toml": "new",
        "sites/old.toml": "removed",
    }
    # Nothing was there that could have protected more, and nothing is there that could protect less.
    assert not any(each["weaker"] for each in hosts.values())
    assert parameters(hosts["sites/c.toml"])["myhostname"] == (None, "c.example.com")
    assert parameters(hosts["sites/old.toml"])["myhostname"] == ("old.example.com", None)
    # Named alone, and where its directory is gone as well.
    for path in (repo.top / "sites").iterdir():
        path.unlink()
    (repo.top / "sites").rmdir()
    assert planned(capsys, "sites/old.toml", "--base", "HEAD")["sites/old.toml"]["status"] == "removed"
    assert set(planned(capsys, "sites", "--base", "HEAD")) == {f"sites/{each}.toml" for each in ("a", "b", "old")}
    told = Told(capsys, "sites", "--base", "HEAD")
    assert "### mailcfg plan: 3 of 3 hosts change\n" in told.out
    assert "removed host; " in told.out


def test_a_new_name_hides_nothing(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    repo.git("mv", "mx.toml", "relay.toml")
    repo.edit("relay.toml", "[submission]", '[submission]\ntls = "offered"')
    told = Told(capsys, ".", "--base", "HEAD", "--fail-on", "weaker", "--format", "json")
    assert told.code == 1
    (host,) = told.hosts.values()
    assert (host["site"], host["renamed_from"], host["status"]) == ("relay.toml", "mx.toml", "changed")
    assert "was mx; 1 service, 1 finding new; weaker: port 587" in host["summary"]
    # Nor does another directory, of which only the new one is named, among others of the same name that go.
    repo.git("reset", "-q", "--hard")
    repo.put("old/mx.toml", SITE.format("mx").replace("[mx]", "[submissions]"))
    repo.commit()
    repo.git("mv", "old/mx.toml", "new.toml")
    repo.edit("new.toml", "[submission]", '[submission]\ntls = "offered"')
    repo.git("rm", "-q", "mx.toml")
    host = planned(capsys, "new.toml", "--base", "HEAD")["new.toml"]
    assert (host["renamed_from"], host["weaker"]) == ("old/mx.toml", True)
    hosts = planned(capsys, ".", "old", "--base", "HEAD", "--fail-on", "weaker", code=1)
    assert {name: each["status"] for name, each in hosts.items()} == {"new.toml": "changed", "mx.toml": "removed"}
    # What it was must be known to be compared: a host of another name is another host.
    repo.edit("new.toml", "mx.example", "other.example")
    assert planned(capsys, "new.toml", "--base", "HEAD")["new.toml"]["status"] == "new"


def test_a_base_that_all_extend(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    """What is the same for many is told once; one that was written otherwise is told apart."""
    names = [f"mx{number}" for number in range(30)]
    repo.put("sites/base.toml", BASE)
    for name in names:
        repo.put(f"sites/{name}.toml", EXTENDING.format(name))
    repo.put("sites/own.toml", SITE.format("own"))
    repo.put("sites/most.toml", EXTENDING.format("most") + '[outbound]\ntls = "dane"\n')
    repo.commit()
    repo.edit("sites/base.toml", "[submission]", '[submission]\ntls = "offered"\n[outbound]\ntls = "none"')
    told = Told(capsys, "sites", "--base", "HEAD", "--fail-on", "weaker")
    assert told.code == 1
    assert "### mailcfg plan: 31 of 32 hosts change, 31 protect less\n" in told.out
    lines = [line for line in told.out.splitlines() if line.startswith(("- <code>", "- 1 host"))]
    assert len(lines) == 3
    assert lines[0].startswith("- <code>most</code>: **1 service, ")
    assert lines[1].count("<code>") == 5
    assert ", 25 more: **1 parameter, 1 service, " in lines[1]
    assert lines[2] == "- 1 host: nothing changes"
    assert told.out.count("<details>") == 2
    assert all(f"<code>{name}</code>" in told.out for name in names)
    # The base itself is no host.
    told = Told(capsys, "sites/base.toml", "--base", "HEAD")
    assert told.code == 2
    assert "a base is never planned by itself: name the sites that extend it" in told.err


def test_bases_come_from_the_revision_as_well(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    repo.put("shared/base.toml", BASE)
    repo.put("sites/base-office.toml", 'extends = "../shared/base.toml"\n[outbound]\ntls = "none"\n')
    repo.put("sites/mx.toml", 'extends = "base-office.toml"\nhostname = "mx.example.com"\n')
    repo.commit()
    # The base moves, and with it changes: at the revision it is where it was.
    repo.git("mv", "shared/base.toml", "base.toml")
    repo.edit("sites/base-office.toml", "../shared/base.toml", "../base.toml")
    assert planned(capsys, "sites", "--base", "HEAD")["sites/mx.toml"]["status"] == "unchanged"
    repo.edit("sites/base-office.toml", '"none"', '"dane"')
    host = planned(capsys, "sites", "--base", "HEAD")["sites/mx.toml"]
    assert parameters(host)["smtp_tls_security_level"] == ("none", "dane")
    (repo.top / "sites/base-office.toml").unlink()
    told = Told(capsys, "sites", "--base", "HEAD")
    assert told.code == 2
    assert "sites/mx.toml:1:11: error[extends] sites/base-office.toml: there is no such file" in told.err


def test_hundreds_of_hosts(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    """One process of git serves them all: a run may not start one a file."""
    repo.put("sites/base.toml", BASE)
    for number in range(200):
        repo.put(f"sites/mx{number}.toml", EXTENDING.format(f"mx{number}"))
    repo.commit()
    repo.edit("sites/base.toml", "[submission]", '[submission]\ntls = "offered"')
    command = [sys.executable, "-m", "mailcfg", "plan", "sites", "--base", "HEAD", "--fail-on", "change"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "GIT_TRACE": str(repo.top.parent / "trace")}
    done = subprocess.run(command, cwd=repo.top, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stderr
    assert "200 of 200 hosts change, 200 protect less" in done.stdout
    started = re.findall(r"trace: built-in: git (\S+)", (repo.top.parent / "trace").read_text())
    assert started.count("cat-file") == 1
    assert len(started) <= 4, started


# --- what cannot be told ---------------------------------------------------------------------------------------------


def test_a_policy_that_cannot_be_compiled(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    """Now: the others are told all the same. Then: it counts as new, and the reader knows why."""
    repo.write(other=SITE.format("other"))
    repo.commit()
    repo.edit("other.toml", "[submission]", '[submission]\ntls = "offered"')
    repo.edit("mx.toml", '"saslauthd"', '"saslautd"')
    told = Told(capsys, "mx.toml", "other.toml", "--base", "HEAD", "--fail-on", "weaker", "--format", "json")
    assert told.code == 2
    assert {name: each["status"] for name, each in told.hosts.items()} == {
        "mx.toml": "unknown",
        "other.toml": "changed",
    }
    assert told.hosts["other.toml"]["weaker"]
    assert "mx.toml:6:11: error[bad-value] backend cannot be 'saslautd'\n" in told.err
    assert 'did you mean "saslauthd"?' in told.err
    assert "mailcfg: mx.toml: it cannot be compiled as it is now: mx.toml:6: backend cannot be" in told.err
    markdown = Told(capsys, "mx.toml", "other.toml", "--base", "HEAD").out
    assert "### mailcfg plan: 1 of 2 hosts changes, 1 protects less, 1 could not be told\n" in markdown
    repo.commit()
    repo.edit("mx.toml", '"saslautd"', '"saslauthd"')
    told = Told(capsys, "mx.toml", "--base", "HEAD", "--format", "json")
    assert (told.code, told.err) == (0, "")
    host = told.hosts["mx.toml"]
    assert host["status"] == "new"
    assert host["notes"][0].startswith("at HEAD it could not be compiled: mx.toml:6: backend cannot be")
    assert "and all of it counts as new" in Told(capsys, "mx.toml", "--base", "HEAD").out


def test_a_policy_that_never_was(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    hosts = planned(capsys, "mx.toml", "none.toml", "--base", "HEAD", code=2)
    assert {name: each["status"] for name, each in hosts.items()} == {"mx.toml": "unchanged", "none.toml": "unknown"}
    assert hosts["none.toml"]["notes"] == ["there is no such file, neither now nor at HEAD"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["mx.toml", "--base", "nowhere"],
            "has no commit nowhere: `git log --all --oneline` lists those that are here",
        ),
        (["mx.toml", "--base", ""], "--base is empty: is a variable of the pipeline not set here?"),
        (["none", "--base", "HEAD"], "none: there is no policy, neither now nor at HEAD: name a site.toml"),
        (["/x.toml", "--base", "HEAD"], "/x.toml: git has no revisions of it: not a git repository"),
        (["/", "--base", "HEAD"], "/: git has no revisions of it: not a git repository"),
    ],
)
def test_a_wrong_command_line_says_what_to_do(
    repo: Repo, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    told = Told(capsys, *words)
    assert told.code == 2
    assert says in told.err


def test_without_a_base_or_with_no_room(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    told = Told(capsys, "mx.toml")
    assert (told.code, told.out) == (2, "")
    assert "--base says what to compare with, and is needed: main, HEAD^1" in told.err
    with pytest.raises(SystemExit) as error:
        main(["plan", "mx.toml", "--base", "HEAD", "--max-length", "10"])
    assert error.value.code == 2
    assert "a number of characters, 1000 or more" in capsys.readouterr().err


def test_a_site_outside_of_the_repository(repo: Repo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The others are told; so it is with a base outside, of which nobody knows what it was."""
    (tmp_path / "out.toml").write_text(SITE.format("out"))
    (tmp_path / "base.toml").write_text(BASE)
    repo.put("leads-out.toml", 'extends = "../base.toml"\nhostname = "x.example.com"\n')
    repo.commit()
    told = Told(capsys, "mx.toml", "../out.toml", "leads-out.toml", "--base", "HEAD")
    assert told.code == 2
    assert "mailcfg: ../out.toml: git has no revisions of it" in told.err
    assert "mailcfg: leads-out.toml: at HEAD ../base.toml lies outside the repository" in told.err
    assert "- 1 host: nothing changes" in told.out


def test_git_is_missing(repo: Repo, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    told = Told(capsys, "mx.toml", "--base", "HEAD")
    assert (told.code, told.out) == (2, "")
    assert told.err == "mailcfg: git is not on the PATH: install it, the policies of a revision are read with it\n"


# --- where it is run -------------------------------------------------------------------------------------------------


def test_links_and_other_directories(
    repo: Repo, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A policy that is a link is what it led to; where the words begin does not matter."""
    repo.write(real__a=SITE.format("a"), real__b=SITE.format("b"))
    (repo.top / "sites").mkdir()
    (repo.top / "sites/x.toml").symlink_to("../real/a.toml")
    repo.commit()
    (repo.top / "sites/x.toml").unlink()
    (repo.top / "sites/x.toml").symlink_to("../real/b.toml")
    (repo.top.parent / "elsewhere").symlink_to(repo.top / "sites")
    for place, path in (
        (".", "sites/x.toml"), ("sites", "x.toml"), ("real", "../sites/x.toml"), ("..", "repo/sites/x.toml"),
        ("/", f"{repo.top}/sites/x.toml"), ("..", "elsewhere/x.toml"),
    ):  # fmt: skip
        monkeypatch.chdir(repo.top / place)
        (host,) = planned(capsys, path, "--base", "HEAD").values()
        assert parameters(host)["myhostname"] == ("a.example.com", "b.example.com"), (place, path)


def test_a_hook_of_another_repository(repo: Repo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Git calls a hook with GIT_DIR and more; run from one, the plan is still of the policies that were named."""
    other = Repo(tmp_path / "other")
    other.commit()
    hook = other.top / ".git/hooks/pre-commit"
    words = f"{sys.executable} -m mailcfg plan {repo.top}/mx.toml --base HEAD --format text"
    hook.write_text(
        f"#!/bin/sh\nenv | grep -q ^GIT_INDEX_FILE= && cd / && PYTHONPATH={ROOT} {words} > {tmp_path}/told\n"
    )
    hook.chmod(0o755)
    repo.edit("mx.toml", "[submission]", '[submission]\ntls = "offered"')
    other.git("commit", "-q", "--allow-empty", "-m", "x")
    assert "weaker: port 587" in (tmp_path / "told").read_text()


def test_a_base_in_a_submodule(repo: Repo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shared = Repo(tmp_path / "shared")
    shared.put("base.toml", BASE)
    shared.commit()
    repo.git("submodule", "--quiet", "add", str(shared.top), "shared")
    repo.put("mx.toml", 'extends = "shared/base.toml"\nhostname = "mx.example.com"\n')
    repo.commit()
    (repo.top / "shared/base.toml").write_text(BASE.replace("[submission]", '[submission]\ntls = "offered"'))
    assert planned(capsys, "mx.toml", "--base", "HEAD")["mx.toml"]["weaker"]
    repo.git("submodule", "--quiet", "deinit", "-f", "shared")
    (repo.top / "shared/base.toml").write_text(BASE)
    told = Told(capsys, "mx.toml", "--base", "HEAD")
    assert told.code == 2
    assert "lies in the submodule shared, which is not here: git submodule update --init shared" in told.err


def test_a_directory_with_odd_characters(repo: Repo, capsys: pytest.CaptureFixture[str]) -> None:
    folder = "it's `here` | <b>@all</b> ä"
    repo.put(f"{folder}/x.toml", SITE.format("x"))
    repo.commit()
    repo.edit(f"{folder}/x.toml", "[submission]", '[submission]\ntls = "offered"')
    assert planned(capsys, folder, "--base", "HEAD")[f"{folder}/x.toml"]["weaker"]


def test_into_a_file(repo: Repo, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = Told(capsys, "mx.toml", "--base", "HEAD", "-o", tmp_path / "plan.md")
    assert (told.code, told.out) == (0, "")
    assert (tmp_path / "plan.md").read_text().startswith("### mailcfg plan: nothing changes\n")
