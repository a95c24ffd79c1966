"""Killed at every call that changes a file: the old files stand or the new ones, and the next run ends what began."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.postfix import lab
from tests.sites import ROOT


def killed(*words: str) -> tuple[int, str]:
    """A trial in a process of its own, which can fork safely."""
    lab.needs("strace", "openssl")
    done = subprocess.run(
        [sys.executable, "-m", "tests.apply.killed", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=400,
        env={**os.environ, "MAILCFG_CACHE": ""},
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("scenario", "least"),
    [("apply", 80), ("rollback", 70), ("one-by-one", 40), ("recovery", 15)],
)
def test_killed_at_every_call(scenario: str, least: int, say: Callable[[str], None]) -> None:
    # What comes before is the same as in the first one, whatever the file system can exchange.
    code, said = killed(scenario, *(["--staging"] if scenario == "one-by-one" else []))
    assert code == 0, said
    match = re.search(r"killed at (\d+) of (\d+) calls, 0 wrong", said)
    assert match, said
    assert int(match[1]) >= least
    say(f"{match[1]} injection points (calls that change a file, of {match[2]} that touch one), all passed")


def test_the_trial_sees_what_is_half_done() -> None:
    """Held to an exchange of directories that the file system has not, files are found to be old and new at once."""
    code, said = killed("together", "--only", "rename")
    assert code == 1
    assert (
        "some of etc/postfix/main.cf, etc/postfix/master.cf, etc/postfix/sasl/smtpd.conf are old and some are new"
        in said
    )
