"""Which protocol versions a list such as `!SSLv2, !SSLv3` or `>=TLSv1.2` leaves on."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from mailcfg.facts.guidelines import PROTOCOLS, RANGES_SINCE
from mailcfg.facts.version import Version

SEPARATORS = re.compile(r"[ \t\r\n,:]+")
"""What parts the words of a list (CHARS_COMMA_SP and a colon; src/tls/tls_misc.c)."""

NUMBERS = {"none": 0, "sslv3": 0x300, "tlsv1": 0x301, "tlsv1.1": 0x302, "tlsv1.2": 0x303, "tlsv1.3": 0x304}
"""The names that stand behind >= and <=, and the numbers that they stand for."""

_HEXADECIMAL = re.compile(r"[ \t\r\n\v\f]*([+-]?)(?:0x)?([0-9a-f]*)", re.IGNORECASE)

_HIGHEST = 0x7FFFFFFF


class Protocols(NamedTuple):
    """A list as Postfix reads it. `versions` are those that it leaves on, oldest first; `unknown` is the word at which
    Postfix gives up, which turns TLS off; `included` and `excluded` are the versions named singly; `floor` and
    `ceiling` are numbers of the protocol, 0 for none.
    """

    versions: tuple[str, ...]
    unknown: str | None
    included: frozenset[str]
    excluded: frozenset[str]
    floor: int
    ceiling: int


@cache
def protocols(value: str, postfix: Version) -> Protocols:
    """Read a list. SSLv2 is in no OpenSSL that is supported, and SSLv3 in none that a distribution ships (measured on
    four of them), but both are counted, since a library can be built with SSLv3.

    Source: postconf(5), smtpd_tls_protocols; src/tls/tls_misc.c, tls_proto_mask_lims(); measured (E5, E6, E7).
    """
    names = {name.lower(): name for name in PROTOCOLS}
    included: set[str] = set()
    excluded: set[str] = set()
    floor = ceiling = 0
    ranges = postfix.series >= RANGES_SINCE
    unknown = None
    for word in SEPARATORS.split(value):
        if not word:
            continue
        bound = word[:2] if ranges and word[:2] in (">=", "<=") else ""
        if bound:
            number = _number(word[2:])
            if number is None:
                unknown = word
                break
            floor, ceiling = (number, ceiling) if bound == ">=" else (floor, number)
            continue
        name = names.get(word.removeprefix("!").lower())
        if name is None:
            unknown = word
            break
        (excluded if word.startswith("!") else included).add(name)
    # SSLv2 has no bit of its own any more: to include it includes nothing (measured, 3.5 to 3.11).
    counted = included - {"SSLv2"}
    left = [name for name in PROTOCOLS if name != "SSLv2" and (not counted or name in counted)]
    # OpenSSL refuses a bound that is no version of TLS, and nobody looks at its answer: the bound is not set then.
    lowest = floor if floor in NUMBERS.values() else 0
    highest = ceiling if ceiling in NUMBERS.values() and ceiling else 0x304
    versions = tuple(name for name in left if name not in excluded and lowest <= NUMBERS[name.lower()] <= highest)
    return Protocols(
        versions if unknown is None else (), unknown, frozenset(included), frozenset(excluded), floor, ceiling
    )


def _number(text: str) -> int | None:
    """A name or a hexadecimal number, as strtoul(3) reads it: `>=` alone is no bound at all."""
    known = NUMBERS.get(text.lower())
    if known is not None:
        return known
    match = _HEXADECIMAL.fullmatch(text)
    if match is None:
        return None
    if not match[2]:
        return 0 if not text else None
    number = int(match[2], 16)
    if match[1] == "-":
        number = (1 << 64) - number
    return number if number <= _HIGHEST else None
