"""The clock of promises: nights of daylight saving, and tenants east and west of the reporting zone."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from dagster._utils.schedules import cron_string_iterator
from hypothesis import given
from hypothesis import strategies as st

from analytics_platform.defs.automation import HOURLY, NIGHTLY
from analytics_platform.insights.deadlines import closes_at, day_of, due, ends_at

AMSTERDAM = "Europe/Amsterdam"
ZONES = st.sampled_from(
    [
        "Europe/Amsterdam",
        "Europe/London",
        "Atlantic/Azores",
        "America/St_Johns",
        "America/Los_Angeles",
        "Etc/GMT+12",
        "Asia/Tokyo",
        "Asia/Kathmandu",
        "Australia/Lord_Howe",
        "Pacific/Kiritimati",
    ]
)
DAYS = st.dates(date(2022, 1, 1), date(2027, 12, 31))
DEADLINES = st.sampled_from(["00:30", "02:30", "06:00", "08:00", "12:00", "23:59"])


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("day", "tenant_zone", "promised_at"),
    [
        (date(2026, 1, 14), AMSTERDAM, "2026-01-15T05:00"),
        (date(2026, 7, 14), AMSTERDAM, "2026-07-15T04:00"),
        (date(2026, 3, 28), AMSTERDAM, "2026-03-29T04:00"),  # the night that loses an hour
        (date(2026, 10, 24), AMSTERDAM, "2026-10-25T05:00"),  # the night that gains one
        (date(2026, 1, 14), "Europe/London", "2026-01-15T05:00"),  # closes at 01:00 here, in time for the night
        (date(2026, 1, 14), "Asia/Tokyo", "2026-01-15T05:00"),  # closes at 16:00 of the same date here
        (date(2026, 1, 14), "Pacific/Kiritimati", "2026-01-15T05:00"),
        (date(2026, 1, 14), "Atlantic/Azores", "2026-01-16T05:00"),  # closes at 02:00 here: the night after
        (date(2026, 1, 14), "America/Los_Angeles", "2026-01-16T05:00"),  # closes at 09:00 here
        (date(2026, 1, 14), "Etc/GMT+12", "2026-01-16T05:00"),
    ],
)
def test_a_day_is_due_on_the_first_morning_that_its_night_can_serve(
    day: date, tenant_zone: str, promised_at: str
) -> None:
    assert due(day, tenant_zone, AMSTERDAM, "06:00").promised_at == utc(promised_at)


def test_a_deadline_in_the_hour_that_a_night_skips_falls_an_hour_later() -> None:
    assert due(date(2026, 3, 28), AMSTERDAM, AMSTERDAM, "02:30").promised_at == utc("2026-03-29T01:30")


def test_a_deadline_in_the_hour_that_a_night_has_twice_is_the_first() -> None:
    assert due(date(2026, 10, 24), AMSTERDAM, AMSTERDAM, "02:30").promised_at == utc("2026-10-25T00:30")


@given(DAYS, ZONES, ZONES, DEADLINES)
def test_nothing_is_due_before_it_is_closed_nor_later_than_the_second_morning_from_then(
    day: date, tenant_zone: str, zone: str, deadline: str
) -> None:
    when = due(day, tenant_zone, zone, deadline)
    closed = closes_at(day, tenant_zone)
    assert closed <= when.cut_off <= when.promised_at
    # Seen from the reporting zone a day may close up to 26 hours after it closes there.
    closed_on = closed.astimezone(ZoneInfo(zone)).date()
    assert day < when.promised_at.astimezone(ZoneInfo(zone)).date() <= max(day, closed_on) + timedelta(days=1)


@given(DAYS, ZONES, ZONES, DEADLINES)
def test_later_days_are_due_later(day: date, tenant_zone: str, zone: str, deadline: str) -> None:
    first, second = (due(each, tenant_zone, zone, deadline) for each in (day, day + timedelta(days=1)))
    assert first.cut_off < second.cut_off
    assert timedelta(0) < second.promised_at - first.promised_at <= timedelta(days=2, hours=1)


@given(DAYS, ZONES, st.sampled_from(["06:00", "08:00", "12:00"]))
def test_on_the_wall_of_the_reporting_zone_it_is_always_the_declared_time(
    day: date, tenant_zone: str, deadline: str
) -> None:
    local = due(day, tenant_zone, AMSTERDAM, deadline).promised_at.astimezone(ZoneInfo(AMSTERDAM))
    assert f"{local:%H:%M}" == deadline


@given(st.datetimes(datetime(2022, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC)), ZONES)  # noqa: DTZ001
def test_each_moment_lies_within_its_own_date(moment: datetime, zone: str) -> None:
    day = day_of(moment, zone)
    assert ends_at(day - timedelta(days=1), zone) <= moment < ends_at(day, zone)


@pytest.mark.parametrize("zone", [AMSTERDAM, "Europe/London", "Europe/Lisbon", "Europe/Athens"])
def test_what_has_landed_by_the_cut_off_is_ingested_before_the_night_begins(zone: str) -> None:
    """On every day of three years: clocks skip an hour of a night, and with it what begins in that hour."""
    for day in (date(2025, 1, 1) + timedelta(days=n) for n in range(3 * 365)):
        cut_off = due(day, zone, zone, "06:00").cut_off
        assert cut_off < _next(HOURLY, zone, cut_off) < _next(NIGHTLY, zone, ends_at(day, zone)), day


def _next(cron: str, zone: str, moment: datetime) -> datetime:
    """When a schedule runs next, as Dagster goes by it."""
    return next(cron_string_iterator(moment.timestamp(), cron, zone))
