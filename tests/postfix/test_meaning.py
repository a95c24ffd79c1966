"""Spellings that count as one are one to a real smtpd: each stands on a listener of its own, and is asked there."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from mailcfg.drift.meaning import protocols, same
from mailcfg.facts.version import Version
from tests.postfix import lab
from tests.postfix.smtp import Session, context, mechanisms

pytestmark = pytest.mark.xdist_group("meaning")

VERSIONS = {
    "TLSv1": ssl.TLSVersion.TLSv1,
    "TLSv1.1": ssl.TLSVersion.TLSv1_1,
    "TLSv1.2": ssl.TLSVersion.TLSv1_2,
    "TLSv1.3": ssl.TLSVersion.TLSv1_3,
}

LISTS = [
    "",
    ">=TLSv1.2",
    ">=tlsv1.2",
    "!SSLv2, !SSLv3, !TLSv1, !TLSv1.1",
    "!SSLv2:!sslv3 !TLSv1,!TLSv1.1",
    "!SSLv2,!SSLv3,!TLSv1,TLSv1.1,TLSv1.2",
    "TLSv1.2, TLSv1.3",
    "TLSv1.3 TLSv1.2",
    "SSLv3,TLSv1",
    "!SSLv2, !SSLv3",
    ">=TLSv1",
    ">=TLSv1.1, <=TLSv1.2",
    ">=TLSv1.2, !TLSv1.3",
    "<=TLSv1.2",
    "TLSv1.2, !TLSv1.2",
    ">=TLSv1.3, TLSv1.2",
    ">=TLSv9",
    "TLSv1_1",
    "!TLSv1.4",
    ">=0303",
    ">=0x0303, <=303",
    ">=",
    ">=None",
    ">=10",
    ">=1.2",
    "<=SSLv3",
    ">=TLSv1.3 <=TLSv1.2",
    "!",
    ">=-1",
    "!TLSv1.1",
]

WORDS = [
    ("smtpd_tls_security_level", "may", "MAY"),
    ("smtpd_tls_security_level", "encrypt", "Encrypt"),
    ("smtpd_tls_auth_only", "yes", "YES"),
    ("smtpd_tls_auth_only", "no", "No"),
    ("smtpd_tls_ciphers", "high", "HIGH"),
    ("smtpd_tls_exclude_ciphers", "aNULL, RC4", "RC4 aNULL"),
    ("smtpd_sasl_security_options", "noanonymous, noplaintext", "noplaintext noanonymous"),
    ("smtpd_sasl_mechanism_filter", "plain, login", "login plain"),
]


class Lab(NamedTuple):
    version: Version
    lists: dict[str, int]
    words: dict[tuple[str, str], int]


@pytest.fixture(scope="module")
def listeners() -> Iterator[Lab]:
    lab.needs("postfix", "openssl")
    version = Version.parse(lab.run("postconf", "-h", "mail_version").stdout.strip())
    with lab.directory() as path:
        lists = {value: lab.free_port() for value in LISTS}
        words = {(name, value): lab.free_port() for name, *values in WORDS for value in values}
        postfix = lab.Postfix(path, [*lists.values(), *words.values()])
        postfix.prepare()
        lab.run(
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=mail.example.com",
            "-keyout", path / "tls/key.pem", "-out", path / "tls/cert.pem",
        )  # fmt: skip
        (postfix.etc / "sasl/smtpd.conf").write_text("pwcheck_method: saslauthd\nmech_list: PLAIN LOGIN CRAM-MD5\n")
        row = "127.0.0.1:{} inet n - n - - smtpd\n  -o {{ {} = {} }}\n"
        master = "".join(row.format(port, "smtpd_tls_protocols", value) for value, port in lists.items())
        master += "".join(row.format(port, name, value) for (name, value), port in words.items())
        main = f"""myhostname = mail.example.com
smtpd_tls_chain_files = {path}/tls/key.pem, {path}/tls/cert.pem
smtpd_tls_security_level = may
smtpd_tls_ciphers = medium
tls_medium_cipherlist = DEFAULT:@SECLEVEL=0
tls_high_cipherlist = DEFAULT:@SECLEVEL=0
smtpd_sasl_auth_enable = yes
cyrus_sasl_config_path = {postfix.etc}/sasl
"""
        postfix.configure(main, master)
        with postfix.running():
            yield Lab(version, lists, words)


def handshakes(port: int) -> frozenset[str]:
    """The versions with which a client that knows only that one completes a handshake."""
    found: set[str] = set()
    for name, version in VERSIONS.items():
        with Session(port) as session:
            session.ehlo()
            try:
                if session.starttls(context(lowest=version, highest=version)) == 220:
                    found.add(name)
            except (ssl.SSLError, ConnectionError):
                continue
    return frozenset(found)


@pytest.mark.parametrize("value", LISTS)
def test_a_protocol_list(listeners: Lab, value: str) -> None:
    meant = protocols(value, listeners.version)
    # SSLv3 is in no OpenSSL that a distribution ships; what a list turns off because it is wrong answers nobody.
    assert handshakes(listeners.lists[value]) == (meant or frozenset()) - {"SSLv3"}


def behaviour(port: int) -> tuple[object, ...]:
    """What a client can tell of a listener."""
    with Session(port) as session:
        before = session.ehlo()
        code, _ = session.say("MAIL FROM:<sender@client.test>")
    with Session(port) as session:
        session.ehlo()
        assert session.starttls(context()) == 220
        after = session.ehlo()
        cipher = session.tls.cipher()
    return sorted(mechanisms(before)), code, sorted(mechanisms(after)), cipher


@pytest.mark.parametrize(("name", "one", "other"), WORDS)
def test_words_in_another_case_or_order(listeners: Lab, name: str, one: str, other: str) -> None:
    kind = "bool" if name == "smtpd_tls_auth_only" else "list"
    assert same(name, kind, one, other, listeners.version)
    assert behaviour(listeners.words[name, one]) == behaviour(listeners.words[name, other])
