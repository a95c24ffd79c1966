"""The other backends, each on a real server: sasldb with mechanisms that send no password, and Dovecot."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.postfix import lab
from tests.postfix.smtp import Session, context, mechanisms


class Lab(NamedTuple):
    port: int
    ca: Path
    postfix: lab.Postfix


def inside_tls(at: Lab) -> Session:
    session = Session(at.port)
    session.ehlo()
    assert session.starttls(context(at.ca)) == 220
    return session


@pytest.fixture(scope="module")
def scram() -> Iterator[Lab]:
    lab.needs("postfix", "saslpasswd2", "openssl")
    with lab.directory() as path:
        mx, port, implicit = lab.free_port(), lab.free_port(), lab.free_port()
        postfix = lab.Postfix(path, [mx, port, implicit])
        postfix.prepare()
        bundle = lab.overlay(
            path,
            "sasldb-scram",
            f"""
[mx]
port = {mx}
address = "127.0.0.1"
[submission]
port = {port}
address = "127.0.0.1"
[submissions]
port = {implicit}
address = "127.0.0.1"
[certificates.mail]
certificate_file = "{path}/tls/mail.pem"
key_file = "{path}/tls/mail.key"
[sasl]
mechanisms = ["SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN"]
[sasl.sasldb]
path = "{path}/etc/sasldb2"
""",
        )
        lab.place(bundle, postfix)
        lab.sasldb(path / "etc/sasldb2", "mail.example.com", {"carol": "secret1"})
        with postfix.running():
            yield Lab(port, path / "tls/mail.pem", postfix)


@pytest.mark.xdist_group("scram")
class TestSasldb:
    def test_the_list_of_the_policy_is_announced(self, scram: Lab) -> None:
        with inside_tls(scram) as session:
            wanted = {"SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN"}
            assert set(mechanisms(session.ehlo())) == wanted

    @pytest.mark.parametrize(("password", "code"), [("secret1", 235), ("wrong", 535)])
    @pytest.mark.parametrize("mechanism", ["plain", "login", "cram_md5", "sha1", "sha256"])
    def test_login(self, scram: Lab, mechanism: str, password: str, code: int) -> None:
        with inside_tls(scram) as session:
            session.ehlo()
            if mechanism.startswith("sha"):
                said = session.scram("carol", password, mechanism)
            else:
                said = getattr(session, mechanism)("carol", password)
            assert said[0] == code, (said, scram.postfix.log[-1500:])


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Lab]:
    lab.needs("postfix", "dovecot", "openssl")
    with lab.directory() as path:
        ports = [lab.free_port() for _ in range(3)]
        postfix = lab.Postfix(path, ports)
        postfix.prepare()
        listeners = "".join(
            f'[{name}]\nport = {port}\naddress = "127.0.0.1"\n'
            for name, port in zip(("mx", "submission", "submissions"), ports, strict=True)
        )
        bundle = lab.overlay(
            path,
            "dovecot",
            f"""
{listeners}
[certificates.mail]
issuer = "self-signed"
certificate_file = "{path}/tls/mail.pem"
key_file = "{path}/tls/mail.key"
[postfix.main]
queue_directory = "{postfix.spool}"
""",
        )
        lab.place(bundle, postfix)
        fragment = bundle.contents()["dovecot/99-mailcfg.conf"].decode()
        private = postfix.spool / "private"
        private.mkdir()
        private.chmod(0o700)
        shutil.chown(private, "postfix")
        with lab.dovecot(path / "dovecot", fragment, {"dave": "secret2"}, private / "auth"), postfix.running():
            yield Lab(ports[1], path / "tls/mail.pem", postfix)


@pytest.mark.xdist_group("dovecot")
class TestDovecot:
    def test_the_list_of_the_policy_is_announced(self, dovecot: Lab) -> None:
        with inside_tls(dovecot) as session:
            assert set(mechanisms(session.ehlo())) == {"PLAIN", "LOGIN"}

    @pytest.mark.parametrize(("password", "code"), [("secret2", 235), ("wrong", 535)])
    @pytest.mark.parametrize("mechanism", ["plain", "login"])
    def test_login(self, dovecot: Lab, mechanism: str, password: str, code: int) -> None:
        with inside_tls(dovecot) as session:
            session.ehlo()
            said = getattr(session, mechanism)("dave", password)
            assert said[0] == code, (said, dovecot.postfix.log[-1500:])

    def test_the_socket_has_a_path_that_serves_in_a_chroot_too(self, dovecot: Lab) -> None:
        etc = dovecot.postfix.etc
        assert lab.run("postconf", "-c", etc, "-h", "smtpd_sasl_path").stdout == "private/auth\n"
        line = next(
            line for line in lab.run("postconf", "-c", etc, "-M").stdout.splitlines() if str(dovecot.port) in line
        )
        assert line.split()[4] == "y"
