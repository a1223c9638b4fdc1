"""Figures of a page against figures of the warehouse."""

from datetime import date

import duckdb
import pytest

from analytics_platform.catalog import Audience, load_catalog
from analytics_platform.reporting.page import payload_element
from asset_checks.figures import ShownFigure, figures_equal_warehouse, headline_sql, question_of, shown_figures

CATALOG = load_catalog()
DAY = date(2026, 3, 5)
DELTA = Audience("tenant_viewer", "delta-events")


def figure(kpi: str, value: float | None, audience: str = "delta-events", first: date = DAY) -> ShownFigure:
    return ShownFigure(audience, kpi, "30d", first, DAY, value)


def page(kpi: str, as_of: str | None = "2026-03-04") -> bytes:
    """One number in one cell, without drill-downs."""
    declared = CATALOG.kpis[kpi]
    slots = {"buckets": [0, 1], "previous": [0, 0], "total": None, "previous_total": None}
    told = {
        "name": kpi,
        "as_of": as_of,
        "kind": declared.headline.kind,
        "scale": 1,
        "snapshot": declared.headline.snapshot,
        "drill_downs": [],
        "periods": {"30d": {"first": "2026-02-04", "last": "2026-03-05", "slots": slots}},
        "cube": {"dims": [], "codes": [], "slots": 1, "data": {"numerator": [9], "denominator": [3]}},
    }
    return payload_element({"kpis": [told], "dimensions": {}}).encode()


def test_a_flow_covers_its_period_up_to_the_last_published_day() -> None:
    (shown,) = shown_figures(CATALOG, DELTA, page("on_time_departures"))
    assert (shown.first, shown.last, shown.value) == (date(2026, 2, 4), date(2026, 3, 4), 3.0)


def test_a_stock_covers_the_last_published_day_alone() -> None:
    (shown,) = shown_figures(CATALOG, DELTA, page("nps"))
    assert (shown.first, shown.last) == (date(2026, 3, 4), date(2026, 3, 4))


def test_money_is_compared_on_pages_of_all_tenants_and_all_else_on_tenants_pages() -> None:
    assert list(shown_figures(CATALOG, DELTA, page("mrr"))) == []
    assert len(list(shown_figures(CATALOG, Audience("finance"), page("mrr")))) == 1
    assert list(shown_figures(CATALOG, Audience("finance"), page("nps"))) == []


def test_a_page_without_figures_is_an_error_and_no_pass() -> None:
    with pytest.raises(ValueError, match="no payload"):
        list(shown_figures(CATALOG, DELTA, b"<p>hello</p>"))
    assert not figures_equal_warehouse([], {}).passed


def value_of(shown: ShownFigure, rows: str) -> float | None:
    kpi = CATALOG.kpis[shown.kpi]
    sql, parameters = headline_sql(kpi, question_of(shown))
    with duckdb.connect() as connection:
        schema = kpi.headline_table.split(".")[0]
        connection.execute(f"create schema {schema}")
        connection.execute(f"create table {kpi.headline_table} as {rows}")
        found = {audience: value for audience, _, value in connection.execute(sql, parameters).fetchall()}
        return found[shown.audience]


def test_a_ratio_is_summed_before_it_is_divided_and_leaves_other_tenants_out() -> None:
    rows = """
        select date '2026-03-05' as day, 'delta-events' as tenant_id, 3 as on_time, 4 as planned
        union all select date '2026-03-04', 'delta-events', 1, 6
        union all select date '2026-03-05', 'other', 9, 9
        union all select date '2026-02-01', 'delta-events', 9, 9"""
    assert value_of(figure("on_time_departures", None, first=date(2026, 3, 4)), rows) == pytest.approx(40)


def test_a_score_subtracts_and_a_zero_denominator_is_nothing() -> None:
    rows = (
        "select date '2026-03-05' as day, 'delta-events' as tenant_id, "
        "{} as promoters, {} as passives, {} as detractors"
    )
    assert value_of(figure("nps", None), rows.format(6, 2, 2)) == pytest.approx(40)
    assert value_of(figure("nps", None), rows.format(0, 0, 0)) is None


def test_equal_figures_pass_and_nothing_equals_nothing_at_all() -> None:
    shown = [figure("nps", 40.0), figure("qualified_leads", 0.0)]
    facts = figures_equal_warehouse(shown, {shown[0].name: 40.0 + 1e-12, shown[1].name: None})
    assert facts.passed
    assert facts.counts == {"figures": 2}


def test_a_figure_that_differs_is_named_with_both_values() -> None:
    shown = figure("nps", 40.0)
    assert figures_equal_warehouse([shown], {shown.name: 41.0}).offenders == [
        "delta-events nps 30d: page 40.0, warehouse 41.0"
    ]
