"""An asset's newest events are found in PostgreSQL without reading those of others, however the rows lie."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest
import sqlalchemy as db
from dagster import DagsterEventType
from postgres import PostgresServer
from sqlalchemy.engine import Connection

from analytics_platform.defs.event_log_postgres import BatchingPostgresEventLogStorage
from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.newest_events import (
    BY_EVALUATION,
    newest_evaluation,
    newest_evaluations,
    newest_event,
    newest_executions,
)
from analytics_platform.settings import Settings

pytestmark = pytest.mark.integration

EARLIER, LATER = dg.AssetKey("earlier"), dg.AssetKey("later")
EACH = 5_000
PLANNED = DagsterEventType.ASSET_MATERIALIZATION_PLANNED

EVENTS = """
insert into event_logs (run_id, event, dagster_event_type, timestamp, asset_key, partition)
select 'run', '{}', 'ASSET_MATERIALIZATION_PLANNED', now(), :asset, n::text from generate_series(1, :each) as n
"""
CHECKS = """
insert into asset_check_executions (asset_key, check_name, partition, run_id, execution_status,
    evaluation_event_storage_id)
select :asset, 'fits', n::text, 'run', 'SUCCEEDED', n from generate_series(1, :each) as n
"""


@pytest.fixture(scope="module")
def storage(
    tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer
) -> Iterator[BatchingPostgresEventLogStorage]:
    """A log in which all events of one asset come before those of another."""
    settings = Settings(home=tmp_path_factory.mktemp("newest"), **postgres.database("newest"))
    with open_instance(settings) as instance:
        held = instance.event_log_storage
        assert isinstance(held, BatchingPostgresEventLogStorage)
        with held.index_connection() as index:
            for asset in (EARLIER, LATER):
                for rows in (EVENTS, CHECKS):
                    index.execute(db.text(rows), {"asset": asset.to_string(), "each": EACH})
            index.execute(db.text("analyze"))
        yield held


@pytest.fixture
def index(storage: BatchingPostgresEventLogStorage) -> Iterator[Connection]:
    with storage.index_connection() as connection:
        yield connection


def plan(index: Connection, query: db.Select[int]) -> str:
    text = query.compile(index, compile_kwargs={"literal_binds": True})
    return "\n".join(index.execute(db.text(f"explain {text}")).scalars())


def test_the_newest_event_is_that_of_the_asset(storage: BatchingPostgresEventLogStorage) -> None:
    assert (storage.newest_planned(EARLIER), storage.newest_planned(LATER)) == (EACH, 2 * EACH)
    assert (storage.newest_planned(EARLIER, EACH - 1), storage.newest_planned(EARLIER, EACH)) == (EACH, 0)
    assert storage.newest_planned(dg.AssetKey("never")) == 0
    info = storage.get_latest_planned_materialization_info(EARLIER)
    assert info is not None
    assert (info.storage_id, info.run_id) == (EACH, "run")
    assert storage.get_latest_planned_materialization_info(dg.AssetKey("never")) is None


def test_dagsters_own_question_would_go_down_the_events_of_others(index: Connection) -> None:
    """What the statements here are for: when this fails, they may go."""
    stock = "select id, event from event_logs where asset_key = '[\"earlier\"]' and dagster_event_type = '{}'"
    asked = f"explain {stock.format(PLANNED.value)} order by id desc limit 1"
    assert "Index Scan Backward using event_logs_pkey" in "\n".join(index.execute(db.text(asked)).scalars())


@pytest.mark.parametrize("after", [0, EACH - 10])
def test_no_plan_goes_down_the_primary_key(index: Connection, after: int) -> None:
    chosen = plan(index, newest_event(EARLIER, PLANNED, after))
    assert "idx_events_by_asset" in chosen
    assert "event_logs_pkey" not in chosen


def test_the_newest_evaluation_of_a_check_is_looked_up_in_the_index(index: Connection) -> None:
    checks = [dg.AssetCheckKey(EARLIER, name) for name in ("fits", "unknown")]
    assert newest_evaluations(index, checks) == {checks[0]: EACH}
    assert str(BY_EVALUATION.name) in plan(index, newest_evaluation(checks[0]))


def test_the_newest_row_of_each_check_is_found(index: Connection) -> None:
    checks = [dg.AssetCheckKey(asset, name) for asset in (EARLIER, LATER) for name in ("fits", "unknown")]
    rows = newest_executions(index, checks)
    assert {check: row["partition"] for check, row in rows.items()} == dict.fromkeys(checks[::2], str(EACH))
