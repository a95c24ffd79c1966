"""What is predicted of a postscreen listener is what a client meets there once postscreen knows it."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple

import pytest

from tests.behaviour.drawn import Batch, Case, draw
from tests.behaviour.observed import Observed, client, observe
from tests.behaviour.predicted import differences, predicted
from tests.behaviour.stage import WORKERS, Deaths, Stage, ports, stage
from tests.postfix import lab
from tests.postfix.smtp import Session, mechanisms

pytestmark = pytest.mark.xdist_group("postscreen")

SEEDS = (4, 20)
LISTENERS = 30

WAIT = 1
"""Seconds in which postscreen wants a stranger to be silent."""

NAMELESS = ("blanks around its equals sign", "without braces")
"""What smtpd dies of before it has the name that we gave it: we would wait for it for ever."""

HELPERS = "dnsblog unix - - n - 0 dnsblog\ntlsproxy unix - - n - 0 tlsproxy\n"


@pytest.fixture(scope="module")
def here() -> Iterator[Stage]:
    lab.needs("postfix", "saslauthd", "saslpasswd2", "openssl")
    with stage() as made:
        yield made


def screen(port: int, name: str, options: str = "") -> str:
    """The row of a postscreen that hands its clients to a `pass` service, with a memory of its own."""
    own = f"-o smtpd_service_name={name} -o postscreen_cache_map=btree:$data_directory/{name}"
    return f"127.0.0.1:{port} inet n - n - 1 postscreen {own} -o postscreen_greet_wait={WAIT}s {options}\n"


def introduce(port: int) -> None:
    """Be silent for as long as postscreen wants, so that it remembers us."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), lab.TIMEOUT) as sock:
        sock.settimeout(WAIT + 1)
        sock.recv(4096)
        time.sleep(WAIT + 0.5)


# --- whoever has passed ----------------------------------------------------------------------------------------------


def behind(case: Case) -> Case:
    """The same listener, with postscreen in front of its smtpd."""
    listens = rf"^127\.0\.0\.1:{case.port} inet n (\S+ \S+ \S+ \S+) smtpd"
    rows, count = re.subn(listens, rf"pass{case.number} pass - \1 smtpd", case.rows, flags=re.MULTILINE)
    assert count
    return case._replace(rows=screen(case.port, f"pass{case.number}") + rows)


def known(at: Stage, batch: Batch) -> dict[int, Observed]:
    """What each listener is to a client that postscreen knows."""
    with at.playing(batch), ThreadPoolExecutor(WORKERS) as pool:
        deaths = Deaths(at.postfix.path / "mail.log")

        def ask(case: Case) -> Observed:
            introduce(case.port)
            try:
                return observe(case.port, at.sasl, deaths.watch(case), implicit=case.implicit)
            except Exception as error:
                error.add_note(f"{case}\n{''.join(at.log_of(case))}")
                raise

        return dict(zip((case.port for case in batch.cases), pool.map(ask, batch.cases), strict=True))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_known_client_meets_the_smtpd_behind(
    here: Stage, seed: int, record_property: Callable[[str, object], None]
) -> None:
    with ports(LISTENERS) as given:
        drawn = draw(seed, here.layout, given)
        cases = [behind(case) for case in drawn.cases if not any(each in " ".join(case.told) for each in NAMELESS)]
        batch = drawn._replace(cases=(*cases[:-1], cases[-1]._replace(rows=cases[-1].rows + HELPERS)))
        met = known(here, batch)
    said = predicted(here)
    wrong: list[str] = []
    total = 0
    for case in batch.cases:
        found, compared = differences(said.get(case.port), met[case.port])
        total += compared
        if found:
            causes = said[case.port].causes if case.port in said else ()
            log = here.log_of(case)
            wrong.append("\n".join([str(case), batch.main_cf, *log[-8:], *map(str, found), *causes]))
    assert not wrong, "\n\n".join(wrong)
    record_property("agrees with what a client meets behind postscreen", total)


# --- strangers -------------------------------------------------------------------------------------------------------

MAIN_CF = """smtpd_tls_chain_files = {tls}/rsa-key-first.pem
smtpd_tls_security_level = may
smtpd_tls_protocols = TLSv1.3
smtpd_sasl_auth_enable = yes
smtpd_sasl_security_options = noanonymous
"""

SMTPD_CONF = """pwcheck_method: saslauthd
saslauthd_path: {base}/auth/mux
mech_list: PLAIN LOGIN
"""

DEEP = "-o postscreen_pipelining_enable=yes"


class Front(NamedTuple):
    """Options of a postscreen and of the smtpd behind it; None where there is none. `offered`: a stranger is offered
    STARTTLS; `refused`: the answer to a recipient of his, in clear.
    """

    front: str
    back: str | None
    offered: bool = True
    refused: int = 450


FRONTS = (
    Front(DEEP, ""),
    Front(DEEP, "-o smtpd_tls_auth_only=yes -o smtpd_tls_protocols=TLSv1.2"),
    Front(DEEP, "-o smtpd_tls_security_level=none"),
    Front(f"{DEEP} -o smtpd_tls_security_level=none", "-o smtpd_tls_security_level=encrypt", offered=False),
    Front(f"{DEEP} -o postscreen_tls_security_level=encrypt", "", refused=530),
    Front(f"{DEEP} -o postscreen_tls_security_level=verify", "-o smtpd_tls_security_level=none", refused=530),
    Front(DEEP, None),
    Front("", None),
)


def fronts(at: Stage, given: list[int], chosen: tuple[Front, ...] = FRONTS) -> Batch:
    """A listener for each front."""
    cases: list[Case] = []
    for number, (front, port) in enumerate(zip(chosen, given, strict=True)):
        rows = screen(port, f"pass{number}", front.front)
        if front.back is not None:
            rows += f"pass{number} pass - - n - - smtpd -o syslog_name=case{number} {front.back}\n"
        cases.append(Case(0, number, port, rows + (HELPERS if not number else "")))
    conf = {"sasl/smtpd.conf": SMTPD_CONF.format(base=at.layout.base)}
    return Batch(0, MAIN_CF.format(tls=at.layout.tls), tuple(cases), conf, furnished=False)


def stranger(port: int, front: Front, version: str = "") -> None:
    """With tests of the dialogue postscreen speaks SMTP itself: with its own TLS level, with the protocols of tlsproxy,
    never with AUTH, and taking no mail. Whoever has come this far has passed.
    """
    with Session(port) as session:
        assert mechanisms(session.ehlo()) == []
        if version:
            assert session.starttls(client(version)) == 220
            assert mechanisms(session.ehlo()) == []
        assert session.say("AUTH PLAIN AHQAdA==")[0] == 502
        session.say("MAIL FROM:<sender@client.test>")
        assert session.say("RCPT TO:<test@lab.test>")[0] == (450 if version else front.refused)
        if not version:
            assert (session.say("STARTTLS")[0] == 220) is front.offered


def test_a_stranger_meets_postscreen_itself(here: Stage, record_property: Callable[[str, object], None]) -> None:
    total = 0
    with ports(len(FRONTS)) as given:
        batch = fronts(here, given)
        with here.playing(batch):
            deaths = Deaths(here.postfix.path / "mail.log")
            said = predicted(here)
            for case, front in zip(batch.cases, FRONTS, strict=True):
                if front.back is None:
                    continue
                # The smtpd behind the second has TLS 1.2 alone, and this is not yet that.
                stranger(case.port, front, "TLSv1.3" if case.number == 1 else "")
                assert any("first visit" in each for each in said[case.port].causes)
                introduce(case.port)
                found, compared = differences(said.get(case.port), observe(case.port, here.sasl, deaths.watch(case)))
                assert not found, f"{case}: {found}"
                total += compared
    record_property("agrees with what a client meets behind postscreen", total)


def test_without_an_smtpd_nobody_gets_in(here: Stage, record_property: Callable[[str, object], None]) -> None:
    with ports(len(FRONTS)) as given:
        batch = fronts(here, given)
        with here.playing(batch):
            said = predicted(here)
            for case, front in zip(batch.cases, FRONTS, strict=True):
                if front.back is not None:
                    continue
                assert not said[case.port].works
                if DEEP in front.front:
                    stranger(case.port, front)
                introduce(case.port)
                with suppress(ConnectionError), Session(case.port) as session:
                    assert session.banner[0] != 220 or session.say("EHLO client.lab.test")[0] == 421
    record_property("agrees with what a client meets behind postscreen", sum(each.back is None for each in FRONTS))


@pytest.mark.parametrize("level", ["dane", "bogus"])
def test_postscreen_dies_of_a_level_of_its_own(here: Stage, level: str) -> None:
    with ports(1) as given:
        batch = fronts(here, given, (Front(f"-o postscreen_tls_security_level={level}", ""),))
        with here.playing(batch):
            [said] = predicted(here).values()
            assert not said.works
            assert said.because["works"][0].setting == "postscreen_tls_security_level"
            log = here.postfix.path / "mail.log"
            with socket.create_connection(("127.0.0.1", given[0]), lab.TIMEOUT):
                died = re.compile(rf"postscreen.*fatal: .*{level}")
                lab.wait_for("postscreen's death", lambda: died.search(log.read_text(errors="replace")) is not None)
