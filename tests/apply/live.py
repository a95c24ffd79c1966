"""A whole mail host to apply to, in mount and network namespaces of its own, so that this machine stays as it is.

Postfix is where its package puts it and listens on 25, 465 and 587 of a loopback of its own, and mailcfg runs as an
admin would run it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.postfix import lab
from tests.sites import ROOT
from tests.stories.machine import PACKAGED_MAIN, PACKAGED_MASTER, Answer

OWN = ("/etc", "/var/spool/postfix", "/var/lib", "/var/log", "/var/cache")
"""Directories that the host has for itself."""

SETTINGS = """maillog_file = /var/log/mail.log
inet_protocols = ipv4
mailbox_size_limit = 0
# a comment of the admin's
recipient_delimiter = +
"""

POSTLOG = "postlog   unix-dgram n -      n       -       1       postlogd\n"

EXTRA_SERVICES = """bounce    unix  -       -       y       -       0       bounce
defer     unix  -       -       y       -       0       bounce
trace     unix  -       -       y       -       0       bounce
rewrite   unix  -       -       y       -       -       trivial-rewrite
proxymap  unix  -       -       n       -       -       proxymap
showq     unix  n       -       y       -       -       showq
error     unix  -       -       y       -       -       error
retry     unix  -       -       y       -       -       error
anvil     unix  -       -       y       -       1       anvil
scache    unix  -       -       y       -       1       scache
"""


class Host:
    """The host, by the process that holds its namespaces. Paths of its files on this machine are below `path`."""

    def __init__(self, path: Path, holder: int) -> None:
        self.path = path
        self.holder = holder

    def at(self, place: str) -> Path:
        """Where a file of the host lies here."""
        for own in OWN:
            if place.startswith(f"{own}/"):
                return self.path / own.strip("/").replace("/", "-") / place[len(own) + 1 :]
        raise AssertionError(place)

    def read(self, place: str) -> str:
        return self.at(place).read_text()

    def write(self, place: str, text: str) -> None:
        self.at(place).write_text(text)
        self.cool()

    def replace(self, place: str, old: str, new: str) -> None:
        before = self.read(place)
        assert before.count(old) == 1, f"{old!r} stands {before.count(old)} times in {place}"
        self.write(place, before.replace(old, new))

    def cool(self) -> None:
        """Postfix waits two seconds for a file that was written just now."""
        for name in ("main.cf", "master.cf"):
            path = self.at(f"/etc/postfix/{name}")
            if path.exists():
                old = path.stat().st_mtime - 30
                os.utime(path, (old, old))

    def command(self, *words: str | Path) -> list[str]:
        return ["nsenter", "-t", str(self.holder), "-m", "-n", f"--wd={ROOT}", "--", *map(str, words)]

    def run(self, *words: str | Path, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command on the host."""
        return subprocess.run(
            self.command(*words),
            input="" if text is None else text,
            text=True,
            capture_output=True,
            timeout=120,
            cwd=ROOT,
            env={**os.environ, "PATH": lab.PATH, "MAILCFG_CACHE": ""},
        )

    def mailcfg(self, *words: str | Path) -> Answer:
        done = self.run(sys.executable, "-m", "mailcfg", *words)
        return Answer(done.returncode, done.stdout, done.stderr)

    def postfix(self, verb: str) -> subprocess.CompletedProcess[str]:
        return self.run("postfix", verb)

    @property
    def log(self) -> str:
        path = self.at("/var/log/mail.log")
        return path.read_text(errors="replace") if path.exists() else ""

    def master(self) -> int:
        """The process id of Postfix's master."""
        return int(self.read("/var/spool/postfix/pid/master.pid"))

    def stop(self) -> None:
        pid_file = self.at("/var/spool/postfix/pid/master.pid")
        pid = int(pid_file.read_text()) if pid_file.exists() else 0
        self.postfix("stop")
        if pid and not lab.ended(pid):
            os.kill(pid, signal.SIGTERM)
        lab.wait_for(f"master {pid} to end", lambda: not pid or lab.ended(pid))

    def client(self, *words: str) -> str:
        """What openssl s_client says of a handshake on the host."""
        done = self.run("timeout", "15", "openssl", "s_client", "-brief", *words, text="QUIT\r\n")
        return done.stdout + done.stderr


_HOLD = """
import ctypes, fcntl, os, signal, socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
fcntl.ioctl(s, 0x8914, struct.pack("16sh14x", b"lo", 0x49))
s.close()
print("ready", flush=True)
signal.pause()
"""
"""Sets the loopback interface up (SIOCSIFFLAGS: IFF_UP, IFF_LOOPBACK, IFF_RUNNING), and stays."""


@contextmanager
def host(path: Path, *, main: str = PACKAGED_MAIN, start: bool = True) -> Iterator[Host]:
    """A host with the package's own configuration; `start`: and Postfix running there."""
    lab.needs("postfix", "openssl", "unshare", "nsenter")
    path.chmod(0o755)
    mounts: list[str] = []
    for own in OWN:
        here = path / own.strip("/").replace("/", "-")
        if own in ("/etc", "/var/spool/postfix"):
            subprocess.run(["cp", "-a", own, str(here)], check=True)
        else:
            here.mkdir()
        mounts.append(f"mount --bind {here} {own}")
    (path / "var-lib" / "postfix").mkdir()
    shutil.chown(path / "var-lib" / "postfix", "postfix")
    shutil.rmtree(path / "etc" / "postfix" / "sasl", ignore_errors=True)
    for each in ("pid/master.pid", "private/tlsmgr"):
        (path / "var-spool-postfix" / each).unlink(missing_ok=True)
    process = subprocess.Popen(
        ["unshare", "-m", "-n", "sh", "-ec", f"{' && '.join(mounts)} && exec {sys.executable} -c '{_HOLD}'"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        made = Host(path, process.pid)
        made.write("/etc/postfix/main.cf", main.replace("alias_maps = hash:/etc/aliases", "alias_maps =") + SETTINGS)
        made.write("/etc/postfix/master.cf", PACKAGED_MASTER + EXTRA_SERVICES + POSTLOG)
        made.at("/etc/default").mkdir(exist_ok=True)
        if start:
            done = made.postfix("start")
            assert done.returncode == 0, done.stderr + made.log
        try:
            yield made
        finally:
            made.stop()
    finally:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
