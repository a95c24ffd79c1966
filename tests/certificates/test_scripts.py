"""The openssl scripts, run by real shells with the real openssl."""

from __future__ import annotations

import fcntl
import os
import pty
import random
import re
import shutil
import signal
import subprocess
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mailcfg.bundle import bundle
from tests.postfix import lab
from tests.sites import GOLDEN, compiled_text

SCRIPTS = sorted([*GOLDEN.glob("*/openssl/*.sh"), *GOLDEN.glob("*/acme/*.sh")])
SHELLS = [["dash"], ["bash", "--posix"], *([["busybox", "sh"]] if shutil.which("busybox") else [])]
MAKING = ["self-signed", "csr", "private-ca"]
VERIFYING = ["existing", "acme"]
NAMES = ["mail.example.com", "*.example.org", "192.0.2.25", "2001:db8::25"]


class Site:
    """One certificate of a policy whose files all lie in a directory of the test."""

    def __init__(
        self, folder: Path, issuer: str, key: str = "ecdsa-p256", names: list[str] = NAMES, more: str = ""
    ) -> None:
        self.folder = folder
        self.issuer = issuer
        self.key = folder / "private" / "mail.key"
        self.certificate = folder / "certs" / "mail.pem"
        self.csr = folder / "requests" / "mail.csr"
        self.ca = folder / "ca" / "ca.pem"
        self.ca_key = folder / "ca-private" / "ca.key"
        self.script = folder / "openssl" / "mail.sh"
        self.request = folder / "openssl" / "mail.cnf"
        lines = [
            'hostname = "mail.example.com"',
            'platform = "debian-12"',
            "[certificates.mail]",
            f'issuer = "{issuer}"',
            f'key = "{key}"',
            f"names = {names}",
            f'key_file = "{self.key}"',
            f'certificate_file = "{self.certificate}"',
        ]
        lines += [f'csr_file = "{self.csr}"'] if issuer == "csr" else []
        lines += [f'ca_key_file = "{self.ca_key}"'] if issuer == "private-ca" else []
        lines += [f'ca_certificate_file = "{self.ca}"'] if issuer != "self-signed" else []
        self.files = bundle("site", compiled_text(folder, "\n".join([*lines, more])).configuration).contents()
        for name, data in self.files.items():
            if name.startswith(("openssl/", "acme/")):
                path = folder / name
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(data)

    def start(self, *shell: str, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*(shell or ("sh",)), str(self.script)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            env={**os.environ, **environment},
            start_new_session=True,
        )

    def run(self, *shell: str, **environment: str) -> tuple[int, str, str]:
        process = self.start(*shell, **environment)
        out, err = process.communicate(timeout=30)
        return process.returncode, out, err

    def succeeds(self, *shell: str) -> str:
        code, out, err = self.run(*shell)
        assert (code, err) == (0, ""), err
        return out

    def fails(self, *shell: str, **environment: str) -> str:
        """What it says when it fails: one sentence with the certificate's name in front."""
        code, _, err = self.run(*shell, **environment)
        assert code == 1
        # Where a tool of the system failed, its reason stands before the sentence.
        assert re.fullmatch(r"(?:mkdir: [^\n]+\n)?certificate mail: [^\n]+\.\n", err), err
        return err

    def state(self) -> dict[str, tuple[int, bytes]]:
        """Every file there is, by its inode and bytes."""
        found = [path for path in self.folder.rglob("*") if path.is_file()]
        return {str(path.relative_to(self.folder)): (path.stat().st_ino, path.read_bytes()) for path in found}

    def is_sound(self) -> None:
        """Key, certificate and names fit, as openssl sees it; nobody else can read the key."""
        assert mode(self.key) == 0o600
        assert mode(self.certificate) == 0o644
        public = openssl("pkey", "-in", self.key, "-pubout")
        assert openssl("x509", "-in", self.certificate, "-noout", "-pubkey") == public
        for name in NAMES[:2]:
            host = name.replace("*", "any")
            assert "does match" in openssl("x509", "-in", self.certificate, "-noout", "-checkhost", host)
        for name in NAMES[2:]:
            assert "does match" in openssl("x509", "-in", self.certificate, "-noout", "-checkip", name)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def openssl(*words: str | Path) -> str:
    return lab.run("openssl", *words).stdout


@pytest.fixture(scope="session")
def throwaway(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An authority outside of all policies: ca.pem and ca.key."""
    folder = tmp_path_factory.mktemp("authority")
    lab.needs("openssl")
    make_key(folder / "ca.key")
    subject = ["-subj", "/CN=Throw-away", "-addext", "basicConstraints=critical,CA:TRUE"]
    openssl("req", "-new", "-x509", "-days", "30", "-key", folder / "ca.key", *subject, "-out", folder / "ca.pem")
    return folder


def make_key(path: Path, *options: str) -> None:
    path.parent.mkdir(exist_ok=True)
    openssl("genpkey", *(options or ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")), "-out", path)
    path.chmod(0o600)


def encrypt(key: Path) -> None:
    """Give a key a passphrase."""
    made = key.with_suffix(".encrypted")
    openssl("pkey", "-in", key, "-aes256", "-passout", "pass:secret", "-out", made)
    made.replace(key)


def sign(site: Site, authority: Path, *, names: list[str] = NAMES, key: Path | None = None, days: int = 20) -> None:
    """Give a site a certificate by an authority. A negative number of days makes one that has expired."""
    work = authority / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    alternative = ",".join(f"{'IP' if re.match('[0-9]', name) else 'DNS'}:{name}" for name in names)
    (work / "index").write_text("")
    (work / "serial").write_text(f"{random.getrandbits(64):016X}\n")
    (work / "ca.cnf").write_text(
        f"[ca]\ndefault_ca = x\n[x]\ndatabase = {work}/index\nserial = {work}/serial\nnew_certs_dir = {work}\n"
        "default_md = sha256\npolicy = any\n[any]\ncommonName = supplied\n"
        f"[server]\nsubjectAltName = {alternative}\nbasicConstraints = CA:FALSE\n"
    )
    openssl("req", "-new", "-key", key or site.key, "-subj", "/CN=mail", "-out", work / "csr")
    end = time.time() + 86400 * days
    dates = [time.strftime("%Y%m%d%H%M%SZ", time.gmtime(each)) for each in (min(end, time.time()) - 86400, end)]
    ca: list[str | Path] = ["-config", work / "ca.cnf", "-keyfile", authority / "ca.key", "-cert", authority / "ca.pem"]
    limits = ["-startdate", dates[0], "-enddate", dates[1], "-extensions", "server", "-batch", "-notext"]
    openssl("ca", *ca, *limits, "-in", work / "csr", "-out", work / "pem")
    for path in (site.certificate, site.ca):
        path.parent.mkdir(exist_ok=True)
    site.certificate.write_bytes((work / "pem").read_bytes())
    site.certificate.chmod(0o644)
    if not site.ca.exists() and site.issuer != "self-signed":
        site.ca.write_bytes((authority / "ca.pem").read_bytes())


def provided(folder: Path, issuer: str, throwaway: Path) -> Site:
    """A site whose certificate is there, by the throw-away authority."""
    site = Site(folder, issuer)
    make_key(site.key)
    sign(site, throwaway)
    return site


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: f"{path.parts[-3]}-{path.parts[-2]}-{path.stem}")
def test_golden_scripts_are_posix(script: Path) -> None:
    for shell in SHELLS:
        lab.needs(shell[0])
        done = lab.run(*shell, "-n", script, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_golden_scripts_pass_shellcheck() -> None:
    lab.needs("shellcheck")
    assert len(SCRIPTS) > 10
    done = lab.run("shellcheck", "--norc", "-s", "sh", *SCRIPTS, check=False)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
@pytest.mark.parametrize("issuer", ["self-signed", "private-ca"])
def test_issued_by_the_host(tmp_path: Path, issuer: str, shell: list[str]) -> None:
    lab.needs("openssl", shell[0])
    site = Site(tmp_path, issuer)
    assert "valid until" in site.succeeds(*shell)
    site.is_sound()
    before = site.state()
    said = site.succeeds(*shell)
    assert "valid until" in said
    assert len(said.splitlines()) == 1
    assert site.state() == before
    if issuer == "private-ca":
        openssl("verify", "-CAfile", site.ca, site.certificate)
        openssl("verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", site.ca, site.certificate)
        assert mode(site.ca_key) == 0o600
        assert mode(site.ca) == 0o644


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
def test_request_for_an_authority(tmp_path: Path, throwaway: Path, shell: list[str]) -> None:
    lab.needs("openssl", shell[0])
    subject = '[certificates.mail.subject]\norganization = "Müller & Söhne, Inc. \\"X\\" $HOME"\ncountry = "DE"'
    site = Site(tmp_path, "csr", more=subject)
    assert f"send {site.csr}" in site.succeeds(*shell)
    text = openssl("req", "-in", site.csr, "-noout", "-text", "-verify")
    for name in (
        "DNS:mail.example.com",
        "DNS:*.example.org",
        "IP Address:192.0.2.25",
        "IP Address:2001:DB8:0:0:0:0:0:25",
    ):
        assert name in text
    shown = openssl("req", "-in", site.csr, "-noout", "-subject", "-nameopt", "multiline,utf8,-esc_msb,-esc_ctrl")
    assert 'organizationName          = Müller & Söhne, Inc. "X" $HOME\n' in shown
    assert "commonName                = mail.example.com\n" in shown
    assert mode(site.key) == 0o600
    before = site.state()
    site.succeeds(*shell)
    assert site.state() == before
    sign(site, throwaway)
    assert "valid until" in site.succeeds(*shell)
    site.is_sound()
    assert site.state()["private/mail.key"] == before["private/mail.key"]


def test_a_request_with_other_names_is_made_again(tmp_path: Path) -> None:
    lab.needs("openssl")
    site = Site(tmp_path, "csr", names=["old.example.com"])
    site.succeeds()
    key = site.key.read_bytes()
    site = Site(tmp_path, "csr")
    assert "making it again" in site.succeeds()
    assert "DNS:*.example.org" in openssl("req", "-in", site.csr, "-noout", "-text")
    assert site.key.read_bytes() == key


@pytest.mark.parametrize("shell", SHELLS, ids=lambda shell: shell[0])
@pytest.mark.parametrize("issuer", VERIFYING)
def test_what_others_made_is_verified(tmp_path: Path, throwaway: Path, issuer: str, shell: list[str]) -> None:
    lab.needs("openssl", shell[0])
    site = provided(tmp_path, issuer, throwaway)
    before = site.state()
    assert "valid until" in site.succeeds(*shell)
    assert site.state() == before


@pytest.mark.parametrize("key", ["ecdsa-p384", "rsa-2048", "rsa-3072"])
def test_key_types(tmp_path: Path, key: str) -> None:
    lab.needs("openssl")
    site = Site(tmp_path, "self-signed", key=key)
    site.succeeds()
    text = openssl("pkey", "-in", site.key, "-noout", "-text_pub")
    assert {"ecdsa-p384": "secp384r1", "rsa-2048": "(2048 bit", "rsa-3072": "(3072 bit"}[key] in text
    openssl("verify", "-purpose", "sslserver", "-CAfile", site.certificate, site.certificate)


@pytest.mark.parametrize("issuer", MAKING)
@pytest.mark.parametrize(
    "what", ["rsa key", "another curve", "unrelated", "empty", "passphrase", "dangling link", "directory"]
)
def test_a_key_is_never_replaced(tmp_path: Path, issuer: str, what: str) -> None:
    lab.needs("openssl")
    site = Site(tmp_path, issuer)
    site.key.parent.mkdir()
    words = f"{site.key} is not a private key, or has a passphrase that Postfix cannot enter"
    if what == "rsa key":
        make_key(site.key, "-algorithm", "RSA")
        words = f"{site.key} is not of type ecdsa-p256"
    elif what == "another curve":
        make_key(site.key, "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384")
        words = f"{site.key} is not of type ecdsa-p256"
    elif what == "passphrase":
        make_key(site.key)
        encrypt(site.key)
    elif what == "dangling link":
        site.key.symlink_to(tmp_path / "nowhere" / "key")
        words = f"{site.key} cannot be read"
    elif what == "directory":
        site.key.mkdir()
    else:
        site.key.write_bytes(b"my diary\n" if what == "unrelated" else b"")
    before = site.state()
    assert words in site.fails()
    after = site.state()
    assert after == before
    if what == "dangling link":
        assert site.key.is_symlink()
        assert not site.key.exists()


@pytest.mark.parametrize("issuer", ["self-signed", "existing"])
def test_a_passphrase_is_not_asked_for(tmp_path: Path, throwaway: Path, issuer: str) -> None:
    """Not even with a terminal that could answer."""
    lab.needs("openssl")
    site = provided(tmp_path, issuer, throwaway)
    encrypt(site.key)
    parent, child = pty.openpty()
    try:
        process = subprocess.Popen(
            ["sh", site.script],
            stdin=child,
            stdout=child,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(child, termios.TIOCSCTTY, 0),
        )
        _, err = process.communicate(timeout=20)
    finally:
        os.close(child)
        os.close(parent)
    assert process.returncode == 1
    assert "has a passphrase that Postfix cannot enter" in err
    assert err.count("\n") == 1


def traced(log: Path) -> list[tuple[str, str]]:
    """System calls with their process, each as one line even where another process came between."""
    begun: dict[str, str] = {}
    found: list[tuple[str, str]] = []
    for line in log.read_text().splitlines():
        process, call = line.split(maxsplit=1)
        if call.endswith("<unfinished ...>"):
            begun[process] = call.removesuffix("<unfinished ...>")
        elif call.startswith("<..."):
            found.append((process, begun.pop(process) + call.partition("resumed>")[2]))
        else:
            found.append((process, call))
    return found


@pytest.mark.parametrize("issuer", MAKING)
def test_keys_are_private_from_the_first_byte(tmp_path: Path, issuer: str) -> None:
    """Every file that ever holds a key is created for its owner alone, whatever the caller's umask, and stays so."""
    lab.needs("openssl", "strace")
    site = Site(tmp_path, issuer)
    log = tmp_path / "strace"
    calls = "umask,open,openat,creat,mkdir,mkdirat,link,linkat,rename,renameat,renameat2,chmod,fchmod,fchmodat"
    command = ["strace", "-f", "-qq", "-s", "4096", "-e", f"trace={calls}", "-o", str(log), "dash", str(site.script)]
    done = subprocess.run(command, capture_output=True, text=True, umask=0, timeout=60)
    assert done.returncode == 0, done.stderr
    every = traced(log)
    shell = every[0][0]
    changes = [each for each in every if not each[1].startswith("open") or "O_CREAT" in each[1]]
    changes = [each for each in changes if '"/dev/' not in each[1]]
    # dash asks for its umask by setting it to 0 and back; what follows the last of these is what it works with.
    own = [index for index, (process, call) in enumerate(changes) if process == shell and call.startswith("umask")]
    assert changes[own[-1]][1].startswith("umask(077)")
    assert own == list(range(len(own))), "nothing is made before"
    lines = [call for _, call in changes]
    for key in [site.key, *([site.ca_key] if issuer == "private-ca" else [])]:
        (made,) = [line for line in lines if re.match(rf'(?:open|creat).*"{key}\.new\.\d+/key"', line)]
        assert re.search(r"O_CREAT.*, 0600\)\s*= \d+$", made), made
        (placed,) = [line for line in lines if f'"{key}"' in line]
        assert placed.startswith("link"), "a key takes its place by a link, which never replaces anything"
        assert not [line for line in lines if "chmod" in line and str(key) in line]
        assert mode(key) == 0o600
        assert key.stat().st_nlink == 1
    assert list(tmp_path.rglob("*.new.*")) == []


FAULTS = ["another key", "missing name", "expired", "another authority", "garbage", "empty", "unreadable"]


def break_certificate(site: Site, fault: str, throwaway: Path) -> str:
    """Put a certificate with a fault in place; return what is said about it."""
    if fault == "another key":
        make_key(throwaway / "other.key")
        sign(site, throwaway, key=throwaway / "other.key")
        return f"{site.certificate} does not belong to the key {site.key}"
    if fault == "missing name":
        sign(site, throwaway, names=[NAMES[0], NAMES[2]])
        return f"{site.certificate} lacks the names DNS:*.example.org IP Address:2001:DB8:0:0:0:0:0:25"
    if fault == "expired":
        sign(site, throwaway, days=-1)
        return f"{site.certificate} has expired or is about to"
    if fault == "another authority":
        sign(site, throwaway, days=300)
        if site.issuer == "self-signed":
            return f"{site.certificate} does not verify as its own authority"
        if site.issuer == "private-ca":
            return f"{site.certificate} was not signed by {site.ca}"
        subject = ["-subj", "/CN=Another", "-addext", "basicConstraints=critical,CA:TRUE"]
        openssl("req", "-new", "-x509", "-days", "9", "-key", site.key, *subject, "-out", site.ca)
        return f"the chain of {site.certificate} does not verify against {site.ca}"
    if fault == "unreadable":
        # Root reads anything but a directory.
        site.certificate.unlink(missing_ok=True)
        site.certificate.mkdir(parents=True)
        return f"{site.certificate} is not a PEM certificate"
    site.certificate.write_bytes(b"-----BEGIN CERTIFICATE-----\nAAAA\n" if fault == "garbage" else b"")
    return f"{site.certificate} is not a PEM certificate"


@pytest.mark.parametrize("issuer", ["existing", "acme", "csr"])
@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_others_are_refused(tmp_path: Path, throwaway: Path, issuer: str, fault: str) -> None:
    lab.needs("openssl")
    site = provided(tmp_path, issuer, throwaway)
    words = break_certificate(site, fault, throwaway)
    before = site.state()
    said = site.fails()
    assert words in said
    assert site.state() == before


@pytest.mark.parametrize("issuer", ["self-signed", "private-ca"])
@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "unreadable"])
def test_own_faults_are_mended(tmp_path: Path, throwaway: Path, issuer: str, fault: str) -> None:
    """With the same key, and where there is one the same authority."""
    lab.needs("openssl")
    site = Site(tmp_path, issuer)
    site.succeeds()
    before = site.state()
    words = break_certificate(site, fault, throwaway)
    said = site.succeeds()
    assert words in said
    assert "issuing it again" in said
    assert "valid until" in said
    site.is_sound()
    after = site.state()
    kept = [name for name in before if name != "certs/mail.pem"]
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}


@pytest.mark.parametrize("issuer", ["existing", "private-ca"])
def test_only_the_named_authority_is_believed(tmp_path: Path, throwaway: Path, issuer: str) -> None:
    """Not those that openssl believes by itself, which a certificate may as well come from."""
    lab.needs("openssl")
    site = Site(tmp_path, issuer)
    if issuer == "private-ca":
        site.succeeds()
    else:
        make_key(site.key)
    words = break_certificate(site, "another authority", throwaway)
    trusted = tmp_path / "trusted"
    trusted.mkdir()
    shutil.copy(throwaway / "ca.pem", trusted)
    openssl("rehash", trusted)
    openssl_believes = {**os.environ, "SSL_CERT_DIR": str(trusted)}
    subprocess.run(["openssl", "verify", site.certificate], env=openssl_believes, check=True, capture_output=True)
    code, out, err = site.run(SSL_CERT_DIR=str(trusted))
    assert words in out + err
    assert code == (1 if issuer == "existing" else 0)


def test_a_directory_in_the_certificate_s_place(tmp_path: Path) -> None:
    lab.needs("openssl")
    site = Site(tmp_path, "self-signed")
    site.certificate.mkdir(parents=True)
    assert f"{site.certificate} is a directory" in site.fails()
    assert list(site.certificate.iterdir()) == []


def test_an_authority_without_its_key(tmp_path: Path) -> None:
    lab.needs("openssl")
    site = Site(tmp_path, "private-ca")
    site.succeeds()
    site.ca_key.unlink()
    assert "valid until" in site.succeeds()
    site.certificate.unlink()
    assert f"the authority's key {site.ca_key} is not here" in site.fails()
    make_key(site.ca_key)
    assert f"{site.ca} does not belong to the key {site.ca_key}" in site.fails()
    assert not site.certificate.exists()


@pytest.mark.parametrize("issuer", VERIFYING)
@pytest.mark.parametrize("what", ["key", "certificate"])
def test_missing_files_are_named(tmp_path: Path, throwaway: Path, issuer: str, what: str) -> None:
    lab.needs("openssl")
    site = provided(tmp_path, issuer, throwaway)
    path: Path = getattr(site, what)
    path.unlink()
    assert f"{path} is not there" in site.fails()


@pytest.mark.parametrize("issuer", MAKING)
def test_a_missing_request_is_named(tmp_path: Path, issuer: str) -> None:
    lab.needs("openssl")
    site = Site(tmp_path, issuer)
    site.request.unlink()
    assert f"{site.request} is missing" in site.fails()
    assert not site.key.exists()


@pytest.mark.parametrize("issuer", [*MAKING, *VERIFYING])
def test_without_openssl(tmp_path: Path, issuer: str) -> None:
    site = Site(tmp_path, issuer)
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("dirname", "mkdir", "rm", "ln", "mv", "chmod", "sed", "grep", "cut"):
        found = shutil.which(name)
        assert found
        (tools / name).symlink_to(found)
    assert "openssl is not installed" in site.fails(shutil.which("sh") or "sh", PATH=str(tools))
    assert not site.key.exists()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    with lab.directory() as path:
        yield path


@pytest.mark.parametrize("issuer", MAKING)
@pytest.mark.parametrize("made", [False, True], ids=["no directories", "directories of root"])
def test_without_permission(open_folder: Path, issuer: str, made: bool) -> None:
    lab.needs("openssl", "setpriv")
    site = Site(open_folder, issuer)
    if made:
        for path in (site.key, site.certificate, site.csr, site.ca, site.ca_key):
            path.parent.mkdir()
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    before = site.state()
    said = site.fails(*user, "sh")
    assert "cannot" in said
    assert site.state() == before


def test_a_key_that_others_may_not_read(open_folder: Path, throwaway: Path) -> None:
    lab.needs("openssl", "setpriv")
    site = provided(open_folder, "existing", throwaway)
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    assert f"{site.key} cannot be read" in site.fails(*user, "sh")


@pytest.mark.parametrize("issuer", MAKING)
def test_two_at_once(tmp_path: Path, issuer: str) -> None:
    lab.needs("openssl")
    for attempt in range(3):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        site = Site(folder, issuer)
        both = [site.start(), site.start()]
        for process in both:
            _, err = process.communicate(timeout=30)
            # The one that comes second to place its key says so; it has replaced nothing.
            assert process.returncode in (0, 1)
            assert "certificate mail: cannot place the key at" in err if process.returncode else err == ""
        assert 0 in [process.returncode for process in both]
        key = site.key.read_bytes()
        site.succeeds()
        assert site.key.read_bytes() == key
        if issuer != "csr":
            site.is_sound()
        assert list(folder.rglob("*.new.*")) == []


@pytest.mark.parametrize("issuer", MAKING)
def test_killed_in_the_middle(tmp_path: Path, issuer: str) -> None:
    """Whatever it was doing: the next run ends well, and what the killed one had placed is still there."""
    lab.needs("openssl")
    (tmp_path / "measured").mkdir()
    begin = time.monotonic()
    Site(tmp_path / "measured", issuer).succeeds()
    whole = time.monotonic() - begin
    folder = tmp_path / "killed"
    folder.mkdir()
    site = Site(folder, issuer)
    unfinished = 0
    for attempt in range(10):
        process = site.start()
        time.sleep(whole * (attempt + random.random()) / 10)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        unfinished += process.returncode == -signal.SIGKILL
        placed = {name: found for name, found in site.state().items() if ".new." not in name}
        site.succeeds()
        after = site.state()
        assert {name: after[name] for name in placed} == placed
        if issuer != "csr":
            site.is_sound()
        for path in (site.key, site.certificate, site.csr, site.ca, site.ca_key):
            # What was left of the killed run's work stays where it is, for the runs that follow.
            path.unlink(missing_ok=True)
    assert unfinished


def test_a_signal_leaves_nothing_behind(tmp_path: Path) -> None:
    lab.needs("openssl")
    site = Site(tmp_path, "self-signed", key="rsa-4096")
    process = site.start()
    lab.wait_for("the directory of work", lambda: list(tmp_path.rglob("*.new.*")) or process.poll() is not None)
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate(timeout=30)
    assert list(tmp_path.rglob("*.new.*")) == []


def test_the_hook_of_acme_reloads_postfix(tmp_path: Path) -> None:
    site = Site(tmp_path, "acme")
    (tmp_path / "systemctl").write_text('#!/bin/sh\nprintf "%s " "$@"\n')
    (tmp_path / "systemctl").chmod(0o755)
    (path,) = [name for name in site.files if name.startswith("acme/")]
    lab.run("sh", "-n", tmp_path / path)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["sh", tmp_path / path], env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "reload postfix ", "")
