"""Views against SQL over the same tables, and against each other."""

from datetime import timedelta
from typing import Any

import pytest

from analytics_platform.catalog import Audience
from analytics_platform.reporting import shown
from analytics_platform.reporting.dashboards import load_page_rows
from analytics_platform.reporting.page import payload_element
from analytics_platform.reporting.payload import Pages
from asset_checks.view_figures import ViewFigure, shown_views, view_sql, views_equal_warehouse
from reporting.conftest import Published
from reporting.kpi_tables import BUCKETS, LAST_DAY

FINANCE, ALBION = Audience("finance"), Audience("tenant_viewer", "albion-stage")


@pytest.fixture(scope="module")
def finance(published: Published) -> Pages:
    return Pages(published.catalog, load_page_rows(published.store, published.catalog, "finance", LAST_DAY))


def view(pages: Pages, audience: Audience, name: str) -> dict[str, Any]:
    return next(each for each in pages.payload(audience)["views"] if each["name"] == name)


def total(told: dict[str, Any], period: str, measure: str, codes: dict[str, int] | None = None) -> float | None:
    slots = told["periods"][period]["slots"]
    slot = slots["total"] if slots["total"] is not None else slots["buckets"][1] - 1
    return shown.added(told["cube"], codes or {}, measure, [slot])


def one(published: Published, sql: str) -> float | None:
    found: float | None = published.warehouse.query(sql).column(0)[0].as_py()
    return found


@pytest.mark.parametrize("dashboard", ["finance", "operations", "customer_health", "growth"])
def test_every_view_equals_sql_whole_and_with_each_filter(published: Published, dashboard: str) -> None:
    pages = Pages(published.catalog, load_page_rows(published.store, published.catalog, dashboard, LAST_DAY))
    page = payload_element(pages.payload(Audience("admin"))).encode()
    figures = list(shown_views(published.catalog, published.catalog.dashboards[dashboard], page))
    computed = []
    for figure in figures:
        columns = published.warehouse.query(f"select * from {figure.source} limit 0").column_names
        computed.append(published.warehouse.query(*view_sql(columns, figure)).to_pylist()[0])
    facts = views_equal_warehouse(figures, computed)
    assert facts.passed, facts.offenders
    assert {figure.view.name for figure in figures} == {
        each.name for each in published.catalog.dashboards[dashboard].views
    }
    assert not views_equal_warehouse(figures, [dict.fromkeys(row, -1.0) for row in computed]).passed


def test_a_view_that_shows_nothing_is_right_where_the_warehouse_has_nothing(published: Published) -> None:
    view = published.catalog.dashboards["growth"].views[0]
    silent = ViewFigure(view, "kpi.none", "day", LAST_DAY, LAST_DAY, {}, {"reached": None})
    assert views_equal_warehouse([], []).passed
    assert views_equal_warehouse([silent], [{"reached": 0.0}]).passed
    assert not views_equal_warehouse([silent], [{"reached": 5.0}]).passed


@pytest.mark.parametrize("audience", [FINANCE, ALBION])
def test_the_bridge_leads_from_opening_to_closing_to_the_cent(
    published: Published, finance: Pages, audience: Audience
) -> None:
    bridge = view(finance, audience, "mrr_bridge")
    amounts = {name: total(bridge, "13w", name) or 0 for name in bridge["measures"]}
    closing = amounts.pop("closing")
    assert closing == sum(amounts.values())
    column = "mrr_minor" if audience.tenant else "mrr_reporting_minor"
    own = f"and tenant_id = '{audience.tenant}'" if audience.tenant else ""
    assert closing == one(
        published, f"select sum({column})::double from kpi.kpi_mrr where day = date '{LAST_DAY}' {own}"
    )
    before = LAST_DAY - timedelta(91)
    assert amounts["opening"] == one(
        published, f"select sum({column})::double from kpi.kpi_mrr where day = date '{before}' {own}"
    )


def test_the_bridge_of_a_period_that_is_not_published_in_full_says_nothing(finance: Pages) -> None:
    bridge = view(finance, FINANCE, "mrr_bridge")
    assert {total(bridge, "12m", name) for name in bridge["measures"]} == {None}


def test_ages_of_receivables_are_in_the_pages_currency(published: Published, finance: Pages) -> None:
    for audience, suffix, own in (
        (FINANCE, "_reporting", ""),
        (ALBION, "", "and tenant_id = 'albion-stage'"),
    ):
        told = view(finance, audience, "receivables_ageing")
        assert told["currency"] == ("GBP" if audience.tenant else "EUR")
        for bucket in BUCKETS:
            amount = f"sum({bucket}{suffix}_minor)::double"
            sql = f"select {amount} from kpi.kpi_receivables where day = date '{LAST_DAY}' {own}"
            assert total(told, "13w", bucket) == one(published, sql)


def test_a_cohorts_month_that_is_not_over_is_not_shown(published: Published) -> None:
    earlier = LAST_DAY - timedelta(1)
    pages = Pages(published.catalog, load_page_rows(published.store, published.catalog, "finance", earlier))
    cohorts, numbers = (axis["values"] for axis in view(pages, FINANCE, "customer_cohorts")["axes"])
    assert cohorts[-1] == "2026-05-01"
    assert [int(number) for number in numbers] == list(range(len(cohorts)))
    on_time = Pages(published.catalog, load_page_rows(published.store, published.catalog, "finance", LAST_DAY))
    assert view(on_time, FINANCE, "customer_cohorts")["axes"][0]["values"][-1] == "2026-06-01"


def test_a_filter_leaves_of_a_view_what_is_the_filters(published: Published, finance: Pages) -> None:
    payload = finance.payload(FINANCE)
    told = view(finance, FINANCE, "receivables_ageing")
    code = payload["dimensions"]["booking_value_band"]["values"].index("under_500")
    sql = (
        "select sum(not_due_reporting_minor)::double from kpi.kpi_receivables "
        f"where day = date '{LAST_DAY}' and booking_value_band = 'under_500'"
    )
    assert total(told, "30d", "not_due", {"booking_value_band": code}) == one(published, sql)


def test_an_axis_keeps_the_order_that_is_declared(published: Published) -> None:
    pages = Pages(published.catalog, load_page_rows(published.store, published.catalog, "operations", LAST_DAY))
    (axis,) = view(pages, Audience("operations"), "departure_delays")["axes"]
    assert axis["values"][0] == "0_on_plan"
    assert axis["values"] == sorted(axis["values"])
