"""The way out: with which TLS mail leaves, what a peer gets that offers less, and whether a password can be read.

Source: postconf(5), TLS_README, src/smtp/smtp_tls_policy.c; E12 and tests/behaviour for what a real smtp does.
"""

from __future__ import annotations

from itertools import takewhile
from typing import NamedTuple

from mailcfg.behaviour.effective import Effective, Scope
from mailcfg.behaviour.listening import running
from mailcfg.behaviour.model import Hop, OutboundTls, Reason
from mailcfg.behaviour.protocols import protocols
from mailcfg.behaviour.routes import Routes, inline, routes
from mailcfg.behaviour.surroundings import Surroundings
from mailcfg.behaviour.tls import LEVELS, below_the_gap, spoken
from mailcfg.behaviour.words import braced, listed
from mailcfg.configuration import Origin, Service
from mailcfg.facts.version import Version

WORDS: dict[str, OutboundTls] = {
    "none": "none",
    "may": "opportunistic",
    "encrypt": "required",
    "dane": "dane",
    "dane-only": "dane",
    "fingerprint": "verified",
    "verify": "verified",
    "secure": "verified",
}
"""Postfix's security levels in the words of a policy."""

OPTIONAL = ("none", "may", "dane")
"""Levels at which a peer without TLS gets its mail all the same; with `dane`, one without TLSA records."""

CHECKED = ("fingerprint", "verify", "secure", "dane-only")
"""Levels at which nothing is sent before the peer has proved who it is."""

PLAINTEXT = ("plain", "login")
TOKENS = ("xoauth2", "oauthbearer")
"""Mechanisms that hand over something that anyone who reads it can use again: those of every libsasl, and those that
somebody has who names them.
"""

AUTHENTICATED = ("dane", "dane-only", "fingerprint", "verify", "secure")
"""Levels at which OpenSSL's own security level is 1 (src/tls/tls_client.c): from OpenSSL 3.0 on it leaves nothing older
than TLS 1.2 (measured).
"""

OLD = ("SSLv3", "TLSv1", "TLSv1.1")

ATTRIBUTES = frozenset(
    [
        *("ciphers", "protocols", "servername", "match", "exclude", "tafile", "connection_reuse", "enable_rpk"),
        *("policy_type", "policy_ttl", "policy_domain", "policy_string", "policy_failure", "mx_host_pattern"),
    ]
)
"""What an entry of a policy table may say beside the level."""

ONCE = ("ciphers", "protocols", "servername", "exclude")
FILLED = ("ciphers", "match", "tafile")
AT_LEVELS = {"match": ("fingerprint", "verify", "secure"), "tafile": ("verify", "secure")}
"""Attributes that must not be repeated, must not be empty, and are for some levels only."""


class Policy:
    """One entry of smtp_tls_policy_maps: a level, and attributes of its own. `wrong`: why Postfix defers the mail."""

    __slots__ = ("attributes", "level", "next_hop", "wrong")

    def __init__(self, next_hop: str, text: str) -> None:
        words = listed(text)
        self.next_hop = next_hop
        self.level = words[0].lower() if words else ""
        self.attributes = {word.partition("=")[0].lower(): word.partition("=")[2] for word in words[1:] if "=" in word}
        self.wrong = "" if self.level in LEVELS else f"{words[0] if words else ''!r} is no TLS security level"
        # At level none attributes are ignored; what stands in braces is for TLSRPT.
        if not self.wrong and self.level != "none" and "{" not in text:
            self.wrong = _misread(self.level, words[1:])


def _misread(level: str, words: list[str]) -> str:
    """What is wrong with the attributes of an entry, none of which Postfix overlooks (tls_policy_lookup_one)."""
    seen: set[str] = set()
    for word in words:
        name, equals, value = word.partition("=")
        name = name.lower()
        if not equals or name not in ATTRIBUTES:
            return f"{word!r} is no attribute of a policy"
        if name in seen and name in ONCE:
            return f"it has {name} twice"
        if name in FILLED and not value:
            return f"{name} is empty"
        if level not in AT_LEVELS.get(name, LEVELS):
            return f"{name} is not for level {level}"
        if name in ("connection_reuse", "enable_rpk") and value.lower() not in ("yes", "no"):
            return f"{word} is neither yes nor no"
        seen.add(name)
    return ""


SHIPPED = ("smtp", "relay", "lmtp")
"""Clients that packages bring, whether anything goes by them or not."""


def hops(effective: Effective, around: Surroundings, openssl: Version) -> tuple[Hop, ...]:
    """The ways out by each smtp or lmtp service, those to strangers first: in general, then the next hops that its
    policy table names, then others to which mail is routed. Rules see the clients that nothing is routed to as well.
    """
    disabled = effective.of().text("master_service_disable")
    services = [
        each
        for each in running(effective.configuration.services, disabled)
        if each.command in ("smtp", "lmtp") and each.type == "unix"
    ]
    ways = routes(effective)
    services.sort(key=lambda each: (each.name != ways.general, each.id != "smtp/unix"))
    found: list[Hop] = []
    if not any(each.id == "smtp/unix" for each in services):
        # A policy says nothing of the service that every package brings.
        found += _of(effective.of(), None, "smtp", ways, around, openssl)
    for each in services:
        scope = effective.of(each)
        if not found or each.id == "smtp/unix":
            found += _of(scope, each, each.command, ways, around, openssl)
            continue
        known = {hop.next_hop.lower() for hop in found}
        apart = each.command == "lmtp" or any(_concerns(over.name) for over in each.overrides)
        if apart or not known.issuperset(hop.lower() for hop in ways.of(each.name)):
            own = _of(scope, each, each.command, ways, around, openssl)
            named = {hop.lower() for hop in ways.of(each.name)}
            # The entries of main.cf's table are told once, of the general way out.
            table = any(over.name == f"{each.command}_tls_policy_maps" for over in each.overrides)
            found += [own[0], *(hop for hop in own[1:] if table or hop.next_hop.lower() in named)]
    return tuple(found)


def _concerns(name: str) -> bool:
    return name.startswith(("smtp_tls", "smtp_sasl", "smtp_use_tls", "smtp_enforce_tls", "smtp_discard_ehlo"))


class _Way(NamedTuple):
    """What all next hops of one service share. `off` says why the client turned TLS off, None where it did not."""

    scope: Scope
    service: Service | None
    side: str
    openssl: Version
    off: Reason | None


def _of(
    scope: Scope, service: Service | None, side: str, ways: Routes, around: Surroundings, openssl: Version
) -> list[Hop]:
    """The general way out of one service, each entry of its policy table, and further next hops."""
    way = _Way(scope, service, side, openssl, _turned_off(scope, side, around))
    name = service.name if service else "smtp"
    entries, _ = policies(scope.text(f"{side}_tls_policy_maps"))
    to = ways.of(name)
    routed = _routed(name, to, ways)
    first = to[0] if to else ""
    found = [_hop(way, None, first), *(_hop(way, each, each.next_hop) for each in entries)]
    found = [each._replace(routed=routed) for each in found]
    for each in to:
        entry = _entry(entries, each)
        if entry is None:
            if each != first:
                found.append(_hop(way, None, each))
            continue
        if each == first:
            # The table decides for it, and the general level for nothing.
            found[0] = found[0]._replace(routed=False)
        if entry.next_hop.lower() != each.lower():
            found.append(_hop(way, entry, each))
    return found


def _routed(name: str, to: list[str], ways: Routes) -> bool | None:
    """Whether mail goes by a transport; None where a table that cannot be read may say so."""
    if to:
        return True
    if ways.undecided or (ways.filtered and name not in SHIPPED):
        return None
    return False


def _entry(entries: list[Policy], next_hop: str) -> Policy | None:
    """The entry that decides for a next hop: its own, or for a bare domain that of a domain above it. Source:
    src/smtp/smtp_tls_policy.c, tls_policy_lookup(); the first of several with one key.
    """
    known = {each.next_hop.lower(): each for each in reversed(entries)}
    key = next_hop.lower()
    if key.startswith("[") or ":" in key:
        return known.get(key)
    while key and key not in known:
        _, dot, rest = key.lstrip(".").partition(".")
        key = dot + rest
    return known.get(key) if key else None


def undecided(effective: Effective) -> tuple[str, ...]:
    """What nobody can tell here of where mail goes."""
    return tuple(
        f"where {parameter} = {table} sends some of the mail" for parameter, table in routes(effective).undecided
    )


def _turned_off(scope: Scope, side: str, around: Surroundings) -> Reason | None:
    """Why a client has no TLS at all: a certificate of its own that cannot be loaded, or no authorities where some are
    named. Source: src/tls/tls_client.c, tls_client_init().
    """
    pairs = [
        (scope.text(f"{side}_tls_{kind}cert_file"), scope.text(f"{side}_tls_{kind}key_file"))
        for kind in ("", "d", "ec")
    ]
    pairs = [each for each in pairs if each[0]]
    chain = tuple(listed(scope.text(f"{side}_tls_chain_files")))
    if chain or pairs:
        loaded = around.identities(chain, tuple(pairs))
        if loaded.disabled:
            names = [f"{side}_tls_chain_files", *(f"{side}_tls_{kind}cert_file" for kind in ("", "d", "ec"))]
            return scope.reason(next(each for each in names if scope.text(each)), loaded.disabled)
    authorities = f"{side}_tls_CAfile"
    if scope.text(authorities):
        reach = around.readable(scope.text(authorities))
        if reach.ok is False:
            return scope.reason(authorities, reach.why)
    manager = scope.text("tlsmgr_service_name") or "tlsmgr"
    if not around.has_service(f"{manager}/unix"):
        why = f"master.cf has no {manager}, from which TLS gets its random numbers"
        return Reason(f"{manager}/unix", "", scope.value("tlsmgr_service_name").origin, why)
    return None


def _discarded(scope: Scope, side: str, word: str) -> Reason | None:
    """The setting by which a client overlooks what all peers announce (src/global/ehlo_mask.c)."""
    name = "lmtp_discard_lhlo_keywords" if side == "lmtp" else "smtp_discard_ehlo_keywords"
    if word in [each.lower() for each in listed(scope.text(name))]:
        return scope.reason(name)
    return None


def general_level(scope: Scope, side: str = "smtp") -> tuple[str, tuple[str, ...]]:
    """The security level without a policy table, and the parameters that decide it."""
    name = f"{side}_tls_security_level"
    level = scope.text(name)
    if level:
        return level.lower(), (name,)
    if scope.text(f"{side}_enforce_tls").lower() == "yes":
        peer = scope.text(f"{side}_tls_enforce_peername").lower() != "no"
        return "verify" if peer else "encrypt", (name, f"{side}_enforce_tls")
    if scope.text(f"{side}_use_tls").lower() == "yes":
        return "may", (name, f"{side}_use_tls")
    return "none", (name,)


def policies(value: str) -> tuple[list[Policy], tuple[str, ...]]:
    """The entries of `inline:` tables, and the tables whose entries stand elsewhere."""
    entries, others = inline(value)
    return [Policy(next_hop, policy) for next_hop, policy in entries], others


NOT_SIGNED = "none leaves to a peer that has TLSA records"


def _before(value: str) -> tuple[str, ...]:
    """The tables that are asked before the first one that can be read: what they say of a next hop holds."""
    words = braced(value)
    return tuple(takewhile(lambda word: inline(word)[1], words))


def _hop(way: _Way, entry: Policy | None, next_hop: str) -> Hop:
    scope, service, side, _, off = way
    level, deciding = general_level(scope, side)
    because: dict[str, tuple[Reason, ...]] = {}
    causes: list[str] = []
    unknown: list[str] = []
    others: tuple[str, ...] = ()
    name = service.id if service else f"{side}/unix"
    dead = _dies(scope, side, level)
    wrong = f"no mail leaves: {dead}" if dead else ""
    if entry is not None:
        table = scope.reason(f"{side}_tls_policy_maps", f"{entry.next_hop}: {entry.level}")
        because["tls"] = (table,)
        level = entry.level
        others = _before(scope.text(f"{side}_tls_policy_maps"))
        unknown += [f"what {each} says of {entry.next_hop}" for each in others]
        if entry.wrong and not dead:
            wrong = f"mail to {entry.next_hop} is deferred: {entry.wrong}"
    else:
        because["tls"] = tuple(scope.reason(each) for each in deciding)
        others = inline(scope.text(f"{side}_tls_policy_maps"))[1]
        unknown += [f"what {each} says of single next hops" for each in others]
    if wrong:
        causes.append(wrong)
    implicit = scope.text(f"{side}_tls_wrappermode").lower() == "yes"
    if implicit:
        because["implicit"] = (scope.reason(f"{side}_tls_wrappermode"),)
    tls: OutboundTls = "none" if wrong else WORDS[level]
    dnssec = scope.text(f"{side}_dns_support_level").lower() == "dnssec"
    without = tls == "dane" and not dnssec
    if without:
        causes.append(
            f"{side}_dns_support_level is not dnssec: "
            + ("no mail leaves" if level == "dane-only" else "nothing is checked, and may holds")
        )
    held = "may" if level == "dane" and without else level
    silent = bool(off) and held != "none" and not wrong
    if off is not None and silent:
        because["tls"] = (*because["tls"], off)
        optional = held in OPTIONAL
        causes.append(f"{'mail leaves without TLS' if optional else 'no mail leaves'}: TLS is off: {off.words}")
        if held == "dane":
            causes.append(NOT_SIGNED)
        if optional:
            tls, held = "none", "none"
    overlooked = _discarded(scope, side, "starttls")
    if overlooked is not None and held != "none" and not implicit and not wrong:
        because["tls"] = (*because["tls"], overlooked)
        optional = held in OPTIONAL
        never = f"{overlooked.setting} has starttls, so STARTTLS is never used"
        causes.append(never if optional else f"no mail leaves: {never}")
        if held == "dane":
            causes.append(NOT_SIGNED)
        if optional:
            tls, held = "none", "none"
        else:
            silent = True
    addresses = f"{side}_discard_{'lhlo' if side == 'lmtp' else 'ehlo'}_keyword_address_maps"
    if scope.text(addresses):
        unknown.append(f"of which peers {addresses} makes the client overlook STARTTLS")
    unwrapped = implicit and held in ("none", "may")
    if unwrapped and not wrong:
        causes.append(f"{side}_tls_wrappermode needs encrypt or more: no mail leaves")
    if level == "fingerprint" and not wrong and not _fingerprints(scope, side, entry):
        causes.append("there is no fingerprint to match: no mail leaves")
    versions: tuple[str, ...] = ()
    signed: tuple[str, ...] = ()
    if tls != "none":
        versions = _versions(way, held, entry, because)
        if held == "dane":
            # dane_init() makes it may for a peer without TLSA records, and the list for may decides.
            signed, with_records = versions, because["protocols"]
            versions = _versions(way, "may", entry, because)
            if because["protocols"] != with_records:
                because["protocols"] = (
                    *(each._replace(words="for a peer without TLSA records") for each in because["protocols"]),
                    *(each._replace(words="for a peer that has TLSA records") for each in with_records),
                )
    credentials, in_clear = _credentials(scope, side, held, implicit, because)
    stands_still = bool(wrong) or unwrapped or (level == "dane-only" and without)
    stands_still = stands_still or (silent and held not in OPTIONAL)
    falls = held in OPTIONAL and not stands_still
    if falls:
        because["falls_back_to_cleartext"] = because["tls"]
    return Hop(
        next_hop=next_hop,
        service=name,
        level=level,
        tls=tls,
        protocols=versions,
        falls_back_to_cleartext=falls,
        checked=level in CHECKED and not wrong and not without,
        credentials=credentials and not dead,
        credentials_in_clear=in_clear and not stands_still,
        implicit=implicit,
        because=because,
        causes=tuple(causes),
        unknown=tuple(unknown),
        protocols_with_records=signed,
        plaintext_credentials=_plaintext(scope, side, level, because) if credentials else True,
        table=others,
    )


def _versions(way: _Way, level: str, entry: Policy | None, because: dict[str, tuple[Reason, ...]]) -> tuple[str, ...]:
    scope, side, openssl = way.scope, way.side, way.openssl
    name = f"{side}_tls_protocols" if level == "may" else f"{side}_tls_mandatory_protocols"
    value = scope.text(name)
    because["protocols"] = (scope.reason(name),)
    if entry is not None and "protocols" in entry.attributes:
        value = entry.attributes["protocols"]
        because["protocols"] = (scope.reason(f"{side}_tls_policy_maps", f"protocols={value}"),)
    left = [each for each in protocols(value, scope.postfix).versions if each in spoken(openssl)]
    # A client offers one row of versions: with a gap in them, the one below it (measured).
    top = below_the_gap(left)
    left = left[: left.index(top) + 1] if top else []
    old = OLD if level in AUTHENTICATED and openssl >= Version(3, 0) else ()
    return tuple(each for each in left if each not in old)


def _dies(scope: Scope, side: str, level: str) -> str:
    """What smtp dies of when it starts, whatever a policy table says (src/smtp/smtp.c, smtp_sasl_glue.c; measured)."""
    if level not in LEVELS:
        return f"{level!r} is no TLS security level"
    if scope.text(f"{side}_sasl_auth_enable").lower() == "yes":
        if not scope.text(f"{side}_sasl_password_maps"):
            return f"{side}_sasl_auth_enable = yes, and {side}_sasl_password_maps is empty"
        kind = scope.text(f"{side}_sasl_type")
        if kind != "cyrus":
            return f"{kind!r} is no SASL implementation of a client"
    return ""


def _fingerprints(scope: Scope, side: str, entry: Policy | None) -> bool:
    """Whether there is anything to match at level fingerprint."""
    return bool((entry and "match" in entry.attributes) or scope.text(f"{side}_tls_fingerprint_cert_match"))


def _credentials(
    scope: Scope, side: str, level: str, implicit: bool, because: dict[str, tuple[Reason, ...]]
) -> tuple[bool, bool]:
    """Whether a password may be sent, and whether one can leave in clear."""
    enabled = scope.text(f"{side}_sasl_auth_enable").lower() == "yes"
    maps = scope.text(f"{side}_sasl_password_maps")
    because["credentials_in_clear"] = (
        scope.reason(f"{side}_sasl_auth_enable"),
        scope.reason(f"{side}_sasl_password_maps"),
    )
    if not enabled or not maps:
        return False, False
    overlooked = _discarded(scope, side, "auth")
    if overlooked is not None:
        because["credentials_in_clear"] += (overlooked,)
        return False, False
    options = f"{side}_sasl_security_options"
    because["credentials_in_clear"] += (*because["tls"], scope.reason(options))
    if implicit or level not in OPTIONAL:
        return True, False
    value = scope.text(options)
    if value and set(listed(value)) != {"noanonymous"}:
        # They satisfy no other option, and of a word that is none smtp dies when it is to log in (measured).
        return True, False
    patterns = listed(scope.text(f"{side}_sasl_mechanism_filter"))
    if patterns:
        because["credentials_in_clear"] += (scope.reason(f"{side}_sasl_mechanism_filter"),)
        named = [each for each in TOKENS if each in [word.lower() for word in patterns]]
        return True, any(_keeps(patterns, each) for each in (*PLAINTEXT, *named))
    return True, True


def _plaintext(scope: Scope, side: str, level: str, because: dict[str, tuple[Reason, ...]]) -> bool:
    """Whether a password may be handed over as it is inside TLS: PLAIN and LOGIN satisfy noanonymous alone."""
    name = f"{side}_sasl_tls_{'verified_' if level in CHECKED else ''}security_options"
    if set(listed(scope.text(name))) <= {"noanonymous"}:
        return True
    because["plaintext_credentials"] = (scope.reason(name),)
    return False


def _keeps(patterns: list[str], name: str) -> bool:
    """Whether a filter may let a mechanism through: the first match decides (util/match_list.c)."""
    for word in patterns:
        bare = word.lstrip("!")
        keeps = (len(word) - len(bare)) % 2 == 0
        if bare.lower() == name or bare.startswith("static:"):
            return keeps
        # What another table holds nobody knows here.
        if keeps and (":" in bare or bare.startswith("/")):
            return True
    return False


def service_origin(hop: Hop) -> Origin | None:
    """Where the setting stands that decides a hop's level."""
    reasons = hop.because.get("tls", ())
    return reasons[0].origin if reasons else None
