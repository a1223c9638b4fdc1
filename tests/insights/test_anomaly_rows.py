"""The rows of kpi.kpi_anomalies: from KPI tables in a real warehouse to what is stored and warned of."""

from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from insights_tables import FIRST, build_warehouse

from analytics_platform.catalog import Catalog, load_catalog
from analytics_platform.insights.anomalies import ANOMALIES_TABLE, COLUMNS, anomaly_rows, days_to_write
from analytics_platform.warehouse import Warehouse
from asset_checks.anomalies import no_anomaly

DAYS = 130
LAST = FIRST + timedelta(DAYS - 1)
OUTAGE = LAST - timedelta(3)
TENANTS = ["brabant-rental", "delta-events"]


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return load_catalog()


@pytest.fixture
def warehouse(tmp_path: Path) -> Warehouse:
    """Quiet business, and one tenant whose leads stop on a day."""
    warehouse = build_warehouse(tmp_path, TENANTS, DAYS)
    leads = pl.DataFrame(warehouse.query("select * from kpi.kpi_qualified_leads"))
    stopped = (pl.col("tenant_id") == TENANTS[0]) & (pl.col("day") >= OUTAGE)
    warehouse.replace_table("kpi.kpi_qualified_leads", leads.filter(~stopped).to_arrow())
    return warehouse


def rows_of(warehouse: Warehouse, catalog: Catalog, first: date, last: date) -> pl.DataFrame:
    return pl.DataFrame(anomaly_rows(warehouse, catalog, first, last))


def test_every_kpi_has_a_row_for_each_tenant_and_for_all_on_each_day(warehouse: Warehouse, catalog: Catalog) -> None:
    rows = rows_of(warehouse, catalog, LAST, LAST)

    assert rows.columns == list(COLUMNS)
    headlines = rows.filter(pl.col("series") == "headline")
    assert headlines.height == len(catalog.kpis) * (len(TENANTS) + 1)
    assert set(headlines["tenant_id"]) == {*TENANTS, "all"}
    assert set(rows["series"]) == {"headline", "category=light", "channel=referral"}
    assert set(rows.filter(pl.col("series") != "headline")["tenant_id"]) == {"all"}
    assert not rows.select("day", "tenant_id", "kpi", "series").is_duplicated().any()


def test_leads_that_stop_are_an_anomaly_of_their_tenant_and_day(warehouse: Warehouse, catalog: Catalog) -> None:
    rows = rows_of(warehouse, catalog, OUTAGE, OUTAGE)
    (found,) = rows.filter(pl.col("tenant_id") == TENANTS[0], pl.col("is_anomaly")).to_dicts()

    assert (found["kpi"], found["observed"], found["rule"]) == ("qualified_leads", 0.0, "seasonal")
    assert found["expected"] == pytest.approx(40, abs=3)
    assert found["score"] < -3.8
    assert found["reason"].startswith("0 is outside of the expected")
    facts = no_anomaly(rows.filter(pl.col("kpi") == "qualified_leads").to_dicts())
    assert not facts.passed
    assert any(f"{OUTAGE} {TENANTS[0]} headline" in offender for offender in facts.offenders)


def test_a_day_that_is_built_alone_has_the_rows_that_it_has_among_others(
    warehouse: Warehouse, catalog: Catalog
) -> None:
    whole = rows_of(warehouse, catalog, FIRST, LAST)
    for day in (FIRST, FIRST + timedelta(60), OUTAGE):
        assert rows_of(warehouse, catalog, day, day).equals(whole.filter(pl.col("day") == day)), day


def test_too_little_history_is_a_row_that_says_so(warehouse: Warehouse, catalog: Catalog) -> None:
    rows = rows_of(warehouse, catalog, FIRST + timedelta(5), FIRST + timedelta(5))
    young = rows.filter(pl.col("kpi") == "mrr")

    assert young["reason"].to_list() == ["too little history to say"] * 3
    assert young["score"].null_count() == young["expected"].null_count() == 3
    assert not young["is_anomaly"].any()


def test_what_is_not_final_yet_is_not_judged_until_it_is(warehouse: Warehouse, catalog: Catalog) -> None:
    on_time = pl.col("kpi") == "on_time_departures"
    rows = rows_of(warehouse, catalog, LAST - timedelta(2), LAST).filter(on_time, pl.col("tenant_id") == "all")

    assert rows["rule"].to_list() == ["seasonal", "settling", "settling"]
    assert rows["score"].is_null().to_list() == [False, True, True]
    assert rows["observed"].null_count() == 0
    assert "not final until 2 days later" in rows["reason"][2]


def test_a_run_writes_the_older_days_that_settle_with_it_where_they_were_written_before(
    warehouse: Warehouse, catalog: Catalog
) -> None:
    assert days_to_write(warehouse, catalog, LAST, LAST) == (LAST, LAST)
    first = LAST - timedelta(4)
    warehouse.replace_days(ANOMALIES_TABLE, anomaly_rows(warehouse, catalog, first, LAST), first, LAST)
    assert days_to_write(warehouse, catalog, LAST, LAST) == (first, LAST)


def test_the_total_of_a_ratio_is_in_the_reporting_currency(warehouse: Warehouse, catalog: Catalog) -> None:
    rows = rows_of(warehouse, catalog, LAST, LAST).filter(pl.col("kpi") == "invoice_collection_rate")
    observed = dict(rows.select("tenant_id", "observed").iter_rows())

    assert observed[TENANTS[0]] == pytest.approx(90, abs=10)
    assert observed["all"] == pytest.approx(80, abs=8)


def test_a_quiet_day_passes_with_its_numbers(warehouse: Warehouse, catalog: Catalog) -> None:
    rows = rows_of(warehouse, catalog, OUTAGE, OUTAGE).filter(pl.col("kpi") == "mrr")
    facts = no_anomaly(rows.to_dicts())

    assert facts.passed
    assert facts.counts == {"series_days": 3, "judged_series_days": 3, "anomalies": 0}
