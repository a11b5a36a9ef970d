"""Dyno time by day and month."""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

DAY = 86_400_000  # milliseconds
MILLISECOND = timedelta(milliseconds=1)


def split(start: datetime, end: datetime) -> Iterator[tuple[date, int]]:
    """The days (UTC) that an interval touches, with the milliseconds of it in each; all add up to its length."""
    start = start.astimezone(UTC)
    end = end.astimezone(UTC)
    while start < end:
        midnight = datetime.combine(start.date() + timedelta(days=1), time(), UTC)
        until = min(midnight, end)
        if milliseconds := _since_epoch(until) - _since_epoch(start):
            yield start.date(), milliseconds
        start = until


def _since_epoch(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // MILLISECOND


def average(milliseconds: float, days: int) -> float:
    """How many dynos it would have been all the time. Heroku: "dynos used", a number with fractions."""
    return round(milliseconds / (DAY * days), 3)


def days_of(month: date) -> int:
    return calendar.monthrange(month.year, month.month)[1]


def month_after(month: date) -> date:
    return (month.replace(day=28) + timedelta(days=4)).replace(day=1)
