"""What a client meets on a listener, asked over the wire."""

from __future__ import annotations

import _ssl
import ctypes
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, Literal, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from mailcfg.behaviour.model import Tls
from tests.behaviour.sasl_client import Client, Failed
from tests.postfix import smtp

VERSIONS = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}

EVERYTHING = "ALL:COMPLEMENTOFALL:@SECLEVEL=0"

GROUPS = (
    *("X25519", "P-256", "X448", "P-521", "P-384", "secp224r1", "secp256k1", "prime192v1", "secp160r1"),
    *("brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1"),
    *("ffdhe2048", "ffdhe3072", "ffdhe4096", "ffdhe6144", "ffdhe8192"),
)
"""Curves and groups beyond those that a client offers by itself, so that a server with an odd one finds it."""

SIGNATURES = {
    "rsa": "RSA-PSS+SHA256:RSA-PSS+SHA384:RSA-PSS+SHA512:RSA+SHA256:RSA+SHA384:RSA+SHA512:RSA+SHA224:RSA+SHA1",
    "ecdsa": "ECDSA+SHA256:ECDSA+SHA384:ECDSA+SHA512:ECDSA+SHA224:ECDSA+SHA1",
    "ed25519": "ed25519",
}
PROVING = {"rsa": "aRSA:@SECLEVEL=0", "ecdsa": "aECDSA:@SECLEVEL=0", "ed25519": "aECDSA:@SECLEVEL=0"}
"""What a client offers that wants to see one kind of certificate, in TLS 1.2 and newer, and in all that is older."""

ANONYMOUS = "aNULL:@SECLEVEL=0"

_SET_GROUPS, _SET_SIGNATURES = 92, 98
"""Numbers of ssl.h; Python's module has no function for either."""

SILENCE = 0.4
"""Seconds after which a listener without a greeting is taken for one that waits for TLS, which is tried then."""

PATIENCE = 60
"""Seconds after which a listener is a riddle that neither answers nor has died."""


class Observed(NamedTuple):
    """A listener as clients meet it. The names are those of `Endpoint` where both have them.

    `succeeded_before` and `succeeded_after` say of each mechanism whether the right password is accepted; one that our
    client cannot do is missing. `shown` are the kinds of certificates, `names` the second of their names, by which they
    are told apart. `ciphers` is the suite of each version up to TLS 1.2 that a client which offers all gets; `suites`
    all that can be negotiated, where they were asked for. `dies_after_tls`: handshakes complete, and no EHLO after
    them gets its 250.
    """

    works: bool
    tls: Tls = "none"
    implicit: bool = False
    protocols: tuple[str, ...] = ()
    auth_before_tls: tuple[str, ...] = ()
    auth_after_tls: tuple[str, ...] = ()
    legacy_auth_line: bool = False
    cleartext_mail: bool = False
    anonymous: bool = False
    succeeded_before: dict[str, bool] = {}
    succeeded_after: dict[str, bool] = {}
    shown: frozenset[str] = frozenset()
    names: frozenset[str] = frozenset()
    ciphers: dict[str, str] = {}
    suites: frozenset[str] | None = None
    dies_after_tls: bool = False
    notes: tuple[str, ...] = ()


# --- clients ---------------------------------------------------------------------------------------------------------


@cache
def _library() -> Any:
    """The libssl that Python's module is linked with."""
    lib = ctypes.CDLL(_ssl.__file__)
    lib.SSL_CTX_ctrl.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p)
    lib.SSL_CTX_ctrl.restype = ctypes.c_long
    return lib


def _control(made: ssl.SSLContext, number: int, text: str) -> bool:
    """Call SSL_CTX_ctrl() on the SSL_CTX that is the first member of Python's object."""
    inside = ctypes.c_void_p.from_address(id(made) + object.__basicsize__).value
    return bool(_library().SSL_CTX_ctrl(inside, number, 0, text.encode()))


@cache
def _groups() -> str:
    probe = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return ":".join(group for group in GROUPS if _control(probe, _SET_GROUPS, group))


@cache
def client(version: str, ciphers: str = EVERYTHING, signatures: str = "") -> ssl.SSLContext:
    """A client that knows one version (or all up to TLS 1.2, where it is empty) and checks nothing."""
    lowest = VERSIONS[version] if version else ssl.TLSVersion.TLSv1
    highest = VERSIONS[version] if version else ssl.TLSVersion.TLSv1_2
    made = smtp.context(lowest=lowest, highest=highest, ciphers=ciphers)
    assert _control(made, _SET_GROUPS, _groups())
    if signatures:
        assert _control(made, _SET_SIGNATURES, signatures)
    return made


@cache
def suites() -> dict[str, str]:
    """The suites up to TLS 1.2 that our client has, with what authenticates each; an older OpenSSL may have more."""
    known = client("TLSv1.2").get_ciphers()
    return {each["name"]: each["auth"] for each in known if each["protocol"] != "TLSv1.3"}


class Wire(smtp.Session):
    """A session whose EHLO may fail, and which waits at its end until smtpd is free for the next."""

    def capabilities(self) -> tuple[int, list[str]]:
        self.sock.sendall(b"EHLO client.lab.test\r\n")
        code, lines = self._reply()
        return code, lines[1:]

    def quit(self) -> None:
        with suppress(OSError):
            self.sock.sendall(b"QUIT\r\n")
            while self.sock.recv(4096):
                pass


class Handshake(NamedTuple):
    """One that completed: the suite, the certificate, and the answer to the EHLO behind it, None where none came."""

    suite: str
    certificate: bytes | None
    capabilities: tuple[int, list[str]] | None


ATTEMPTS = 4
PAUSE = 1.2
"""How often a listener is tried again whose daemon was killed just now, and seconds between: master waits one."""


class Listener:
    """One port, and how to begin there."""

    def __init__(self, port: int, *, implicit: bool) -> None:
        self.port = port
        self.implicit = implicit
        self.greets = True

    @contextmanager
    def clear(self) -> Iterator[Wire]:
        """A session without TLS, greeted."""
        session = Wire(self.port)
        with session:
            yield session
            session.quit()

    @contextmanager
    def encrypted(self, how: ssl.SSLContext) -> Iterator[Wire | None]:
        """A session inside TLS; None where STARTTLS is refused or the handshake fails."""
        session: Wire | None = None
        try:
            session = Wire(self.port, implicit=how) if self.implicit else self.begun()
            if not self.implicit and session.starttls(how) != 220:
                session.quit()
                session.sock.close()
                session = None
        except TimeoutError:
            raise
        except OSError as error:
            # What the session itself raises: the handshake was over.
            self.greets = self.greets and type(error) is not ConnectionError
            if session is not None:
                session.sock.close()
                session = None
            elif not self.implicit:
                raise
        if session is None:
            yield None
            return
        with session:
            if session.banner[0] == 220:
                yield session
            else:
                # 421 stands in its place for a client that should have had a certificate.
                self.greets = False
                yield None
            session.quit()

    def begun(self) -> Wire:
        """A session that has come past EHLO in clear. Where an earlier one killed the daemon the next may find none."""
        for left in range(ATTEMPTS, 0, -1):
            session: Wire | None = None
            try:
                session = Wire(self.port)
                session.capabilities()
            except ConnectionError:
                if session is not None:
                    session.sock.close()
                if left == 1:
                    raise
                time.sleep(PAUSE)
            else:
                return session
        raise AssertionError("unreachable")

    def handshake(self, how: ssl.SSLContext, *, go_on: bool = True) -> Handshake | None:
        """A session that sends EHLO inside TLS, or with `go_on` false closes there."""
        with self.encrypted(how) as session:
            if session is None:
                return None
            suite = session.tls.cipher()
            assert suite
            certificate = session.tls.getpeercert(binary_form=True)
            if not go_on:
                session.sock.close()
                return Handshake(suite[0], certificate, None)
            try:
                answer = session.capabilities()
            except ssl.SSLError:
                # TLS 1.3: the server found fault after the client was done.
                return None
            except ConnectionError:
                return Handshake(suite[0], certificate, None)
            return Handshake(suite[0], certificate, answer)


# --- the questions ---------------------------------------------------------------------------------------------------


def observe(
    port: int, sasl: Client, gone: Callable[[], bool], *, implicit: bool = False, every_suite: bool = False
) -> Observed:
    """Ask a listener everything. `implicit`: it probably begins with TLS; `gone` tells that its daemon cannot start."""
    kind, note = _kind(port, implicit, gone)
    if kind == "clear" and not note:
        note = _ungreeted(port)
    if note:
        return Observed(works=False, notes=(note,))
    return _Questions(Listener(port, implicit=kind == "implicit"), sasl).ask(every_suite=every_suite)


def _kind(port: int, implicit: bool, gone: Callable[[], bool]) -> tuple[Literal["clear", "implicit", "nothing"], str]:
    first = None if implicit else _first(port, speak=False, gone=gone, patience=SILENCE)
    if first is None:
        first = _first(port, speak=True, gone=gone, patience=PATIENCE)
    if first is None:
        return "nothing", "no daemon"
    if not first:
        return "nothing", "closed before the greeting"
    # An alert or a handshake, else a greeting: 220, or 554 for those who speak too early.
    return ("implicit" if first[0] in (0x15, 0x16) else "clear"), ""


def _ungreeted(port: int) -> str:
    """How a listener ends a session before its greeting; empty where it does not."""
    try:
        session = Wire(port)
    except ConnectionError:
        return "closed before the greeting"
    with session:
        session.quit()
    code, lines = session.banner
    return "" if code == 220 else f"greeting: {code} {' '.join(lines)}"


def _first(port: int, *, speak: bool, gone: Callable[[], bool], patience: float) -> bytes | None:
    """The first bytes that the server sends: none when it closes. None when it is silent, or not there."""
    with socket.create_connection(("127.0.0.1", port), smtp.TIMEOUT) as sock:
        if speak:
            outgoing = ssl.MemoryBIO()
            hello = smtp.context(ciphers=EVERYTHING).wrap_bio(ssl.MemoryBIO(), outgoing)
            with suppress(ssl.SSLWantReadError):
                hello.do_handshake()
            sock.sendall(outgoing.read())
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if select.select([sock], [], [], 0.1)[0]:
                try:
                    return sock.recv(16)
                except ConnectionResetError:
                    return b""
            if gone():
                return None
    if speak:
        raise AssertionError(f"port {port} neither answers nor dies in {patience} s")
    return None


class _Questions:
    """Gathers the answers of one listener."""

    def __init__(self, listener: Listener, sasl: Client) -> None:
        self.listener = listener
        self.sasl = sasl
        self.protocols: list[str] = []
        self.ciphers: dict[str, str] = {}
        self.shown: dict[bytes, str] = {}
        self.after: list[str] | None = None
        self.legacy = False
        self.dying = False
        self.notes: list[str] = []

    def ask(self, *, every_suite: bool) -> Observed:
        implicit = self.listener.implicit
        before: tuple[str, ...] = ()
        code, advertised = 0, implicit
        if not implicit:
            with self.listener.clear() as session:
                answer, capabilities = session.capabilities()
                assert answer == 250, (answer, capabilities)
                before = self._mechanisms(capabilities)
                advertised = "STARTTLS" in capabilities
                code, _ = session.say("MAIL FROM:<sender@client.test>")
        if advertised:
            self._versions()
        if implicit and (not self.protocols or self.after is None):
            return Observed(works=False, implicit=True, notes=(*self.notes, "no greeting inside TLS"))
        after = self._mechanisms(self.after or [])
        tls: Tls = "none"
        if advertised:
            tls = "implicit" if implicit else ("required" if code == 530 else "offered") if self.protocols else "broken"
        old = [each for each in self.protocols if each != "TLSv1.3"]
        anonymous = bool(old) and self._anonymous()
        self._certificates()
        whole = self._every_suite(old[-1]) if every_suite and old and not self.dying else None
        return Observed(
            works=True,
            tls=tls,
            implicit=implicit,
            protocols=tuple(self.protocols),
            auth_before_tls=before,
            auth_after_tls=after,
            legacy_auth_line=self.legacy,
            cleartext_mail=code == 250,
            anonymous=anonymous,
            succeeded_before=self._logins(before, None),
            succeeded_after=self._logins(after, client(self.protocols[0])) if after else {},
            shown=frozenset(self.shown.values()),
            names=frozenset(_name(each) for each in self.shown),
            ciphers=self.ciphers,
            suites=whole,
            dies_after_tls=bool(self.protocols) and self.after is None,
            notes=tuple(self.notes),
        )

    def _mechanisms(self, capabilities: list[str]) -> tuple[str, ...]:
        self.legacy = self.legacy or any(line.startswith("AUTH=") for line in capabilities)
        return tuple(sorted(smtp.mechanisms(capabilities)))

    def _versions(self) -> None:
        if not self.listener.implicit:
            with self.listener.clear() as session:
                code, text = session.say("STARTTLS")
                if code != 220:
                    self.notes.append(f"STARTTLS: {code} {text}")
                    return
                session.sock.close()
        for version in VERSIONS:
            done = self.listener.handshake(client(version), go_on=not self.dying)
            if not self.listener.greets:
                return
            if done is None:
                continue
            self.protocols.append(version)
            if version != "TLSv1.3":
                self.ciphers[version] = done.suite
            self._seen(done)
            answered = done.capabilities is not None and done.capabilities[0] == 250
            if done.capabilities is not None and answered:
                self.after = done.capabilities[1]
            elif not self.dying:
                self.dying = True
                told = "closed" if done.capabilities is None else str(done.capabilities[0])
                self.notes.append(f"EHLO inside {version}: {told}")

    def _seen(self, done: Handshake | None) -> None:
        if done and done.certificate:
            self.shown[done.certificate] = _kind_of_key(done.certificate)

    def _certificates(self) -> None:
        """Ask for the kinds of certificates that were not shown so far, with each version."""
        for version in self.protocols:
            for kind, ciphers in PROVING.items():
                old = version in ("TLSv1", "TLSv1.1")
                if kind in self.shown.values() or (old and kind == "ed25519"):
                    continue
                how = client(version, ciphers, "" if old else SIGNATURES[kind])
                self._seen(self.listener.handshake(how, go_on=not self.dying))

    def _anonymous(self) -> bool:
        done = self.listener.handshake(client("", ANONYMOUS), go_on=not self.dying)
        return done is not None and done.certificate is None

    def _every_suite(self, version: str) -> frozenset[str]:
        found: set[str] = set()
        # By kind of key: a handshake fails for all where the server chooses a suite whose key it then finds too small.
        for kind in sorted(set(suites().values())):
            left = [name for name, auth in suites().items() if auth == kind]
            while left:
                # Not through the cache: no two listeners ask for the same lists.
                done = self.listener.handshake(client.__wrapped__(version, f"{':'.join(left)}:@SECLEVEL=0"))
                if done is None:
                    break
                self._seen(done)
                found.add(done.suite)
                left.remove(done.suite)
        return frozenset(found)

    def _logins(self, mechanisms: tuple[str, ...], how: ssl.SSLContext | None) -> dict[str, bool]:
        """Try every mechanism; a session goes on until somebody is let in."""
        found: dict[str, bool] = {}
        waiting = list(dict.fromkeys(mechanisms))
        while waiting:
            with self.listener.encrypted(how) if how else self.listener.clear() as session:
                assert session is not None
                session.capabilities()
                while waiting:
                    mechanism = waiting.pop(0)
                    try:
                        code = self.sasl.authenticate(mechanism, session.say)
                    except Failed as error:
                        self.notes.append(str(error))
                        break
                    found[mechanism] = code == 235
                    if code not in (235, 454, 535):
                        self.notes.append(f"AUTH {mechanism}: {code}")
                    if code == 235:
                        break
        return found


@cache
def _certificate(data: bytes) -> x509.Certificate:
    return x509.load_der_x509_certificate(data)


def _kind_of_key(data: bytes) -> str:
    match _certificate(data).public_key():
        case rsa.RSAPublicKey():
            return "rsa"
        case ec.EllipticCurvePublicKey():
            return "ecdsa"
        case ed25519.Ed25519PublicKey():
            return "ed25519"
        case other:
            return type(other).__name__


def _name(data: bytes) -> str:
    names = _certificate(data).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.DNSName)[-1]
