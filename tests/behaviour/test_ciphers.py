"""Cipher strings as mailcfg reads them against what `openssl ciphers` says, and the tables against that OpenSSL.

`compare` and `measure` take the command that runs an openssl: ("chroot", "/var/tmp/…/trixie", "openssl") does as well.
"""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from heapq import heapify, heappop, heappush
from itertools import pairwise
from typing import Any

import pytest

from mailcfg import resources
from mailcfg.behaviour.ciphers import Ciphers, Suite, expand, measured
from mailcfg.facts.version import Version
from tests.sites import ROOT

OPENSSL = ("openssl",)

TABLES: dict[str, dict[str, Any]] = json.loads(resources.fact("ciphers.json"))["tables"]

EVERYTHING = "ALL:COMPLEMENTOFALL"

_WORDS = """
ALL COMPLEMENTOFALL COMPLEMENTOFDEFAULT DEFAULT kRSA kEDH kDHE DH kDHr kDHd kDH kECDHr kECDHe kECDH kEECDH kECDHE ECDH
kPSK kRSAPSK kECDHEPSK kDHEPSK kSRP kGOST kGOST18 aRSA aDSS DSS aDH aECDH aNULL aECDSA ECDSA aPSK aGOST01 aGOST12 aGOST
aSRP EDH DHE EECDH ECDHE NULL RSA ADH AECDH PSK SRP DES 3DES RC4 RC2 IDEA SEED eNULL GOST AES128 AES256 AES AESGCM
AESCCM AESCCM8 CAMELLIA128 CAMELLIA256 CAMELLIA CHACHA20 ARIA ARIAGCM ARIA128 ARIA256 CBC MD5 SHA1 SHA SHA224 SHA256
SHA384 GOST94 GOST89MAC GOST12 GOST2012 SSLv2 SSLv3 TLSv1 TLSv1.0 TLSv1.1 TLSv1.2 TLSv1.3 DTLSv1 DTLSv1.0 DTLSv1.2 LOW
MEDIUM HIGH EXP EXPORT EXPORT40 EXPORT56 FIPS EDH-DSS-DES-CBC3-SHA EDH-RSA-DES-CBC3-SHA FZA KRB5 RC5 AEAD
"""

WORDS = _WORDS.split()
"""Every word that ciphers(1) of any version speaks of, and some that it does not."""


def needs_openssl() -> Version:
    """The version of the installed OpenSSL. Skip without one that was measured, with the reason; not in CI."""
    reason = "openssl is not installed" if shutil.which("openssl") is None else ""
    if not reason:
        version = version_of(OPENSSL)
        names = {row[1] for row in _table_of(version)["suites"]}
        if names != set(listed(OPENSSL, EVERYTHING) or ()):
            reason = f"OpenSSL {version} is built with other suites than the one that was measured"
        else:
            return version
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


def _table_of(version: Version) -> dict[str, Any]:
    known = measured()
    return TABLES[known[max(series for series in known if series <= version.series)]]


# --- what a real OpenSSL says ----------------------------------------------------------------------------------------


def _run(openssl: Sequence[str], *words: str) -> subprocess.CompletedProcess[str]:
    # What the machine prefers in its openssl.cnf is no part of the language.
    environment = {**os.environ, "OPENSSL_CONF": "/dev/null"}
    return subprocess.run([*openssl, *words], capture_output=True, text=True, env=environment, timeout=30)


@cache
def version_of(openssl: Sequence[str]) -> Version:
    match = re.match(r"OpenSSL (\S+)", _run(openssl, "version").stdout)
    assert match
    return Version.parse(match[1])


def listed(openssl: Sequence[str], text: str) -> list[str] | None:
    """The suites of TLS 1.2 and older that `openssl ciphers` lists; None where it fails."""
    # What begins with a minus would be an option; a separator before it changes nothing.
    done = _run(openssl, "ciphers", f":{text}" if text.startswith("-") else text)
    if done.returncode:
        return None
    return [name for name in done.stdout.strip().split(":") if not name.startswith("TLS_")]


def compare(openssl: Sequence[str], texts: Sequence[str]) -> int:
    """How many strings mailcfg and that openssl read alike: all of them, or the test fails."""
    version = version_of(openssl)
    with ThreadPoolExecutor(2 * (os.cpu_count() or 1)) as pool:
        answers = list(pool.map(lambda text: listed(openssl, text), texts))
    wrong = []
    for text, answer in zip(texts, answers, strict=True):
        ours = expand(text, version)
        if (None if ours.error else [suite.name for suite in ours.suites]) != answer:
            wrong.append(text)
    assert wrong == [], f"OpenSSL {version} reads {len(wrong)} of {len(texts)} strings otherwise"
    return len(texts)


# --- the tables, measured anew ---------------------------------------------------------------------------------------

ROW = re.compile(
    r"\s*(?P<code>0x..,0x..) - (?P<standard>\S+)\s+- (?P<name>\S+)\s+(?P<minimum>\S+)\s+"
    r"Kx=(?P<kx>\S+)\s+Au=(?P<auth>\S+)\s+Enc=(?P<enc>[^\s(]+)(?:\((?P<bits>\d+)\))?\s+Mac=(?P<mac>\S+)\s*"
)


def measure(openssl: Sequence[str]) -> dict[str, Any]:
    """The table of an OpenSSL as in mailcfg/facts/ciphers.json, by nothing but `openssl ciphers`."""

    def names(text: str) -> list[str]:
        return listed(openssl, text) or []

    # A word that names nothing swallows what stands behind it up to the next separator.
    words = [word for word in WORDS if not any("SRP" in name for name in names(f"CHACHA20:kSRP:+{word}!kSRP"))]
    # Words bring suites in the first order, but none brings all of them: the first order is one that agrees with all.
    order = _merge(names(EVERYTHING), map(names, words))
    classes = {name: word for word in ("HIGH", "MEDIUM", "LOW") for name in names(word)}
    fips, beyond = set(names("FIPS")), set(names("COMPLEMENTOFDEFAULT"))
    rows = {}
    for line in _run(openssl, "ciphers", "-V", "-stdname", EVERYTHING).stdout.splitlines():
        match = ROW.fullmatch(line)
        assert match, line
        rows[match["name"]] = match
    bits = _strength_bits(openssl, {name: int(rows[name]["bits"] or 0) for name in order})
    suites = [
        Suite(
            **{key: rows[name][key] for key in ("code", "name", "standard", "minimum", "kx", "auth", "enc", "mac")},
            bits=int(rows[name]["bits"] or 0),
            strength=classes.get(name, "NONE"),
            strength_bits=bits[name],
            fips=name in fips,
            default=name not in beyond,
        )
        for name in order
    ]
    default = "ALL:!COMPLEMENTOFDEFAULT:!eNULL"
    assert names("DEFAULT") == names(default)
    return {
        "default": default,
        "standard_names": bool(names("TLS_RSA_WITH_AES_128_GCM_SHA256")),
        "words": words,
        "suites": [list(suite) for suite in suites],
    }


def _merge(all_names: Sequence[str], lists: Iterable[Sequence[str]]) -> list[str]:
    """One order that every list agrees with. Where two suites share no list their order decides nothing."""
    place = {name: n for n, name in enumerate(all_names)}
    after: dict[str, set[str]] = {name: set() for name in all_names}
    for each in lists:
        for one, later in pairwise(each):
            after[one].add(later)
    waiting = {name: sum(name in each for each in after.values()) for name in all_names}
    free = [place[name] for name, count in waiting.items() if not count]
    heapify(free)
    order = []
    while free:
        name = all_names[heappop(free)]
        order.append(name)
        for later in after[name]:
            waiting[later] -= 1
            if not waiting[later]:
                heappush(free, place[later])
    assert len(order) == len(all_names)
    return order


def _strength_bits(openssl: Sequence[str], bits: dict[str, int]) -> dict[str, int]:
    """What @STRENGTH sorts by: a suite that was last before stands last in its class afterwards.

    The number of a class is the length of its keys. When that differs it is 64, says SSL_CIPHER_get_bits() of 3.5.
    """
    strengths: dict[str, int] = {}
    while len(strengths) < len(bits):
        rest = (listed(openssl, f"{EVERYTHING}:@STRENGTH") or [])[len(strengths) :]
        sorted_again = listed(openssl, f"{EVERYTHING}:+{rest[0]}:@STRENGTH") or []
        alike = sorted_again[len(strengths) : sorted_again.index(rest[0]) + 1]
        lengths = {bits[name] for name in alike}
        strengths |= dict.fromkeys(alike, lengths.pop() if len(lengths) == 1 else 64)
    return strengths


# --- the strings -----------------------------------------------------------------------------------------------------

MOZILLA_INTERMEDIATE = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305:DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:"
    "DHE-RSA-CHACHA20-POLY1305"
)

MOZILLA_OLD = MOZILLA_INTERMEDIATE + (
    ":ECDHE-ECDSA-AES128-SHA256:ECDHE-RSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA:ECDHE-RSA-AES128-SHA:"
    "ECDHE-ECDSA-AES256-SHA384:ECDHE-RSA-AES256-SHA384:ECDHE-ECDSA-AES256-SHA:ECDHE-RSA-AES256-SHA:DHE-RSA-AES128-SHA256:"
    "DHE-RSA-AES256-SHA256:AES128-GCM-SHA256:AES256-GCM-SHA384:AES128-SHA256:AES256-SHA256:AES128-SHA:AES256-SHA:"
    "DES-CBC3-SHA"
)

BY_HAND = [
    MOZILLA_INTERMEDIATE,
    MOZILLA_OLD,
    # BetterCrypto, lists A and B, and what people made of them.
    "EDH+aRSA+AES256:EECDH+aRSA+AES256:!SSLv3",
    "EDH+CAMELLIA:EDH+aRSA:EECDH+aRSA+AESGCM:EECDH+aRSA+SHA256:EECDH:+CAMELLIA128:+AES128:+SSLv3:!aNULL:!eNULL:!LOW:"
    "!3DES:!MD5:!EXP:!PSK:!DSS:!RC4:!SEED:!IDEA:!ECDSA:kEDH:CAMELLIA128-SHA:AES128-SHA",
    "EECDH+AESGCM:EDH+AESGCM:AES256+EECDH:AES256+EDH",
    "EECDH+ECDSA+AESGCM EECDH+aRSA+AESGCM EECDH+ECDSA+SHA384 EECDH+aRSA+SHA384 EECDH EDH+aRSA !RC4 !aNULL !eNULL !LOW",
    "HIGH:!aNULL:!MD5",
    "HIGH:!aNULL:!kRSA:!PSK:!SRP:!MD5:!RC4",
    "ALL:!ADH:!LOW:!SSLv2:!EXP:!aNULL:+HIGH:+MEDIUM",
    "ALL:+HIGH:!LOW:!MEDIUM:!EXP:!NULL:!aNULL@STRENGTH",
    "TLSv1.2+HIGH:TLSv1+HIGH:!SSLv2:!RC4:!aNULL:!eNULL:!3DES:@STRENGTH",
    # DEFAULT, and what begins like it.
    "DEFAULT",
    "DEFAULT:!kRSA",
    "DEFAULT!kRSA:@STRENGTH",
    "DEFAULT@SECLEVEL=2",
    "DEFAULT+AESGCM:AES",
    "DEFAULTeNULL",
    "HIGH:DEFAULT",
    # Suite B swallows the rest.
    "SUITEB128",
    "SUITEB128ONLY:ALL",
    "SUITEB128C2",
    "SUITEB192!AES",
    "HIGH:SUITEB128",
    # What is taken out stands first when it comes back; what is killed does not come back.
    "ALL:-CAMELLIA:-kRSA:ALL",
    "AES:!AESGCM:ALL",
    "kRSA:ECDHE:+kRSA",
    "kRSA:!kRSA",
    # Separators, rules that run on, words that name nothing.
    ":,; AES;CHACHA20,ARIA CAMELLIA:",
    "HIGH!MD5-AES+CAMELLIA",
    "AES:NOTHING!AESGCM",
    "AES:kDHE+kECDHE!AESGCM",
    "AES:HIGH+FIPS!AESGCM",
    "aes",
    "TLS_AES_256_GCM_SHA384:AES",
    "TLS_RSA_WITH_AES_128_GCM_SHA256",
    "PROFILE=SYSTEM",
    # The order of words matters by an oversight.
    "COMPLEMENTOFDEFAULT+HIGH",
    "HIGH+COMPLEMENTOFDEFAULT",
    # What fails.
    "",
    ":",
    "@STRENGTH",
    "AES:!",
    "AES+",
    "AES:NOTHING+",
    "AES_X",
    "AES:X_X",
    "AES:@",
    "AES:@NOTHING",
    "AES:@SECLEVEL=6",
    "AES:@SECLEVEL=10",
    "AES:@STRENGTH+X!AES",
    "AES:\tARIA",
    "AES:é",
]

EXCLUDED = ("aNULL", "MD5, DES, 3DES", "RC4, aNULL, kRSA, SEED", "EXP LOW DES", "eNULL, aNULL, SSLv3, CAMELLIA, aECDSA")
"""What people write into smtpd_tls_exclude_ciphers. Postfix puts an exclamation mark before each."""


def grades() -> list[str]:
    """The default of every grade of every Postfix that was measured."""
    values = set()
    for path in sorted((ROOT / "tests/facts").glob("postconf-d-*.txt")):
        values |= set(re.findall(r"^tls_\w+_cipherlist = *(\S+)$", path.read_text(), re.MULTILINE))
    return sorted({*values, "eNULL:!aNULL"})


def by_hand() -> list[str]:
    excluded = [":!".join(["", *re.split("[, ]+", words)]) for words in EXCLUDED]
    return BY_HAND + [grade + exclusion for grade in grades() for exclusion in ("", *excluded)]


def at_random(count: int, seed: int = 0) -> list[str]:
    """Strings of words, names of suites and commands; most mean something."""
    rng = random.Random(seed)
    names = sorted({name for table in TABLES.values() for row in table["suites"] for name in row[1:3]})

    def word() -> str:
        return rng.choice(names) if rng.random() < 0.12 else rng.choice(WORDS)

    def rule() -> str:
        chance = rng.random()
        if chance < 0.08:
            return "@STRENGTH"
        if chance < 0.09:
            return rng.choice(["@SECLEVEL=0", "@SECLEVEL=7", "@", "!", "NO_SUCH", "none", "+"])
        joined = "+".join(word() for _ in range(rng.choice((1, 1, 1, 1, 2, 2, 3))))
        return rng.choice(("", "", "", "+", "-", "!")) + joined

    def string() -> str:
        beginning = rng.choice(("", "", "ALL", "DEFAULT", "HIGH", "aNULL:-aNULL:HIGH", EVERYTHING))
        rules = [rule() for _ in range(rng.randint(1, 9))]
        glue = rng.choice((":", ":", ":", ",", " ", ";"))
        text = glue.join([beginning, *rules] if beginning else rules)
        # Here and there a rule runs into the next.
        return re.sub(r":(?=[-!@])", lambda match: rng.choice(("", *[":"] * 9)), text)

    return [string() for _ in range(count)]


# --- the tests -------------------------------------------------------------------------------------------------------


def test_what_is_written_by_hand_is_read_alike(record_property: Callable[[str, object], None]) -> None:
    needs_openssl()
    record_property("agrees with openssl ciphers", compare(OPENSSL, by_hand()))


def test_every_single_word_is_read_alike(record_property: Callable[[str, object], None]) -> None:
    needs_openssl()
    names = [name for row in TABLES["1.1.1"]["suites"] for name in row[1:3]]
    record_property("agrees with openssl ciphers", compare(OPENSSL, WORDS + names))


def test_what_chance_wrote_is_read_alike(record_property: Callable[[str, object], None]) -> None:
    needs_openssl()
    record_property("agrees with openssl ciphers", compare(OPENSSL, at_random(500)))


def test_the_table_is_what_openssl_says() -> None:
    version = needs_openssl()
    shipped = _table_of(version)
    assert {key: shipped[key] for key in ("default", "standard_names", "words", "suites")} == measure(OPENSSL)


NEW, OLD = Version(3, 5), Version(3, 0)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_is_whole(name: str) -> None:
    suites = [Suite(*row) for row in TABLES[name]["suites"]]
    assert len({suite.name for suite in suites}) == len(suites)
    assert len({(suite.kx, suite.auth, suite.enc, suite.bits, suite.mac) for suite in suites}) == len(suites)
    assert TABLES[name]["source"]
    for word in TABLES[name]["words"]:
        assert expand(word, Version.parse(TABLES[name]["since"])).unknown == (), word


def test_a_version_is_read_as_the_nearest_that_is_not_newer() -> None:
    assert measured() == {(1, 1): "1.1.1", (3, 0): "3.0", (3, 2): "3.5", (3, 6): "3.6"}
    assert expand("SEED", Version(1, 0, 2, "k")) == expand("SEED", Version(1, 1, 1)) != expand("SEED", OLD)
    assert expand("AESCCM8:AES", Version(3, 1)) == expand("AESCCM8:AES", OLD)
    assert expand("HIGH", Version(3, 1)) == expand("HIGH", OLD) != expand("HIGH", Version(3, 2))
    assert expand("HIGH", Version(4, 0)) == expand("HIGH", Version(3, 6))


def test_what_was_measured_differs_where_it_is_known_to() -> None:
    medium = {suite.enc for suite in expand("MEDIUM", NEW).suites}
    assert medium == {"AESCCM8"}
    assert expand("MEDIUM", OLD).error
    assert expand("RC4:AES", OLD).unknown == ("RC4",)
    assert expand("RC4:AES", Version(1, 1, 1)).unknown == ()


@pytest.mark.parametrize(
    ("text", "level", "unknown", "error"),
    [
        ("HIGH:@SECLEVEL=2:@SECLEVEL=0", 0, (), False),
        ("DEFAULT@SECLEVEL=3", 3, (), False),
        ("HIGH", None, (), False),
        ("HIGH:!EXPORT:!RC5", None, ("EXPORT", "RC5"), False),
        ("HIGH:ECDHE+RSA:!NO!AES", None, ("ECDHE+RSA", "NO!AES"), False),
        ("SUITEB128:NO:@SECLEVEL=2", None, (), False),
        ("NO", None, ("NO",), True),
        ("HIGH:@SECLEVEL=9", None, (), True),
    ],
)
def test_what_is_told_of_a_string(text: str, level: int | None, unknown: tuple[str, ...], error: bool) -> None:
    told = expand(text, OLD)
    assert told[1:] == (level, unknown, error)
    assert bool(told.suites) is not error


def _one(name: str) -> Suite:
    told = expand(name, Version(1, 1, 1))
    assert isinstance(told, Ciphers)
    (suite,) = told.suites
    return suite


def test_what_is_told_of_a_suite() -> None:
    best = _one("ECDHE-RSA-AES256-GCM-SHA384")
    assert (best.is_aead, best.forward_secret, best.is_anonymous, best.static_rsa, best.broken) == (
        True, True, False, False, "",
    )  # fmt: skip
    assert best[:10] == (
        "0xC0,0x30", "ECDHE-RSA-AES256-GCM-SHA384", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "TLSv1.2", "ECDH", "RSA",
        "AESGCM", 256, "AEAD", "HIGH",
    )  # fmt: skip
    assert _one("ADH-AES128-SHA").is_anonymous
    assert _one("ADH-AES128-SHA").forward_secret
    assert _one("AES128-SHA").static_rsa
    assert not _one("AES128-SHA").forward_secret
    assert not _one("AES128-SHA").is_aead
    assert _one("NULL-SHA256").broken == "NULL"


def test_the_same_string_is_read_once() -> None:
    text = "aNULL:-aNULL:HIGH:MEDIUM:+RC4:@STRENGTH:!aNULL"
    expand(text, OLD)
    begin = time.perf_counter()
    for _ in range(10_000):
        expand(text, OLD)
    assert time.perf_counter() - begin < 0.5
