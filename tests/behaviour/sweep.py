"""Which values smtpd dies of: `python -m tests.behaviour.sweep FILE [ROOT]…` asks the installed Postfix, and the one in
each chroot, and writes the facts. Some minutes each; not part of the test suite.

Each parameter that `postconf -d` lists is set for one smtpd alone: to `maybe` where it is a boolean, a number or a
time, else to nothing. Dead is a listener that sends no greeting, without TLS and SASL and again with both.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mailcfg.facts.parameters import catalogue
from mailcfg.facts.version import Version
from tests.postfix import lab

BATCH = 80
SKIPPED = {
    *("config_directory", "command_directory", "daemon_directory", "mail_version"),
    *("process_name", "process_id", "service_name"),
}
"""What would move the daemons, or is read-only."""

Setting = tuple[str, str]


def alive(port: int) -> bool:
    """Whether a listener greets and answers EHLO."""
    try:
        with socket.create_connection(("127.0.0.1", port), 2) as client:
            client.settimeout(2)
            if not client.recv(200).startswith(b"220"):
                return False
            client.sendall(b"EHLO client.lab.test\r\n")
            return client.recv(1000).startswith(b"250")
    except OSError:
        return False


class Sweep:
    """The sweep of one Postfix, installed or in a chroot."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.prefix = ["chroot", root] if root else []
        self.version = self.run("postconf", "-h", "mail_version").strip()
        known = catalogue()
        self.settings: list[Setting] = []
        for line in self.run("postconf", "-d").splitlines():
            name = line.partition(" =")[0]
            parameter = known.get(name)
            if name not in SKIPPED:
                word = parameter is not None and parameter.kind in ("bool", "integer", "time")
                self.settings.append((name, "maybe" if word else ""))

    def run(self, *words: str) -> str:
        return subprocess.run([*self.prefix, *words], text=True, capture_output=True, check=True).stdout

    def dead(self, *, tls: bool) -> set[Setting]:
        """The settings with which smtpd does not greet, each asked twice."""
        first = [each for start in range(0, len(self.settings), BATCH) for each in self.batch(start, tls=tls)]
        again = [each for start in range(0, len(first), BATCH // 2) for each in self.ask(first[start:][:40], tls=tls)]
        return set(again)

    def batch(self, start: int, *, tls: bool) -> list[Setting]:
        return self.ask(self.settings[start : start + BATCH], tls=tls)

    def ask(self, settings: list[Setting], *, tls: bool) -> list[Setting]:
        """One Postfix with a listener for each setting."""
        with tempfile.TemporaryDirectory(prefix="mailcfg-sweep-", dir=f"{self.root}/tmp") as folder:
            base = Path(folder)
            inside = "/" + str(base.relative_to(self.root)) if self.root else folder
            ports = self.place(base, inside, settings, tls=tls)
            self.postfix(inside, "start")
            try:
                time.sleep(1)
                with ThreadPoolExecutor(24) as pool:
                    return [ports[port] for port, lives in zip(ports, pool.map(alive, ports), strict=True) if not lives]
            finally:
                self.stop(base, inside)

    def place(self, base: Path, inside: str, settings: list[Setting], *, tls: bool) -> dict[int, Setting]:
        base.chmod(0o755)
        for name in ("etc/sasl", "spool", "data", "tls"):
            (base / name).mkdir(parents=True)
        os.chown(base / "data", int(self.run("id", "-u", "postfix")), -1)
        lab.run(
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=mail.example.com",
            "-keyout", base / "tls/key.pem", "-out", base / "tls/cert.pem",
        )  # fmt: skip
        (base / "etc/sasl/smtpd.conf").write_text("pwcheck_method: auxprop\nmech_list: PLAIN LOGIN\n")
        main = f"""compatibility_level = 3.6
queue_directory = {inside}/spool
data_directory = {inside}/data
maillog_file_prefixes = /tmp
maillog_file = {inside}/mail.log
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mail.example.com
mydestination =
alias_maps =
alias_database =
service_throttle_time = 1s
default_process_limit = 2000
cyrus_sasl_config_path = {inside}/etc/sasl
"""
        if tls:
            main += f"""smtpd_tls_security_level = may
smtpd_tls_cert_file = {inside}/tls/cert.pem
smtpd_tls_key_file = {inside}/tls/key.pem
smtpd_sasl_auth_enable = yes
"""
        ports = {lab.free_port(): each for each in settings}
        rows = "".join(
            f"127.0.0.1:{port} inet n - n - - smtpd\n  -o {{ {name} = {value} }}\n"
            for port, (name, value) in ports.items()
        )
        (base / "etc/main.cf").write_text(main)
        (base / "etc/master.cf").write_text(lab.BASE_SERVICES + rows)
        old = time.time() - 60
        for name in ("main.cf", "master.cf"):
            os.utime(base / "etc" / name, (old, old))
        return ports

    def postfix(self, inside: str, verb: str) -> None:
        # Its warnings would fill a terminal that nobody reads.
        subprocess.run(
            [*self.prefix, "postfix", "-c", f"{inside}/etc", verb],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=60,
        )

    def stop(self, base: Path, inside: str) -> None:
        pid_file = base / "spool/pid/master.pid"
        if not pid_file.exists():
            return
        pid = int(pid_file.read_text())
        try:
            self.postfix(inside, "stop")
        except subprocess.TimeoutExpired:
            os.kill(pid, signal.SIGKILL)
        lab.wait_for(f"master {pid} to end", lambda: lab.ended(pid))


def facts(swept: dict[str, tuple[set[Setting], set[Setting]]]) -> dict[str, object]:
    """The facts of several versions, each with the dead without TLS and with it."""
    known = catalogue()
    versions = sorted(swept, key=Version.parse)
    plain = set[Setting]().union(*(off for off, _ in swept.values()))
    # What SASL leaves out of a list is no matter of starting.
    tls = set[Setting]().union(*(on for _, on in swept.values())) - plain - {("smtpd_sasl_mechanism_filter", "")}
    changes: dict[str, dict[str, str]] = {}
    for setting in sorted(plain | tls):
        there = [each for each in versions if known.known_to(Version.parse(each))[setting[0]]]
        dead = [each for each in there if setting in swept[each][0] | swept[each][1]]
        if dead and dead != there:
            first = dead[0] == there[0]
            changes[setting[0]] = {"until" if first else "since": there[len(dead)] if first else dead[0]}

    def rows(found: set[Setting]) -> dict[str, list[str]]:
        return {
            "values": sorted(name for name, value in found if value),
            "nonempty": sorted(name for name, value in found if not value),
        }

    return {"versions": versions, "changes": changes, "smtpd": {**rows(plain), "tls": rows(tls)}}


def main() -> int:
    target, *roots = sys.argv[1:]
    swept: dict[str, tuple[set[Setting], set[Setting]]] = {}
    for root in ("", *roots):
        sweep = Sweep(root)
        swept[sweep.version] = sweep.dead(tls=False), sweep.dead(tls=True)
        print(
            f"Postfix {sweep.version}: {len(swept[sweep.version][0])} kill it, {len(swept[sweep.version][1])} with TLS"
        )
    Path(target).write_text(json.dumps(facts(swept), indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
