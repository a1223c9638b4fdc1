"""Clock and dice: the tenant's wall clock over changes of time and holidays, chance that repeats itself."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics_platform.catalog import Catalog
from analytics_platform.demo.clock import TenantClock, add_months, demand
from analytics_platform.demo.dice import Dice, spread_evenly

START = datetime(2024, 1, 1, tzinfo=UTC)
MOMENTS = st.integers(0, 3 * 365 * 24 * 60).map(lambda minutes: START + timedelta(minutes=minutes))


@pytest.fixture(scope="module")
def amsterdam(catalog: Catalog) -> TenantClock:
    return TenantClock(catalog.tenants["brabant-rental"])


def test_the_wall_clock_shows_the_asked_time_in_winter_and_in_summer(amsterdam: TenantClock) -> None:
    assert amsterdam.at(date(2026, 1, 15), 9 * 60) == datetime(2026, 1, 15, 8, tzinfo=UTC)
    assert amsterdam.at(date(2026, 7, 15), 9 * 60) == datetime(2026, 7, 15, 7, tzinfo=UTC)


def test_the_day_of_a_moment_is_the_tenants_day(amsterdam: TenantClock) -> None:
    assert amsterdam.day_of(datetime(2026, 7, 14, 22, 30, tzinfo=UTC)) == date(2026, 7, 15)


def test_business_minutes_run_on_after_a_weekend_and_a_holiday(amsterdam: TenantClock) -> None:
    friday_evening = amsterdam.at(date(2026, 4, 3), 20 * 60)
    assert amsterdam.day_of(amsterdam.after_business_minutes(friday_evening, 30)) == date(2026, 4, 7)


@settings(deadline=None, max_examples=60)
@given(moment=MOMENTS, minutes=st.floats(1, 3000), more=st.floats(1, 500))
def test_more_business_minutes_end_later_and_in_opening_hours(
    catalog: Catalog, moment: datetime, minutes: float, more: float
) -> None:
    clock = TenantClock(catalog.tenants["albion-stage"])
    end = clock.after_business_minutes(moment, minutes)
    assert moment < end <= clock.after_business_minutes(moment, minutes + more)
    assert clock.is_open_on(clock.day_of(end))


@given(moment=MOMENTS, months=st.integers(0, 48))
def test_months_later_is_the_same_day_or_the_last_of_a_shorter_month(moment: datetime, months: int) -> None:
    later = add_months(moment, months)
    assert (later.year * 12 + later.month) - (moment.year * 12 + moment.month) == months
    assert later.day == moment.day or (later + timedelta(days=1)).day == 1


def test_summer_asks_for_more_than_winter_and_nobody_builds_at_christmas() -> None:
    assert demand(date(2026, 7, 17)) > 1.2 > 0.8 > demand(date(2026, 1, 16)) > demand(date(2026, 12, 25)) * 0.9


def test_dice_of_the_same_path_fall_the_same_and_of_another_differently() -> None:
    assert [Dice(7, "a").random() for _ in range(3)] == [Dice(7, "a").random() for _ in range(3)]
    assert Dice(7, "a").random() != Dice(7, "b").random()


def test_the_dice_of_a_part_do_not_depend_on_what_was_drawn_before() -> None:
    whole = Dice(7, "a")
    before = whole.child("part").random()
    whole.random()
    assert whole.child("part").random() == before


def test_labels_are_spread_in_their_shares() -> None:
    labels = [label for _, label in spread_evenly(range(100), {"large": 0.7, "small": 0.3})]
    assert labels.count("large") == 70
    assert "small" in labels[:4]
