"""What a person sees who makes a mistake: each policy in errors/ prints the text beside it, and exits with 2."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from mailcfg import host
from mailcfg.problem import PolicyError
from tests.regenerate import ERRORS, error_text

CASES = sorted(ERRORS.glob("*.toml"))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_mistake(path: Path) -> None:
    said = error_text(path)
    assert said == path.with_suffix(".txt").read_text(), "changed: read it, then run python -m tests.regenerate"
    first = said.splitlines()[0]
    assert first.startswith(f"{path.name}:"), first
    assert "error[" in said or "warning[" in said
    assert "= help: " in said


def test_the_table_is_long_enough() -> None:
    assert len(CASES) >= 20


def mailcfg(*words: str, cwd: Path, user: int | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mailcfg", *words]
    return subprocess.run(command, cwd=cwd, text=True, capture_output=True, timeout=20, user=user)


def test_a_missing_file(tmp_path: Path) -> None:
    (tmp_path / "quickstart.toml").write_text("")
    done = mailcfg("build", "quickstrat.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert "quickstrat.toml: error[file-missing] there is no such file" in done.stderr
    assert "did you mean quickstart.toml?" in done.stderr


def test_a_directory(tmp_path: Path) -> None:
    done = mailcfg("build", ".", cwd=tmp_path)
    assert done.returncode == 2
    assert "error[file-directory]" in done.stderr
    assert "./*.toml" in done.stderr


def test_a_fifo_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "site.toml")
    done = mailcfg("build", "site.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert "error[file-irregular]" in done.stderr


def test_an_unreadable_file(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to become a user who may not read the file")
    secret = tmp_path / "site.toml"
    secret.write_text("hostname = 'x'")
    secret.chmod(0o600)
    # A fork, not a new process: that user need not be able to reach this Python.
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setresuid(65534, 65534, 65534)
        try:
            host.read_policy(str(secret))
        except PolicyError as error:
            os.write(writing, f"{error.findings[0].rule}: {error.findings[0].message}".encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with open(reading) as said:
        assert said.read() == "file-unreadable: cannot be opened: Permission denied"


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_bytes(b'platform = "debian-12"\nhostname = "m\xe9il"\n')
    done = mailcfg("build", "site.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert "site.toml:2:14: error[file-encoding] byte 0xe9 is not UTF-8" in done.stderr


def test_a_hundred_megabytes(tmp_path: Path) -> None:
    with (tmp_path / "site.toml").open("wb") as file:
        file.truncate(100_000_000)
    done = mailcfg("build", "site.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert "100,000,000 bytes are no policy" in done.stderr


def test_a_circle_of_bases(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('extends = "b.toml"\n')
    (tmp_path / "b.toml").write_text('extends = "a.toml"\n')
    done = mailcfg("build", "a.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert "b.toml:1:11: error[extends] extends goes round in a circle: a.toml -> b.toml -> a.toml" in done.stderr


def test_a_base_is_not_built_by_itself(tmp_path: Path) -> None:
    (tmp_path / "base-x.toml").write_text("")
    done = mailcfg("build", "base-x.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert "never built by itself" in done.stderr


def test_no_control_character_reaches_the_terminal(tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text('hostname = "x"\nplatform = "\\u001b[2J\\u009b"\n')
    done = mailcfg("build", "site.toml", "--color", "never", cwd=tmp_path)
    assert done.returncode == 2
    assert "\x1b" not in done.stderr
    assert "\x9b" not in done.stderr


def test_every_site_of_a_run_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("x = 1\n")
    (tmp_path / "b.toml").write_text("y = 1\n")
    done = mailcfg("build", "a.toml", "b.toml", cwd=tmp_path)
    assert done.returncode == 2
    assert "a.toml:1:1: error[unknown-key]" in done.stderr
    assert "b.toml:1:1: error[unknown-key]" in done.stderr


def test_a_password_is_not_repeated() -> None:
    said = (ERRORS / "password-in-policy.txt").read_text()
    assert "never stands in a policy" in said
    assert "secret-in-policy" in said
    assert "hunter2" not in said
