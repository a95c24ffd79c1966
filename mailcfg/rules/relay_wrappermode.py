"""A relay is spoken to with TLS at another moment than its port expects.

What it does: looks at the next hops that main.cf names (relayhost, smtp_fallback_relay, and the transports with a next
hop) and at the smtp service that delivers there: port 465 without smtp_tls_wrappermode, ports 25 and 587 with it, and
smtp_tls_wrappermode at a level below encrypt, which Postfix refuses.

Why it is bad: either side waits for the other to begin, so no mail leaves; at a level below encrypt smtp gives up
before it connects.

Wrong:

    # main.cf
    relayhost = [smtp.example.net]:465
    smtp_tls_security_level = encrypt

Wrong:

    # main.cf
    relayhost = [smtp.example.net]:465
    smtp_tls_security_level = may
    smtp_tls_wrappermode = yes

Wrong:

    # main.cf
    relayhost = [smtp.example.net]:submission
    smtp_tls_security_level = encrypt
    smtp_tls_wrappermode = yes

Right:

    # main.cf
    relayhost = [smtp.example.net]:465
    smtp_tls_security_level = encrypt
    smtp_tls_wrappermode = yes

Right:

    # main.cf
    default_transport = smtps
    relayhost = [smtp.example.net]:465
    smtp_tls_security_level = may
    # master.cf
    smtps unix - - n - - smtp
      -o smtp_tls_wrappermode=yes
      -o smtp_tls_security_level=secure

References: postconf(5) smtp_tls_wrappermode, TLS_README.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mailcfg.behaviour.effective import Scope
from mailcfg.behaviour.listening import PORTS
from mailcfg.behaviour.model import Value
from mailcfg.behaviour.outbound import general_level, policies
from mailcfg.behaviour.routes import is_local
from mailcfg.behaviour.words import listed
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject

SEVERITY = Severity.ERROR
REFERENCES = ("postconf(5) smtp_tls_wrappermode", "TLS_README")

WRAPPER_SINCE = (3, 0)
"""The Postfix series with smtp_tls_wrappermode (postconf(5))."""

STARTTLS = (25, 587)
"""Ports whose servers begin with SMTP (RFC 5321, RFC 6409)."""

TRANSPORTS = (
    "default_transport",
    "relay_transport",
    "local_transport",
    "virtual_transport",
    "mailbox_transport",
    "fallback_transport",
    "content_filter",
)
"""Parameters with a transport, and perhaps a next hop: `smtp:[127.0.0.1]:10025` (postconf(5))."""


class NextHop(NamedTuple):
    """A next hop that a parameter names, with the smtp or lmtp service that delivers there and its values."""

    value: Value
    where: str
    service: str
    side: str
    scope: Scope

    @property
    def port(self) -> int | None:
        """Its TCP port; None for a name that only the machine's /etc/services knows."""
        host, _, port = self.where.rpartition(":")
        if not host or self.where.endswith("]"):
            return 25
        port = PORTS.get(port, port)
        return int(port) if port.isdecimal() else None

    @property
    def local(self) -> bool:
        """Whether it is this machine."""
        return is_local(self.where)

    @property
    def level(self) -> str:
        """The security level that holds for it; empty where a table that is not inline decides."""
        entries, others = policies(self.scope.text(f"{self.side}_tls_policy_maps"))
        for entry in entries:
            if entry.next_hop.lower() == self.where.lower():
                return entry.level
        return "" if others else general_level(self.scope, self.side)[0]


def check(subject: Subject) -> Iterator[Said]:
    """Hold the port of each next hop against smtp_tls_wrappermode."""
    for hop in next_hops(subject):
        if hop.local or hop.side != "smtp":
            continue
        wrapper = hop.scope.value("smtp_tls_wrappermode")
        wraps = (wrapper.value or "").lower() == "yes" and hop.scope.postfix.series >= WRAPPER_SINCE
        port = hop.port
        if not wraps:
            if port == 465:
                at = wrapper.origin if wrapper.origin.file else hop.value.origin
                yield Said(
                    f"{hop.where} expects TLS at once, and smtp begins with SMTP there",
                    "either side waits for the other, and no mail leaves",
                    at,
                    "smtp_tls_wrappermode",
                    hop.service,
                    policy='[relay] with mode = "implicit" and tls = "verified"',
                    main="smtp_tls_wrappermode = yes, with smtp_tls_security_level = secure"
                    if hop.scope.postfix.series >= WRAPPER_SINCE
                    else f"Postfix {hop.scope.postfix} needs stunnel for it; or use port 587",
                )
        elif port in STARTTLS:
            yield Said(
                f"{hop.where} expects SMTP, and smtp begins with TLS there",
                "either side waits for the other, and no mail leaves",
                wrapper.origin,
                "smtp_tls_wrappermode",
                hop.service,
                policy='[relay] with port = 465, or mode = "starttls"',
                main="smtp_tls_wrappermode = no, or port 465",
            )
        elif hop.level in ("none", "may"):
            yield Said(
                f"smtp_tls_wrappermode needs level encrypt or more; it is {hop.level} for {hop.where}",
                "no mail leaves: smtp gives up before it connects",
                wrapper.origin,
                "smtp_tls_security_level",
                hop.service,
                policy='[relay] with tls = "verified"',
                main="smtp_tls_security_level = secure",
            )


def next_hops(subject: Subject) -> Iterator[NextHop]:
    """Every next hop that a parameter names for a service that is known to be smtp or lmtp."""
    main = subject.main
    relay = main.value("relayhost")
    if relay.value and relay.origin.file:
        transport = main.text("default_transport").partition(":")
        if not transport[2]:
            yield from _served(subject, relay, relay.value, transport[0])
    for name in TRANSPORTS:
        value = main.value(name)
        if value.origin.file:
            transport = (value.value or "").partition(":")
            yield from _served(subject, value, transport[2], transport[0])
    for service in subject.services:
        if not service.overrides:
            continue
        for each in service.overrides:
            if each.name == "content_filter":
                value = subject.scope(service).value(each.name)
                transport = (value.value or "").partition(":")
                yield from _served(subject, value, transport[2], transport[0])
    fallback = main.value("smtp_fallback_relay")
    if fallback.value and fallback.origin.file:
        yield from _served(subject, fallback, fallback.value, "smtp")


def _served(subject: Subject, value: Value, where: str, name: str) -> Iterator[NextHop]:
    """The next hops of a value, where the service is known."""
    if not where or where.startswith(("unix:", "/")):
        return
    service = subject.service(f"{name}/unix")
    if service is None and (subject.whole or name not in ("smtp", "relay")):
        return
    side = service.command if service else "smtp"
    if side in ("smtp", "lmtp"):
        for each in listed(where):
            yield NextHop(value, each.removeprefix("inet:"), f"{name}/unix", side, subject.scope(service))
