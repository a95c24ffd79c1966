"""Files that are newer than the running Postfix: what they say is not in force everywhere yet."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from mailcfg.behaviour.effective import Values
from mailcfg.dates import date, minute
from mailcfg.drift.compare import Comparison
from mailcfg.drift.difference import Difference, Report
from mailcfg.drift.ignored import without_ignored
from mailcfg.drift.view import in_order
from mailcfg.facts.platforms import platform
from mailcfg.facts.version import Version
from mailcfg.formats.macro import MacroError
from mailcfg.live import Live
from mailcfg.machine import ABSENT, NEWER

if TYPE_CHECKING:
    from mailcfg.machine import Machine

LOADED = tuple(
    f"smtpd_tls_{each}_file{'s' if each == 'chain' else ''}"
    for each in ("chain", "cert", "key", "eccert", "eckey", "dcert", "dkey")
)
"""Parameters that name what smtpd loads when it starts."""


NOTHING: Mapping[str, str] = MappingProxyType({})


def with_pending(comparison: Comparison, machine: Machine, before: Mapping[str, str] = NOTHING) -> Comparison:
    """The comparison with a row for each file that the running Postfix has not read as it is. Only for the machine
    itself: what runs belongs to no other root.

    Times accuse: whether the bytes of main.cf or master.cf are others than those that were read, they do not tell.
    `before` is what an earlier run saw (`Machine.seen`), and acquits: one that was made under this same start of
    Postfix, and told of nothing, saw the bytes that were read. Without one a file that was only touched is told too.
    """
    wanted, live = comparison.wanted, comparison.live
    if machine.root or wanted is None or live is None or live.main is None:
        return comparison
    configuration = wanted.configuration
    facts = platform(configuration.platform)
    directory = configuration.config_directory
    own = {each.name: each.value for each in live.configuration.parameters}
    values = Values(own, directory, Version.parse(configuration.postfix))
    queue = _expanded(values, values.get("queue_directory") or "", {}) or facts.postfix.queue_directory
    master = f"{directory}/master.cf"
    paths = dict.fromkeys([f"{directory}/main.cf", master])
    paths |= dict.fromkeys(each.winner for each in live.choices if each.winner is not None)
    paths |= dict.fromkeys(_loaded(live, values))
    newer = machine.newer(queue, directory, *paths)[1]
    for path in _read_as_they_are(machine.seen, before, queue, directory):
        newer.pop(path, None)
    if not newer:
        return comparison
    rows = tuple(
        Difference(
            "pending", path, None, "", "", f"read by the running Postfix ({minute(int(read))})",
            f"changed or touched later ({minute(int(written))})", "warning", None,
            effects=(
                f"master still runs the services that it read at {minute(int(read))}"
                if path == master
                else f"running daemons still use what they read at {minute(int(read))}; new ones use the file",
            ),
            explanation=("postfix reload puts it in force",),
        )
        for path, (read, written) in newer.items()
    )  # fmt: skip
    report = comparison.report
    told = without_ignored(Report(report.site, rows, (), (), None, report.checked), configuration.ignores,
                           date(report.checked))  # fmt: skip
    ends = [each for each in (report.until, told.until) if each is not None]
    report = report._replace(
        differences=in_order((*report.differences, *told.differences), f"{directory}/main.cf", master),
        ignored=(*report.ignored, *told.ignored),
        until=min(ends) if ends else None,
    )
    return comparison._replace(report=report)


def _read_as_they_are(now: Mapping[str, str], before: Mapping[str, str], queue: str, directory: str) -> list[str]:
    """Those of main.cf and master.cf that have the bytes which an earlier run saw after the same start of Postfix. Of
    other files nothing is known: the daemons that read them come and go.
    """
    head = "\0".join((NEWER, queue, directory, ""))
    start, known = (
        {what.partition(":")[0] for path, what in seen.items() if path.startswith(head)} for seen in (now, before)
    )
    if start != known or ABSENT in start:
        return []
    own = (f"{directory}/main.cf", f"{directory}/master.cf")
    return [path for path in own if path in now and _digest(now[path]) == _digest(before.get(path, ABSENT)) != ABSENT]


def _digest(seen: str) -> str:
    return seen.partition(":")[0]


def _loaded(live: Live, values: Values) -> list[str]:
    """The files of certificates and keys that smtpd loads, in any of its services."""
    scopes: list[dict[str, str]] = [{}]
    for service in live.configuration.services:
        if service.command == "smtpd" and service.overrides:
            scopes.append({each.name: each.value for each in service.overrides})
    found: list[str] = []
    for overrides in scopes:
        for name in LOADED:
            written = overrides.get(name, values.get(name) or "")
            found += [
                each for each in _expanded(values, written, overrides).replace(",", " ").split() if each[0] == "/"
            ]
    return found


def _expanded(values: Values, written: str, overrides: dict[str, str]) -> str:
    try:
        return values.expand(written, overrides)
    except MacroError:
        return ""  # Told where the file is read: Postfix stops at it.
