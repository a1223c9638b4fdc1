"""Dagster's event log in a real PostgreSQL: what SQLite's holds, in one transaction per batch, over a restart too."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as db
import yaml
from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster_postgres import PostgresEventLogStorage
from logged_runs import RUN_ID, TABLES, comparable, run_in
from postgres import PostgresServer

from analytics_platform.defs.event_log_postgres import BatchingPostgresEventLogStorage
from analytics_platform.defs.forgetting import _wipe
from analytics_platform.defs.instance import open_instance
from analytics_platform.settings import Settings

pytestmark = pytest.mark.integration

MIRRORED = {each.value for each in ASSET_EVENTS | ASSET_CHECK_EVENTS}


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[dg.DagsterInstance]:
    settings = Settings(home=tmp_path_factory.mktemp("shared"), **postgres.database("events"))
    with open_instance(settings) as opened:
        run_in(opened)
        yield opened


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with open_instance(Settings(home=tmp_path_factory.mktemp("embedded"))) as opened:
        run_in(opened)
        yield opened


def rows(instance: dg.DagsterInstance, table: str) -> list[str]:
    """The rows that assets are read from, as SQLite's index holds them."""
    storage = instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage)
    with storage.index_connection() as connection:
        found = connection.execute(db.text(f"select * from {table}")).mappings().all()
    chosen = [row for row in found if table != "event_logs" or row["dagster_event_type"] in MIRRORED]
    return sorted(str(sorted(comparable(row).items())) for row in chosen)


@pytest.mark.parametrize("table", [*TABLES, "asset_check_executions"])
def test_the_tables_of_assets_and_checks_hold_what_sqlite_holds(
    instance: dg.DagsterInstance, embedded: dg.DagsterInstance, table: str
) -> None:
    assert isinstance(instance.event_log_storage, BatchingPostgresEventLogStorage)
    assert rows(instance, table) == rows(embedded, table)
    assert rows(instance, table)


def test_every_partition_reads_as_materialized(instance: dg.DagsterInstance) -> None:
    storage = instance.event_log_storage
    assert len(storage.get_materialized_partitions(dg.AssetKey("one"))) == 20
    assert len(storage.get_materialized_partitions(dg.AssetKey("crossed"))) == 20
    newest = instance.get_latest_materialization_event(dg.AssetKey("two"))
    assert newest is not None
    assert newest.asset_materialization is not None
    assert newest.asset_materialization.partition == "2026-01-20"


def test_the_log_of_a_run_is_whole_and_in_order(instance: dg.DagsterInstance, embedded: dg.DagsterInstance) -> None:
    kinds = [[each.dagster_event_type for each in log.all_logs(RUN_ID)] for log in (instance, embedded)]
    assert kinds[0] == kinds[1]


def test_a_batch_that_fails_leaves_no_half_written_events(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = []

    def refuse(*_: object) -> None:
        refused.append(True)
        raise RuntimeError("the database refuses")

    monkeypatch.setattr(instance.event_log_storage, "_store_asset_keys", refuse)
    before = len(rows(instance, "event_logs"))
    other = RUN_ID.replace("1", "5")
    run_in(instance, other)
    # Dagster then stores the events one by one: were the batch half written, they would be there twice.
    assert refused
    assert len(rows(instance, "event_logs")) == 2 * before


def test_partitions_are_forgotten_with_their_checks(instance: dg.DagsterInstance) -> None:
    instance.wipe_asset_partitions(dg.AssetKey("one"), ["2026-01-02", "2026-01-03"])
    left = instance.get_materialized_partitions(dg.AssetKey("one"))
    assert {"2026-01-02", "2026-01-03"}.isdisjoint(left)
    assert len(left) == 18


def test_partitions_are_forgotten_in_the_stock_storage_of_a_deployments_own_configuration(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    database = {"username": "tests", "hostname": "", "db_name": "events", "params": {"host": postgres.folder}}
    storage = {"postgres": {"postgres_db": {**database, "scheme": "postgresql+psycopg2"}}}
    own = tmp_path / "dagster.yaml"
    own.write_text(yaml.safe_dump({"storage": storage, "telemetry": {"enabled": False}}))
    settings = Settings(home=tmp_path, dagster_config_file=own, dagster_postgres_host=postgres.folder)
    with open_instance(settings) as stock:
        assert type(stock.event_log_storage) is PostgresEventLogStorage
        _wipe(stock, dg.AssetKey("two"), ["2026-01-02"])
        assert len(stock.get_materialized_partitions(dg.AssetKey("two"))) == 19


def test_a_server_that_came_back_is_found_without_a_new_instance(
    instance: dg.DagsterInstance, postgres: PostgresServer
) -> None:
    before = len(instance.all_logs(RUN_ID))
    postgres.restart()
    assert len(instance.all_logs(RUN_ID)) == before
