from datetime import date, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_platform.catalog import Headline, Kpi, load_catalog
from analytics_platform.reporting.measures import NOTHING, Measured, Series, change, reduce_rows
from analytics_platform.reporting.periods import Span
from analytics_platform.warehouse.headlines import money_column

FIRST = date(2026, 1, 1)
KPIS = load_catalog().kpis

rows = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from(["a", "b", None]), st.integers(0, 1000), st.integers(0, 1000)),
    max_size=40,
)
spans = st.tuples(st.integers(0, 9), st.integers(0, 9)).map(
    lambda pair: Span(FIRST + timedelta(min(pair)), FIRST + timedelta(max(pair)))
)


def kpi_of(kind: str, *, snapshot: bool = False) -> Kpi:
    headline = Headline(
        kind=kind,  # type: ignore[arg-type]
        numerator=("num",),
        denominator=("den",) if kind == "ratio" else (),
        scale=100.0 if kind == "ratio" else 1.0,
        snapshot=snapshot,
        table="marts.fct_things" if kind == "median" else None,
    )
    return KPIS["qualified_leads"].model_copy(update={"headline": headline})


def series_of(kpi: Kpi, found: list[tuple[int, str | None, int, int]], days: int = 10) -> Series:
    frame = pl.DataFrame(
        [(FIRST + timedelta(day), part, num, den) for day, part, num, den in found],
        schema={"day": pl.Date, "part": pl.String, "num": pl.Int64, "den": pl.Int64},
        orient="row",
    )
    reduced = reduce_rows(kpi, frame, day_column="day", drill_downs=["part"], in_reporting=True)
    return Series(kpi, reduced, frozenset(FIRST + timedelta(n) for n in range(days)), None)


@given(rows, spans)
def test_parts_add_up_to_the_whole(found: list[tuple[int, str | None, int, int]], span: Span) -> None:
    series = series_of(kpi_of("ratio"), found)
    whole, parts = series.measure(span), series.parts("part", span)
    assert sum(part.numerator or 0 for part in parts.values()) == (whole.numerator or 0)
    assert sum(part.denominator or 0 for part in parts.values()) == (whole.denominator or 0)


@given(rows, spans)
def test_the_days_of_a_flow_add_up_to_its_period(found: list[tuple[int, str | None, int, int]], span: Span) -> None:
    series = series_of(kpi_of("sum"), found)
    days = [Span(day, day) for day in (span.first + timedelta(n) for n in range(span.days))]
    assert sum(value or 0 for value in series.trend(days)) == (series.measure(span).value or 0)


@given(rows, spans)
def test_the_rest_and_the_named_parts_are_the_whole(found: list[tuple[int, str | None, int, int]], span: Span) -> None:
    series = series_of(kpi_of("sum"), found)
    named = series.parts("part", span).get("a", NOTHING).numerator or 0
    assert named + (series.rest("part", ["a"], span).numerator or 0) == (series.measure(span).numerator or 0)


@given(rows, spans)
def test_a_median_is_that_of_the_rows(found: list[tuple[int, str | None, int, int]], span: Span) -> None:
    series = series_of(kpi_of("median"), found)
    chosen = [num for day, _, num, _ in found if span.first <= FIRST + timedelta(day) <= span.last]
    assert series.measure(span).value == pl.Series(chosen, dtype=pl.Float64).median()
    for part, measured in series.parts("part", span).items():
        chosen = [num for day, of, num, _ in found if of == part and span.first <= FIRST + timedelta(day) <= span.last]
        assert measured.value == pl.Series(chosen, dtype=pl.Float64).median()


def test_a_ratio_over_nothing_is_nothing_and_never_zero() -> None:
    series = series_of(kpi_of("ratio"), [(0, "a", 0, 0)])
    assert series.measure(Span(FIRST, FIRST)) == Measured(0.0, 0.0, None)


def test_a_median_of_medians_would_be_wrong_and_is_not_what_is_shown() -> None:
    series = series_of(kpi_of("median"), [(0, "a", 1, 0), (0, "b", 10, 0), (0, "b", 11, 0), (0, "b", 12, 0)])
    assert series.measure(Span(FIRST, FIRST)).value == 10.5


def test_a_stock_is_read_on_the_last_day_and_a_flow_is_summed() -> None:
    found = [(day, "a", 10 + day, 0) for day in range(10)]
    span = Span(FIRST, FIRST + timedelta(9))
    assert series_of(kpi_of("sum", snapshot=True), found).measure(span).value == 19
    assert series_of(kpi_of("sum"), found).measure(span).value == sum(range(10, 20))


def test_a_stock_whose_last_day_is_not_published_is_read_on_the_last_day_that_is() -> None:
    series = series_of(kpi_of("sum", snapshot=True), [(6, "a", 7, 0)], days=7)
    assert series.measure(Span(FIRST, FIRST + timedelta(9))).value == 7
    assert series.as_of(FIRST + timedelta(9)) == FIRST + timedelta(6)
    assert not series.covers(Span(FIRST, FIRST + timedelta(9)))


def test_a_published_day_without_rows_is_zero_for_a_sum() -> None:
    series = series_of(kpi_of("sum"), [(0, "a", 5, 0)])
    assert series.trend([Span(FIRST, FIRST), Span(FIRST + timedelta(1), FIRST + timedelta(1))]) == [5, 0]


def test_an_unpublished_day_is_nothing_and_not_zero() -> None:
    series = series_of(kpi_of("sum"), [(0, "a", 5, 0)], days=1)
    assert series.trend([Span(FIRST + timedelta(1), FIRST + timedelta(1))]) == [None]


def test_a_flow_is_not_drawn_over_days_that_are_partly_published() -> None:
    found: list[tuple[int, str | None, int, int]] = [(day, "a", 1, 0) for day in range(10)]
    half, whole = Span(FIRST - timedelta(3), FIRST), Span(FIRST, FIRST + timedelta(3))
    assert series_of(kpi_of("sum"), found).trend([half, whole]) == [None, 4]
    assert series_of(kpi_of("sum", snapshot=True), found).trend([half, whole]) == [1, 1]


def test_an_audience_that_never_had_a_row_sees_nothing_rather_than_zero() -> None:
    assert series_of(kpi_of("sum"), []).measure(Span(FIRST, FIRST)) == NOTHING


def test_subtracted_columns_and_filters_are_those_of_the_catalogue() -> None:
    frame = pl.DataFrame({"day": [FIRST], "promoters": [6], "passives": [3], "detractors": [1]})
    reduced = reduce_rows(KPIS["nps"], frame, day_column="day", drill_downs=[], in_reporting=True)
    assert Series(KPIS["nps"], reduced, frozenset([FIRST]), None).measure(Span(FIRST, FIRST)).value == 50


@pytest.mark.parametrize(("in_reporting", "expected"), [(True, "mrr_reporting_minor"), (False, "mrr_minor")])
def test_money_is_read_in_the_wanted_currency_where_there_are_both(in_reporting: bool, expected: str) -> None:
    both = ["mrr_minor", "mrr_reporting_minor"]
    for name in both:
        assert money_column(name, both, in_reporting=in_reporting) == expected
    assert money_column("collected_minor", ["collected_minor"], in_reporting=True) == "collected_minor"


def test_percentages_move_in_points_and_amounts_by_a_fraction() -> None:
    assert change(KPIS["on_time_departures"], 92.0, 90.0) == 2.0
    assert change(KPIS["mrr"], 110.0, 100.0) == pytest.approx(0.1)
    assert change(KPIS["mrr"], 110.0, 0.0) is None
    assert change(KPIS["mrr"], None, 100.0) is None
