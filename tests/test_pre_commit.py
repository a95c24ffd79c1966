"""The hooks for pre-commit, run by pre-commit in a repository of sites, with mailcfg installed as it installs it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.gitrepo import ENVIRONMENT, Repo
from tests.sites import ROOT

CONFIG = """repos:
- repo: {0}
  rev: {1}
  hooks:
  - id: mailcfg-check
  - id: mailcfg-build-check
    args: [sites, -o, bundles]
"""

HOOKS = ROOT / ".pre-commit-hooks.yaml"


def tool(*words: str | Path, cwd: Path, home: Path) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= ENVIRONMENT | {"PRE_COMMIT_HOME": str(home), "PRE_COMMIT_COLOR": "never"}
    command = [sys.executable, "-m", "pre_commit", *map(str, words)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


def test_pre_commit_accepts_the_manifest(tmp_path: Path) -> None:
    done = tool("validate-manifest", HOOKS, cwd=tmp_path, home=tmp_path / "home")
    assert (done.returncode, done.stdout) == (0, "")


@pytest.fixture(scope="module")
def hooks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Repo, str]:
    """A repository with what an installation is made from, as it is now, and its commit."""
    repo = Repo(tmp_path_factory.mktemp("hooks") / "mailcfg")
    for name in ("mailcfg", "templates", "schemas"):
        shutil.copytree(ROOT / name, repo.top / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", HOOKS.name):
        shutil.copy(ROOT / name, repo.top)
    return repo, repo.commit()


def test_the_hooks_in_a_repository_of_sites(hooks: tuple[Repo, str], tmp_path: Path) -> None:
    home = tmp_path / "home"
    repo = Repo(tmp_path / "sites-of-ours")
    for name in ("office-berlin.toml", "office-madrid.toml", "base-office.toml"):
        repo.put(f"sites/{name}", (ROOT / "sites" / name).read_bytes())
    repo.put(".pre-commit-config.yaml", CONFIG.format(hooks[0].top, hooks[1]))
    repo.git("add", "-A")

    def outcome(*words: str) -> tuple[dict[str, str], str]:
        done = tool("run", *words, cwd=repo.top, home=home)
        assert done.returncode in (0, 1), done.stdout + done.stderr
        lines = [line for line in done.stdout.splitlines() if line.endswith(("Passed", "Failed", "Skipped"))]
        told = {line.partition("...")[0].strip("."): line.rpartition(".")[2] for line in lines}
        assert (done.returncode == 0) is (set(told.values()) == {"Passed"})
        return told, done.stdout

    told, out = outcome()
    assert told == {"mailcfg check": "Passed", "mailcfg build --check": "Failed"}
    assert "bundles/office-berlin: stale: missing" in out

    # What the hook wants is made with the mailcfg that it has installed.
    (program,) = home.glob("repo*/py_env-*/bin/mailcfg")
    subprocess.run([program, "build", "sites", "-o", "bundles", "--quiet"], cwd=repo.top, check=True)
    repo.commit()
    assert outcome()[0] == dict.fromkeys(told, "Passed")

    # A base alone changes what extends it, and so does one that goes.
    repo.edit("sites/base-office.toml", 'tls = "dane"', 'tls = "opportunistic"')
    repo.git("add", "-A")
    told, out = outcome()
    assert told == {"mailcfg check": "Passed", "mailcfg build --check": "Failed"}
    assert "bundles/office-madrid: stale: differs in manifest.json, postfix/main.cf" in out
    repo.git("reset", "-q", "--hard")
    repo.git("rm", "-q", "sites/base-office.toml")
    told, out = outcome()
    assert set(told.values()) == {"Failed"}
    assert "sites/base-office.toml: there is no such file" in out

    # A bundle that was edited by hand, and a policy with a finding.
    repo.git("reset", "-q", "--hard")
    line = "smtp_tls_security_level = {0}\n"
    repo.edit("bundles/office-berlin/postfix/main.cf", line.format("dane"), line.format("none"))
    repo.git("add", "-A")
    told, out = outcome()
    assert told == {"mailcfg check": "Passed", "mailcfg build --check": "Failed"}
    assert "bundles/office-berlin: stale: differs in postfix/main.cf" in out
    repo.git("reset", "-q", "--hard")
    repo.edit("sites/base-office.toml", "[submission]", '[submission]\ntls = "offered"')
    repo.git("add", "-A")
    told, out = outcome()
    assert told["mailcfg check"] == "Failed"
    assert "submission-without-tls" in out
