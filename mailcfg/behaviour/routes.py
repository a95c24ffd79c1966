"""Which client mail goes by, and to which next hop: the settings that name a transport.

Source: src/trivial-rewrite/resolve.c and transport.c, transport(5), postconf(5) for each parameter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from mailcfg.behaviour.effective import Effective, Scope
from mailcfg.behaviour.words import braced, listed


class Route(NamedTuple):
    """A transport (the name of a service), and a next hop; an empty one stands for the domain of each recipient."""

    transport: str
    next_hop: str

    @property
    def socket(self) -> bool:
        """Whether it ends at a socket of this machine."""
        return self.next_hop.startswith(("unix:", "/"))


class Routes(NamedTuple):
    """All ways that can be read from settings. `general`: the transport of mail to strangers. `undecided`: the
    parameters, with their tables, that may name other ways. `filtered`: whether an access table, or a pattern for
    headers, might hand mail to any transport with FILTER.
    """

    general: str
    found: tuple[Route, ...]
    undecided: tuple[tuple[str, str], ...]
    filtered: bool

    def of(self, transport: str) -> list[str]:
        """The next hops of a transport, but for sockets."""
        return list(
            dict.fromkeys(each.next_hop for each in self.found if each.transport == transport and not each.socket)
        )


def is_local(next_hop: str) -> bool:
    """Whether a next hop is this machine by its loopback address."""
    host = next_hop.lower()
    host = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return host in ("localhost", "::1", "ipv6:::1") or host.startswith("127.")


CLASSES = (("relay_domains", "relay_transport"), ("virtual_mailbox_domains", "virtual_transport"))
"""Lists of domains, each with the transport that nobody needs without them."""

DELIVERY = ("local_transport", "mailbox_transport", "fallback_transport")
TRANSPORTS = (
    *("transport_maps", "sender_dependent_default_transport_maps"),
    *("mailbox_transport_maps", "fallback_transport_maps"),
)
"""Tables whose values name a transport."""

PATTERNS = ("header_checks", "body_checks", "mime_header_checks", "nested_header_checks")


def routes(effective: Effective) -> Routes:
    """Every way that the settings name."""
    main = effective.of()
    relayhost = main.text("relayhost")
    default, _, named = main.text("default_transport").partition(":")
    found = list(_ways(default, named or relayhost))
    for domains, parameter in CLASSES:
        if main.is_set(domains) and main.text(domains):
            transport, _, where = main.text(parameter).partition(":")
            found += _ways(transport, where or (relayhost if parameter == "relay_transport" else ""))
    for parameter in DELIVERY:
        transport, _, where = main.text(parameter).partition(":")
        found += _ways(transport, where)
    scopes = [main, *(effective.of(each) for each in effective.configuration.services if each.overrides)]
    for scope in scopes:
        transport, _, where = scope.text("content_filter").partition(":")
        found += _ways(transport, where)
    for hop in listed(main.text("smtp_fallback_relay")):
        found += _ways(default, hop)
    undecided: list[tuple[str, str]] = []
    for parameter in TRANSPORTS:
        entries, others = inline(main.text(parameter))
        undecided += [(parameter, each) for each in others]
        for key, value in entries:
            transport, _, where = value.partition(":")
            found += _ways(transport.strip() or default, where.strip() or _domain(key))
    entries, others = inline(main.text("sender_dependent_relayhost_maps"))
    if not named:
        # Like relayhost, these tables have no say where default_transport names a next hop.
        undecided += [("sender_dependent_relayhost_maps", each) for each in others]
        for _, value in entries:
            if value.lower() != "dunno":
                found += _ways(default, value)
    return Routes(default, tuple(dict.fromkeys(found)), tuple(undecided), any(_filters(each) for each in scopes))


def _ways(transport: str, where: str) -> Iterator[Route]:
    """A way for each of several next hops (postconf(5) relayhost)."""
    if not transport:
        return
    if where.startswith(("unix:", "/")):
        yield Route(transport, where)
        return
    for hop in listed(where) or [""]:
        yield Route(transport, hop.removeprefix("inet:"))


def _domain(key: str) -> str:
    """Where mail goes of which a transport table names the transport alone: to the domain of the recipient."""
    return "" if key == "*" else key.rpartition("@")[2]


def _filters(scope: Scope) -> bool:
    """Whether some table may say FILTER, which names a transport."""
    if any(scope.text(each) for each in PATTERNS):
        return True
    stages = ("client", "helo", "sender", "relay", "recipient", "data", "end_of_data", "etrn")
    return any("_access" in scope.text(f"smtpd_{stage}_restrictions") for stage in stages)


_INLINE = re.compile(r"inline:(\{.*\})", re.DOTALL)


def inline(value: str) -> tuple[list[tuple[str, str]], tuple[str, ...]]:
    """Keys and values of `inline:` tables, and the tables whose entries stand elsewhere."""
    entries: list[tuple[str, str]] = []
    others: list[str] = []
    for word in braced(value):
        match = _INLINE.fullmatch(word)
        if match is None:
            others.append(word)
            continue
        for each in braced(match[1][1:-1]):
            text = each[1:-1] if each.startswith("{") and each.endswith("}") else each
            key, equals, entry = text.partition("=")
            if equals:
                entries.append((key.strip(), entry.strip()))
    return entries, tuple(others)
