"""The clock of retention on both sides of every boundary."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_platform.catalog import Catalog, Duration
from analytics_platform.catalog.governance import RetentionClass
from analytics_platform.catalog.retention_clock import (
    end_of_financial_year,
    kept,
    last_overdue,
    last_removable,
    retain_until,
)

DAYS = st.dates(date(1990, 1, 1), date(2060, 12, 31))
YEAR_ENDS = st.sampled_from(["12-31", "03-31", "02-28", "02-29", "06-30", "01-15", "09-30"])


def of(clock: str, keep: Duration, *, least: Duration | None = None) -> RetentionClass:
    return RetentionClass.model_validate(
        {
            "name": "made",
            "title": "Made",
            "description": "Made",
            "clock": clock,
            "min_keep": least or Duration(),
            "max_keep": keep,
            "basis": "A test",
        }
    )


@pytest.mark.parametrize(
    ("day", "year_end", "ends_on"),
    [
        (date(2018, 12, 31), "12-31", date(2018, 12, 31)),
        (date(2019, 1, 1), "12-31", date(2019, 12, 31)),
        (date(2019, 3, 31), "03-31", date(2019, 3, 31)),
        (date(2019, 4, 1), "03-31", date(2020, 3, 31)),
        (date(2020, 2, 29), "02-28", date(2020, 2, 29)),
        (date(2020, 2, 28), "02-28", date(2020, 2, 29)),
        (date(2020, 3, 1), "02-28", date(2021, 2, 28)),
        (date(2020, 2, 29), "02-29", date(2020, 2, 29)),
        (date(2020, 3, 1), "02-29", date(2021, 2, 28)),
        (date(2021, 2, 28), "02-29", date(2021, 2, 28)),
        (date(2020, 2, 29), "12-31", date(2020, 12, 31)),
    ],
)
def test_the_financial_year_that_holds_a_day_ends_on_its_last_day(day: date, year_end: str, ends_on: date) -> None:
    assert end_of_financial_year(day, year_end) == ends_on


@pytest.mark.parametrize(
    ("day", "year_end", "until", "may_until"),
    [
        (date(2018, 12, 31), "12-31", date(2025, 12, 31), date(2026, 3, 31)),
        (date(2019, 1, 1), "12-31", date(2026, 12, 31), date(2027, 3, 31)),
        (date(2019, 3, 31), "03-31", date(2026, 3, 31), date(2026, 6, 30)),
        (date(2019, 4, 1), "03-31", date(2027, 3, 31), date(2027, 6, 30)),
        # The seventh year after a February ends with the 29th where there is one: a day more, never a day less.
        (date(2021, 2, 28), "02-28", date(2028, 2, 29), date(2028, 5, 31)),
        (date(2020, 2, 29), "02-28", date(2027, 2, 28), date(2027, 5, 31)),
        (date(2020, 3, 1), "02-28", date(2028, 2, 29), date(2028, 5, 31)),
    ],
)
def test_a_fiscal_record_is_kept_seven_years_after_its_financial_year(
    catalog: Catalog, day: date, year_end: str, until: date, may_until: date
) -> None:
    fiscal = catalog.retention_classes["fiscal"]
    terms = kept(day, fiscal, year_end)
    assert (terms.must_until, terms.until, terms.may_until) == (until, until, may_until)
    assert last_removable(until, fiscal, year_end) < day
    assert last_removable(until + timedelta(days=1), fiscal, year_end) >= day
    assert last_overdue(may_until, fiscal, year_end) < day
    assert last_overdue(may_until + timedelta(days=1), fiscal, year_end) >= day


@pytest.mark.parametrize(
    ("day", "keep", "until"),
    [
        (date(2024, 2, 29), Duration(years=1), date(2025, 2, 28)),
        (date(2024, 2, 29), Duration(months=12), date(2025, 2, 28)),
        (date(2023, 2, 28), Duration(years=1), date(2024, 2, 29)),
        (date(2024, 1, 30), Duration(months=1), date(2024, 2, 29)),
        (date(2024, 1, 31), Duration(months=1), date(2024, 2, 29)),
        (date(2024, 12, 31), Duration(months=25), date(2027, 1, 31)),
        (date(2024, 2, 29), Duration(days=90), date(2024, 5, 29)),
        (date(2023, 2, 28), Duration(days=90), date(2023, 5, 29)),
        (date(2024, 2, 29), Duration(years=9_000), date.max - timedelta(days=1)),
    ],
)
def test_calendar_terms_know_leap_days_and_short_months(day: date, keep: Duration, until: date) -> None:
    assert retain_until(day, of("business_date", keep), "12-31") == until


@given(DAYS, YEAR_ENDS)
def test_a_financial_year_ends_within_a_year_and_begins_after_the_last(day: date, year_end: str) -> None:
    end = end_of_financial_year(day, year_end)
    assert day <= end <= day + timedelta(days=366)
    assert end_of_financial_year(end, year_end) == end
    assert end_of_financial_year(end + timedelta(days=1), year_end) > end + timedelta(days=363)
    assert end_of_financial_year(day, None) >= end


@given(DAYS, DAYS, YEAR_ENDS, st.sampled_from(["fiscal", "operations", "customer", "product", "technical"]))
def test_an_older_day_is_never_kept_longer(
    catalog: Catalog, one: date, other: date, year_end: str, class_name: str
) -> None:
    older, newer = sorted((one, other))
    retention = catalog.retention_classes[class_name]
    assert retain_until(older, retention, year_end) <= retain_until(newer, retention, year_end)


@given(DAYS, DAYS, YEAR_ENDS, st.sampled_from(["fiscal", "operations", "customer", "product", "technical"]))
def test_what_is_removable_by_the_search_is_past_its_term_by_the_clock(
    catalog: Catalog, day: date, today: date, year_end: str, class_name: str
) -> None:
    retention = catalog.retention_classes[class_name]
    newest = last_removable(today, retention, year_end)
    assert newest is not None
    assert (day <= newest) == (day <= today and retain_until(day, retention, year_end) < today)


@given(DAYS, st.integers(0, 8), st.integers(0, 30), st.integers(0, 100))
def test_a_term_lasts_at_least_its_days_and_at_most_a_short_month_more(
    day: date, years: int, months: int, days: int
) -> None:
    keep = Duration(years=years, months=months, days=days + 1)
    lasted = (retain_until(day, of("business_date", keep), None) - day).days
    assert abs(lasted - keep.about_days) <= 4


def test_nobody_knows_the_year_of_an_unknown_tenant_so_the_longest_counts(catalog: Catalog) -> None:
    fiscal = catalog.retention_classes["fiscal"]
    ends = [f"{month:02}-15" for month in range(1, 13)]
    unknown = retain_until(date(2020, 5, 5), fiscal, None)
    assert all(retain_until(date(2020, 5, 5), fiscal, end) <= unknown for end in ends)


def test_removal_begins_early_enough_to_be_approved_before_the_limit(catalog: Catalog) -> None:
    for retention in catalog.retention_classes.values():
        terms = kept(date(2020, 2, 29), retention, "12-31")
        assert terms.must_until <= terms.until < terms.may_until - timedelta(days=27), retention.name
