"""The cron line and the systemd timer of the README, tried as they stand, with only their paths and times moved."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.postfix import lab
from tests.sites import ROOT
from tests.stories.machine import Machine, copied, mailcfg

COMMAND = "/opt/mailcfg/bin/mailcfg drift /etc/mailcfg/site.toml"
MINUTE = 75
"""Seconds in which cron, which wakes at each full minute, has run its line."""


def command(machine: Machine) -> str:
    """The command of the README for a machine that lies in a directory."""
    site = ROOT / "sites/quickstart.toml"
    return shlex.join([sys.executable, "-m", "mailcfg", "drift", str(site), "--root", str(machine.root)])


def in_cron_surroundings(words: str) -> subprocess.CompletedProcess[str]:
    """Run by sh with the environment that cron(8) gives, and nothing else."""
    environment = {"HOME": "/root", "LOGNAME": "root", "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh"}
    return subprocess.run(
        ["/bin/sh", "-c", words], env=environment, cwd="/root", capture_output=True, text=True, stdin=subprocess.DEVNULL
    )


def lines_of(name: str) -> list[str]:
    text = (ROOT / "docs" / name).read_text()
    assert f"docs/{name} -->" in (ROOT / "README.md").read_text()
    return [line for line in text.splitlines() if line and not line.startswith("#")]


@pytest.fixture
def edited(quickstart: Machine, tmp_path: Path) -> Machine:
    """A machine on which somebody has switched something off."""
    machine = copied(quickstart, tmp_path / "edited")
    machine.replace("/etc/postfix/main.cf", "smtpd_tls_auth_only = yes", "smtpd_tls_auth_only = no")
    return machine


def test_an_empty_environment(machine: Machine, edited: Machine) -> None:
    lab.needs("sh")
    for found, code in ((machine, 0), (edited, 1)):
        done = in_cron_surroundings(f"exec env -i {command(found)} --no-cache")
        assert (done.returncode, done.stderr) == (code, "")
        assert bool(done.stdout) is bool(code)


def test_cron_itself(machine: Machine, edited: Machine, tmp_path: Path) -> None:
    """A cron that sees only our lines, those of the README and that of a bundle, in a file system view of its own, with
    a mailer that keeps the mail.
    """
    lab.needs("cron", "unshare")
    mailto, line = lines_of("mailcfg.cron")
    assert line.endswith(COMMAND)
    for name in ("cron.d", "spool", "run", "mail"):
        (tmp_path / name).mkdir()
    moved = "# none\n"
    for name, found in (("in-sync", machine), ("edited", edited)):
        now = line.replace("*/10 * * * *", "* * * * *").replace(COMMAND, command(found))
        moved += f"{mailto}\n{now}; echo $? > {tmp_path}/{name}.status\n"
    cache = f"MAILCFG_CACHE={tmp_path}/cache\n"
    (tmp_path / "cron.d" / "mailcfg-readme").write_text(cache + moved)
    (tmp_path / "cron.d" / "mailcfg").write_text(cache + of_a_bundle(edited, tmp_path))
    (tmp_path / "crontab").write_text("")
    mailer = tmp_path / "sendmail"
    mailer.write_text(f"#!/bin/sh\ncat > {tmp_path}/mail/$$\n")
    mailer.chmod(0o755)
    mounts = [
        f"mount --bind {tmp_path}/{source} {target}"
        for source, target in (
            ("cron.d", "/etc/cron.d"), ("crontab", "/etc/crontab"), ("spool", "/var/spool/cron/crontabs"),
            ("run", "/run"), ("sendmail", "/usr/sbin/sendmail"),
        )
    ]  # fmt: skip
    process = subprocess.Popen(
        ["unshare", "-m", "sh", "-ec", f"{' && '.join(mounts)} && exec cron -f"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={"PATH": lab.PATH},
    )  # fmt: skip
    try:
        end = time.monotonic() + MINUTE
        while time.monotonic() < end and not all(
            (tmp_path / f"{name}.status").exists() for name in ("in-sync", "edited", "built")
        ):
            time.sleep(0.2)
        time.sleep(1)
    finally:
        process.terminate()
        process.wait(20)
    assert (tmp_path / "in-sync.status").read_text() == "0\n"
    assert (tmp_path / "edited.status").read_text() == "1\n"
    assert (tmp_path / "built.status").read_text() == "1\n"
    mails = [path.read_text() for path in (tmp_path / "mail").iterdir()]
    assert len(mails) == 2
    for mail in mails:
        assert re.search(r"^To: root$", mail, re.MULTILINE)
        assert "quickstart: drift: 1 changed in 1 file" in mail


def of_a_bundle(machine: Machine, folder: Path) -> str:
    """The file that a bundle brings when its policy asks for cron, with only its minutes and the root moved."""
    site = folder / "quickstart.toml"
    installed = Path(sys.executable).parent / "mailcfg"
    asked = f'\n[watch]\ncron = true\ncommand = "{installed}"\n'
    site.write_text((ROOT / "sites/quickstart.toml").read_text() + asked)
    assert mailcfg("build", site, "-o", folder / "dist", "--quiet").code == 0
    text = (folder / "dist/quickstart/watch/mailcfg.cron").read_text()
    line = f"*/10 * * * * root {installed} drift\n"
    assert text.count(line) == 1
    there = f"{installed} drift {machine.bundle} --root {machine.root}"
    return text.replace(line, f"* * * * * root {there}; echo $? > {folder}/built.status\n")


def test_the_units_are_what_systemd_wants(machine: Machine, edited: Machine, tmp_path: Path) -> None:
    lab.needs("systemd-analyze")
    start = next(line for line in lines_of("mailcfg-drift.service") if line.startswith("ExecStart="))
    assert start == f"ExecStart={COMMAND}"
    assert "OnCalendar=*:0/10" in lines_of("mailcfg-drift.timer")
    for name in ("mailcfg-drift.service", "mailcfg-drift.timer"):
        text = (ROOT / "docs" / name).read_text().replace(COMMAND, command(machine))
        (tmp_path / name).write_text(text)
    done = lab.run(
        "systemd-analyze", "verify", "--man=no", tmp_path / "mailcfg-drift.service", tmp_path / "mailcfg-drift.timer"
    )
    assert (done.stdout, done.stderr) == ("", "")
    calendar = lab.run("systemd-analyze", "calendar", "*:0/10").stdout
    assert "Normalized form: *-*-* *:00/10:00" in calendar
    # systemd gives a service hardly any environment; its exit status is the unit's.
    for found, code in ((machine, 0), (edited, 1)):
        words = ["env", "-i", "MAILCFG_CACHE=", "sh", "-c", command(found)]
        done = subprocess.run(words, capture_output=True, text=True, cwd="/")
        assert (done.returncode, bool(done.stdout), done.stderr) == (code, bool(code), "")
