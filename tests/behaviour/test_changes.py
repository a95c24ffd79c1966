"""What is said of two behaviours side by side: the sentence, how grave it is, and whether it protects less."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any, NamedTuple, get_args

import pytest

from mailcfg.behaviour.changes import SEVERITIES, Change, changes
from mailcfg.behaviour.model import Behaviour, Endpoint, Hop, Mechanism, OutboundTls, Reason, Shown, Tls
from mailcfg.configuration import Origin
from mailcfg.facts.platforms import platform
from mailcfg.facts.version import Version
from mailcfg.found import subject
from mailcfg.machine import Machine
from tests.rules.examples import Example, placed

PEM = "/etc/ssl/private/mail.pem"
RSA = "/etc/ssl/private/rsa.pem"
BASE = f"""smtpd_tls_security_level = may
smtpd_tls_chain_files = {PEM}
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
smtpd_tls_protocols = >=TLSv1.2
smtpd_tls_mandatory_protocols = >=TLSv1.2
smtpd_tls_exclude_ciphers = aNULL
smtp_tls_security_level = may
smtp_tls_protocols = >=TLSv1.2
smtp_tls_mandatory_protocols = >=TLSv1.2
"""
MASTER = "smtp inet n - n - - smtpd\nsubmission inet n - n - - smtpd\n  -o smtpd_tls_security_level=encrypt\n"
SASL = "pwcheck_method: saslauthd\nmech_list: PLAIN LOGIN\n"


class Machines:
    """Behaviours of configurations below a directory; the certificates are made once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        described = {
            PEM: "key ecdsa-p256, certificate mail.example.com",
            RSA: "key rsa-1024, certificate other.example",
        }
        self.described = described | {"/var/run/saslauthd/mux": "socket"}
        placed(Example(self.files(), self.described, "debian-12", None), root)

    def files(self, main: str = BASE, master: str = MASTER, sasl: str = SASL) -> dict[str, str]:
        return {"main.cf": main, "master.cf": master, "sasl/smtpd.conf": sasl}

    def behaviour(self, main: str = BASE, master: str = MASTER, sasl: str = SASL) -> Behaviour:
        others = "tlsmgr unix - - n 1000? 1 tlsmgr\nsmtp unix - - n - - smtp\n"
        for name, text in self.files(main, master + others, sasl).items():
            (self.root / "etc/postfix" / name).write_text(text)
        facts = platform("debian-12")
        postfix, openssl = Version.parse(facts.postfix.version), Version.parse(facts.openssl.version)
        return subject(Machine(str(self.root)), facts, postfix, openssl, "/etc/postfix", time.time()).behaviour


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Machines:
    return Machines(tmp_path_factory.mktemp("machines"))


class Edit(NamedTuple):
    """Lines that are appended, and what is said then: sentence, severity, weaker."""

    main: str
    said: tuple[tuple[str, str, bool], ...]
    master: str = MASTER
    sasl: str = SASL


CLEAR = ("port 25: AUTH PLAIN LOGIN is offered in cleartext", "error", True)
RELAY = """relayhost = [relay.example]:587
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = hash:/etc/postfix/sasl_passwd
"""

EDITS = {
    "passwords in clear": Edit("smtpd_tls_auth_only = no\n", (CLEAR,)),
    "no TLS": Edit(
        "smtpd_tls_security_level = none\n",
        (
            ("port 25: there is no TLS: mail passes in clear", "error", True),
            ("port 25: AUTH is not offered, for want of TLS", "error", False),
        ),
    ),
    "TLS required": Edit(
        "smtpd_tls_security_level = encrypt\n",
        (("port 25: TLS is required: before STARTTLS nothing is taken", "info", False),),
    ),
    "submission only offers": Edit(
        "",
        (("port 587: TLS is offered, not required: mail passes in clear", "error", True),),
        master=MASTER.replace("encrypt", "may"),
    ),
    "no certificate": Edit(
        "smtpd_tls_chain_files = /nowhere.pem\n",
        (
            (
                "port 25: STARTTLS is offered and nobody can complete it, so that mail passes in clear: "
                "/nowhere.pem is absent, and nothing behind it is loaded; there is no certificate to show",
                "error",
                True,
            ),
            ("port 25: AUTH is not offered, for want of TLS", "error", False),
            (
                "port 587: STARTTLS is offered and nobody can complete it, so that no mail passes: "
                "/nowhere.pem is absent, and nothing behind it is loaded; there is no certificate to show",
                "error",
                False,
            ),
            ("port 587: AUTH is not offered, for want of TLS", "error", False),
        ),
    ),
    "old versions": Edit(
        "smtpd_tls_protocols = >=TLSv1\n", (("port 25: TLS 1.0 and 1.1 are accepted", "warning", True),)
    ),
    "old versions where TLS is required": Edit(
        "smtpd_tls_mandatory_protocols = >=TLSv1\n", (("port 587: TLS 1.0 and 1.1 are accepted", "error", True),)
    ),
    "the newest is gone": Edit(
        "smtpd_tls_protocols = TLSv1.2\n", (("port 25: TLS 1.3 is not accepted", "warning", True),)
    ),
    "only the newest": Edit(
        "smtpd_tls_protocols = >=TLSv1.3\n", (("port 25: TLS 1.2 is not accepted", "warning", False),)
    ),
    "NULL ciphers": Edit(
        "smtpd_tls_ciphers = null\ntls_null_cipherlist = ALL:eNULL:@SECLEVEL=0\n",
        (("port 25: cipher suites with NULL are accepted", "error", True),),
    ),
    "anonymous handshakes": Edit(
        "smtpd_tls_exclude_ciphers =\n",
        (
            ("port 587: a handshake can succeed without any certificate", "error", True),
            ("port 25: a handshake can succeed without any certificate", "warning", True),
        ),
    ),
    "another certificate": Edit(
        f"smtpd_tls_chain_files = {RSA}\n",
        (
            ("port 25: the key of the certificate is rsa-1024", "error", True),
            ("port 587: the key of the certificate is rsa-1024", "error", True),
            ("port 25: the certificate is valid for other.example", "warning", False),
            ("port 587: the certificate is valid for other.example", "warning", False),
        ),
    ),
    "AUTH=": Edit(
        "broken_sasl_auth_clients = yes\n",
        (
            ("port 25: AUTH= is announced as well, for clients of another age", "info", False),
            ("port 587: AUTH= is announced as well, for clients of another age", "info", False),
        ),
    ),
    "client certificates": Edit(
        "",
        (("port 587: a client must show a certificate", "error", False),),
        master=MASTER + "  -o smtpd_tls_req_ccert=yes\n",
    ),
    "dead": Edit(
        "",
        (
            (
                "port 587: no session gets past the banner: 'sometimes' is no TLS security level of a server",
                "error",
                False,
            ),
        ),
        master=MASTER.replace("encrypt", "sometimes"),
    ),
    "nothing listens": Edit("", (("port 587: nothing listens", "error", False),), master="smtp inet n - n - - smtpd\n"),
    "a new listener": Edit(
        "",
        (("port 2525: there is a listener: TLS is offered, not required: mail passes in clear", "warning", False),),
        master=MASTER + "2525 inet n - n - - smtpd\n",
    ),
    "a new listener that takes passwords in clear": Edit(
        "",
        (
            ("port 2525: AUTH PLAIN LOGIN is offered in cleartext", "error", True),
            ("port 2525: there is a listener: TLS is offered, not required: mail passes in clear", "warning", False),
        ),
        master=MASTER + "2525 inet n - n - - smtpd\n  -o smtpd_tls_auth_only=no\n",
    ),
    "a listener of one's own for implicit TLS": Edit(
        "",
        (("port 465: there is a listener: TLS begins with the first byte", "info", False),),
        master=MASTER + "smtps inet n - n - - smtpd\n  -o smtpd_tls_wrappermode=yes\n",
    ),
    "implicit instead of required": Edit(
        "",
        (("port 587: TLS must begin with the first byte", "warning", False),),
        master=MASTER + "  -o smtpd_tls_wrappermode=yes\n",
    ),
    "another spelling of a service": Edit("", (), master=MASTER.replace("submission", "587")),
    "one mechanism fewer": Edit(
        "",
        (
            ("port 25: AUTH PLAIN is offered inside TLS", "warning", False),
            ("port 587: AUTH PLAIN is offered inside TLS", "warning", False),
        ),
        sasl=SASL.replace(" LOGIN", ""),
    ),
    "nobody is asked": Edit(
        "",
        (
            (
                "port 25: AUTH PLAIN LOGIN can never succeed: there is no socket at /run/nobody/mux",
                "error",
                False,
            ),
            (
                "port 587: AUTH PLAIN LOGIN can never succeed: there is no socket at /run/nobody/mux",
                "error",
                False,
            ),
        ),
        sasl=SASL + "saslauthd_path: /run/nobody/mux\n",
    ),
    "death inside TLS": Edit(
        "smtpd_sasl_tls_security_options = noplaintext\n",
        tuple(
            (
                f"port {port}: inside TLS smtpd dies: no mechanism is left under smtpd_sasl_tls_security_options",
                "error",
                False,
            )
            for port in (25, 587)
        ),
    ),
    "mail leaves without TLS": Edit(
        "smtp_tls_security_level = none\n", (("the way out: mail leaves without TLS", "error", True),)
    ),
    "mail leaves by TLS alone": Edit(
        "smtp_tls_security_level = encrypt\n",
        (("the way out: TLS is required, whoever the peer is", "info", False),),
    ),
    "dane without DNSSEC stands still": Edit(
        "smtp_tls_security_level = dane-only\n",
        (("the way out: smtp_dns_support_level is not dnssec: no mail leaves", "error", False),),
    ),
    "dane": Edit(
        "smtp_tls_security_level = dane\nsmtp_dns_support_level = dnssec\n",
        (("the way out: TLS is what the peer's TLSA records ask for", "info", False),),
    ),
    "only the newest on the way out": Edit(
        "smtp_tls_protocols = >=TLSv1.3\n",
        (("the way out: TLS 1.2 is not spoken", "warning", False),),
    ),
    "mail goes elsewhere": Edit(
        "relayhost = [relay.example]:587\n", (("the way out: mail goes to [relay.example]:587", "warning", False),)
    ),
    "a password leaves in clear": Edit(
        RELAY + "smtp_sasl_security_options = noanonymous\n",
        (
            ("the way out: a password can leave in clear", "error", True),
            ("the way out: mail goes to [relay.example]:587", "warning", False),
        ),
    ),
    "one next hop gets less": Edit(
        "smtp_tls_policy_maps = inline:{ { friend.example = none } }\n",
        (("the way out to friend.example: mail leaves without TLS", "error", True),),
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_edits(name: str, machines: Machines) -> None:
    edit = EDITS[name]
    before = machines.behaviour()
    after = machines.behaviour(BASE + edit.main, edit.master, edit.sasl)
    found = changes(before, after)
    assert [(each.sentence, each.severity, each.weaker) for each in found] == list(edit.said)
    back = changes(after, before)
    assert not weaker(found) & weaker(back)
    assert {(each.was, each.now) for each in back} >= {
        (each.now, each.was) for each in found if not each.weaker
    } or back
    assert changes(after, after) == ()


def weaker(found: tuple[Change, ...]) -> set[tuple[str, str]]:
    return {(each.where, each.aspect) for each in found if each.weaker}


def test_reasons_are_the_lines_that_decide_it(machines: Machines) -> None:
    after = machines.behaviour(BASE + "smtpd_tls_auth_only = no\n")
    (change,) = changes(machines.behaviour(), after)
    reason = next(each for each in change.reasons if each.setting == "smtpd_tls_auth_only")
    assert (reason.value, reason.origin.file, reason.origin.line) == ("no", "/etc/postfix/main.cf", 11)
    assert (change.was, change.service) == ("AUTH is not offered in cleartext", "smtp/inet")


def test_a_policy_entry_that_is_gone_leaves_its_next_hop_to_the_general_way(machines: Machines) -> None:
    before = machines.behaviour(BASE + "smtp_tls_policy_maps = inline:{ { friend.example = secure } }\n")
    found = changes(before, machines.behaviour())
    assert [(each.sentence, each.weaker) for each in found] == [
        ("the way out to friend.example: TLS is used where the peer offers it: else mail leaves in clear", True)
    ]


def test_from_dane_to_required_is_weaker_in_one_way_and_back_in_another() -> None:
    dane = hop("dane", falls_back_to_cleartext=True)
    required = hop("required")
    there, back = (changes(behaviour(hops=(a,)), behaviour(hops=(b,))) for a, b in ((dane, required), (required, dane)))
    assert weaker(there) == {("the way out", "tls")}
    assert weaker(back) == {("the way out", "falls_back_to_cleartext")}


def test_the_versions_that_dane_speaks_to_peers_with_records(machines: Machines) -> None:
    dane = BASE + "smtp_tls_security_level = dane\nsmtp_dns_support_level = dnssec\n"
    found = changes(machines.behaviour(dane), machines.behaviour(dane + "smtp_tls_mandatory_protocols = >=TLSv1.3\n"))
    assert [(each.sentence, each.severity, each.weaker) for each in found] == [
        ("the way out: TLS 1.2 is not spoken to a peer that has TLSA records", "warning", False)
    ]


def test_what_is_only_assumed_is_no_change() -> None:
    known = endpoint(auth_after_tls=("PLAIN", "SCRAM-SHA-256"))
    assumed = endpoint(auth_after_tls=("PLAIN",), unknown=("the mechanisms of Dovecot",), doubtful=("auth",))
    assert changes(behaviour(known), behaviour(assumed)) == changes(behaviour(assumed), behaviour(known)) == ()
    # Where both assume the same, what differs has another cause.
    clear = assumed._replace(auth_before_tls=("PLAIN",))
    assert weaker(changes(behaviour(assumed), behaviour(clear))) == {("port 25", "auth_before_tls")}
    read = endpoint(certificates=(Shown("ecdsa-p256", ("a.example",), "a.pem"),))
    unread = endpoint(certificates=(Shown("rsa-2048", (), "b.pem", read=False),))
    assert changes(behaviour(read), behaviour(unread)) == ()
    foreign = unread._replace(unknown=("what is in b.pem",), doubtful=("tls",), anonymous=True)
    assert changes(behaviour(read), behaviour(foreign)) == ()
    silent = endpoint(because={})
    assert changes(behaviour(silent), behaviour(endpoint(auth_after_tls=("PLAIN",)))) == ()


def test_a_mechanism_of_which_nobody_knows_is_no_change() -> None:
    sides = [
        endpoint(auth_after_tls=("PLAIN",), mechanisms_after=(Mechanism("PLAIN", succeeds),))
        for succeeds in (True, None, False)
    ]
    yes, unknown, no = (behaviour(each) for each in sides)
    assert changes(yes, unknown) == changes(unknown, no) == changes(no, unknown) == ()
    assert [each.severity for each in changes(yes, no)] == ["error"]
    assert [each.severity for each in changes(no, yes)] == ["info"]


def test_a_token_in_clear_is_as_good_as_a_password() -> None:
    found = changes(behaviour(endpoint()), behaviour(endpoint(auth_before_tls=("XOAUTH2",))))
    assert [(each.severity, each.weaker) for each in found] == [("error", True)]
    found = changes(behaviour(endpoint(auth_before_tls=("CRAM-MD5",))), behaviour(endpoint(auth_before_tls=("PLAIN",))))
    assert [(each.severity, each.weaker) for each in found] == [("error", True)]


def test_what_comes_to_life_with_passwords_in_clear_protects_less() -> None:
    dead = endpoint(works=False, tls="none", protocols=(), causes=("it is ill",), cleartext_mail=False)
    found = changes(behaviour(dead), behaviour(endpoint(auth_before_tls=("PLAIN",))))
    assert [(each.aspect, each.severity, each.weaker) for each in found] == [
        ("auth_before_tls", "error", True),
        ("works", "info", False),
    ]


# --- any two behaviours ----------------------------------------------------------------------------------------------

SOMEWHERE = Reason("smtpd_sasl_auth_enable", "no", Origin("main.cf", 1, 1, ""))


def endpoint(**fields: object) -> Endpoint:
    """An endpoint of no account, but for some fields."""
    plain = Endpoint(
        service="smtp/inet", port=25, address="", command="smtpd", works=True, tls="offered",
        protocols=("TLSv1.2", "TLSv1.3"), suites={}, anonymous=False, auth_before_tls=(), auth_after_tls=(),
        mechanisms_before=(), mechanisms_after=(), legacy_auth_line=False, cleartext_mail=True, certificates=(),
        socket=None, because={"auth": (SOMEWHERE,)},
    )  # fmt: skip
    return plain._replace(**fields)  # type: ignore[arg-type]


def hop(tls: str, **fields: object) -> Hop:
    plain = Hop(
        next_hop="", service="smtp/unix", level=tls, tls=tls, protocols=("TLSv1.2",),  # type: ignore[arg-type]
        falls_back_to_cleartext=False, checked=False, credentials=False, credentials_in_clear=False, implicit=False,
        because={},
    )  # fmt: skip
    return plain._replace(**fields)  # type: ignore[arg-type]


def behaviour(*endpoints: Endpoint, hops: tuple[Hop, ...] = ()) -> Behaviour:
    return Behaviour(endpoints, hops)


def some(drawn: random.Random, *choices: Any, most: int = 3) -> tuple[Any, ...]:
    """Some of these, each once."""
    return tuple(drawn.sample(choices, drawn.randint(0, min(most, len(choices)))))


def any_endpoint(drawn: random.Random, service: str, port: int | None, address: str) -> Endpoint:
    """Any endpoint that can be predicted, and many that cannot."""
    mechanisms = ("PLAIN", "LOGIN", "CRAM-MD5", "ANONYMOUS", "XOAUTH2")
    broken = ("NULL-MD5", "DES-CBC3-SHA", "RC4-SHA", "AES128-SHA", "NULL-SHA")

    def yes() -> bool:
        return drawn.random() < 0.3

    certificates = tuple(
        Shown(kind, some(drawn, "a.example", "b.example"), "mail.pem", read=not yes())
        for kind in some(drawn, "rsa-1024", "rsa-2048", "ecdsa-p256", "ed25519", most=2)
    )
    tls = drawn.choice(get_args(Tls))
    return Endpoint(
        service=service,
        port=port,
        address=address,
        command="smtpd",
        works=not yes(),
        tls=tls,
        protocols=some(drawn, "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3", most=5),
        suites={proof: some(drawn, *broken) for proof in some(drawn, "rsa", "anonymous")},
        anonymous=yes(),
        auth_before_tls=some(drawn, *mechanisms),
        auth_after_tls=some(drawn, *mechanisms),
        mechanisms_before=(),
        mechanisms_after=tuple(
            Mechanism(name, drawn.choice((True, False, None))) for name in some(drawn, "PLAIN", "LOGIN")
        ),
        legacy_auth_line=yes(),
        cleartext_mail=tls == "offered" or (tls in ("none", "broken") and yes()),
        certificates=certificates,
        socket=None,
        because={} if yes() else {"auth": (SOMEWHERE,)},
        causes=drawn.choice(((), ("it is ill",), ("inside TLS smtpd dies: it is ill",))),
        unknown=("something",) if yes() else (),
        implicit=tls == "implicit",
        client_certificate=yes(),
        doubtful=some(drawn, "tls", "auth"),
    )


def any_hop(drawn: random.Random, service: str, next_hop: str) -> Hop:
    def yes() -> bool:
        return drawn.random() < 0.4

    stuck = drawn.random() < 0.2
    credentials = yes()
    return Hop(
        next_hop=next_hop,
        service=service,
        level="may",
        tls=drawn.choice(get_args(OutboundTls)),
        protocols=some(drawn, "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3", most=5),
        falls_back_to_cleartext=yes(),
        checked=yes(),
        credentials=credentials,
        credentials_in_clear=credentials and not stuck and yes(),
        implicit=yes(),
        because={},
        causes=("no mail leaves: it is ill",) if stuck else (),
        plaintext_credentials=yes(),
        protocols_with_records=some(drawn, "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3", most=4),
        routed=drawn.choice((True, True, False, None)),
    )


def any_behaviour(drawn: random.Random) -> Behaviour:
    places = some(drawn, ("smtp/inet", 25, ""), ("submission/inet", 587, ""), ("x/inet", None, "192.0.2.1"))
    ways = some(
        drawn, ("smtp/unix", ""), ("smtp/unix", "[relay.example]"), ("relay/unix", "[relay.example]"),
        ("relay/unix", ""), ("smtp/unix", "127.0.0.1"),
    )  # fmt: skip
    return Behaviour(
        tuple(any_endpoint(drawn, *place) for place in places), tuple(any_hop(drawn, *way) for way in ways)
    )


@pytest.mark.parametrize("seed", range(8))
def test_what_is_weaker_one_way_is_not_weaker_the_other(seed: int) -> None:
    drawn = random.Random(seed)
    told = 0
    for _ in range(500):
        one, other = any_behaviour(drawn), any_behaviour(drawn)
        there, back = changes(one, other), changes(other, one)
        assert not weaker(there) & weaker(back), (one, other)
        assert changes(one, one) == changes(other, other) == ()
        for change in (*there, *back):
            assert change.was != change.now
            assert not change.weaker or change.severity != "info"
            assert not change.now.endswith(".")
        ranks = [SEVERITIES.index(each.severity) for each in there]
        assert ranks == sorted(ranks)
        told += bool(weaker(there))
    assert told > 100


LINES = (
    "smtpd_tls_auth_only = no", "smtpd_tls_security_level = encrypt", "smtpd_tls_security_level = none",
    f"smtpd_tls_chain_files = {RSA}", "smtpd_tls_chain_files = /nowhere.pem", "smtpd_sasl_auth_enable = no",
    "smtpd_tls_protocols = >=TLSv1", "smtpd_tls_exclude_ciphers =", "smtpd_tls_ciphers = null",
    "broken_sasl_auth_clients = yes", "smtpd_discard_ehlo_keywords = starttls", "smtp_tls_security_level = dane",
    "smtp_tls_security_level = secure", "smtp_dns_support_level = dnssec", "relayhost = [relay.example]",
    *RELAY.splitlines(), "smtpd_tls_wrappermode = yes", "smtpd_sasl_security_options = noplaintext",
    "smtp_tls_policy_maps = inline:{ { relay.example = verify } }", "smtpd_tls_req_ccert = yes",
    "smtp_discard_ehlo_keywords = starttls", "smtp_tls_wrappermode = yes", "master_service_disable = 587/inet",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(40))
def test_real_configurations_drawn_at_random(seed: int, machines: Machines) -> None:
    drawn = random.Random(seed)
    sides = [machines.behaviour(BASE + "\n".join(drawn.sample(LINES, drawn.randint(0, 5))) + "\n") for _ in range(2)]
    there, back = changes(*sides), changes(*reversed(sides))
    assert bool(there) == bool(back)
    assert not weaker(there) & weaker(back)
