"""Homes of earlier releases: older columns and older tables of Dagster's are brought up, whatever broke off."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from click.testing import CliRunner
from filelock import FileLock
from killed import is_killed

from analytics_platform.cli import main
from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.newest_events import BY_EVALUATION
from analytics_platform.defs.resources import warehouse_from
from analytics_platform.defs.upgrading import WRITTEN, pending, upgrade
from analytics_platform.home_state import (
    HomeState,
    HomeStateError,
    current_versions,
    read_state,
    require_usable,
    write_state,
)
from analytics_platform.lake.ledger import LEDGER_SCHEMA
from analytics_platform.migration.parts import SourceInUseError
from analytics_platform.settings import Settings
from analytics_platform.warehouse import QueryError

DAY = date(2026, 1, 5)
OLD_LEDGER = """
create schema ops; create schema raw;
create table ops.ledger (
    stream varchar, day date, tenant_id varchar, received bigint, accepted bigint, duplicates bigint,
    dead_lettered bigint, bytes bigint, watermark timestamptz
);
insert into ops.ledger values ('billing', '2026-01-04', 'acme', 3, 3, 0, 0, 100, '2026-01-04 10:00:00+00');
create table raw.billing as select date '2026-01-04' as day, 'acme' as tenant_id, 'm1' as message_id;
"""
"""Before lines that wait were told from lines that are lost."""


@pytest.fixture
def old(tmp_path: Path) -> Settings:
    settings = Settings(home=tmp_path / "home")
    settings.home.mkdir()
    with duckdb.connect(str(settings.warehouse_path)) as connection:
        connection.execute(OLD_LEDGER)
    return settings


def ledger_of_today() -> pa.Table:
    row = dict.fromkeys(LEDGER_SCHEMA.names) | {"stream": "billing", "day": DAY, "tenant_id": "acme"}
    row |= {"received": 1, "accepted": 1, "pending": 0, "changed_at": datetime(2026, 1, 5, tzinfo=UTC)}
    return pa.Table.from_pylist([row], LEDGER_SCHEMA)


def add_today(settings: Settings) -> None:
    warehouse_from(settings).replace_days("ops.ledger", ledger_of_today(), DAY, DAY)


def test_a_table_of_an_earlier_release_takes_rows_of_today_after_an_upgrade_and_keeps_its_own(old: Settings) -> None:
    with pytest.raises((QueryError, duckdb.Error)):
        add_today(old)
    done = upgrade(old)
    assert {each.schema for each in done} == set(current_versions())
    add_today(old)
    rows = warehouse_from(old).query("select day, received, pending from ops.ledger order by day").to_pylist()
    assert [(row["received"], row["pending"]) for row in rows] == [(3, None), (1, 0)]
    assert warehouse_from(old).query("select * from ops.ledger").schema.names[-1] in LEDGER_SCHEMA.names
    assert (pending(old), upgrade(old)) == ([], [])


def test_every_column_of_what_python_writes_has_a_type_here(old: Settings) -> None:
    with duckdb.connect(str(old.warehouse_path)) as connection:
        for table in WRITTEN.keys() - {"ops.ledger"}:
            connection.execute(f"create schema if not exists {table.split('.')[0]}; create table {table} (day date)")
    upgrade(old)
    for table, schema in WRITTEN.items():
        found = warehouse_from(old).query(f"select * from {table}").schema
        assert set(schema.names) <= set(found.names), table
        rows = pa.Table.from_pylist([{schema.names[0]: None}], schema)
        warehouse_from(old).replace_days(table, rows, DAY, DAY)


def test_tables_of_an_older_dagster_are_brought_up_and_keep_their_rows(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    with open_instance(settings) as instance:
        instance.add_dynamic_partitions("tenants", ["acme"])
    write_state(settings.home, HomeState({}))
    runs, index = settings.dagster_home / "history" / "runs.db", settings.dagster_home / "history" / "runs" / "index.db"
    newest = _revision(runs)
    with closing(sqlite3.connect(runs)) as connection, connection:
        # As it was before the revision that came with the index on backfills' jobs.
        connection.execute("update alembic_version set version_num = '6b7fb194ff9c'")
        connection.execute("drop table if exists backfill_tags")
    upgrade(settings)
    assert _revision(runs) == newest == _revision(index)
    with open_instance(settings) as instance:
        assert instance.get_dynamic_partitions("tenants") == ["acme"]


def _revision(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        ((found,),) = connection.execute("select version_num from alembic_version").fetchall()
    return str(found)


def test_tables_from_before_are_given_the_index_that_looks_at_checks_go_by(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    with open_instance(settings) as instance:
        index = instance.event_log_storage.path_for_shard("index")
    with closing(sqlite3.connect(index)) as connection, connection:
        connection.execute(f"drop index {BY_EVALUATION.name}")
    write_state(settings.home, HomeState(current_versions() | {"dagster": 1}))
    assert [each.version for each in upgrade(settings)] == [2]
    with closing(sqlite3.connect(index)) as connection:
        found = connection.execute("select tbl_name from sqlite_master where name = ?", [BY_EVALUATION.name]).fetchall()
    assert found == [("asset_check_executions",)]


def test_an_upgrade_that_is_killed_anywhere_is_finished_by_the_next(old: Settings) -> None:
    for after in (1, 20, 7):
        assert is_killed(after, lambda step: upgrade(old, step))
        with pytest.raises(HomeStateError, match="broke off"):
            require_usable(old)
    upgrade(old)
    assert read_state(old.home) == HomeState(current_versions())
    add_today(old)


def test_a_model_that_reads_its_own_table_finds_its_new_columns(old: Settings) -> None:
    with duckdb.connect(str(old.warehouse_path)) as connection:
        connection.execute("create schema marts; create table marts.fct_equipment_status_spans (tenant_id varchar)")
    upgrade(old)
    assert "claim_count" in warehouse_from(old).query("select * from marts.fct_equipment_status_spans").schema.names


def test_a_home_that_somebody_uses_is_not_upgraded(old: Settings) -> None:
    lock = old.spool_root / "collector1" / "lock"
    lock.parent.mkdir(parents=True)
    with FileLock(lock), pytest.raises(SourceInUseError):
        upgrade(old)
    assert read_state(old.home) == HomeState({})


def test_by_command_a_backup_comes_first_and_a_plan_changes_nothing(
    old: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANALYTICS_HOME", str(old.home))
    monkeypatch.setenv("ANALYTICS_BACKUP_TARGET", str(tmp_path / "target"))
    planned = CliRunner().invoke(main, ["upgrade", "--plan", "--json"])
    assert (planned.exit_code, read_state(old.home)) == (0, HomeState({}))
    done = CliRunner().invoke(main, ["upgrade", "--json"])
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert said["steps"] == json.loads(planned.stdout)["steps"]
    listed = json.loads(CliRunner().invoke(main, ["backup", "list", "--json"]).stdout)
    assert [each["backup_id"] for each in listed["backups"]] == [said["backup"]]
    assert listed["backups"][0]["versions"]["raw"] == 0
    write_state(old.home, HomeState({**current_versions(), "raw": 9}))
    refused = CliRunner().invoke(main, ["sql", "select 1"])
    assert (refused.exit_code, "newer release" in refused.output) == (1, True)
