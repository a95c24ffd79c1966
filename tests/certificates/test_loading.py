"""What is told of loaded certificates is what a real Postfix loads: every case stands on a listener of its own, and is
asked there for each kind of certificate. MAILCFG_CHROOT=/a/chroot lets the Postfix of that chroot answer instead.
"""

from __future__ import annotations

import os
import re
import ssl
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from mailcfg.certificates.inspect import leaf
from mailcfg.certificates.loading import Loading, load
from mailcfg.facts.version import Version
from mailcfg.machine import Machine, Unreadable
from tests.postfix import lab
from tests.postfix.smtp import Session, context

pytestmark = pytest.mark.xdist_group("loading")

CHROOT = os.environ.get("MAILCFG_CHROOT", "")

RSA, EC = ["-algorithm", "RSA", "-pkeyopt"], ["-algorithm", "EC", "-pkeyopt"]

GENERATED = {
    "rsa": [*RSA, "rsa_keygen_bits:2048"],
    "rsa2": [*RSA, "rsa_keygen_bits:2048"],
    "rsa1024": [*RSA, "rsa_keygen_bits:1024"],
    "rsa512": [*RSA, "rsa_keygen_bits:512"],
    "pss": ["-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:1024"],
    "ec": [*EC, "ec_paramgen_curve:P-256"],
    "ec2": [*EC, "ec_paramgen_curve:P-256"],
    "ec384": [*EC, "ec_paramgen_curve:P-384"],
    "ec521": [*EC, "ec_paramgen_curve:P-521"],
    "koblitz": [*EC, "ec_paramgen_curve:secp256k1"],
    "ed25519": ["-algorithm", "ED25519"],
    "ed448": ["-algorithm", "ED448"],
    "root": [*EC, "ec_paramgen_curve:P-256"],
    "middle": [*EC, "ec_paramgen_curve:P-256"],
    "end": [*EC, "ec_paramgen_curve:P-256"],
}

NAMES = ("DNS:Mail.Example.com", "DNS:*.example.org", "IP:192.0.2.1", "IP:2001:db8::1")

CHAINS = """
rsa.key rsa.pem
rsa.pem rsa.key
rsa.key | rsa.pem
rsa.pem | rsa.key
ec.key ec.pem
ec384.key ec384.pem
ec521.key ec521.pem
koblitz.key koblitz.pem
ed25519.key ed25519.pem
ed448.key ed448.pem
rfc5958:ed25519.key ed25519.pem
dsa.key dsa.pem
pss.key pss.pem
rsa1024.key rsa1024.pem
rsa512.key rsa512.pem
expired.key expired.pem
ca-only.key ca-only.pem
rsa.key rsa.pem ec.key ec.pem
rsa.key rsa.pem | ec.key ec.pem
ec.key ec.pem | rsa.key rsa.pem | ed25519.key ed25519.pem
rsa.key rsa.pem | pss.key pss.pem
rsa.key | rsa.pem ec.key | ec.pem
rsa.key rsa.pem | rsa2.key rsa2.pem
rsa.key rsa.pem | rsa.key rsa.pem
ec.key ec.pem | ec384.key ec384.pem
rsa.key rsa2.pem
rsa.key ec.pem
rsa.key rsa.pem | ec.key ec2.pem
rsa.key ec.key ec.pem
rsa.key rsa.pem ec.key
rsa.key rsa.pem rsa.key
rsa.key
rsa.pem
absent
absent | rsa.key rsa.pem
rsa.key rsa.pem | absent
rsa.key | absent | rsa.pem
rsa.key rsa.pem | ec.key ec.pem | absent
rsa.key rsa.pem | ec.key | absent | ec.pem
rsa.key rsa.pem | absent | ec.key
rsa.pem | absent
garbage | absent
rsa.key rsa2.pem | absent
directory
directory | rsa.key rsa.pem
rsa.key rsa.pem | directory
empty
empty | rsa.key rsa.pem
rsa.key | empty | rsa.pem
garbage
garbage rsa.key garbage rsa.pem garbage
der:rsa.pem
end.key end.pem middle.pem
end.key end.pem middle.pem root.pem
end.key end.pem
end.key middle.pem end.pem
end.key end.pem root.pem middle.pem
end.key end.pem root.pem
end.key | end.pem | middle.pem
parameters ec.key ec.pem
sec1:ec.key ec.pem
parameters sec1:ec.key ec.pem
pkcs1:rsa.key rsa.pem
public:rsa.key rsa.key rsa.pem
rsa.key public:rsa.key rsa.pem
trusted:rsa.pem rsa.key rsa.pem
rsa.key trusted:rsa.pem
rsa.key trusted:rsa.pem rsa.pem
old:rsa.pem
rsa.key old:rsa.pem
locked:rsa.key rsa.pem
locked1:rsa.key rsa.pem
locked:rsa.key rsa.key rsa.pem
crlf:rsa.key crlf:rsa.pem
bare:rsa.key bare:rsa.pem
rsa.key bare:rsa.pem
bare:rsa.key | bare:rsa.pem
cut:rsa.key rsa.pem
rsa.key cut:rsa.pem
rsa.key rsa.pem cut:ec.pem
rsa.key rsa.pem | cut:ec.key
endless:rsa.key rsa.pem
rsa.key endless:rsa.pem
rsa.key endless:rsa.pem rsa.pem
rsa.key rsa.pem endless:rsa.pem
wrong:rsa.key rsa.pem
rsa.key wrong:rsa.pem
rsa.key rsa.pem wrong:ec.pem
excess:rsa.key rsa.pem
rsa.key excess:rsa.pem
bom:rsa.key rsa.pem
nul rsa.key rsa.pem
rsa.key rsa.pem nul ec.key
indented:rsa.key rsa.pem
rsa.key indented:rsa.pem
trailing:rsa.key trailing:rsa.pem
blank:rsa.key rsa.pem
rsa.key blank:rsa.pem
one-line:rsa.key one-line:rsa.pem
header:rsa.key rsa.pem
rsa.key header:rsa.pem
"""
"""Files of smtpd_tls_chain_files with a bar between them, each made of what is named."""

PAIRS = """
rsa.pem / rsa.key
rsa.pem / rsa2.key
rsa.pem / ec.key
rsa.pem / absent
absent / rsa.key
rsa.pem /
rsa.pem / empty
empty / rsa.key
rsa.pem / directory
directory / rsa.key
directory / directory
absent / absent
rsa.key rsa.pem / rsa.key rsa.pem
rsa.pem rsa.key / rsa.pem rsa.key
rsa.pem rsa2.pem rsa.key / rsa.pem rsa2.pem rsa.key
rsa2.pem rsa.pem rsa.key / rsa2.pem rsa.pem rsa.key
rsa.pem rsa.key rsa2.key / rsa.pem rsa.key rsa2.key
rsa.pem rsa2.key rsa.key / rsa.pem rsa2.key rsa.key
rsa.pem / rsa.pem
rsa.key / rsa.key
rsa.key rsa.pem / link:rsa.key rsa.pem
rsa.pem rsa.key / link:rsa.pem rsa.key
rsa.pem rsa.key rsa2.key / link:rsa.pem rsa.key rsa2.key
rsa.key rsa.pem / rsa.key
rsa.pem / rsa.key rsa2.key
rsa.pem / rsa2.key rsa.key
rsa.pem / rsa.pem rsa.key
rsa.pem / public:rsa.key rsa.key
rsa.pem / rsa.key public:rsa.key
rsa.pem ec.pem ec.key rsa.key / link:rsa.pem ec.pem ec.key rsa.key
ec.pem / ec.key
ec.pem / parameters sec1:ec.key
ec.pem / sec1:ec.key
ed25519.pem / ed25519.key
ed25519.pem / rfc5958:ed25519.key
dsa.pem / dsa.key
koblitz.pem / koblitz.key
pss.pem / pss.key
rsa512.pem / rsa512.key
expired.pem / expired.key
rsa.pem / rsa.key ; - ; ec.pem / ec.key
rsa.pem / rsa.key ; dsa.pem / dsa.key ; ec.pem / ec.key
- ; - ; ec.pem / ec.key
- ; - ; rsa.pem / rsa.key
rsa.pem / rsa.key ; - ; rsa2.pem / rsa2.key
rsa.pem / rsa.key ; - ; rsa.pem / rsa.key
rsa.key rsa.pem / rsa.key rsa.pem ; - ; rsa2.key rsa2.pem / rsa2.key rsa2.pem
rsa.key rsa.pem / rsa.key rsa.pem ; - ; rsa2.pem / rsa2.key
rsa.pem / rsa.key ; - ; rsa2.key rsa2.pem / rsa2.key rsa2.pem
rsa.pem / rsa.key ; - ; ec.pem / rsa.key
rsa.pem / rsa.key ; - ; ec.pem / absent
ec.pem / ec.key ; rsa.pem / rsa.key ; ed25519.pem / ed25519.key
rsa.pem / rsa.key ; - ; rsa2.pem / rsa.key
rsa.pem / rsa.key ; ec.pem / rsa.key ; ec.pem / ec.key
end.pem middle.pem / end.key
end.pem / end.key
middle.pem end.pem / end.key
end.pem middle.pem cut:root.pem / end.key
end.pem middle.pem garbage / end.key
end.pem wrong:middle.pem / end.key
end.pem trusted:rsa.pem middle.pem / end.key
trusted:rsa.pem / rsa.key
trusted:rsa.pem / link:trusted:rsa.pem rsa.key
trusted:rsa.pem rsa.key / trusted:rsa.pem rsa.key
old:rsa.pem / rsa.key
excess:rsa.pem / rsa.key
rsa.pem / excess:rsa.key
rsa.pem / pkcs1:rsa.key
rsa.pem / locked:rsa.key
rsa.pem / locked1:rsa.key
rsa.pem / locked:rsa.key rsa.key
rsa.pem / locked1:rsa.key rsa.key
rsa.pem / rsa.key locked:rsa.key
rsa.pem / cut:rsa.key
rsa.pem / cut:ec.pem rsa.key
rsa.pem / wrong:ec.pem rsa.key
rsa.pem / wrong:rsa.key rsa.key
rsa.pem / rsa.key cut:ec.pem
cut:rsa.pem / rsa.key
rsa.pem cut:ec.pem / rsa.key
cut:ec.key rsa.pem / rsa.key
crlf:rsa.pem / crlf:rsa.key
bare:rsa.pem / bare:rsa.key
bom:rsa.pem / rsa.key
rsa.pem / bom:rsa.key
header:rsa.pem / rsa.key
rsa.pem / header:rsa.key
rsa.pem / trailing:rsa.key
rsa.pem / indented:rsa.key
rsa.pem / der:rsa.pem
der:rsa.pem / rsa.key
garbage / garbage
"""
"""Certificate and key of the parameters for RSA, DSA and ECDSA, in that order."""


class Case(NamedTuple):
    """What is loaded, as it is told in the tables above."""

    text: str
    chain: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]


def _cases() -> Iterator[Case]:
    for line in CHAINS.strip().splitlines():
        yield Case(line, tuple(each.strip() for each in line.split("|")), ())
    for line in PAIRS.strip().splitlines():
        words = [each.partition("/")[::2] if "/" in each else ("", "") for each in line.split(";")]
        yield Case(line, (), tuple((certificate.strip(), key.strip()) for certificate, key in words))


CASES = list(_cases())


# --- what is loaded --------------------------------------------------------------------------------------------------


def openssl(*words: str | Path, text: str | None = None) -> str:
    return lab.run("openssl", *words, text=text).stdout


class Materials:
    """Keys and certificates in a folder, and files that are made of them, sound and spoiled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, Path] = {}
        make = ["genpkey", "-out"]
        for name, words in GENERATED.items():
            openssl(*make, folder / f"{name}.key", *words)
        openssl(*make, folder / "group", "-genparam", "-algorithm", "DSA", "-pkeyopt", "dsa_paramgen_bits:1024")
        openssl(*make, folder / "dsa.key", "-paramfile", folder / "group")
        for name in ("expired", "ca-only"):
            (folder / f"{name}.key").write_bytes((folder / "ec.key").read_bytes())
        hashes = {"rsa1024": ["-md5"], "rsa2": ["-sha1"], "pss": ["-sha384"]}
        for name in (*GENERATED, "dsa"):
            self._certify(name, *hashes.get(name, []))
        self._certify("rsa", "-addext", f"subjectAltName={','.join(NAMES)}")
        self._certify("ca-only", "-addext", "keyUsage=keyCertSign", "-addext", "extendedKeyUsage=clientAuth")
        self._sign("middle", "root", "basicConstraints=critical,CA:TRUE")
        self._sign("end", "middle", "subjectAltName=DNS:end.example.com")
        self._sign("expired", "root", days="-1")

    def _certify(self, name: str, *words: str) -> None:
        openssl(
            "req", "-x509", "-new", "-key", self.folder / f"{name}.key", "-subj", f"/CN={name}", "-days", "30",
            "-out", self.folder / f"{name}.pem", *words,
        )  # fmt: skip

    def _sign(self, name: str, by: str, extension: str = "basicConstraints=CA:FALSE", days: str = "90") -> None:
        request = openssl("req", "-new", "-key", self.folder / f"{name}.key", "-subj", f"/CN={name}")
        (self.folder / "extension").write_text(extension)
        openssl(
            "x509", "-req", "-CA", self.folder / f"{by}.pem", "-CAkey", self.folder / f"{by}.key", "-days", days,
            "-CAcreateserial", "-extfile", self.folder / "extension", "-out", self.folder / f"{name}.pem", text=request,
        )  # fmt: skip

    def part(self, word: str) -> bytes:
        """What a word of the tables stands for."""
        how, _, name = word.rpartition(":")
        if word in PLAIN:
            return PLAIN[word]
        if word == "parameters":
            return openssl("ecparam", "-name", "prime256v1").encode()
        data = (self.folder / name).read_bytes()
        return SPOILT[how](data) if how in SPOILT else self._converted(how, self.folder / name)

    def _converted(self, how: str, path: Path) -> bytes:
        if how == "der":
            return ssl.PEM_cert_to_DER_cert(path.read_text())
        words = {
            "sec1": ["pkey", "-traditional"],
            "pkcs1": ["pkey", "-traditional"],
            "public": ["pkey", "-pubout"],
            "trusted": ["x509", "-trustout", "-setalias", "alias"],
            "locked": ["pkey", "-aes128", "-passout", "pass:example"],
            "locked1": ["rsa", "-traditional", "-aes128", "-passout", "pass:example"],
        }[how]
        return openssl(*words, "-in", path).encode()

    def file(self, text: str) -> str:
        """The path of a file made of parts; empty for none."""
        if text not in self._files:
            path = self._files[text] = self.folder / f"file-{len(self._files)}"
            if text.startswith("link:"):
                path.symlink_to(self.file(text.removeprefix("link:")))
            elif text == "directory":
                path.mkdir()
            elif text != "absent":
                path.write_bytes(b"".join(map(self.part, text.split())))
        return str(self._files[text]) if text else ""

    def files(self, case: Case) -> tuple[tuple[str, ...], list[tuple[str, str]]]:
        return (
            tuple(map(self.file, case.chain)),
            [(self.file(certificate), self.file(key)) for certificate, key in case.pairs],
        )


def _last_line(data: bytes) -> int:
    return data.rstrip(b"\n").rindex(b"\n") + 1


def _wrong(data: bytes) -> bytes:
    """Base64 that is none."""
    return data[:100] + b"?" + data[101:]


def _excess(data: bytes) -> bytes:
    """A block with two bytes more than its DER has."""
    return _pem(data, _der(data) + b"\x05\x00")


def _second_form(data: bytes) -> bytes:
    """A key of Ed25519 with its public half behind it, as ring and rcgen write it (RFC 5958)."""
    der = _der(data)
    assert der[:5] == b"\x30\x2e\x02\x01\x00"
    public = _der(openssl("pkey", "-pubout", text=data.decode()).encode())
    return _pem(data, b"\x30\x51\x02\x01\x01" + der[5:] + b"\x81\x21\x00" + public[-32:])


def _der(data: bytes) -> bytes:
    return b64decode(b"".join(data.split(b"\n")[1:-2]))


def _pem(data: bytes, der: bytes) -> bytes:
    """DER in the armour of some PEM."""
    lines = data.split(b"\n")
    text = b64encode(der)
    return b"\n".join([lines[0], *(text[at : at + 64] for at in range(0, len(text), 64)), *lines[-2:]])


PLAIN = {
    "empty": b"",
    "garbage": b"# text \xe4 -----BEGIN nothing\n-----END CERTIFICATE-----\nno: block\n\n",
    "nul": b"\0text\n",
}

SPOILT: dict[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    "crlf": lambda data: data.replace(b"\n", b"\r\n"),
    "bare": lambda data: data.rstrip(b"\n"),
    "cut": lambda data: data[: len(data) // 2 // 65 * 65] + b"\n",
    "endless": lambda data: data[: _last_line(data)],
    "wrong": _wrong,
    "excess": _excess,
    "rfc5958": _second_form,
    "bom": lambda data: b"\xef\xbb\xbf" + data,
    "indented": lambda data: data.replace(b"\nM", b"\n M").replace(b"-----BEGIN", b" -----BEGIN"),
    "trailing": lambda data: data.replace(b"\n", b" \t\n"),
    "blank": lambda data: data.replace(b"-----\n", b"-----\n\n", 1),
    "one-line": lambda data: (
        data[: data.index(b"\n") + 1]
        + data[data.index(b"\n") : _last_line(data)].replace(b"\n", b"")
        + b"\n"
        + data[_last_line(data) :]
    ),
    "header": lambda data: data.replace(b"-----\n", b"-----\nComment: text\n\n", 1),
    "old": lambda data: data.replace(b" CERTIFICATE", b" X509 CERTIFICATE"),
}


def read(path: str) -> bytes | None:
    found = Machine().look(path)
    return None if found is None else found.data


# --- what a client is shown ------------------------------------------------------------------------------------------

CIPHERS = {"anonymous": "aNULL", "rsa": "aRSA", "ecdsa": "aECDSA", "dsa": "aDSS"}
"""What a client is limited to, up to TLS 1.2."""

EDWARDS = ("ed25519", "ed448")

SHARED = {"rsapss": "rsa", **dict.fromkeys(EDWARDS, "ecdsa")}
"""Kinds of certificates that the ciphers of another kind serve as well."""

PREFERRED = ("ecdsa", *EDWARDS, "rsapss", "rsa", "dsa")
"""In which order the client of these tests likes them."""

UNSUPPORTED_CURVES = ("secp256k1",)
"""Curves that Postfix has in no list of its own: a certificate with one is loaded and shown to nobody."""

Answer = dict[str, str]
"""By what a client asks for, the common name of the certificate that it is shown; `454` alone where there is no TLS."""


def expected(found: Loading) -> Answer:
    """What a client should meet."""
    if found.disabled:
        return {"454": ""}
    answer = {"anonymous": ""}
    for each in sorted(found.identities, key=lambda each: PREFERRED.index(each.algorithm)):
        kind = each.algorithm
        if kind in EDWARDS:
            answer[kind] = each.common_name
        if each.curve not in UNSUPPORTED_CURVES and (kind != "ecdsa" or "digitalSignature" not in each.unfit):
            answer.setdefault(SHARED.get(kind, kind), each.common_name)
    return answer


def common_name(der: bytes) -> str:
    return str(x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value)


def ask(port: int, edwards: bool) -> Answer:
    """What a client meets."""
    answer: Answer = {}
    for kind, ciphers in CIPHERS.items():
        with Session(port) as session:
            session.ehlo()
            client = context(highest=ssl.TLSVersion.TLSv1_2, ciphers=f"{ciphers}:@SECLEVEL=0")
            try:
                code = session.starttls(client)
            except (ssl.SSLError, ConnectionError):
                continue
            if code != 220:
                return {str(code): ""}
            shown = session.tls.getpeercert(binary_form=True)
            answer[kind] = common_name(shown) if shown else ""
    for kind in EDWARDS if edwards else ():
        said = lab.run(
            "openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-starttls", "smtp", "-tls1_3", "-sigalgs", kind,
            "-ciphersuites", "TLS_AES_128_GCM_SHA256", check=False, text="",
        ).stdout  # fmt: skip
        if pem := re.search(r"-----BEGIN CERTIFICATE.*?END CERTIFICATE-----", said, re.DOTALL):
            answer[kind] = common_name(ssl.PEM_cert_to_DER_cert(pem[0]))
    return answer


class Lab(NamedTuple):
    """A Postfix with a listener for each case."""

    version: Version
    openssl: Version
    materials: Materials
    ports: dict[Case, int]


def _row(case: Case, files: Materials, port: int) -> str:
    chain, pairs = files.files(case)
    settings = [("smtpd_tls_chain_files", ", ".join(chain))]
    for kind, (certificate, key) in zip(("", "d", "ec"), pairs, strict=False):
        settings += [(f"smtpd_tls_{kind}cert_file", certificate), (f"smtpd_tls_{kind}key_file", key)]
    options = "".join(f"  -o {{ {name} = {value} }}\n" for name, value in settings)
    return f"127.0.0.1:{port} inet n - n - - smtpd\n{options}"


def _inside(path: Path) -> tuple[str, ...]:
    """The words in front of a command that has it run in the chroot, with our directory at its place there."""
    if not CHROOT:
        return ()
    there = f"{CHROOT}{path}"
    mounts = f"mkdir -p {there} && mount --bind {path} {there} && mount -t proc proc {CHROOT}/proc"
    return ("unshare", "-m", "sh", "-c", f'{mounts} && exec chroot {CHROOT} "$@"', "sh")


@pytest.fixture(scope="module")
def postfix() -> Iterator[Lab]:
    lab.needs("postfix", "openssl")
    with lab.directory() as path:
        inside = _inside(path)
        version = Version.parse(lab.run(*inside, "postconf", "-h", "mail_version").stdout.strip())
        library = Version.parse(lab.run(*inside, "openssl", "version").stdout.split()[1])
        (path / "tls").mkdir()
        materials = Materials(path / "tls")
        ports = {case: lab.free_port() for case in CASES}
        server = lab.Postfix(path, [], inside)
        server.prepare()
        if CHROOT:
            lab.run(*inside, "chown", "postfix", path / "data")
        server.configure(
            "myhostname = mail.example.com\n"
            "smtpd_tls_security_level = may\n"
            "smtpd_tls_ciphers = medium\n"
            "tls_medium_cipherlist = ALL:@SECLEVEL=0\n",
            "".join(_row(case, materials, port) for case, port in ports.items()),
        )
        try:
            with server.running():
                yield Lab(version, library, materials, ports)
        finally:
            if CHROOT:
                Path(f"{CHROOT}{path}").rmdir()


def test_what_is_loaded_is_what_clients_are_shown(postfix: Lab, record_property: Callable[[str, object], None]) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda case: ask(postfix.ports[case], "ed" in case.text), CASES))
    wrong = []
    for case, answer in zip(CASES, answers, strict=True):
        chain, pairs = postfix.materials.files(case)
        found = load(chain, tuple(pair for pair in pairs if pair[0]), read, postfix.openssl)
        assert not found.unknown, f"{case.text}: {found.unknown}"
        if expected(found) != answer:
            wrong.append(f"{case.text}\n    expected {expected(found)}\n    met      {answer}\n    {found}")
    assert not wrong, f"{len(wrong)} of {len(CASES)}\n" + "\n".join(wrong)
    record_property(f"agrees: certificate files loaded by Postfix {postfix.version}", len(CASES))


# --- what is told of them --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def materials() -> Iterator[Materials]:
    lab.needs("openssl")
    with lab.directory() as path:
        yield Materials(path)


def loaded(materials: Materials, text: str) -> Loading:
    """What a case of the tables loads."""
    case = next(case for case in CASES if case.text == text)
    chain, pairs = materials.files(case)
    return load(chain, tuple(pair for pair in pairs if pair[0]), read)


@pytest.mark.parametrize(
    ("text", "sent", "complete", "problem"),
    [
        ("rsa.key rsa.pem", 0, True, ""),
        ("end.key end.pem", 0, None, "leaf only"),
        ("end.key end.pem middle.pem", 1, True, ""),
        ("end.pem middle.pem / end.key", 1, True, ""),
        ("end.key | end.pem | middle.pem", 1, True, ""),
        ("end.key end.pem middle.pem root.pem", 2, True, "includes root"),
        ("end.key end.pem root.pem middle.pem", 2, False, "wrong order"),
        ("end.key end.pem root.pem", 1, False, "issuer missing"),
        ("rsa.pem rsa2.pem rsa.key / rsa.pem rsa2.pem rsa.key", 1, True, "holds what is not part of it"),
    ],
)
def test_a_chain(materials: Materials, text: str, sent: int, complete: bool | None, problem: str) -> None:
    (found,) = loaded(materials, text).identities
    assert (found.sent, found.chain_complete, found.chain_problem) == (sent, complete, problem)
    assert found.issuer_found == (found.common_name == "end" and sent > 0 and problem != "issuer missing")


def test_what_an_identity_is(materials: Materials) -> None:
    (found,) = loaded(materials, "rsa.key | rsa.pem").identities
    assert (found.key_type, found.key_bits, found.curve, found.algorithm) == ("rsa-2048", 2048, "", "rsa")
    assert found.names == ("mail.example.com", "*.example.org", "192.0.2.1", "2001:db8::1")
    assert (found.common_name, found.subject_only_cn) == ("rsa", False)
    assert (found.file, found.key_file) == (materials.file("rsa.pem"), materials.file("rsa.key"))
    assert found.not_after - found.not_before == 30 * 86400
    assert (found.lifetime_days, found.signature_hash, found.self_signed, found.unfit) == (30, "sha256", True, ())


@pytest.mark.parametrize("name", [*GENERATED, "dsa"])
def test_it_agrees_with_the_library(materials: Materials, name: str) -> None:
    path = materials.folder / f"{name}.pem"
    (found,) = load((), ((str(path), str(path.with_suffix(".key"))),), read).identities
    known = leaf(path.read_bytes())
    assert found.key_type == known.key_type.replace("rsa", "rsapss" if name == "pss" else "rsa")
    assert (found.names, found.not_before, found.not_after) == (known.names, known.not_before, known.not_after)
    certificate = x509.load_pem_x509_certificate(path.read_bytes())
    hashed = certificate.signature_hash_algorithm
    assert found.signature_hash == (hashed.name if hashed else "")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rsa.key rsa.pem | absent", " is absent, and nothing behind it is loaded, nor the last chain before it"),
        ("rsa.key | absent | rsa.pem", " is absent, and nothing behind it is loaded, nor the last chain before it"),
        ("rsa.key public:rsa.key rsa.pem", ": PUBLIC KEY is passed over"),
        ("empty | rsa.key rsa.pem", " holds neither a key nor a certificate in PEM"),
        ("rsa.pem rsa.key rsa2.key / rsa.pem rsa.key rsa2.key", " holds a second key, which is passed over"),
        ("rsa.pem / rsa.key ; - ; ec.pem / rsa.key", " is loaded without its key, so that nobody is shown it"),
    ],
)
def test_what_is_passed_over(materials: Materials, text: str, words: str) -> None:
    found = loaded(materials, text)
    assert not found.disabled
    assert [words in problem for problem in found.problems] == [True]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rsa.pem | rsa.key", " holds a certificate before any key; a key comes first"),
        ("rsa.key", "no certificate follows the key of "),
        ("rsa.key ec.key ec.pem", " holds a second key, and no certificate follows that of "),
        ("rsa.key rsa2.pem", " does not belong to the certificate of "),
        ("rsa.key rsa.pem | rsa2.key rsa2.pem", " holds a second certificate with a key of type rsa"),
        ("locked1:rsa.key rsa.pem", " holds an encrypted key; Postfix cannot ask for its password"),
        ("rsa.pem / locked:rsa.key", " holds an encrypted key; Postfix cannot ask for its password"),
        ("rsa.key cut:rsa.pem", " holds a PEM block that is cut off"),
        ("rsa.key wrong:rsa.pem", " holds a PEM block that is damaged"),
        ("rsa.key excess:rsa.pem", " holds a certificate that is damaged"),
        ("excess:rsa.key rsa.pem", " holds a key that is damaged"),
        ("rsa.pem / rsa2.key", " does not belong to the certificate of "),
        ("rsa.pem / absent", " is absent"),
        ("rsa.pem /", "no key file is named for "),
        ("der:rsa.pem / rsa.key", " holds no certificate in PEM"),
        ("rsa.pem / rsa.pem", " holds no private key in PEM that can be loaded"),
        ("empty", "there is neither a key nor a certificate in PEM in "),
    ],
)
def test_why_tls_is_off(materials: Materials, text: str, words: str) -> None:
    assert words in loaded(materials, text).disabled


def test_what_could_not_be_read_is_not_guessed() -> None:
    def refused(path: str) -> bytes | None:
        raise Unreadable(path, "Permission denied")

    found = load(("/a.pem",), (), refused)
    assert found == Loading(unknown="/a.pem: Permission denied")


def test_a_file_is_read_once(materials: Materials) -> None:
    asked: list[str] = []

    def once(path: str) -> bytes | None:
        asked.append(path)
        return read(path)

    path = materials.file("rsa.key rsa.pem")
    assert load((), ((path, path), (path, materials.file("rsa.key"))), once).identities
    assert sorted(asked) == sorted({path, materials.file("rsa.key")})
