"""A past for an instance: partitions planned and materialized, as runs over ranges leave them, written in batches.

Belongs here: events and the run that they are of, through the storage's own batch write, and the same past for further
assets, which the database copies. Stays out: what is measured on top of them.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby, islice

import dagster as dg
import sqlalchemy as db
from dagster._core.definitions.partitions.subset import DefaultPartitionsSubset
from dagster._core.definitions.partitions.utils.multi import get_tags_from_multi_partition_key
from dagster._core.events import AssetMaterializationPlannedData, DagsterEvent, StepMaterializationData
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._core.utils import make_new_run_id
from dagster._serdes import serialize_value

from analytics_platform.defs import jobs

_AT_ONCE = 5_000
_NODE = "raw"


def seed(instance: dg.DagsterInstance, asset: dg.AssetKey, partitions: Sequence[str]) -> None:
    """Leave in an instance what runs that built these partitions of an asset leave there, each of a month."""
    for _, month in groupby(sorted(partitions, key=_month), _month):
        keys, run_id = list(month), _a_run(instance)
        events = chain([_planned(asset, keys)], _materialized(asset, keys))
        for batch in _batches(_entry(event, run_id) for event in events):
            instance.event_log_storage.store_event_batch(batch)


def copy_past(instance: dg.DagsterInstance, source: dg.AssetKey, asset: dg.AssetKey, newest: str) -> None:
    """Give an asset the past of another one, in the tables that assets are read from; of its newest partition, events.

    A tenth of what events cost: nothing is made or parsed, the database replaces one asset's name by the other's.
    """
    storage = instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage)
    events, tags = SqlEventLogStorageTable, AssetEventTagsTable
    old, new = source.to_string(), asset.to_string()
    kept = (events.c.run_id, events.c.dagster_event_type, events.c.timestamp, events.c.step_key, events.c.partition)
    copied = db.select(*kept, db.func.replace(events.c.event, old, new), db.literal(new))
    of_kind, original, copy = tags.c, events.alias("original"), events.alias("copy")
    tagged = (
        db.select(copy.c.id, db.literal(new), of_kind.key, of_kind.value, of_kind.event_timestamp)
        .join(original, original.c.id == of_kind.event_id)
        .join(
            copy,
            (copy.c.asset_key == new)
            & (copy.c.dagster_event_type == original.c.dagster_event_type)
            & (copy.c.partition == original.c.partition),
        )
        .where(of_kind.asset_key == old)
    )
    with storage.index_connection() as index:
        columns = [*(column.name for column in kept), "event", "asset_key"]
        index.execute(
            events.insert().from_select(columns, copied.where(events.c.asset_key == old).order_by(events.c.id))
        )
        index.execute(tags.insert().from_select(["event_id", "asset_key", "key", "value", "event_timestamp"], tagged))
    seed(instance, asset, [newest])


def seed_evaluations(instance: dg.DagsterInstance, check: dg.AssetCheckKey) -> None:
    """Leave a passed evaluation of all that an asset has built, where the standing of its checks is read from."""
    storage = instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage)
    run_id = _a_run(instance)
    evaluation = dg.AssetCheckEvaluation(asset_key=check.asset_key, check_name=check.name, passed=True, metadata={})
    event = DagsterEvent(
        event_type_value=dg.DagsterEventType.ASSET_CHECK_EVALUATION.value,
        job_name=jobs.INGEST,
        step_key=_NODE,
        event_specific_data=evaluation,
    )
    events, executions = SqlEventLogStorageTable.c, AssetCheckExecutionsTable.c
    values = {
        executions.asset_key: events.asset_key,
        executions.check_name: db.literal(check.name),
        executions.partition: events.partition,
        executions.run_id: db.literal(run_id),
        executions.execution_status: db.literal("SUCCEEDED"),
        executions.evaluation_event: db.literal(serialize_value(_entry(event, run_id))),
        executions.evaluation_event_timestamp: events.timestamp,
        executions.evaluation_event_storage_id: events.id,
        executions.materialization_event_storage_id: events.id,
    }
    of_asset = events.asset_key == check.asset_key.to_string()
    is_build = events.dagster_event_type == dg.DagsterEventType.ASSET_MATERIALIZATION.value
    newest = db.select(db.func.max(events.id)).where(of_asset, is_build).group_by(events.partition)
    evaluated = db.select(*values.values()).where(events.id.in_(newest)).order_by(events.id)
    with storage.index_connection() as index:
        index.execute(AssetCheckExecutionsTable.insert().from_select([each.name for each in values], evaluated))


def _month(partition: str) -> str:
    return partition[: len("2026-01")]


def _a_run(instance: dg.DagsterInstance) -> str:
    run_id = make_new_run_id()
    instance.add_run(dg.DagsterRun(job_name=jobs.INGEST, run_id=run_id, status=dg.DagsterRunStatus.SUCCESS))
    return run_id


def _planned(asset: dg.AssetKey, partitions: Sequence[str]) -> DagsterEvent:
    data = AssetMaterializationPlannedData(asset, partitions_subset=DefaultPartitionsSubset(frozenset(partitions)))
    return DagsterEvent.build_asset_materialization_planned_event(jobs.INGEST, _NODE, data)


def _materialized(asset: dg.AssetKey, partitions: Iterable[str]) -> Iterator[DagsterEvent]:
    for partition in partitions:
        tags = get_tags_from_multi_partition_key(partition) if isinstance(partition, dg.MultiPartitionKey) else {}
        materialization = dg.AssetMaterialization(asset, partition=partition, tags=tags, metadata={"partitions": 1})
        yield DagsterEvent(
            event_type_value=dg.DagsterEventType.ASSET_MATERIALIZATION.value,
            job_name=jobs.INGEST,
            step_key=_NODE,
            event_specific_data=StepMaterializationData(materialization),
        )


def _entry(event: DagsterEvent, run_id: str) -> EventLogEntry:
    return EventLogEntry(
        error_info=None,
        level=10,
        user_message="",
        run_id=run_id,
        timestamp=time.time(),
        job_name=jobs.INGEST,
        step_key=event.step_key,
        dagster_event=event,
    )


def _batches(entries: Iterator[EventLogEntry]) -> Iterator[list[EventLogEntry]]:
    while batch := list(islice(entries, _AT_ONCE)):
        yield batch
