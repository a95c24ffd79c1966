"""Real servers on loopback, each in a directory of its own: Postfix, saslauthd, Dovecot. Nothing of the host changes.

Postfix sets SO_REUSEPORT, so a port is only sure to be ours when it was free a moment ago and is random; every daemon
is stopped by its own process id.
"""

from __future__ import annotations

import atexit
import os
import pty
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mailcfg.bundle import Bundle
from tests.sites import ROOT, built

TIMEOUT = 20
"""Seconds after which a server that does not answer is taken for dead."""

BASE_SERVICES = """
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - - smtp
showq     unix  n - n - - showq
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
virtual   unix  - n n - - virtual
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
postlog   unix-dgram n - n - 1 postlogd
"""
"""What every Postfix needs beside its listeners."""


def needs(*programs: str) -> None:
    """Skip where a real server cannot run, with the reason; in CI nothing is skipped."""
    missing = [program for program in programs if shutil.which(program, path=PATH) is None]
    reason = f"not installed: {', '.join(missing)} (sh tests/run installs it)" if missing else ""
    if os.geteuid() != 0:
        reason = "needs root: Postfix and saslauthd start as root"
    if reason and os.environ.get("CI"):
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)


PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"

PORTS = range(10_000, 32_000)
"""Below those that the system gives to clients: one of them would be taken by a connection that goes out meanwhile."""


def reserved() -> socket.socket:
    """A random port of loopback that is ours until this is closed: two servers that listen on one port would share its
    clients, since both set SO_REUSEPORT. It is below the range from which the system gives clients theirs.
    """
    while True:
        held = socket.socket()
        try:
            held.bind(("127.0.0.1", random.SystemRandom().choice(PORTS)))
        except OSError:
            held.close()
            continue
        # Set once it is known that the port was free, they let Postfix have it: up to 3.5 it has the second alone.
        for option in (socket.SO_REUSEPORT, socket.SO_REUSEADDR):
            held.setsockopt(socket.SOL_SOCKET, option, 1)
        return held


def free_port() -> int:
    """A port that is ours until this process ends."""
    held = reserved()
    atexit.register(held.close)
    port: int = held.getsockname()[1]
    return port


def run(*command: str | Path, check: bool = True, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, its output kept."""
    words = [str(word) for word in command]
    environment = {**os.environ, "PATH": PATH}
    done = subprocess.run(words, input=text, text=True, capture_output=True, timeout=60, env=environment)
    if check and done.returncode:
        raise AssertionError(f"{words}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def run_on_terminal(*command: str | Path) -> tuple[int, str]:
    """Run a command with a terminal for its errors: postfix(1) says nothing to anything else."""
    parent, child = pty.openpty()
    try:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=child,
            stderr=child,
            env={**os.environ, "PATH": PATH},
            start_new_session=True,
        )
        try:
            code = process.wait(TIMEOUT)
        except subprocess.TimeoutExpired:
            # A start that hangs has children, and the command alone would leave them behind.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        os.set_blocking(parent, False)
        try:
            said = os.read(parent, 65536).decode(errors="replace")
        except BlockingIOError:
            said = ""
        return code, said
    finally:
        os.close(child)
        os.close(parent)


@contextmanager
def directory() -> Iterator[Path]:
    """A short path that user postfix can enter, removed afterwards."""
    path = Path(tempfile.mkdtemp(prefix="mailcfg-lab-", dir="/tmp"))
    path.chmod(0o755)
    try:
        yield path
    finally:
        shutil.rmtree(path)


def wait_for(what: str, condition: object) -> None:
    """Wait until a condition (a function) holds; fail after TIMEOUT."""
    assert callable(condition)
    end = time.monotonic() + TIMEOUT
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited {TIMEOUT} s for {what}")
        time.sleep(0.02)


def answers(port: int) -> bool:
    """Whether something listens on the port."""
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@dataclass
class Postfix:
    """A private Postfix that runs a bundle. `ports` are those it must listen on."""

    path: Path
    ports: list[int] = field(default_factory=list)
    prefix: tuple[str, ...] = ()
    """A command in front of postfix, such as one that gives it a file system view of its own."""

    @property
    def etc(self) -> Path:
        return self.path / "etc"

    @property
    def spool(self) -> Path:
        return self.path / "spool"

    @property
    def log(self) -> str:
        log = self.path / "mail.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def prepare(self) -> None:
        """Make the directories with the owners that Postfix wants."""
        for name in ("etc/sasl", "spool", "data", "tls", "mail"):
            (self.path / name).mkdir(parents=True, exist_ok=True)
        shutil.chown(self.path / "data", "postfix")
        os.chown(self.path / "mail", 65534, 65534)

    def base_settings(self) -> str:
        """What a private instance needs, and a mailbox for test@lab.test; the policy has no say in it."""
        return f"""compatibility_level = 3.6
queue_directory = {self.spool}
data_directory = {self.path}/data
maillog_file_prefixes = /tmp
maillog_file = {self.path}/mail.log
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.2/32
mydestination =
alias_maps =
alias_database =
virtual_mailbox_domains = lab.test
virtual_mailbox_base = {self.path}/mail
virtual_mailbox_maps = inline:{{ test@lab.test=test/ }}
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
"""

    def configure(self, main_cf: str, master_cf: str) -> None:
        """Write main.cf and master.cf: what the bundle says, and the base for all else."""
        named = {line.partition(" =")[0] for line in main_cf.splitlines()}
        base = [line for line in self.base_settings().splitlines(True) if line.partition(" =")[0] not in named]
        (self.etc / "main.cf").write_text("".join(base) + main_cf)
        (self.etc / "master.cf").write_text(BASE_SERVICES + master_cf)
        # postconf and the daemons wait two seconds for a file that was written just now.
        old = time.time() - 60
        for name in ("main.cf", "master.cf"):
            os.utime(self.etc / name, (old, old))

    def command(self, verb: str) -> tuple[int, str]:
        return run_on_terminal(*self.prefix, "postfix", "-c", self.etc, verb)

    @contextmanager
    def running(self) -> Iterator[Postfix]:
        """Start, wait for the ports, and stop whatever happens."""
        code, said = self.command("start")
        try:
            assert code == 0, f"postfix start: {said}\n{self.log[-2000:]}"
            for port in self.ports:
                wait_for(f"port {port}: {self.log[-2000:]}", lambda port=port: answers(port))
            yield self
        finally:
            self.stop()

    def stop(self) -> None:
        pid_file = self.spool / "pid" / "master.pid"
        if not pid_file.exists():
            return
        pid = int(pid_file.read_text())
        self.command("stop")
        if not ended(pid):
            os.kill(pid, signal.SIGTERM)
        wait_for(f"master {pid} to end", lambda: ended(pid))

    def delivered(self) -> str:
        """The first mail that arrived for test@lab.test."""
        folder = self.path / "mail" / "test" / "new"
        wait_for(f"a mail: {self.log[-3000:]}", lambda: folder.is_dir() and any(folder.iterdir()))
        return next(folder.iterdir()).read_text()


def overlay(path: Path, site: str, text: str) -> Bundle:
    """Build a shipped site with its ports and directories moved: a policy that extends it and says only that."""
    shutil.copytree(ROOT / "sites", path / "sites", dirs_exist_ok=True)
    moved = path / "moved.toml"
    moved.write_text(f'extends = "sites/{site}.toml"\n{text}')
    return built(moved)


def place(bundle: Bundle, postfix: Postfix) -> None:
    """Put a bundle's files where they belong, below the private instance, and make its certificates."""
    contents = bundle.contents()
    for name, data in contents.items():
        if name.startswith("sasl2/"):
            (postfix.etc / "sasl" / name.removeprefix("sasl2/")).write_bytes(data)
        if name.startswith("openssl/"):
            folder = postfix.path / "openssl"
            folder.mkdir(exist_ok=True)
            (folder / name.removeprefix("openssl/")).write_bytes(data)
    for script in sorted((postfix.path / "openssl").glob("*.sh")):
        run("sh", script)
    postfix.configure(contents["postfix/main.cf"].decode(), contents.get("postfix/master.cf", b"").decode())


@contextmanager
def saslauthd(socket_directory: Path, users: dict[str, str], work: Path, root: str = "") -> Iterator[None]:
    """A saslauthd whose password file is its own: only this process sees it, through a mount namespace. With a root it
    is the one installed there, and its socket lies there too.
    """
    work.mkdir(mode=0o700, exist_ok=True)
    for name in ("passwd", "shadow"):
        (work / name).write_bytes(Path(f"{root}/etc", name).read_bytes())
    for user, password in users.items():
        hashed = run("openssl", "passwd", "-6", "-stdin", text=password + "\n").stdout.strip()
        with (work / "passwd").open("a") as file:
            file.write(f"{user}:x:7001:7001::/nonexistent:/usr/sbin/nologin\n")
        with (work / "shadow").open("a") as file:
            file.write(f"{user}:{hashed}:20000:0:99999:7:::\n")
    mounts = " && ".join(f"mount --bind {work}/{name} {root}/etc/{name}" for name in ("passwd", "shadow"))
    inside = f"/{socket_directory.relative_to(root or '/')}"
    command = f"{mounts} && exec {f'chroot {root}' if root else ''} saslauthd -a shadow -m {inside} -n 1 -d"
    with (work / "log").open("wb") as log:
        process = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "PATH": PATH},
        )
    try:
        wait_for("saslauthd's socket", lambda: (socket_directory / "mux").is_socket())
        yield
    finally:
        process.terminate()
        process.wait(TIMEOUT)


@contextmanager
def dovecot(path: Path, fragment: str, users: dict[str, str], opened: Path) -> Iterator[None]:
    """A Dovecot that only authenticates, with the bundle's fragment and a password file; it opens a socket."""
    path.mkdir()
    path.chmod(0o755)
    (path / "users").write_text("".join(f"{user}:{{PLAIN}}{password}\n" for user, password in users.items()))
    (path / "fragment.conf").write_text(fragment)
    (path / "dovecot.conf").write_text(
        f"""protocols =
base_dir = {path}/run
state_dir = {path}/state
log_path = {path}/log
ssl = no
passdb {{
  driver = passwd-file
  args = {path}/users
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home=/nonexistent
}}
!include {path}/fragment.conf
"""
    )
    with (path / "said").open("wb") as said:
        process = subprocess.Popen(
            ["dovecot", "-F", "-c", str(path / "dovecot.conf")],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            env={**os.environ, "PATH": PATH},
        )
    try:
        wait_for("dovecot's socket", lambda: opened.is_socket())
        yield
    finally:
        process.terminate()
        process.wait(TIMEOUT)


def sasldb(path: Path, realm: str, users: dict[str, str]) -> None:
    """A password database of Cyrus SASL that user postfix may read."""
    for user, password in users.items():
        run("saslpasswd2", "-p", "-c", "-f", path, "-u", realm, user, text=password)
    shutil.chown(path, "root", "postfix")
    path.chmod(0o640)
