"""The relay client against a second private Postfix that demands TLS and AUTH."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from mailcfg.bundle import Bundle
from tests.postfix import lab
from tests.postfix.smtp import Session

pytestmark = pytest.mark.xdist_group("relay")


class Lab(NamedTuple):
    client: lab.Postfix
    inject: int
    smarthost: lab.Postfix


def smarthost_bundle(path: Path, port: int) -> Bundle:
    return lab.overlay(
        path,
        "sasldb-scram",
        f"""
hostname = "smtp.example.net"
[submission]
port = {port}
address = "127.0.0.1"
[mx]
port = {lab.free_port()}
address = "127.0.0.1"
[certificates.mail]
names = ["smtp.example.net"]
issuer = "private-ca"
certificate_file = "{path}/tls/mail.pem"
key_file = "{path}/tls/mail.key"
ca_certificate_file = "{path}/tls/ca.pem"
ca_key_file = "{path}/tls/ca.key"
[sasl]
mechanisms = ["SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN"]
realm = "smtp.example.net"
authenticated_header = true
[sasl.sasldb]
path = "{path}/etc/sasldb2"
""",
    )


def client_bundle(path: Path, port: int, ca: Path, mechanism: str) -> Bundle:
    return lab.overlay(
        path,
        "relay-client",
        f"""
platform = "debian-12"
[relay]
port = {port}
ca_file = "{ca}"
credentials = "{path}/etc/sasl_passwd"
mechanisms = ["{mechanism}"]
[postfix.main]
inet_interfaces = "127.0.0.1"
smtp_host_lookup = "native"
""",
    )


@pytest.fixture(scope="module")
def smarthost() -> Iterator[lab.Postfix]:
    lab.needs("postfix", "postmap", "saslpasswd2", "openssl", "unshare")
    with lab.directory() as path:
        port = lab.free_port()
        postfix = lab.Postfix(path, [port])
        postfix.prepare()
        lab.place(smarthost_bundle(path, port), postfix)
        lab.sasldb(path / "etc/sasldb2", "smtp.example.net", {"app": "secret3"})
        with postfix.running():
            yield postfix


def with_hosts(path: Path) -> tuple[str, ...]:
    """A command prefix in whose file system view smtp.example.net is this machine."""
    hosts = path / "hosts"
    hosts.write_text("127.0.0.1 localhost smtp.example.net\n")
    return ("unshare", "-m", "sh", "-c", f'mount --bind {hosts} /etc/hosts && exec "$0" "$@"')


def client(path: Path, smarthost: lab.Postfix, ca: Path, mechanism: str) -> Lab:
    inject = lab.free_port()
    postfix = lab.Postfix(path, [inject], with_hosts(path))
    postfix.prepare()
    bundle = client_bundle(path, smarthost.ports[0], ca, mechanism)
    contents = bundle.contents()
    credentials = path / "etc/sasl_passwd"
    credentials.touch(0o600)
    credentials.write_text(f"[smtp.example.net]:{smarthost.ports[0]} app:secret3\n")
    lab.run("postmap", f"hash:{credentials}")
    # Mail of the machine itself, such as a program's, comes in here; the policy has no listener.
    listener = f"127.0.0.1:{inject} inet n - n - - smtpd -o mynetworks=127.0.0.1/32\n"
    postfix.configure(
        contents["postfix/main.cf"].decode()
        # Where the policy wants the other's mailbox, this instance must not deliver itself.
        + "virtual_mailbox_domains =\n",
        listener,
    )
    return Lab(postfix, inject, smarthost)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "CRAM-MD5"])
def test_mail_goes_out_verified_and_authenticated(smarthost: lab.Postfix, mechanism: str) -> None:
    with lab.directory() as path:
        at = client(path, smarthost, smarthost.path / "tls/ca.pem", mechanism)
        with at.client.running(), Session(at.inject) as session:
            session.ehlo()
            assert session.send("test@lab.test", subject=mechanism)[0] == 250
            lab.wait_for(f"the mail to leave: {at.client.log[-3000:]}", lambda: "status=" in at.client.log)
            assert "status=sent" in at.client.log, at.client.log[-3000:]
            assert "Verified TLS connection established to smtp.example.net" in at.client.log
        assert f"sasl_method={mechanism}, sasl_username=app" in smarthost.log
    mails = [mail.read_text() for mail in (smarthost.path / "mail/test/new").iterdir()]
    mine = next(mail for mail in mails if f"Subject: {mechanism}" in mail)
    headers = " ".join(mine.split("\n\n")[0].split())
    assert "(Authenticated sender: app@smtp.example.net)" in headers or "(Authenticated sender: app)" in headers
    assert "with ESMTPSA" in headers


def test_an_unknown_authority_gets_neither_mail_nor_password(smarthost: lab.Postfix) -> None:
    before = smarthost.log.count("sasl_username=app")
    with lab.directory() as path:
        other = path / "other.pem"
        lab.run(
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"),
            *("-subj", "/CN=other", "-days", "2", "-keyout", path / "other.key", "-out", other),
        )
        at = client(path, smarthost, other, "PLAIN")
        with at.client.running(), Session(at.inject) as session:
            session.ehlo()
            assert session.send("test@lab.test", subject="never")[0] == 250
            lab.wait_for("the deferral", lambda: "status=" in at.client.log)
            assert "status=deferred" in at.client.log
            assert "not verified" in at.client.log
    assert smarthost.log.count("sasl_username=app") == before


def test_the_bundle_holds_no_password(tmp_path: Path) -> None:
    bundle = client_bundle(tmp_path, 587, tmp_path / "ca.pem", "PLAIN")
    assert not [path for path, data in bundle.contents().items() if b"secret3" in data or b"app:" in data]


def test_the_password_file_stays_closed() -> None:
    lab.needs("postfix", "postmap")
    with lab.directory() as path:
        credentials = path / "sasl_passwd"
        credentials.touch(0o600)
        credentials.write_text("[h]:1 a:b\n")
        lab.run("postmap", f"hash:{credentials}")
        assert os.stat(f"{credentials}.db").st_mode & 0o777 == 0o600
