"""What a client meets at one port: greeting, EHLO, a real handshake for each version of TLS, and EHLO inside it."""

from __future__ import annotations

import socket
import ssl
import warnings
from contextlib import suppress
from typing import NamedTuple

TIMEOUT = 10.0
"""Seconds that a server has for an answer; postscreen keeps a client that it does not know waiting for six."""

NAME = "mailcfg.invalid"
"""What the client calls itself: a name that nobody has (RFC 2606)."""

VERSIONS = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}


class Met(NamedTuple):
    """What was met. `reached` is empty, or says why no session began. `starttls`: whether EHLO offers it; `protocols`
    are the versions with which a client limited to that one completed a handshake, `failed` those tried in vain;
    `clear_mail`: whether MAIL is taken without TLS, None where that was not asked. AUTH mechanisms are in the server's
    order; `auth_after` is None where no EHLO got through inside TLS.
    """

    reached: str
    starttls: bool = False
    protocols: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    auth_before: tuple[str, ...] = ()
    auth_after: tuple[str, ...] | None = None
    legacy: bool = False
    clear_mail: bool | None = None


class _Closed(Exception):
    """The session ended; the message says how."""


class _Session:
    def __init__(self, address: str, port: int, implicit: ssl.SSLContext | None = None) -> None:
        self._buffer = b""
        try:
            self.sock: socket.socket = socket.create_connection((address, port), TIMEOUT)
        except OSError as error:
            raise _Closed(f"no connection: {error.strerror or error}") from None
        try:
            if implicit is not None:
                self._encrypt(implicit)
            self.greeting = self._reply()
        except BaseException:
            self.sock.close()
            raise

    def _encrypt(self, context: ssl.SSLContext) -> None:
        try:
            self.sock = context.wrap_socket(self.sock, server_hostname=NAME)
        except (OSError, ValueError) as error:
            raise _Closed(f"the handshake fails: {getattr(error, 'reason', None) or error}") from None

    def _reply(self) -> tuple[int, list[str]]:
        lines: list[str] = []
        while True:
            while b"\n" not in self._buffer:
                try:
                    data = self.sock.recv(65536)
                except OSError as error:
                    raise _Closed(f"no answer: {getattr(error, 'reason', None) or error}") from None
                if not data:
                    raise _Closed("the server closes the connection")
                self._buffer += data
            line, _, self._buffer = self._buffer.partition(b"\n")
            text = line.rstrip(b"\r").decode(errors="replace")
            if not text[:3].isdecimal():
                raise _Closed(f"no SMTP server: it says {text[:60]!r}")
            lines.append(text[4:])
            if text[3:4] != "-":
                return int(text[:3]), lines

    def say(self, command: str) -> tuple[int, list[str]]:
        try:
            self.sock.sendall(f"{command}\r\n".encode())
        except OSError as error:
            raise _Closed(f"no answer: {error}") from None
        return self._reply()

    def starttls(self, context: ssl.SSLContext) -> None:
        code, text = self.say("STARTTLS")
        if code != 220:
            raise _Closed(f"STARTTLS is answered with {code} {text[-1]}")
        self._encrypt(context)

    def quit(self) -> None:
        # The farewell is for the server's log; whether it answers is nobody's concern.
        with suppress(_Closed):
            self.say("QUIT")
        self.sock.close()


def _context(version: str) -> ssl.SSLContext:
    """A client of one version that checks no certificate and takes every suite that its OpenSSL has."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    made.set_ciphers("ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # That a server takes an old version is what is asked.
        made.minimum_version = made.maximum_version = VERSIONS[version]
    return made


def observe(address: str, port: int, *, implicit: bool) -> Met:
    """Ask one listener. `implicit`: it begins with TLS. Nothing is raised for what the server does."""
    return _implicit(address, port) if implicit else _explicit(address, port)


def _explicit(address: str, port: int) -> Met:
    try:
        session = _Session(address, port)
    except _Closed as closed:
        return Met(str(closed))
    try:
        if session.greeting[0] != 220:
            return Met(f"it greets with {session.greeting[0]} {session.greeting[1][-1]}")
        code, lines = session.say(f"EHLO {NAME}")
        if code != 250:
            return Met(f"EHLO is answered with {code} {lines[-1]}")
        before, legacy = _auth(lines)
        offered = any(line.upper() == "STARTTLS" for line in lines[1:])
        clear = session.say("MAIL FROM:<>")[0] == 250
    except _Closed as closed:
        return Met(str(closed))
    finally:
        session.quit()
    met = Met("", offered, (), (), before, None, legacy, clear)
    return _handshakes(met, address, port, implicit=False) if offered else met


def _implicit(address: str, port: int) -> Met:
    met = _handshakes(Met(""), address, port, implicit=True)
    if met.protocols:
        return met
    try:
        _Session(address, port, _context("TLSv1.2")).quit()
    except _Closed as closed:
        return met._replace(reached=str(closed))
    return met


def _handshakes(met: Met, address: str, port: int, *, implicit: bool) -> Met:
    done: list[str] = []
    failed: list[str] = []
    after = met.auth_after
    legacy = met.legacy
    for version in reversed(VERSIONS):
        try:
            context = _context(version)
        except (ssl.SSLError, ValueError):
            continue  # This machine's OpenSSL has not got that version: nothing can be said of it.
        session = None
        try:
            session = _Session(address, port, context if implicit else None)
            if not implicit:
                session.say(f"EHLO {NAME}")
                session.starttls(context)
            code, lines = session.say(f"EHLO {NAME}")
        except _Closed:
            failed.append(version)
            continue
        finally:
            if session is not None:
                session.quit()
        done.append(version)
        if after is None and code == 250:
            after, more = _auth(lines)
            legacy = legacy or more
    return met._replace(protocols=tuple(reversed(done)), failed=tuple(failed), auth_after=after, legacy=legacy)


def _auth(lines: list[str]) -> tuple[tuple[str, ...], bool]:
    """The mechanisms that EHLO announces, and whether it does so in the old spelling too."""
    found = [word for line in lines[1:] if line.upper().startswith("AUTH ") for word in line.split()[1:]]
    return tuple(dict.fromkeys(found)), any(line.upper().startswith("AUTH=") for line in lines[1:])
