"""Peers that a Postfix sends to: small SMTP servers on loopback that write down how mail and passwords reached them."""

from __future__ import annotations

import base64
import datetime
import select
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.behaviour.observed import VERSIONS
from tests.postfix import lab

NAME = "peer.lab.test"

PATIENCE = 1
"""Seconds after which a peer with implicit TLS gives up one that waits for a greeting. Postfix waits for minutes."""

Tls = Literal["none", "starttls", "fails", "refused", "implicit"]
"""`fails`: STARTTLS is announced and agreed to, and no handshake succeeds. `refused`: it is announced, and gets 454."""


class Kind(NamedTuple):
    """What a peer offers: its versions of TLS, and the mechanisms that it announces before and inside TLS."""

    name: str
    tls: Tls
    lowest: str = "TLSv1.2"
    highest: str = "TLSv1.3"
    before: str = ""
    after: str = ""

    @property
    def speaks(self) -> tuple[str, ...]:
        """The versions with which a handshake succeeds, oldest first."""
        if self.tls not in ("starttls", "implicit"):
            return ()
        names = list(VERSIONS)
        return tuple(names[names.index(self.lowest) : names.index(self.highest) + 1])


ALL = "PLAIN LOGIN CRAM-MD5"
READABLE = "PLAIN LOGIN"
"""As somebody would announce who wants to read passwords: Cyrus SASL prefers CRAM-MD5."""

KINDS = (
    Kind("plain", "none"),
    Kind("readable", "none", before=READABLE),
    Kind("plainauth", "none", before=ALL),
    Kind("tls10", "starttls", "TLSv1", "TLSv1"),
    Kind("tls11", "starttls", "TLSv1.1", "TLSv1.1"),
    Kind("tls12", "starttls", "TLSv1.2", "TLSv1.2"),
    Kind("tls13", "starttls", "TLSv1.3", "TLSv1.3"),
    Kind("both", "starttls"),
    Kind("bothauth", "starttls", before=READABLE, after=ALL),
    Kind("bothafter", "starttls", after=READABLE),
    Kind("fails", "fails"),
    Kind("failsauth", "fails", before=READABLE, after=READABLE),
    Kind("refusedauth", "refused", before=READABLE),
    Kind("implicit", "implicit"),
    Kind("implicitauth", "implicit", after=ALL),
)


class Login(NamedTuple):
    """A use of AUTH. `version` is that of TLS, empty in clear; `password` is what anybody on the path could read in it
    but for TLS, and empty for a mechanism that does not tell.
    """

    peer: str
    mechanism: str
    user: str
    password: str
    version: str


class Mail(NamedTuple):
    """A mail that was taken; `version` is that of TLS, empty in clear."""

    peer: str
    recipient: str
    version: str


class Peers:
    """Servers of every kind, by name with their ports, and what they have seen. `fingerprint` is that of their one
    certificate, which they signed themselves and which lies in `certificate`.
    """

    def __init__(self, folder: Path) -> None:
        self.certificate = folder / "peer.pem"
        self.fingerprint = _certificate(self.certificate)
        self.ports: dict[str, int] = {}
        self.logins: list[Login] = []
        self.mails: list[Mail] = []


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, kind: Kind, peers: Peers) -> None:
        self.kind = kind
        self.peers = peers
        self.how = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.how.load_cert_chain(peers.certificate)
        self.how.set_ciphers("DEFAULT:@SECLEVEL=0")
        self.how.minimum_version = VERSIONS[kind.lowest]
        self.how.maximum_version = VERSIONS[kind.highest]
        super().__init__(("127.0.0.1", lab.free_port()), _Visit)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that leaves in the middle is nothing to talk about."""


class _Visit(socketserver.BaseRequestHandler):
    server: _Server

    def setup(self) -> None:
        self.request.settimeout(lab.TIMEOUT)
        self.kind = self.server.kind
        self.version = ""
        self.buffer = b""

    def finish(self) -> None:
        """Close what is in use, since Postfix waits for it: the server knows the socket only as it was before TLS."""
        self.request.close()

    def encrypt(self) -> None:
        self.request = self.server.how.wrap_socket(self.request, server_side=True)
        self.version = self.request.version() or ""
        self.buffer = b""

    def say(self, text: str) -> None:
        self.request.sendall(text.encode() + b"\r\n")

    def line(self) -> str:
        """The next line; empty at the end."""
        while b"\n" not in self.buffer:
            data = self.request.recv(65536)
            if not data:
                return ""
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line.decode("utf-8", "replace").rstrip("\r") or " "

    def handle(self) -> None:
        if self.kind.tls == "implicit":
            if not select.select([self.request], [], [], PATIENCE)[0]:
                return
            self.encrypt()
        self.say(f"220 {NAME} ESMTP")
        recipient = ""
        while line := self.line():
            words = line.split()
            match words[0].upper() if words else "":
                case "EHLO" | "LHLO":
                    self.say("\r\n".join(self.capabilities()))
                case "STARTTLS":
                    if not self.starttls():
                        return
                case "AUTH":
                    self.login(words[1].upper(), words[2] if len(words) > 2 else "")
                case "RCPT":
                    recipient = line.partition("<")[2].partition(">")[0]
                    self.say("250 ok")
                case "DATA":
                    self.say("354 go on")
                    while (text := self.line()) and text != ".":
                        pass
                    if text:
                        self.server.peers.mails.append(Mail(self.kind.name, recipient, self.version))
                        self.say("250 taken")
                case "QUIT":
                    self.say("221 bye")
                    return
                case _:
                    self.say("250 ok")

    def capabilities(self) -> Iterator[str]:
        yield f"250-{NAME}"
        if not self.version and self.kind.tls != "none":
            yield "250-STARTTLS"
        mechanisms = self.kind.after if self.version else self.kind.before
        if mechanisms:
            yield f"250-AUTH {mechanisms}"
        yield "250 8BITMIME"

    def starttls(self) -> bool:
        """Answer; whether the session goes on."""
        if self.kind.tls == "refused":
            self.say("454 not now")
            return True
        self.say("220 go ahead")
        if self.kind.tls == "fails":
            self.request.recv(65536)
            return False
        self.encrypt()
        return True

    def login(self, mechanism: str, first: str) -> None:
        """Take any password."""
        user = password = ""
        match mechanism:
            case "PLAIN":
                _, user, password = (_decoded(first) if first else self.ask("")).split("\0")
            case "LOGIN":
                user, password = self.ask("Username:"), self.ask("Password:")
            case "CRAM-MD5":
                user = self.ask("<1.2@peer.lab.test>").partition(" ")[0]
        self.server.peers.logins.append(Login(self.kind.name, mechanism, user, password, self.version))
        self.say("235 welcome")

    def ask(self, text: str) -> str:
        self.say("334 " + base64.b64encode(text.encode()).decode())
        return _decoded(self.line())


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()


def _certificate(path: Path) -> str:
    """A certificate with its key, self-signed; return its fingerprint as Postfix writes it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, NAME)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=10))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(secret + made.public_bytes(Encoding.PEM))
    return made.fingerprint(hashes.SHA256()).hex(":").upper()


@contextmanager
def peers(folder: Path, kinds: tuple[Kind, ...] = KINDS) -> Iterator[Peers]:
    """Servers that run for a while."""
    made = Peers(folder)
    with ExitStack() as stack:
        for kind in kinds:
            server = stack.enter_context(_Server(kind, made))
            made.ports[kind.name] = server.server_address[1]
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            stack.callback(server.shutdown)
        yield made
