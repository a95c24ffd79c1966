"""What is said of an edit is what a client of a real Postfix meets before and after it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from mailcfg.behaviour.changes import changes
from mailcfg.behaviour.model import Behaviour, Endpoint, Mechanism
from tests.behaviour.drawn import Batch, Case
from tests.behaviour.observed import Observed
from tests.behaviour.predicted import predicted
from tests.behaviour.stage import Stage, ports, stage
from tests.postfix import lab

pytestmark = pytest.mark.xdist_group("changes")


@pytest.fixture(scope="module")
def here() -> Iterator[Stage]:
    lab.needs("postfix", "saslauthd", "saslpasswd2", "openssl")
    with stage() as made:
        yield made


class Edit(NamedTuple):
    """Overrides of a listener, and what is said of them then, without the place. `sasl`: the name of its smtpd.conf."""

    options: tuple[str, ...]
    said: tuple[str, ...]
    sasl: str = "smtpd"


EDITS = {
    "nothing": Edit((), ()),
    "passwords in clear": Edit(("smtpd_tls_auth_only = no",), ("AUTH PLAIN LOGIN is offered in cleartext",)),
    "no TLS": Edit(
        ("smtpd_tls_security_level = none",),
        ("there is no TLS: mail passes in clear", "AUTH is not offered, for want of TLS"),
    ),
    "required": Edit(
        ("smtpd_tls_security_level = encrypt", "smtpd_tls_mandatory_protocols = >=TLSv1.2"),
        ("TLS is required: before STARTTLS nothing is taken",),
    ),
    "no certificate": Edit(
        ("smtpd_tls_chain_files = /nowhere.pem",),
        (
            "STARTTLS is offered and nobody can complete it, so that mail passes in clear: "
            "/nowhere.pem is absent, and nothing behind it is loaded; there is no certificate to show",
            "AUTH is not offered, for want of TLS",
        ),
    ),
    "a file that is no certificate": Edit(
        ("smtpd_tls_chain_files =", "smtpd_tls_cert_file = {tls}/garbage.pem"),
        (
            "STARTTLS is offered and nobody can complete it, so that mail passes in clear: "
            "{tls}/garbage.pem holds no private key in PEM that can be loaded",
            "AUTH is not offered, for want of TLS",
        ),
    ),
    "old versions": Edit(("smtpd_tls_protocols = >=TLSv1",), ("TLS 1.0 and 1.1 are accepted",)),
    "the newest alone": Edit(("smtpd_tls_protocols = >=TLSv1.3",), ("TLS 1.2 is not accepted",)),
    "the newest not": Edit(("smtpd_tls_protocols = TLSv1.2",), ("TLS 1.3 is not accepted",)),
    "implicit": Edit(
        ("smtpd_tls_wrappermode = yes", "smtpd_tls_mandatory_protocols = >=TLSv1.2"),
        ("TLS must begin with the first byte", "TLS begins with the first byte"),
    ),
    "anonymous": Edit(("smtpd_tls_exclude_ciphers =",), ("a handshake can succeed without any certificate",)),
    "AUTH=": Edit(("broken_sasl_auth_clients = yes",), ("AUTH= is announced as well, for clients of another age",)),
    "hidden": Edit(
        ("smtpd_discard_ehlo_keywords = starttls",),
        ("there is no TLS: mail passes in clear", "AUTH is not offered, for want of TLS"),
    ),
    "dead": Edit(
        ("smtpd_tls_security_level = maybe",),
        ("no session gets past the banner: 'maybe' is no TLS security level of a server",),
    ),
    "one mechanism": Edit((), ("AUTH PLAIN is offered inside TLS",), sasl="one"),
    "a socket that is not there": Edit(
        (), ("AUTH PLAIN LOGIN can never succeed: there is no socket at {tls}/nobody/mux",), sasl="nobody"
    ),
    "death inside TLS": Edit(
        ("smtpd_sasl_tls_security_options = noplaintext",),
        ("inside TLS smtpd dies: no mechanism is left under smtpd_sasl_tls_security_options",),
    ),
}


def row(number: int, port: int, edit: Edit, tls: str) -> str:
    """A listener of its own name in the log."""
    options = [f"smtpd_sasl_path = {edit.sasl}", *(each.replace("{tls}", tls) for each in edit.options)]
    words = " ".join(f"-o {{ {each} }}" for each in options)
    return f"127.0.0.1:{port} inet n - n - - smtpd -o syslog_name=case{number} {words}\n"


def in_order(met: tuple[str, ...], said: tuple[str, ...]) -> tuple[str, ...]:
    """Mechanisms as they were met, in the order that was predicted: libsasl's own is no matter."""
    return tuple(sorted(set(met), key=lambda name: (said.index(name) if name in said else len(said), name)))


def as_met(said: Endpoint, met: Observed) -> Endpoint:
    """An endpoint with all that a client can see of it as one has seen it."""

    def prospects(mechanisms: tuple[Mechanism, ...], succeeded: dict[str, bool]) -> tuple[Mechanism, ...]:
        return tuple(each._replace(succeeds=succeeded.get(each.name, each.succeeds)) for each in mechanisms)

    return said._replace(
        works=met.works,
        tls=met.tls,
        protocols=met.protocols,
        legacy_auth_line=met.legacy_auth_line,
        cleartext_mail=met.cleartext_mail,
        anonymous=met.anonymous,
        implicit=met.implicit,
        auth_before_tls=in_order(met.auth_before_tls, said.auth_before_tls),
        auth_after_tls=in_order(met.auth_after_tls, said.auth_after_tls),
        mechanisms_before=prospects(said.mechanisms_before, met.succeeded_before),
        mechanisms_after=prospects(said.mechanisms_after, met.succeeded_after),
    )


def test_what_is_said_of_an_edit_is_what_a_client_meets(here: Stage) -> None:
    tls = here.layout.tls
    main = f"""smtpd_tls_security_level = may
smtpd_tls_chain_files = {tls}/ec-key-first.pem
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
smtpd_tls_protocols = >=TLSv1.2
smtpd_tls_exclude_ciphers = aNULL
tls_medium_cipherlist = ALL:@SECLEVEL=0
cyrus_sasl_config_path = {here.layout.sasl}
"""
    conf = f"mech_list: PLAIN LOGIN\npwcheck_method: saslauthd\nsaslauthd_path: {here.layout.base}/auth/mux\n"
    sasl = {
        "sasl/smtpd.conf": conf,
        "sasl/one.conf": conf.replace(" LOGIN", ""),
        "sasl/nobody.conf": conf.replace(f"{here.layout.base}/auth/mux", f"{tls}/nobody/mux"),
    }
    with ports(len(EDITS)) as given:
        cases = tuple(
            Case(0, number, port, row(number, port, edit, tls), (name,), "implicit" in name)
            for number, (port, (name, edit)) in enumerate(zip(given, EDITS.items(), strict=True))
        )
        met = here.observe(Batch(0, main, cases, sasl, True))
        predictions = predicted(here)
    said = {port: each._replace(port=25, service="smtp/inet", address="") for port, each in predictions.items()}
    seen = {port: as_met(said[port], met[port]) for port in said}
    first = cases[0].port
    for case, edit in zip(cases, EDITS.values(), strict=True):
        told = changes(Behaviour((said[first],), ()), Behaviour((said[case.port],), ()))
        real = changes(Behaviour((seen[first],), ()), Behaviour((seen[case.port],), ()))
        assert {each.now for each in told} == {each.replace("{tls}", tls) for each in edit.said}, case.told
        assert {(each.aspect, each.was, each.now, each.weaker) for each in real} == {
            (each.aspect, each.was, each.now, each.weaker) for each in told
        }, f"{case}\n{met[case.port]}"
        assert met[case.port].dies_after_tls == any("smtpd dies" in each for each in edit.said), case.told
