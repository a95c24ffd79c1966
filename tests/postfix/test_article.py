"""The whole article, walked on a private Postfix and saslauthd built from sites/article.toml."""

from __future__ import annotations

import base64
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.postfix import lab
from tests.postfix.smtp import Session, context, mechanisms

pytestmark = pytest.mark.xdist_group("article")


class Lab(NamedTuple):
    postfix: lab.Postfix
    mx: int
    submission: int
    submissions: int
    ca: Path


@pytest.fixture(scope="module")
def article() -> Iterator[Lab]:
    lab.needs("postfix", "saslauthd", "unshare", "openssl")
    with lab.directory() as path:
        ports = [lab.free_port() for _ in range(3)]
        postfix = lab.Postfix(path, ports)
        postfix.prepare()
        socket_directory = postfix.spool / "var/run/saslauthd"
        listeners = "".join(
            f'[{name}]\nport = {port}\naddress = "127.0.0.1"\n'
            for name, port in zip(("mx", "submission", "submissions"), ports, strict=True)
        )
        bundle = lab.overlay(
            path,
            "article",
            f"""
{listeners}
[certificates.mail]
certificate_file = "{path}/tls/mail.pem"
key_file = "{path}/tls/mail.key"
[sasl]
authenticated_header = true
[sasl.saslauthd]
socket_directory = "{socket_directory}"
[postfix.main]
queue_directory = "{postfix.spool}"
""",
        )
        lab.place(bundle, postfix)
        users = {"test": "testpass"}
        socket_directory.mkdir(parents=True, exist_ok=True)
        # The directory decides who may ask; on a host the group is sasl, and postfix a member of it.
        shutil.chown(socket_directory, "root", "postfix")
        socket_directory.chmod(0o710)
        with lab.saslauthd(socket_directory, users, path / "private"), postfix.running():
            yield Lab(postfix, ports[0], ports[1], ports[2], path / "tls/mail.pem")


def test_smtpd_runs_in_the_chroot_of_the_platform(article: Lab) -> None:
    services = lab.run("postconf", "-c", article.postfix.etc, "-M").stdout
    line = next(line for line in services.splitlines() if str(article.mx) in line)
    assert line.split()[4] == "y"


def test_before_starttls_there_is_no_auth(article: Lab) -> None:
    with Session(article.mx) as session:
        capabilities = session.ehlo()
        assert "STARTTLS" in capabilities
        assert [line for line in capabilities if line.startswith("AUTH")] == []


def test_auth_before_starttls_is_refused(article: Lab) -> None:
    with Session(article.mx) as session:
        session.ehlo()
        assert session.plain("test", "testpass")[0] == 503


def test_after_starttls_there_is_auth_and_the_legacy_line(article: Lab) -> None:
    with Session(article.mx) as session:
        session.ehlo()
        assert session.starttls(context(article.ca)) == 220
        capabilities = session.ehlo()
        assert mechanisms(capabilities) == ["PLAIN", "LOGIN"]
        assert "AUTH=PLAIN LOGIN" in capabilities


@pytest.mark.parametrize("how", ["plain", "login"])
@pytest.mark.parametrize(("password", "code"), [("testpass", 235), ("wrong", 535)])
def test_login(article: Lab, how: str, password: str, code: int) -> None:
    with Session(article.mx) as session:
        session.ehlo()
        session.starttls(context(article.ca))
        session.ehlo()
        assert getattr(session, how)("test", password)[0] == code


def test_the_token_of_the_article(article: Lab) -> None:
    token = subprocess.run(
        [sys.executable, "-m", "mailcfg", "token", "test"], input=b"testpass", capture_output=True, check=True
    ).stdout
    assert token == b"AHRlc3QAdGVzdHBhc3M=\n"
    with Session(article.submission) as session:
        session.ehlo()
        session.starttls(context(article.ca))
        session.ehlo()
        assert session.say(f"AUTH PLAIN {token.decode().strip()}")[0] == 235


def test_submission_demands_tls(article: Lab) -> None:
    with Session(article.submission) as session:
        assert mechanisms(session.ehlo()) == []
        assert session.plain("test", "testpass")[0] == 530
        assert session.say("MAIL FROM:<a@b.test>")[0] == 530


def test_submissions_speaks_tls_from_the_first_byte(article: Lab) -> None:
    with Session(article.submissions, implicit=context(article.ca)) as session:
        capabilities = session.ehlo()
        assert "STARTTLS" not in capabilities
        assert session.plain("test", "testpass")[0] == 235


@pytest.mark.parametrize(
    ("version", "works"),
    [
        (ssl.TLSVersion.TLSv1, False),
        (ssl.TLSVersion.TLSv1_1, False),
        (ssl.TLSVersion.TLSv1_2, True),
        (ssl.TLSVersion.TLSv1_3, True),
    ],
)
@pytest.mark.parametrize("port", ["mx", "submission"])
def test_protocol_floor_of_the_guideline(article: Lab, port: str, version: ssl.TLSVersion, works: bool) -> None:
    with Session(getattr(article, port)) as session:
        session.ehlo()
        limited = context(article.ca, lowest=version, highest=version)
        if works:
            assert session.starttls(limited) == 220
        else:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                session.starttls(limited)


def shakes_hands(port: int, ciphers: str) -> bool:
    with Session(port) as session:
        session.ehlo()
        limited = context(highest=ssl.TLSVersion.TLSv1_2, ciphers=f"{ciphers}:@SECLEVEL=0")
        try:
            return session.starttls(limited) == 220
        except (ssl.SSLError, ConnectionError):
            return False


@pytest.mark.parametrize("ciphers", ["ADH-AES256-GCM-SHA384", "AES256-GCM-SHA384", "ECDHE-ECDSA-AES256-SHA"])
def test_ciphers_outside_the_guideline_are_refused_where_tls_is_mandatory(article: Lab, ciphers: str) -> None:
    assert not shakes_hands(article.submission, ciphers)
    assert shakes_hands(article.submission, "ECDHE-ECDSA-AES256-GCM-SHA384")


def test_an_older_cipher_is_better_than_cleartext_where_tls_is_optional(article: Lab) -> None:
    assert shakes_hands(article.mx, "ECDHE-ECDSA-AES256-SHA")
    assert not shakes_hands(article.mx, "ADH-AES256-GCM-SHA384")


def s_client(article: Lab, name: str) -> subprocess.CompletedProcess[str]:
    """A client that verifies the certificate for a name, and ends with an error where it does not hold."""
    return lab.run(
        *("openssl", "s_client", "-connect", f"127.0.0.1:{article.mx}", "-starttls", "smtp"),
        *("-name", "client.lab.test", "-CAfile", article.ca),
        *("-verify_return_error", "-verify_hostname", name, "-brief"),
        text="QUIT\r\n",
        check=False,
    )


def test_openssl_verifies_the_certificate(article: Lab) -> None:
    said = s_client(article, "smtp.example.com")
    assert said.returncode == 0
    assert "Verification: OK" in said.stderr
    assert "Verified peername: smtp.example.com" in said.stderr


def test_openssl_refuses_another_name(article: Lab) -> None:
    assert s_client(article, "other.example.com").returncode != 0


def test_a_mail_arrives_and_says_how(article: Lab) -> None:
    with Session(article.submission) as session:
        session.ehlo()
        session.starttls(context(article.ca))
        session.ehlo()
        assert session.plain("test", "testpass")[0] == 235
        assert session.send("test@lab.test")[0] == 250
    mail = article.postfix.delivered()
    headers = " ".join(mail.split("\n\n")[0].split())
    assert "(using TLSv1.3 with cipher TLS_AES_" in headers
    assert "(Authenticated sender: test)" in headers
    assert "with ESMTPSA" in headers


def test_without_a_login_nothing_is_relayed(article: Lab) -> None:
    with Session(article.submission) as session:
        session.ehlo()
        session.starttls(context(article.ca))
        session.ehlo()
        assert session.send("someone@elsewhere.test")[0] == 554


def test_saslauthd_was_asked_inside_the_chroot_only(article: Lab) -> None:
    assert "cannot connect to saslauthd" not in article.postfix.log
    assert base64.b64encode(b"\0test\0testpass").decode() not in article.postfix.log
