"""What protects a table is put back by the build that made it anew, before anybody could be granted it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path

import duckdb
import pytest

from analytics_platform.defs.dbt_build import DbtBuild, duckdb_connection
from analytics_platform.settings import PROJECT_ROOT

pytestmark = pytest.mark.integration

DAY = date(2026, 3, 1)
COMMENTS = "select table_name, comment from duckdb_tables() where schema_name = 'marts' and comment is not null"
Statements = Callable[[], Mapping[str, Sequence[str]]]


def built(folder: Path, after_models: Statements | None) -> list[str]:
    warehouse = folder / "warehouse.duckdb"
    build = DbtBuild(PROJECT_ROOT / "dbt", duckdb_connection(warehouse), folder / "dbt", after_models=after_models)
    return [result.message for result in build.build(DAY, DAY, select=["dim_tenants", "dim_days"]) if result.failed]


def emptied(folder: Path) -> None:
    columns = "tenant_id, name, country, time_zone, currency, financial_year_end"
    text = ", ".join(f"{name} varchar" for name in columns.split(", "))
    with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
        connection.execute(f"create schema raw; create table raw.tenants ({text}, on_time_threshold_minutes integer)")


def comments(folder: Path) -> list[tuple[str, str]]:
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        return connection.execute(COMMENTS).fetchall()


def test_statements_run_after_each_build_of_their_table_and_after_no_other(tmp_path: Path) -> None:
    """A comment is what DuckDB loses with a table, as Snowflake its policies."""
    emptied(tmp_path)
    protect = {
        "marts.dim_tenants": [
            "comment on table marts.dim_tenants is 'once'",
            "comment on table marts.dim_tenants is 'twice'",
        ]
    }
    assert built(tmp_path, lambda: protect) == []
    assert comments(tmp_path) == [("dim_tenants", "twice")]
    assert built(tmp_path, None) == []
    assert comments(tmp_path) == []
    assert built(tmp_path, lambda: protect) == []
    assert comments(tmp_path) == [("dim_tenants", "twice")]


def test_a_table_that_stays_keeps_what_it_has_and_is_left_alone(tmp_path: Path) -> None:
    emptied(tmp_path)
    assert built(tmp_path, dict) == []
    assert built(tmp_path, lambda: {"marts.dim_days": ["comment on table marts.nothing is 'x'"]}) == []


def test_a_statement_that_fails_fails_the_model(tmp_path: Path) -> None:
    emptied(tmp_path)
    (told,) = built(tmp_path, lambda: {"marts.dim_tenants": ["comment on table marts.nothing is 'x'"]})
    assert "nothing" in told
