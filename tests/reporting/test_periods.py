from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from analytics_platform.reporting.periods import months_before, periods_ending

days = st.dates(date(2022, 1, 1), date(2035, 12, 31))


@given(days)
def test_buckets_cover_their_period_without_gap_or_overlap(day: date) -> None:
    for period in periods_ending(day):
        for spans, whole in ((period.buckets, period.span), (period.previous_buckets, period.previous)):
            assert spans[0].first == whole.first
            assert spans[-1].last == whole.last
            for earlier, later in pairwise(spans):
                assert later.first == earlier.last + timedelta(1)


@given(days)
def test_every_period_ends_on_the_day_and_follows_the_one_before(day: date) -> None:
    for period in periods_ending(day):
        assert period.span.last == day
        assert period.previous.last == period.span.first - timedelta(1)
        assert len(period.buckets) == len(period.previous_buckets)


def test_periods_are_30_days_13_weeks_and_12_months() -> None:
    thirty, weeks, months = periods_ending(date(2026, 6, 30))
    assert (thirty.key, thirty.span.days, len(thirty.buckets)) == ("30d", 30, 30)
    assert (weeks.key, weeks.span.days, len(weeks.buckets)) == ("13w", 91, 13)
    assert (months.key, months.span.first, len(months.buckets)) == ("12m", date(2025, 7, 1), 12)


def test_a_month_before_a_month_end_is_a_month_end() -> None:
    assert months_before(date(2026, 6, 30), 1) == date(2026, 5, 31)
    assert months_before(date(2026, 3, 31), 1) == date(2026, 2, 28)
    assert months_before(date(2024, 3, 31), 1) == date(2024, 2, 29)


def test_a_month_before_a_day_that_the_month_lacks_is_its_last_day() -> None:
    assert months_before(date(2026, 3, 30), 1) == date(2026, 2, 28)
