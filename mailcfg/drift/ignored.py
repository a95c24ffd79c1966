"""What a policy tolerates of the drift that was found: set aside until its day has passed, and told again after it."""

from __future__ import annotations

from collections.abc import Iterable

from mailcfg.configuration import Ignore
from mailcfg.dates import DAY, days
from mailcfg.drift.difference import Difference, Ignored, Report


def without_ignored(report: Report, ignores: Iterable[Ignore], today: str) -> Report:
    """The report with what is tolerated today (ISO 8601, UTC) set aside. What could not be read is never tolerated, and
    an entry that has run out says so at what it would hide. Time changes the answer when the first one ends that hides
    something.
    """
    ignores = tuple(ignores)
    left: list[Difference] = []
    aside: list[Ignored] = list(report.ignored)
    ends = [] if report.until is None else [report.until]
    for each in report.differences:
        matching = [ignore for ignore in ignores if _matches(ignore, each)]
        current = [ignore for ignore in matching if ignore.until >= today]
        if current:
            longest = max(current, key=lambda ignore: ignore.until)
            aside.append(Ignored(each, longest.because, longest.until))
            ends.append(_end(longest.until))
        elif matching:
            left.append(_told_again(each, max(matching, key=lambda ignore: ignore.until)))
        else:
            left.append(each)
    return report._replace(differences=tuple(left), ignored=tuple(aside), until=min(ends) if ends else None)


def _matches(ignore: Ignore, difference: Difference) -> bool:
    return (
        (not ignore.setting or ignore.setting == difference.setting)
        and (not ignore.service or ignore.service == difference.service)
        and (not ignore.file or ignore.file == difference.file)
        and (not ignore.kind or ignore.kind == difference.kind)
    )


def _told_again(difference: Difference, ignore: Ignore) -> Difference:
    """A difference that was tolerated, which is never less than a warning: somebody said it would be mended by now."""
    words = f"the policy ignored this until {ignore.until}: {ignore.because}"
    severity = "warning" if difference.severity == "info" else difference.severity
    return difference._replace(severity=severity, explanation=(*difference.explanation, words))


def _end(until: str) -> int:
    """The moment after the last second of a day, in seconds since 1970."""
    year, month, day = map(int, until.split("-"))
    return (days(year, month, day) + 1) * DAY
