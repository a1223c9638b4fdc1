"""When a business day is due: the clock of the promises, in the tenant's and the reporting time zone.

Pure; the tiers' deadlines are the catalogue's. What was kept is judged in
:mod:`~analytics_platform.insights.promises`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

CUT_OFF = time(1, 30)
"""What has landed by then, in the reporting zone, is in the night's build (03:10) by way of the ingestion at 03:05.

It is late enough for the last hour of every tenant from London eastwards to have been shipped. A day that closes later
than this could not be in the night's build, so it is promised for the morning after.
"""


@dataclass(frozen=True)
class Due:
    """When a closed day has to be complete.

    Attributes:
        cut_off: what has landed by then is the day that is promised; what comes later is late.
        promised_at: by when it has to be complete.
    """

    cut_off: datetime
    promised_at: datetime


def closes_at(day: date, tenant_zone: str) -> datetime:
    """The end of a tenant's business day, in UTC."""
    return _instant(day + timedelta(days=1), time(), tenant_zone)


def due(day: date, tenant_zone: str, reporting_zone: str, deadline: str) -> Due:
    """When a tenant's day is due: at the deadline of the first morning after whose night it can be built.

    Args:
        day: the tenant's own business day.
        tenant_zone: IANA name of the zone that the day is of.
        reporting_zone: IANA name of the zone of nights and deadlines.
        deadline: ``HH:MM`` in the reporting zone.
    """
    hour = time.fromisoformat(deadline)
    closed = closes_at(day, tenant_zone)
    # East of the reporting zone a day may be over before its own date has ended here; its night is still the next.
    morning = day + timedelta(days=1)
    while _instant(morning, min(CUT_OFF, hour), reporting_zone) < closed:
        morning += timedelta(days=1)
    promised_at = _instant(morning, hour, reporting_zone)
    return Due(min(_instant(morning, CUT_OFF, reporting_zone), promised_at), promised_at)


def day_of(moment: datetime, zone: str) -> date:
    """The date of a moment in a zone."""
    return moment.astimezone(ZoneInfo(zone)).date()


def ends_at(day: date, zone: str) -> datetime:
    """The end of a date in a zone, in UTC."""
    return _instant(day + timedelta(days=1), time(), zone)


def _instant(day: date, hour: time, zone: str) -> datetime:
    """A wall-clock time as an instant: of an hour that a night has twice the first, of one that it skips the next."""
    return datetime.combine(day, hour, ZoneInfo(zone)).astimezone(UTC)
