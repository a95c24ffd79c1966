"""A broken cipher can be negotiated.

What it does: expands the cipher list that holds for each listener, as the target's OpenSSL does, and looks among what
its keys can use for ciphers without encryption (NULL), those of export grade, RC2, RC4, IDEA, single DES and 3DES. For
next hops it looks at lists and grades that stand in the files. Before OpenSSL 1.0.1 it goes by the words of the list.

Why it is bad: NULL encrypts nothing, export grade and DES are searched through in hours, RC4 leaks what is sent again
and again, and blocks of 64 bits collide in a long session (Sweet32). OpenSSL drops most of them by itself from 1.1.0
on: what is left was asked for.

Wrong:

    # main.cf
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    smtpd_tls_mandatory_ciphers = null
    # /etc/ssl/private/mail.pem = key rsa-2048, certificate mail.example.com
    # master.cf
    submission inet n - n - - smtpd
      -o smtpd_tls_security_level=encrypt

Wrong:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    tls_medium_cipherlist = ALL:eNULL
    # /etc/ssl/private/mail.pem = key rsa-2048, certificate mail.example.com

Wrong:

    # main.cf
    smtp_tls_security_level = may
    smtp_tls_ciphers = null

Right:

    # main.cf
    smtpd_tls_security_level = may
    smtpd_tls_chain_files = /etc/ssl/private/mail.pem
    tls_medium_cipherlist = ALL:eNULL:!eNULL
    # /etc/ssl/private/mail.pem = key rsa-2048, certificate mail.example.com

References: RFC 9325 §4.1, RFC 7465.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from mailcfg.behaviour.ciphers import Suite, expand
from mailcfg.behaviour.model import Endpoint
from mailcfg.behaviour.tls import cipher_list, grade_list
from mailcfg.behaviour.words import ciphers
from mailcfg.facts.version import Version
from mailcfg.problem import Severity
from mailcfg.rule import Said, Subject
from mailcfg.rules.ssl_enabled import Held, Use, entry_of, grouped, place, together, uses

SEVERITY = Severity.ERROR
REFERENCES = ("RFC 9325 §4.1", "RFC 7465")

MEASURED_FROM = Version(1, 0, 1)
"""An OpenSSL before this one has words for ciphers that no measured table knows."""

WORDS = {"EXPORT": ("EXPORT", "EXP", "ALL"), "DES": ("LOW", "ALL"), "RC4": ("MEDIUM", "RC4", "ALL")}
"""Words that bring in a broken cipher there (ciphers(1) of OpenSSL 0.9.8). EXPORT also goes with EXP."""

_SEPARATORS = re.compile("[:,; ]+")


class Judged(NamedTuple):
    """The names among some suites that are broken (with what each is), without forward secrecy, of finite-field
    Diffie-Hellman, and of CBC.
    """

    broken: tuple[tuple[str, str], ...]
    static_rsa: tuple[str, ...]
    finite: tuple[str, ...]
    cbc: tuple[str, ...]


def check(subject: Subject) -> Iterator[Said]:
    """Look for broken ciphers in what can be negotiated."""
    found = tuple(each for each in uses(subject) if broken(subject, each))
    for some in grouped(found, "grade"):
        first = some[0]
        kinds = list(dict.fromkeys(kind for each in some for kind in broken(subject, each)))
        held = deciding(first)
        mandatory = any(each.mandatory for each in some)
        verb = "offers" if first.hop is not None else "accept" if len(some) > 1 else "accepts"
        yield Said(
            f"{together(some)} {verb} {', '.join(kinds)} ciphers",
            "what passes under NULL is not encrypted" if "NULL" in kinds else "who records what passes can read it",
            place(subject, first, held),
            held.name,
            first.service,
            policy="a guideline in tls.guideline, which excludes them",
            main=_mending(first, held, kinds, subject),
            severity=None if mandatory else Severity.WARNING,
        )


def broken(subject: Subject, use: Use) -> tuple[str, ...]:
    """What is broken in what can be negotiated."""
    if use.endpoint is not None:
        if subject.openssl < MEASURED_FROM:
            return _by_words(use) if use.endpoint.encrypts else ()
        return kinds_in(use.endpoint, subject.openssl)
    name = list_name(use)
    if not use.grade.is_set and (name is None or not use.scope.is_set(name)):
        return ()
    if subject.openssl < MEASURED_FROM:
        return ()
    return _broken(client_suites(subject, use)) if name else ()


@cache
def _broken(suites: tuple[Suite, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.broken for each in suites if each.broken))


def kinds_in(endpoint: Endpoint, openssl: Version) -> tuple[str, ...]:
    """What is broken among the suites of a listener."""
    found = [kind for names in endpoint.suites.values() for _, kind in judged(names, openssl).broken]
    return tuple(dict.fromkeys(found)) if found else ()


@cache
def judged(names: tuple[str, ...], openssl: Version) -> Judged:
    """What there is to say of suites."""
    known = _suites(openssl)
    suites = [known[name] for name in names if name in known]
    return Judged(
        tuple((each.name, each.broken) for each in suites if each.broken),
        tuple(each.name for each in suites if each.static_rsa),
        tuple(each.name for each in suites if each.kx == "DH" and not each.is_anonymous),
        tuple(each.name for each in suites if not each.is_aead and not each.broken),
    )


@cache
def _suites(openssl: Version) -> dict[str, Suite]:
    return {each.name: each for each in expand("ALL:COMPLEMENTOFALL", openssl).suites}


def list_name(use: Use) -> str | None:
    """The parameter with the ciphers of the grade that holds; None where there is no such grade."""
    return grade_list(use.scope, use.grade.text)


def deciding(use: Use) -> Held:
    """What brings a cipher in: the list where it is set, else the grade."""
    name = list_name(use)
    if name is not None:
        value = use.scope.value(name)
        if value.origin.file:
            return Held(name, value.value or "", value.origin)
    return use.grade


def excluded(use: Use) -> tuple[str, ...]:
    """What is taken out of the list, as `exclude_ciphers` and their like say."""
    side = use.side
    entry = entry_of(use.hop, use.scope, side) if use.hop is not None else None
    if entry is not None and "exclude" in entry.attributes:
        text = entry.attributes["exclude"]
    else:
        text = use.scope.text(f"{side}_tls_exclude_ciphers")
        if use.mandatory:
            text += " " + use.scope.text(f"{side}_tls_mandatory_exclude_ciphers")
    if use.hop is not None and use.mandatory:
        # src/smtp/smtp_tls_policy.c, set_cipher_grade()
        text += " eNULL" if use.hop.level == "encrypt" else " aNULL"
    return _words(text)


@cache
def _words(text: str) -> tuple[str, ...]:
    return tuple(ciphers(text))


def client_suites(subject: Subject, use: Use) -> tuple[Suite, ...]:
    """The suites that smtp offers on a way out."""
    name = list_name(use)
    return cipher_list(use.scope.text(name), excluded(use), subject.openssl).suites if name else ()


def _by_words(use: Use) -> tuple[str, ...]:
    """What the words of a list bring in that no later word takes out."""
    name = list_name(use)
    words = _SEPARATORS.split(use.scope.text(name)) if name else []
    out = [word[1:] for word in words if word[:1] in ("!", "-")] + list(excluded(use))
    return tuple(
        kind
        for kind, names in WORDS.items()
        if any(each in words for each in names) and not any(kind[:3] in each or each in names for each in out)
    )


def _mending(use: Use, held: Held, kinds: list[str], subject: Subject) -> str:
    name = list_name(use)
    if held is use.grade and use.grade.is_set:
        return f"{held.name} = high" if not held.name.endswith("_policy_maps") else "no ciphers= in that entry"
    if held.is_set:
        return f"remove {name}: Postfix's own list has none of them"
    infix = "mandatory_" if use.mandatory else ""
    words = {"NULL": "eNULL", "DES": "DES, LOW"}
    return f"{use.side}_tls_{infix}exclude_ciphers = {', '.join(words.get(each, each) for each in kinds)}"
