"""What a client meets otherwise at a listener, one aspect after the other.

Each aspect has an order of its own in which one side protects less, or neither does: what is weaker one way is never
weaker the other way round.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache

from mailcfg.behaviour.changes import Change, Severity
from mailcfg.behaviour.ciphers import expand, measured
from mailcfg.behaviour.endpoint import DIES_INSIDE
from mailcfg.behaviour.model import Endpoint, Mechanism, Reason, label
from mailcfg.behaviour.outbound import TOKENS
from mailcfg.behaviour.tls import strength
from mailcfg.facts.guidelines import PROTOCOLS
from mailcfg.facts.mechanisms import UNKNOWN, mechanisms
from mailcfg.facts.version import Version

OLD = ("SSLv2", "SSLv3", "TLSv1", "TLSv1.1")
"""Versions that nobody should speak (RFC 8996)."""

BROKEN = ("MD5", "IDEA", "3DES", "RC4", "RC2", "DES", "EXPORT", "NULL")
"""What nobody should encrypt with, the worst last."""

SOUND_BITS = 112
"""The least security of a key that is not weak: RSA of 2048 bits (NIST SP 800-57)."""

NOTHING = "nothing listens"


def endpoint_changes(before: tuple[Endpoint, ...], after: tuple[Endpoint, ...]) -> Iterator[Change]:
    """Every difference, listener by listener in the order of `after`; those that are gone last."""
    left = list(before)
    for each in after:
        other = counterpart(each, left)
        if other is None:
            yield from _new(each)
        else:
            left.remove(other)
            yield from _Pair(other, each).changes()
    for each in left:
        if each.works:
            why = (Reason(each.service, "", each.because["tls"][0].origin),) if each.because.get("tls") else ()
            yield Change(label(each), each.service, "listener", tls_words(each), NOTHING, False, "error", why)


def counterpart(endpoint: Endpoint, others: list[Endpoint]) -> Endpoint | None:
    """The listener of the other side with the same address and port, else the one of the same service."""
    if endpoint.port is not None:
        place = (endpoint.address.lower(), endpoint.port)
        for each in others:
            if (each.address.lower(), each.port) == place:
                return each
    return next((each for each in others if each.service == endpoint.service and each.port is None), None)


def _new(each: Endpoint) -> Iterator[Change]:
    """A listener where there was none; and passwords that it takes in clear, which nobody could send before."""
    reasons = each.because.get("tls", ()) if each.works else each.because.get("works", ())
    severity: Severity = "warning" if not each.works or each.cleartext_mail else "info"
    words = tls_words(each) if each.works else dead_words(each)
    yield Change(
        label(each), each.service, "listener", NOTHING, f"there is a listener: {words}", False, severity, reasons
    )
    yield from _exposed(each, NOTHING)


def _exposed(each: Endpoint, was: str) -> Iterator[Change]:
    """What a listener lets happen that did not let anybody do anything before."""
    if each.works and plaintext(each.auth_before_tls):
        reasons = each.because.get("auth_before_tls", ())
        now = before_words(each.auth_before_tls)
        yield Change(label(each), each.service, "auth_before_tls", was, now, True, "error", reasons)


class _Pair:
    """One listener as it was and as it is."""

    def __init__(self, before: Endpoint, after: Endpoint) -> None:
        self.a = before
        self.b = after

    def change(
        self, aspect: str, sides: Sequence[str], severity: Severity, *, weaker: bool = False, because: str = ""
    ) -> Change:
        keys = (because or aspect, aspect, "tls")
        reasons = next((found for each in keys if (found := self.b.because.get(each))), ())
        return Change(label(self.b), self.b.service, aspect, sides[0], sides[1], weaker, severity, reasons)

    def changes(self) -> Iterator[Change]:
        a, b = self.a, self.b
        if not a.works or not b.works:
            yield from self.life()
            return
        yield from self.tls()
        if a.implicit != b.implicit:
            sides = [
                "TLS must begin with the first byte" if each.implicit else "a session begins in clear, with a greeting"
                for each in (a, b)
            ]
            yield self.change("implicit", sides, "warning", because="tls")
        if a.encrypts and b.encrypts:
            yield from self.handshakes()
        if not self.untold("auth"):
            yield from self.auth()

    def life(self) -> Iterator[Change]:
        a, b = self.a, self.b
        if a.works:
            yield self.change("works", (tls_words(a), dead_words(b)), "error")
        elif b.works:
            yield self.change("works", (dead_words(a), tls_words(b)), "info")
            yield from _exposed(b, dead_words(a))

    def untold(self, half: str) -> bool:
        """Whether one side only assumes what the other knows, or assumes something else."""
        doubts = [tuple(each.unknown) if half in each.doubtful else () for each in (self.a, self.b)]
        return doubts[0] != doubts[1]

    def tls(self) -> Iterator[Change]:
        a, b = self.a, self.b
        if self.untold("tls") and "broken" in (a.tls, b.tls):
            return
        same = a.tls == b.tls or (a.mandatory and b.mandatory)
        if same and a.cleartext_mail == b.cleartext_mail:
            return
        weaker = protection(b) < protection(a)
        stuck = not b.cleartext_mail and not b.encrypts
        severity: Severity = "error" if weaker or stuck or b.tls == "broken" else "info"
        aspect = "cleartext_mail" if same else "tls"
        yield self.change(aspect, (tls_words(a), tls_words(b)), severity, weaker=weaker, because="tls")

    def handshakes(self) -> Iterator[Change]:
        """What differs inside TLS."""
        a, b = self.a, self.b
        for change in version_changes(a.protocols, b.protocols, mandatory=b.mandatory, verb="accepted"):
            aspect, was, now, weaker, severity = change
            yield self.change(aspect, (was, now), severity, weaker=weaker)
        if a.client_certificate != b.client_certificate:
            sides = ["a client must show a certificate" if each.client_certificate else "a client needs no certificate"
                     for each in (a, b)]  # fmt: skip
            weaker = a.client_certificate
            yield self.change("client_certificate", sides, "warning" if weaker else "error", weaker=weaker)
        if self.untold("tls"):
            return
        if a.anonymous != b.anonymous:
            sides = [
                "a handshake can succeed without any certificate"
                if each.anonymous
                else "no handshake succeeds without a certificate"
                for each in (a, b)
            ]
            grave: Severity = "info" if a.anonymous else "error" if b.mandatory else "warning"
            yield self.change("anonymous", sides, grave, weaker=b.anonymous, because="suites")
        yield from self.suites()
        yield from self.certificates()

    def suites(self) -> Iterator[Change]:
        one, other = broken_suites(self.a), broken_suites(self.b)
        weaker = _worst(other) > _worst(one)
        gained = [each for each in reversed(BROKEN) if each in other - one]
        lost = [each for each in reversed(BROKEN) if each in one - other]
        if gained:
            severity: Severity = ("error" if self.b.mandatory or "NULL" in gained else "warning") if weaker else "info"
            names = f"cipher suites with {_listed(gained)} are"
            yield self.change("suites", (f"{names} refused", f"{names} accepted"), severity, weaker=weaker)
        if lost:
            names = f"cipher suites with {_listed(lost)} are"
            yield self.change("suites", (f"{names} accepted", f"{names} refused"), "info")

    def certificates(self) -> Iterator[Change]:
        if not all(each.read for side in (self.a, self.b) for each in side.certificates):
            return
        keys = [tuple(dict.fromkeys(each.key_type for each in side.certificates)) for side in (self.a, self.b)]
        if set(keys[0]) != set(keys[1]):
            sides = [_keys(each) for each in keys]
            least = [min((strength(each) for each in side.certificates), default=0) for side in (self.a, self.b)]
            weaker = 0 < least[1] < min(least[0], SOUND_BITS)
            yield self.change("certificates", sides, "error" if weaker else "warning", weaker=weaker)
        names = [
            tuple(dict.fromkeys(name for each in side.certificates for name in each.names)) for side in (self.a, self.b)
        ]
        if all(keys) and set(names[0]) != set(names[1]):
            sides = [f"the certificate is valid for {_listed(each) or 'no name'}" for each in names]
            gone = set(names[0]) - set(names[1])
            yield self.change("certificates", sides, "warning" if gone else "info")

    def auth(self) -> Iterator[Change]:
        a, b = self.a, self.b
        if any(not (each.auth_before_tls or each.auth_after_tls or each.because.get("auth")) for each in (a, b)):
            return  # Whether AUTH is offered is not known of one of them.
        before, after = set(b.auth_before_tls), set(b.auth_after_tls)
        if set(a.auth_before_tls) != before:
            weaker = exposure(b.auth_before_tls) > exposure(a.auth_before_tls)
            sides = [before_words(each.auth_before_tls) for each in (a, b)]
            severity: Severity = "error" if weaker else "info"
            yield self.change("auth_before_tls", sides, severity, weaker=weaker, because="" if before else "auth")
        deaths = [_death(each) for each in (a, b)]
        if bool(deaths[0]) != bool(deaths[1]):
            sides = [death or self.after_words(each) for death, each in zip(deaths, (a, b), strict=True)]
            yield self.change("auth_after_tls", sides, "error" if deaths[1] else "info")
        elif a.client_certificate == b.client_certificate and set(a.auth_after_tls) != after:
            weaker = "ANONYMOUS" in after and "ANONYMOUS" not in a.auth_after_tls
            gone = set(a.auth_after_tls) - after
            severity = "error" if weaker or (gone and not after) else "warning" if gone else "info"
            sides = [self.after_words(each) for each in (a, b)]
            yield self.change("auth_after_tls", sides, severity, weaker=weaker, because="" if after else "auth")
        yield from self.prospects()
        if a.legacy_auth_line != b.legacy_auth_line and (a.auth_before_tls or a.auth_after_tls) and (before or after):
            sides = ["AUTH= is announced as well, for clients of another age" if each.legacy_auth_line
                     else "AUTH= is not announced" for each in (a, b)]  # fmt: skip
            yield self.change("legacy_auth_line", sides, "info")

    @staticmethod
    def after_words(each: Endpoint) -> str:
        if each.auth_after_tls:
            return f"AUTH {' '.join(each.auth_after_tls)} is offered inside TLS"
        if any("still accepted" in reason.words for reason in each.because.get("auth", ())):
            return "AUTH is not announced, and still accepted"
        return "AUTH is not offered inside TLS" if each.encrypts else "AUTH is not offered, for want of TLS"

    def prospects(self) -> Iterator[Change]:
        """Mechanisms that can succeed on one side, and never on the other. What cannot be told is neither."""
        one, other = ({each.name: each for each in (*side.mechanisms_before, *side.mechanisms_after)}
                      for side in (self.a, self.b))  # fmt: skip
        pairs = [(one[name], other[name]) for name in other if name in one]
        outcomes: tuple[tuple[bool, Severity], ...] = ((True, "error"), (False, "info"))
        for succeeded, grave in outcomes:
            changed = [pair for pair in pairs if pair[0].succeeds is succeeded and pair[1].succeeds is (not succeeded)]
            if changed:
                sides = [_prospect([pair[side] for pair in changed]) for side in (0, 1)]
                yield self.change("prospects", sides, grave, because="auth_after_tls")


# --- words -----------------------------------------------------------------------------------------------------------


def tls_words(each: Endpoint) -> str:
    """What TLS is at a listener that works, and what passes without it."""
    stuck = "no mail passes" if not each.cleartext_mail else "mail passes in clear"
    match each.tls:
        case "none":
            return (
                f"there is no TLS: {stuck}"
                if each.cleartext_mail
                else "TLS is demanded and not announced: no mail passes"
            )
        case "offered":
            return "TLS is offered, not required: mail passes in clear"
        case "required":
            return "TLS is required: before STARTTLS nothing is taken"
        case "implicit":
            return "TLS begins with the first byte"
        case "broken":
            why = f": {'; '.join(each.causes)}" if each.causes else ""
            return f"STARTTLS is offered and nobody can complete it, so that {stuck}{why}"


def _death(each: Endpoint) -> str:
    """What the daemon dies of once TLS is up; empty where it lives."""
    return next((cause for cause in each.causes if cause.startswith(DIES_INSIDE)), "")


def dead_words(each: Endpoint) -> str:
    """That nobody gets anywhere at a listener, and why."""
    return f"no session gets past the banner{': ' if each.causes else ''}{'; '.join(each.causes)}"


def before_words(names: tuple[str, ...]) -> str:
    """What AUTH is offered outside TLS."""
    return f"AUTH {' '.join(names)} is offered in cleartext" if names else "AUTH is not offered in cleartext"


def _prospect(some: list[Mechanism]) -> str:
    names = f"AUTH {' '.join(each.name for each in some)}"
    if some[0].succeeds:
        return f"{names} can succeed"
    why = next((each.why for each in some if each.why), "")
    return f"{names} can never succeed{': ' if why else ''}{why}"


def _keys(kinds: tuple[str, ...]) -> str:
    if not kinds:
        return "no certificate is shown"
    return (
        f"the key of the certificate is {kinds[0]}"
        if len(kinds) == 1
        else f"the keys of certificates are {_listed(kinds)}"
    )


def _listed(names: Iterable[str]) -> str:
    *some, last = names if (names := tuple(names)) else ("",)
    return f"{', '.join(some)} and {last}" if some else last


def version_words(versions: Iterable[str]) -> str:
    """Protocol versions as people write them: `TLS 1.0 and 1.1`."""
    found: list[str] = []
    for each in versions:
        family, number = (
            ("SSL ", each[4:]) if each.startswith("SSL") else ("TLS ", "1.0" if each == "TLSv1" else each[4:])
        )
        told = any(family in word for word in found)
        found.append(number if told else f"{family}{number}")
    return _listed(found)


# --- orders ----------------------------------------------------------------------------------------------------------


def protection(each: Endpoint) -> int:
    """How far mail is protected on its way into a listener: not at all, where the client wants it, or always."""
    return 2 if not each.cleartext_mail else 1 if each.encrypts else 0


def plaintext(names: Iterable[str]) -> bool:
    """Whether a mechanism hands over a password, or a token that anybody who reads it can use again."""
    known = mechanisms().known
    return any(known.get(name, UNKNOWN).needs == "password" or name.lower() in TOKENS for name in names)


def exposure(names: tuple[str, ...]) -> tuple[bool, bool, bool]:
    """What AUTH outside TLS gives away; the greater the more."""
    return plaintext(names), "ANONYMOUS" in names, bool(names)


def version_changes(
    before: tuple[str, ...], after: tuple[str, ...], *, mandatory: bool, verb: str
) -> Iterator[tuple[str, str, str, bool, Severity]]:
    """Versions that are new, and those that are gone: aspect, both sentences, whether it is weaker, how grave it is."""
    gained = [each for each in PROTOCOLS if each in after and each not in before]
    lost = [each for each in PROTOCOLS if each in before and each not in after]
    weaker = _versions(after) > _versions(before)
    older = any(each != PROTOCOLS[-1] for each in gained)
    if gained:
        words = f"{version_words(gained)} {'is' if len(gained) == 1 else 'are'}"
        grave = any(each in OLD for each in gained) and (mandatory or any(each.startswith("SSL") for each in gained))
        severity: Severity = "info" if not (weaker and older) else "error" if grave else "warning"
        yield "protocols", f"{words} not {verb}", f"{words} {verb}", weaker and older, severity
    if lost:
        words = f"{version_words(lost)} {'is' if len(lost) == 1 else 'are'}"
        worse = weaker and not older
        severity = "warning" if worse or any(each not in OLD for each in lost) else "info"
        yield "protocols", f"{words} {verb}", f"{words} not {verb}", worse, severity


def _versions(versions: tuple[str, ...]) -> tuple[int, bool]:
    """The oldest weigh most; of those that are alike in that, the side without the newest is the weaker."""
    weight = sum(1 << (len(PROTOCOLS) - at) for at, each in enumerate(PROTOCOLS[:-1]) if each in versions)
    return weight, PROTOCOLS[-1] not in versions


def broken_suites(each: Endpoint) -> frozenset[str]:
    """What is broken in what can be negotiated."""
    return frozenset(kind for names in each.suites.values() for name in names for kind in _flaws().get(name, ()))


@cache
def _flaws() -> dict[str, tuple[str, ...]]:
    """By name, what is broken in a suite, over all versions of OpenSSL that were measured."""
    found: dict[str, tuple[str, ...]] = {}
    for series in measured():
        for suite in expand("ALL:COMPLEMENTOFALL", Version(*series)).suites:
            flaws = ([suite.broken] if suite.broken else []) + (["MD5"] if suite.mac == "MD5" else [])
            if flaws:
                found[suite.name] = tuple(flaws)
    return found


def _worst(kinds: frozenset[str]) -> int:
    return sum(1 << at for at, each in enumerate(BROKEN) if each in kinds)
