"""Files that are newer than the running Postfix: what they say is not in force everywhere yet."""

from __future__ import annotations

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

if TYPE_CHECKING:
    from mailcfg.machine import Machine

LOADED = tuple(
    f"smtpd_tls_{each}_file{'s' if each == 'chain' else ''}"
    for each in ("chain", "cert", "key", "eccert", "eckey", "dcert", "dkey")
)
"""Parameters that name what smtpd loads when it starts."""


def with_pending(comparison: Comparison, machine: Machine) -> Comparison:
    """The comparison with a row for each file that the running Postfix has not read as it is. Only for the machine
    itself: what runs belongs to no other root.
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
    started, newer = machine.newer(queue, directory, *paths)
    if not newer:
        return comparison
    moment = minute(int(started))
    rows = tuple(
        Difference(
            "pending", path, None, "", "", f"read by the running Postfix ({moment})",
            f"written later ({minute(int(written))})", "warning", None,
            effects=(
                f"master still runs the services that it read at {moment}"
                if path == master
                else f"running daemons still use what they read at {moment}; new ones use the file",
            ),
            explanation=("postfix reload puts it in force",),
        )
        for path, written in newer.items()
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
