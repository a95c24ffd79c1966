"""The comparison: a policy's configuration against a live machine, file by file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from mailcfg.dates import date
from mailcfg.desired import Desired
from mailcfg.drift.certificates import compare_certificates
from mailcfg.drift.difference import Report, Unknown
from mailcfg.drift.files import compare_directories, compare_files
from mailcfg.drift.ignored import without_ignored
from mailcfg.drift.maps import compare_maps
from mailcfg.drift.parameters import compare_parameters
from mailcfg.drift.sasl import compare_sasl
from mailcfg.drift.services import compare_services
from mailcfg.drift.view import View
from mailcfg.facts.platforms import platform
from mailcfg.facts.version import Version
from mailcfg.live import Door, Facts, Live, read


class Comparison(NamedTuple):
    """What was found, and both sides of it, None where the policy itself could not be read: `files` holds the bytes of
    every file of the machine that was read for it, by path.
    """

    report: Report
    wanted: Desired | None
    live: Live | None
    files: dict[str, bytes]


def compare(wanted: Desired, door: Door, now: float, remembered: Facts | None = None) -> Comparison:
    """Read the machine and tell every difference. `now` is in seconds since 1970. Raises nothing for what cannot be
    read: it is in the report.
    """
    configuration = wanted.configuration
    facts = platform(configuration.platform)
    postfix = Version.parse(configuration.postfix)
    live = read(door, facts, postfix, configuration.config_directory)
    view = View(wanted, live, door, postfix, now, remembered)
    for compared in (
        compare_parameters,
        compare_services,
        compare_sasl,
        compare_files,
        compare_certificates,
        compare_maps,
        compare_directories,
    ):
        compared(view)
    report = without_ignored(view.report(), configuration.ignores, date(int(now)))
    return Comparison(report, wanted, live, view.files)


def nothing_known(site: str, unknown: Iterable[Unknown], now: float) -> Comparison:
    """The answer where the policy or the bundle could not be read."""
    return Comparison(Report(site, (), tuple(unknown), (), None, int(now)), None, None, {})
