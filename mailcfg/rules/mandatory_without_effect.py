"""A setting for mandatory TLS is nowhere in force, or is weaker than that for optional TLS.

What it does: looks for a *_tls_mandatory_protocols, *_tls_mandatory_ciphers or *_tls_mandatory_exclude_ciphers that is
set while TLS is optional wherever it could hold, and its counterpart for optional TLS is not set. And the other way
round: where TLS is mandatory, for a set counterpart that is stricter than what holds there.

Why it is bad: at level may Postfix reads smtpd_tls_protocols, smtpd_tls_ciphers and smtpd_tls_exclude_ciphers; the
mandatory ones are for encrypt and above, and for wrapper mode. Whoever wrote the line believes that it restricts, and
it does not.

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_mandatory_ciphers = high
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

Wrong:

    # main.cf
    smtpd_tls_protocols = >=TLSv1.2
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com
    # master.cf
    submission inet n - n - - smtpd
      -o smtpd_tls_security_level=encrypt

Right:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_mandatory_protocols = >=TLSv1.2
    smtpd_tls_protocols = >=TLSv1.2
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com

Right:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_mandatory_protocols = >=TLSv1.2
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    # /etc/ssl/private/mail.pem = key ecdsa-p256, certificate mail.example.com
    # master.cf
    smtp inet n - n - - smtpd
    submission inet n - n - - smtpd
      -o smtpd_tls_security_level=encrypt

References: TLS_README, postconf(5) smtpd_tls_mandatory_protocols, mozilla/ssl-config-generator#114.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from mailcfg.behaviour.effective import default
from mailcfg.behaviour.protocols import protocols
from mailcfg.behaviour.tls import GRADES, LOW_IS_MEDIUM_SINCE, spoken
from mailcfg.configuration import Origin
from mailcfg.facts.version import Version
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.ssl_enabled import Use, assigned, floor, place, together, uses

SEVERITY = Severity.WARNING
REFERENCES = (
    "TLS_README",
    "postconf(5) smtpd_tls_mandatory_protocols",
    "mozilla/ssl-config-generator#114",
)

KINDS = ("protocols", "ciphers", "exclude_ciphers")
"""What is set apart for mandatory TLS."""

NAMES = {
    f"{side}_tls_mandatory_{kind}": (side, f"{side}_tls_{kind}") for side in ("smtpd", "smtp", "lmtp") for kind in KINDS
}
"""Parameters for mandatory TLS, with the side and the counterpart for optional TLS."""


def check(subject: Subject) -> Iterator[Said]:
    """Hold what is set for mandatory TLS against where TLS is mandatory."""
    yield from _idle(subject)
    yield from _weaker(subject)


# --- nowhere in force ------------------------------------------------------------------------------------------------


def _idle(subject: Subject) -> Iterator[Said]:
    if not subject.whole and not subject.is_policy:
        return  # What a master.cf demands that is not here nobody can tell.
    for service, name, value, origin in assigned(subject):
        if name not in NAMES or origin.via:
            continue
        side, counterpart = NAMES[name]
        known = [each for each in uses(subject) if each.side == side and (not service or each.service == service)]
        if not known or any(each.mandatory and _reads(each, name, origin) for each in known):
            continue
        if any(each.hop is not None and each.hop.unknown for each in known):
            continue
        concerned = [each for each in known if _reads(each, name, origin) and not each.scope.is_set(counterpart)]
        if not concerned:
            continue
        exists = default(counterpart, subject.postfix) is not None
        yield Said(
            f"{name} has no effect: TLS is optional for {together(concerned)}",
            f"{counterpart} holds there, which is not set"
            if exists
            else f"Postfix {subject.postfix} has nothing that would restrict optional TLS",
            origin,
            name,
            service or concerned[0].service,
            policy=f"remove it, or set {counterpart} in [postfix.main] as well" if exists else "remove it",
            main=f"{counterpart} = {value}" if exists else f"remove {name}",
        )


def _reads(use: Use, name: str, origin: Origin) -> bool:
    """Whether it is this line that a service has of a parameter."""
    return use.scope.value(name).origin == origin


# --- weaker than for optional TLS ------------------------------------------------------------------------------------


def _weaker(subject: Subject) -> Iterator[Said]:
    seen: set[tuple[str, Origin, Origin]] = set()
    for use in uses(subject):
        if not use.mandatory or (use.hop is not None and use.hop.tls == "dane"):
            continue
        for kind, held in (("protocols", use.protocols), ("ciphers", use.grade)):
            counterpart = use.scope.value(f"{use.side}_tls_{kind}")
            if not counterpart.origin.file or held.name.endswith("_policy_maps") or counterpart.value is None:
                continue
            if (held.name, held.origin, counterpart.origin) in seen:
                continue
            seen.add((held.name, held.origin, counterpart.origin))
            more = (
                _more_versions(held.text, counterpart.value, subject.postfix, subject.openssl)
                if kind == "protocols"
                else _lower_grade(held.text, counterpart.value, subject.postfix)
            )
            if not more:
                continue
            yield Said(
                f"{held.name} allows {more} where TLS is mandatory; {counterpart.name} does not where it is optional",
                f"{use.who} is held to less than what nobody has to use",
                place(subject, use, held) if held.origin.file else counterpart.origin,
                held.name,
                use.service,
                policy="remove it from [postfix.main]: the guideline sets both",
                main=floor(subject, held.name) if kind == "protocols" else f"{held.name} = {counterpart.value}",
            )


@cache
def _more_versions(mandatory: str, optional: str, postfix: Version, openssl: Version) -> str:
    one, other = protocols(mandatory, postfix), protocols(optional, postfix)
    if one.unknown is not None or other.unknown is not None or not other.versions:
        return ""
    known = [each for each in spoken(openssl) if each in one.versions and each not in other.versions]
    lowest = spoken(openssl).index(next((each for each in spoken(openssl) if each in other.versions), "TLSv1"))
    return " and ".join(each for each in known if spoken(openssl).index(each) < lowest)


def _lower_grade(mandatory: str, optional: str, postfix: Version) -> str:
    grades = [_grade(each, postfix) for each in (mandatory, optional)]
    if any(each not in GRADES for each in grades):
        return ""
    return f"{mandatory} ciphers" if GRADES.index(grades[0]) > GRADES.index(grades[1]) else ""


def _grade(word: str, postfix: Version) -> str:
    word = word.lower()
    return "medium" if word in ("low", "export") and postfix.series >= LOW_IS_MEDIUM_SINCE else word
