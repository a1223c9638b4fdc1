"""What the generated DAX calculates is what every page shows: the same rule, from two sides, on random rows."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import polars as pl
import pytest

from analytics_platform.catalog import Kpi
from analytics_platform.reporting.measures import Series, change, reduce_rows
from analytics_platform.reporting.periods import Span
from analytics_platform.reporting.power_bi.measures import change_of, kpi_measures, previous_of, target_of
from analytics_platform.reporting.power_bi.model import Fact
from reporting.dax_machine import DATES, Machine
from reporting.power_bi_projects import catalog, model

FIRST, DAYS = date(2026, 1, 1), 140
TENANTS = ["alpha", "b-c"]


def rows_of(kpi: Kpi, fact: Fact, dice: random.Random) -> list[dict[str, Any]]:
    """At least a row a day; texts of few values, some nulls, the filter's value among others."""
    found = []
    for number in range(DAYS):
        for _ in range(dice.randint(2, 6)):
            row: dict[str, Any] = {}
            for column in fact.extract.columns:
                if column.type in ("integer", "number"):
                    row[column.name] = dice.choice([None, 0, dice.randint(-50, 400)])
                else:
                    row[column.name] = dice.choice(["x", "y", *kpi.headline.filter.values()])
            row |= {fact.extract.day_column: FIRST + timedelta(number), "tenant_id": dice.choice(TENANTS)}
            found.append(row)
    return found


def machine_of(kpi: Kpi, fact: Fact, rows: list[dict[str, Any]]) -> Machine:
    dates = [{"Date": FIRST + timedelta(number)} for number in range(DAYS)]
    measures = {each.name: each.expression for each in kpi_measures(model(), kpi)}
    return Machine({fact.name: rows, "Date": dates}, {fact.name: fact.extract.day_column}, measures)


def series_of(kpi: Kpi, fact: Fact, rows: list[dict[str, Any]]) -> Series:
    frame = (
        pl.DataFrame(rows, infer_schema_length=None)
        if rows
        else pl.DataFrame(schema=[c.name for c in fact.extract.columns])
    )
    reduced = reduce_rows(kpi, frame, day_column=fact.extract.day_column, drill_downs=[], in_reporting=True)
    return Series(kpi, reduced, frozenset(FIRST + timedelta(number) for number in range(DAYS)), None)


def shown(kpi: Kpi, series: Series, span: Span) -> float | None:
    """The figure as a page shows it: cohorts that are mature, money in whole units."""
    newest = FIRST + timedelta(DAYS - 1 - (kpi.settling_days if kpi.is_cohort else 0))
    last = min(span.last, newest)
    value = series.measure(Span(span.first, last)).value if last >= span.first else None
    return value / 100 if value is not None and kpi.unit == "money_minor" else value


def spans(dice: random.Random) -> list[Span]:
    found = [Span(FIRST, FIRST + timedelta(DAYS - 1)), Span(FIRST, FIRST)]
    found.append(Span(FIRST + timedelta(20), FIRST + timedelta(29)))
    for _ in range(6):
        start = dice.randint(0, DAYS - 1)
        found.append(Span(FIRST + timedelta(start), FIRST + timedelta(dice.randint(start, DAYS - 1))))
    return found


def days_of(span: Span) -> frozenset[date]:
    return frozenset(span.first + timedelta(number) for number in range(span.days))


def same(found: float | None, wanted: float | None) -> bool:
    return found == wanted if found is None or wanted is None else found == pytest.approx(wanted)


@pytest.mark.parametrize("name", catalog().kpis)
def test_a_measure_is_the_headline_over_any_period_and_part(name: str) -> None:
    kpi, fact = catalog().kpis[name], model().kpis[name]
    dice = random.Random(name)
    rows = rows_of(kpi, fact, dice)
    machine = machine_of(kpi, fact, rows)
    parts: list[Mapping[tuple[str, str], frozenset[Any]]] = [{}, {(fact.name, "tenant_id"): frozenset({"alpha"})}]
    for part in parts:
        seen = [row for row in rows if all(row[column] in allowed for (_, column), allowed in part.items())]
        series = series_of(kpi, fact, seen)
        for span in spans(dice):
            found = machine.value(kpi.title, {**part, DATES: days_of(span)})
            wanted = shown(kpi, series, span)
            assert same(found, wanted), (span, part, found, wanted)


@pytest.mark.parametrize("name", catalog().kpis)
def test_the_change_is_on_the_period_of_equal_length_just_before(name: str) -> None:
    kpi, fact = catalog().kpis[name], model().kpis[name]
    dice = random.Random(name)
    rows = rows_of(kpi, fact, dice)
    machine, series = machine_of(kpi, fact, rows), series_of(kpi, fact, rows)
    compared = 0
    for span in spans(dice):
        before = Span(span.first - timedelta(span.days), span.first - timedelta(1))
        context = {DATES: days_of(span)}
        wanted = shown(kpi, series, before) if before.first >= FIRST else None
        assert same(machine.value(previous_of(kpi), context), wanted)
        assert same(machine.value(change_of(kpi), context), change(kpi, shown(kpi, series, span), wanted))
        compared += wanted is not None
    assert compared


def test_a_sum_is_zero_where_a_part_has_rows_on_other_days_and_blank_where_it_never_had_one() -> None:
    kpi, fact = catalog().kpis["qualified_leads"], model().kpis["qualified_leads"]
    row = {column.name: "x" for column in fact.extract.columns} | {
        "day": FIRST,
        "tenant_id": "alpha",
        "qualified_leads": 3,
    }
    machine = machine_of(kpi, fact, [row])
    later = {DATES: frozenset({FIRST + timedelta(5)})}
    assert machine.value(kpi.title, {DATES: frozenset({FIRST})}) == 3
    assert machine.value(kpi.title, later) == 0
    assert machine.value(kpi.title, {**later, (fact.name, "tenant_id"): frozenset({"b-c"})}) is None


def test_a_ratio_of_nothing_is_zero_and_of_no_rows_blank() -> None:
    kpi, fact = catalog().kpis["equipment_utilisation"], model().kpis["equipment_utilisation"]
    row = {column.name: "x" for column in fact.extract.columns} | {"day": FIRST, "on_rent_items": None}
    for fleet, wanted in ((8, 0), (0, None), (None, None)):
        machine = machine_of(kpi, fact, [{**row, "fleet_items": fleet}])
        assert machine.value(kpi.title, {DATES: frozenset({FIRST})}) == wanted
        assert machine.value(kpi.title, {DATES: frozenset({FIRST + timedelta(1)})}) is None


def test_a_target_is_the_catalogues() -> None:
    for kpi in catalog().kpis.values():
        if kpi.target is not None:
            machine = machine_of(kpi, model().kpis[kpi.name], [])
            assert machine.value(target_of(kpi), {}) == kpi.target
