"""In which currency a verdict is, told after it was given."""

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest

from analytics_platform.catalog import Catalog, load_catalog
from analytics_platform.insights.currencies import own_currencies, with_currencies
from analytics_platform.insights.rules import DAYS_READ
from analytics_platform.warehouse import Warehouse
from analytics_platform.warehouse.duckdb import DuckDBWarehouse

LAST = date(2026, 6, 30)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """Pounds every day of two years, and euros on one, long before the last; a row of 0 euros on every other."""
    days = [LAST - timedelta(n) for n in range(730)]
    rows = [
        {
            "day": day,
            "tenant_id": "albion-stage",
            "currency": currency,
            "mrr_minor": amount,
            "mrr_reporting_minor": amount,
        }
        for day in days
        for currency, amount in (("GBP", 900_000), ("EUR", 1_000 if day == days[400] else 0))
    ]
    warehouse = DuckDBWarehouse(tmp_path / "warehouse.duckdb")
    warehouse.replace_table("kpi.kpi_mrr", pl.DataFrame(rows).to_arrow())
    return warehouse


def test_a_verdict_is_in_the_one_currency_that_all_it_looks_back_on_is_in(
    warehouse: Warehouse, catalog: Catalog
) -> None:
    came, gone = LAST - timedelta(400), LAST - timedelta(400 - DAYS_READ - 1)
    own = own_currencies(warehouse, catalog.kpis["mrr"], came - timedelta(1), gone)
    assert own == {("albion-stage", day): "GBP" for day in (came - timedelta(1), gone)}


def test_a_row_of_what_is_no_money_or_of_all_tenants_has_no_currency_of_its_own(
    warehouse: Warehouse, catalog: Catalog
) -> None:
    keys = [("mrr", "albion-stage"), ("mrr", "all"), ("invoice_collection_rate", "albion-stage")]
    rows = [{"kpi": kpi, "tenant_id": tenant, "day": LAST} for kpi, tenant in keys]
    assert [row["currency"] for row in with_currencies(warehouse, catalog, rows)] == ["GBP", None, None]
    assert with_currencies(warehouse, catalog, []) == []


def test_a_table_that_was_never_built_tells_no_currency(tmp_path: Path, catalog: Catalog) -> None:
    assert own_currencies(DuckDBWarehouse(tmp_path / "none.duckdb"), catalog.kpis["mrr"], LAST, LAST) == {}
