"""A build that is killed at any moment leaves the old bundle or the new one, whole."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.postfix import lab
from tests.sites import ROOT

CALLS = "mkdir,write,rename,renameat2,unlink,unlinkat,rmdir,fchmod,flock"
"""What changes files: a build has no others. The moment before each of them is the moment of one death; that before the
first write of a file is the moment after its creation."""


def policy(folder: Path, lifetime: int) -> Path:
    text = (ROOT / "sites/quickstart.toml").read_text()
    path = folder / "quickstart.toml"
    path.write_text(text.replace('key = "ecdsa-p256"\n', f'key = "ecdsa-p256"\nlifetime_days = {lifetime}\n'))
    return path


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def build(site: Path, output: Path, *before: str) -> int:
    command = [*before, sys.executable, "-m", "mailcfg", "build", str(site), "-o", str(output), "--quiet"]
    return subprocess.run(command, capture_output=True, timeout=60).returncode


def test_killed_at_every_call_that_touches_the_output(tmp_path: Path) -> None:
    lab.needs("strace")
    output, other = tmp_path / "dist", tmp_path / "other"
    assert build(policy(tmp_path, 100), output) == 0
    old = tree(output / "quickstart")
    site = policy(tmp_path, 200)
    assert build(site, other) == 0
    new = tree(other / "quickstart")
    assert old != new
    calls = calls_of(site, tmp_path)
    seen = {"old": 0, "new": 0}
    for call, number in calls:
        said = traced(site, output, "/dev/null", f"inject={call}:signal=KILL:when={number}")
        assert said in (-signal.SIGKILL, 128 + signal.SIGKILL), f"{call} {number}: {said}"
        there = tree(output / "quickstart")
        assert there in (old, new), f"killed at {call} {number}"
        seen["old" if there == old else "new"] += 1
        # The next death begins from the old bundle again.
        assert build(policy(tmp_path, 100), output) == 0
        assert tree(output / "quickstart") == old
        assert sorted(os.listdir(output)) == ["quickstart"], "a killed build's workshop goes with the next one"
        policy(tmp_path, 200)
    print(f"killed at {len(calls)} calls: {seen}")
    assert min(seen.values()) > 0


ONE = """
import sys
from mailcfg.build import Job, build_all
for outcome in build_all([sys.argv[1]], Job(sys.argv[2], False, False), 1):
    sys.exit(outcome.status != "built")
"""


def traced(site: Path, output: Path, log: str | Path, what: str) -> int:
    command = ["strace", "-f", "-qq", "-o", str(log), "-e", what, sys.executable, "-c", ONE, str(site), str(output)]
    return subprocess.run(command, capture_output=True, timeout=60).returncode


def calls_of(site: Path, folder: Path) -> list[tuple[str, int]]:
    """Those calls of a build that replaces another: each one's name, and the how manyth of that name it is."""
    output, log = folder / "counted", folder / "calls"
    assert build(policy(folder, 100), output) == 0
    policy(folder, 200)
    assert traced(site, output, log, f"trace={CALLS}") == 0
    names = [line.split()[1].partition("(")[0] for line in log.read_text().splitlines()]
    return [(name, names[: index + 1].count(name)) for index, name in enumerate(names)]
