"""What is predicted of listeners that nobody would configure is what a client meets there, on a real Postfix."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.behaviour.compared import compare
from tests.behaviour.stage import Stage, stage
from tests.postfix import lab

pytestmark = pytest.mark.xdist_group("behaviour")

BATCHES = 8


@pytest.fixture(scope="module")
def here() -> Iterator[Stage]:
    lab.needs("postfix", "saslauthd", "saslpasswd2", "openssl")
    with stage() as made:
        yield made


@pytest.mark.parametrize("seed", range(1, BATCHES + 1))
def test_listeners(
    here: Stage, seed: int, say: Callable[[str], None], record_property: Callable[[str, object], None]
) -> None:
    result = compare(here, seed)
    assert not result.wrong, "\n\n".join(result.wrong)
    say(str(dict(sorted(result.counts.items()))))
    record_property("agrees with what a client meets", result.counts["compared"])
