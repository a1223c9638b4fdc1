from datetime import date, timedelta
from functools import partial
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analytics_platform.catalog import Catalog, Extract, ExtractColumn, load_catalog
from analytics_platform.lake.store import LocalStore
from analytics_platform.reporting.extracts import (
    ExtractMissingError,
    ExtractPrivacyError,
    ExtractSchemaError,
    arrow_schema,
    extract_paths,
    published_days,
    read_extract,
)
from analytics_platform.reporting.headlines import days_still_moving
from analytics_platform.warehouse import DuckDBWarehouse
from reporting.conftest import Published
from reporting.kpi_tables import LAST_DAY, KpiTables, publish_extract, write_kpi_tables

FIRST = LAST_DAY - timedelta(6)


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "lake")


def with_extract(catalog: Catalog, changed: Extract, dashboard: str = "finance") -> Catalog:
    """The catalogue with one extract declared otherwise."""
    declared = catalog.dashboards[dashboard]
    extracts = tuple(changed if extract.name == changed.name else extract for extract in declared.extracts)
    dashboards = {**catalog.dashboards, dashboard: declared.model_copy(update={"extracts": extracts})}
    return catalog.model_copy(update={"dashboards": dashboards})


def with_column(extract: Extract, name: str, **changes: object) -> Extract:
    columns = tuple(column.model_copy(update=changes) if column.name == name else column for column in extract.columns)
    return extract.model_copy(update={"columns": columns})


def path_of(store: LocalStore, dashboard: str, extract: str, day: date) -> Path:
    return extract_paths(store, dashboard, extract, day, day)[day]


def mrr(catalog: Catalog) -> Extract:
    return next(extract for extract in catalog.dashboards["finance"].extracts if extract.name == "mrr")


def test_every_declared_extract_has_its_columns_types_and_rows(published: Published) -> None:
    for dashboard in published.catalog.dashboards.values():
        for extract in dashboard.extracts:
            table, column = extract.source or "kpi.kpi_mrr", extract.day_column if extract.source else "day"
            sql = f"select {column} as day, count(*) as rows from {table} where {column} <= ? group by 1 order by 1"
            newest = published.warehouse.query(sql, [LAST_DAY]).to_pylist()[-1]
            path = path_of(published.store, dashboard.name, extract.name, newest["day"])
            assert pq.read_schema(path).remove_metadata() == arrow_schema(extract).remove_metadata()
            if extract.source:
                assert pq.read_metadata(path).num_rows == newest["rows"]


def test_each_day_holds_exactly_its_own_rows(published: Published) -> None:
    rows = read_extract(published.store, "finance", "mrr", FIRST, LAST_DAY)
    expected = published.warehouse.query(
        "select day, sum(mrr_minor)::bigint as total from kpi.kpi_mrr "
        "where day between ? and ? group by day order by day",
        [FIRST, LAST_DAY],
    )
    assert rows.group_by("day").agg(total=pl.col("mrr_minor").sum()).sort("day").to_dicts() == expected.to_pylist()


def test_files_say_what_they_are(published: Published) -> None:
    path = path_of(published.store, "finance", "mrr", LAST_DAY)
    metadata = {key.decode(): value.decode() for key, value in pq.read_schema(path).metadata.items()}
    assert metadata["extract"] == "finance/mrr"
    assert metadata["schema_version"] == str(mrr(published.catalog).schema_version)
    assert metadata["source"] == "kpi.kpi_mrr"
    assert metadata["pii_policy"] == "none"
    assert metadata["built_first"] == metadata["built_last"] == LAST_DAY.isoformat()
    assert pq.ParquetFile(path).metadata.row_group(0).column(0).compression == "ZSTD"


def test_a_day_without_rows_keeps_the_schema(published: Published, store: LocalStore) -> None:
    tomorrow = LAST_DAY + timedelta(1)
    (partition,) = publish_extract(published.warehouse, store, published.catalog, "finance", "mrr", tomorrow, tomorrow)
    assert partition.rows == 0
    empty = read_extract(store, "finance", "mrr", tomorrow, tomorrow)
    assert empty.is_empty()
    assert empty.columns == [column.name for column in mrr(published.catalog).columns]


def test_a_day_built_alone_again_gives_the_same_bytes_as_within_a_range(
    published: Published, store: LocalStore
) -> None:
    for dashboard, extract in (
        ("finance", "mrr"),
        ("customer_health", "tickets"),
        ("executive_overview", "kpi_headlines"),
    ):
        publish_extract(published.warehouse, store, published.catalog, dashboard, extract, FIRST, LAST_DAY)
        before = path_of(store, dashboard, extract, LAST_DAY).read_bytes()
        publish_extract(published.warehouse, store, published.catalog, dashboard, extract, LAST_DAY, LAST_DAY)
        assert path_of(store, dashboard, extract, LAST_DAY).read_bytes() == before


def test_partitions_carry_the_facts_that_checks_judge(published: Published, store: LocalStore) -> None:
    tight = with_extract(published.catalog, mrr(published.catalog).model_copy(update={"row_budget": 7}))
    partitions = publish_extract(published.warehouse, store, tight, "finance", "mrr", FIRST, LAST_DAY)
    assert [partition.day for partition in partitions] == [FIRST + timedelta(n) for n in range(7)]
    assert not any(partition.within_budget for partition in partitions)
    for partition in partitions:
        assert partition.rows == 8
        assert partition.bytes == len(store.get(partition.key))


def test_a_column_above_the_privacy_policy_is_refused(published: Published, store: LocalStore) -> None:
    leaky = with_extract(published.catalog, with_column(mrr(published.catalog), "project_id", pii="personal"))
    with pytest.raises(ExtractPrivacyError, match=r"finance/mrr allows at most none .* project_id \(personal\)"):
        publish_extract(published.warehouse, store, leaky, "finance", "mrr", FIRST, LAST_DAY)
    assert published_days(store, "finance", "mrr") == []


def test_a_type_that_differs_names_the_column_and_the_mend(published: Published, store: LocalStore) -> None:
    wrong = with_extract(published.catalog, with_column(mrr(published.catalog), "currency", type="integer"))
    with pytest.raises(ExtractSchemaError, match=r"column currency is declared integer .* cast it in the model"):
        publish_extract(published.warehouse, store, wrong, "finance", "mrr", FIRST, LAST_DAY)


def test_a_column_that_the_source_lacks_is_named(published: Published, store: LocalStore) -> None:
    declared = mrr(published.catalog)
    more = (*declared.columns, ExtractColumn(name="arr_minor", type="integer", pii="none", description="ARR."))
    changed = with_extract(published.catalog, declared.model_copy(update={"columns": more}))
    with pytest.raises(ExtractSchemaError, match=r"kpi\.kpi_mrr has no column arr_minor"):
        publish_extract(published.warehouse, store, changed, "finance", "mrr", FIRST, LAST_DAY)


def test_a_source_that_is_not_built_yet_is_named(tmp_path: Path, store: LocalStore) -> None:
    warehouse = DuckDBWarehouse(tmp_path / "empty.duckdb")
    warehouse.replace_table("ops.nothing", pa.table({"day": pa.array([], pa.date32())}))
    with pytest.raises(ExtractSchemaError, match=r"cannot read kpi\.kpi_mrr"):
        publish_extract(warehouse, store, load_catalog(), "finance", "mrr", FIRST, LAST_DAY)


def test_unknown_names_are_answered_with_the_known_ones(published: Published, store: LocalStore) -> None:
    with pytest.raises(ExtractMissingError, match="it has mrr, invoice_collection_rate"):
        publish_extract(published.warehouse, store, published.catalog, "finance", "nope", FIRST, LAST_DAY)
    with pytest.raises(ExtractMissingError, match="executive_overview, finance"):
        publish_extract(published.warehouse, store, published.catalog, "nope", "mrr", FIRST, LAST_DAY)


def test_a_hugeint_sum_is_an_integer_and_a_fraction_is_not(tmp_path: Path, store: LocalStore) -> None:
    catalog = load_catalog()
    warehouse = DuckDBWarehouse(tmp_path / "w.duckdb")
    columns = {column.name: None for column in mrr(catalog).columns} | {"day": LAST_DAY, "tenant_id": "t"}
    schema = pa.schema(
        pa.field(name, pa.date32() if name == "day" else pa.string() if name in {"tenant_id", "currency", "project_id"}
                 else pa.decimal128(38, 0)) for name in columns
    )  # fmt: skip
    warehouse.replace_table("kpi.kpi_mrr", pa.Table.from_pylist([columns], schema=schema))
    (partition,) = publish_extract(warehouse, store, catalog, "finance", "mrr", LAST_DAY, LAST_DAY)
    assert partition.rows == 1
    position = schema.get_field_index("mrr_minor")
    fractions = schema.set(position, pa.field("mrr_minor", pa.float64()))
    warehouse.replace_table("kpi.kpi_mrr", pa.Table.from_pylist([columns], schema=fractions))
    with pytest.raises(ExtractSchemaError, match="column mrr_minor is declared integer but the source has double"):
        publish_extract(warehouse, store, catalog, "finance", "mrr", LAST_DAY, LAST_DAY)


def test_a_new_column_is_published_for_all_days_that_its_source_still_has(tmp_path: Path, store: LocalStore) -> None:
    catalog = load_catalog()
    warehouse = write_kpi_tables(tmp_path / "w.duckdb", KpiTables([catalog.tenants["delta-events"]], days=8))
    declared, gone, kept = mrr(catalog), LAST_DAY - timedelta(7), LAST_DAY - timedelta(6)
    fewer = declared.model_copy(update={"columns": declared.columns[:-1]})
    publish_extract(warehouse, store, with_extract(catalog, fewer), "finance", "mrr", gone, kept)
    warehouse.remove_rows("kpi.kpi_mrr", "day = ?", [gone])
    more = with_extract(catalog, declared.model_copy(update={"schema_version": declared.schema_version + 1}))
    partitions = publish_extract(warehouse, store, more, "finance", "mrr", LAST_DAY, LAST_DAY)
    assert [partition.day for partition in partitions] == [kept, LAST_DAY]
    added, rows = declared.columns[-1].name, read_extract(store, "finance", "mrr", gone, LAST_DAY)
    whole = rows.group_by("day").agg(pl.col(added).is_null().all()).sort("day")
    assert whole.rows() == [(gone, True), (kept, False), (LAST_DAY, False)]


def test_a_cohort_is_published_again_until_it_is_settled(tmp_path: Path, store: LocalStore) -> None:
    catalog = load_catalog()
    warehouse = write_kpi_tables(tmp_path / "w.duckdb", KpiTables([catalog.tenants["delta-events"]], days=100))
    oldest, build = LAST_DAY - timedelta(99), partial(publish_extract, warehouse, store, catalog, "growth")
    build("channel_conversion", oldest, LAST_DAY - timedelta(1))
    later = warehouse.query("select * replace (converted + 1 as converted) from kpi.kpi_channel_conversion")
    warehouse.replace_table("kpi.kpi_channel_conversion", later)
    settled = path_of(store, "growth", "channel_conversion", LAST_DAY - timedelta(91))
    partitions = build("channel_conversion", LAST_DAY, LAST_DAY)
    assert [partition.day for partition in partitions] == [LAST_DAY - timedelta(n) for n in range(90, -1, -1)]
    assert path_of(store, "growth", "channel_conversion", LAST_DAY - timedelta(91)) == settled
    cohort = LAST_DAY - timedelta(90)
    published = read_extract(store, "growth", "channel_conversion", cohort, cohort)
    (expected,) = warehouse.query("select sum(converted) from kpi.kpi_channel_conversion where day = ?", [cohort])[0]
    assert published["converted"].sum() == pytest.approx(expected.as_py())


def test_a_day_of_resolutions_stands_and_that_of_a_ticket_moves_for_as_long_as_its_story_goes_on() -> None:
    catalog = load_catalog()
    assert days_still_moving(catalog, ["marts.fct_ticket_resolutions"]) == 0
    assert days_still_moving(catalog, ["marts.fct_tickets"]) is None


def test_reading_days_that_nobody_published_says_so(store: LocalStore) -> None:
    with pytest.raises(ExtractMissingError, match="no day of finance/mrr is published"):
        read_extract(store, "finance", "mrr", FIRST, LAST_DAY)


def headline(published: Published, kpi: str, tenant: str) -> dict[str, object]:
    rows = read_extract(published.store, "executive_overview", "kpi_headlines", LAST_DAY, LAST_DAY)
    (row,) = rows.filter((pl.col("kpi") == kpi) & (pl.col("tenant_id") == tenant)).to_dicts()
    return row


def test_headlines_have_a_row_per_kpi_and_tenant(published: Published) -> None:
    rows = read_extract(published.store, "executive_overview", "kpi_headlines", LAST_DAY, LAST_DAY)
    keys = set(rows.select("kpi", "tenant_id").rows())
    assert keys == {(kpi, tenant) for kpi in published.catalog.kpis for tenant in published.catalog.tenants}
    assert rows.height == len(keys)


def test_headlines_follow_the_catalogue(published: Published) -> None:
    nps = headline(published, "nps", "albion-stage")
    (row,) = published.warehouse.query(
        "select sum(promoters) - sum(detractors) as n, sum(promoters + passives + detractors) as d "
        "from kpi.kpi_nps where day = ? and tenant_id = 'albion-stage'",
        [LAST_DAY],
    ).to_pylist()
    assert (nps["numerator"], nps["denominator"]) == (row["n"], row["d"])
    assert nps["value"] == pytest.approx(100 * float(row["n"]) / float(row["d"]))
    rate = headline(published, "invoice_collection_rate", "brabant-rental")
    assert rate["value"] == pytest.approx(100 * rate["numerator"] / rate["denominator"])  # type: ignore[operator]


def test_headlines_of_ratios_can_be_added_over_tenants_with_other_currencies(published: Published) -> None:
    rates = [headline(published, "invoice_collection_rate", tenant) for tenant in published.catalog.tenants]
    (expected,) = published.warehouse.query(
        "select cast(sum(collected_reporting_minor) as double) / sum(net_invoiced_reporting_minor) "
        "from kpi.kpi_invoice_collection_rate where day = ? and basis = 'due'",
        [LAST_DAY],
    ).column(0).to_pylist()  # fmt: skip
    collected, invoiced = (sum(float(str(rate[part])) for rate in rates) for part in ("numerator", "denominator"))
    assert collected / invoiced == pytest.approx(expected, rel=1e-9)


def test_the_headline_of_tickets_is_the_median_of_tickets(published: Published) -> None:
    (expected,) = published.warehouse.query(
        "select median(final_resolution_minutes) from marts.fct_ticket_resolutions "
        "where resolved_on = ? and tenant_id = 'brabant-rental'",
        [LAST_DAY],
    ).column(0).to_pylist()  # fmt: skip
    row = headline(published, "ticket_resolution", "brabant-rental")
    assert row["value"] == row["numerator"] == pytest.approx(expected)
    assert row["denominator"] is None


def test_a_ratio_whose_denominator_is_zero_is_null(tmp_path: Path, published: Published, store: LocalStore) -> None:
    warehouse = DuckDBWarehouse(tmp_path / "w.duckdb")
    for kpi in published.catalog.kpis.values():
        day = kpi.headline.day_column
        table = published.warehouse.query(f"select * from {kpi.headline_table} where {day} = ?", [LAST_DAY])
        if kpi.name == "on_time_departures":
            frame = pl.from_arrow(table).with_columns(planned=0, on_time=0)  # type: ignore[union-attr]
            table = frame.to_arrow()
        warehouse.replace_table(kpi.headline_table, table)
    publish_extract(warehouse, store, published.catalog, "executive_overview", "kpi_headlines", LAST_DAY, LAST_DAY)
    rows = read_extract(store, "executive_overview", "kpi_headlines", LAST_DAY, LAST_DAY)
    departures = rows.filter(pl.col("kpi") == "on_time_departures")
    assert departures["value"].null_count() == departures.height == 2
    assert departures["denominator"].to_list() == [0.0, 0.0]


def test_no_day_is_a_day_before_it(published: Published) -> None:
    assert published_days(published.store, "finance", "mrr")[-1] == LAST_DAY
    assert published_days(published.store, "finance", "mrr")[0] == LAST_DAY - timedelta(199)
    assert date(2026, 7, 1) not in published_days(published.store, "finance", "mrr")


def test_only_the_wanted_days_of_a_span_are_read(published: Published) -> None:
    wanted = {LAST_DAY, LAST_DAY - timedelta(3), FIRST - timedelta(1)}
    rows = read_extract(published.store, "finance", "mrr", FIRST, LAST_DAY, only=wanted)
    assert set(rows["day"]) == {LAST_DAY, LAST_DAY - timedelta(3)}
    whole = read_extract(published.store, "finance", "mrr", FIRST, LAST_DAY)
    assert rows.equals(whole.filter(pl.col("day").is_in(wanted)))


def test_that_no_wanted_day_is_published_is_said(published: Published) -> None:
    with pytest.raises(ExtractMissingError, match=r"no day of 1 wanted of finance/mrr is published"):
        read_extract(published.store, "finance", "mrr", FIRST, LAST_DAY, only=[LAST_DAY + timedelta(1)])
