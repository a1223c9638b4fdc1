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
EVERY_DAY = [FIRST + timedelta(n) for n in range(DAYS)]
RATE_MOVES = FIRST + timedelta(80)
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


def test_a_ratio_is_in_the_reporting_currency_for_a_tenant_and_for_all(warehouse: Warehouse, catalog: Catalog) -> None:
    """A tenant may invoice in two currencies, whose minor units cannot be added."""
    invoiced = [("EUR", 100_000, 100_000, 1.0), ("SEK", 1_000_000, 0, 0.09)]
    warehouse.replace_table(
        "kpi.kpi_invoice_collection_rate",
        pl.DataFrame(
            {"day": day, "tenant_id": TENANTS[0], "basis": "due", "currency": currency}
            | {"collected_minor": collected, "collected_reporting_minor": round(collected * rate)}
            | {"net_invoiced_minor": net, "net_invoiced_reporting_minor": round(net * rate)}
            for day in EVERY_DAY
            for currency, net, collected, rate in invoiced
        ).to_arrow(),
    )
    rows = rows_of(warehouse, catalog, LAST, LAST).filter(pl.col("kpi") == "invoice_collection_rate")

    assert dict(rows.select("tenant_id", "observed").iter_rows()) == {
        TENANTS[0]: pytest.approx(100 / 1.9),
        "all": pytest.approx(100 / 1.9),
    }


def fill_mrr(warehouse: Warehouse, euros_from: date | None = None) -> None:
    """A tenant with 9,000 pounds every day, whose rate rises on `RATE_MOVES`; 10 euros besides from a day on."""
    rows = [
        {"day": day, "currency": "GBP", "mrr_minor": 900_000, "mrr_reporting_minor": 990_000 + 90_000 * is_risen}
        for day in EVERY_DAY
        for is_risen in [day >= RATE_MOVES]
    ] + [
        # A currency keeps its rows when its last customer has gone; they are not amounts.
        {"day": day, "currency": "EUR", "mrr_minor": amount, "mrr_reporting_minor": amount}
        for day in EVERY_DAY
        for amount in [1_000 if euros_from and day >= euros_from else 0]
    ]
    warehouse.replace_table("kpi.kpi_mrr", pl.DataFrame(rows).with_columns(tenant_id=pl.lit("albion-stage")).to_arrow())


def mrr_of(warehouse: Warehouse, catalog: Catalog, first: date, last: date) -> pl.DataFrame:
    return rows_of(warehouse, catalog, first, last).filter(pl.col("kpi") == "mrr")


def test_a_tenants_money_is_judged_in_its_own_currency(warehouse: Warehouse, catalog: Catalog) -> None:
    fill_mrr(warehouse)
    rows = mrr_of(warehouse, catalog, RATE_MOVES, RATE_MOVES)

    by_tenant = {row["tenant_id"]: row for row in rows.to_dicts()}
    assert (by_tenant["albion-stage"]["observed"], by_tenant["albion-stage"]["is_anomaly"]) == (900_000, False)
    assert by_tenant["all"]["observed"] == 1_080_000


def test_a_tenants_money_in_several_currencies_is_judged_in_the_reporting_currency(
    warehouse: Warehouse, catalog: Catalog
) -> None:
    arrives = RATE_MOVES + timedelta(20)
    fill_mrr(warehouse, euros_from=arrives)
    rows = mrr_of(warehouse, catalog, arrives - timedelta(2), arrives + timedelta(2))

    own = rows.filter(pl.col("tenant_id") == "albion-stage").sort("day")
    assert own["observed"].to_list() == [900_000, 900_000, 1_081_000, 1_081_000, 1_081_000]
    assert own["expected"].to_list()[2] == pytest.approx(1_080_000)
    assert not own["is_anomaly"].any()
    for day in (arrives - timedelta(1), arrives):
        assert mrr_of(warehouse, catalog, day, day).equals(rows.filter(pl.col("day") == day))


def test_a_quiet_day_passes_with_its_numbers(warehouse: Warehouse, catalog: Catalog) -> None:
    rows = rows_of(warehouse, catalog, OUTAGE, OUTAGE).filter(pl.col("kpi") == "mrr")
    facts = no_anomaly(rows.to_dicts())

    assert facts.passed
    assert facts.counts == {"series_days": 3, "judged_series_days": 3, "anomalies": 0}
