"""AUTH under smtpd_sasl_exceptions_networks: as it is predicted, and as a client meets it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.behaviour.drawn import Batch, Case
from tests.behaviour.predicted import differences, predicted
from tests.behaviour.stage import Stage, ports, stage
from tests.postfix import lab
from tests.postfix.smtp import Session

pytestmark = pytest.mark.xdist_group("exceptions")

EVERYBODY = ("0.0.0.0/0", "[::]/0, 0.0.0.0/0", "static:all")
OTHERS = ("192.0.2.0/24", "!0.0.0.0/0, static:all", "[::]/0")


@pytest.fixture(scope="module")
def here() -> Iterator[Stage]:
    lab.needs("postfix", "saslauthd", "saslpasswd2", "openssl")
    with stage() as made:
        yield made


def row(number: int, port: int, option: str) -> str:
    """A listener of its own name in the log."""
    return f"127.0.0.1:{port} inet n - n - - smtpd -o syslog_name=case{number} -o {{ {option} }}\n"


def test_whom_auth_is_not_announced_to(here: Stage) -> None:
    values = (*EVERYBODY, *OTHERS)
    with ports(len(values)) as given:
        name = "smtpd_sasl_exceptions_networks"
        cases = tuple(
            Case(0, number, port, row(number, port, f"{name} = {value}"), (value,))
            for number, (port, value) in enumerate(zip(given, values, strict=True))
        )
        main = f"smtpd_sasl_auth_enable = yes\ncyrus_sasl_config_path = {here.layout.sasl}\n"
        conf = "mech_list: PLAIN LOGIN\npwcheck_method: saslauthd\n"
        batch = Batch(0, main, cases, {"sasl/smtpd.conf": conf}, True)
        met = here.observe(batch)
        said = predicted(here)
        for case in cases:
            found, _ = differences(said[case.port], met[case.port])
            assert not found, f"{case}{[str(each) for each in found]}"
            assert bool(met[case.port].auth_before_tls) == (case.told[0] in OTHERS), str(case)
        with here.playing(batch), Session(cases[0].port) as session:
            # It is not announced, and is accepted all the same.
            session.say("EHLO here")
            assert session.say("AUTH PLAIN")[0] == 334
