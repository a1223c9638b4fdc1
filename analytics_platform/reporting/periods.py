"""The spans of days that a dashboard offers, and how each is cut into the points of a trend.

Only calendar arithmetic: no rows, no KPI. Every period ends on the dashboard's day and is cut into whole buckets, so
the buckets of a flow add up to the figure on its card and the last bucket is never a partial one.
"""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True)
class Span:
    """Days from ``first`` to ``last``, both included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """Number of days."""
        return (self.last - self.first).days + 1


@dataclass(frozen=True)
class Period:
    """A span that readers choose by ``key``, the span it is compared with, and the points of its trend."""

    key: str
    span: Span
    previous: Span
    buckets: tuple[Span, ...]
    previous_buckets: tuple[Span, ...]


def periods_ending(day: date) -> tuple[Period, ...]:
    """The periods of a dashboard for ``day``: 30 days by day, 13 weeks by week, 12 months by month."""
    return (
        _period("30d", [Span(day - timedelta(n), day - timedelta(n)) for n in range(60)], points=30),
        _period("13w", [Span(day - timedelta(7 * n + 6), day - timedelta(7 * n)) for n in range(26)], points=13),
        _period("12m", [_month(day, n) for n in range(24)], points=12),
    )


@dataclass(frozen=True)
class Week:
    """A week that begins on a Monday, the two that it is compared with, and those of its trend (itself the last)."""

    span: Span
    previous: Span
    year_before: Span
    trend: tuple[Span, ...]


def week_of(monday: date, *, weeks_ago: int = 0) -> Week:
    """The calendar week of ``monday``, or one of that many weeks before, with what it is compared with.

    The same week of last year is 52 weeks before, so that every weekday is compared with its like.

    Raises:
        ValueError: the day is no Monday.
    """
    if monday.weekday() != 0:
        raise ValueError(f"{monday} is a {monday:%A}; a week is named by its Monday")
    first = monday - timedelta(weeks=weeks_ago)

    def span(back: int) -> Span:
        start = first - timedelta(weeks=back)
        return Span(start, start + timedelta(6))

    return Week(span(0), span(1), span(52), tuple(span(back) for back in range(12, -1, -1)))


def months_before(day: date, months: int) -> date:
    """The same day of the month, earlier; a month end stays a month end (30 June - 1 = 31 May)."""
    index = day.year * 12 + day.month - 1 - months
    year, month = index // 12, index % 12 + 1
    length = calendar.monthrange(year, month)[1]
    is_month_end = day.day == calendar.monthrange(day.year, day.month)[1]
    return date(year, month, length if is_month_end else min(day.day, length))


def _month(day: date, back: int) -> Span:
    """The rolling month that ends ``back`` months before ``day``."""
    return Span(months_before(day, back + 1) + timedelta(1), months_before(day, back))


def _period(key: str, newest_first: Sequence[Span], points: int) -> Period:
    spans = tuple(reversed(newest_first))
    current, previous = spans[-points:], spans[:-points]
    return Period(
        key,
        span=Span(current[0].first, current[-1].last),
        previous=Span(previous[0].first, previous[-1].last),
        buckets=current,
        previous_buckets=previous,
    )
