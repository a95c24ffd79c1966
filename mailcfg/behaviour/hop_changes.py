"""What happens otherwise to mail on its way out, next hop by next hop, one aspect after the other.

As with listeners each aspect has an order of its own: what is weaker one way is never weaker the other way round.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mailcfg.behaviour.changes import Change, Severity
from mailcfg.behaviour.endpoint_changes import version_changes
from mailcfg.behaviour.model import Hop
from mailcfg.behaviour.routes import is_local

RANKS = {"none": 0, "opportunistic": 1, "required": 2, "verified": 3, "dane": 3}
"""How far a level protects where it holds; what a peer without TLSA records gets is an aspect of its own."""

WORDS = {
    "none": "mail leaves without TLS",
    "opportunistic": "TLS is used where the peer offers it: else mail leaves in clear",
    "required": "TLS is required, whoever the peer is",
    "verified": "TLS is required, and the peer's certificate is checked",
    "dane": "TLS is what the peer's TLSA records ask for",
}

OUT = "the way out"
EVERYBODY = "the host of each recipient"


def hop_changes(before: tuple[Hop, ...], after: tuple[Hop, ...]) -> Iterator[Change]:
    """Every difference: of the way that mail to everybody takes, then of each next hop that either side names. One that
    a side does not name goes there by the general way.
    """
    if not before or not after:
        return  # Neither a policy nor a machine is without one: it was not looked at.
    general = _general(before), _general(after)
    hosts = [each.next_hop or EVERYBODY for each in general]
    same = _key(general[0]) == _key(general[1])
    if hosts[0].lower() != hosts[1].lower():
        was, now = (f"mail goes to {each}" for each in hosts)
        yield Change(OUT, general[1].service, "next_hop", was, now, weaker=False, severity="warning")
    yield from _Pair(*general, hop_label(general[1]) if same else OUT).changes()
    one, other = _named(before), _named(after)
    for key in dict.fromkeys((*other, *one)):
        pair = one.get(key, general[0]), other.get(key, general[1])
        if pair[0] is not general[0] or pair[1] is not general[1]:
            yield from _Pair(*pair, hop_label(other.get(key) or one[key], apart=True)).changes()


def _general(hops: tuple[Hop, ...]) -> Hop:
    """The way of mail that nothing sends elsewhere."""
    return next((each for each in hops if each.routed is not False), hops[0])


def _key(hop: Hop) -> tuple[str, str]:
    return hop.service, hop.next_hop.lower()


def _named(hops: tuple[Hop, ...]) -> dict[tuple[str, str], Hop]:
    """By service and next hop, what holds for it; ways that nothing takes are nobody's."""
    found: dict[tuple[str, str], Hop] = {}
    for each in hops:
        if each.routed is not False:
            found.setdefault(_key(each), each)
    return found


def hop_label(hop: Hop, *, apart: bool = False) -> str:
    """What a person calls a way out: `the way out to relay.example`; another client than smtp is named. `apart`: it is
    not the general one.
    """
    to = hop.next_hop or (EVERYBODY if apart else "")
    by = "" if hop.service == "smtp/unix" else f" by {hop.service}"
    return f"{OUT}{' to ' if to else ''}{to}{by}"


class _Pair:
    """One way out as it was and as it is, and what it is called."""

    def __init__(self, before: Hop, after: Hop, where: str) -> None:
        self.a = before
        self.b = after
        self.where = where

    def change(
        self, aspect: str, sides: Sequence[str], severity: Severity, *, weaker: bool = False, because: str = ""
    ) -> Change:
        reasons = next((found for each in (because or aspect, "tls") if (found := self.b.because.get(each))), ())
        return Change(self.where, self.b.service, aspect, sides[0], sides[1], weaker, severity, reasons)

    def changes(self) -> Iterator[Change]:
        a, b = self.a, self.b
        if is_local(a.next_hop) or is_local(b.next_hop):
            return  # What stays on the machine nobody reads on its way.
        one, other = stuck(a), stuck(b)
        if one or other:
            if bool(one) != bool(other):
                sides = [each or "mail leaves" for each in (one, other)]
                yield self.change("works", sides, "error" if other else "info", because="tls")
            if one and not other and b.credentials_in_clear:
                yield self.change("credentials_in_clear", (one, _credentials(b)), "error", weaker=True)
            return
        yield from self.tls()
        if a.tls != "none" and b.tls != "none":
            mandatory = not b.falls_back_to_cleartext
            for change in version_changes(a.protocols, b.protocols, mandatory=mandatory, verb="spoken"):
                aspect, was, now, weaker, severity = change
                yield self.change(aspect, (was, now), severity, weaker=weaker)
        if a.tls == b.tls == "dane":
            verb = "spoken to a peer that has TLSA records"
            for change in version_changes(
                a.protocols_with_records, b.protocols_with_records, mandatory=True, verb=verb
            ):
                _, was, now, weaker, severity = change
                yield self.change("protocols_with_records", (was, now), severity, weaker=weaker, because="protocols")
        yield from self.passwords()

    def tls(self) -> Iterator[Change]:
        a, b = self.a, self.b
        if a.tls != b.tls:
            weaker = RANKS[b.tls] < RANKS[a.tls]
            severity: Severity = "error" if weaker else "info"
            yield self.change("tls", (WORDS[a.tls], WORDS[b.tls]), severity, weaker=weaker)
        # The other levels say both already.
        apart = a.tls == b.tls or "dane" in (a.tls, b.tls)
        if apart and a.falls_back_to_cleartext != b.falls_back_to_cleartext:
            sides = [
                "a peer that offers less gets the mail in clear"
                if each.falls_back_to_cleartext
                else "no peer gets mail in clear"
                for each in (a, b)
            ]
            weaker = b.falls_back_to_cleartext
            yield self.change("falls_back_to_cleartext", sides, "error" if weaker else "info", weaker=weaker)
        if apart and a.checked != b.checked:
            sides = [
                "the peer's certificate is checked before anything is sent"
                if each.checked
                else "the certificate of a peer is not always checked"
                for each in (a, b)
            ]
            weaker = a.checked
            yield self.change("checked", sides, "error" if weaker else "info", weaker=weaker, because="tls")
        if a.implicit != b.implicit:
            sides = [
                "TLS begins with the first byte" if each.implicit else "a session begins in clear" for each in (a, b)
            ]
            yield self.change("implicit", sides, "warning")

    def credentials(self) -> Change:
        sides = [_credentials(each) for each in (self.a, self.b)]
        weaker = self.b.credentials_in_clear
        return self.change("credentials_in_clear", sides, "error" if weaker else "info", weaker=weaker)

    def passwords(self) -> Iterator[Change]:
        a, b = self.a, self.b
        if a.credentials_in_clear != b.credentials_in_clear:
            yield self.credentials()
        elif a.credentials != b.credentials:
            severity: Severity = "error" if a.credentials else "info"
            sides = [_credentials(each) for each in (a, b)]
            yield self.change("credentials", sides, severity, because="credentials_in_clear")
        elif a.credentials and a.plaintext_credentials != b.plaintext_credentials:
            sides = [
                "a password may be sent as it is inside TLS"
                if each.plaintext_credentials
                else "inside TLS no password is sent by PLAIN or LOGIN"
                for each in (a, b)
            ]
            yield self.change("plaintext_credentials", sides, "warning" if a.plaintext_credentials else "info")


def stuck(hop: Hop) -> str:
    """Why no mail leaves by a way; empty where it does."""
    return next((each for each in hop.causes if "no mail leaves" in each or " is deferred: " in each), "")


def _credentials(hop: Hop) -> str:
    if not hop.credentials:
        return "no password is sent"
    return "a password can leave in clear" if hop.credentials_in_clear else "a password is sent inside TLS alone"
