"""Dates by arithmetic, held against Python's own calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from mailcfg import dates

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

moments = st.integers(dates.FIRST, dates.LAST)


@settings(max_examples=500, deadline=None)
@given(moments)
def test_a_moment_is_what_the_calendar_says(seconds: int) -> None:
    there = EPOCH + timedelta(seconds=seconds)
    assert dates.date(seconds) == there.date().isoformat()
    assert dates.minute(seconds) == f"{there.date().isoformat()} {there:%H:%M} UTC"
    assert dates.days(*dates.civil(seconds // dates.DAY)) == seconds // dates.DAY


def test_every_day_of_a_cycle_of_leap_years() -> None:
    for number in range(-1000, 146097, 7):
        there = EPOCH + timedelta(days=number)
        assert dates.civil(number) == (there.year, there.month, there.day)
    for day in ("1600-02-29", "1900-02-28", "1900-03-01", "2000-02-29", "2000-12-31", "2024-02-29", "2100-03-01"):
        seconds = int((datetime.fromisoformat(f"{day}T23:59:59+00:00") - EPOCH).total_seconds())
        assert dates.date(seconds) == day


def test_the_ends_of_what_can_be_written() -> None:
    assert dates.minute(dates.FIRST) == "0001-01-01 00:00 UTC"
    assert dates.minute(dates.LAST) == "9999-12-31 23:59 UTC"


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 4102444800), st.integers(0, 900))
def test_months_are_all_first_days_in_between(start: int, length: int) -> None:
    end = start + length * dates.DAY
    found = dates.months(start, end)
    first = start - start % dates.DAY
    expected = [
        day for day in range(first, end + 1, dates.DAY) if day >= start and (EPOCH + timedelta(seconds=day)).day == 1
    ]
    assert [moment for moment, _, _ in found] == expected
    assert [(EPOCH + timedelta(seconds=moment)).strftime("%Y-%m") for moment, _, _ in found] == [
        f"{year:04}-{month:02}" for _, year, month in found
    ]
