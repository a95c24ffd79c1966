"""What the rules on keys and certificates say at their edges, where, and of what they say nothing."""

from __future__ import annotations

import base64
import os
import time
from pathlib import Path

import pytest

from mailcfg.checking import check_all
from mailcfg.configuration import Origin
from mailcfg.facts.platforms import platform
from mailcfg.facts.version import Version
from mailcfg.found import subject
from mailcfg.machine import Machine
from mailcfg.problem import Finding, Severity
from mailcfg.rule import Dns, Said, Subject
from mailcfg.rules import chain_incomplete, name_not_covered, tlsa_mismatch
from mailcfg.rules.key_mismatch import identities
from mailcfg.subjects import Wish
from tests.rules.examples import Example, checked, placed

PAIR = "/etc/ssl/private/mail.key, /etc/ssl/certs/mail.pem"
OF = "of /etc/ssl/private/mail.key"


def chain(*parts: str, key: str = "ecdsa-p256", level: str = "may", more: str = "") -> tuple[str, dict[str, str]]:
    """A main.cf with smtpd_tls_chain_files, and the one file with key and certificates."""
    main = f"smtpd_tls_security_level = {level}\nsmtpd_tls_chain_files = /etc/ssl/private/mail.pem\n{more}"
    return main, {"/etc/ssl/private/mail.pem": ", ".join([f"key {key}", *parts])}


def said(
    tmp_path: Path,
    rule: str,
    main: str,
    described: dict[str, str],
    *,
    master: str | None = None,
    postfix: str | None = None,
    **files: str,
) -> list[Finding]:
    texts = {"main.cf": main, **({"master.cf": master} if master is not None else {}), **files}
    found = checked(Example(texts, described, "debian-12", postfix), tmp_path, time.time())
    assert found.unknown == ()
    return [each for each in found.findings if each.rule == rule]


def of_policy(tmp_path: Path, rule: str, text: str) -> list[Finding]:
    found = checked(Example({"site.toml": text}, {}, "debian-12", None), tmp_path, time.time())
    assert found.unknown == ()
    return [each for each in found.findings if each.rule == rule]


def built(tmp_path: Path, main: str, described: dict[str, str]) -> Subject:
    placed(Example({"main.cf": main}, described, "debian-12", None), tmp_path)
    facts = platform("debian-12")
    door = Machine(str(tmp_path))
    return subject(door, facts, Version(3, 7, 11), Version(3, 0, 19), "/etc/postfix", time.time())


MX = """hostname = "mail.example.com"
platform = "debian-12"
[tls]
guideline = "mozilla-6.0-intermediate"
[mx]
[certificates.mail]
"""

# --- whether they can be loaded --------------------------------------------------------------------------------------


def test_a_mismatch_is_one_finding_for_all_listeners(tmp_path: Path) -> None:
    main = f"smtpd_tls_security_level = may\nsmtpd_tls_chain_files = {PAIR}\n"
    described = {
        "/etc/ssl/private/old.key": "key ecdsa-p256",
        "/etc/ssl/private/mail.key": "key ecdsa-p256",
        "/etc/ssl/certs/mail.pem": "certificate mail.example.com of /etc/ssl/private/old.key",
    }
    master = "25 inet n - n - - smtpd\n587 inet n - n - - smtpd\n  -o smtpd_tls_security_level=encrypt\n"
    (found,) = said(tmp_path, "key-mismatch", main, described, master=master)
    assert found.location.line == 2
    assert "port 25, port 587" in found.effect


def test_the_parameter_of_the_file_is_pointed_at(tmp_path: Path) -> None:
    main = (
        "smtpd_tls_security_level = may\nsmtpd_tls_cert_file = /etc/ssl/certs/mail.pem\n"
        "smtpd_tls_key_file = /etc/ssl/private/mail.key\n"
    )
    described = {"/etc/ssl/certs/mail.pem": "certificate mail.example.com"}
    (found,) = said(tmp_path, "certificate-unreadable", main, described)
    assert (found.setting, found.location.line) == ("smtpd_tls_key_file", 3)
    assert "/etc/ssl/private/mail.key is absent" in found.message


@pytest.mark.parametrize(
    ("described", "rule"),
    [
        ({"/k": "key ecdsa-p256", "/c": "text nothing"}, "certificate-unreadable"),
        ({"/k": "text nothing", "/c": "certificate a.example"}, "chain-file-order"),
        ({"/k": "text nothing", "/c": "text nothing"}, "certificate-unreadable"),
        ({"/k": "key ecdsa-p256, key rsa-2048", "/c": "certificate a.example"}, "chain-file-order"),
        ({"/k": "key ecdsa-p256"}, "certificate-unreadable"),
        ({"/k": "key ecdsa-p256", "/c": "certificate a.example"}, "key-mismatch"),
        ({"/k": "key ecdsa-p256", "/c": "certificate a.example of /k"}, ""),
    ],
)
def test_each_fault_is_one_rule(described: dict[str, str], rule: str, tmp_path: Path) -> None:
    main = "smtpd_tls_security_level = may\nsmtpd_tls_chain_files = /k, /c\n"
    rules = ("key-mismatch", "chain-file-order", "certificate-unreadable")
    found = checked(Example({"main.cf": main}, described, "debian-12", None), tmp_path, time.time())
    assert [each.rule for each in found.findings if each.rule in rules] == ([rule] if rule else [])


def test_a_certificate_is_looked_at_where_smtpd_dies_of_something_else(tmp_path: Path) -> None:
    main = "smtpd_tls_security_level = bogus\nsmtpd_tls_chain_files = /absent\n"
    (found,) = said(tmp_path, "certificate-unreadable", main, {})
    assert found.location.line == 2


def test_an_encrypted_key(tmp_path: Path) -> None:
    main = "smtpd_tls_security_level = may\nsmtpd_tls_cert_file = /c\nsmtpd_tls_key_file = /k\n"
    body = base64.encodebytes(bytes(range(48))).decode()
    encrypted = f"-----BEGIN ENCRYPTED PRIVATE KEY-----\n{body}-----END ENCRYPTED PRIVATE KEY-----\n"
    found = said(tmp_path, "certificate-unreadable", main, {"/c": "certificate a.example"}, **{"/k": encrypted})
    assert "encrypted" in found[0].message


@pytest.mark.parametrize("rule", ["certificate-unreadable", "chain-file-order", "key-mismatch"])
def test_of_what_is_not_used_nothing_is_said(rule: str, tmp_path: Path) -> None:
    main = "smtpd_tls_security_level = none\nsmtpd_tls_chain_files = /absent\n"
    assert said(tmp_path, rule, main, {"/other": "key ecdsa-p256"}) == []


def test_the_files_of_a_copy_are_elsewhere(tmp_path: Path) -> None:
    copied = tmp_path / "copied"
    copied.mkdir()
    gone, here = tmp_path / "gone.key", tmp_path / "here.pem"
    (copied / "main.cf").write_text(f"smtpd_tls_security_level = may\nsmtpd_tls_chain_files = {gone}, {here}\n")
    (copied / "master.cf").write_text("smtp inet n - n - - smtpd\ntlsmgr unix - - n 1000? 1 tlsmgr\n")

    def rules() -> list[str]:
        wish = Wish("/", None, "debian-12", None, time.time())
        (found,) = check_all([str(copied)], wish, "2026-01-01", live=False, jobs=1)
        return [each.rule for each in found.findings if each.rule.startswith(("certificate-", "key-", "chain-"))]

    assert rules() == []
    here.write_text("a part came along")
    assert rules() == ["certificate-unreadable"]


def test_the_client_has_certificates_as_well(tmp_path: Path) -> None:
    main = "smtp_tls_security_level = encrypt\nsmtp_tls_cert_file = /c\nsmtp_tls_key_file = /k\n"
    (found,) = said(tmp_path, "certificate-unreadable", main, {"/c": "certificate a.example"})
    assert (found.setting, found.location.line) == ("smtp_tls_key_file", 3)
    assert "goes out in clear" in found.effect


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("smtpd_tls_cert_file = /x\nsmtpd_tls_key_file = /y\n", [Severity.WARNING]),
        ("smtpd_tls_cert_file =\nsmtpd_tls_key_file =\n", []),
        ("smtpd_tls_eccert_file = /x\n", [Severity.WARNING]),
    ],
)
def test_older_parameters_beside_chain_files(more: str, expected: list[Severity], tmp_path: Path) -> None:
    main, described = chain("certificate mail.example.com", "intermediate", more=more)
    found = said(tmp_path, "chain-file-order", main, described)
    assert [each.severity for each in found] == expected
    assert all(each.location.line == 3 for each in found)


def test_a_postfix_without_chain_files(tmp_path: Path) -> None:
    main, described = chain("certificate mail.example.com")
    assert len(said(tmp_path, "chain-file-order", main, described, postfix="3.3")) == 1


# --- who can read them -----------------------------------------------------------------------------------------------

GROUPS = {"/etc/group": "root:x:0:\nssl-cert:x:110:\nstaff:x:50:\n"}


@pytest.mark.parametrize(
    ("mode", "gid", "uid", "expected"),
    [
        ("0600", 0, 0, None),
        ("0400", 0, 0, None),
        ("0644", 0, 0, Severity.ERROR),
        ("0640", 0, 0, Severity.WARNING),
        ("0640", 50, 0, Severity.ERROR),
        ("0640", 110, 0, Severity.INFO),
        ("0660", 110, 0, Severity.ERROR),
        ("0600", 0, 1000, Severity.ERROR),
    ],
)
def test_modes_and_owners_of_keys(mode: str, gid: int, uid: int, expected: Severity | None, tmp_path: Path) -> None:
    if os.getuid():
        pytest.skip("only root can give files away")
    main, described = chain("certificate mail.example.com", f"mode {mode}")
    placed(Example({"main.cf": main, **GROUPS}, described, "debian-12", None), tmp_path)
    os.chown(tmp_path / "etc/ssl/private/mail.pem", uid, gid)
    wish = Wish(str(tmp_path), None, "debian-12", None, time.time())
    (found,) = check_all([str(tmp_path / "etc/postfix")], wish, "2026-01-01", live=False, jobs=1)
    assert [each.severity for each in found.findings if each.rule == "key-exposed"] == ([expected] if expected else [])


def test_a_key_in_a_closed_directory(tmp_path: Path) -> None:
    main, described = chain("certificate mail.example.com", "mode 0604")
    described = {"/etc/ssl/private": "directory, mode 0700", **described}
    assert said(tmp_path, "key-exposed", main, described) == []


# --- what they say ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "more", "expected"),
    [
        (["certificate a.example"], "", [Severity.WARNING]),
        (["certificate a.example"], "smtpd_tls_CApath = /etc/ssl/certs\n", []),
        (["certificate a.example", "intermediate"], "", []),
        (["certificate a.example", "intermediate", "root"], "", [Severity.INFO]),
        (["certificate a.example", "root"], "", [Severity.ERROR]),
        (["certificate a.example", "root", "intermediate"], "", [Severity.WARNING]),
        (["certificate a.example self-signed"], "", []),
    ],
)
def test_chains(parts: list[str], more: str, expected: list[Severity], tmp_path: Path) -> None:
    main, described = chain(*parts, more=more)
    assert [each.severity for each in said(tmp_path, "chain-incomplete", main, described)] == expected


def test_a_certificate_that_says_where_its_issuer_is() -> None:
    body = base64.b64encode(b"\x30\x10" + chain_incomplete.ISSUERS + b"\x86\x00").decode()
    assert chain_incomplete._names_issuers(f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n")
    assert not chain_incomplete._names_issuers("")
    assert not chain_incomplete._names_issuers("-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n")


@pytest.mark.parametrize(
    ("days", "lasts", "expected", "words"),
    [
        (60, 90, None, ""),
        (29, 90, Severity.INFO, "in 29 days"),
        (13, 90, Severity.WARNING, "in 13 days"),
        (6, 90, Severity.ERROR, "in 6 days"),
        (0, 90, Severity.ERROR, "in 1 hour"),
        (-1, 90, Severity.ERROR, "expired 23 hours ago"),
        (4, 6, None, ""),
        (1, 6, Severity.INFO, "in 1 day"),
        (100, 90, Severity.ERROR, "valid only in"),
    ],
)
def test_times(days: int, lasts: int, expected: Severity | None, words: str, tmp_path: Path) -> None:
    main, described = chain(f"certificate mail.example.com days {days} lasts {lasts}", "intermediate")
    found = said(tmp_path, "certificate-expiring", main, described)
    assert [each.severity for each in found] == ([expected] if expected else [])
    assert all(words in each.message for each in found)


@pytest.mark.parametrize(
    ("host", "names", "expected"),
    [
        ("mail.example.com", "mail.example.com", 0),
        ("MAIL.example.com", "smtp.example.com mail.example.com", 0),
        ("mail.example.com", "*.example.com", 0),
        ("a.mail.example.com", "*.example.com", 1),
        ("mail.example.com", "example.com", 1),
        ("mail", "www.example.com", 0),
        ("mail.corp.local", "www.example.com", 0),
        ("", "www.example.com", 0),
    ],
)
def test_names(host: str, names: str, expected: int, tmp_path: Path) -> None:
    main, described = chain(f"certificate {names}", "intermediate", more=f"myhostname = {host}\n" if host else "")
    assert len(said(tmp_path, "name-not-covered", main, described)) == expected


def test_names_of_what_only_this_machine_reaches(tmp_path: Path) -> None:
    main, described = chain("certificate www.example.com", "intermediate", more="myhostname = mail.example.com\n")
    master = "127.0.0.1:25 inet n - n - - smtpd\n"
    assert said(tmp_path, "name-not-covered", main, described, master=master) == []


def test_each_certificate_must_have_the_name(tmp_path: Path) -> None:
    main = "myhostname = a.example\nsmtpd_tls_security_level = may\nsmtpd_tls_chain_files = /one, /two\n"
    described = {
        "/one": "key ecdsa-p256, certificate a.example, intermediate",
        "/two": "key rsa-3072, certificate b.example, intermediate",
    }
    (found,) = said(tmp_path, "name-not-covered", main, described)
    assert "/two" in found.message


def test_names_of_a_policy(tmp_path: Path) -> None:
    assert of_policy(tmp_path, "name-not-covered", MX + 'names = ["smtp.example.com", "mail.example.com"]\n') == []
    (found,) = of_policy(tmp_path, "name-not-covered", MX + 'names = ["smtp.example.com"]\n')
    assert "mail.example.com" in found.message
    assert name_not_covered.covers("*.Example.com.", "mail.example.com")


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("rsa-1024", Severity.ERROR),
        ("rsa-2048", Severity.INFO),
        ("rsa-3072", None),
        ("ecdsa-p192", Severity.ERROR),
        ("ecdsa-p256", None),
        ("ecdsa-p521", None),
        ("ecdsa-secp256k1", Severity.WARNING),
        ("dsa-1024", Severity.ERROR),
        ("dsa-2048", Severity.WARNING),
        ("ed25519", None),
    ],
)
def test_keys(key: str, expected: Severity | None, tmp_path: Path) -> None:
    main, described = chain("certificate mail.example.com", "intermediate", key=key)
    found = said(tmp_path, "key-weak", main, described)
    assert [each.severity for each in found] == ([expected] if expected else [])


def test_keys_of_a_policy(tmp_path: Path) -> None:
    (found,) = of_policy(tmp_path, "key-weak", MX + 'key = "rsa-2048"\n')
    assert found.severity is Severity.INFO
    assert of_policy(tmp_path, "key-weak", MX + 'key = "rsa-4096"\n') == []


@pytest.mark.parametrize(("lifetime", "issuer", "expected"), [(366, "self-signed", 0), (367, "private-ca", 1)])
def test_lifetimes(lifetime: int, issuer: str, expected: int, tmp_path: Path) -> None:
    found = of_policy(tmp_path, "lifetime-long", MX + f'issuer = "{issuer}"\nlifetime_days = {lifetime}\n')
    assert [each.location.line for each in found] == [MX.count("\n") + 2] * expected


def test_renewal_is_only_told_where_it_can_be_told(tmp_path: Path) -> None:
    path = "/etc/letsencrypt/live/mail/all.pem"
    main = f"smtpd_tls_security_level = may\nsmtpd_tls_chain_files = {path}\n"
    described = {path: "key ecdsa-p256, certificate mail.example.com, intermediate"}
    assert said(tmp_path, "renewal-not-loaded", main, described) == []


def test_a_directory_of_hooks_may_have_one(tmp_path: Path) -> None:
    path = "/etc/letsencrypt/live/mail/all.pem"
    main = f"smtpd_tls_security_level = may\nsmtpd_tls_chain_files = {path}\n"
    described = {
        path: "key ecdsa-p256, certificate mail.example.com, intermediate",
        "/etc/letsencrypt/renewal/mail.conf": "text authenticator = standalone",
        "/etc/letsencrypt/renewal-hooks/deploy": "directory",
    }
    assert said(tmp_path, "renewal-not-loaded", main, described) == []


# --- TLSA ------------------------------------------------------------------------------------------------------------


def tlsa(found: Subject, *records: str) -> list[Said]:
    found.dns = Dns(records, "", None, {"tlsa": Origin("site.toml", 9, 1, "dns.tlsa")})
    return list(tlsa_mismatch.check(found))


def test_a_published_key(tmp_path: Path) -> None:
    main, described = chain("certificate mail.example.com", "intermediate")
    found = built(tmp_path, main, described)
    (_, identity, _, _) = next(identities(found))
    other = "0" * 64
    assert len(identity.spki_sha256) == 64
    assert tlsa(found, f"3 1 1 {identity.spki_sha256.upper()}", f"3 1 1 {other}") == []
    assert tlsa(found, f"3 1 1 {other}", f"2 1 1 {other}") == []
    (wrong,) = tlsa(found, f"3 1 1 {other}")
    assert identity.spki_sha256 in wrong.policy
    assert wrong.at.line == 9


def test_the_digest_of_a_key_is_what_openssl_prints(tmp_path: Path) -> None:
    """`openssl x509 -pubkey | openssl pkey -pubin -outform DER | openssl dgst -sha256`, by the library."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    main, described = chain("certificate mail.example.com", "intermediate", key="rsa-2048")
    found = built(tmp_path, main, described)
    (_, identity, _, _) = next(identities(found))
    pem = (tmp_path / "etc/ssl/private/mail.pem").read_bytes()
    leaf = x509.load_pem_x509_certificates(pem[pem.index(b"-----BEGIN CERTIFICATE") :])[0]
    digest = hashes.Hash(hashes.SHA256())
    digest.update(leaf.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    assert identity.spki_sha256 == digest.finalize().hex()
