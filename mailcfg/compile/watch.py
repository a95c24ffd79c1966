"""`[watch]`: the units of systemd and the line of cron that let a host compare itself with its policy."""

from __future__ import annotations

from typing import NamedTuple

from mailcfg.compile.builder import Builder
from mailcfg.configuration import ExtraFile, Step
from mailcfg.policy.watch import Watch
from mailcfg.source import Path

TIMER = "mailcfg-drift.timer"

CRON = "mailcfg"
"""The file's name in cron.d: cron passes over one with a dot (cron(8), run-parts(8))."""


class Rhythm(NamedTuple):
    """One interval: in words, as systemd's OnCalendar= and as the first five fields of cron. `spread` is how many
    seconds a timer may wait, so that guests of one machine do not all start at once.
    """

    words: str
    calendar: str
    fields: str
    spread: int


def rhythm(every: str) -> Rhythm:
    """What a value of `watch.every` means. All of them divide an hour or a day, so that cron can say them."""
    number = int(every.rstrip("minhd"))
    if every.endswith("min"):
        return Rhythm(f"every {number} minutes", f"*:0/{number}", f"*/{number} * * * *", number * 6)
    if every.endswith("d"):
        return Rhythm("every day", "*-*-* 00:00:00", "0 0 * * *", 900)
    if number == 1:
        return Rhythm("every hour", "*-*-* *:00:00", "0 * * * *", 360)
    return Rhythm(f"every {number} hours", f"*-*-* 0/{number}:00:00", f"0 */{number} * * *", 900)


def compile_watch(b: Builder, watch: Watch) -> None:
    """Add the files that are asked for."""
    if not (watch.systemd or watch.cron):
        b.report(
            "watch-nothing", "nothing starts the comparison", ("watch",), help="write systemd = true, or cron = true"
        )
    facts = b.platform.schedule
    if watch.systemd and not facts.units:
        b.report(
            "watch-unsupported",
            f"{b.platform.title} has no systemd",
            ("watch", "systemd"),
            help="write cron = true instead" if facts.cron else "start mailcfg drift from root's crontab",
        )
    if watch.cron and not facts.cron:
        b.report(
            "watch-unsupported",
            f"the cron of {b.platform.title} reads no directory of lines",
            ("watch", "cron"),
            help="write systemd = true instead" if facts.units else "start mailcfg drift from root's crontab",
        )
    found = rhythm(watch.every)
    values = {
        "command": watch.command,
        "words": found.words,
        "calendar": found.calendar,
        "fields": found.fields,
        "spread": str(found.spread),
    }
    if watch.systemd:
        for name in ("mailcfg-drift.service", TIMER):
            _add(b, name, f"{facts.units}/{name}", ("watch", "systemd"), values)
    if watch.cron:
        _add(b, "mailcfg.cron", f"{facts.cron}/{CRON}", ("watch", "cron"), values)


def watch_steps(b: Builder) -> list[Step]:
    """The commands that start it, once all that it looks at is in place."""
    watch = b.site.watch
    if watch is None or not watch.systemd:
        return []
    return [
        Step("watch-units", "systemctl daemon-reload", "systemd reads its units"),
        Step("watch", f"systemctl enable --now {TIMER}", "the host is compared with its policy from now on"),
    ]


def _add(b: Builder, name: str, target: str, key: Path, values: dict[str, str]) -> None:
    b.files.append(
        ExtraFile(f"watch/{name}", target, 0o644, "whole", "", b.origin(key), f"watch/{name}.j2", tuple(values.items()))
    )
