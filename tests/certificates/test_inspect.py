"""What is read from certificates and keys that the real openssl made."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from mailcfg.certificates.examined import Examined
from mailcfg.certificates.inspect import Unusable, examine, leaf, public_key
from mailcfg.drift.certificates import covered
from tests.postfix import lab

KEYS = {
    "rsa-2048": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "rsa-3072": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"],
    "ecdsa-p256": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "ecdsa-p384": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
    "ecdsa-secp521r1": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
    "ed25519": ["-algorithm", "ED25519"],
}


def made(folder: Path, kind: str = "ecdsa-p256", names: str = "DNS:mail.example.com") -> tuple[bytes, bytes]:
    """A certificate and its key."""
    key, pem = folder / "key.pem", folder / "cert.pem"
    lab.run("openssl", "genpkey", *KEYS[kind], "-out", key)
    extension = ["-addext", f"subjectAltName={names}"] if names else []
    lab.run("openssl", "req", "-x509", "-key", key, "-subj", "/CN=common", "-days", "30", *extension, "-out", pem)
    return pem.read_bytes(), key.read_bytes()


@pytest.mark.parametrize("kind", KEYS)
def test_every_type_of_key(tmp_path: Path, kind: str) -> None:
    certificate, key = made(tmp_path, kind)
    found = leaf(certificate)
    assert found.key_type == kind
    assert found.key == public_key(key)
    assert examine(certificate, key).matches


def test_names_and_times(tmp_path: Path) -> None:
    certificate, _ = made(
        tmp_path, names="DNS:Mail.Example.com,DNS:*.example.org,IP:192.0.2.25,IP:2001:db8::25,email:a@b.c"
    )
    found = leaf(certificate)
    assert found.names == ("mail.example.com", "*.example.org", "192.0.2.25", "2001:db8::25")
    assert found.not_after - found.not_before == 30 * 86400
    assert abs(found.not_before - time.time()) < 300
    assert found.expires == time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(found.not_after))
    enddate = lab.run(
        "openssl", "x509", "-in", tmp_path / "cert.pem", "-noout", "-enddate", "-dateopt", "iso_8601"
    ).stdout
    assert enddate.strip() == f"notAfter={found.expires.replace('T', ' ')}"


def test_a_certificate_without_names(tmp_path: Path) -> None:
    certificate, _ = made(tmp_path, names="")
    assert leaf(certificate).names == ()


def test_a_chain_tells_of_its_leaf(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, key = made(tmp_path / "a")
    second, _ = made(tmp_path / "b", names="DNS:authority.example.com")
    assert leaf(first + second).names == ("mail.example.com",)
    # One file for all, the key first, as smtpd_tls_chain_files wants it.
    assert leaf(key + first + second).names == ("mail.example.com",)
    assert public_key(key + first) == public_key(first + key) == leaf(first).key


def test_older_forms_of_a_key(tmp_path: Path) -> None:
    certificate, key = made(tmp_path, "rsa-2048")
    (tmp_path / "key.pem").write_bytes(key)
    traditional = lab.run("openssl", "rsa", "-in", tmp_path / "key.pem", "-traditional").stdout.encode()
    assert traditional.startswith(b"-----BEGIN RSA PRIVATE KEY-----")
    assert examine(certificate, traditional).matches
    parameters = lab.run("openssl", "ecparam", "-name", "prime256v1", "-genkey").stdout.encode()
    assert parameters.startswith(b"-----BEGIN EC PARAMETERS-----")
    assert public_key(parameters)


@pytest.mark.parametrize("form", ["-aes128", "-traditional"])
def test_an_encrypted_key(tmp_path: Path, form: str) -> None:
    certificate, _ = made(tmp_path, "rsa-2048")
    words = ["-aes128"] if form == "-aes128" else ["-aes128", "-traditional"]
    lab.run(
        "openssl", "rsa", "-in", tmp_path / "key.pem", *words, "-passout", "pass:example", "-out", tmp_path / "locked"
    )
    locked = (tmp_path / "locked").read_bytes()
    with pytest.raises(Unusable, match="is encrypted"):
        public_key(locked)
    assert examine(certificate, locked).key_error == "is encrypted; Postfix cannot ask for its password"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"garbage",
        b"-----BEGIN CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        b"-----BEGIN PRIVATE KEY-----",
        b"PRIVATE KEY-----",
        b"\xff" * 100,
    ],
)
def test_what_is_neither(data: bytes) -> None:
    with pytest.raises(Unusable):
        leaf(data)
    with pytest.raises(Unusable):
        public_key(data)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_file_that_was_cut_off(tmp_path: Path, share: float) -> None:
    certificate, key = made(tmp_path)
    with pytest.raises(Unusable):
        leaf(certificate[: int(len(certificate) * share)])
    with pytest.raises(Unusable):
        public_key(key[: int(len(key) * share)])


def test_what_was_examined_can_be_kept(tmp_path: Path) -> None:
    certificate, key = made(tmp_path)
    found = examine(certificate, key)
    values = json.loads(json.dumps(found._asdict()))
    assert Examined(**{**values, "names": tuple(values["names"])}) == found


@pytest.mark.parametrize(
    ("name", "names", "valid"),
    [
        ("mail.example.com", ("mail.example.com",), True),
        ("Mail.Example.com", ("mail.example.com",), True),
        ("mail.example.com", ("*.example.com",), True),
        ("a.mail.example.com", ("*.example.com",), False),
        ("example.com", ("*.example.com",), False),
        ("*.example.com", ("*.example.com",), True),
        ("*.example.com", ("mail.example.com",), False),
        ("192.0.2.25", ("192.0.2.25",), True),
        ("2001:DB8:0::25", ("2001:db8::25",), True),
        ("mail.example.com", (), False),
    ],
)
def test_covered(name: str, names: tuple[str, ...], valid: bool) -> None:
    assert covered(name, names) is valid
