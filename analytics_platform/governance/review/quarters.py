"""Quarters of the calendar, and their first working day."""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import dataclass
from datetime import date, timedelta

from analytics_platform.errors import AnalyticsError

_NAME = re.compile(r"(\d{4})Q([1-4])")
_SATURDAY = 5


class UnknownQuarterError(AnalyticsError):
    """A text names no quarter."""


@dataclass(frozen=True, slots=True, order=True)
class Quarter:
    """Three months: `number` 1 begins in January."""

    year: int
    number: int

    @classmethod
    def parse(cls, text: str) -> Quarter:
        """Read `2026Q3`.

        Raises:
            UnknownQuarterError: it is written otherwise.
        """
        match = _NAME.fullmatch(text.strip().upper())
        if match is None or int(match[1]) == 0:
            raise UnknownQuarterError(f"{text!r} is no quarter; write one such as 2026Q3")
        return cls(int(match[1]), int(match[2]))

    @classmethod
    def of(cls, day: date) -> Quarter:
        """The quarter that holds a day."""
        return cls(day.year, (day.month + 2) // 3)

    @property
    def first_day(self) -> date:
        """Its first day."""
        return date(self.year, 3 * self.number - 2, 1)

    @property
    def last_day(self) -> date:
        """Its last day."""
        return self.next.first_day - timedelta(days=1)

    @property
    def next(self) -> Quarter:
        """The quarter after it."""
        return Quarter(self.year + self.number // 4, self.number % 4 + 1)

    @property
    def previous(self) -> Quarter:
        """The quarter before it."""
        return Quarter.of(self.first_day - timedelta(days=1))

    def __str__(self) -> str:
        return f"{self.year:04d}Q{self.number}"


def first_working_day(quarter: Quarter, holidays: Container[date]) -> date:
    """The first day of a quarter that is neither a Saturday, nor a Sunday, nor a holiday."""
    day = quarter.first_day
    while day.weekday() >= _SATURDAY or day in holidays:
        day += timedelta(days=1)
    return day
