"""Check evaluations by partition in Dagster's event log: written for a run over a range, and read back.

Belongs here: what Dagster's own check results cannot say. Stays out: what is judged, and what is told of it
(`asset_checks.factory`).

Why it exists: the one result that a step may yield for a check carries a partition only in a run for a single one
(`AssetCheckResult.to_asset_check_evaluation`); in a run over a range it is recorded without. So each partition's
evaluation is reported beside it, as an event of the same run and step.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import AssetCheckEvaluationTargetMaterializationData
from dagster._core.events import (
    DagsterEvent,
    DagsterEventBatchMetadata,
    DagsterEventType,
    generate_event_batch_id,
)
from dagster._core.execution.context.system import StepExecutionContext
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from sqlalchemy import Row, Select, select

from analytics_platform.defs.event_batches import BatchingEventLogStorage
from analytics_platform.defs.newest_events import newest_event

PASSED_AS_ONE = "passed_as_one"
"""In the metadata of a check's summary: how many of its run's partitions it alone says of that they hold."""

_KEYS_A_QUERY = 5_000
"""Below every database's limit of parameters."""


class CheckResult(dg.AssetCheckResult):
    """Dagster's result of a check, which knows the build that it speaks of for less.

    In a run over a range Dagster (1.13) asks for the whole record of the checked asset and for the data versions of all
    its partitions, and of all that keeps a number, a time and a run: a fifteenth of a night of small tables.
    """

    __slots__ = ()

    def _get_unpartitioned_target_materialization_data(
        self, step_context: StepExecutionContext, asset_key: dg.AssetKey
    ) -> AssetCheckEvaluationTargetMaterializationData | None:
        storage = step_context.instance.event_log_storage
        if not isinstance(storage, SqlEventLogStorage):
            return super()._get_unpartitioned_target_materialization_data(step_context, asset_key)
        newest, column = newest_event(asset_key, DagsterEventType.ASSET_MATERIALIZATION), SqlEventLogStorageTable.c
        builds = select(column.id, column.run_id, column.timestamp).where(column.id == newest.scalar_subquery())
        with storage.index_connection() as connection:
            build = connection.execute(builds).one_or_none()
        return None if build is None else _target(build)


def report_by_partition(
    context: dg.AssetCheckExecutionContext,
    found: Mapping[dg.AssetCheckKey, Mapping[str, dg.AssetCheckResult]],
    *,
    blocking: bool,
) -> None:
    """Report what the checks of a step found in each partition of its run.

    Args:
        context: of the checks' step.
        found: results by check and partition key.
        blocking: whether the checks are; the step's own results are what fails the step.
    """
    step = context.get_step_execution_context()
    events = [
        _event(step.job_name, step.step.key, evaluation)
        for key, results in found.items()
        for evaluation in _evaluations(context.instance, key, results, blocking=blocking)
    ]
    for event, batch in _batched(context.instance, events):
        context.instance.report_dagster_event(event, step.run_id, "DEBUG", batch_metadata=batch)


def _evaluations(
    instance: dg.DagsterInstance,
    key: dg.AssetCheckKey,
    results: Mapping[str, dg.AssetCheckResult],
    *,
    blocking: bool,
) -> Iterator[dg.AssetCheckEvaluation]:
    targets = _targets(instance, key.asset_key, list(results))
    for partition, result in results.items():
        yield dg.AssetCheckEvaluation(
            asset_key=key.asset_key,
            check_name=key.name,
            passed=result.passed,
            metadata=result.metadata,
            target_materialization_data=targets.get(partition),
            severity=result.severity,
            description=result.description,
            blocking=blocking,
            partition=partition,
        )


def failed_partitions(instance: dg.DagsterInstance, key: dg.AssetCheckKey, run_id: str) -> list[str]:
    """The partitions in which a check failed in a run; none where it could not run at all."""
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        return []
    query = _failures(key).where(AssetCheckExecutionsTable.c.run_id == run_id)
    with storage.index_connection() as connection:
        return sorted(row.partition for row in connection.execute(query))


def ever_failed(instance: dg.DagsterInstance, key: dg.AssetCheckKey) -> set[str]:
    """The partitions in which a check has failed in any run that Dagster remembers."""
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        return set()
    with storage.index_connection() as connection:
        return {row.partition for row in connection.execute(_failures(key).distinct())}


def _failures(key: dg.AssetCheckKey) -> Select[tuple[str]]:
    column = AssetCheckExecutionsTable.c
    return select(column.partition).where(
        column.asset_key == key.asset_key.to_string(),
        column.check_name == key.name,
        column.partition.is_not(None),
        column.execution_status == AssetCheckExecutionRecordStatus.FAILED.value,
    )


def _event(job: str, step_key: str, evaluation: dg.AssetCheckEvaluation) -> DagsterEvent:
    outcome = "passed" if evaluation.passed else "did not pass"
    return DagsterEvent(
        event_type_value=DagsterEventType.ASSET_CHECK_EVALUATION.value,
        job_name=job,
        step_key=step_key,
        message=f"{evaluation.check_name} {outcome} in {evaluation.partition}.",
        event_specific_data=evaluation,
    )


def _batched(
    instance: dg.DagsterInstance, events: Sequence[DagsterEvent]
) -> Iterator[tuple[DagsterEvent, DagsterEventBatchMetadata | None]]:
    """The events, marked as one batch where the storage takes evaluations as one; Dagster's own storages do not."""
    batch = generate_event_batch_id()  # type: ignore[no-untyped-call]
    takes_batches = isinstance(instance.event_log_storage, BatchingEventLogStorage)
    for n, event in enumerate(events, start=1):
        yield event, DagsterEventBatchMetadata(batch, n == len(events)) if takes_batches else None


def _targets(
    instance: dg.DagsterInstance, asset: dg.AssetKey, partitions: Sequence[str]
) -> dict[str, AssetCheckEvaluationTargetMaterializationData]:
    """The newest materialization of each partition: Dagster shows an evaluation only as long as it speaks of that one.

    Read from the columns: to deserialize the events would take longer than all else that is done here.
    """
    storage = instance.event_log_storage
    if not isinstance(storage, SqlEventLogStorage):
        return {}
    found: dict[str, AssetCheckEvaluationTargetMaterializationData] = {}
    for start in range(0, len(partitions), _KEYS_A_QUERY):
        chunk = set(partitions[start : start + _KEYS_A_QUERY])
        newest = storage.get_latest_storage_id_by_partition(asset, DagsterEventType.ASSET_MATERIALIZATION, chunk)
        found |= _materializations(storage, newest)
    return found


def _materializations(
    storage: SqlEventLogStorage, ids: Mapping[str, int]
) -> dict[str, AssetCheckEvaluationTargetMaterializationData]:
    column = SqlEventLogStorageTable.c
    query = select(column.id, column.run_id, column.timestamp).where(column.id.in_(ids.values()))
    with storage.index_connection() as connection:
        events = {row.id: row for row in connection.execute(query)}
    return {partition: _target(events[storage_id]) for partition, storage_id in ids.items()}


def _target(build: Row[tuple[Any, ...]]) -> AssetCheckEvaluationTargetMaterializationData:
    return AssetCheckEvaluationTargetMaterializationData(
        storage_id=build.id, run_id=build.run_id, timestamp=build.timestamp.replace(tzinfo=UTC).timestamp()
    )
