"""What a BI tool may add up by itself: of the catalogue as it is, and of each declaration that says no."""

from __future__ import annotations

import pytest

from analytics_platform.catalog import Catalog, Dashboard, Extract, load_catalog
from analytics_platform.reporting.addable import addable_columns

CATALOG = load_catalog()


def found(dashboard: str, extract: str, catalog: Catalog = CATALOG) -> frozenset[str]:
    board = catalog.dashboards[dashboard]
    return addable_columns(catalog, board, extract_of(board, extract))


def extract_of(board: Dashboard, name: str) -> Extract:
    return next(each for each in board.extracts if each.name == name)


def with_board(board: Dashboard) -> Catalog:
    return CATALOG.model_copy(update={"dashboards": {**CATALOG.dashboards, board.name: board}})


@pytest.mark.parametrize(
    ("dashboard", "extract"),
    [
        ("finance", "mrr"),
        ("finance", "mrr_by_customer"),
        ("finance", "invoice_collection_rate"),
        ("finance", "invoice_collection_by_project"),
        ("finance", "receivables"),
        ("finance", "customer_cohorts"),
        ("operations", "equipment_utilisation"),
        ("customer_health", "nps"),
        ("growth", "channel_conversion"),
        ("growth", "lead_cohorts"),
    ],
)
def test_rows_that_tell_one_thing_more_than_once_are_never_added_up(dashboard: str, extract: str) -> None:
    assert found(dashboard, extract) == frozenset()


@pytest.mark.parametrize(
    ("dashboard", "extract", "columns"),
    [
        ("operations", "on_time_departures", {"planned", "departed", "on_time", "cancelled", "never_departed"}),
        ("operations", "departure_delays", {"departed", "late"}),
        ("customer_health", "ticket_resolution", {"resolved"}),
        ("growth", "qualified_leads", {"qualified_leads", "est_value_reporting_minor"}),
        ("growth", "flow_conversion", {"reached_runs", "completed_runs", "failed_runs", "abandoned_runs"}),
    ],
)
def test_what_happened_on_a_day_adds_up_over_days(dashboard: str, extract: str, columns: set[str]) -> None:
    assert found(dashboard, extract) == columns


def test_a_stock_is_one_by_its_kpi_alone_where_no_view_shows_it() -> None:
    finance = CATALOG.dashboards["finance"].model_copy(update={"views": ()})
    catalog = with_board(finance)
    assert found("finance", "mrr", catalog) == found("finance", "mrr_by_customer", catalog) == frozenset()
    assert "open_invoices" in found("finance", "receivables", catalog)


def test_a_stock_is_one_by_a_view_alone_that_takes_an_edge_of_the_period() -> None:
    flows = CATALOG.model_copy(
        update={
            "kpis": {
                name: kpi.model_copy(update={"headline": kpi.headline.model_copy(update={"snapshot": False})})
                for name, kpi in CATALOG.kpis.items()
            }
        }
    )
    assert found("finance", "mrr", flows) == found("customer_health", "nps", flows) == frozenset()
    assert found("finance", "mrr_by_customer", flows) == {"mrr_minor", "mrr_reporting_minor"}


def test_cohorts_are_such_by_their_month_also_where_no_view_shows_them() -> None:
    growth = CATALOG.dashboards["growth"].model_copy(update={"views": ()})
    assert found("growth", "lead_cohorts", with_board(growth)) == frozenset()
