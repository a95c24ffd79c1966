"""The pipelines of docs/ for GitHub and GitLab: every script that they run, run by sh in a clone of some sites.

What the forge itself does is not here: its actions, and the steps that talk to it. A test names each of these.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import pytest
import yaml

from tests.gitrepo import ENVIRONMENT, Repo
from tests.postfix import lab
from tests.sites import ROOT

pytestmark = pytest.mark.xdist_group("pipelines")  # One installation serves them all.

GITHUB = yaml.safe_load((ROOT / "docs/github-actions.yml").read_text())
GITLAB = yaml.safe_load((ROOT / "docs/gitlab-ci.yml").read_text())

WEAKER = ("[submission]", '[submission]\ntls = "offered"')

Variables = dict[str, str]


class Done(NamedTuple):
    """A script that was run: by what it is called, with its exit status and all that it said."""

    name: str
    code: int
    said: str


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An environment of Python for the pipelines to install into, and what their requirements.txt names."""
    top = tmp_path_factory.mktemp("installed")
    source = top / "source"
    for name in ("mailcfg", "templates", "schemas"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", top]
    subprocess.run([*map(str, pip), str(source)], check=True, capture_output=True, timeout=300)
    subprocess.run([sys.executable, "-m", "venv", str(top / "venv")], check=True, timeout=120)
    (wheel,) = top.glob("mailcfg-*.whl")
    return top / "venv", wheel


@pytest.fixture
def origin(tmp_path: Path, installed: tuple[Path, Path]) -> Repo:
    """What lies on the forge: sites on main, and a branch `change`."""
    repo = Repo(tmp_path / "origin")
    for name in ("office-berlin.toml", "office-madrid.toml", "base-office.toml"):
        repo.put(f"sites/{name}", (ROOT / "sites" / name).read_bytes())
    repo.put("requirements.txt", f"{installed[1]}\n")
    repo.commit("sites")
    repo.git("switch", "-q", "-c", "change")
    return repo


def sh(name: str, script: str, workspace: Path, installed: tuple[Path, Path], variables: Variables) -> Done:
    """A script as a runner runs it: it ends with the first command that fails."""
    home = workspace.parent / "home"
    home.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    path = f"{installed[0]}/bin:/usr/local/bin:/usr/bin:/bin"
    environment = kept | ENVIRONMENT | {"HOME": str(home), "PATH": path, "CI": "true"} | variables
    done = subprocess.run(
        ["sh", "-e"],
        input=script,
        cwd=workspace,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    return Done(name, done.returncode, done.stdout)


def signing_key(folder: Path) -> Path:
    for words in (
        ("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "sign.key"),
        ("pkey", "-in", "sign.key", "-pubout", "-out", "sign.pub"),
    ):
        command = f"openssl {' '.join(words)}"
        # As the head of both files says.
        for name in ("github-actions.yml", "gitlab-ci.yml"):
            assert command in (ROOT / "docs" / name).read_text()
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)
    return folder / "sign.key"


def check_bundles(workspace: Path, key: Path, name: str) -> None:
    """What the pipeline leaves is signed, as the host will find out with the command that the file tells."""
    made = sorted(path.name for path in (workspace / "bundles").iterdir())
    sites = ("office-berlin", "office-madrid")
    assert made == sorted(f"{site}.{end}" for site in sites for end in ("tar", "manifest.json.sig"))
    text = (ROOT / "docs" / name).read_text()
    (command,) = re.findall(r"# +(tar -xOf mx\.tar .*)", text)
    shutil.copy(key.with_name("sign.pub"), workspace / "bundles")
    for site in sites:
        words = command.replace("mx", site)
        told = subprocess.run(["sh", "-c", words], cwd=workspace / "bundles", capture_output=True, text=True)
        assert (told.returncode, told.stdout) == (0, "Verified OK\n"), told.stderr
        with tarfile.open(workspace / f"bundles/{site}.tar") as archive:
            assert f"{site}/postfix/main.cf" in archive.getnames()
    swapped = command.replace("mx.tar mx/", f"{sites[0]}.tar {sites[0]}/").replace("mx", sites[1])
    assert subprocess.run(["sh", "-c", swapped], cwd=workspace / "bundles", capture_output=True).returncode == 1


# --- both files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "schema"), [("github-actions.yml", "vendor.github-workflows"), ("gitlab-ci.yml", "vendor.gitlab-ci")]
)
def test_the_forge_would_accept_it(name: str, schema: str) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(ROOT / "docs" / name)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"docs/{name}" in (ROOT / "README.md").read_text()


def scripts() -> list[str]:
    found = [step["run"] for job in GITHUB["jobs"].values() for step in job["steps"] if "run" in step]
    return found + ["\n".join(each["script"]) for each in GITLAB.values() if "script" in each]


def test_shellcheck_has_nothing_to_say() -> None:
    lab.needs("shellcheck")
    assert len(scripts()) == 16
    for script in scripts():
        done = subprocess.run(["shellcheck", "-s", "sh", "-"], input=script, capture_output=True, text=True)
        assert done.returncode == 0, script + done.stdout
        # What somebody else may have written comes by the environment, and is never pasted into a script.
        assert "${{" not in script


# --- GitHub ----------------------------------------------------------------------------------------------------------


class Github:
    """A run of the workflow for one event. Expressions have the values that GitHub would give them."""

    def __init__(self, workspace: Path, installed: tuple[Path, Path], event: str, **secrets: str) -> None:
        self.workspace = workspace
        self.installed = installed
        self.temp = workspace.parent / "runner"
        self.temp.mkdir()
        self.summary = self.temp / "summary.md"
        pull_request = event == "pull_request"
        # From a fork, so that nothing here would speak to GitHub; without code scanning.
        self.conditions = {
            "github.event_name == 'pull_request'": pull_request,
            "github.event_name == 'push'": not pull_request,
            "!cancelled()": True,
            "vars.CODE_SCANNING == 'on'": False,
            "github.event.pull_request.head.repo.full_name == github.repository": False,
        }
        self.values = {"secrets.MAILCFG_SIGNING_KEY": secrets.get("MAILCFG_SIGNING_KEY", "")}
        self.ran: dict[str, list[Done]] = {}
        self.left_out: list[str] = []
        for name, job in GITHUB["jobs"].items():
            failed = any(each.code for needed in [job.get("needs")] for each in self.ran.get(needed, []))
            if self.holds(job.get("if", "${{ !cancelled() }}")) and not failed:
                self.ran[name] = list(self.job(job))

    def holds(self, condition: str) -> bool:
        inside = condition.removeprefix("${{").removesuffix("}}")
        return all(self.conditions[part.strip()] for part in inside.split("&&"))

    def job(self, job: dict[str, Any]) -> Iterator[Done]:
        failed = False
        for step in job["steps"]:
            if not self.holds(step.get("if", "!cancelled()")) or ("if" not in step and failed):
                self.left_out.append(step.get("name", step.get("uses")))
            elif "run" not in step:
                self.left_out.append(step["uses"].partition("@")[0])
            else:
                variables = {"GITHUB_STEP_SUMMARY": str(self.summary), "RUNNER_TEMP": str(self.temp)}
                variables |= {name: self.expanded(value) for name, value in step.get("env", {}).items()}
                done = sh(step["name"], step["run"], self.workspace, self.installed, variables)
                failed = failed or done.code != 0
                yield done

    def expanded(self, value: str) -> str:
        return re.sub(r"\$\{\{ (.*?) \}\}", lambda match: self.values[match[1]], value)

    def codes(self, job: str) -> dict[str, int]:
        return {each.name: each.code for each in self.ran[job]}

    def said(self, step: str) -> str:
        return next(each.said for job in self.ran.values() for each in job if each.name == step)


def merged(origin: Repo, folder: Path) -> Path:
    """What actions/checkout makes of a pull request: its merge into the base, and the two commits before."""
    assert GITHUB["jobs"]["plan"]["steps"][0]["with"]["fetch-depth"] == 2
    origin.git("switch", "-q", "-C", "merge", "main")
    origin.git("merge", "-q", "--no-ff", "-m", "merge", "change")
    return cloned(origin, folder, "merge", "--depth=2")


def cloned(origin: Repo, folder: Path, branch: str, *words: str) -> Path:
    workspace = folder / "workspace"
    origin.git("clone", "-q", *words, "--branch", branch, f"file://{origin.top}", workspace)
    subprocess.run(["git", "checkout", "-q", "--detach"], cwd=workspace, check=True)
    return workspace


FORGE = ["actions/checkout", "actions/setup-python"]


def test_github_a_pull_request(origin: Repo, installed: tuple[Path, Path], tmp_path: Path) -> None:
    origin.edit("sites/office-berlin.toml", "hostname", 'postfix = "3.8"\nhostname')
    origin.commit()
    # Meanwhile main goes on: that is no part of this change.
    origin.git("switch", "-q", "main")
    origin.put("sites/other.toml", 'extends = "base-office.toml"\nhostname = "mail.other.example.com"\n')
    origin.commit()
    run = Github(merged(origin, tmp_path), installed, "pull_request")
    assert run.codes("check") == {
        "Install mailcfg": 0,
        "Write what is found for code scanning": 0,
        "Say what is wrong, beside the lines": 0,
        "Build every site": 0,
    }, run.ran
    assert run.codes("plan") == {
        "Install mailcfg": 0,
        "Say what the change does to each host": 0,
        "Show it in the summary of the run": 0,
        "Nothing protects less than before": 0,
    }, run.ran
    assert run.left_out == [*FORGE, "Upload it", *FORGE, "Comment on the pull request"]
    assert "bundles" not in run.ran
    assert (run.workspace / "mailcfg.sarif").stat().st_size > 0
    assert sorted(os.listdir(run.temp / "bundles")) == ["office-berlin", "office-madrid", "other"]
    told = run.summary.read_text()
    assert told == (run.workspace / "plan.md").read_text()
    assert told.startswith("### mailcfg plan: 1 of 3 hosts changes\n")
    assert "- <code>office-berlin</code>: 1 fact of the host" in told
    assert "- 2 hosts: nothing changes" in told


def test_github_a_pull_request_that_protects_less(origin: Repo, installed: tuple[Path, Path], tmp_path: Path) -> None:
    origin.edit("sites/base-office.toml", *WEAKER)
    origin.commit()
    run = Github(merged(origin, tmp_path), installed, "pull_request")
    assert list(run.codes("plan").values()) == [0, 0, 0, 1]
    assert "weaker: port 587" in run.said("Nothing protects less than before")
    assert "### mailcfg plan: 2 of 2 hosts change, 2 protect less\n" in run.summary.read_text()
    assert run.codes("check")["Say what is wrong, beside the lines"] == 1
    assert "::error file=sites/base-office.toml,line=" in run.said("Say what is wrong, beside the lines") or (
        "::warning file=sites/base-office.toml,line=" in run.said("Say what is wrong, beside the lines")
    )


def test_github_a_policy_that_cannot_be_compiled(origin: Repo, installed: tuple[Path, Path], tmp_path: Path) -> None:
    """What can be told is told, and the run fails."""
    origin.edit("sites/office-berlin.toml", "hostname", "hostnam")
    origin.commit()
    run = Github(merged(origin, tmp_path), installed, "pull_request")
    assert list(run.codes("check").values()) == [0, 2, 2]
    assert list(run.codes("plan").values()) == [0, 2, 0]
    assert "Nothing protects less than before" in run.left_out
    assert "could not be told: it cannot be compiled as it is now" in run.summary.read_text()


def test_github_main(origin: Repo, installed: tuple[Path, Path], tmp_path: Path) -> None:
    key = signing_key(tmp_path)
    workspace = cloned(origin, tmp_path, "main", "--depth=1")
    run = Github(workspace, installed, "push", MAILCFG_SIGNING_KEY=key.read_text())
    assert set(run.codes("check").values()) == {0}
    assert run.codes("bundles") == {"Install mailcfg": 0, "Build the bundles": 0, "Sign their manifests": 0}, run.ran
    assert run.left_out == [*FORGE, "Upload it", *FORGE, "actions/upload-artifact"]
    assert "plan" not in run.ran
    assert not list(run.temp.rglob("*.key"))
    check_bundles(workspace, key, "github-actions.yml")
    (sign,) = [step for step in GITHUB["jobs"]["bundles"]["steps"] if step.get("name") == "Sign their manifests"]
    done = sh("sign", sign["run"], workspace, installed, {"SIGNING_KEY": "", "RUNNER_TEMP": str(run.temp)})
    assert done == Done("sign", 1, "the secret MAILCFG_SIGNING_KEY is not set\n")


def test_github_gives_no_more_than_is_needed() -> None:
    jobs = GITHUB["jobs"]
    assert GITHUB["permissions"] == {"contents": "read"}
    assert {name: job.get("permissions", {}) for name, job in jobs.items()} == {
        "check": {"contents": "read", "security-events": "write"},
        "plan": {"contents": "read", "pull-requests": "write"},
        "bundles": {},
    }
    # A key is read where only main runs, and no step keeps the token of the checkout.
    assert [name for name, job in jobs.items() if "secrets." in str(job)] == ["bundles"]
    steps = [step for job in jobs.values() for step in job["steps"] if "uses" in step]
    assert all(re.fullmatch(r"[\w-]+/[\w/-]+@v\d+\.\d+\.\d+", step["uses"]) for step in steps)
    assert all(step["with"]["persist-credentials"] is False for step in steps if "checkout" in step["uses"])
    # YAML 1.1 reads the key `on` as true.
    assert set(GITHUB[True]) == {"pull_request", "push"}


# --- GitLab ----------------------------------------------------------------------------------------------------------


def holds(rule: str, variables: Variables) -> bool:
    """A condition of a rule, with the operators that are used here."""

    def value(word: str) -> str:
        return variables.get(word[1:], "") if word.startswith("$") else word.strip('"')

    parts = [part.split(" == ") for part in rule.split(" && ")]
    return all(value(part[0]) == value(part[1]) if len(part) == 2 else bool(value(part[0])) for part in parts)


class Gitlab:
    """A pipeline with the variables that GitLab would set."""

    def __init__(self, workspace: Path, installed: tuple[Path, Path], variables: Variables) -> None:
        self.workspace = workspace
        self.ran: dict[str, Done] = {}
        self.left_out: list[str] = []
        base = {"CI_PROJECT_DIR": str(workspace), "CI_DEFAULT_BRANCH": "main"}
        variables = base | GITLAB["variables"] | variables
        assert any(holds(rule["if"], variables) for rule in GITLAB["workflow"]["rules"])
        jobs = {name: job for name, job in GITLAB.items() if "script" in job}
        for name, job in sorted(jobs.items(), key=lambda each: GITLAB["stages"].index(each[1]["stage"])):
            rule = next((rule for rule in job.get("rules", [{}]) if holds(rule.get("if", '"" == ""'), variables)), None)
            broken = any(done.code for done in self.ran.values())
            if rule is None or (broken and rule.get("when") != "always"):
                self.left_out.append(name)
                continue
            lines = [*job.get("before_script", GITLAB["default"]["before_script"]), *job["script"]]
            self.ran[name] = sh(name, "\n".join(lines), workspace, installed, variables)

    def codes(self) -> dict[str, int]:
        return {name: done.code for name, done in self.ran.items()}


def merge_request(origin: Repo) -> Variables:
    base = origin.git("merge-base", "main", "change")
    return {
        "CI_PIPELINE_SOURCE": "merge_request_event",
        "CI_MERGE_REQUEST_EVENT_TYPE": "detached",
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": base,
        "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
        "CI_MERGE_REQUEST_IID": "7",
        "CI_PROJECT_ID": "42",
    }


def test_gitlab_a_merge_request(origin: Repo, installed: tuple[Path, Path], tmp_path: Path) -> None:
    origin.edit("sites/office-berlin.toml", "hostname", 'postfix = "3.8"\nhostname')
    origin.commit()
    run = Gitlab(cloned(origin, tmp_path, "change"), installed, merge_request(origin))
    assert run.codes() == {"check": 0, "plan": 0}, run.ran
    assert run.left_out == ["note", "bundles"]
    assert (run.workspace / "junit.xml").read_text().startswith("<?xml")
    assert (run.workspace / "codequality.json").read_text().startswith("[")
    told = (run.workspace / "plan.md").read_text()
    assert told.startswith("### mailcfg plan: 1 of 2 hosts changes\n")


def test_gitlab_a_merged_result_that_protects_less(origin: Repo, installed: tuple[Path, Path], tmp_path: Path) -> None:
    """The note is posted all the same, by a real curl, to a server that stands for GitLab."""
    lab.needs("curl")
    origin.edit("sites/base-office.toml", *WEAKER)
    accept = '[[accept]]\nrule = "submission-without-tls"\nuntil = 2999-01-01\nbecause = "a test of what comes after"\n'
    origin.put("sites/base-office.toml", (origin.top / "sites/base-office.toml").read_text() + accept)
    origin.commit()
    origin.git("switch", "-q", "main")
    origin.put("sites/other.toml", 'extends = "base-office.toml"\nhostname = "mail.other.example.com"\n')
    origin.commit()
    posted: list[tuple[str, str | None, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            posted.append((self.path, self.headers["PRIVATE-TOKEN"], parse_qs(body)["body"][0]))
            self.send_response(201)
            self.end_headers()

        def log_message(self, format: str, *words: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        variables = merge_request(origin) | {
            "CI_MERGE_REQUEST_EVENT_TYPE": "merged_result",
            "MAILCFG_NOTE_TOKEN": "a-token",
            "CI_API_V4_URL": f"http://127.0.0.1:{server.server_port}/api/v4",
        }
        run = Gitlab(merged(origin, tmp_path), installed, variables)
        server.shutdown()
    assert run.codes() == {"check": 0, "plan": 1, "note": 0}, run.ran
    assert "weaker: port 587" in run.ran["plan"].said
    told = (run.workspace / "plan.md").read_text()
    assert "### mailcfg plan: 3 of 3 hosts change, 3 protect less\n" in told
    assert posted == [("/api/v4/projects/42/merge_requests/7/notes", "a-token", told)]
    assert "a-token" not in run.ran["note"].said


def test_gitlab_the_default_branch(origin: Repo, installed: tuple[Path, Path], tmp_path: Path) -> None:
    key = signing_key(tmp_path)
    push = {"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "main"}
    workspace = cloned(origin, tmp_path, "main")
    run = Gitlab(workspace, installed, push | {"MAILCFG_SIGNING_KEY": str(key)})
    assert run.codes() == {"check": 0, "bundles": 0}, run.ran
    assert run.left_out == ["plan", "note"]
    check_bundles(workspace, key, "gitlab-ci.yml")
    done = sh("bundles", "\n".join(GITLAB["bundles"]["script"]), workspace, installed, push)
    assert done.code == 1
    assert done.said.endswith("the variable MAILCFG_SIGNING_KEY is not set\n")
