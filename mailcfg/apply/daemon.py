"""The Postfix that runs here: what its own programs say of a configuration, and how it is made to read another one."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import time
from typing import NamedTuple

from mailcfg.cli import Failure

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where the programs of a mail host are: cron's PATH often lacks half of it."""

PATIENCE = 60
"""Seconds after which a program that should have ended is taken for stuck, and stopped."""

SYSTEMD = "/run/systemd/system"
"""The directory that is there while systemd is the first process (sd_booted(3))."""


class Ended(NamedTuple):
    """How a program ended, and all that it said, in lines."""

    code: int
    said: tuple[str, ...]


def program(name: str) -> str | None:
    """Where a program of this machine is; None where it is not installed."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{PATH}")


def run(*words: str) -> Ended:
    """Run a program to its end, on a terminal of its own: Postfix's programs say nothing to anything else."""
    parent, child = pty.openpty()
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=child,
            stderr=child,
            start_new_session=True,
            env={**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{PATH}", "LC_ALL": "C"},
        )
        os.close(child)
        child = -1
        data = _drained(parent, process)
    except OSError as error:
        raise Failure(f"{words[0]} could not be run: {error.strerror}") from None
    finally:
        if child >= 0:
            os.close(child)
        os.close(parent)
    text = data.decode(errors="replace").replace("\r\n", "\n")
    return Ended(process.returncode, tuple(line for line in text.split("\n") if line.strip()))


def _drained(parent: int, process: subprocess.Popen[bytes]) -> bytes:
    """All that a program writes, which has to be read while it runs or it would wait for a reader. A daemon that it
    leaves behind may hold the terminal open: the end of the program itself is what counts.
    """
    parts: list[bytes] = []
    end = time.monotonic() + PATIENCE
    while True:
        ready = select.select([parent], [], [], 0.05)[0]
        if ready:
            try:
                part = os.read(parent, 65536)
            except OSError:
                part = b""  # EIO: nobody holds the other end any more.
            if part:
                parts.append(part)
                continue
            process.wait(max(1.0, end - time.monotonic()))
            return b"".join(parts)
        if process.poll() is not None:
            return b"".join(parts)
        if time.monotonic() > end:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise Failure(f"{' '.join(process.args)} did not end within {PATIENCE} s")  # type: ignore[arg-type]


def booted_with_systemd() -> bool:
    """Whether systemd runs this machine."""
    return os.path.isdir(SYSTEMD)


class Daemon:
    """The Postfix of one configuration directory of this very machine. `packaged`: it is the platform's own, which
    systemd may look after; `restart` is the platform's command for that.
    """

    def __init__(self, directory: str, *, packaged: bool, restart: str) -> None:
        self.directory = directory
        self.packaged = packaged
        self._restart = restart
        self.postfix = program("postfix")
        self.postconf = program("postconf")

    def _postfix(self, verb: str, directory: str | None = None) -> Ended:
        assert self.postfix is not None
        return run(self.postfix, "-c", directory or self.directory, verb)

    def is_running(self) -> bool:
        """Whether its master runs."""
        return self.postfix is not None and self._postfix("status").code == 0

    def check(self, directory: str) -> Ended:
        """What `postfix check` says of a configuration directory."""
        return self._postfix("check", directory)

    def values(self, directory: str, names: list[str]) -> dict[str, str]:
        """The values that the real postconf reads of some parameters. Raises Failure where it refuses the file."""
        assert self.postconf is not None
        ended = _quietly(self.postconf, "-c", directory, *names)
        if ended.code:
            raise Failure(f"postconf refuses the new main.cf: {'; '.join(ended.said)}")
        found: dict[str, str] = {}
        for line in ended.said:
            name, equals, value = line.partition("=")
            if equals:
                found[name.strip()] = value.strip()
        return found

    def services(self, directory: str) -> list[str]:
        """The services that the real postconf reads, a line each. Raises Failure where it refuses the file."""
        assert self.postconf is not None
        ended = _quietly(self.postconf, "-c", directory, "-M")
        if ended.code:
            raise Failure(f"postconf refuses the new master.cf: {'; '.join(ended.said)}")
        return list(ended.said)

    def reload(self) -> Ended:
        """Have it read its files again; daemons end when they are done with the client that they have."""
        return self._postfix("reload")

    def restart(self) -> Ended:
        """Stop it and start it. What runs under systemd is restarted by it, or it would take Postfix for ended."""
        if self.packaged and booted_with_systemd():
            return run("/bin/sh", "-c", self._restart)
        stopped = self._postfix("stop")
        started = self.start()
        return Ended(started.code, (*(stopped.said if started.code else ()), *started.said))

    def start(self) -> Ended:
        """Start it, as after a crash."""
        if self.packaged and booted_with_systemd():
            return run("/bin/sh", "-c", self._restart)
        # `stop` returns before the last daemon has let go of its port.
        for _ in range(50):
            ended = self._postfix("start")
            if ended.code == 0 or "already running" not in " ".join(ended.said):
                return ended
            time.sleep(0.1)
        return ended


def _quietly(*words: str) -> Ended:
    """Run a program whose output is its answer: errors apart from it, and no terminal that would fold lines."""
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE,
            env={**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{PATH}", "LC_ALL": "C"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failure(f"{words[0]} could not be run: {error}") from None
    data = done.stderr if done.returncode else done.stdout
    return Ended(done.returncode, tuple(data.decode(errors="surrogateescape").splitlines()))
