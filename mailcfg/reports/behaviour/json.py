"""The behaviour of a mail host as JSON, for programs."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from mailcfg.behaviour.model import Endpoint, Hop, Mechanism, OutboundTls, Reason, Tls
from mailcfg.reports.behaviour import decides, scope_of, values
from mailcfg.rule import Subject
from mailcfg.secrets import shown

SCHEMA = "mailcfg/behaviour/1"


class Because(NamedTuple):
    """One setting that decides something: its value, and the file and line where it stands; null for Postfix's own
    default. `key` is the policy key, `via` the knowledge that turned it into the value, `words` what else there is.
    """

    setting: str
    value: str
    file: str | None
    line: int | None
    key: str
    via: str
    words: str


class Certificate(NamedTuple):
    """A certificate that a client is shown; `modern_only`: by TLS 1.3 alone. `key_type` as in a policy (`ecdsa-p256`,
    `rsa-2048`), null where the file was not read and RSA is assumed; `names` those of its subjectAltName, `file` where
    it stands; `sni` is the name that a client must ask for, empty for every client.
    """

    key_type: str | None
    names: tuple[str, ...]
    file: str
    sni: str
    modern_only: bool


class ValueDocument(NamedTuple):
    """The value of the parameter that was asked for: in main.cf, where `service` is empty, or as a service has it."""

    service: str
    value: str
    file: str | None
    line: int | None


class EndpointDocument(NamedTuple):
    """One listener. `tls` is `broken` where STARTTLS is advertised and no client can complete it; `works` is false
    where no session gets past the banner; `protocols` are the versions with which a client limited to that one
    completes a handshake; `suites` the cipher suites up to TLS 1.2, by what the server proves itself with.
    """

    service: str
    port: int | None
    address: str
    works: bool
    tls: Tls
    protocols: tuple[str, ...]
    suites: dict[str, tuple[str, ...]]
    anonymous: bool
    auth_before_tls: tuple[str, ...]
    auth_after_tls: tuple[str, ...]
    mechanisms: tuple[Mechanism, ...]
    legacy_auth_line: bool
    cleartext_mail: bool
    certificates: tuple[Certificate, ...]
    saslauthd_reached: bool | None
    causes: tuple[str, ...]
    unknown: tuple[str, ...]
    because: dict[str, tuple[Because, ...]]


class HopDocument(NamedTuple):
    """The way out to one next hop; an empty one stands for all that are not named."""

    next_hop: str
    service: str
    level: str
    tls: OutboundTls
    protocols: tuple[str, ...]
    falls_back_to_cleartext: bool
    certificate_checked: bool
    credentials: bool
    credentials_in_clear: bool
    causes: tuple[str, ...]
    unknown: tuple[str, ...]
    because: dict[str, tuple[Because, ...]]


class OutboundDocument(NamedTuple):
    """The way out: in general, and to each next hop that differs."""

    tls: OutboundTls
    protocols: tuple[str, ...]
    falls_back_to_cleartext: bool
    credentials_in_clear: bool
    next_hops: tuple[HopDocument, ...]


class Document(NamedTuple):
    """What a client meets at every endpoint of one mail host, and what happens on the way out. `values` are those of
    the parameter that was asked for, empty where none was.
    """

    schema: str
    target: str
    platform: str
    postfix: str
    endpoints: tuple[EndpointDocument, ...]
    outbound: OutboundDocument
    unknown: tuple[str, ...]
    values: tuple[ValueDocument, ...]


def document(name: str, subject: Subject, endpoints: tuple[Endpoint, ...], parameter: str = "") -> Document:
    """The document for some endpoints of a subject, and one parameter."""
    hops = tuple(_hop(each) for each in subject.behaviour.outbound)
    first = hops[0]
    return Document(
        SCHEMA,
        name,
        subject.platform.id,
        str(subject.postfix),
        tuple(_endpoint(each) for each in endpoints),
        OutboundDocument(first.tls, first.protocols, first.falls_back_to_cleartext, first.credentials_in_clear, hops),
        subject.behaviour.unknown,
        tuple(
            ValueDocument(service, shown(parameter, each.value), each.origin.file or None, each.origin.line or None)
            for service, each in (values(subject, name, parameter) if parameter else ())
        ),
    )


def _endpoint(each: Endpoint) -> EndpointDocument:
    known = {mechanism.name: mechanism for mechanism in (*each.mechanisms_before, *each.mechanisms_after)}
    return EndpointDocument(
        each.service,
        each.port,
        each.address,
        each.works,
        each.tls,
        each.protocols,
        each.suites,
        each.anonymous,
        each.auth_before_tls,
        each.auth_after_tls,
        tuple(known.values()),
        each.legacy_auth_line,
        each.cleartext_mail,
        tuple(
            Certificate(one.key_type if one.read else None, one.names, one.file, one.sni, one.modern_only)
            for one in each.certificates
        ),
        each.socket,
        each.causes,
        each.unknown,
        _because(each.because),
    )


def _hop(each: Hop) -> HopDocument:
    return HopDocument(
        each.next_hop,
        each.service,
        each.level,
        each.tls,
        each.protocols,
        each.falls_back_to_cleartext,
        each.checked,
        each.credentials,
        each.credentials_in_clear,
        each.causes,
        (*each.unknown, *(("whether any mail goes this way",) if each.routed is None else ())),
        _because(each.because),
    )


def _because(reasons: dict[str, tuple[Reason, ...]]) -> dict[str, tuple[Because, ...]]:
    return {
        name: tuple(
            Because(
                each.setting,
                shown(each.setting, each.value),
                each.origin.file or None,
                each.origin.line or None,
                each.origin.key,
                each.origin.via,
                each.words,
            )
            for each in some
        )
        for name, some in reasons.items()
    }


def render(name: str, subject: Subject, endpoints: tuple[Endpoint, ...], parameter: str, color: bool) -> str:
    """The whole document; a parameter narrows the reasons to those that name it, or are made of it."""
    found = plain(document(name, subject, endpoints, parameter))
    if parameter:
        told = (*found["endpoints"], *found["outbound"]["next_hops"])
        ours: list[Endpoint | Hop] = [*endpoints, *subject.behaviour.outbound]
        for each, one in zip(told, ours, strict=True):
            scope = scope_of(subject, one)
            kept = {key for key, reasons in one.because.items() if decides(scope, parameter, reasons)}
            each["because"] = {key: reasons for key, reasons in each["because"].items() if key in kept}
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def plain(value: Any) -> Any:
    """Named tuples as objects, tuples as lists."""
    if hasattr(value, "_asdict"):
        return {name: plain(each) for name, each in value._asdict().items()}
    if isinstance(value, tuple):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return value
