"""A machine in a directory: what the package leaves there, a bundle put in place by its own commands, and edits."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.postfix import lab
from tests.sites import ROOT

PACKAGED_MAIN = """# See /usr/share/postfix/main.cf.dist for a commented, more complete version

smtpd_banner = $myhostname ESMTP $mail_name (Debian/GNU)
biff = no

# appending .domain is the MUA's job.
append_dot_mydomain = no
readme_directory = no
compatibility_level = 3.6

# TLS parameters
smtpd_tls_cert_file=/etc/ssl/certs/ssl-cert-snakeoil.pem
smtpd_tls_key_file=/etc/ssl/private/ssl-cert-snakeoil.key
smtpd_tls_security_level=may

smtp_tls_CApath=/etc/ssl/certs
smtp_tls_security_level=may
smtp_tls_session_cache_database = btree:${data_directory}/smtp_scache


smtpd_relay_restrictions = permit_mynetworks permit_sasl_authenticated defer_unauth_destination
myhostname = package.example.com
alias_maps = hash:/etc/aliases
mydestination = $myhostname, localhost.localdomain,
  localhost
mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128
inet_interfaces = all
"""

WITHOUT_TLS = "".join(line for line in PACKAGED_MAIN.splitlines(True) if "_tls_" not in line)
"""The same of a package that leaves TLS to the admin."""

PACKAGED_MASTER = """#
# Postfix master process configuration file.
#
# service type  private unpriv  chroot  wakeup  maxproc command + args
smtp      inet  n       -       y       -       -       smtpd
#submission inet n       -       y       -       -       smtpd
#  -o syslog_name=postfix/submission
pickup    unix  n       -       y       60      1       pickup
cleanup   unix  n       -       y       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       y       1000?   1       tlsmgr
smtp      unix  -       -       y       -       -       smtp
relay     unix  -       -       y       -       -       smtp
        -o syslog_name=postfix/$service_name
local     unix  -       n       n       -       -       local
maildrop  unix  -       n       n       -       -       pipe
  flags=DRXhu user=vmail argv=/usr/bin/maildrop -d ${recipient}
"""


@dataclass
class Answer:
    """What one run of the command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def rows(self) -> list[tuple[str, str, str]]:
        """Kind, file and setting of each difference."""
        return [(each["kind"], each["file"], each["setting"]) for each in self.json["differences"]]


def mailcfg(*words: str | Path, **environment: str) -> Answer:
    """Run the command as a user would."""
    done = subprocess.run(
        [sys.executable, "-m", "mailcfg", *map(str, words)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
        env={**os.environ, **environment},
        cwd=ROOT,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


@dataclass
class Machine:
    """A root directory and the bundle that was put in place there."""

    root: Path
    bundle: Path

    def at(self, path: str) -> Path:
        """Where a file of the machine lies here."""
        return self.root / path.lstrip("/")

    def read(self, path: str) -> str:
        return self.at(path).read_text()

    def write(self, path: str, text: str) -> None:
        """Change a file's content in place, mode and owner kept."""
        with self.at(path).open("w") as file:
            file.write(text)

    def append(self, path: str, text: str) -> int:
        """Add text at the end; the number of its first line."""
        before = self.read(path)
        self.write(path, before + text)
        return before.count("\n") + 1

    def replace(self, path: str, old: str, new: str) -> int:
        """Replace a text that stands there once; the number of its line."""
        before = self.read(path)
        assert before.count(old) == 1, f"{old!r} stands {before.count(old)} times in {path}"
        self.write(path, before.replace(old, new))
        return before[: before.index(old)].count("\n") + 1

    def line(self, path: str, start: str) -> int:
        """The number of the only line that starts so."""
        (number,) = [at for at, text in enumerate(self.read(path).splitlines(), 1) if text.startswith(start)]
        return number

    def drift(self, *words: str | Path, target: Path | None = None, **environment: str) -> Answer:
        return mailcfg("drift", target or self.bundle, "--root", self.root, *words, **environment)

    def told(self) -> Answer:
        """The differences as JSON."""
        return self.drift("--format", "json")

    def postconf(self, *words: str) -> None:
        """Let the real postconf edit the configuration, as an admin does."""
        etc = self.at("/etc/postfix")
        old = time.time() - 60
        for name in ("main.cf", "master.cf"):
            # postconf waits two seconds for a file that was written just now.
            os.utime(etc / name, (old, old))
        lab.run("postconf", "-c", etc, *words)


def place(site: Path, folder: Path) -> Machine:
    """Build a site and put it in place on a machine that has just the package, by the commands that build prints."""
    done = mailcfg("build", site, "-o", folder / "dist", "--quiet", "--allow-findings")
    assert done.code == 0, done.err
    machine = Machine(folder / "root", folder / "dist" / site.stem)
    manifest = json.loads((machine.bundle / "manifest.json").read_text())
    etc = machine.at(manifest["config_directory"])
    etc.mkdir(parents=True)
    old = time.time() - 60
    packaged = PACKAGED_MAIN if manifest["platform"].startswith(("debian", "ubuntu")) else WITHOUT_TLS
    if manifest["platform"] == "debian-13":
        packaged = packaged.replace("CApath=/etc/ssl/certs\n", "CAfile = /etc/ssl/certs/ca-certificates.crt\n")
    for name, text in (("main.cf", packaged), ("master.cf", PACKAGED_MASTER)):
        (etc / name).write_text(text)
        os.utime(etc / name, (old, old))
    for step in manifest["steps"]:
        if step["name"] == "master.cf" and step["run"].startswith("cat "):
            # Before `postconf -Me` people were told to remove the older lines by hand.
            kept = (etc / "master.cf").read_text().replace("\nsmtp      inet", "\n#smtp      inet")
            (etc / "master.cf").write_text(kept + (machine.bundle / "postfix/master.cf").read_text())
        elif step["name"] in ("main.cf", "master.cf", "stock-services"):
            environment = {**os.environ, "PATH": lab.PATH, "MAIL_CONFIG": str(etc)}
            done_step = subprocess.run(
                ["sh", "-ec", step["run"]], cwd=machine.bundle, env=environment, text=True, capture_output=True
            )
            assert (done_step.returncode, done_step.stderr) == (0, ""), step
            for name in ("main.cf", "master.cf"):
                os.utime(etc / name, (old, old))
    for file in manifest["files"]:
        if file["target"] and file["path"] not in ("postfix/main.cf", "postfix/master.cf"):
            target = machine.at(file["target"])
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((machine.bundle / file["path"]).read_bytes())
            target.chmod(int(file["mode"], 8))
            if file["group"] != "root":
                shutil.chown(target, group=file["group"])
    for certificate in manifest["configuration"]["certificates"]:
        make(machine, certificate)
    for setting in manifest["configuration"]["parameters"]:
        if setting["name"] == "smtp_tls_CAfile" and not machine.at(setting["value"]).exists():
            # What the distribution's package of authorities brings.
            machine.at(setting["value"]).parent.mkdir(parents=True, exist_ok=True)
            lab.run(
                "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Example Root",
                "-keyout", folder / "root.key", "-out", machine.at(setting["value"]),
            )  # fmt: skip
        if setting["name"] == "smtp_sasl_password_maps":
            table = machine.at(setting["value"].partition(":")[2])
            table.write_text("[smtp.example.net]:587 user:example\n")
            table.chmod(0o600)
            lab.run("postmap", f"{setting['value'].partition(':')[0]}:{table}")
    for sasl in manifest["configuration"]["sasl"]:
        for setting in sasl["settings"]:
            if setting["name"] == "sasldb_path":
                lab.sasldb(machine.at(setting["value"]), manifest["hostname"], {"carol": "example"})
    return machine


def make(machine: Machine, certificate: dict[str, Any], days: int | None = None) -> None:
    """Make a certificate and its key, of the policy's type and with its names, where the policy has them."""
    key, pem = machine.at(certificate["key_file"]), machine.at(certificate["certificate_file"])
    for path in (key, pem):
        path.parent.mkdir(parents=True, exist_ok=True)
    kind, _, size = certificate["key_type"].partition("-")
    algorithm = ["rsa:" + size] if kind == "rsa" else ["ec", "-pkeyopt", f"ec_paramgen_curve:{size.replace('p', 'P-')}"]
    names = ",".join(f"{'IP' if each[-1].isdigit() else 'DNS'}:{each}" for each in certificate["names"])
    old = os.umask(0o077)
    try:
        lab.run(
            "openssl", "req", "-x509", "-newkey", *algorithm, "-nodes", "-subj", f"/CN={certificate['names'][0]}",
            "-days", str(days or 60), "-addext", f"subjectAltName={names}", "-keyout", key, "-out", pem,
        )  # fmt: skip
    finally:
        os.umask(old)
    pem.chmod(0o644)
    if certificate["ca_certificate_file"]:
        authority = machine.at(certificate["ca_certificate_file"])
        authority.write_bytes(pem.read_bytes())
        authority.chmod(0o644)


def copied(machine: Machine, folder: Path) -> Machine:
    """The same machine once more, to be changed."""
    shutil.copytree(machine.root, folder / "root", symlinks=True)
    for directory, folders, files in os.walk(machine.root):
        for name in [*folders, *files]:
            source = Path(directory, name)
            status = source.lstat()
            os.chown(folder / "root" / source.relative_to(machine.root), status.st_uid, status.st_gid)
    return Machine(folder / "root", machine.bundle)
