"""Plans: a run that is to build many partitions of an asset says so in one event that names them all.

Dagster would write an event for each of them, half of all that a run leaves in the event log. It can write one with the
set of partitions instead, but its own storages look plans up by their column, find none, and show no partition as
failed or under way. Here the sets are read where somebody asks.

Belongs here: how a plan is written, found and forgotten. Stays out: what is summed up of it (`partition_status`), and
the statements of a batch (`event_batches`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as db
from dagster import AssetKey, DagsterEventType, DagsterRunStatus, RunsFilter
from dagster._core.events import AssetMaterializationPlannedData
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.base import PlannedMaterializationInfo
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._serdes import deserialize_value, serialize_value

from analytics_platform.defs.newest_events import newest_event

_EVENTS = SqlEventLogStorageTable.c
_UNBUILT = [status for status in DagsterRunStatus if status != DagsterRunStatus.SUCCESS]
_IDS_A_QUERY = 500
"""SQLite takes a bounded number of values in one statement."""

Attempt = tuple[str, int]
"""A run and its plan's event."""


class PlanningEventLogStorage(SqlEventLogStorage):
    """An event log in which a plan names all its partitions at once."""

    @property
    def supports_partition_subset_in_asset_materialization_planned_events(self) -> bool:
        """What makes Dagster write one event for all partitions of an asset."""
        return True

    def store_event(self, event: EventLogEntry) -> None:
        """Write one event."""
        super().store_event(narrowed(event))

    def get_latest_asset_partition_materialization_attempts_without_materializations(
        self, asset_key: AssetKey, after_storage_id: int | None = None
    ) -> Mapping[str, Attempt]:
        """The newest plan of each partition that nothing has been built by: it failed, or is under way."""
        alone = super().get_latest_asset_partition_materialization_attempts_without_materializations(
            asset_key, after_storage_id
        )
        together = {
            partition: (run_id, event_id)
            for event_id, run_id, event in self._unbuilt(asset_key, after_storage_id)
            for partition in _partitions(event)
        }
        if not together:
            return alone
        built = self.get_latest_storage_id_by_partition(
            asset_key, DagsterEventType.ASSET_MATERIALIZATION, after_cursor=after_storage_id
        )
        open_still = {key: attempt for key, attempt in together.items() if attempt[1] > built.get(key, 0)}
        return _newest(alone, open_still)

    def get_latest_planned_materialization_info(
        self, asset_key: AssetKey, partition: str | None = None
    ) -> PlannedMaterializationInfo | None:
        """The newest plan of an asset, or of a partition of it."""
        if partition is None:
            newest = self.newest_planned(asset_key)
            return self._of_run(newest) if newest else None
        alone = super().get_latest_planned_materialization_info(asset_key, partition)
        built = self._built_by(asset_key, partition)
        after = built.storage_id if built else None
        attempts = self.get_latest_asset_partition_materialization_attempts_without_materializations(asset_key, after)
        tried = attempts.get(partition)
        found = [alone, built, PlannedMaterializationInfo(storage_id=tried[1], run_id=tried[0]) if tried else None]
        return max((each for each in found if each), key=lambda each: each.storage_id, default=None)

    def newest_planned(self, asset_key: AssetKey, after: int = 0) -> int:
        """The id of the newest event that plans a partition of an asset; 0 for none after a given one."""
        query = newest_event(asset_key, DagsterEventType.ASSET_MATERIALIZATION_PLANNED, after)
        details = self._get_assets_details([asset_key])
        with self.index_connection() as index:
            return index.execute(self._add_assets_wipe_filter_to_query(query, details, [asset_key])).scalar() or 0

    def forget_plans(self, asset_key: AssetKey, partitions: Sequence[str]) -> None:
        """Take partitions out of the plans that nothing was built by, or they would look failed for ever."""
        gone = frozenset(partitions)
        left = [
            {"of_event": event_id, "left": serialize_value(_without(event, gone))}
            for event_id, _, event in self._unbuilt(asset_key, None)
            if not gone.isdisjoint(_partitions(event))
        ]
        if left:
            events = SqlEventLogStorageTable.update().where(_EVENTS.id == db.bindparam("of_event"))
            with self.index_connection() as index:
                index.execute(events.values(event=db.bindparam("left")), left)

    def _built_by(self, asset_key: AssetKey, partition: str) -> PlannedMaterializationInfo | None:
        """The newest materialization of a partition, which its run had planned."""
        of_type = DagsterEventType.ASSET_MATERIALIZATION
        newest = self.get_latest_storage_id_by_partition(asset_key, of_type, {partition}).get(partition)
        return None if newest is None else self._of_run(newest)

    def _of_run(self, event_id: int) -> PlannedMaterializationInfo:
        """An event with the run that it belongs to."""
        with self.index_connection() as index:
            run_id = str(index.execute(db.select(_EVENTS.run_id).where(_EVENTS.id == event_id)).scalar_one())
        return PlannedMaterializationInfo(storage_id=event_id, run_id=run_id)

    def _unbuilt(self, asset_key: AssetKey, after: int | None) -> Iterator[tuple[int, str, EventLogEntry]]:
        """Plans of many partitions whose runs have not ended well, oldest first; most have, and are not read."""
        query = db.select(_EVENTS.id, _EVENTS.run_id).where(
            _EVENTS.asset_key == asset_key.to_string(),
            _EVENTS.dagster_event_type == DagsterEventType.ASSET_MATERIALIZATION_PLANNED.value,
            _EVENTS.partition.is_(None),
            _EVENTS.id > (after or 0),
        )
        details = self._get_assets_details([asset_key])
        with self.index_connection() as index:
            plans = index.execute(self._add_assets_wipe_filter_to_query(query, details, [asset_key])).all()
        unbuilt = self._not_successful({plan.run_id for plan in plans})
        wanted = sorted(plan.id for plan in plans if plan.run_id in unbuilt)
        for ids in _cut(wanted):
            texts = db.select(_EVENTS.id, _EVENTS.run_id, _EVENTS.event).where(_EVENTS.id.in_(ids)).order_by(_EVENTS.id)
            with self.index_connection() as index:
                rows = index.execute(texts).all()
            yield from ((row.id, row.run_id, deserialize_value(row.event, EventLogEntry)) for row in rows)

    def _not_successful(self, run_ids: Iterable[str]) -> set[str]:
        return {
            run.run_id
            for ids in _cut(sorted(run_ids))
            for run in self._instance.get_runs(RunsFilter(run_ids=list(ids), statuses=_UNBUILT))
        }


def narrowed(event: EventLogEntry) -> EventLogEntry:
    """A plan of a single partition names it as such, so that it is found by its column; anything else stays."""
    keys = _partitions(event)
    if len(keys) != 1:
        return event
    return _planning(event, AssetMaterializationPlannedData(_planned(event).asset_key, partition=keys[0]))


def _partitions(event: EventLogEntry) -> list[str]:
    """Of a plan, those that it names as a set."""
    if event.dagster_event_type != DagsterEventType.ASSET_MATERIALIZATION_PLANNED:
        return []
    subset = _planned(event).partitions_subset
    return [] if subset is None else [*subset.get_partition_keys()]


def _planned(event: EventLogEntry) -> AssetMaterializationPlannedData:
    return event.get_dagster_event().asset_materialization_planned_data


def _planning(event: EventLogEntry, planned: AssetMaterializationPlannedData) -> EventLogEntry:
    return event._replace(dagster_event=event.get_dagster_event()._replace(event_specific_data=planned))


def _without(event: EventLogEntry, gone: frozenset[str]) -> EventLogEntry:
    planned = _planned(event)
    subset: Any = planned.partitions_subset
    left = subset.empty_subset().with_partition_keys([key for key in _partitions(event) if key not in gone])
    return _planning(event, planned._replace(partitions_subset=left))


def _newest(one: Mapping[str, Attempt], other: Mapping[str, Attempt]) -> dict[str, Attempt]:
    return {
        key: max((each[key] for each in (one, other) if key in each), key=lambda attempt: attempt[1])
        for key in one.keys() | other.keys()
    }


def _cut(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (values[start : start + _IDS_A_QUERY] for start in range(0, len(values), _IDS_A_QUERY))
