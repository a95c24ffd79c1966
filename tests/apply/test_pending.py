"""What the running Postfix has read, on a whole host: a weak listener that outlives its file, and no false alarm."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from tests.apply.live import Host, host
from tests.apply.scenarios import SITE
from tests.apply.test_story import clients
from tests.postfix import lab
from tests.stories.machine import Answer

MAIN, MASTER = "/etc/postfix/main.cf", "/etc/postfix/master.cf"


def drift(machine: Host, *words: str | Path) -> Answer:
    """As cron runs it, with what the last run remembered."""
    command = ("env", "MAILCFG_CACHE=/var/cache/mailcfg", sys.executable, "-m", "mailcfg", "drift", *words)
    done = machine.run(*command, SITE, "--format", "json")
    return Answer(done.returncode, done.stdout, done.stderr)


def pending(answer: Answer) -> list[str]:
    return [each["file"] for each in answer.json["differences"] if each["kind"] == "pending"]


def weaken(machine: Host) -> None:
    """Have the submission service ask for no TLS any more."""
    head, mark, tail = machine.read(MASTER).rpartition("submission inet")
    assert "smtpd_tls_security_level=encrypt" in tail
    machine.write(MASTER, head + mark + tail.replace("level=encrypt", "level=none", 1))


@pytest.mark.xdist_group("pending")
def test_a_weak_listener_behind_good_files() -> None:
    with lab.directory() as path, host(path) as machine:
        assert machine.mailcfg("apply", SITE).code == 0
        assert drift(machine).code == 0, "right after an apply"
        assert drift(machine).code == 0

        # Its bytes are known to be those that were read; without what was remembered nobody can tell.
        os.utime(machine.at(MASTER))
        assert drift(machine).code == 0
        assert pending(drift(machine, "--no-cache")) == [MASTER]

        # As a script does it: no second lies between.
        good = machine.at("/etc/good")
        machine.run("cp", "-p", MASTER, "/etc/good")
        weaken(machine)
        assert machine.postfix("reload").returncode == 0
        time.sleep(0.5)
        machine.run("cp", "-p", "/etc/good", MASTER)
        assert machine.at(MASTER).read_bytes() == good.read_bytes()
        answer = drift(machine)
        assert (answer.code, pending(answer)) == (1, [MASTER])
        assert clients(machine)["587"]["mail"] == 250, "what the files forbid"

        # An apply has it read. In this one main.cf stays, and only its neighbours change places.
        machine.replace("/etc/postfix/sasl/smtpd.conf", "PLAIN LOGIN", "PLAIN LOGIN CRAM-MD5")
        weaken(machine)
        inode = machine.at(MAIN).stat().st_ino
        answer = machine.mailcfg("apply", SITE, "--prune")
        assert answer.code == 0, answer
        assert machine.at(MAIN).stat().st_ino == inode
        assert clients(machine)["587"]["mail"] == 530
        assert drift(machine).code == 0
        assert machine.mailcfg("rollback").code == 0
        assert pending(drift(machine)) == []
