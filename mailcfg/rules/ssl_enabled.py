"""SSLv3 or SSLv2 is left on.

What it does: reads the list of protocol versions that holds for each listener and each way out, with the overrides of
master.cf, and looks for SSL in what it leaves on. Distributions build OpenSSL 1.1.0 and newer without SSLv3: a list
that merely fails to exclude it is a warning there, one that names it is an error.

Why it is bad: SSLv3 gives away what it encrypts to whoever can change what passes (POODLE), and with SSLv2 any session
of the same key can be read (DROWN). No peer of today needs either.

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_protocols = SSLv3, TLSv1
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

Wrong:

    # main.cf
    smtp_tls_security_level = may
    smtp_tls_protocols = !SSLv2

Wrong:

    # site.toml
    hostname = "mail.example.com"
    platform = "debian-12"

    [tls]
    guideline = "custom"

    [certificates.mail]

    [mx]

    [postfix.main]
    smtpd_tls_protocols = ""

Right:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_protocols = >=TLSv1.2
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    smtp_tls_security_level = may
    smtp_tls_protocols = !SSLv2, !SSLv3
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

Right:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_mandatory_protocols = SSLv3, TLSv1
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

References: RFC 6176, RFC 7568, RFC 9325 §3.1.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from mailcfg.behaviour.effective import Scope, default
from mailcfg.behaviour.model import Endpoint, Hop
from mailcfg.behaviour.outbound import Policy, policies
from mailcfg.behaviour.protocols import protocols
from mailcfg.behaviour.tls import OLDER_THAN_PARAMETERS, spoken
from mailcfg.configuration import Origin
from mailcfg.facts.guidelines import PROTOCOLS, protocol_list
from mailcfg.facts.version import Version
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject, label

SEVERITY = Severity.ERROR
REFERENCES = ("RFC 6176", "RFC 7568", "RFC 9325 §3.1.1")

SSLV2_UNTIL = Version(1, 1, 0)
"""The OpenSSL that dropped SSLv2 (its CHANGES file)."""


class Held(NamedTuple):
    """A value that holds for a listener or a way out: a parameter's, or an attribute of a policy table's entry (`name`
    is the table's parameter then). `text` is expanded.
    """

    name: str
    text: str
    origin: Origin

    @property
    def is_set(self) -> bool:
        """Whether it stands in a file; a default does not."""
        return bool(self.origin.file)


class Use(NamedTuple):
    """TLS in use, with the protocol list and the cipher grade that hold: for a listener, or on a way out. `who` is what
    a person calls it. Level `dane` is two: `mandatory` for peers with TLSA records, and not for the others.
    """

    who: str
    service: str
    mandatory: bool
    scope: Scope
    protocols: Held
    grade: Held
    endpoint: Endpoint | None = None
    hop: Hop | None = None

    @property
    def side(self) -> str:
        """How the names of its parameters begin: `smtpd`, `smtp` or `lmtp`."""
        return "smtpd" if self.endpoint is not None else "lmtp" if self.service.startswith("lmtp/") else "smtp"


def check(subject: Subject) -> Iterator[Said]:
    """Look for SSL in the lists that hold."""
    for some in by_list(subject):
        first = some[0]
        name, text, origin = first.protocols
        read = protocols(text, subject.postfix)
        old = ["SSLv2"] if "SSLv2" in read.included and subject.openssl < SSLV2_UNTIL else []
        old += [each for each in read.versions if each == "SSLv3"]
        if not old or (first.hop is not None and first.mandatory and first.hop.tls == "dane"):
            continue  # With TLSA records smtp never uses SSL (src/tls/tls_client.c).
        speaks = "SSLv3" in spoken(subject.openssl)
        who = together(some)
        absent = not origin.file and default(name, subject.postfix) is None
        if absent:
            message = f"{who}: {' and '.join(old)} cannot be turned off, Postfix {subject.postfix} has no {name}"
        else:
            message = f"{name} leaves {' and '.join(old)} on for {who}"
        yield Said(
            message,
            "whoever can change what passes brings both sides down to it, and reads what it encrypts"
            if speaks
            else f"OpenSSL {subject.openssl} as distributions build it does not speak it; one that does would use it",
            place(subject, first),
            name,
            first.service,
            policy="a platform with a newer Postfix" if absent else POLICY,
            main=floor(subject, name),
            severity=None if speaks or "SSLv3" in read.included else Severity.WARNING,
        )


# --- what holds ------------------------------------------------------------------------------------------------------

POLICY = 'a guideline in tls.guideline, or minimum = "TLSv1.2" with guideline = "custom"'
"""Where a policy decides protocol versions."""


@lru_cache(maxsize=1)
def uses(subject: Subject) -> tuple[Use, ...]:
    """TLS wherever it is used or would be if it worked: listeners in the order of master.cf, then the ways out."""
    return (*_listeners(subject), *_ways(subject))


@lru_cache(maxsize=1)
def assigned(subject: Subject) -> tuple[tuple[str, str, str, Origin], ...]:
    """What is set of protocols, ciphers and groups, as `Subject.assigned` has it."""
    return tuple(each for each in subject.assigned() if "tls_" in each[1] and each[1].endswith(ENDINGS))


ENDINGS = ("protocols", "ciphers", "cipherlist", "_curves", "_groups", "_param_file", "eecdh_grade")
"""How the names of such parameters end."""


def _listeners(subject: Subject) -> Iterator[Use]:
    for endpoint, scope in subject.listeners():
        mandatory = endpoint.mandatory
        if not endpoint.encrypts:
            wraps = scope.text("smtpd_tls_wrappermode").lower() == "yes"
            if endpoint.tls != "broken" and not wraps:
                continue
            mandatory = wraps or not endpoint.cleartext_mail
        infix = "mandatory_" if mandatory else ""
        listed = _held(scope, f"smtpd_tls_{infix}protocols")
        if listed is not None:
            grade = _grade(scope, f"smtpd_tls_{infix}ciphers")
            yield Use(label(endpoint), endpoint.service, mandatory, scope, listed, grade, endpoint)


def _ways(subject: Subject) -> Iterator[Use]:
    for hop in subject.behaviour.outbound:
        if hop.tls == "none":
            continue
        service = subject.service(hop.service)
        scope = subject.scope(service)
        side = service.command if service is not None else "smtp"
        who = f"mail to {hop.next_hop}" if hop.next_hop else "outgoing mail"
        if not hop.next_hop and hop.service != "smtp/unix":
            who = f"mail by {hop.service}"
        for mandatory in _kinds(hop, scope, side):
            infix = "mandatory_" if mandatory else ""
            listed = _held(scope, f"{side}_tls_{infix}protocols")
            grade = _grade(scope, f"{side}_tls_{infix}ciphers")
            entry = entry_of(hop, scope, side)
            if entry is not None:
                name = f"{side}_tls_policy_maps"
                origin = scope.value(name).origin
                if "protocols" in entry.attributes:
                    listed = Held(name, entry.attributes["protocols"], origin)
                if "ciphers" in entry.attributes:
                    grade = Held(name, entry.attributes["ciphers"], origin)
            if listed is not None:
                yield Use(who, hop.service, mandatory, scope, listed, grade, hop=hop)


def _kinds(hop: Hop, scope: Scope, side: str) -> tuple[bool, ...]:
    """Which sets of parameters a level uses. Source: src/smtp/smtp_tls_policy.c, policy_create(), dane_incompat()."""
    if hop.level == "may":
        return (False,)
    if hop.level == "dane":
        return (True, False) if scope.text(f"{side}_dns_support_level").lower() == "dnssec" else (False,)
    return (True,)


def entry_of(hop: Hop, scope: Scope, side: str) -> Policy | None:
    """The entry of the policy table that a hop is; None for a service's general way out."""
    name = f"{side}_tls_policy_maps"
    if hop.because["tls"][0].setting != name:
        return None
    return next((each for each in policies(scope.text(name))[0] if each.next_hop == hop.next_hop), None)


def _held(scope: Scope, name: str) -> Held | None:
    value = scope.value(name)
    return None if value.value is None else Held(name, value.value, value.origin)


def _grade(scope: Scope, name: str) -> Held:
    value = scope.value(name)
    text = value.value or ""
    if not value.origin.file and default(name, scope.postfix) is None:
        text = OLDER_THAN_PARAMETERS.get(name.replace("smtp_", "smtpd_").replace("lmtp_", "smtpd_"), "")
    return Held(name, text, value.origin)


def by_list(subject: Subject) -> list[list[Use]]:
    """Uses grouped by the one line, or the one default, that is their protocol list."""
    return grouped(uses(subject), "protocols")


def grouped(some: tuple[Use, ...], by: str) -> list[list[Use]]:
    """Uses grouped by one of their held values."""
    found: dict[tuple[Held, bool], list[Use]] = {}
    for each in some:
        found.setdefault((getattr(each, by), each.endpoint is not None), []).append(each)
    return list(found.values())


def together(some: list[Use]) -> str:
    """What a person calls several uses."""
    names = list(dict.fromkeys(each.who for each in some))
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def place(subject: Subject, use: Use, held: Held | None = None) -> Origin:
    """Where to point for a value that holds: at its line; for a default at what makes it matter."""
    origin = (held or use.protocols).origin
    if origin.file:
        return origin
    if use.endpoint is not None:
        at = subject.endpoint_place(use.endpoint)
        # A main.cf that came alone has no line for the service; what turns TLS on has one.
        return at if at.line or subject.is_policy else subject.place(*use.endpoint.because.get("tls", ()))
    return subject.place(*(use.hop.because["tls"] if use.hop is not None else ()))


def floor(subject: Subject, name: str) -> str:
    """The line of main.cf that leaves nothing on below TLS 1.2, or what comes nearest with an old OpenSSL."""
    if name.endswith("_policy_maps"):
        return "no protocols= in that entry, or protocols=TLSv1.2:TLSv1.3"
    if default(name, subject.postfix) is None:
        return f"a newer Postfix: {subject.postfix} has no {name}"
    lowest = "TLSv1.2" if "TLSv1.2" in spoken(subject.openssl) else "TLSv1"
    return f"{name} = {protocol_list(lowest, subject.postfix)}"


def offered(use: Use, postfix: Version, openssl: Version) -> tuple[str, ...]:
    """The versions that a list puts to use. A client offers those below the first gap alone: OpenSSL's handshake begins
    with a range (measured with 3.0.19; postconf(5), smtp_tls_protocols).
    """
    known = spoken(openssl)
    left = [each for each in protocols(use.protocols.text, postfix).versions if each in known]
    if use.endpoint is not None:
        return tuple(left)
    return tuple(left[: gap(left)])


def gap(versions: list[str]) -> int:
    """How many versions, oldest first, there are before one is left out between them."""
    for place, (one, other) in enumerate(pairwise(versions), 1):
        if PROTOCOLS.index(other) - PROTOCOLS.index(one) > 1:
            return place
    return len(versions)
