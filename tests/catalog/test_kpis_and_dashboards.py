"""The KPIs, dashboards and extracts that are shipped, against the tables that the KPI definitions promise."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from analytics_platform.catalog import Catalog, load_catalog
from analytics_platform.insights.anomalies import ANOMALIES_TABLE, COLUMNS

MODELS = Path(__file__).resolve().parents[2] / "dbt" / "models" / "kpi"

# The columns that the KPI definitions keep stable, keys included. `kpi_ticket_resolution` is told there in
# words; the names here are those of the models.
RESOLUTION = [f"{of}_{which}_resolution_minutes" for of in ("median", "p90", "mean") for which in ("first", "final")]
PROMISED = {
    "kpi.kpi_mrr": "day tenant_id currency project_id mrr_minor mrr_reporting_minor active_customers new_minor "
    "expansion_minor contraction_minor churn_minor reactivation_minor fx_minor",
    "kpi.kpi_invoice_collection_rate": "day tenant_id basis currency collected_minor net_invoiced_minor "
    "invoices collected_reporting_minor net_invoiced_reporting_minor",
    "kpi.kpi_equipment_utilisation": "day tenant_id category warehouse_id fleet_items on_rent_items maintenance_items "
    "fleet_cost_minor on_rent_cost_minor",
    "kpi.kpi_on_time_departures": "day tenant_id warehouse_id planned departed on_time cancelled never_departed",
    "kpi.kpi_nps": "day tenant_id touchpoint promoters passives detractors",
    "kpi.kpi_ticket_resolution": f"day tenant_id priority category resolved {' '.join(RESOLUTION)}",
    "kpi.kpi_qualified_leads": "day tenant_id channel campaign qualified_leads est_value_reporting_minor",
    "kpi.kpi_channel_conversion": "day tenant_id channel model created converted converted_value_reporting_minor",
    "marts.fct_ticket_resolutions": "resolved_on tenant_id ticket_id priority category opened_at first_resolved_at "
    "resolved_at reopen_count first_resolution_minutes final_resolution_minutes "
    "first_resolution_business_minutes final_resolution_business_minutes on_hold_minutes",
}


def test_the_eight_kpis_have_their_domain_and_owner(catalog: Catalog) -> None:
    assert {kpi.name: (kpi.domain, kpi.owner) for kpi in catalog.kpis.values()} == {
        "mrr": ("revenue", "finance"),
        "invoice_collection_rate": ("revenue", "finance"),
        "equipment_utilisation": ("operations", "operations"),
        "on_time_departures": ("operations", "operations"),
        "nps": ("customer_success", "customer_success"),
        "ticket_resolution": ("customer_success", "customer_success"),
        "qualified_leads": ("growth", "growth"),
        "channel_conversion": ("growth", "growth"),
    }


def test_the_kpi_of_a_name_has_the_table_of_that_name(catalog: Catalog) -> None:
    assert {kpi.table for kpi in catalog.kpis.values()} == {f"kpi.kpi_{name}" for name in catalog.kpis}


def test_five_dashboards_and_the_overview_shows_every_kpi(catalog: Catalog) -> None:
    assert list(catalog.dashboards) == ["executive_overview", "finance", "operations", "customer_health", "growth"]
    assert catalog.dashboards["executive_overview"].kpis == tuple(catalog.kpis)


def test_extracts_have_only_columns_that_their_tables_promise(catalog: Catalog) -> None:
    cut = [e for dashboard in catalog.dashboards.values() for e in dashboard.extracts if e.source is not None]
    for extract in cut:
        assert {column.name for column in extract.columns} <= promised_columns(str(extract.source)), extract.name
    assert {extract.source for extract in cut} >= set(PROMISED)


def promised_columns(table: str) -> set[str]:
    """The columns of a table's contract; that of anomalies is the code's that writes it."""
    if table == ANOMALIES_TABLE:
        return set(COLUMNS)
    name = table.partition(".")[2]
    return {column["name"] for model in models() if model["name"] == name for column in model["columns"]}


@cache
def models() -> list[dict[str, Any]]:
    """What stands beside the models."""
    texts = (path.read_text() for path in MODELS.parent.rglob("_*.yml"))
    return [model for text in texts for model in yaml.load(text, Loader=yaml.CSafeLoader).get("models", ())]


def test_one_extract_is_computed_and_it_is_the_overviews(catalog: Catalog) -> None:
    computed = [(d.name, e.name) for d in catalog.dashboards.values() for e in d.extracts if e.source is None]
    assert computed == [("executive_overview", "kpi_headlines")]


@pytest.mark.parametrize("name", ["mrr", "invoice_collection_rate", "nps"])
def test_stocks_are_read_on_the_last_day(catalog: Catalog, name: str) -> None:
    assert catalog.kpis[name].headline.snapshot


def test_the_net_promoter_score_subtracts_detractors(catalog: Catalog) -> None:
    headline = catalog.kpis["nps"].headline

    assert headline.numerator == ("promoters", "-detractors")
    assert headline.denominator == ("promoters", "passives", "detractors")
    assert headline.scale == 100


def test_headlines_of_tables_with_parallel_rows_pick_one_of_them(catalog: Catalog) -> None:
    assert catalog.kpis["invoice_collection_rate"].headline.filter == {"basis": "due"}
    assert catalog.kpis["channel_conversion"].headline.filter == {"model": "first_touch"}


def test_a_median_is_read_from_the_tickets_themselves(catalog: Catalog) -> None:
    kpi = catalog.kpis["ticket_resolution"]

    assert kpi.headline_table == "marts.fct_ticket_resolutions"
    assert kpi.columns == {"final_resolution_minutes", "resolved_on", "tenant_id", "priority", "category"}


def test_percentages_have_targets_between_0_and_100(catalog: Catalog) -> None:
    for kpi in catalog.kpis.values():
        if kpi.unit == "percent":
            assert kpi.headline.kind == "ratio"
            assert kpi.target is not None
            assert 0 < kpi.target <= 100


def test_models_settle_for_as_many_days_as_the_catalogue_declares() -> None:
    declared = {kpi.table.split(".")[1]: kpi.settling_days for kpi in load_catalog().kpis.values()}
    configured = {
        path.stem: int(found[1]) if (found := re.search(r"settling_days=(\d+)", path.read_text())) else 0
        for path in MODELS.rglob("kpi_*.sql")
    }
    assert {name: configured[name] for name in declared} == declared
