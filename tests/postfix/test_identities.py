"""Two certificates on one listener: a client that knows only RSA and one that knows only ECDSA each get theirs."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.postfix import lab
from tests.postfix.smtp import Session, context

pytestmark = pytest.mark.xdist_group("identities")


class Lab(NamedTuple):
    port: int
    tls: Path
    log: lab.Postfix


@pytest.fixture(scope="module")
def dual() -> Iterator[Lab]:
    lab.needs("postfix", "openssl")
    with lab.directory() as path:
        mx, submission = lab.free_port(), lab.free_port()
        postfix = lab.Postfix(path, [mx, submission])
        postfix.prepare()
        certificates = "".join(
            f'[certificates.{name}]\ncertificate_file = "{path}/tls/{name}.pem"\nkey_file = "{path}/tls/{name}.key"\n'
            for name in ("mail-ecdsa", "mail-rsa")
        )
        listeners = f"""
[mx]
port = {mx}
address = "127.0.0.1"
[submission]
port = {submission}
address = "127.0.0.1"
"""
        lab.place(lab.overlay(path, "dual-certificate", certificates + listeners), postfix)
        with postfix.running():
            yield Lab(mx, path / "tls", postfix)


@pytest.mark.parametrize(
    ("ciphers", "name"),
    [("ECDHE-RSA-AES256-GCM-SHA384", "mail-rsa"), ("ECDHE-ECDSA-AES256-GCM-SHA384", "mail-ecdsa")],
)
def test_tls12(dual: Lab, ciphers: str, name: str) -> None:
    limited = context(dual.tls / f"{name}.pem", highest=ssl.TLSVersion.TLSv1_2, ciphers=ciphers)
    with Session(dual.port) as session:
        session.ehlo()
        assert session.starttls(limited) == 220
        pem = (dual.tls / f"{name}.pem").read_text()
        assert session.certificate() == ssl.PEM_cert_to_DER_cert(pem)


@pytest.mark.parametrize(
    ("algorithms", "name"), [("rsa_pss_rsae_sha256", "mail-rsa"), ("ecdsa_secp256r1_sha256", "mail-ecdsa")]
)
def test_tls13(dual: Lab, algorithms: str, name: str) -> None:
    said = lab.run(
        *("openssl", "s_client", "-connect", f"127.0.0.1:{dual.port}", "-starttls", "smtp", "-tls1_3"),
        *("-sigalgs", algorithms, "-CAfile", dual.tls / f"{name}.pem", "-verify_return_error", "-brief"),
        text="QUIT\r\n",
    )
    assert "Verification: OK" in said.stderr
