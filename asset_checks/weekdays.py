"""Days against the last of their weekday: what is normal for a tenant on a Tuesday.

Pure: series of numbers by day go in, verdicts come out. A holiday of the tenant is compared with nothing and nothing is
compared with it; a day that has not ended where the tenant lives is half a day and says nothing yet.
"""

import math
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from analytics_platform.catalog import Catalog
from analytics_platform.catalog.quality import SameWeekday

_NORMAL = 1.4826
"""Median absolute deviations in a standard deviation of normally distributed numbers."""

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

Series = Mapping[date, int]
"""Rows by day, the first day first; a day that is missing after it had none."""


@dataclass(frozen=True)
class Calendar:
    """When days of a tenant count.

    Attributes:
        holidays: by tenant.
        running: by tenant the day that it is now; it and later ones have not ended.
    """

    holidays: Mapping[str, Collection[date]]
    running: Mapping[str, date]

    def is_judged(self, tenant: str, day: date) -> bool:
        """Whether the day has ended and is no holiday; days of an unknown tenant are not judged."""
        return tenant in self.running and day < self.running[tenant] and day not in self.holidays[tenant]


def calendar_of(catalog: Catalog, now: datetime) -> Calendar:
    """The tenants' holidays, and their day at a moment."""
    tenants = catalog.tenants.values()
    return Calendar(
        {tenant.tenant_id: frozenset(tenant.holidays) for tenant in tenants},
        {tenant.tenant_id: now.astimezone(ZoneInfo(tenant.time_zone)).date() for tenant in tenants},
    )


@dataclass(frozen=True)
class Usual:
    """What the last days of the same weekday had.

    Attributes:
        weekday: its name.
        days: how many were looked at.
        median: of their rows.
        deviation: robust standard deviation, not below the square root of the median.
    """

    weekday: str
    days: int
    median: float
    deviation: float


def usual(series: Series, day: date, rule: SameWeekday, holidays: Collection[date]) -> Usual | None:
    """What is usual on the day's weekday; None where that is too little to judge by."""
    before = _same_weekdays(series, day, rule.weekdays, holidays)
    if len(before) < rule.min_weekdays:
        return None
    median = statistics.median(before)
    if median < rule.min_median_rows:
        return None
    spread = _NORMAL * statistics.median(abs(rows - median) for rows in before)
    return Usual(WEEKDAYS[day.weekday()], len(before), median, max(spread, math.sqrt(median)))


def _same_weekdays(series: Series, day: date, weekdays: int, holidays: Collection[date]) -> Sequence[int]:
    born = next(iter(series), day)
    days = [day - timedelta(weeks=n) for n in range(1, weekdays + 1)]
    return [series.get(each, 0) for each in days if each >= born and each not in holidays]
