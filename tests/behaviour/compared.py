"""Batches on a stage, observed and compared: what the tests and the long runs by hand share."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from tests.behaviour.drawn import Case, draw
from tests.behaviour.observed import Observed
from tests.behaviour.predicted import Difference, differences, predicted
from tests.behaviour.stage import Stage, ports


class Result(NamedTuple):
    """A batch compared. `wrong` tells each listener of which something else was said, with all that explains it."""

    counts: Counter[str]
    wrong: tuple[str, ...]
    fields: Counter[str]


def compare(stage: Stage, seed: int, size: int = 40) -> Result:
    """Draw, run, ask and compare."""
    with ports(size) as given:
        batch = draw(seed, stage.layout, given)
        met = stage.observe(batch)
    said = predicted(stage)
    counts: Counter[str] = Counter()
    fields: Counter[str] = Counter()
    wrong: list[str] = []
    for case in batch.cases:
        found, compared = differences(said.get(case.port), met[case.port])
        counts.update(listeners=1, compared=compared)
        counts["not told"] += bool(case.port in said and said[case.port].unknown)
        counts[_kind(met[case.port])] += 1
        if found:
            fields.update(each.field for each in found)
            reasons = [f"predicted: {each}" for each in said[case.port].causes] if case.port in said else []
            wrong.append(_told(stage, case, found, met[case.port], reasons, batch.main_cf, batch.sasl))
    return Result(counts, tuple(wrong), fields)


def _kind(met: Observed) -> str:
    return f"tls {met.tls}" if met.works else "dead"


def _told(
    stage: Stage,
    case: Case,
    found: list[Difference],
    met: Observed,
    reasons: list[str],
    main_cf: str,
    sasl: dict[str, str],
) -> str:
    """All that is needed to understand a difference."""
    lines = [f"=== {stage.version} {case}", "--- main.cf", main_cf.rstrip()]
    asked = [each for each in found if "succeeds" in each.field or each.field.startswith(("auth", "works"))]
    if asked:
        for name, text in sasl.items():
            lines += [f"--- {name}", text.rstrip()]
    lines += ["--- log", *dict.fromkeys(line.partition(": ")[2].rstrip() for line in stage.log_of(case))]
    lines += ["--- differences", *map(str, found), *reasons, *(f"observed: {each}" for each in met.notes)]
    return "\n".join(lines)
