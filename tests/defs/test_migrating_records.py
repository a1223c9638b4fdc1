"""Dagster's records from a home's SQLite files into a real PostgreSQL: all that it remembers, once, and compared."""

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as db
from dagster._daemon.types import DaemonHeartbeat
from killed import is_killed
from logged_runs import RUN_ID, run_in
from postgres import PostgresServer

from analytics_platform.defs.event_batches import wipe_partitions
from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.migrating_records import RecordsMove, newest_heartbeat, runs_under_way
from analytics_platform.defs.run_records import databases_of
from analytics_platform.migration.parts import OtherDataError
from analytics_platform.migration.state import STATE_FILE, MigrationState
from analytics_platform.settings import Settings

pytestmark = pytest.mark.integration

WIPED = "2026-01-07"
UNDER_WAY = "33333333-3333-4333-8333-333333333333"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with runs, checks, dynamic partitions, a switched schedule, and a partition that was forgotten."""
    home = tmp_path_factory.mktemp("recorded")
    with open_instance(Settings(home=home)) as instance:
        run_in(instance)
        instance.add_dynamic_partitions("tenant", ["b", "a"])
        instance.report_runless_asset_event(dg.AssetMaterialization("one", partition="2026-02-01"))
        wipe_partitions(instance.event_log_storage, dg.AssetKey("one"), [WIPED])  # type: ignore[arg-type]
        instance.run_storage.set_cursor_values({"cursor": "17"})
    return home


@pytest.fixture
def home(recorded: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(recorded, tmp_path / "home"))


@pytest.fixture
def target(postgres: PostgresServer, tmp_path: Path) -> Settings:
    name = f"moved_{abs(hash(tmp_path)) % 10**9}"
    return Settings(home=tmp_path / "new", **postgres.database(name))


@pytest.fixture
def state(home: Path) -> Iterator[MigrationState]:
    opened = MigrationState(home / STATE_FILE)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analytics_platform.defs.migrating_records.ROWS_AT_ONCE", 40)


def move(home: Path, target: Settings, state: MigrationState, step: Callable[[str], None] | None = None) -> RecordsMove:
    ((_, url),) = databases_of(target)

    def make_tables() -> None:
        with open_instance(target):
            pass

    engine = db.create_engine(url, poolclass=db.NullPool)
    return RecordsMove(home / "dagster", engine, state, step or (lambda _: None), make_tables)


def quiet(_done: int, _all: int) -> None: ...


def execute(target: Settings, statement: str) -> None:
    ((_, url),) = databases_of(target)
    with db.create_engine(url, poolclass=db.NullPool).begin() as connection:
        connection.execute(db.text(statement))


def remembered(settings: Settings) -> dict[str, object]:
    with open_instance(settings) as instance:
        assets = sorted(instance.all_asset_keys())
        ids = sorted(run.run_id for run in instance.get_runs())
        return {
            "partitions": {key.to_user_string(): instance.get_materialized_partitions(key) for key in assets},
            "runs": {run_id: instance.get_run_by_id(run_id) for run_id in ids},
            "logs": {run_id: sorted(e.to_json() for e in instance.all_logs(run_id)) for run_id in ids},
            "tenants": instance.get_dynamic_partitions("tenant"),
            "cursor": instance.run_storage.get_cursor_values({"cursor"}),
            "pointers": [
                (record.storage_id, record.partition_key)
                for key in assets
                for record in instance.fetch_materializations(key, limit=100).records
            ],
        }


def test_nothing_of_what_dagster_remembers_is_missing(home: Path, target: Settings, state: MigrationState) -> None:
    moved = move(home, target, state).run(quiet)
    assert moved.copied == moved.total > 100
    before, after = remembered(Settings(home=home)), remembered(target)
    logs = [before.pop("logs"), after.pop("logs")]
    assert after == before
    # What was forgotten stays in SQLite's log of the run alone, and does not come back by it.
    forgotten = [line for line in logs[0][RUN_ID] if WIPED in line and "ASSET_MATERIALIZATION" in line]  # type: ignore[index]
    assert set(logs[0][RUN_ID]) - set(logs[1][RUN_ID]) <= set(forgotten)  # type: ignore[index]
    assert move(home, target, state).verify(quiet).differences == ()


def test_dagster_goes_on_from_there(home: Path, target: Settings, state: MigrationState) -> None:
    move(home, target, state).run(quiet)
    with open_instance(target) as instance:
        run_in(instance, RUN_ID.replace("1111-", "2222-", 1))
        assert len(instance.get_runs()) == 4
        assert instance.get_latest_materialization_event(dg.AssetKey("one")).run_id.startswith("11112222")  # type: ignore[union-attr]
    with pytest.raises(OtherDataError, match="used since: runs has newer rows"):
        move(home, target, state).run(quiet)


def test_a_second_run_follows_what_the_source_lost_and_changed(
    home: Path, target: Settings, state: MigrationState
) -> None:
    move(home, target, state).run(quiet)
    with open_instance(Settings(home=home)) as instance:
        instance.add_run_tags(RUN_ID, {"analytics/reason": "why"})
        instance.delete_run(RUN_ID[:-1] + "2")
        wipe_partitions(instance.event_log_storage, dg.AssetKey("one"), ["2026-01-09"])  # type: ignore[arg-type]
    told = {each.name for each in move(home, target, state).verify(quiet).differences}
    assert {"runs", "run_tags", "event_logs"} <= told
    moved = move(home, target, state).run(quiet)
    assert moved.copied
    assert moved.removed
    assert move(home, target, state).verify(quiet).differences == ()
    with open_instance(target) as instance:
        assert "2026-01-09" not in instance.get_materialized_partitions(dg.AssetKey("one"))
        assert not instance.all_logs(RUN_ID[:-1] + "2")
    assert move(home, target, state).run(quiet).copied == 0


def test_the_comparison_names_the_table_and_the_row(home: Path, target: Settings, state: MigrationState) -> None:
    move(home, target, state).run(quiet)
    execute(target, "update event_logs set event = event || ' ' where id = 3")
    execute(target, "delete from event_logs where id = (select min(id) from event_logs)")
    execute(target, "delete from asset_event_tags where id = 1")
    execute(target, "insert into runs (run_id) values ('theirs')")
    told = {(each.name, each.what) for each in move(home, target, state).verify(quiet).differences}
    assert {(name, what.partition(", the first")[0]) for name, what in told} == {
        ("event_logs", "1 rows differ"),
        ("logs of runs", "1 rows are missing in the target"),
        ("asset_event_tags", "1 rows are missing in the target"),
        ("runs", "1 rows are not in the source"),
    }
    assert ("event_logs", "1 rows differ, the first with id 3") in told


def test_a_database_with_records_of_others_is_refused(home: Path, target: Settings, state: MigrationState) -> None:
    with open_instance(target) as instance:
        run_in(instance)
    with pytest.raises(OtherDataError, match="rows in snapshots that this migration has not brought"):
        move(home, target, state).run(quiet)


def test_killed_before_any_step_and_begun_again_it_ends_the_same(home: Path, target: Settings) -> None:
    def act(step: Callable[[str], None]) -> None:
        move(home, target, MigrationState(home / STATE_FILE), step).run(quiet)

    attempts = 0
    while is_killed(attempts * 4, act):
        attempts += 1
    assert attempts >= 4
    state = MigrationState(home / STATE_FILE)
    assert move(home, target, state).verify(quiet).differences == ()
    state.close()


def test_runs_under_way_and_a_daemon_that_lives_are_seen(home: Path) -> None:
    assert runs_under_way(home / "dagster") == []
    assert newest_heartbeat(home / "dagster") is None
    with open_instance(Settings(home=home)) as instance:
        instance.create_run_for_job(
            dg.job(name="idle")(lambda: None), run_id=UNDER_WAY, status=dg.DagsterRunStatus.STARTED
        )
        assert runs_under_way(home / "dagster") == [UNDER_WAY]
        beat = DaemonHeartbeat(datetime.now(UTC).timestamp(), "SENSOR", "d", [])
        instance.run_storage.add_daemon_heartbeat(beat)
    assert newest_heartbeat(home / "dagster") is not None
