"""Seconds since 1970 as dates of the Gregorian calendar in UTC, by arithmetic: what is printed depends on no clock."""

from __future__ import annotations

DAY = 86400

FIRST, LAST = -62135596800, 253402300799
"""The first second of the year 1 and the last of 9999: what a certificate's dates and ISO 8601's four digits reach."""


def civil(days: int) -> tuple[int, int, int]:
    """Year, month and day of a number of days since 1970-01-01.

    By eras of 400 years that begin in March, so that the leap day is the last of its year.
    """
    era, within = divmod(days + 719468, 146097)
    year = (within - within // 1460 + within // 36524 - within // 146096) // 365
    within -= 365 * year + year // 4 - year // 100
    march = (5 * within + 2) // 153
    month = march + 3 if march < 10 else march - 9
    return era * 400 + year + (month <= 2), month, within - (153 * march + 2) // 5 + 1


def days(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 to a date; the inverse of `civil`."""
    year -= month <= 2
    era, within = divmod(year, 400)
    march = month - 3 if month > 2 else month + 9
    return era * 146097 + within * 365 + within // 4 - within // 100 + (153 * march + 2) // 5 + day - 1 - 719468


def date(seconds: int) -> str:
    """The day of a moment: `2026-11-28`."""
    year, month, day = civil(seconds // DAY)
    return f"{year:04}-{month:02}-{day:02}"


def minute(seconds: int) -> str:
    """A moment to the minute: `2026-11-28 15:27 UTC`."""
    hour, rest = divmod(seconds % DAY, 3600)
    return f"{date(seconds)} {hour:02}:{rest // 60:02} UTC"


def months(start: int, end: int) -> list[tuple[int, int, int]]:
    """The first days of months from one moment to another: seconds, year and month of each."""
    year, month, _ = civil(start // DAY)
    found: list[tuple[int, int, int]] = []
    while (moment := days(year, month, 1) * DAY) <= end:
        if moment >= start:
            found.append((moment, year, month))
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    return found
