"""An SMTP client that tells everything: replies, capabilities in order, the handshake, each AUTH exchange."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import socket
import ssl
from pathlib import Path
from types import TracebackType

TIMEOUT = 15


def context(
    ca: Path | None = None,
    *,
    lowest: ssl.TLSVersion | None = None,
    highest: ssl.TLSVersion | None = None,
    ciphers: str = "DEFAULT:@SECLEVEL=0",
) -> ssl.SSLContext:
    """A client that verifies against `ca`, or not at all, limited to some versions and ciphers."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.set_ciphers(ciphers)
    # Python allows TLS 1.2 and newer unless told otherwise; a test asks what the server allows.
    made.minimum_version = lowest or ssl.TLSVersion.MINIMUM_SUPPORTED
    made.maximum_version = highest or ssl.TLSVersion.MAXIMUM_SUPPORTED
    if ca is None:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    else:
        made.load_verify_locations(ca)
    return made


class Session:
    """One connection to a port of loopback. With `implicit` TLS begins at once."""

    def __init__(self, port: int, *, implicit: ssl.SSLContext | None = None, name: str = "mail.example.com") -> None:
        self.name = name
        self.sock: socket.socket | ssl.SSLSocket = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        self._buffer = b""
        try:
            if implicit:
                self._encrypt(implicit)
            self.banner = self._reply()
        except BaseException:
            self.sock.close()
            raise

    def __enter__(self) -> Session:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: BaseException | TracebackType | None) -> None:
        self.sock.close()

    def _encrypt(self, how: ssl.SSLContext) -> None:
        self.sock = how.wrap_socket(self.sock, server_hostname=self.name)

    def _line(self) -> str:
        while b"\n" not in self._buffer:
            data = self.sock.recv(65536)
            if not data:
                raise ConnectionError("the server closed the connection")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.rstrip(b"\r").decode("utf-8", "replace")

    def _reply(self) -> tuple[int, list[str]]:
        lines: list[str] = []
        while True:
            line = self._line()
            lines.append(line[4:])
            if line[3:4] != "-":
                return int(line[:3]), lines

    def say(self, command: str) -> tuple[int, str]:
        """Send a line; return the reply's code and last text."""
        self.sock.sendall(command.encode() + b"\r\n")
        code, lines = self._reply()
        return code, lines[-1]

    def ehlo(self) -> list[str]:
        """Capabilities, in the server's order."""
        self.sock.sendall(b"EHLO client.lab.test\r\n")
        code, lines = self._reply()
        assert code == 250, (code, lines)
        return lines[1:]

    def starttls(self, how: ssl.SSLContext) -> int:
        """STARTTLS and the handshake, if the server agrees; return its reply code."""
        code, _ = self.say("STARTTLS")
        if code == 220:
            self._encrypt(how)
        return code

    @property
    def tls(self) -> ssl.SSLSocket:
        assert isinstance(self.sock, ssl.SSLSocket)
        return self.sock

    def certificate(self) -> bytes:
        """The certificate that the server showed, as DER."""
        shown = self.tls.getpeercert(binary_form=True)
        assert shown
        return shown

    def plain(self, user: str, password: str) -> tuple[int, str]:
        return self.say("AUTH PLAIN " + _encoded(f"\0{user}\0{password}"))

    def login(self, user: str, password: str) -> tuple[int, str]:
        code, text = self.say("AUTH LOGIN")
        if code != 334:
            return code, text
        code, text = self.say(_encoded(user))
        return self.say(_encoded(password)) if code == 334 else (code, text)

    def cram_md5(self, user: str, password: str) -> tuple[int, str]:
        """RFC 2195."""
        code, text = self.say("AUTH CRAM-MD5")
        if code != 334:
            return code, text
        digest = hmac.new(password.encode(), base64.b64decode(text), "md5").hexdigest()
        return self.say(_encoded(f"{user} {digest}"))

    def scram(self, user: str, password: str, algorithm: str) -> tuple[int, str]:
        """RFC 5802 and RFC 7677 without channel binding. The server proves itself too. `algorithm`: sha1 or sha256."""
        name = {"sha1": "SCRAM-SHA-1", "sha256": "SCRAM-SHA-256"}[algorithm]
        nonce = base64.b64encode(os.urandom(18)).decode()
        first = f"n={user},r={nonce}"
        code, text = self.say(f"AUTH {name} {_encoded('n,,' + first)}")
        if code != 334:
            return code, text
        challenge = base64.b64decode(text).decode()
        fields = dict(part.split("=", 1) for part in challenge.split(","))
        assert fields["r"].startswith(nonce)
        salted = hashlib.pbkdf2_hmac(algorithm, password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        client_key = hmac.digest(salted, b"Client Key", algorithm)
        final = f"c={_encoded('n,,')},r={fields['r']}"
        message = f"{first},{challenge},{final}".encode()
        signature = hmac.digest(hashlib.new(algorithm, client_key).digest(), message, algorithm)
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(client_key, signature, strict=True))).decode()
        code, text = self.say(_encoded(f"{final},p={proof}"))
        if code != 334:
            return code, text
        server_key = hmac.digest(salted, b"Server Key", algorithm)
        expected = base64.b64encode(hmac.digest(server_key, message, algorithm)).decode()
        assert base64.b64decode(text).decode() == f"v={expected}", "the server does not know the password"
        return self.say("")

    def send(self, recipient: str, subject: str = "lab") -> tuple[int, str]:
        """A short mail; the reply of the first command that was refused, or of the last."""
        for command in ("MAIL FROM:<sender@client.test>", f"RCPT TO:<{recipient}>", "DATA"):
            code, text = self.say(command)
            if code >= 400:
                return code, text
        return self.say(f"Subject: {subject}\r\n\r\nhello\r\n.")


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def mechanisms(capabilities: list[str]) -> list[str]:
    """The mechanisms of the AUTH line, none without one."""
    return [word for line in capabilities if line.startswith("AUTH ") for word in line.split()[1:]]
