"""Which suites of TLS 1.2 and older an OpenSSL uses for a cipher string, in which order, without running it.

The language is that of ciphers(1), read as `ssl_create_cipher_list` in OpenSSL's ssl/ssl_ciph.c reads it, with its
quirks; the suites and the words that exist are measured, in `mailcfg/facts/ciphers.json`. Suites of TLS 1.3 are no part
of the language. `PROFILE=SYSTEM`, an invention of Red Hat, is a word that names nothing here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Set
from functools import cache
from typing import Any, NamedTuple

from mailcfg import resources
from mailcfg.facts.version import Version

SEPARATORS = ":,; "
"""What parts the rules of a string."""

_RULE = re.compile(f"[^{SEPARATORS}]*")
_WORD = {False: re.compile(r"[A-Za-z0-9.=-]*"), True: re.compile(r"[A-Za-z0-9._=-]*")}
"""What a word is made of; the names that IANA gives need an underscore."""

_NULL = "None"

_EPHEMERAL = frozenset({"ECDH", "DH", "ECDHEPSK", "DHEPSK"})

_BROKEN = {_NULL: "NULL", "RC4": "RC4", "RC2": "RC2", "DES": "DES", "3DES": "3DES", "IDEA": "IDEA"}


class Suite(NamedTuple):
    """One suite, in the words of `openssl ciphers -V`: `kx` is "ECDH" for ECDHE, `enc` "AESGCM", `mac` "AEAD".

    `bits` is the length of the key, `strength_bits` what @STRENGTH sorts by, `strength` the class (HIGH, MEDIUM, LOW;
    NONE for a suite without encryption), `default` whether DEFAULT may contain it.
    """

    code: str
    name: str
    standard: str
    minimum: str
    kx: str
    auth: str
    enc: str
    bits: int
    mac: str
    strength: str
    strength_bits: int
    fips: bool
    default: bool

    @property
    def is_aead(self) -> bool:
        """Whether it encrypts and authenticates in one."""
        return self.mac == "AEAD"

    @property
    def is_anonymous(self) -> bool:
        """Whether nobody proves who they are."""
        return self.auth == _NULL

    @property
    def forward_secret(self) -> bool:
        """Whether the key is exchanged by an ephemeral Diffie-Hellman, anonymous or not, on a curve or not."""
        return self.kx in _EPHEMERAL

    @property
    def static_rsa(self) -> bool:
        """Whether the secret travels encrypted to the RSA key of the certificate."""
        return self.kx in ("RSA", "RSAPSK")

    @property
    def broken(self) -> str:
        """Why nobody should use it: NULL, EXPORT or the name of a broken cipher; empty for a sound one."""
        return "EXPORT" if self.name.startswith("EXP") else _BROKEN.get(self.enc, "")


class Ciphers(NamedTuple):
    """What a string means.

    `suites` are those of TLS 1.2 and older, most preferred first; `security_level` is that of the last @SECLEVEL;
    `unknown` are the rules that OpenSSL passes over, without their operator: a word in them names nothing, or what `+`
    joins excludes each other. `error`: SSL_CTX_set_cipher_list() fails and leaves the list as it was; no suites then.
    """

    suites: tuple[Suite, ...]
    security_level: int | None
    unknown: tuple[str, ...]
    error: bool


class _Meaning(NamedTuple):
    """What a word asks of a suite; None where it asks nothing."""

    kx: frozenset[str] | None = None
    auth: frozenset[str] | None = None
    enc: frozenset[str] | None = None
    mac: frozenset[str] | None = None
    strength: frozenset[str] | None = None
    minimum: frozenset[str] | None = None
    not_default: bool = False

    def __and__(self, other: _Meaning) -> _Meaning | None:
        """Both, as in `ECDHE+AES`; None when OpenSSL sees that nothing can be both, and passes over the rule."""
        both = {
            "kx": _both(self.kx, other.kx),
            "auth": _both(self.auth, other.auth),
            "enc": _both(self.enc, other.enc),
            "mac": _both(self.mac, other.mac),
            "strength": _both(self.strength, other.strength),
            "minimum": _both(self.minimum, other.minimum),
        }
        if frozenset() in both.values():
            return None
        # The first class of strength overwrites what COMPLEMENTOFDEFAULT before it asked for.
        overwritten = self.strength is None and other.strength is not None
        return _Meaning(**both, not_default=other.not_default or (self.not_default and not overwritten))

    def fits(self, suite: Suite) -> bool:
        """Whether a suite is what the word asks for."""
        return (
            (self.kx is None or suite.kx in self.kx)
            and (self.auth is None or suite.auth in self.auth)
            and (self.enc is None or _encryption(suite) in self.enc)
            and (self.mac is None or suite.mac in self.mac)
            and (self.minimum is None or suite.minimum in self.minimum)
            and (self.strength is None or not self.strength.isdisjoint(_strengths(suite)))
            and not (self.not_default and suite.default)
        )


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None or other is None:
        return one if other is None else other
    return one & other


def _encryption(suite: Suite) -> str:
    return f"{suite.enc}-{suite.bits}" if suite.bits else suite.enc


def _strengths(suite: Suite) -> frozenset[str]:
    return frozenset({suite.strength, "FIPS"} if suite.fips else {suite.strength})


def _exactly(suite: Suite) -> _Meaning:
    """The meaning of its name. The version of the protocol is no part of it."""
    return _Meaning(
        kx=frozenset({suite.kx}),
        auth=frozenset({suite.auth}),
        enc=frozenset({_encryption(suite)}),
        mac=frozenset({suite.mac}),
        strength=_strengths(suite),
        not_default=not suite.default,
    )


def _kx(*values: str) -> _Meaning:
    return _Meaning(kx=frozenset(values))


def _auth(*values: str) -> _Meaning:
    return _Meaning(auth=frozenset(values))


def _enc(values: str) -> _Meaning:
    return _Meaning(enc=frozenset(values.split()))


def _mac(value: str) -> _Meaning:
    return _Meaning(mac=frozenset({value}))


_SOMEBODY = frozenset({"RSA", "DSS", "ECDSA", "PSK", "SRP"})

_AES = {
    bits: frozenset({f"AES-{bits}", f"AESGCM-{bits}", f"AESCCM-{bits}", f"AESCCM8-{bits}"}) for bits in ("128", "256")
}

_CBC = frozenset(
    {"AES-128", "AES-256", "Camellia-128", "Camellia-256", "SEED-128", "3DES-168", "DES-56", "IDEA-128", "RC2-128"}
)

_ENCRYPTED = (
    _AES["128"] | _AES["256"] | _CBC | frozenset({"ARIAGCM-128", "ARIAGCM-256", "CHACHA20/POLY1305-256", "RC4-128"})
)

_WORDS: dict[str, _Meaning] = {
    "ALL": _Meaning(enc=_ENCRYPTED),
    "COMPLEMENTOFALL": _enc(_NULL),
    "COMPLEMENTOFDEFAULT": _Meaning(not_default=True),
    **dict.fromkeys(("kRSA",), _kx("RSA")),
    **dict.fromkeys(("kEDH", "kDHE", "DH"), _kx("DH")),
    **dict.fromkeys(("kEECDH", "kECDHE", "ECDH"), _kx("ECDH")),
    "kPSK": _kx("PSK"),
    "kRSAPSK": _kx("RSAPSK"),
    "kECDHEPSK": _kx("ECDHEPSK"),
    "kDHEPSK": _kx("DHEPSK"),
    "PSK": _kx("PSK", "RSAPSK", "ECDHEPSK", "DHEPSK"),
    **dict.fromkeys(("kSRP", "SRP"), _kx("SRP")),
    "aRSA": _auth("RSA"),
    **dict.fromkeys(("aDSS", "DSS"), _auth("DSS")),
    "aNULL": _auth(_NULL),
    **dict.fromkeys(("aECDSA", "ECDSA"), _auth("ECDSA")),
    "aPSK": _auth("PSK"),
    "aSRP": _auth("SRP"),
    **dict.fromkeys(("EDH", "DHE"), _Meaning(kx=frozenset({"DH"}), auth=_SOMEBODY)),
    **dict.fromkeys(("EECDH", "ECDHE"), _Meaning(kx=frozenset({"ECDH"}), auth=_SOMEBODY)),
    "RSA": _Meaning(kx=frozenset({"RSA"}), auth=frozenset({"RSA"})),
    "ADH": _Meaning(kx=frozenset({"DH"}), auth=frozenset({_NULL})),
    "AECDH": _Meaning(kx=frozenset({"ECDH"}), auth=frozenset({_NULL})),
    **dict.fromkeys(("eNULL", "NULL"), _enc(_NULL)),
    "3DES": _enc("3DES-168"),
    "RC4": _enc("RC4-128"),
    "RC2": _enc("RC2-128"),
    "SEED": _enc("SEED-128"),
    "AES128": _Meaning(enc=_AES["128"]),
    "AES256": _Meaning(enc=_AES["256"]),
    "AES": _Meaning(enc=_AES["128"] | _AES["256"]),
    "AESGCM": _enc("AESGCM-128 AESGCM-256"),
    "AESCCM": _enc("AESCCM-128 AESCCM-256 AESCCM8-128 AESCCM8-256"),
    "AESCCM8": _enc("AESCCM8-128 AESCCM8-256"),
    "CAMELLIA128": _enc("Camellia-128"),
    "CAMELLIA256": _enc("Camellia-256"),
    "CAMELLIA": _enc("Camellia-128 Camellia-256"),
    "CHACHA20": _enc("CHACHA20/POLY1305-256"),
    "ARIA128": _enc("ARIAGCM-128"),
    "ARIA256": _enc("ARIAGCM-256"),
    **dict.fromkeys(("ARIA", "ARIAGCM"), _enc("ARIAGCM-128 ARIAGCM-256")),
    "CBC": _Meaning(enc=_CBC),
    "MD5": _mac("MD5"),
    **dict.fromkeys(("SHA1", "SHA"), _mac("SHA1")),
    "SHA256": _mac("SHA256"),
    "SHA384": _mac("SHA384"),
    "SSLv3": _Meaning(minimum=frozenset({"SSLv3"})),
    **dict.fromkeys(("TLSv1", "TLSv1.0"), _Meaning(minimum=frozenset({"TLSv1"}))),
    "TLSv1.2": _Meaning(minimum=frozenset({"TLSv1.2"})),
    **{word: _Meaning(strength=frozenset({word})) for word in ("LOW", "MEDIUM", "HIGH")},
    "FIPS": _Meaning(enc=_ENCRYPTED, strength=frozenset({"FIPS"})),
    **{
        f"EDH-{auth}-DES-CBC3-SHA": _Meaning(
            kx=frozenset({"DH"}),
            auth=frozenset({auth}),
            enc=frozenset({"3DES-168"}),
            mac=frozenset({"SHA1"}),
            strength=frozenset({"HIGH", "FIPS"}),
        )
        for auth in ("RSA", "DSS")
    },
}
"""The words that name many suites (cipher_aliases in ssl/ssl_ciph.c). Which of them a version knows is measured: a word
whose algorithms are all compiled out is unknown. Those that no measured version knows, such as EXPORT, are left out."""

_SUITE_B = {
    "SUITEB128ONLY": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "SUITEB128C2": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "SUITEB128": "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384",
    "SUITEB192": "ECDHE-ECDSA-AES256-GCM-SHA384",
}
"""What a string that begins so is replaced with, all of it; longer beginnings first."""


class _Table:
    """What one OpenSSL knows: its suites in their first order, and the words."""

    def __init__(self, data: dict[str, Any]) -> None:
        self.suites = tuple(Suite(*row) for row in data["suites"])
        self.default: str = data["default"]
        self.word = _WORD[data["standard_names"]]
        self.strengths = tuple(sorted({suite.strength_bits for suite in self.suites}, reverse=True))
        self._words = {word: _WORDS[word] for word in data["words"]}
        for suite in self.suites:
            self._words[suite.name] = _exactly(suite)
            if data["standard_names"]:
                self._words[suite.standard] = _exactly(suite)
        self._fitting: dict[_Meaning, frozenset[int]] = {}

    def meaning(self, word: str) -> _Meaning | None:
        """What a word asks for; None for one that names nothing."""
        return self._words.get(word)

    def fitting(self, meaning: _Meaning) -> frozenset[int]:
        """The places of the suites that a word asks for."""
        if meaning not in self._fitting:
            self._fitting[meaning] = frozenset(n for n, suite in enumerate(self.suites) if meaning.fits(suite))
        return self._fitting[meaning]


@cache
def _facts() -> dict[str, dict[str, Any]]:
    tables: dict[str, dict[str, Any]] = json.loads(resources.fact("ciphers.json"))["tables"]
    return tables


def measured() -> dict[tuple[int, int], str]:
    """The tables that there are: the series from which on each is used, and its name."""
    return {Version.parse(data["since"]).series: name for name, data in _facts().items()}


@cache
def _table(series: tuple[int, int]) -> _Table:
    known = measured()
    older = [each for each in known if each <= series]
    return _Table(_facts()[known[max(older) if older else min(known)]])


class _Order:
    """The list that rules are applied to: all suites in some order, some of them in use."""

    def __init__(self, table: _Table) -> None:
        self._table = table
        self._places = list(range(len(table.suites)))
        self._used: set[int] = set()

    def apply(self, operator: str, fitting: Set[int]) -> None:
        """Apply a rule to suites: add, `+` move to the end, `-` take out for a later rule, `!` take out for good."""
        chosen = fitting if operator == "!" else fitting - self._used if operator == "" else fitting & self._used
        moved = [place for place in self._places if place in chosen]
        others = [place for place in self._places if place not in chosen]
        # What was taken out last stands first when it is added again.
        self._places = others if operator == "!" else moved + others if operator == "-" else others + moved
        if operator == "":
            self._used |= chosen
        elif operator != "+":
            self._used -= chosen

    def sort(self) -> None:
        """@STRENGTH: the strongest first, otherwise as it was."""
        for bits in self._table.strengths:
            self.apply("+", {n for n in self._used if self._table.suites[n].strength_bits == bits})

    def suites(self) -> tuple[Suite, ...]:
        """What is in use, in order."""
        return tuple(self._table.suites[place] for place in self._places if place in self._used)


class _Reading:
    """A string while it is read."""

    def __init__(self, table: _Table) -> None:
        self.order = _Order(table)
        self.level: int | None = None
        self.unknown: list[str] = []
        self.error = False
        self._table = table

    def read(self, text: str) -> None:
        """Apply every rule. A rule that names nothing is passed over up to the next separator, with what follows it."""
        at = 0
        while at < len(text):
            if text[at] in SEPARATORS:
                at += 1
            elif text[at] == "@":
                at = self._command(text, at + 1)
            else:
                at = self._rule(text, at)
            if at < 0:
                self.error = True
                return

    def _command(self, text: str, at: int) -> int:
        match = self._table.word.match(text, at)
        word = match[0] if match else ""
        if word == "STRENGTH":
            self.order.sort()
        elif len(word) == 10 and word.startswith("SECLEVEL=") and word[9] in "012345":
            self.level = int(word[9])
        else:
            self.error = True
        return _end(text, at) if word else -1

    def _rule(self, text: str, at: int) -> int:
        """Read words joined by `+` and apply them. Returns where the next rule begins, -1 where OpenSSL gives up."""
        operator = text[at] if text[at] in "-+!" else ""
        at += len(operator)
        begin = at
        meaning: _Meaning | None = _Meaning()
        while meaning is not None:
            match = self._table.word.match(text, at)
            if not match or not match[0]:
                return -1
            at = match.end()
            more = text[at : at + 1] == "+"
            at += more
            asked = self._table.meaning(match[0])
            meaning = None if asked is None else meaning & asked
            if meaning is not None and not more:
                self.order.apply(operator, self._table.fitting(meaning))
                return at
        at = _end(text, at)
        self.unknown.append(text[begin:at])
        return at


def _end(text: str, at: int) -> int:
    match = _RULE.match(text, at)
    return match.end() if match else at


@cache
def _expand(text: str, series: tuple[int, int]) -> Ciphers:
    table = _table(series)
    reading = _Reading(table)
    for beginning, rules in _SUITE_B.items():
        if text.startswith(beginning):
            text = rules
            break
    if text.startswith("DEFAULT"):
        reading.read(table.default)
        text = text.removeprefix("DEFAULT")
    reading.read(text)
    suites = reading.order.suites()
    error = reading.error or not suites
    return Ciphers(() if error else suites, reading.level, tuple(reading.unknown), error)


def expand(text: str, openssl: Version) -> Ciphers:
    """Read a cipher string as that OpenSSL does. Suites that its security level forbids are not taken out.

    A version that was not measured is read as the nearest measured one that is not newer; 3.2 to 3.4 are read as 3.5,
    since they were found to be alike; one older than all is read as the oldest, and OpenSSL 1.0 knew more than that.

    Source: ciphers(1); ssl/ssl_ciph.c, ssl_create_cipher_list(); measured with `openssl ciphers -V` of Debian's builds.
    """
    return _expand(text, openssl.series)
