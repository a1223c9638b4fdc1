"""The same events give the same tables on Snowflake's stand-in as on DuckDB, however often they are built.

Their tests run in the whole graph (`integration/test_whole_graph_on_snowflake`).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pytest
from fixture import Dbt
from parity import differences, tables_of
from scenario import business, tenants
from snowflake_stand_in import StandIn, snowflake_stand_in

from analytics_platform.defs.resources import dbt_from, snowflake_warehouse
from analytics_platform.settings import Settings
from analytics_platform.warehouse import DuckDBWarehouse
from analytics_platform.warehouse.snowflake import SnowflakeWarehouse

pytestmark = pytest.mark.integration

SEED = 7
FIRST, LAST = date(2026, 3, 22), date(2026, 4, 6)
TENANTS = tenants(SEED, 2)


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    """DuckDB with a business of every hard case, built."""
    dbt = Dbt(tmp_path_factory.mktemp("embedded"), TENANTS)
    dbt.load(business(SEED, TENANTS, FIRST, LAST))
    dbt.build(FIRST, LAST, "", "--exclude-resource-type", "test")
    return dbt


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    """The stand-in."""
    with snowflake_stand_in(tmp_path_factory.mktemp("snowflake")) as running:
        yield running


def test_two_builds_give_the_rows_of_duckdb_and_say_which_model_they_are_at(
    embedded: Dbt, server: StandIn, tmp_path: Path
) -> None:
    settings = Settings(home=tmp_path / "home", **server.settings())
    warehouse = snowflake_warehouse(settings)
    load(embedded.warehouse, warehouse)
    expected = tables_of(DuckDBWarehouse(embedded.warehouse))
    dbt = dbt_from(settings)
    # Only what is built into a table that stands there can go wrong the second time.
    for chosen in ([], ["config.materialized:incremental"]):
        with warehouse.exclusive():
            results = dbt.build(FIRST, LAST, select=chosen, exclude=["resource_type:test"])
        assert [(each.unique_id, each.message) for each in results if each.status not in {"success", "no-op"}] == []
    found = tables_of(warehouse)
    assert len(found) > 60
    assert sum(table.num_rows for table in found.values()) > 1000
    assert differences(expected, found) == []
    said = server.query_tags()
    assert all(f'"asset": "{name}"' in said for name in ("kpi/revenue/kpi_mrr", "reference/fx_rates"))
    assert said.count(f'"first_day": "{FIRST}"') > len(found)


def load(file: Path, warehouse: SnowflakeWarehouse) -> None:
    """The loaded tables of a DuckDB file, by the adapter's own way."""
    with duckdb.connect(str(file), read_only=True) as source:
        source.execute("set TimeZone = 'UTC'")
        names = source.execute("select table_name from duckdb_tables() where schema_name = 'raw'").fetchall()
        for (name,) in names:
            rows = source.sql(f"select * from raw.{name}").to_arrow_table()
            if "day" in rows.column_names:
                warehouse.replace_days(f"raw.{name}", rows, date.min, date.max)
            else:
                warehouse.replace_table(f"raw.{name}", rows)
