"""Who moved since mailcfg applied a policy here: somebody edited the machine, the policy went ahead, or both.

Three states are compared: what was applied, what is live, and what the policy says now. Of what an apply leaves alone,
such as a parameter that nobody declared, it also counts whether it was there right after.
"""

from __future__ import annotations

from collections.abc import Mapping

from mailcfg.desired import Desired
from mailcfg.drift.compare import Comparison, compare
from mailcfg.drift.difference import Cause, Difference
from mailcfg.live import Door
from mailcfg.machine import File
from mailcfg.overlay import Overlay, Snapshot

Key = tuple[str, str, str, str]

APART = ("mode", "owner", "certificate", "pending")
"""Kinds that say something else of a file than its settings."""


def with_causes(
    comparison: Comparison, applied: Desired, after: Mapping[str, File | None], door: Door, now: float
) -> Comparison:
    """The comparison with the cause of each row. `applied` is the configuration that was applied last, `after` holds
    the files as mailcfg wrote them last, None for those that it took away.
    """
    assert comparison.wanted is not None
    # What was compared, should a file have changed since.
    seen = Snapshot(Overlay(door, comparison.files))
    there = _by_key(compare(applied, seen, now).report.differences)
    left = _by_key(compare(applied, Overlay(seen, after), now).report.differences) if after else {}
    rows = tuple(
        each._replace(cause=_cause(each, comparison.wanted, applied, there, left, after))
        for each in comparison.report.differences
    )
    return comparison._replace(report=comparison.report._replace(differences=rows))


def _key(row: Difference) -> Key:
    return row.file, row.setting, row.service, row.kind if row.kind in APART else ""


def _by_key(rows: tuple[Difference, ...]) -> dict[Key, Difference]:
    return {_key(each): each for each in rows}


def _cause(
    row: Difference,
    wanted: Desired,
    applied: Desired,
    there: dict[Key, Difference],
    left: dict[Key, Difference],
    after: Mapping[str, File | None],
) -> Cause | None:
    """The cause of a row. `there` are the differences of the live machine from what was applied, `left` those that it
    had right after.
    """
    if row.kind == "pending":
        return None
    key = _key(row)
    other = there.get(key)
    if other is None:
        return "policy-ahead"
    agree = _same(row, other, wanted, applied)
    remained = left.get(key)
    if row.file in after and remained is not None and remained.live == other.live:
        # The apply left it as it was, and nobody has touched it since.
        return None if agree else "policy-ahead"
    if not _written(row, wanted, applied, after):
        return None
    return "edited-by-hand" if agree else "both"


def _same(row: Difference, other: Difference, wanted: Desired, applied: Desired) -> bool:
    """Whether the policy says the same as what was applied. Of a whole file it is its text that counts."""
    if not row.setting and row.kind not in APART:
        texts = [{each.path: each.content for each in side.targets}.get(row.file) for side in (wanted, applied)]
        return texts[0] == texts[1]
    return row.desired == other.desired


def _written(row: Difference, wanted: Desired, applied: Desired, after: Mapping[str, File | None]) -> bool:
    """Whether an apply leaves this as the policy says, so that it was so once. It does not make files that are
    nobody's, nor keep a certificate from expiring; and of what nobody declared it must be known how the file was.
    """
    if row.kind == "certificate":
        return False
    if row.kind == "extra":
        return row.file in after
    main = f"{applied.configuration.config_directory}/main.cf"
    ours = {each.path for side in (wanted, applied) for each in side.targets}
    return row.file in ours or row.file in (main, f"{main.rpartition('/')[0]}/master.cf")
