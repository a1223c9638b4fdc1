"""All models on BigQuery's emulator hold the rows that they hold on DuckDB, from one fixture of events.

Both are built as the platform does it: `replace_days` loads the raw tables and `DbtBuild` runs dbt with each product's
own adapter. Then the last days change, by rows that come and rows that go, and what depends on them is built again, so
that each strategy of incremental tables has replaced rows. That BigQuery itself agrees is another proof.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import dagster as dg
import duckdb
import pyarrow as pa
import pytest
from bigquery_stand_in import Emulator, bigquery_emulator
from fixture import PROJECT, STREAMS, Message, write_raw
from parity import differences, tables_of
from scenario import business, tenants

from analytics_platform.definitions import build_definitions
from analytics_platform.defs.dbt_build import DbtBuild
from analytics_platform.defs.partitions import range_tags
from analytics_platform.defs.resources import dbt_from, warehouse_from
from analytics_platform.settings import Settings
from analytics_platform.warehouse import Warehouse

pytestmark = pytest.mark.integration

SEED = 7
FIRST, LAST = date(2026, 3, 22), date(2026, 4, 6)
CHANGED = date(2026, 4, 4)
TENANTS = tenants(SEED, 2)
REGISTRY = ("tenants", "tenant_business_hours", "tenant_holidays")
REBUILT = (
    "stg_transport__transport_departed",
    "stg_inventory__equipment_status_changed",
    "fct_departures",
    "kpi_on_time_departures",
    "int_equipment_claims",
    "fct_equipment_status_spans",
    "fct_equipment_days",
    "kpi_equipment_utilisation",
)
DAYS = ("2026-03-30", "2026-04-02")
ASKED = {
    "busy_hours_have_events",
    "collected_is_within_invoiced",
    "collection_equals_source",
    "columns_are_as_declared",
    "events_are_of_the_plan",
    "invoice_totals_equal_source",
    "mrr_equals_source",
    "mrr_movements_reconcile",
    "no_message_is_loaded_twice",
    "no_personal_data_where_none_may_be",
    "references_resolve",
    "rows_conform_to_plan",
    "values_are_within_limits",
}
"""Checks of ours that ask the warehouse alone."""
LEFT_OUT = ("resource_type:test", "resource_type:exposure")


@dataclass(frozen=True)
class Side:
    """One warehouse and dbt on it."""

    settings: Settings
    warehouse: Warehouse
    dbt: DbtBuild

    def load(self, tables: dict[str, pa.Table], first: date) -> None:
        """Replace the days from `first` of each stream, and the registry."""
        for name in STREAMS:
            rows = tables[name]
            days = rows.filter(pa.compute.greater_equal(rows["day"], pa.scalar(first)))
            self.warehouse.replace_days(f"raw.{name}", days, first, LAST)
        for name in REGISTRY:
            self.warehouse.replace_table(f"raw.{name}", tables[name])

    def build(self, first: date, *names: str) -> None:
        """Build models, all by default."""
        built = self.dbt.build(first, LAST, select=names, exclude=LEFT_OUT)
        assert [(each.unique_id, each.message) for each in built if not each.built] == []


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Side, Side]]:
    folder = tmp_path_factory.mktemp("bigquery")
    with bigquery_emulator(folder) as emulator:
        both = side(folder / "embedded"), side(folder / "bigquery", emulator)
        messages = business(SEED, TENANTS, FIRST, LAST)
        for each in both:
            each.load(raw_tables(messages), FIRST)
            each.build(FIRST)
        yield both


def side(home: Path, emulator: Emulator | None = None) -> Side:
    chosen = emulator.settings(warehouse_schema_prefix="pr_7_", environment="ci") if emulator else {}
    settings = Settings(home=home, dbt_project_dir=PROJECT, **chosen)
    return Side(settings, warehouse_from(settings), dbt_from(settings))


def raw_tables(messages: Sequence[Message]) -> dict[str, pa.Table]:
    with duckdb.connect() as connection:
        connection.execute("set TimeZone = 'UTC'")
        write_raw(connection, messages, TENANTS)
        return {name: connection.sql(f"from raw.{name}").to_arrow_table() for name in (*STREAMS, *REGISTRY)}


def test_every_table_is_equal(sides: tuple[Side, Side]) -> None:
    embedded, bigquery = (tables_of(each.warehouse) for each in sides)
    assert len(embedded) > 70
    assert sum(table.num_rows > 0 for name, table in embedded.items() if name.startswith("kpi.")) >= 15
    assert differences(embedded, bigquery) == []


def test_tables_are_equal_after_days_were_built_again(sides: tuple[Side, Side]) -> None:
    known = business(SEED, TENANTS, FIRST, LAST)
    other = business(SEED + 1, TENANTS, FIRST, LAST)
    kept = [each for number, each in enumerate(known) if each.at[:10] < str(CHANGED) or number % 2]
    tables = raw_tables([*kept, *(each for each in other if each.at[:10] >= str(CHANGED))])
    before = tables_of(sides[0].warehouse, ["kpi"])
    for each in sides:
        each.load(tables, CHANGED)
        each.build(CHANGED, *REBUILT)
    embedded, bigquery = (tables_of(each.warehouse) for each in sides)
    assert differences(before, {name: embedded[name] for name in before})
    assert differences(embedded, bigquery) == []


def test_checks_say_of_the_tables_what_they_say_on_duckdb(sides: tuple[Side, Side]) -> None:
    embedded, bigquery = (judged(each) for each in sides)
    assert {name for _, name in embedded} >= ASKED
    assert {key: (embedded[key], bigquery.get(key)) for key in embedded if embedded[key] != bigquery.get(key)} == {}
    assert not any("could not run" in description for _, description in embedded.values())


def judged(side: Side) -> dict[tuple[str, str], tuple[bool, str]]:
    """What each check of tables finds, by asset and check."""
    definitions = build_definitions(side.settings)
    asked = {key for key in definitions.resolve_asset_graph().asset_check_keys if key.name in ASKED}
    asked = {key for key in asked if key.asset_key.path[0] in ("loaded", "kpi", "marts")}
    job = definitions.resolve_implicit_global_asset_job_def().get_subset(asset_check_selection=asked)
    with dg.DagsterInstance.ephemeral() as instance:
        done = job.execute_in_process(tags=range_tags(*DAYS), instance=instance, raise_on_error=False)
        found = done.get_asset_check_evaluations()
    return {
        (each.asset_key.to_user_string(), each.check_name): (each.passed, each.description or "")
        for each in found
        if each.partition is None
    }
