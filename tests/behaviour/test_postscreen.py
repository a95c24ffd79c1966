"""What is predicted of a postscreen listener is what a client meets there once postscreen knows it."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from tests.behaviour.drawn import Batch, Case, draw
from tests.behaviour.observed import Observed, observe
from tests.behaviour.predicted import differences, predicted
from tests.behaviour.stage import WORKERS, Deaths, Stage, ports, stage
from tests.postfix import lab

pytestmark = pytest.mark.xdist_group("postscreen")

SEEDS = tuple(range(4,20))
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
