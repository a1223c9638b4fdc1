"""Which business day a moment falls on in a tenant's time zone, looked up once per quarter of an hour."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

# Every offset from UTC in use is a multiple of a quarter of an hour, so a quarter never holds a midnight within.
_QUARTER = timedelta(minutes=15)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_REMEMBERED = 200_000


class BusinessDays:
    """Business days of tenants, by time zone."""

    def __init__(self) -> None:
        self._days: dict[tuple[str, int], date] = {}

    def day(self, moment: datetime, time_zone: str) -> date:
        """The date of `moment` (in UTC) in the IANA time zone."""
        quarter = (moment - _EPOCH) // _QUARTER
        found = self._days.get((time_zone, quarter))
        if found is None:
            if len(self._days) >= _REMEMBERED:
                self._days.clear()
            found = moment.astimezone(ZoneInfo(time_zone)).date()
            self._days[time_zone, quarter] = found
        return found
