"""The clock of retention: from a business day, a class and a tenant to the days until which data is kept.

Calendar arithmetic alone. It stands beside the declarations because everything that writes or removes has to agree on
it. Stays out: what exists, what is held by law, and who approves (`governance.retention`).

A term begins on the day after the clock's start and lasts whole calendar years, months and days: seven years after a
financial year that ends on 28 February 2021 are over with 29 February 2028, not a day before.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable
from dataclasses import dataclass
from datetime import MAXYEAR, date, timedelta

from analytics_platform.catalog.governance import Duration, RetentionClass

_DAY = timedelta(days=1)
_YEAR = Duration(years=1)


@dataclass(frozen=True, slots=True)
class Kept:
    """The last days on which data of one business day must be kept, is kept, and may be kept."""

    must_until: date
    until: date
    may_until: date


def end_of_financial_year(day: date, year_end: str | None) -> date:
    """The last day of the financial year that holds the day.

    Args:
        day: a business day.
        year_end: `MM-DD`; "02-28" and "02-29" are the end of February, whatever the year. None where nobody knows the
            tenant: the year that ends last of all that could hold the day.
    """
    if year_end is None:
        return _begin_after(day, _YEAR) - _DAY
    month, of_month = int(year_end[:2]), int(year_end[3:])
    end = _on(day.year, month, of_month)
    return end if day <= end else _on(day.year + 1, month, of_month)


def kept(day: date, retention: RetentionClass, year_end: str | None) -> Kept:
    """How long data of a business day is kept.

    Args:
        day: the business date of the event, never the time of loading.
        retention: its class.
        year_end: the tenant's financial year end, `MM-DD`; None where there is no tenant, or nobody knows it.
    """
    start = end_of_financial_year(day, year_end) if retention.clock == "end_of_financial_year" else day
    begins = start + _DAY
    must, until, may = (
        _begin_after(begins, length) - _DAY
        for length in (retention.min_keep, retention.removal_begins, retention.max_keep)
    )
    return Kept(must, until, may)


def retain_until(day: date, retention: RetentionClass, year_end: str | None) -> date:
    """The last day on which data of a business day is kept; from the next one on it is to be removed."""
    return kept(day, retention, year_end).until


def last_removable(today: date, retention: RetentionClass, year_end: str | None) -> date | None:
    """The newest business day that is to be removed by today; every older one is too. None when there is none."""
    return _newest(today, lambda day: retain_until(day, retention, year_end) < today)


def last_overdue(today: date, retention: RetentionClass, year_end: str | None) -> date | None:
    """The newest business day that may not be kept any more."""
    return _newest(today, lambda day: kept(day, retention, year_end).may_until < today)


def _newest(today: date, is_past: Callable[[date], bool]) -> date | None:
    """The newest day up to today for which something holds that holds for every older day too."""
    low, high = _EARLIEST.toordinal(), today.toordinal()
    if not is_past(_EARLIEST):
        return None
    while low < high:
        middle = (low + high + 1) // 2
        if is_past(date.fromordinal(middle)):
            low = middle
        else:
            high = middle - 1
    return date.fromordinal(low)


def _begin_after(begins: date, length: Duration) -> date:
    """The day that follows a term which begins on a day.

    Where the calendar has no such day (30 February) the term takes the whole of that month.
    """
    months = begins.month - 1 + length.months
    year, month = begins.year + length.years + months // 12, months % 12 + 1
    if year > MAXYEAR:
        return date.max
    if begins.day <= calendar.monthrange(year, month)[1]:
        end = date(year, month, begins.day)
    else:
        end = date(year + month // 12, month % 12 + 1, 1)
    return end + timedelta(days=length.days)


def _on(year: int, month: int, of_month: int) -> date:
    last = calendar.monthrange(year, month)[1]
    is_end_of_february = month == 2 and of_month >= 28
    return date(year, month, last if is_end_of_february else of_month)


_EARLIEST = date(1900, 1, 1)
"""Older than any record; years before it would only slow the search down."""
