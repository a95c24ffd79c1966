"""Where drawn configurations run: a private Postfix, on this machine or in a chroot of another Debian, with saslauthd,
password databases and certificates of every kind. It stays, and each batch is a restart.
"""

from __future__ import annotations

import datetime
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from mailcfg.facts.version import Version
from tests.behaviour.drawn import HOST, Batch, Case, Layout
from tests.behaviour.observed import Observed, observe
from tests.behaviour.sasl_client import Client, Credentials
from tests.chroots import SUITES
from tests.postfix import lab

USER, PASSWORD = "test", "right password 1"

WORKERS = 12
"""How many listeners are asked at a time."""

EVERY = 8
"""Of how many listeners one is asked for all its cipher suites."""

LOGGER = """
import socket, sys
sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
sock.bind(sys.argv[1])
with open(sys.argv[2], "ab", buffering=0) as log:
    while True:
        log.write(sock.recv(65536).rstrip(b"\\n") + b"\\n")
"""
"""Stands for postlogd, which a busy start can make wait for itself: it tells the log about main.cf before it reads what
others have told, and Linux keeps ten messages.
"""

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class Postfix(lab.Postfix):
    """A private Postfix below a root; `path` is as the root's machine sees it."""

    def __init__(self, root: str, inside: str, postfix: Version) -> None:
        super().__init__(Path(root + inside))
        self.root = root
        self.inside = inside
        self.version = postfix

    def prepare(self) -> None:
        """Make the directories: what belongs to postfix, belongs to the user of that name below the root."""
        for name in ("etc/sasl", "etc/elsewhere", "spool/public", "data", "tls", "auth", "users", "closed"):
            (self.path / name).mkdir(parents=True, exist_ok=True)
        self.path.chmod(0o755)
        owner, _ = self.ids("passwd", "postfix")
        os.chown(self.path / "data", owner, 0)
        # Postfix would make this one itself, but the logger comes first.
        os.chown(self.spool / "public", owner, self.ids("group", "postdrop")[0])
        (self.spool / "public").chmod(0o710)

    def ids(self, file: str, name: str) -> tuple[int, ...]:
        """The numbers in a line of passwd or group below the root."""
        lines = Path(f"{self.root}/etc/{file}").read_text().splitlines()
        found = next(line for line in lines if line.startswith(f"{name}:"))
        return tuple(int(word) for word in found.split(":")[2:4] if word.isdecimal())

    def base_settings(self) -> str:
        level = "compatibility_level = 3.6" if self.version.series >= (3, 6) else "compatibility_level = 2"
        return f"""{level}
myhostname = {HOST}
queue_directory = {self.inside}/spool
data_directory = {self.inside}/data
maillog_file_prefixes = /tmp
maillog_file = {self.inside}/unused.log
postlog_service_name = lab
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.2/32
mydestination =
alias_maps =
alias_database =
smtpd_peername_lookup = no
smtpd_error_sleep_time = 0
smtpd_soft_error_limit = 1000
smtpd_hard_error_limit = 2000
smtpd_client_connection_count_limit = 0
max_idle = 30
service_throttle_time = 1
"""

    def stop(self) -> None:
        """End master, which ends the rest; `postfix stop` would wait for a whole second."""
        pid_file = self.spool / "pid" / "master.pid"
        if pid_file.exists():
            pid = int(pid_file.read_text())
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            lab.wait_for(f"master {pid} to end", lambda: _ended(pid))

    def command(self, verb: str) -> tuple[int, str]:
        # Without a terminal it is silent, and its many warnings cannot fill one that nobody reads; the log has them.
        command = [*chrooted(self.root), "postfix", "-c", f"{self.inside}/etc", verb]
        nothing = subprocess.DEVNULL
        environment = {**os.environ, "PATH": lab.PATH}
        for _ in range(20):
            done = subprocess.run(command, stdin=nothing, stdout=nothing, stderr=nothing, env=environment, timeout=60)
            if not done.returncode or "already running" not in self.log[-200:]:
                break
            # A daemon that master was about to start when it ended still holds its lock.
            time.sleep(0.1)
        return done.returncode, ""


def _ended(pid: int) -> bool:
    """Whether a process is over, even if nobody has asked for its exit status yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def chrooted(root: str) -> tuple[str, ...]:
    return ("chroot", root) if root else ()


class Stage:
    """A place where batches run. `root` is empty for this machine."""

    def __init__(self, root: str, path: Path) -> None:
        self.root = root
        self.inside = str(path).removeprefix(root)
        self.platform = SUITES.get(Path(root).name, "debian-12")
        self.version = Version.parse(lab.run(*chrooted(root), "postconf", "-h", "mail_version").stdout.strip())
        self.openssl = lab.run(*chrooted(root), "openssl", "version").stdout.split()[1]
        self.layout = Layout(self.inside, self.version)
        self.postfix = Postfix(root, self.inside, self.version)
        self.sasl = Client(Credentials(USER, PASSWORD, HOST))
        self.postfix.prepare()
        _certificates(self.postfix.path / "tls")
        self._users()

    @property
    def config_directory(self) -> str:
        """As the machine below the root sees it."""
        return f"{self.inside}/etc"

    def _users(self) -> None:
        users = self.postfix.path / "users"
        database = f"{self.inside}/users/sasldb2"
        command = (*chrooted(self.root), "saslpasswd2", "-p", "-c", "-f", database, "-u", HOST, USER)
        lab.run(*command, text=PASSWORD)
        _, group = self.postfix.ids("passwd", "postfix")
        shutil.copy(users / "sasldb2", users / "unreadable")
        (users / "unreadable").chmod(0o600)
        os.chown(users / "sasldb2", 0, group)
        (users / "sasldb2").chmod(0o640)
        (users / "mux").touch()
        closed = self.postfix.path / "closed"
        os.link(users / "sasldb2", closed / "sasldb2")
        closed.chmod(0o700)

    def furnish(self, furnished: bool) -> None:
        """Put socket and users into the chroot of Postfix, or take them away."""
        spool = self.postfix.spool
        below = spool / self.inside.lstrip("/")
        shutil.rmtree(below, ignore_errors=True)
        shutil.rmtree(spool / "var", ignore_errors=True)
        if not furnished:
            return
        (below / "auth").mkdir(parents=True)
        (below / "users").mkdir()
        (spool / "var/run/saslauthd").mkdir(parents=True)
        os.link(self.postfix.path / "auth/mux", below / "auth/mux")
        os.link(self.postfix.path / "auth/mux", spool / "var/run/saslauthd/mux")
        for name in ("sasldb2", "unreadable"):
            os.link(self.postfix.path / "users" / name, below / "users" / name)

    @contextmanager
    def playing(self, batch: Batch) -> Iterator[None]:
        """Run a batch's Postfix."""
        etc = self.postfix.etc
        for folder in ("sasl", "elsewhere"):
            for old in (etc / folder).iterdir():
                old.unlink()
        for name, text in batch.sasl.items():
            (etc / name).write_text(text, newline="")
        self.furnish(batch.furnished)
        self.postfix.configure(batch.main_cf, batch.master_cf)
        if (self.postfix.spool / "pid").exists():
            (self.postfix.spool / "quick-start").touch()
        # Emptied, not replaced: the logger has it open.
        os.truncate(self.postfix.path / "mail.log", 0)
        with self.postfix.running():
            yield

    def observe(self, batch: Batch) -> dict[int, Observed]:
        """Run a batch and ask its listeners, several at a time; by port."""
        with self.playing(batch), ThreadPoolExecutor(WORKERS) as pool:
            deaths = Deaths(self.postfix.path / "mail.log")

            def ask(case: Case) -> Observed:
                try:
                    return observe(
                        case.port,
                        self.sasl,
                        deaths.watch(case),
                        implicit=case.implicit,
                        every_suite=case.number % EVERY == 0,
                    )
                except Exception as error:
                    error.add_note(f"{case}\n{''.join(self.log_of(case))}")
                    raise

            return dict(zip((case.port for case in batch.cases), pool.map(ask, batch.cases), strict=True))

    def log_of(self, case: Case) -> list[str]:
        """The lines of the log that are about a listener, without the routine ones."""
        routine = ("connect from", "disconnect from", "lost connection", "warning: unknown[127.0.0.1]: SASL")
        lines = self.postfix.log.splitlines(True)
        return [line for line in lines if f" case{case.number}/" in line and not any(each in line for each in routine)]


class Deaths:
    """Knows which daemons cannot start. A client meets silence there: nobody has accepted its connection.

    One that dies says so in the log and sleeps for a second, so that it is seen in /proc, where its port stands. master
    starts another after service_throttle_time. That is short here, since master sometimes takes a daemon that died in
    its first session for one that cannot start.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._position = 0
        self._looked = 0.0
        self._died: set[int] = set()
        self._said: set[str] = set()
        self._started: defaultdict[int, set[int]] = defaultdict(set)

    def watch(self, case: Case) -> Callable[[], bool]:
        """A function that says whether the listener's daemon has died."""
        name = f"case{case.number}"

        def gone() -> bool:
            with self._lock:
                self._look()
                started = self._started[case.port]
                return name in self._said or not started.isdisjoint(self._died) or len(started) > 3

        return gone

    def _look(self) -> None:
        if time.monotonic() - self._looked < 0.25:
            return
        with self._log.open("rb") as log:
            log.seek(self._position)
            data = log.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._position += len(whole)
        for name, process in DEATH.findall(whole.decode(errors="replace")):
            self._said.add(name)
            self._died.add(int(process))
        for process, port in _daemons():
            self._started[port].add(process)
        self._looked = time.monotonic()


DEATH = re.compile(r" ([^ /]+)/smtpd\[(\d+)\]: (?:fatal|panic): ")


def _daemons() -> Iterator[tuple[int, int]]:
    """The processes of smtpd, each with its port."""
    for path in Path("/proc").iterdir():
        if not path.name.isdecimal():
            continue
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if len(words) > 3 and words[1] == b"-n" and words[2].startswith(b"127.0.0.1:"):
            yield int(path.name), int(words[2].partition(b":")[2])


@contextmanager
def ports(count: int) -> Iterator[list[int]]:
    """Ports that are ours for a while."""
    with ExitStack() as held:
        yield [held.enter_context(lab.reserved()).getsockname()[1] for _ in range(count)]


@contextmanager
def stage(root: str = "") -> Iterator[Stage]:
    """A stage with everything, removed afterwards."""
    path = Path(tempfile.mkdtemp(prefix="mailcfg-lab-", dir=f"{root}/tmp"))
    try:
        made = Stage(root, path)
        with logger(path), lab.saslauthd(path / "auth", {USER: PASSWORD}, path / "saslauthd", root):
            os.link(path / "auth/mux", path / "closed/mux")
            yield made
    finally:
        shutil.rmtree(path)


@contextmanager
def logger(path: Path) -> Iterator[None]:
    """What daemons say goes to mail.log."""
    (path / "mail.log").touch()
    service = path / "spool/public/lab"
    process = subprocess.Popen([sys.executable, "-IS", "-c", LOGGER, service, path / "mail.log"])
    try:
        lab.wait_for("the logger's socket", service.is_socket)
        yield
    finally:
        process.terminate()
        process.wait(lab.TIMEOUT)


# --- certificates ----------------------------------------------------------------------------------------------------


def _pem(key: Key, how: PrivateFormat = PrivateFormat.PKCS8, secret: KeySerializationEncryption | None = None) -> bytes:
    return key.private_bytes(Encoding.PEM, how, secret or NoEncryption())


def _certificate(stem: str, key: Key, issuer: Key | None = None, *, expired: bool = False) -> bytes:
    """A certificate whose second name tells which it is."""
    now = datetime.datetime.now(datetime.UTC)
    end = now + datetime.timedelta(days=-1 if expired else 800)
    names = [x509.DNSName(HOST), x509.DNSName(f"{stem}.lab.test")]
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, HOST)])
    above = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "lab CA")]) if issuer else name
    signing = issuer or key
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(above)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=10))
        .not_valid_after(end)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(signing, None if isinstance(signing, ed25519.Ed25519PrivateKey) else hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )


def _certificates(folder: Path) -> None:
    """Files of every kind that `drawn` names, readable by root alone."""
    files: dict[str, bytes] = {}
    keys: dict[str, Key] = {
        "rsa": rsa.generate_private_key(65537, 2048),
        "rsa2": rsa.generate_private_key(65537, 2048),
        "small": rsa.generate_private_key(65537, 1024),
        "ec": ec.generate_private_key(ec.SECP256R1()),
        "ec2": ec.generate_private_key(ec.SECP256R1()),
        "p384": ec.generate_private_key(ec.SECP384R1()),
        "ed": ed25519.Ed25519PrivateKey.generate(),
    }
    keys["expired"] = keys["chained"] = keys["rsa2"]
    authority = ec.generate_private_key(ec.SECP256R1())
    for stem, key in keys.items():
        files[f"{stem}.key"] = _pem(key)
        files[f"{stem}.pem"] = _certificate(
            stem, key, authority if stem == "chained" else None, expired=stem == "expired"
        )
        files[f"{stem}-key-first.pem"] = files[f"{stem}.key"] + files[f"{stem}.pem"]
        files[f"{stem}-cert-first.pem"] = files[f"{stem}.pem"] + files[f"{stem}.key"]
    files["chained.pem"] += _certificate("authority", authority)
    files["encrypted.key"] = _pem(keys["rsa"], secret=BestAvailableEncryption(b"secret"))
    files["traditional.key"] = _pem(keys["rsa"], PrivateFormat.TraditionalOpenSSL)
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    files["parameters.key"] = parameters + _pem(keys["ec"], PrivateFormat.TraditionalOpenSSL)
    files["two.pem"] = files["rsa-key-first.pem"] + files["ec-key-first.pem"]
    files["garbage.pem"] = b"this is no certificate\n" * 5
    files["empty.pem"] = b""
    files["garbled.pem"] = b"-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n"
    files["torn.pem"] = files["rsa-key-first.pem"][:-40]
    for name, data in files.items():
        (folder / name).touch(mode=0o600)
        (folder / name).write_bytes(data)
    lab.run(
        "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-sha1", "-days", "800", "-subj", f"/CN={HOST}",
        "-addext", f"subjectAltName=DNS:{HOST},DNS:sha1.lab.test",
        "-keyout", folder / "sha1.key", "-out", folder / "sha1.pem",
    )  # fmt: skip
