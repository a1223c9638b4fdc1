"""Who should have sent what: weekday patterns, holidays, and staleness that no old or future-dated event hides."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

import pytest

from analytics_platform.catalog import Catalog, Tenant
from analytics_platform.insights.expectations import StaleTenant, is_expected, stale_tenants

MONDAY = date(2026, 11, 23)
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def back(weeks: int, *, weekdays: Iterable[int] = range(1, 6), until: date = MONDAY) -> frozenset[date]:
    """Days of some weeks before a day, on some ISO weekdays."""
    days = (until - timedelta(n) for n in range(1, 7 * weeks + 1))
    return frozenset(day for day in days if day.isoweekday() in weekdays)


@pytest.fixture
def tenant(catalog: Catalog) -> Tenant:
    """Open from Monday to Friday, in the Netherlands."""
    return catalog.tenants["brabant-rental"]


def test_a_weekday_on_which_it_always_came_is_expected(tenant: Tenant) -> None:
    assert is_expected(MONDAY, tenant, back(8))


def test_a_sunday_on_which_it_never_came_is_not(tenant: Tenant) -> None:
    assert not is_expected(date(2026, 11, 22), tenant, back(8))


def test_a_sunday_on_which_it_always_came_is(tenant: Tenant) -> None:
    assert is_expected(date(2026, 11, 22), tenant, back(8, weekdays=range(1, 8), until=date(2026, 11, 22)))


def test_a_holiday_is_not_expected_and_teaches_nothing(tenant: Tenant) -> None:
    assert date(2026, 5, 25) in tenant.holidays  # Whit Monday
    history = back(4, until=date(2026, 6, 1)) - {date(2026, 5, 25)}
    assert not is_expected(date(2026, 5, 25), tenant, history)
    assert is_expected(date(2026, 6, 1), tenant, history)


def test_what_comes_on_every_other_day_is_not_missed_on_any(tenant: Tenant) -> None:
    assert not is_expected(MONDAY, tenant, frozenset(MONDAY - timedelta(14 * n) for n in range(1, 9)))


@pytest.mark.parametrize(("days_ago", "expected"), [((1, 2, 3), False), ((3, 4, 5), True)])
def test_in_the_first_week_all_open_weekdays_are_compared(
    tenant: Tenant, days_ago: tuple[int, ...], expected: bool
) -> None:
    # One to three days before a Monday are Sunday, Saturday and Friday: one open day is too little to go by.
    assert is_expected(MONDAY, tenant, {MONDAY - timedelta(n) for n in days_ago}) is expected


def test_who_was_quiet_for_months_is_still_expected(tenant: Tenant) -> None:
    assert is_expected(MONDAY, tenant, back(8, until=date(2026, 7, 6)))


def test_of_a_tenant_that_never_sent_a_stream_nothing_is_expected(tenant: Tenant) -> None:
    assert not is_expected(MONDAY, tenant, ())


def stale(catalog: Catalog, days: Iterable[date], now: datetime = NOON) -> list[StaleTenant]:
    return stale_tenants(catalog, {("billing", "brabant-rental"): frozenset(days)}, "Europe/Amsterdam", now)


def test_who_sent_on_the_newest_expected_day_is_not_stale(catalog: Catalog) -> None:
    assert stale(catalog, back(8)) == []


def test_over_a_weekend_nobody_is_stale(catalog: Catalog) -> None:
    assert stale(catalog, back(8, until=date(2026, 11, 21)), datetime(2026, 11, 23, 12, tzinfo=UTC)) == []


def test_a_gap_is_told_with_its_first_day_and_the_deadline_of_that(catalog: Catalog) -> None:
    quiet_since_wednesday = back(8, until=date(2026, 11, 18))
    (found,) = stale(catalog, quiet_since_wednesday)
    assert (found.tenant_id, found.stream, found.dataset) == ("brabant-rental", "billing", "raw.billing")
    assert found.newest_day == date(2026, 11, 17)
    assert found.expected_day == date(2026, 11, 18)
    assert found.promised_at == datetime(2026, 11, 19, 5, tzinfo=UTC)
    assert found.days_missed == 3
    assert (found.owner, found.severity) == ("finance", "critical")


def test_a_day_is_missed_from_its_deadline_on(catalog: Catalog) -> None:
    days = back(8, until=date(2026, 11, 20))  # up to Thursday; Friday is due on Saturday at six
    assert stale(catalog, days, datetime(2026, 11, 21, 4, 59, tzinfo=UTC)) == []
    assert [each.expected_day for each in stale(catalog, days, datetime(2026, 11, 21, 5, tzinfo=UTC))] == [
        date(2026, 11, 20)
    ]


def test_a_backfill_of_old_days_makes_nobody_fresh(catalog: Catalog) -> None:
    days = back(4, until=date(2026, 11, 18))
    assert stale(catalog, days | back(40, until=date(2026, 10, 1))) == stale(catalog, days)


def test_an_event_dated_ahead_makes_nobody_fresh(catalog: Catalog) -> None:
    days = back(8, until=date(2026, 11, 18))
    assert stale(catalog, days | {date(2026, 11, 24), date(2027, 1, 1)}) == stale(catalog, days)
