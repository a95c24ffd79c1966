"""The examples in the docstrings of rules, as files of a machine below a directory: they run as tests.

An example is indented below `Wrong:` or `Right:`. A line `# main.cf` begins a file of /etc/postfix, `# /etc/x` one with
that path, `# site.toml` a policy. `# platform NAME` and `# postfix VERSION` say what it is for. What cannot be written
down is described: `# PATH = PART, PART` with the parts of `made`. Without a master.cf there is a listener on port 25.
"""

from __future__ import annotations

import socket
import tempfile
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from mailcfg.checking import Checked, check_all
from mailcfg.subjects import Wish

LISTENER = "smtp inet n - n - - smtpd\n"
OTHERS = {"tlsmgr": "tlsmgr unix - - n 1000? 1 tlsmgr\n", "smtp": "smtp unix - - n - - smtp\n"}
PASSWD = "root:x:0:0::/root:/bin/sh\npostfix:x:101:102::/var/spool/postfix:/usr/sbin/nologin\n"
GROUP = "root:x:0:\npostfix:x:102:\nsasl:x:45:postfix\n"
HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha1": hashes.SHA1(),
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
}
CURVES: dict[str, type[ec.EllipticCurve]] = {
    "ecdsa-p256": ec.SECP256R1,
    "ecdsa-p384": ec.SECP384R1,
    "ecdsa-p521": ec.SECP521R1,
    "ecdsa-p192": ec.SECP192R1,
    "ecdsa-secp256k1": ec.SECP256K1,
}


class Example(NamedTuple):
    """One block: texts by path, descriptions by path, and what it is for."""

    files: dict[str, str]
    described: dict[str, str]
    platform: str
    postfix: str | None


def blocks(docstring: str) -> dict[str, list[Example]]:
    """The examples below each heading that ends in a colon."""
    found: dict[str, list[list[str]]] = {}
    heading = ""
    for line in docstring.splitlines():
        if line.startswith("    "):
            if heading:
                found[heading][-1].append(line[4:])
        elif line.rstrip().endswith(":") and " " not in line.strip():
            heading = line.strip()[:-1]
            found.setdefault(heading, []).append([])
        elif line.strip():
            heading = ""
        elif heading and found[heading][-1]:
            found[heading][-1].append("")
    return {name: [example(each) for each in each_block if any(each)] for name, each_block in found.items()}


def example(lines: list[str]) -> Example:
    """One block read."""
    files: dict[str, list[str]] = {}
    described: dict[str, str] = {}
    platform, postfix = "debian-12", None
    current: list[str] | None = None
    for line in lines:
        words = line[2:].split() if line.startswith("# ") else []
        if len(words) == 2 and words[0] == "platform":
            platform = words[1]
        elif len(words) == 2 and words[0] == "postfix":
            postfix = words[1]
        elif len(words) > 2 and words[0].startswith("/") and words[1] == "=":
            described[words[0]] = " ".join(words[2:])
        elif len(words) == 1 and (words[0].startswith("/") or words[0].endswith((".cf", ".conf", ".toml"))):
            current = files.setdefault(words[0], [])
        else:
            assert current is not None, f"{line!r} stands in no file"
            current.append(line)
    return Example(
        {name: "\n".join(text).strip("\n") + "\n" for name, text in files.items()}, described, platform, postfix
    )


def placed(found: Example, root: Path) -> list[str]:
    """Write an example below a root; what `mailcfg check` is to look at."""
    if "site.toml" in found.files:
        site = root / "site.toml"
        site.write_text(found.files["site.toml"])
        return [str(site)]
    etc = root / "etc/postfix"
    etc.mkdir(parents=True)
    for name, text in found.files.items():
        path = root / name[1:] if name.startswith("/") else etc / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    if not (etc / "main.cf").exists():
        (etc / "main.cf").write_text("")
    master = etc / "master.cf"
    text = master.read_text() if master.exists() else LISTENER
    rows = {tuple(line.split()[:2]) for line in text.splitlines() if line and not line.startswith((" ", "#"))}
    text += "".join(row for name, row in OTHERS.items() if (name, "unix") not in rows)
    master.write_text(text)
    for file, content in (("etc/passwd", PASSWD), ("etc/group", GROUP)):
        if not (root / file).exists():
            (root / file).write_text(content)
    for name, parts in found.described.items():
        made(root, name, parts, found.described)
    return [str(etc)]


def checked(found: Example, root: Path, now: float) -> Checked:
    """What the rules say of an example."""
    targets = placed(found, root)
    today = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d")
    policy = "site.toml" in found.files
    wish = Wish("/" if policy else str(root), None, found.platform, found.postfix, now)
    (only,) = check_all(targets, wish, today, live=False, jobs=1)
    return only


# --- what cannot be written down -------------------------------------------------------------------------------------


def made(root: Path, name: str, parts: str, described: dict[str, str]) -> None:
    """Make a file of parts: `key TYPE`, `intermediate`, `root`, `text WORDS`, `mode 0644`, `socket`, `directory`, and
    `certificate NAME… [of PATH] [days N] [lasts N] [sha1] [self-signed] [cn-only]`.
    """
    path = root / name[1:]
    path.parent.mkdir(parents=True, exist_ok=True)
    data = b""
    key: Any = None
    mode: int | None = None
    for part in (each.strip().split() for each in parts.split(",")):
        match part:
            case ["key", kind]:
                key = private_key(kind, name)
                data += key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            case ["certificate", *words]:
                data += certificate(words, key, described)
            case ["intermediate"]:
                data += authority()[1].public_bytes(Encoding.PEM)
            case ["root"]:
                data += authority()[3].public_bytes(Encoding.PEM)
            case ["text", *words]:
                data += (" ".join(words) + "\n").encode()
            case ["mode", digits]:
                mode = int(digits, 8)
            case ["directory"]:
                path.mkdir(exist_ok=True)
            case ["socket"]:
                # The name of a socket is short; once it is there it can be moved.
                with tempfile.TemporaryDirectory() as short, socket.socket(socket.AF_UNIX) as made_socket:
                    made_socket.bind(f"{short}/s")
                    Path(short, "s").rename(path)
            case _:
                raise ValueError(f"{name} = {parts}: {' '.join(part)!r} is no part")
    if data or not path.exists():
        path.write_bytes(data)
    if mode is None:
        mode = 0o600 if key is not None else 0o755 if path.is_dir() else 0o777 if path.is_socket() else 0o644
    path.chmod(mode)


@cache
def private_key(kind: str, name: str) -> Any:
    """A key of a type; each file has its own."""
    if kind in CURVES:
        return ec.generate_private_key(CURVES[kind]())
    if kind.startswith("rsa-"):
        return rsa.generate_private_key(65537, int(kind.removeprefix("rsa-")))
    if kind.startswith("dsa-"):
        return dsa.generate_private_key(int(kind.removeprefix("dsa-")))
    assert kind == "ed25519", kind
    return ed25519.Ed25519PrivateKey.generate()


@cache
def authority() -> tuple[Any, x509.Certificate, Any, x509.Certificate]:
    """An intermediate authority with its key, and the root above it with its own."""
    top, middle = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in ("lab root", "lab intermediate")]

    def signed(subject: x509.Name, key: Any, issuer: x509.Name, by: Any) -> x509.Certificate:
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - timedelta(days=400))
        builder = builder.not_valid_after(now + timedelta(days=4000))
        return builder.add_extension(x509.BasicConstraints(True, None), critical=True).sign(by, hashes.SHA256())

    return middle, signed(names[1], middle, names[0], top), top, signed(names[0], top, names[0], top)


def certificate(words: list[str], key: Any, described: dict[str, str]) -> bytes:
    """A certificate as described, for the key in the same file, or for the one of another."""
    names: list[str] = []
    days, lasts, algorithm, own, common_only = 80, 90, "sha256", False, False
    rest = iter(words)
    for word in rest:
        if word == "of":
            other = next(rest)
            kind = next(each.split()[1] for each in described[other].split(",") if each.strip().startswith("key"))
            key = private_key(kind, other)
        elif word == "days":
            days = int(next(rest))
        elif word == "lasts":
            lasts = int(next(rest))
        elif word in HASHES:
            algorithm = word
        elif word == "self-signed":
            own = True
        elif word == "cn-only":
            common_only = True
        else:
            names.append(word)
    key = key or private_key("ecdsa-p256", f"nobody's {names}")
    now = datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    middle, above, _, _ = authority()
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject if own else above.subject)
    end = now + timedelta(days=days, hours=1)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(end - timedelta(days=lasts)).not_valid_after(end)
    if not common_only:
        alternative = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
        builder = builder.add_extension(alternative, critical=False)
    by = key if own else middle
    digest: Any = None if isinstance(by, ed25519.Ed25519PrivateKey) else HASHES[algorithm]
    return builder.sign(by, digest).public_bytes(Encoding.PEM)
