"""What a client meets: one endpoint a listener, one way out a next hop, and why each is as it is."""

from __future__ import annotations

from typing import Literal, NamedTuple

from mailcfg.configuration import Origin

Tls = Literal["none", "offered", "required", "implicit", "broken"]
"""`broken`: STARTTLS is advertised and no client can complete it."""

OutboundTls = Literal["none", "opportunistic", "required", "verified", "dane"]


class Value(NamedTuple):
    """A parameter as one service has it: as it is `written`, and expanded.

    `value` is None where Postfix fails to expand it. `source` says which of the three won: an `override` of the
    service, `main` (main.cf, or the policy), or the `default` of that Postfix; a default has an empty origin.
    """

    name: str
    written: str
    value: str | None
    source: Literal["override", "main", "default"]
    origin: Origin


class Reason(NamedTuple):
    """One step of why something is so: a setting with its value and where that stands, or a fact in words."""

    setting: str
    value: str
    origin: Origin
    words: str = ""


class Mechanism(NamedTuple):
    """A mechanism that is advertised. `succeeds`: whether a right password (or whatever it takes) is ever accepted;
    None where that cannot be told from files. `why` says why not.
    """

    name: str
    succeeds: bool | None
    why: str = ""


class Shown(NamedTuple):
    """A certificate that a client is shown; `modern_only`: by TLS 1.3 alone. `key_type` as in a policy (`ecdsa-p256`,
    `rsa-2048`), `names` those of its subjectAltName, `file` where it stands; `sni` is the name that a client must ask
    for, empty for every client. `read`: whether the certificate was looked at; else its kind is only assumed.
    """

    key_type: str
    names: tuple[str, ...]
    file: str
    sni: str = ""
    modern_only: bool = False
    read: bool = True

    @property
    def algorithm(self) -> str:
        """What kind of key it is, without its size: `rsa`, `ecdsa`, `ed25519`."""
        return self.key_type.partition("-")[0]


class Endpoint(NamedTuple):
    """One listener. See DESIGN of the JSON in `schemas/behaviour.schema.json`.

    `protocols`: the versions with which a client limited to that one completes a handshake. `suites`: by what the
    server proves itself with (`rsa`, `ecdsa`, `anonymous` …), the cipher suites up to TLS 1.2 that can be negotiated,
    in the server's order. `anonymous`: whether a handshake without any certificate can succeed. `mechanisms_before` and
    `mechanisms_after` are those of `auth_before_tls` and `auth_after_tls` with their prospects. `socket`: whether
    smtpd reaches saslauthd, None where nothing asks for it or it cannot be told. `causes`: why it is dead or broken, in
    sentences. `unknown`: what could not be told, in sentences. `client_certificate`: nobody gets further than the
    handshake who shows no certificate that the server trusts. `doubtful`: which half the unknown is about.
    """

    service: str
    port: int | None
    address: str
    command: str
    works: bool
    tls: Tls
    protocols: tuple[str, ...]
    suites: dict[str, tuple[str, ...]]
    anonymous: bool
    auth_before_tls: tuple[str, ...]
    auth_after_tls: tuple[str, ...]
    mechanisms_before: tuple[Mechanism, ...]
    mechanisms_after: tuple[Mechanism, ...]
    legacy_auth_line: bool
    cleartext_mail: bool
    certificates: tuple[Shown, ...]
    socket: bool | None
    because: dict[str, tuple[Reason, ...]]
    causes: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    implicit: bool = False
    client_certificate: bool = False
    doubtful: tuple[Literal["tls", "auth"], ...] = ()

    @property
    def encrypts(self) -> bool:
        """Whether any client gets TLS here."""
        return self.tls in ("offered", "required", "implicit")

    @property
    def mandatory(self) -> bool:
        """Whether nothing happens without TLS."""
        return self.tls in ("required", "implicit")


class Hop(NamedTuple):
    """The way out to one next hop, or to all others (`next_hop` is empty then).

    `level` is Postfix's word. `falls_back_to_cleartext`: a peer that offers less, or whose STARTTLS fails, gets the
    mail in clear after a deferral. `checked`: whether the peer's certificate is verified before anything is sent.
    `credentials`: whether a password may be sent there at all; `credentials_in_clear`: whether one can leave readable
    by anyone on the path; `plaintext_credentials`: whether PLAIN and its like may be used inside TLS. At level dane
    `protocols` and `falls_back_to_cleartext` are for peers without TLSA records, and `protocols_with_records` for those
    that have them, which get nothing in clear. `table`: policy tables that cannot be read and may decide otherwise.
    `routed`: whether mail goes there; None where a table that cannot be read would tell.
    """

    next_hop: str
    service: str
    level: str
    tls: OutboundTls
    protocols: tuple[str, ...]
    falls_back_to_cleartext: bool
    checked: bool
    credentials: bool
    credentials_in_clear: bool
    implicit: bool
    because: dict[str, tuple[Reason, ...]]
    causes: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    protocols_with_records: tuple[str, ...] = ()
    plaintext_credentials: bool = True
    table: tuple[str, ...] = ()
    routed: bool | None = True


class Behaviour(NamedTuple):
    """A whole mail host: every endpoint, and the ways out, the general one first, with those that nothing takes."""

    endpoints: tuple[Endpoint, ...]
    outbound: tuple[Hop, ...]
    unknown: tuple[str, ...] = ()


def label(endpoint: Endpoint) -> str:
    """What a person calls an endpoint: `port 25`, or the service where its port has only a name."""
    if endpoint.port is None:
        return endpoint.service
    where = f" of {endpoint.address}" if endpoint.address else ""
    return f"port {endpoint.port}{where}"
