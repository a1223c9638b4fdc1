"""What a batch of events of assets and of their checks leaves in the tables that Dagster reads assets from.

Belongs here: the statements of one transaction, alike in SQLite and PostgreSQL. Stays out: connections and files, which
each storage has its own way with (`event_log`, `event_log_postgres`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import sqlalchemy as db
from dagster import AssetCheckKey, AssetKey, MultiPartitionsDefinition, PartitionsDefinition
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS, DagsterEventType
from dagster._core.events.log import EventLogEntry
from dagster._core.loader import LoadingContext
from dagster._core.storage.asset_check_execution_record import (
    AssetCheckExecutionRecord,
    AssetCheckExecutionRecordStatus,
    AssetCheckPartitionInfo,
)
from dagster._core.storage.asset_check_state import AssetCheckState
from dagster._core.storage.event_log.base import AssetRecord
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    AssetKeyTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.storage.partition_status_cache import AssetStatusCacheValue
from dagster._record import copy
from dagster._serdes import serialize_value
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from analytics_platform.defs import check_status
from analytics_platform.defs.check_status import CheckSum
from analytics_platform.defs.newest_events import (
    events_after,
    newest_evaluations,
    newest_event,
    newest_executions,
)
from analytics_platform.defs.partition_ranges import share_ranges
from analytics_platform.defs.partition_status import (
    PackedStatus,
    existing,
    is_packable,
    read,
    settled,
    stored,
    summed_up,
    without,
)
from analytics_platform.defs.planned_partitions import PlanningEventLogStorage, narrowed
from analytics_platform.defs.pools import WAREHOUSE_POOL

MIRRORED_EVENTS = frozenset(ASSET_EVENTS | ASSET_CHECK_EVENTS)
"""What a batch may hold: events of assets and of their checks; all lie in the index shard too."""

_CHECKS = AssetCheckExecutionsTable.c
_EVENTS = SqlEventLogStorageTable.c
_OF_CHECK_AND_RUN = AssetCheckExecutionsTable.delete().where(
    _CHECKS.asset_key == db.bindparam("of_asset"),
    _CHECKS.check_name == db.bindparam("of_check"),
    _CHECKS.run_id == db.bindparam("of_run"),
)
_PLANNED = _OF_CHECK_AND_RUN.where(_CHECKS.execution_status == AssetCheckExecutionRecordStatus.PLANNED.value)
_OF_PARTITION = _OF_CHECK_AND_RUN.where(_CHECKS.partition.is_not_distinct_from(db.bindparam("of_partition")))

_INSERT: Mapping[str, Any] = {"postgresql": postgresql.insert, "sqlite": sqlite.insert}

_WIPED_AT_ONCE = 500
"""SQLite takes a bounded number of values in one statement; also for partitions that are looked up."""


class BatchingEventLogStorage(PlanningEventLogStorage):
    """An event log that takes a batch of events of assets and of their checks, evaluations too, in one transaction."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._there: set[tuple[str, str]] = set()
        share_ranges()
        super().__init__(*arguments, **options)  # type: ignore[no-untyped-call]

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Write a batch in one transaction, or one by one when it holds other kinds of events."""
        if not all(_is_mirrored(event) for event in events) or len({event.run_id for event in events}) != 1:
            for event in events:
                self.store_event(event)
            return
        events = [narrowed(event) for event in events]
        rows = [self._event_to_row(event) for event in events]
        with self._batch(events[0].run_id, rows) as index:
            ids = _insert_returning_ids(index, rows)
            self._store_tags(index, events, rows, ids)
            self._store_asset_keys(index, events, ids)
            self._store_planned_checks(index, events, ids)
            self._store_evaluations(index, events, ids)

    @abstractmethod
    def _batch(self, run_id: str, rows: Sequence[dict[str, Any]]) -> AbstractContextManager[Connection]:
        """A transaction on the tables that assets are read from; what a run's own log needs is written with it."""

    def wipe_asset_partitions(self, asset_key: AssetKey, partition_keys: Sequence[str]) -> None:
        """Forget that partitions of an asset were ever built: the stock storages refuse to."""
        wipe_partitions(self, asset_key, partition_keys)

    def get_asset_status_cache_values(
        self, partitions_defs_by_key: Iterable[tuple[AssetKey, PartitionsDefinition | None]], context: LoadingContext
    ) -> Sequence[AssetStatusCacheValue | None]:
        """Which partitions of each asset are built; what is summed up of them is taken as it is while it holds."""
        return [self._partition_status(key, of_key, context) for key, of_key in partitions_defs_by_key]

    def _partition_status(
        self, key: AssetKey, partitions_def: PartitionsDefinition | None, context: LoadingContext
    ) -> AssetStatusCacheValue | None:
        record = AssetRecord.blocking_get(context, key)
        # A request of the web server has read the tenants already.
        with partition_loading_context(None, getattr(context, "dynamic_partitions_loader", self._instance)):
            kept = settled(record, self._planned_since(record), partitions_def)
            if record is not None and is_packable(partitions_def) and not isinstance(kept, PackedStatus):
                return self._sum_up(record, partitions_def)
        return kept or super().get_asset_status_cache_values([(key, partitions_def)], context)[0]

    def _planned_since(self, record: AssetRecord | None) -> int:
        """The newest plan that an asset's sum does not know of yet; 0 for none."""
        kept = record.asset_entry.cached_status if record else None
        return self.newest_planned(record.asset_entry.asset_key, kept.latest_storage_id) if record and kept else 0

    def _sum_up(self, record: AssetRecord, partitions_def: MultiPartitionsDefinition) -> AssetStatusCacheValue | None:
        """Bring the sum of day x tenant up to date, and keep it where it has changed."""
        status = summed_up(self._instance, record, partitions_def)
        if status is not None and status != record.asset_entry.cached_status:
            self.update_asset_cached_status_data(record.asset_entry.asset_key, status)
        return status

    def update_asset_cached_status_data(self, asset_key: AssetKey, cache_values: AssetStatusCacheValue) -> None:
        """Keep what is summed up of an asset's partitions."""
        super().update_asset_cached_status_data(asset_key, stored(cache_values))

    def _construct_asset_record_from_row(self, *arguments: Any, **options: Any) -> AssetRecord:
        """What the log holds of an asset, with its sum in the form in which it is kept."""
        record = super()._construct_asset_record_from_row(*arguments, **options)
        entry = record.asset_entry
        return copy(record, asset_entry=copy(entry, cached_status=read(entry.cached_status)))

    def get_asset_check_state(
        self, keys: Sequence[tuple[AssetCheckKey, PartitionsDefinition | None]]
    ) -> Mapping[AssetCheckKey, AssetCheckState]:
        """How checks stand, partition by partition; of days, what is kept is brought up to date."""
        others = [(key, of_key) for key, of_key in keys if not check_status.is_summed_up(of_key)]
        states = dict(super().get_asset_check_state(others)) if others else {}
        by_asset: dict[AssetKey, dict[str, PartitionsDefinition]] = {}
        for key, of_key in keys:
            if of_key is not None and check_status.is_summed_up(of_key):
                by_asset.setdefault(key.asset_key, {})[key.name] = of_key
        runs = self._instance.run_storage
        kept = runs.get_cursor_values({check_status.place(asset) for asset in by_asset}) if by_asset else {}
        for asset, of_checks in by_asset.items():
            before = check_status.read(kept.get(check_status.place(asset)))
            now = {**before, **self._check_sums(asset, of_checks, before)}
            if now != before:
                runs.set_cursor_values({check_status.place(asset): check_status.written(now)})
            for name, of_check in of_checks.items():
                key = AssetCheckKey(asset, name)
                states[key] = now[name].state(key, of_check)
        return states

    def get_latest_asset_check_execution_by_key(
        self, check_keys: Sequence[AssetCheckKey], partition_filter: PartitionKeyFilter | None = None
    ) -> Mapping[AssetCheckKey, AssetCheckExecutionRecord]:
        """The newest record of each check; the stock storages read all records of all checks for it."""
        if partition_filter is not None:
            return super().get_latest_asset_check_execution_by_key(check_keys, partition_filter)
        with self.index_connection() as index:
            rows = newest_executions(index, check_keys)
        return {key: AssetCheckExecutionRecord.from_db_row(row, key=key) for key, row in rows.items()}

    def _check_sums(
        self, asset: AssetKey, of_checks: Mapping[str, PartitionsDefinition], kept: Mapping[str, CheckSum]
    ) -> dict[str, CheckSum]:
        """Sums of an asset's checks as they are now."""
        known_builds = [of_check.build for name, of_check in kept.items() if name in of_checks]
        executions, build = self._newest_of_checks(asset, sorted(of_checks), min(known_builds, default=0))
        sums: dict[str, CheckSum] = {}
        with partition_loading_context(None, self._instance):
            for name, partitions_def in of_checks.items():
                of = check_status.identity(partitions_def)
                known, execution = kept.get(name), executions.get(name, 0)
                if known is None or known.of != of:
                    known = CheckSum(of)
                if (known.execution, known.build) != (execution, build) or known.runs:
                    key = AssetCheckKey(asset, name)
                    infos = self._new_infos(key, known)
                    there = existing([str(info.partition_key) for info in infos], partitions_def)
                    infos = [info for info in infos if info.partition_key in there]
                    ended = check_status.ended(self._instance, check_status.runs_to_ask_for(known, infos))
                    known = known.updated(infos, ended, execution=execution, build=build)
                sums[name] = known
        return sums

    def _newest_of_checks(self, asset: AssetKey, names: Sequence[str], known_build: int) -> tuple[dict[str, int], int]:
        """Ids of events: the newest evaluation of each check of an asset, and the asset's newest materialization.

        Ids of executions would not do: a plan's row makes place for its evaluation's, and SQLite gives its id again.
        """
        build = newest_event(asset, DagsterEventType.ASSET_MATERIALIZATION, known_build)
        with self.index_connection() as index:
            found = newest_evaluations(index, [AssetCheckKey(asset, name) for name in names])
            return {key.name: newest for key, newest in found.items()}, index.execute(build).scalar() or known_build

    def _new_infos(self, key: AssetCheckKey, known: CheckSum) -> list[AssetCheckPartitionInfo]:
        """How a check stands in each partition that was evaluated or built since."""
        if known.execution == 0:
            return list(self.get_asset_check_partition_info([key]))
        of_check = (_CHECKS.asset_key == key.asset_key.to_string(), _CHECKS.check_name == key.name)
        evaluated = db.select(_CHECKS.partition).where(*of_check, _CHECKS.evaluation_event_storage_id > known.execution)
        materialized = DagsterEventType.ASSET_MATERIALIZATION
        built = db.select(_EVENTS.partition).where(*events_after(key.asset_key, materialized, known.build))
        with self.index_connection() as index:
            new: list[str] = sorted(filter(None, index.execute(evaluated.union(built)).scalars()))
        infos: list[AssetCheckPartitionInfo] = []
        for start in range(0, len(new), _WIPED_AT_ONCE):
            some = new[start : start + _WIPED_AT_ONCE]
            infos += self.get_asset_check_partition_info([key], partition_keys=some)
        return infos

    def wipe_asset(self, asset_key: AssetKey) -> None:
        """Forget all that an asset was; how its checks stand as well."""
        super().wipe_asset(asset_key)
        if self.has_instance:
            self._instance.run_storage.set_cursor_values({check_status.place(asset_key): check_status.written({})})

    def get_concurrency_keys(self) -> set[str]:
        """The pools that have limits, the warehouse's always among them.

        Dagster's queue asks for them before it gives a new pool its limit, so the first time that it looks it would let
        every run in that waits for the warehouse.
        """
        known = super().get_concurrency_keys()
        if WAREHOUSE_POOL in known or not self.has_instance:
            return known
        self.initialize_concurrency_limit_to_default(WAREHOUSE_POOL)
        return super().get_concurrency_keys()

    def has_table(self, table_name: str) -> bool:
        """Whether the index has a table."""
        return self._is_there("table", table_name, super().has_table)  # type: ignore[safe-super]

    def has_asset_key_col(self, column_name: str) -> bool:
        """Whether the table of assets has a column."""
        return self._is_there("column", column_name, super().has_asset_key_col)

    def has_secondary_index(self, name: str) -> bool:
        """Whether a migration of data is done."""
        return self._is_there("migration", name, super().has_secondary_index)

    def _is_there(self, kind: str, name: str, ask: Callable[[str], bool]) -> bool:
        """Dagster asks for these before each look-up; they come with a migration and never go."""
        if (kind, name) not in self._there and ask(name):
            self._there.add((kind, name))
        return (kind, name) in self._there

    def _store_tags(
        self, index: Connection, events: Sequence[EventLogEntry], rows: Sequence[dict[str, Any]], ids: Sequence[int]
    ) -> None:
        """Index the tags that Dagster looks assets up by: partition dimensions and data versions."""
        tags = [
            {
                "event_id": event_id,
                "asset_key": row["asset_key"],
                "key": key,
                "value": value,
                "event_timestamp": row["timestamp"],
            }
            for event, row, event_id in zip(events, rows, ids, strict=True)
            for key, value in self._tags_for_asset_event(event).items()
        ]
        if tags:
            index.execute(AssetEventTagsTable.insert(), tags)

    def _store_asset_keys(self, index: Connection, events: Sequence[EventLogEntry], ids: Sequence[int]) -> None:
        """Bring each asset's row to what storing the events one after the other would leave there.

        Always in the same order: two runs that write the same assets wait for each other's rows and never in a ring.
        """
        latest: dict[str, dict[tuple[bool, bool], tuple[EventLogEntry, int]]] = {}
        for event, event_id in zip(events, ids, strict=True):
            if event.dagster_event_type in ASSET_EVENTS:
                latest.setdefault(_asset_key(event), {})[_effect(event)] = (event, event_id)
        for asset_key, last_of_each_effect in sorted(latest.items()):
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


def wipe_partitions(storage: SqlEventLogStorage, asset_key: AssetKey, partition_keys: Sequence[str]) -> None:
    """Forget partitions in a storage, ours or a stock one.

    Their events go from where status and history of assets are read; of a run's own log, SQLite has another copy.
    """
    events, tags, checks = SqlEventLogStorageTable, AssetEventTagsTable, AssetCheckExecutionsTable
    with storage.index_connection() as index:
        for start in range(0, len(partition_keys), _WIPED_AT_ONCE):
            wiped = partition_keys[start : start + _WIPED_AT_ONCE]
            of_asset = events.c.asset_key == asset_key.to_string()
            gone = db.select(events.c.id).where(of_asset, events.c.partition.in_(wiped))
            index.execute(tags.delete().where(tags.c.event_id.in_(gone)))
            index.execute(events.delete().where(of_asset, events.c.partition.in_(wiped)))
            of_check = checks.c.asset_key == asset_key.to_string()
            index.execute(checks.delete().where(of_check, checks.c.partition.in_(wiped)))
    if isinstance(storage, PlanningEventLogStorage):
        storage.forget_plans(asset_key, partition_keys)
    record = next(iter(storage.get_asset_records([asset_key])), None)
    left = without(record.asset_entry.cached_status if record else None, partition_keys)
    if left is None:
        storage.wipe_asset_cached_status(asset_key)
    else:
        storage.update_asset_cached_status_data(asset_key, left)
    _forget_in_check_sums(storage, asset_key, partition_keys)


def _forget_in_check_sums(storage: SqlEventLogStorage, asset_key: AssetKey, partition_keys: Sequence[str]) -> None:
    place = check_status.place(asset_key)
    if storage.has_instance and (text := storage._instance.run_storage.get_cursor_values({place}).get(place)):
        left = {name: of_check.without(partition_keys) for name, of_check in check_status.read(text).items()}
        storage._instance.run_storage.set_cursor_values({place: check_status.written(left)})


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
    insert = _INSERT[index.dialect.name](AssetKeyTable).values(asset_key=asset_key, **values)
    index.execute(insert.on_conflict_do_update(index_elements=[AssetKeyTable.c.asset_key], set_=dict(values)))
