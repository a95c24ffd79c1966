"""Guidelines: whole, known to OpenSSL, as Mozilla publishes them, and spelt for every Postfix."""

from __future__ import annotations

import json
import subprocess
import tomllib
from functools import cache
from typing import Any

import pytest

from mailcfg.facts.guidelines import (
    GROUP_NEEDS,
    OPENSSL_NEEDED,
    PROTOCOLS,
    guideline,
    guideline_names,
    known_groups,
    protocol_list,
)
from mailcfg.facts.version import Version
from tests.postfix import lab
from tests.sites import ROOT

FOLDER = ROOT / "mailcfg/facts/guidelines"
MOZILLA = ROOT.parent / "shared/facts/mozilla-guidelines.json"

all_guidelines = pytest.mark.parametrize("name", guideline_names())


def data(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{name}.toml").read_text())


def test_the_folder_is_the_list() -> None:
    assert guideline_names() == sorted(path.stem for path in FOLDER.glob("*.toml"))
    assert {"mozilla-6.0-modern", "mozilla-6.0-intermediate", "rfc9325"} <= set(guideline_names())


def test_an_unknown_guideline() -> None:
    with pytest.raises(KeyError):
        guideline("mozilla-9.9-modern")


@all_guidelines
def test_a_guideline_is_whole(name: str) -> None:
    rules = guideline(name)
    assert rules.id == name
    assert rules.title
    assert rules.minimum in PROTOCOLS
    assert rules.ciphersuites
    assert rules.groups
    assert set(rules.certificate_types) <= {"ecdsa", "rsa"}
    assert 0 < rules.recommended_lifetime_days <= rules.maximum_lifetime_days
    for words in (rules.ciphers, rules.ciphersuites, rules.groups):
        assert len(set(words)) == len(words)


@all_guidelines
def test_a_guideline_has_sources(name: str) -> None:
    """One for the whole, and more for single keys."""
    sources = data(name)["sources"]
    assert sources["guideline"]
    assert sources.keys() - {"guideline"} <= data(name).keys() - {"sources"}
    assert ("opportunistic" in sources) == ("opportunistic" in data(name))


@all_guidelines
def test_where_tls_is_optional_nobody_is_shut_out_for_want_of_tls_1_3(name: str) -> None:
    rules = guideline(name)
    if PROTOCOLS.index(rules.minimum) <= PROTOCOLS.index("TLSv1.2"):
        assert rules.ciphers
        assert not rules.opportunistic
        return
    relaxed = guideline(rules.opportunistic)
    assert PROTOCOLS.index(relaxed.minimum) < PROTOCOLS.index(rules.minimum)
    assert relaxed.ciphers
    assert not relaxed.opportunistic
    assert set(rules.groups) <= set(relaxed.groups)


# --- OpenSSL itself --------------------------------------------------------------------------------------------------


@cache
def openssl(*words: str) -> tuple[int, str]:
    done = subprocess.run(["openssl", *words], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout


def installed() -> Version:
    """The OpenSSL of this machine; its commands need no root."""
    try:
        version = Version.parse(openssl("version")[1].split()[1])
    except (FileNotFoundError, IndexError, ValueError):
        lab.needs("openssl")
        pytest.skip("no openssl here, or one that is not OpenSSL")
    if version < Version(3, 0):
        pytest.skip(f"OpenSSL {version} is older than what the names are checked against")
    return version


NOT_BUILT_IN = {"DES-CBC3-SHA"}
"""Ciphers that OpenSSL from 1.1.0 on leaves out unless it is built with enable-weak-ssl-ciphers (its CHANGES file)."""


@all_guidelines
def test_ciphers_are_known_to_openssl(name: str) -> None:
    installed()
    code, printed = openssl("ciphers", "-v", "ALL:COMPLEMENTOFALL:@SECLEVEL=0")
    assert code == 0
    known = {line.split()[0] for line in printed.splitlines()}
    assert set(guideline(name).ciphersuites) <= known
    assert set(guideline(name).ciphers) - known <= NOT_BUILT_IN
    # A misspelt name is passed over in silence, so each must be found by itself.
    for cipher in set(guideline(name).ciphers) & known:
        assert cipher in openssl("ciphers", f"{cipher}:@SECLEVEL=0")[1].strip().split(":")


@pytest.mark.parametrize("group", sorted({group for name in guideline_names() for group in guideline(name).groups}))
def test_groups_are_known_to_openssl(group: str) -> None:
    version = installed()
    if version < GROUP_NEEDS.get(group, Version(0, 0)):
        # Too old for it, as the table says: then this OpenSSL must not know it either.
        assert openssl("genpkey", "-algorithm", group)[0] != 0
    elif version >= Version(3, 5):
        assert group.lower() in openssl("list", "-tls-groups")[1].lower().replace("secp256r1", "prime256v1").split(":")
    elif group.startswith("X"):
        assert openssl("genpkey", "-algorithm", group)[0] == 0
    else:
        assert openssl("ecparam", "-name", group, "-noout")[0] == 0


# --- Mozilla ---------------------------------------------------------------------------------------------------------

OURS = {
    "ciphers": "ciphers_openssl",
    "ciphersuites": "ciphersuites",
    "groups": "tls_curves",
    "certificate_types": "certificate_types",
    "maximum_lifetime_days": "maximum_certificate_lifespan",
    "recommended_lifetime_days": "recommended_certificate_lifespan",
    "server_preference": "server_preferred_order",
}
"""Our keys and Mozilla's."""


@pytest.mark.parametrize("name", [name for name in guideline_names() if name.startswith("mozilla-")])
def test_agrees_with_mozilla(name: str) -> None:
    if not MOZILLA.exists():
        pytest.skip(f"no copy of Mozilla's files at {MOZILLA}")
    _, version, level = name.split("-")
    theirs = json.loads(MOZILLA.read_text())[version][level]
    ours = data(name)
    assert {key: ours[key] for key in OURS} == {key: theirs[name] for key, name in OURS.items()}
    assert ours["minimum"] == min(theirs["tls_versions"], key=PROTOCOLS.index)


# --- spelt for a version ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("minimum", "postfix", "value"),
    [
        ("TLSv1.2", "3.10", ">=TLSv1.2"),
        ("TLSv1.2", "3.6", ">=TLSv1.2"),
        ("TLSv1.3", "3.6", ">=TLSv1.3"),
        ("TLSv1", "3.6", ">=TLSv1"),
        ("TLSv1.2", "3.5", "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1"),
        ("TLSv1.2", "3.4", "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1"),
        ("TLSv1.3", "3.4", "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1, !TLSv1.2"),
        ("TLSv1", "3.5", "!SSLv2, !SSLv3"),
        ("TLSv1", "2.5", "!SSLv2, !SSLv3"),
        ("TLSv1", "2.3", "TLSv1"),
    ],
)
def test_protocols(minimum: str, postfix: str, value: str) -> None:
    assert protocol_list(minimum, Version.parse(postfix)) == value


HYBRID = ("X25519MLKEM768", "X25519", "prime256v1", "secp384r1")


@pytest.mark.parametrize(
    ("postfix", "openssl_version", "known"),
    [
        ("3.10", "3.5.0", HYBRID),
        ("3.11", "3.6.0", HYBRID),
        ("3.10", "3.0.19", HYBRID[1:]),
        ("3.6", "3.5.0", HYBRID[1:]),
        ("3.5", "3.5.1", HYBRID[1:]),
        ("3.4", "1.1.1", HYBRID[1:]),
        ("3.4", "1.1.1w", HYBRID[1:]),
        ("3.4", "1.0.2", HYBRID[2:]),
    ],
)
def test_groups(postfix: str, openssl_version: str, known: tuple[str, ...]) -> None:
    assert known_groups(HYBRID, Version.parse(postfix), Version.parse(openssl_version)) == known


def test_what_openssl_needs_for_a_protocol() -> None:
    assert set(OPENSSL_NEEDED) <= set(PROTOCOLS)
    assert OPENSSL_NEEDED["TLSv1.3"] <= Version.parse("1.1.1w")
    assert OPENSSL_NEEDED["TLSv1.3"] > Version.parse("1.1.0l")
    assert OPENSSL_NEEDED["TLSv1.2"] > Version.parse("0.9.8e")
