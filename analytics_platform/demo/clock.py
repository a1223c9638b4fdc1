"""Time as a tenant lives it: wall clock, opening hours, holidays and the season of the rental business.

Everything that leaves this module is an aware datetime in UTC with whole milliseconds, as producers send it.
Stays out: the machine's clock. A simulation knows only the days that it was asked for.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from analytics_platform.catalog import Tenant

DAY = timedelta(days=1)
# Nothing is booked further ahead than this. Domains look so far past the last day that a longer simulation begins
# with exactly the messages of a shorter one.
LONGEST_NOTICE_DAYS = 45

# Outdoor events peak from May to September, corporate parties in the first three weeks of December.
_MONTH_DEMAND = (0.74, 0.79, 0.88, 0.97, 1.08, 1.17, 1.2, 1.16, 1.08, 0.98, 0.96, 1.1)
# Most productions build up on Thursday and Friday and come back on Monday.
_WEEKDAY_DEMAND = (0.93, 0.95, 0.99, 1.03, 1.07, 1.07, 1.0)
_OFFICE_WEEKDAY = (1.12, 1.15, 1.12, 1.05, 0.92, 0.28, 0.24)


def demand(day: date) -> float:
    """How much equipment is wanted on a day, 1.0 being the average of the year."""
    factor = _MONTH_DEMAND[day.month - 1] * _WEEKDAY_DEMAND[day.weekday()]
    is_between_the_years = (day.month, day.day) >= (12, 23) or (day.month, day.day) <= (1, 3)
    return factor * (0.62 if is_between_the_years else 1.0)


def office_demand(day: date) -> float:
    """How much people at desks do on a day (leads, clicks), 1.0 being an average day."""
    quiet = (day.month, day.day) >= (12, 23) or (day.month, day.day) <= (1, 2)
    return _OFFICE_WEEKDAY[day.weekday()] * (0.35 if quiet else 1.0)


def rfc3339(moment: datetime) -> str:
    """The moment as Segment's Python client writes it: milliseconds and `+00:00`."""
    return moment.isoformat(timespec="milliseconds")


def whole_milliseconds(moment: datetime) -> datetime:
    """The moment cut to milliseconds: what is written is what is compared."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


class TenantClock:
    """The wall clock and the opening hours of one tenant."""

    def __init__(self, tenant: Tenant) -> None:
        self._zone = ZoneInfo(tenant.time_zone)
        self._holidays = frozenset(tenant.holidays)
        self._hours = {
            weekday: (_minute_of_day(opens), _minute_of_day(closes))
            for weekday, (opens, closes) in tenant.business_hours.items()
        }

    def at(self, day: date, minute: float) -> datetime:
        """The moment when the wall clock shows `minute` minutes past midnight of `day` (may run over it)."""
        local = datetime.combine(day, time()) + timedelta(minutes=minute)
        return whole_milliseconds(local.replace(tzinfo=self._zone).astimezone(UTC))

    def day_of(self, moment: datetime) -> date:
        """The tenant's business day of a moment."""
        return moment.astimezone(self._zone).date()

    def minute_of(self, moment: datetime) -> float:
        """What the wall clock shows at a moment, in minutes past midnight."""
        local = moment.astimezone(self._zone)
        return local.hour * 60 + local.minute + local.second / 60

    def is_open_on(self, day: date) -> bool:
        """Whether the office opens on a day."""
        return day.isoweekday() in self._hours and day not in self._holidays

    def next_open_day(self, day: date) -> date:
        """The day itself if the office opens on it, else the next on which it does."""
        while not self.is_open_on(day):
            day += DAY
        return day

    def after_business_minutes(self, moment: datetime, minutes: float) -> datetime:
        """When `minutes` of opening hours have passed since `moment`."""
        day, minute, left = self.day_of(moment), self.minute_of(moment), minutes
        while True:
            if self.is_open_on(day):
                opens, closes = self._hours[day.isoweekday()]
                start = max(float(opens), minute)
                if start + left <= closes:
                    return max(self.at(day, start + left), moment)
                left -= max(0.0, closes - start)
            day, minute = day + DAY, 0.0


def _minute_of_day(clock_time: str) -> int:
    hours, minutes = clock_time.split(":")
    return int(hours) * 60 + int(minutes)


def add_months(moment: datetime, months: int) -> datetime:
    """The same time of day `months` later, on the same day of the month or its last day if it is shorter."""
    month = moment.month - 1 + months
    year, month = moment.year + month // 12, month % 12 + 1
    first_of_next = date(year + month // 12, month % 12 + 1, 1)
    last_day = (first_of_next - DAY).day
    return moment.replace(year=year, month=month, day=min(moment.day, last_day))
