"""What arrives, per tenant and day, on data that holds and on data that does not."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_platform.catalog import Catalog
from analytics_platform.catalog.quality import SameWeekday, ShareLimit, VolumeLimit
from asset_checks.arrivals import (
    Share,
    busy_hours_have_events,
    by_local_hour,
    expected_tenants_have_sent,
    share_is_within_limit,
    volume_is_as_on_same_weekdays,
)
from asset_checks.weekdays import Calendar, calendar_of, usual

TUESDAY = date(2026, 3, 10)
TENANT = "brabant-rental"
LIMIT = VolumeLimit(weekdays=8, min_weekdays=4, min_median_rows=20, max_deviations=6.0)
RULE = SameWeekday(weekdays=8, min_weekdays=4, min_median_rows=20)


def calendar(*holidays: date, running: date = date(2026, 12, 31)) -> Calendar:
    return Calendar({TENANT: frozenset(holidays)}, {TENANT: running})


def tuesdays(*rows: int, today: int | None) -> dict[str, dict[date, int]]:
    """Rows of the last Tuesdays, the oldest first, and of the day that is judged."""
    series = {TUESDAY - timedelta(weeks=len(rows) - n): each for n, each in enumerate(rows)}
    return {TENANT: series if today is None else {**series, TUESDAY: today}}


def test_a_usual_tuesday_passes_and_says_how_many_tenants_were_judged() -> None:
    facts = volume_is_as_on_same_weekdays(TUESDAY, tuesdays(100, 90, 110, 95, 105, today=102), LIMIT, calendar())
    assert facts.passed
    assert (facts.checked, facts.failed) == (1, 0)
    assert facts.counts == {"rows": 102, "judged": 1, "not_judged": 0}


@pytest.mark.parametrize("today", [30, 190])
def test_a_tuesday_far_from_its_median_is_named_with_what_is_usual(today: int) -> None:
    facts = volume_is_as_on_same_weekdays(TUESDAY, tuesdays(100, 90, 110, 95, 105, today=today), LIMIT, calendar())
    assert not facts.passed
    assert facts.offenders == [
        f"2026-03-10 brabant-rental: {today} rows, 100 on the last 5 Tuesdays (40 to 160 are usual)"
    ]


def test_one_old_burst_does_not_widen_what_is_usual() -> None:
    rows = tuesdays(100, 101, 99, 5_000, 100, today=900)
    assert not volume_is_as_on_same_weekdays(TUESDAY, rows, LIMIT, calendar()).passed


@pytest.mark.parametrize(
    ("rows", "when"),
    [
        (tuesdays(100, 100, 100, today=1), calendar()),
        (tuesdays(5, 5, 5, 5, 5, today=50), calendar()),
        (tuesdays(100, 100, 100, 100, 100, today=1), calendar(TUESDAY)),
        (tuesdays(100, 100, 100, 100, 100, today=1), calendar(running=TUESDAY)),
        (tuesdays(100, 100, 100, 100, today=1), calendar(TUESDAY - timedelta(weeks=1))),
    ],
    ids=["too little history", "too few rows", "a holiday", "has not ended", "a holiday is no history"],
)
def test_what_cannot_be_judged_passes_and_says_so(rows: dict[str, dict[date, int]], when: Calendar) -> None:
    facts = volume_is_as_on_same_weekdays(TUESDAY, rows, LIMIT, when)
    assert facts.passed
    assert facts.checked == 0
    assert facts.counts["not_judged"] == 1
    assert facts.summary.startswith("Not judged: ")


def test_a_tenant_without_rows_is_told_once_and_by_completeness() -> None:
    rows = tuesdays(100, 100, 100, 100, today=0)
    assert volume_is_as_on_same_weekdays(TUESDAY, rows, LIMIT, calendar()).passed
    facts = expected_tenants_have_sent(TUESDAY, rows, RULE, calendar())
    assert facts.offenders == ["2026-03-10 brabant-rental: no rows, 100 on the last 4 Tuesdays"]


def test_a_day_that_the_ledger_does_not_know_is_a_day_without_rows() -> None:
    assert not expected_tenants_have_sent(TUESDAY, tuesdays(100, 100, 100, 100, today=None), RULE, calendar()).passed


def test_a_tenant_that_sent_something_is_complete() -> None:
    facts = expected_tenants_have_sent(TUESDAY, tuesdays(100, 100, 100, 100, today=1), RULE, calendar())
    assert facts.passed
    assert facts.checked == 1


def test_days_before_a_tenants_first_one_are_no_days_without_rows() -> None:
    assert usual({TUESDAY - timedelta(weeks=1): 100}, TUESDAY, RULE, ()) is None


@given(st.lists(st.integers(20, 10_000), min_size=4, max_size=12), st.integers(0, 11))
def test_the_order_of_weeks_changes_nothing(rows: list[int], turn: int) -> None:
    rule = SameWeekday(weekdays=12, min_weekdays=4, min_median_rows=1)
    turned = rows[turn % len(rows) :] + rows[: turn % len(rows)]
    first, second = (tuesdays(*each, today=1)[TENANT] for each in (rows, turned))
    assert usual(first, TUESDAY, rule, ()) == usual(second, TUESDAY, rule, ())


def test_a_busy_hour_without_events_is_named() -> None:
    hours = {(TENANT, hour): dict(tuesdays(50, 50, 50, 50, today=today)[TENANT]) for hour, today in ((9, 40), (10, 0))}
    facts = busy_hours_have_events(TUESDAY, hours, RULE, calendar())
    assert facts.offenders == ["2026-03-10 brabant-rental 10:00: no rows, 50 on the last 4 Tuesdays"]
    assert (facts.checked, facts.failed) == (2, 1)


def test_quiet_hours_and_wholly_empty_days_are_not_judged_by_the_hour() -> None:
    quiet = {(TENANT, 9): tuesdays(50, 50, 50, 50, today=9)[TENANT], (TENANT, 3): tuesdays(1, 0, 1, 1, today=0)[TENANT]}
    assert busy_hours_have_events(TUESDAY, quiet, RULE, calendar()).passed
    empty = {(TENANT, 9): tuesdays(50, 50, 50, 50, today=0)[TENANT]}
    assert busy_hours_have_events(TUESDAY, empty, RULE, calendar()).passed


def test_hours_are_those_of_the_tenants_clock_in_summer_and_in_winter() -> None:
    winter, summer = date(2026, 1, 13), date(2026, 7, 14)
    rows = [
        (winter, TENANT, datetime(2026, 1, 13, 8, tzinfo=UTC), 5),
        (summer, TENANT, datetime(2026, 7, 14, 7, tzinfo=UTC), 6),
        (summer, "somebody-else", datetime(2026, 7, 14, 7, tzinfo=UTC), 9),
    ]
    hours = by_local_hour(rows, {TENANT: ZoneInfo("Europe/Amsterdam")})
    assert hours == {(TENANT, 9): {winter: 5, summer: 6}}


def test_a_share_within_its_limit_passes_with_its_numbers() -> None:
    facts = share_is_within_limit(
        TUESDAY, [Share(TENANT, 2, 5)], ShareLimit(max_share=0.02, tolerated_rows=2), "were refused"
    )
    assert facts.passed
    assert (facts.checked, facts.failed, facts.threshold) == (5, 2, 0.02)


def test_more_than_the_tolerated_share_is_named_the_worst_first() -> None:
    shares = [Share("a", 5, 100), Share("b", 40, 100), Share("c", 3, 1_000), Share("d", 0, 0)]
    facts = share_is_within_limit(TUESDAY, shares, ShareLimit(max_share=0.02, tolerated_rows=2), "were refused")
    assert facts.offenders == ["2026-03-10 b: 40 of 100 were refused", "2026-03-10 a: 5 of 100 were refused"]


def test_the_calendar_knows_holidays_and_that_london_is_still_in_yesterday(catalog: Catalog) -> None:
    when = calendar_of(catalog, datetime(2026, 12, 26, 23, 30, tzinfo=UTC))
    assert when.running == {
        "albion-stage": date(2026, 12, 26),
        "brabant-rental": date(2026, 12, 27),
        "delta-events": date(2026, 12, 27),
        "noord-rigging": date(2026, 12, 27),
    }
    assert not when.is_judged("brabant-rental", date(2026, 12, 25))
    assert not when.is_judged("nobody", date(2026, 12, 1))
    assert when.is_judged("albion-stage", date(2026, 12, 24))
