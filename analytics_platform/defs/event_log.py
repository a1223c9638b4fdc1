"""Dagster's SQLite event log with a batched write.

Belongs here: how run and asset events reach the SQLite files of a local instance, and nothing else about Dagster.
Stays out: which events are sent (Dagster decides) and where the files lie (`defs.instance` decides).

Why it exists: a run over a range of days sends two events per (asset, day), planned and materialized, and one per
(check, day). The stock storage builds a new engine and opens a new connection for each of them, about 15 ms together: a
hundred assets over one year take nine minutes for bookkeeping alone. Dagster can hand events over in batches
(`DAGSTER_EVENT_BATCH_SIZE`), but of its own storages only PostgreSQL's writes a batch as one.

A commit is synced when its run ends and not for each event, some 2 ms times 3,000 in a night's run. A process that is
killed loses nothing by it; where the power fails, the run that was under way may lack its last events, and no run is
said to have ended before all of its events are on disk.

What holds as in the stock storage: every event lies in the run's shard, asset events lie in the index shard
too, and the asset and tag tables follow. A batch is one transaction per shard; the index commits first
and both roll back when either write fails, so the retry one by one that Dagster falls back to finds
no half-written batch.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as db
from dagster import AssetKey
from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS, DagsterEventType
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    AssetKeyTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData, serialize_value
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import QueuePool

MIRRORED_EVENTS = frozenset(ASSET_EVENTS | ASSET_CHECK_EVENTS)
"""What a batch may hold: events of assets and of their checks; all lie in the index shard too."""

_ENDS = frozenset({DagsterEventType.RUN_SUCCESS, DagsterEventType.RUN_FAILURE, DagsterEventType.RUN_CANCELED})

_CHECKS = AssetCheckExecutionsTable.c
_OF_CHECK_AND_RUN = AssetCheckExecutionsTable.delete().where(
    _CHECKS.asset_key == db.bindparam("of_asset"),
    _CHECKS.check_name == db.bindparam("of_check"),
    _CHECKS.run_id == db.bindparam("of_run"),
)
_PLANNED = _OF_CHECK_AND_RUN.where(_CHECKS.execution_status == AssetCheckExecutionRecordStatus.PLANNED.value)
_OF_PARTITION = _OF_CHECK_AND_RUN.where(_CHECKS.partition.is_not_distinct_from(db.bindparam("of_partition")))

_WIPED_AT_ONCE = 500
"""SQLite takes a bounded number of values in one statement."""

ENGINES_KEPT = 8
"""Engines kept open at once: the index, and the shards of the runs that a process looks at together."""


class BatchingSqliteEventLogStorage(SqliteEventLogStorage):
    """The stock SQLite event log, with engines that are kept and batches that are written at once."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        self._there: set[tuple[str, str]] = set()
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> BatchingSqliteEventLogStorage:
        """Build from dagster.yaml. Overridden because the stock one names its own class."""
        return cls(inst_data=inst_data, **config_value)

    def store_event(self, event: EventLogEntry) -> None:
        """Write one event; with the last one of a run, see to it that all of them are on disk."""
        super().store_event(event)
        if event.is_dagster_event and event.dagster_event_type in _ENDS:
            for shard in (event.run_id, INDEX_SHARD_NAME):
                self._sync(shard)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Write a batch in one transaction per shard, or one by one when it holds other kinds of events."""
        if not all(_is_mirrored(event) for event in events) or len({event.run_id for event in events}) != 1:
            super().store_event_batch(events)
            return
        rows = [self._event_to_row(event) for event in events]
        with self._run_and_index(events[0].run_id) as (run, index):
            run.execute(SqlEventLogStorageTable.insert(), rows)
            ids = _insert_returning_ids(index, rows)
            self._store_tags(index, events, ids)
            self._store_asset_keys(index, events, ids)
            self._store_planned_checks(index, events, ids)
            self._store_evaluations(index, events, ids)

    def wipe_asset_partitions(self, asset_key: AssetKey, partition_keys: Sequence[str]) -> None:
        """Forget that partitions of an asset were ever built: the stock storage refuses to.

        Their events go from the index, which status and history of assets are read from; the runs that built them keep
        their own logs.
        """
        events, tags, checks = SqlEventLogStorageTable, AssetEventTagsTable, AssetCheckExecutionsTable
        with self.index_connection() as index:
            for start in range(0, len(partition_keys), _WIPED_AT_ONCE):
                wiped = partition_keys[start : start + _WIPED_AT_ONCE]
                of_asset = events.c.asset_key == asset_key.to_string()
                gone = db.select(events.c.id).where(of_asset, events.c.partition.in_(wiped))
                index.execute(tags.delete().where(tags.c.event_id.in_(gone)))
                index.execute(events.delete().where(of_asset, events.c.partition.in_(wiped)))
                of_check = checks.c.asset_key == asset_key.to_string()
                index.execute(checks.delete().where(of_check, checks.c.partition.in_(wiped)))
        self.wipe_asset_cached_status(asset_key)

    def has_table(self, table_name: str) -> bool:
        """Whether the index has a table."""
        return self._is_there("table", table_name, super().has_table)

    def has_asset_key_col(self, column_name: str) -> bool:
        """Whether the table of assets has a column."""
        return self._is_there("column", column_name, super().has_asset_key_col)

    def has_secondary_index(self, name: str) -> bool:
        """Whether a migration of data is done."""
        return self._is_there("migration", name, super().has_secondary_index)

    def _initdb(self, engine: Engine, for_index_shard: bool = False) -> None:
        """Make a shard's tables. One that says its revision has them: Alembic would read all migrations to agree."""
        if not _is_made(engine):
            super()._initdb(engine, for_index_shard)

    def _is_there(self, kind: str, name: str, ask: Callable[[str], bool]) -> bool:
        """Dagster asks for these before each look-up; they come with a migration and never go."""
        if (kind, name) not in self._there and ask(name):
            self._there.add((kind, name))
        return (kind, name) in self._there

    def dispose(self) -> None:
        """Close what is open."""
        while self._engines:
            self._engines.popitem()[1].dispose()
        super().dispose()

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock, self._engine(shard).connect() as connection, connection.begin():
            yield connection

    def _sync(self, shard: str) -> None:
        """Have the journal of a shard written to disk, which a checkpoint begins with."""
        with self._db_lock, self._engine(shard).connect() as connection:
            connection.exec_driver_sql("pragma wal_checkpoint(passive)")

    @contextmanager
    def _run_and_index(self, run_id: str) -> Iterator[tuple[Connection, Connection]]:
        with (
            self._db_lock,
            self._engine(run_id).connect() as run,
            self._engine(INDEX_SHARD_NAME).connect() as index,
            run.begin(),
            index.begin(),
        ):
            yield run, index

    def _engine(self, shard: str) -> Engine:
        """The engine of a shard, its tables made on first use; the one used longest ago is let go.

        It keeps a connection: closing the last one of a file makes SQLite write its journal back, which costs more than
        the event. A file that `dagster run delete` has removed must not live on in it, so that is looked at each time.
        """
        engine = self._engines.get(shard)
        if engine is not None and not os.path.exists(self.path_for_shard(shard)):  # noqa: PTH110 - for each event
            self._engines.pop(shard).dispose()
            self._initialized_dbs.discard(shard)
            engine = None
        if engine is None:
            engine = db.create_engine(
                self.conn_string_for_shard(shard),
                poolclass=QueuePool,
                pool_size=1,
                connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS},
            )
            db.event.listen(engine, "connect", _sync_at_checkpoints)
            self._engines[shard] = engine
        self._engines.move_to_end(shard)
        if shard not in self._initialized_dbs:
            self._initdb(engine)
            self._initialized_dbs.add(shard)
        while len(self._engines) > ENGINES_KEPT:
            self._engines.popitem(last=False)[1].dispose()
        return engine

    def _store_tags(self, index: Connection, events: Sequence[EventLogEntry], ids: Sequence[int]) -> None:
        """Index the tags that Dagster looks assets up by: partition dimensions and data versions."""
        rows = [
            {
                "event_id": event_id,
                "asset_key": _asset_key(event),
                "key": key,
                "value": value,
                "event_timestamp": self._event_insert_timestamp(event),  # type: ignore[no-untyped-call]
            }
            for event, event_id in zip(events, ids, strict=True)
            for key, value in self._tags_for_asset_event(event).items()
        ]
        if rows:
            index.execute(AssetEventTagsTable.insert(), rows)

    def _store_asset_keys(self, index: Connection, events: Sequence[EventLogEntry], ids: Sequence[int]) -> None:
        """Bring each asset's row to what storing the events one after the other would leave there."""
        latest: dict[str, dict[tuple[bool, bool], tuple[EventLogEntry, int]]] = {}
        for event, event_id in zip(events, ids, strict=True):
            if event.dagster_event_type in ASSET_EVENTS:
                latest.setdefault(_asset_key(event), {})[_effect(event)] = (event, event_id)
        for asset_key, last_of_each_effect in latest.items():
            values: dict[str, Any] = {}
            for event, event_id in sorted(last_of_each_effect.values(), key=lambda pair: pair[1]):
                values |= self._get_asset_entry_values(event, event_id, has_asset_key_index_cols=True)
            if values:
                _upsert_asset_key(index, asset_key, values)

    def _store_planned_checks(self, index: Connection, events: Sequence[EventLogEntry], ids: Sequence[int]) -> None:
        """Announce the checks that a run is going to evaluate."""
        rows = [
            self._planned_check_row(event, event_id)
            for event, event_id in zip(events, ids, strict=True)
            if event.dagster_event_type == DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED
        ]
        if rows:
            index.execute(AssetCheckExecutionsTable.insert(), rows)

    def _planned_check_row(self, event: EventLogEntry, event_id: int) -> dict[str, Any]:
        """The row that the check's evaluation will take the place of.

        The stock storage writes one per partition of the run, also for checks that are evaluated once for all of them,
        such as dbt's tests: those rows would say "planned" for ever, 46,000 of them after a year's run. Nothing in the
        event tells such a check from one that is evaluated by partition.
        """
        planned = event.get_dagster_event().asset_check_planned_data
        partitions = list(planned.partitions_subset.get_partition_keys()) if planned.partitions_subset else []
        return {
            "asset_key": planned.asset_key.to_string(),
            "check_name": planned.check_name,
            "partition": partitions[0] if len(partitions) == 1 else None,
            "run_id": event.run_id,
            "execution_status": AssetCheckExecutionRecordStatus.PLANNED.value,
            "evaluation_event": serialize_value(event),
            "evaluation_event_timestamp": self._event_insert_timestamp(event),  # type: ignore[no-untyped-call]
            "evaluation_event_storage_id": event_id,
        }

    def _update_asset_check_evaluation(self, event: EventLogEntry, event_id: int | None) -> None:
        """Record an evaluation that comes alone."""
        with self.index_connection() as index:
            self._store_evaluations(index, [event], [event_id])

    def _store_evaluations(self, index: Connection, events: Sequence[EventLogEntry], ids: Sequence[int | None]) -> None:
        """Record evaluations in the place of the plan, and of what an earlier attempt of the run has left.

        Written anew and not updated, so that the summary, which comes after its partitions, is the check's newest
        record: that one is Dagster's answer to how the check stands.
        """
        rows = [
            self._evaluation_row(event, event_id)
            for event, event_id in zip(events, ids, strict=True)
            if event.dagster_event_type == DagsterEventType.ASSET_CHECK_EVALUATION
        ]
        if rows:
            of_rows = [_identity(row) for row in rows]
            checks = {(of["of_asset"], of["of_check"], of["of_run"]): of for of in of_rows}
            index.execute(_PLANNED, list(checks.values()))
            index.execute(_OF_PARTITION, of_rows)
            index.execute(AssetCheckExecutionsTable.insert(), rows)

    def _evaluation_row(self, event: EventLogEntry, event_id: int | None) -> dict[str, Any]:
        evaluation = event.get_dagster_event().asset_check_evaluation_data
        target = evaluation.target_materialization_data
        succeeded, failed = AssetCheckExecutionRecordStatus.SUCCEEDED, AssetCheckExecutionRecordStatus.FAILED
        return {
            "asset_key": evaluation.asset_key.to_string(),
            "check_name": evaluation.check_name,
            "partition": evaluation.partition,
            "run_id": event.run_id,
            "execution_status": (succeeded if evaluation.passed else failed).value,
            "evaluation_event": serialize_value(event),
            "evaluation_event_timestamp": self._event_insert_timestamp(event),  # type: ignore[no-untyped-call]
            "evaluation_event_storage_id": event_id,
            "materialization_event_storage_id": target.storage_id if target else None,
        }


def _sync_at_checkpoints(connection: Any, _record: object) -> None:
    """Leave a commit in the journal, from where the system writes it in its own time."""
    connection.execute("pragma synchronous = normal")


def _is_made(engine: Engine) -> bool:
    with engine.connect() as connection:
        if not engine.dialect.has_table(connection, "alembic_version"):
            return False
        return connection.execute(db.text("select 1 from alembic_version")).first() is not None


def _identity(row: Mapping[str, Any]) -> dict[str, Any]:
    """What tells a row of a check's executions from all others."""
    return {
        "of_asset": row["asset_key"],
        "of_check": row["check_name"],
        "of_run": row["run_id"],
        "of_partition": row["partition"],
    }


def _is_mirrored(event: EventLogEntry) -> bool:
    return event.dagster_event_type in MIRRORED_EVENTS


def _asset_key(event: EventLogEntry) -> str:
    key = event.get_dagster_event().asset_key
    if key is None:
        raise ValueError(f"An asset event without an asset: {event}")
    return key.to_string()


def _effect(event: EventLogEntry) -> tuple[bool, bool]:
    """Which columns of an asset's row an event writes; of two events with the same effect, the later one counts."""
    dagster_event = event.get_dagster_event()
    return dagster_event.is_step_materialization, dagster_event.is_asset_materialization_planned


def _insert_returning_ids(connection: Connection, rows: Sequence[dict[str, Any]]) -> list[int]:
    insert = SqlEventLogStorageTable.insert().returning(SqlEventLogStorageTable.c.id, sort_by_parameter_order=True)
    return list(connection.execute(insert, rows).scalars())


def _upsert_asset_key(index: Connection, asset_key: str, values: Mapping[str, Any]) -> None:
    table = AssetKeyTable
    updated = index.execute(table.update().values(**values).where(table.c.asset_key == asset_key))
    if not updated.rowcount:
        index.execute(table.insert().values(asset_key=asset_key, **values))
