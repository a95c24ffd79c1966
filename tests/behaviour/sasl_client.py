"""libsasl as a client, so that every mechanism it has can be tried with the right password."""

from __future__ import annotations

import base64
import binascii
import ctypes
from collections.abc import Callable
from threading import Lock
from typing import Any, NamedTuple

OK, CONTINUE = 0, 1
LOG, USER, NAME, PASSWORD, REALM, SECURITY = 2, 0x4001, 0x4002, 0x4004, 0x4008, 101
"""Numbers of sasl.h: callbacks, and the property that bounds the strength of a mechanism."""


class Credentials(NamedTuple):
    """Who logs in. `host` is the name of the server, which is the realm too."""

    user: str
    password: str
    host: str


class Failed(Exception):
    """The client gave up; the server had no say in it."""


class _Callback(ctypes.Structure):
    _fields_ = [("id", ctypes.c_ulong), ("proc", ctypes.c_void_p), ("context", ctypes.c_void_p)]


class _Properties(ctypes.Structure):
    _fields_ = [
        ("least", ctypes.c_uint),
        ("most", ctypes.c_uint),
        ("buffer", ctypes.c_uint),
        ("flags", ctypes.c_uint),
        ("names", ctypes.c_void_p),
        ("values", ctypes.c_void_p),
    ]


Command = Callable[[str], tuple[int, str]]
"""Sends a line and returns the code and the text of the reply."""


_LOCK = Lock()
"""The library has a single state: sessions take turns with it, a call at a time, whoever's they are."""

_ALIVE: list[Client] = []
"""The library keeps the callbacks of whoever came first for as long as the process lives."""


class Client:
    """What a session logs in with."""

    def __init__(self, credentials: Credentials) -> None:
        _ALIVE.append(self)
        self.credentials = credentials
        self._lock = _LOCK
        self._lib: Any = ctypes.CDLL("libsasl2.so.2")
        secret = credentials.password.encode()
        # sasl_secret_t: a length and that many bytes.
        self._secret = ctypes.create_string_buffer(
            len(secret).to_bytes(ctypes.sizeof(ctypes.c_ulong), "little") + secret
        )
        self._strings = {USER: ctypes.c_char_p(b""), NAME: ctypes.c_char_p(credentials.user.encode())}
        self._realm = ctypes.c_char_p(credentials.host.encode())
        pointers = ctypes.POINTER(ctypes.c_void_p)

        def simple(_: Any, kind: int, result: Any, length: Any) -> int:
            result[0] = ctypes.cast(self._strings[kind], ctypes.c_void_p)
            if length:
                length[0] = len(self._strings[kind].value or b"")
            return OK

        def password(_: Any, __: Any, ___: int, result: Any) -> int:
            result[0] = ctypes.cast(self._secret, ctypes.c_void_p)
            return OK

        def realm(_: Any, __: int, ___: Any, result: Any) -> int:
            result[0] = ctypes.cast(self._realm, ctypes.c_void_p)
            return OK

        c_int, pointer = ctypes.c_int, ctypes.c_void_p
        # The library keeps the addresses, so they are kept here too.
        self._functions: list[Any] = [
            ctypes.CFUNCTYPE(c_int, pointer, c_int, pointers, ctypes.POINTER(ctypes.c_uint))(simple),
            ctypes.CFUNCTYPE(c_int, pointer, pointer, c_int, pointers)(password),
            ctypes.CFUNCTYPE(c_int, pointer, c_int, pointer, pointers)(realm),
            ctypes.CFUNCTYPE(c_int, pointer, c_int, ctypes.c_char_p)(lambda *_: OK),
        ]
        addresses = [ctypes.cast(each, pointer) for each in self._functions]
        self._callbacks = (_Callback * 6)(
            _Callback(USER, addresses[0]),
            _Callback(NAME, addresses[0]),
            _Callback(PASSWORD, addresses[1]),
            _Callback(REALM, addresses[2]),
            _Callback(LOG, addresses[3]),
            _Callback(0),
        )
        assert self._lib.sasl_client_init(self._callbacks) == OK

    def authenticate(self, mechanism: str, say: Command) -> int:
        """AUTH with one mechanism; the code of the last reply. Raises Failed where this client cannot."""
        connection = ctypes.c_void_p()
        with self._lock:
            new = (b"smtp", self.credentials.host.encode(), None, None, self._callbacks, 0, ctypes.byref(connection))
            assert self._lib.sasl_client_new(*new) == OK
        try:
            return self._dialogue(connection, mechanism, say)
        finally:
            with self._lock:
                self._lib.sasl_dispose(ctypes.byref(connection))

    def _dialogue(self, connection: ctypes.c_void_p, mechanism: str, say: Command) -> int:
        out, length = ctypes.c_void_p(), ctypes.c_uint()

        def said(code: int) -> bytes | None:
            if code not in (OK, CONTINUE):
                raise Failed(f"{mechanism}: libsasl returns {code}")
            return ctypes.string_at(out.value, length.value) if out.value is not None else None

        with self._lock:
            # No layer of its own, as Postfix wants it.
            properties = _Properties(0, 0, 0, 0, None, None)
            assert self._lib.sasl_setprop(connection, SECURITY, ctypes.byref(properties)) == OK
            code = self._lib.sasl_client_start(
                connection, mechanism.encode(), None, ctypes.byref(out), ctypes.byref(length), None
            )
            first = said(code)
        reply, text = say(f"AUTH {mechanism}" + ("" if first is None else f" {_encoded(first) or '='}"))
        while reply == 334:
            try:
                challenge = base64.b64decode(text, validate=True)
            except binascii.Error as error:
                raise Failed(f"{mechanism}: {text!r}: {error}") from None
            with self._lock:
                out.value, length.value = None, 0
                code = self._lib.sasl_client_step(
                    connection, challenge, len(challenge), None, ctypes.byref(out), ctypes.byref(length)
                )
                try:
                    answer = said(code)
                except Failed:
                    answer = None
            if code not in (OK, CONTINUE):
                say("*")
                raise Failed(f"{mechanism}: libsasl returns {code}")
            reply, text = say(_encoded(answer or b""))
        return reply


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()
