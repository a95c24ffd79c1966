"""Where TLS is optional and where it is mandatory: the same guideline, two floors, seen by a client and by a peer."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from mailcfg.bundle import Bundle
from tests.postfix import lab
from tests.postfix.smtp import Session, context
from tests.sites import built

pytestmark = pytest.mark.xdist_group("guidelines")

TLS12, TLS13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
ANONYMOUS = "ADH-AES256-GCM-SHA384:@SECLEVEL=0"


def policy(path: Path, mx: int, submission: int, tls: str) -> Bundle:
    text = f"""
hostname = "mail.example.com"
platform = "debian-12"
[tls]
{tls}
[certificates.mail]
certificate_file = "{path}/tls/mail.pem"
key_file = "{path}/tls/mail.key"
[mx]
port = {mx}
address = "127.0.0.1"
[submission]
port = {submission}
address = "127.0.0.1"
auth = "never"
[outbound]
[outbound.destinations]
"[127.0.0.1]:1" = {{ tls = "none" }}
[postfix.main]
queue_directory = "{path}/spool"
"""
    (path / "site.toml").write_text(text)
    return built(path / "site.toml")


class Lab(NamedTuple):
    mx: int
    submission: int


MODERN = 'guideline = "mozilla-6.0-modern"'
MODERN_AND_ANONYMOUS = f"{MODERN}\nanonymous_ciphers = true"


@pytest.fixture(scope="module", params=[MODERN, MODERN_AND_ANONYMOUS], ids=["modern", "anonymous"])
def listeners(request: pytest.FixtureRequest) -> Iterator[tuple[Lab, bool]]:
    lab.needs("postfix", "openssl")
    with lab.directory() as path:
        mx, submission = lab.free_port(), lab.free_port()
        postfix = lab.Postfix(path, [mx, submission])
        postfix.prepare()
        lab.place(policy(path, mx, submission, request.param), postfix)
        with postfix.running():
            yield Lab(mx, submission), request.param == MODERN_AND_ANONYMOUS


def handshake(port: int, how: ssl.SSLContext) -> bool:
    with Session(port) as session:
        session.ehlo()
        try:
            return session.starttls(how) == 220
        except (ssl.SSLError, ConnectionError):
            return False


def test_the_floor_holds_where_tls_is_mandatory(listeners: tuple[Lab, bool]) -> None:
    at, _ = listeners
    assert handshake(at.submission, context(lowest=TLS13))
    assert not handshake(at.submission, context(highest=TLS12))


def test_tls12_is_accepted_where_tls_is_optional(listeners: tuple[Lab, bool]) -> None:
    at, _ = listeners
    assert handshake(at.mx, context(lowest=TLS13))
    assert handshake(at.mx, context(lowest=TLS12, highest=TLS12))
    assert not handshake(at.mx, context(highest=ssl.TLSVersion.TLSv1_1))


def test_anonymous_ciphers_only_where_the_policy_says_so(listeners: tuple[Lab, bool]) -> None:
    at, anonymous = listeners
    assert handshake(at.mx, context(highest=TLS12, ciphers=ANONYMOUS)) is anonymous
    assert not handshake(at.submission, context(highest=TLS12, ciphers=ANONYMOUS))


class Way(NamedTuple):
    client: lab.Postfix
    inject: int
    peer: lab.Postfix


@pytest.fixture
def way() -> Iterator[Way]:
    """A client with the modern guideline, and a peer that speaks nothing newer than TLS 1.2."""
    lab.needs("postfix", "openssl")
    with lab.directory() as here, lab.directory() as there:
        port, inject = lab.free_port(), lab.free_port()
        peer = lab.Postfix(there, [port])
        peer.prepare()
        peer_bundle = policy(there, port, lab.free_port(), 'guideline = "mozilla-5.7-intermediate"')
        lab.place(peer_bundle, peer)
        contents = {name: data.decode() for name, data in peer_bundle.contents().items()}
        limited = contents["postfix/main.cf"].replace(
            "smtpd_tls_protocols = >=TLSv1.2", "smtpd_tls_protocols = TLSv1.2"
        )
        # As an older Exchange has them: none that a guideline would name.
        limited += "tls_medium_cipherlist = ECDHE-ECDSA-AES256-SHA384:ECDHE-ECDSA-AES256-SHA\n"
        peer.configure(limited, contents["postfix/master.cf"])
        client = lab.Postfix(here, [inject])
        client.prepare()
        bundle = policy(here, inject, lab.free_port(), 'guideline = "mozilla-6.0-modern"')
        lab.place(bundle, client)
        extra = f"relayhost = [127.0.0.1]:{port}\nvirtual_mailbox_domains =\nmynetworks = 127.0.0.1/32\n"
        main = bundle.contents()["postfix/main.cf"].decode() + extra
        client.configure(main, bundle.contents()["postfix/master.cf"].decode())
        with peer.running(), client.running():
            yield Way(client, inject, peer)


def test_a_peer_with_older_tls_and_ciphers_still_gets_its_mail_encrypted(way: Way) -> None:
    with Session(way.inject) as session:
        session.ehlo()
        assert session.send("test@lab.test")[0] == 250
    lab.wait_for("the delivery", lambda: "status=" in way.client.log)
    assert "status=sent" in way.client.log, way.client.log[-2000:]
    assert "TLSv1.2 with cipher" in way.client.log
    headers = " ".join(way.peer.delivered().split("\n\n")[0].split())
    assert "(using TLSv1.2 with cipher ECDHE-ECDSA-AES256-SHA" in headers
