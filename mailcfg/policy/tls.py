"""`[tls]`: which guideline holds, and what every listener and the way out have in common."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mailcfg.policy.table import Table
from mailcfg.policy.values import CipherName, GroupName, Identifier

Protocol = Literal["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"]


class Tls(Table):
    """TLS for all listeners and for outgoing mail."""

    guideline: str
    """The guideline that decides protocol versions, ciphers and groups, pinned with its version so that it cannot
    change under you. `custom` takes them from the keys below; what those leave out stays as Postfix has it."""
    certificate: Identifier | list[Identifier] | None = None
    """The certificate that listeners show, or several with keys of different types (ECDSA and RSA). Default: the one
    that is declared."""
    minimum: Protocol | None = None
    """With `custom`: the oldest protocol version."""
    ciphers: list[CipherName] | None = Field(default=None, min_length=1)
    """With `custom`: cipher suites up to TLS 1.2 where TLS is mandatory, by OpenSSL name, best first."""
    groups: list[GroupName] | None = Field(default=None, min_length=1)
    """With `custom`: key exchange groups, best first."""
    server_preference: bool | None = None
    """With `custom`: whether the server's order of ciphers wins."""
    anonymous_ciphers: bool = False
    """Whether ciphers without a certificate may be used where TLS is optional. They stop a listener, not an
    interceptor."""
    log_level: int = Field(default=1, ge=0, le=4)
    """How much of TLS is logged: 0 nothing, 1 a line a session, 2 and more for a hunt."""
    received_header: bool = True
    """Whether the Received header says which protocol and cipher a mail came with."""
