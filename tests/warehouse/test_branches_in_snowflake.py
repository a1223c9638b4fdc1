"""Branch environments in the stand-in for Snowflake, through the real connector: made, listed, dropped exactly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner
from snowflake_stand_in import StandIn, snowflake_stand_in

from analytics_platform.cli import main
from analytics_platform.defs.resources import warehouse_from
from analytics_platform.settings import Settings
from analytics_platform.warehouse import SharedWarehouse, has_table, table_columns
from analytics_platform.warehouse.branches import branch_prefix

pytestmark = pytest.mark.integration

DAY = date(2026, 3, 1)
ROWS = pa.table({"day": [DAY], "tenant_id": ["t1"], "n": [1]})
TABLE = "kpi.kpi_mrr"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandIn]:
    with snowflake_stand_in(tmp_path_factory.mktemp("snowflake")) as running:
        yield running


def settings(server: StandIn, home: Path, branch: str | None) -> Settings:
    chosen = {"environment": "ci", "warehouse_schema_prefix": branch_prefix(branch)} if branch else {}
    return Settings(home=home, **server.settings(snowflake_database="branches", **chosen))  # type: ignore[arg-type]


def test_a_branch_writes_reads_and_goes_and_the_deployments_tables_stay(
    server: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deployment = warehouse_from(settings(server, tmp_path, None))
    assert isinstance(deployment, SharedWarehouse)
    deployment.native("create database if not exists branches")
    deployment.replace_days(TABLE, ROWS, DAY, DAY)
    for name in ("feature/mine", "feature/other"):
        branch = warehouse_from(settings(server, tmp_path, name))
        assert not has_table(branch, TABLE)
        assert branch.replace_days(TABLE, pa.concat_tables([ROWS, ROWS]), DAY, DAY) == 2
        assert branch.remove_rows(TABLE, "day = ?", [DAY]) == 2
        assert table_columns(branch) == {TABLE: {"day", "tenant_id", "n"}}
    assert deployment.query(f"select count(*) as n from {TABLE}")["n"].to_pylist() == [1]
    for name, value in server.settings(snowflake_database="branches", home=tmp_path).items():
        monkeypatch.setenv(f"ANALYTICS_{name.upper()}", str(value))
    listed = json.loads(CliRunner().invoke(main, ["branch", "list", "--json"]).output)
    assert {each["prefix"] for each in listed["branches"]} == {branch_prefix(f"feature/{n}") for n in ("mine", "other")}
    dropped = CliRunner().invoke(main, ["branch", "drop", "feature/mine", "--yes"])
    assert dropped.exit_code == 0, dropped.output
    assert not has_table(warehouse_from(settings(server, tmp_path, "feature/mine")), TABLE)
    assert has_table(warehouse_from(settings(server, tmp_path, "feature/other")), TABLE)
    assert deployment.query(f"select count(*) as n from {TABLE}")["n"].to_pylist() == [1]
