"""The batching event log holds what Dagster's own would, and less work lies between."""

import shutil
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as db
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from logged_runs import RUN_ID, TABLES, comparable, run_in

from analytics_platform.defs.event_log import ENGINES_KEPT, BatchingSqliteEventLogStorage
from analytics_platform.defs.instance import open_instance
from analytics_platform.settings import Settings


def rows(database: Path, table: str) -> list[dict[str, object]]:
    engine = db.create_engine(f"sqlite:///{database}")
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(db.text(f"select * from {table} order by id")).mappings()]


def as_set(database: Path, table: str) -> list[str]:
    return sorted(str(sorted(comparable(row).items())) for row in rows(database, table))


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("stock")
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.from_config(str(home)) as instance:
        patch.delenv("DAGSTER_EVENT_BATCH_SIZE", raising=False)
        patch.setenv("DAGSTER_EMIT_PARTITION_SUBSET_IN_PLANNED_EVENTS", "true")  # ours does so by itself
        assert type(instance.event_log_storage) is SqliteEventLogStorage
        run_in(instance)
    return home / "history" / "runs"


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("ours")
    with open_instance(Settings(home=home)) as instance:
        assert isinstance(instance.event_log_storage, BatchingSqliteEventLogStorage)
        run_in(instance)
    return home / "dagster" / "history" / "runs"


@pytest.mark.parametrize("table", TABLES)
def test_the_index_holds_the_same_rows_as_the_stock_storage(stock: Path, ours: Path, table: str) -> None:
    assert as_set(ours / "index.db", table) == as_set(stock / "index.db", table)
    assert rows(ours / "index.db", table)


def test_checks_are_recorded_as_by_the_stock_storage_but_for_plans_that_nothing_completes(
    stock: Path, ours: Path
) -> None:
    evaluated = [row for row in as_set(stock / "index.db", "asset_check_executions") if "'PLANNED'" not in row]
    assert len(evaluated) == 2
    assert as_set(ours / "index.db", "asset_check_executions") == evaluated


def test_each_run_shard_holds_the_same_events_as_the_stock_storage(stock: Path, ours: Path) -> None:
    for run_id in (RUN_ID, RUN_ID[:-1] + "2"):
        assert as_set(ours / f"{run_id}.db", "event_logs") == as_set(stock / f"{run_id}.db", "event_logs")


def test_tags_and_assets_point_at_the_events_that_they_belong_to(ours: Path) -> None:
    events = {row["id"]: row for row in rows(ours / "index.db", "event_logs")}
    tags = rows(ours / "index.db", "asset_event_tags")
    assert tags
    for tag in tags:
        event = events[tag["event_id"]]
        assert event["asset_key"] == tag["asset_key"]
        if tag["key"] == "dagster/partition/day":
            assert str(event["partition"]).startswith(str(tag["value"]))


def test_what_a_run_has_said_is_in_the_files_themselves_when_it_ends(tmp_path: Path) -> None:
    with open_instance(Settings(home=tmp_path / "home")) as instance:
        run_in(instance)
        # A copy without the journals beside them is what a power cut would leave at the worst.
        for shard in (f"{RUN_ID}.db", "index.db"):
            shutil.copy(tmp_path / "home" / "dagster" / "history" / "runs" / shard, tmp_path / shard)
        said = len(instance.all_logs(RUN_ID))
    assert len(rows(tmp_path / f"{RUN_ID}.db", "event_logs")) == said
    assert {"RUN_SUCCESS", "PIPELINE_SUCCESS"} & {
        row["dagster_event_type"] for row in rows(tmp_path / "index.db", "event_logs")
    }


def test_every_partition_reads_as_materialized(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_instance(Settings(home=tmp_path)) as instance:
        monkeypatch.setenv("DAGSTER_EVENT_BATCH_SIZE", "7")
        run_in(instance)
        storage = instance.event_log_storage
        assert len(storage.get_materialized_partitions(dg.AssetKey("one"))) == 20
        assert len(storage.get_materialized_partitions(dg.AssetKey("crossed"))) == 20
        newest = instance.get_latest_materialization_event(dg.AssetKey("two"))
        assert newest is not None
        assert newest.asset_materialization is not None
        assert newest.asset_materialization.partition == "2026-01-20"


def test_a_batch_that_fails_leaves_no_half_written_events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_instance(Settings(home=tmp_path)) as instance:
        storage = instance.event_log_storage
        assert isinstance(storage, BatchingSqliteEventLogStorage)

        def refuse(*_: object) -> None:
            raise RuntimeError("the index refuses")

        monkeypatch.setattr(storage, "_store_asset_keys", refuse)
        run_in(instance)
    runs = tmp_path / "dagster" / "history" / "runs"
    # Dagster then stores the events one by one: were the batch half written, they would be there twice.
    for shard in (f"{RUN_ID}.db", "index.db"):
        events = [row["dagster_event_type"] for row in rows(runs / shard, "event_logs") if row["run_id"] == RUN_ID]
        assert events.count("ASSET_MATERIALIZATION") == 2 * 20  # assets x days
        assert events.count("ASSET_MATERIALIZATION_PLANNED") == 2


def test_engines_of_old_runs_are_let_go(tmp_path: Path) -> None:
    with open_instance(Settings(home=tmp_path)) as instance:
        storage = instance.event_log_storage
        assert isinstance(storage, BatchingSqliteEventLogStorage)
        for n in range(ENGINES_KEPT + 3):
            storage.get_records_for_run(f"run-{n}")
        assert len(storage._engines) == ENGINES_KEPT
        assert storage.get_records_for_run("run-0").records == []


def test_a_shard_that_has_its_tables_is_opened_without_asking_alembic(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    stock = SqliteEventLogStorage._initdb

    def noted(self: SqliteEventLogStorage, engine: db.Engine, for_index_shard: bool = False) -> None:
        asked.append(Path(str(engine.url.database)).stem)
        stock(self, engine, for_index_shard)

    monkeypatch.setattr(SqliteEventLogStorage, "_initdb", noted)
    with open_instance(Settings(home=tmp_path)) as instance:
        run_in(instance)
    made = {path.stem for path in (tmp_path / "dagster" / "history" / "runs").glob("*.db")}
    assert set(asked) == made
    with open_instance(Settings(home=tmp_path)) as instance:
        logs = [instance.all_logs(run.run_id) for run in instance.get_runs()]
    assert all(logs)
    assert len(logs) == 2
    assert len(asked) == 3  # each run's once, and the index
