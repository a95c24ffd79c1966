"""A policy put to work on a real Postfix, edited by hand ten times over, repaired, taken back; and what goes wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.apply.killed import snapshot
from tests.apply.live import Host, host
from tests.apply.scenarios import SITE
from tests.postfix import lab
from tests.sites import ROOT

ASK = """
import json, sys
from tests.postfix import smtp
found = {}
for port, implicit in ((25, False), (587, False), (465, True), (2525, False)):
    how = smtp.context()
    try:
        with smtp.Session(port, implicit=how if implicit else None) as session:
            clear = [] if implicit else session.ehlo()
            mail = None if implicit else session.say("MAIL FROM:<>")[0]
            inside, version = (session.ehlo(), session.tls.version()) if implicit else ([], "")
        if not implicit and "STARTTLS" in clear:
            with smtp.Session(port) as session:
                session.ehlo()
                if session.starttls(how) == 220:
                    inside, version = session.ehlo(), session.tls.version()
        found[port] = {"clear": sorted(smtp.mechanisms(clear)), "mail": mail, "starttls": "STARTTLS" in clear,
                       "inside": sorted(smtp.mechanisms(inside)), "version": version}
    except OSError as error:
        found[port] = {"error": str(error)}
print(json.dumps(found))
"""
"""What a client meets at each port, asked without anything of mailcfg."""


def clients(machine: Host) -> dict[str, Any]:
    done = machine.run(sys.executable, "-c", ASK)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
def machine() -> Iterator[Host]:
    with lab.directory() as path, host(path) as made:
        yield made


def etc(machine: Host) -> dict[str, tuple[str, int, int, int]]:
    return snapshot(machine.path / "etc")


def apply(machine: Host, *words: str, code: int = 0) -> str:
    answer = machine.mailcfg("apply", SITE, *words)
    assert answer.code == code, answer
    return answer.out + answer.err


POLICY = {
    "25": {"clear": [], "mail": 250, "starttls": True, "inside": [], "version": "TLSv1.3"},
    "587": {"clear": [], "mail": 530, "starttls": True, "inside": ["LOGIN", "PLAIN"], "version": "TLSv1.3"},
    "465": {"clear": [], "mail": None, "starttls": False, "inside": ["LOGIN", "PLAIN"], "version": "TLSv1.3"},
}


def edits(machine: Host) -> dict[tuple[str, str], str]:
    """Ten edits by hand; for each, by kind and setting, the consequence that is to be told (`harmless`, or nothing)."""
    main, master = "/etc/postfix/main.cf", "/etc/postfix/master.cf"
    machine.replace(main, "smtpd_sasl_auth_enable = no", "smtpd_sasl_auth_enable = yes")
    machine.replace(main, "smtpd_tls_auth_only = yes", "smtpd_tls_auth_only = no")
    machine.replace(main, "\nsmtp_tls_security_level=may", "\nsmtp_tls_security_level=none")
    machine.replace(main, "smtpd_tls_loglevel = 1", "smtpd_tls_loglevel = 0")
    text = machine.read(master)
    head, mark, tail = text.partition("submission inet")
    tail = tail.replace("smtpd_tls_security_level=encrypt", "smtpd_tls_security_level=may", 1)
    text = head + mark + tail
    start = text.index("submissions inet")
    text = text[:start] + "".join(f"#{line}" for line in text[start:].splitlines(True))
    text += "2525 inet n - y - - smtpd\n  -o smtpd_sasl_auth_enable=yes\n  -o smtpd_tls_security_level=none\n"
    text += "  -o smtpd_tls_auth_only=no\n"
    machine.write(master, text)
    machine.replace("/etc/postfix/sasl/smtpd.conf", "PLAIN LOGIN", "PLAIN LOGIN CRAM-MD5")
    machine.replace("/etc/default/saslauthd", 'MECHANISMS="pam"', 'MECHANISMS="shadow"')
    machine.at("/etc/ssl/private/mail.key").chmod(0o644)
    return {
        ("changed", "smtpd_sasl_auth_enable"): "port 25: AUTH PLAIN LOGIN CRAM-MD5 is offered in cleartext",
        ("changed", "smtpd_tls_auth_only"): "port 25: AUTH PLAIN LOGIN CRAM-MD5 is offered in cleartext",
        ("changed", "smtp_tls_security_level"): "the way out: ",
        ("changed", "smtpd_tls_loglevel"): "harmless",
        ("changed", "smtpd_tls_security_level"): "port 587: TLS is offered, not required",
        ("missing", "submissions/inet"): "port 465: nothing listens",
        ("extra", "2525/inet"): "port 2525: AUTH ",
        ("changed", "mech_list"): "port 587: AUTH ",
        ("changed", "MECHANISMS"): "",
        ("mode", ""): "every user of the machine can read /etc/ssl/private/mail.key",
    }


def test_the_whole_story(machine: Host) -> None:
    packaged = etc(machine)
    said = apply(machine)
    for words in ("port 25: verified: offered", "port 587: verified: required", "port 465: verified: implicit"):
        assert words in said
    assert "AUTH PLAIN LOGIN inside TLS" in said
    met = clients(machine)
    assert {port: met[port] for port in POLICY} == POLICY
    assert machine.mailcfg("drift", SITE).code == 0
    assert machine.mailcfg("drift").code == 0, "the bundle that was applied is what drift compares with"

    wanted = edits(machine)
    assert machine.postfix("reload").returncode == 0
    time.sleep(1)
    edited = etc(machine)
    answer = machine.mailcfg("drift", SITE, "--format", "json")
    assert answer.code == 1
    # What the listener of the admin's own shadows is told beside the listener itself.
    told = [each for each in answer.json["differences"] if (each["kind"], each["service"]) != ("shadowed", "2525/inet")]
    rows = {(each["kind"], each["setting"]): each for each in told}
    assert len(rows) == len(told)
    assert rows.keys() == wanted.keys()
    for edit, consequence in wanted.items():
        row = rows[edit]
        # An apply says nothing of a key but that others must not read it: who opened it cannot be told.
        assert row["cause"] == (None if edit == ("mode", "") else "edited-by-hand"), row
        if consequence == "harmless":
            assert row["harmless"], row
        else:
            assert not row["harmless"], row
            assert any(consequence in effect for effect in row["effects"]) or not consequence, row
    met = clients(machine)
    assert met["25"]["clear"] == ["CRAM-MD5", "LOGIN", "PLAIN"]
    assert met["587"]["mail"] == 250
    assert met["2525"]["clear"] == ["CRAM-MD5", "LOGIN", "PLAIN"]
    assert "error" in met["465"]

    said = apply(machine)
    assert "left as they are" in said
    assert "2525/inet" in said
    assert clients(machine)["2525"]["clear"] == ["LOGIN", "PLAIN"]
    said = apply(machine, "--prune")
    met = clients(machine)
    assert {port: met[port] for port in POLICY} == POLICY
    assert "error" in met["2525"]
    assert machine.mailcfg("drift", SITE).code == 0

    for _ in range(2):
        answer = machine.mailcfg("rollback")
        assert answer.code == 0, answer
    key = "ssl/private/mail.key"
    assert {name: each for name, each in etc(machine).items() if name != key} == {
        name: each for name, each in edited.items() if name != key
    }
    assert machine.at(f"/etc/{key}").stat().st_mode & 0o777 == 0o600, "what too many could read stays closed"
    assert clients(machine)["25"]["clear"] == ["CRAM-MD5", "LOGIN", "PLAIN"]
    answer = machine.mailcfg("rollback")
    assert answer.code == 1
    assert "was changed since it was applied" in answer.err
    answer = machine.mailcfg("rollback", "--discard-edits")
    assert answer.code == 0, answer
    made = {"ssl/certs/mail.pem", key}
    assert {name: each for name, each in etc(machine).items() if name not in made} == packaged
    assert machine.mailcfg("rollback").code == 2


def test_a_port_that_somebody_else_has(machine: Host) -> None:
    """master dies of it at the reload: all goes back, and Postfix runs as before."""
    squatter = subprocess.Popen(
        machine.command(
            sys.executable,
            "-c",
            "import socket,signal\ns=socket.socket()\ns.bind(('0.0.0.0',587))\ns.listen()\nsignal.pause()",
        )
    )
    try:
        lab.wait_for("the port to be taken", lambda: ":024B" in machine.run("cat", "/proc/net/tcp").stdout)
        before = etc(machine)
        said = apply(machine, code=1)
        assert "Postfix does not do what these files say:" in said
        assert "Postfix does not run any more" in said
        assert "rolled back: the files are as they were before, and in force" in said
        made = {"ssl/certs/mail.pem", "ssl/private/mail.key"}
        assert {name: each for name, each in etc(machine).items() if name not in made} == before
        assert machine.postfix("status").returncode == 0
        assert clients(machine)["25"]["mail"] == 250
        journal = [json.loads(line) for line in machine.read("/var/lib/mailcfg/journal").splitlines()]
        assert journal[-1]["event"] == "rolled back"
        assert "port 587" in journal[-1]["words"]
    finally:
        squatter.terminate()
        squatter.wait()
    assert "port 587: verified: required" in apply(machine)


def test_interfaces_need_a_restart(machine: Host, tmp_path: Path) -> None:
    site = machine.path / "quickstart.toml"
    site.write_text(SITE.read_text() + '\n[postfix.main]\ninet_interfaces = "loopback-only"\n')
    master = machine.master()
    answer = machine.mailcfg("apply", site)
    assert answer.code == 0, answer
    assert "restarted Postfix" in answer.out
    assert machine.master() != master
    listening = [line.split()[1] for line in machine.run("cat", "/proc/net/tcp").stdout.splitlines()[1:]]
    assert "0100007F:0019" in listening
    assert "00000000:0019" not in listening


def test_killed_when_the_files_are_in_force_and_postfix_does_not_know(machine: Host) -> None:
    """The next run tells it and proves it; a rollback instead takes it back."""
    for words, ports in ((("apply", SITE), True), (("rollback",), False)):
        before = etc(machine)
        command = machine.command(
            "strace", "-qq", "-o", "/dev/null", "-e", "trace=renameat2", "-e", "inject=renameat2:delay_exit=60000000",
            sys.executable, "-m", "mailcfg", "apply", str(SITE),
        )  # fmt: skip
        run = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
            env={**os.environ, "PATH": lab.PATH, "MAILCFG_CACHE": ""},
        )  # fmt: skip
        lab.wait_for("the exchange", lambda: "submissions inet" in machine.read("/etc/postfix/master.cf"))
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        assert "error" in clients(machine)["587"]
        answer = machine.mailcfg(*words)
        assert answer.code == 0, answer
        met = clients(machine)
        if ports:
            assert "an earlier run was killed after its files were in force" in answer.out
            assert {port: met[port] for port in POLICY} == POLICY
            assert machine.mailcfg("drift", SITE).code == 0
            assert machine.mailcfg("rollback").code == 0
        else:
            assert "error" in met["587"]
            made = {"ssl/certs/mail.pem", "ssl/private/mail.key"}
            assert {k: v for k, v in etc(machine).items() if k not in made} == {
                k: v for k, v in before.items() if k not in made
            }


def test_files_that_postfix_has_not_read(machine: Host) -> None:
    """They are as they should be, and newer than what runs: it is told to read them, and asked."""
    apply(machine)
    main = machine.at("/etc/postfix/main.cf")
    time.sleep(3)  # As far as drift rounds the times of processes.
    later = time.time()
    os.utime(main, (later, later))
    assert [each["kind"] for each in machine.mailcfg("drift", SITE, "--format", "json").json["differences"]] == [
        "pending"
    ]
    answer = machine.mailcfg("apply", SITE, "--format", "json")
    assert answer.code == 0, answer
    assert (answer.json["status"], answer.json["verified"], answer.json["postfix"]) == ("unchanged", True, "reload")


def test_without_a_running_postfix(machine: Host) -> None:
    machine.stop()
    said = apply(machine)
    assert "Postfix is not running: nothing was reloaded, and nothing could be verified" in said
    assert machine.postfix("start").returncode == 0
    assert {port: clients(machine)[port] for port in POLICY} == POLICY
