"""Quarters and their first working day."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_platform.catalog import Catalog
from analytics_platform.governance.review.quarters import Quarter, UnknownQuarterError, first_working_day

days = st.dates(date(1900, 1, 1), date(2200, 12, 31))


@given(days)
def test_each_day_lies_in_its_quarter_and_in_no_other(day: date) -> None:
    quarter = Quarter.of(day)
    assert quarter.first_day <= day <= quarter.last_day
    assert quarter.next.first_day - timedelta(days=1) == quarter.last_day
    assert quarter.next.previous == quarter


@given(days)
def test_a_quarter_is_read_back_from_its_name(day: date) -> None:
    assert Quarter.parse(str(Quarter.of(day))) == Quarter.of(day)


@pytest.mark.parametrize("text", ["", "2026", "2026Q0", "2026Q5", "Q3", "2026-07-01", "0000Q1", "2026Q33", "../Q1"])
def test_what_is_no_quarter_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UnknownQuarterError, match="2026Q3"):
        Quarter.parse(text)


def test_a_small_q_is_read_too() -> None:
    assert Quarter.parse(" 2026q3 ") == Quarter(2026, 3)


@pytest.mark.parametrize(
    ("quarter", "day"),
    [
        ("2026Q1", date(2026, 1, 2)),  # New Year's Day is a Thursday
        ("2022Q1", date(2022, 1, 3)),  # New Year's Day is a Saturday
        ("2024Q2", date(2024, 4, 2)),  # the first is Easter Monday
        ("2026Q4", date(2026, 10, 1)),
        ("2023Q4", date(2023, 10, 2)),  # the first is a Sunday
    ],
)
def test_the_first_working_day_is_no_weekend_and_no_dutch_holiday(catalog: Catalog, quarter: str, day: date) -> None:
    assert first_working_day(Quarter.parse(quarter), catalog.holiday_calendars["netherlands"].days) == day
