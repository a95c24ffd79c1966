"""The schedule that a bundle brings: its units tried as they were built, and all of it held against the host."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest

from mailcfg.compile.watch import rhythm
from mailcfg.policy.watch import Watch
from tests.postfix import lab
from tests.sites import ROOT
from tests.stories.machine import Answer, Machine, mailcfg, place

COMMAND = Path(sys.executable).parent / "mailcfg"
"""The command as it is installed here."""

DAY = 24 * 60
"""Minutes."""

EVERY = get_args(Watch.model_fields["every"].annotation)

UNITS = ("mailcfg-drift.service", "mailcfg-drift.timer")


def policy(folder: Path, watch: str, platform: str = "debian-12") -> Path:
    """The quickstart with a schedule."""
    text = (ROOT / "sites/quickstart.toml").read_text().replace('"debian-12"', f'"{platform}"')
    site = folder / "quickstart.toml"
    site.write_text(f"{text}\n[watch]\n{watch}\n")
    return site


def bundle(folder: Path, watch: str, platform: str = "debian-12") -> Path:
    done = mailcfg("build", policy(folder, watch, platform), "-o", folder / "dist", "--quiet")
    assert done.code == 0, done.err
    return folder / "dist" / "quickstart"


@pytest.fixture
def scheduled(tmp_path: Path) -> Machine:
    """A machine with both."""
    lab.needs("postconf", "openssl")
    return place(policy(tmp_path, f'systemd = true\ncron = true\ncommand = "{COMMAND}"'), tmp_path)


def silent(answer: Answer) -> None:
    assert (answer.code, answer.out, answer.err) == (0, "", "")


# --- in the bundle ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("watch", "files"),
    [
        ("systemd = true", ["watch/mailcfg-drift.service", "watch/mailcfg-drift.timer"]),
        ("cron = true", ["watch/mailcfg.cron"]),
        (
            "systemd = true\ncron = true",
            ["watch/mailcfg-drift.service", "watch/mailcfg-drift.timer", "watch/mailcfg.cron"],
        ),
    ],
)
def test_what_is_asked_for_is_there_and_nothing_else(tmp_path: Path, watch: str, files: list[str]) -> None:
    made = bundle(tmp_path, watch)
    assert sorted(f"watch/{path.name}" for path in (made / "watch").iterdir()) == files


def test_nothing_is_there_unasked() -> None:
    assert not (ROOT / "tests/golden/quickstart/watch").exists()


def test_a_host_is_in_sync_once_it_is_in_place(scheduled: Machine) -> None:
    silent(scheduled.drift())
    silent(scheduled.drift(target=scheduled.bundle.parents[1] / "quickstart.toml"))
    assert scheduled.at("/etc/cron.d/mailcfg").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("/etc/systemd/system/mailcfg-drift.timer", "Persistent=yes", "Persistent=no"),
        ("/etc/systemd/system/mailcfg-drift.service", "NoNewPrivileges=yes\n", ""),
        ("/etc/cron.d/mailcfg", "*/10", "#*/10"),
        ("/etc/cron.d/mailcfg", "MAILTO=root", "MAILTO="),
    ],
)
def test_an_edit_is_drift(scheduled: Machine, path: str, old: str, new: str) -> None:
    scheduled.replace(path, old, new)
    answer = scheduled.told()
    assert answer.code == 1
    assert answer.rows == [("changed", path, "")]


def test_a_schedule_that_is_gone_is_drift(scheduled: Machine) -> None:
    scheduled.at("/etc/systemd/system/mailcfg-drift.timer").unlink()
    assert scheduled.told().rows == [("missing", "/etc/systemd/system/mailcfg-drift.timer", "")]


def test_the_steps_start_it_last(tmp_path: Path) -> None:
    done = mailcfg("build", policy(tmp_path, "systemd = true"), "-o", tmp_path / "dist")
    commands = [line.strip() for line in done.out.splitlines() if line.startswith("  ") and not line.startswith("  #")]
    assert commands[-2:] == ["systemctl daemon-reload", "systemctl enable --now mailcfg-drift.timer"]
    assert "install -D -m 0644 watch/mailcfg-drift.timer /etc/systemd/system/mailcfg-drift.timer" in commands


def test_where_there_is_no_systemd_cron_does_it(tmp_path: Path) -> None:
    done = mailcfg("build", policy(tmp_path, "cron = true", "freebsd-14"), "-o", tmp_path / "dist")
    assert done.code == 0, done.err
    assert "systemctl" not in done.out
    assert "watch/mailcfg.cron /etc/cron.d/mailcfg" in done.out


# --- systemd ---------------------------------------------------------------------------------------------------------


def test_systemd_has_nothing_to_say_of_the_units(tmp_path: Path) -> None:
    lab.needs("systemd-analyze")
    made = bundle(tmp_path, f'systemd = true\ncommand = "{COMMAND}"') / "watch"
    done = lab.run("systemd-analyze", "verify", "--man=no", *(made / name for name in UNITS))
    assert (done.stdout, done.stderr) == ("", "")
    told = lab.run("systemd-analyze", "security", "--offline=yes", "--no-pager", made / UNITS[0]).stdout
    score = re.search(r"Overall exposure level for mailcfg-drift.service: ([0-9.]+)", told)
    assert score
    assert float(score[1]) < 2.5, told


@pytest.mark.parametrize("every", EVERY)
def test_each_rhythm_is_one_of_systemd_and_of_cron(tmp_path: Path, every: str) -> None:
    """systemd's own calendar says when it elapses, and the fields of cron say the same."""
    lab.needs("systemd-analyze")
    found = rhythm(every)
    words = ["systemd-analyze", "calendar", "--iterations=100", "--base-time=2026-03-01 00:00:00 UTC", found.calendar]
    done = subprocess.run(words, capture_output=True, text=True, env={"PATH": lab.PATH, "TZ": "UTC"})
    assert (done.returncode, done.stderr) == (0, "")
    elapses = re.findall(r"(?:Iter. #\d+|Next elapse): \w+ [0-9-]+ (\d\d):(\d\d):00 UTC", done.stdout)
    assert len(elapses) == 100, done.stdout
    minutes, hours, *rest = found.fields.split(" ")
    assert rest == ["*", "*", "*"]
    by_cron = {hour * 60 + minute for hour in _values(hours, 24) for minute in _values(minutes, 60)}
    by_systemd = [int(hour) * 60 + int(minute) for hour, minute in elapses]
    assert set(by_systemd) <= by_cron
    length = int(every.rstrip("minhd")) * {"min": 1, "h": 60, "d": DAY}[every.lstrip("0123456789")]
    assert len(by_cron) * length == DAY
    assert {(after - before) % DAY for before, after in pairwise(by_systemd)} == {length % DAY}
    assert 0 < found.spread <= length * 60 / 5


def _values(field: str, most: int) -> range:
    """What a field of cron stands for (crontab(5)): a star with a step, a number, or a star."""
    if field.isdecimal():
        return range(int(field), int(field) + 1)
    star, _, step = field.partition("/")
    assert star == "*"
    return range(0, most, int(step or 1))


def test_the_service_can_do_its_work_with_what_it_may(scheduled: Machine, tmp_path: Path) -> None:
    """With the capabilities of the unit and its empty environment: root's files and those of others can be read."""
    lab.needs("setpriv")
    service = (scheduled.bundle / "watch/mailcfg-drift.service").read_text()
    (start,) = [line.partition("=")[2] for line in service.splitlines() if line.startswith("ExecStart=")]
    (capabilities,) = [line.partition("=")[2] for line in service.splitlines() if line.startswith("CapabilityB")]
    assert capabilities == "CAP_DAC_READ_SEARCH"
    site = scheduled.at("/etc/mailcfg/site.toml")
    site.parent.mkdir()
    site.write_bytes((scheduled.bundle.parents[1] / "quickstart.toml").read_bytes())
    site.chmod(0o600)
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o700)
    only = "-all,+dac_read_search"
    words = [
        "setpriv", "--bounding-set", only, "--inh-caps", only, "--no-new-privs", "env", "-i", f"MAILCFG_CACHE={cache}",
        *shlex.split(start), "--root", str(scheduled.root),
    ]  # fmt: skip
    for _ in range(2):
        done = subprocess.run(words, capture_output=True, text=True, cwd="/", stdin=subprocess.DEVNULL)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(cache.iterdir())
    scheduled.append("/etc/postfix/main.cf", "smtpd_tls_auth_only = no\n")
    done = subprocess.run(words, capture_output=True, text=True, cwd="/", stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stderr) == (1, "")


# --- cron ------------------------------------------------------------------------------------------------------------


def test_cron_would_pass_over_a_name_with_a_dot(scheduled: Machine) -> None:
    (name,) = os.listdir(scheduled.at("/etc/cron.d"))
    assert re.fullmatch(r"[A-Za-z0-9_-]+", name)
