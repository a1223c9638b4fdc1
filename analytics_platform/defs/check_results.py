"""ops/check_results: every evaluation of an asset check, by the day of the evaluation in the reporting time zone.

Derived from Dagster's event log, run by run, through the instance's own API: on SQLite a run's events lie in a file of
their own, on Postgres they are found by the run's id, so both answer at once. The log may be purged and the table must
not shrink with it: rows that are there stay.

A check that is evaluated by partition in a run over a range leaves one evaluation per partition and a summary without.
The summary is left out: it counts the same units again. Where it alone speaks for partitions that hold, the run's plan
names them, and each has its row here. An evaluation without a partition is that of a check which does not tell its
partitions apart.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

import dagster as dg
import polars as pl
import pyarrow as pa
from dagster._core.events import DagsterEventType
from dagster._core.events.log import EventLogEntry

from analytics_platform.defs import keys
from analytics_platform.defs.evaluations import PASSED_AS_ONE
from analytics_platform.defs.partitions import Partitions, span_of
from analytics_platform.defs.policies import dataset_name
from analytics_platform.defs.pools import WAREHOUSE_POOL
from analytics_platform.insights.deadlines import day_of, ends_at
from analytics_platform.warehouse import Warehouse, has_table

CHECK_RESULTS_TABLE = "ops.check_results"

COLUMNS: Mapping[str, tuple[pa.DataType, str]] = {
    "day": (pa.date32(), "Date of the evaluation in the reporting time zone."),
    "evaluated_at": (pa.timestamp("us", tz="UTC"), "When the check was evaluated."),
    "asset": (pa.string(), "Key of the asset, its parts joined by slashes."),
    "check_name": (pa.string(), "The fact that should hold."),
    "partition": (pa.string(), "Dagster's key of the partition; null where the check does not tell partitions apart."),
    "dataset": (pa.string(), "Name of what the asset writes in the dataset registry."),
    "dimension": (pa.string(), "Dimension of data quality (DAMA-UK); null where the evaluation does not say."),
    "severity": (pa.string(), "Of a failure: ERROR or WARN."),
    "blocking": (pa.bool_(), "Whether what lies downstream waits for the check."),
    "passed": (pa.bool_(), "Whether the fact held."),
    "could_not_run": (pa.bool_(), "Whether the check itself failed, which says nothing about the data."),
    "checked": (pa.int64(), "Units judged; null where none are counted."),
    "failed": (pa.int64(), "Of these, how many do not hold; null where none are counted."),
    "threshold": (pa.float64(), "Share of failures that is allowed, where there is one."),
    "run_id": (pa.string(), "The Dagster run; empty where an evaluation was reported without one."),
}
"""Names, types and descriptions of the table's columns, in their order."""

SCHEMA = pa.schema([(name, kind) for name, (kind, _) in COLUMNS.items()])

IDENTITY = ("run_id", "asset", "check_name", "partition", "evaluated_at")
"""What tells an evaluation from all others."""

_UNTIL = "recorded_until"
_IN_FLIGHT = timedelta(minutes=1)

_TABLE_SCHEMA = dg.TableSchema(
    columns=[dg.TableColumn(name, type=str(kind), description=text) for name, (kind, text) in COLUMNS.items()]
)


def check_results_asset(partitions: Partitions) -> dg.AssetsDefinition:
    """Replace the rows of the run's days by what is recorded of them, and what was recorded before."""

    @dg.asset(
        key=keys.CHECK_RESULTS,
        partitions_def=partitions.day,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=WAREHOUSE_POOL,
        description="Every evaluation of an asset check: whether the fact held, and how many units did not.",
        metadata={"dagster/table_name": CHECK_RESULTS_TABLE, "dagster/column_schema": _TABLE_SCHEMA},
    )
    def check_results(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult[None]:
        first, last = span_of(context)
        until = datetime.now(UTC)
        found = evaluations(context.instance, first, last, partitions.time_zone)
        with warehouse.exclusive():
            rows = union(stored_results(warehouse, first, last), found)
            warehouse.replace_days(CHECK_RESULTS_TABLE, rows, first, last)
        return dg.MaterializeResult(
            metadata={
                "rows": rows.num_rows,
                "in_event_log": found.num_rows,
                "purged": rows.num_rows - found.num_rows,
                _UNTIL: dg.MetadataValue.timestamp(until),
            }
        )

    return check_results


def evaluations(
    instance: dg.DagsterInstance, first: date, last: date, zone: str, *, until: datetime | None = None
) -> pa.Table:
    """The evaluations of the days `first` to `last` that the event log holds, in the order of their time.

    Args:
        instance: whose log.
        first: day in the reporting time zone.
        last: day, and part of the span.
        zone: the reporting time zone.
        until: leaves out what was evaluated later; by default nothing.
    """
    begin, end = ends_at(first - timedelta(days=1), zone), ends_at(last, zone)
    if until is not None:
        end = min(end, until)
    rows = [
        row
        for run_id in [*_runs(instance, begin, end), _NO_RUN]
        for row in _of_run(instance, run_id, zone)
        if begin <= row["evaluated_at"] < end
    ]
    return pa.Table.from_pylist(sorted(rows, key=lambda row: row["evaluated_at"]), SCHEMA)


def recorded_until(instance: dg.DagsterInstance) -> datetime:
    """Up to when the newest table has every evaluation: a little before it was drawn up, since events come in batches.

    Raises:
        LookupError: the table was never drawn up.
    """
    newest = instance.get_latest_materialization_event(keys.CHECK_RESULTS)
    if newest is None or newest.asset_materialization is None:
        raise LookupError("ops/check_results was never built; run the job look_back")
    until = newest.asset_materialization.metadata[_UNTIL].value
    return datetime.fromtimestamp(cast("float", until), UTC) - _IN_FLIGHT


def stored_results(warehouse: Warehouse, first: date, last: date) -> pa.Table:
    """The rows of some days as they were recorded before; none before the first time."""
    if not has_table(warehouse, CHECK_RESULTS_TABLE):
        return SCHEMA.empty_table()
    query = f"select {', '.join(SCHEMA.names)} from {CHECK_RESULTS_TABLE} where day between ? and ?"
    return warehouse.query(query, [first, last]).cast(SCHEMA)


def union(before: pa.Table, found: pa.Table) -> pa.Table:
    """What the log holds, and what it held once: an evaluation is not there twice."""
    frames = [pl.DataFrame(found), pl.DataFrame(before)]
    rows = pl.concat(frames).unique([*IDENTITY], keep="first", maintain_order=True).sort("evaluated_at", *IDENTITY)
    return rows.to_arrow().cast(SCHEMA)


_HOLDS = {"passed": True, "checked": 1, "failed": 0, "threshold": None}
"""Of a partition that a summary speaks for, which is a unit by itself."""

_NO_RUN = ""
"""Under which Dagster files evaluations that were reported from outside of runs."""


def _runs(instance: dg.DagsterInstance, begin: datetime, end: datetime) -> list[str]:
    """Runs that were at work between two moments."""
    records = instance.get_run_records(dg.RunsFilter(updated_after=begin, created_before=end))
    return [record.dagster_run.run_id for record in records]


def _of_run(instance: dg.DagsterInstance, run_id: str, zone: str) -> Iterator[dict[str, Any]]:
    log = instance.get_records_for_run(run_id, of_type=DagsterEventType.ASSET_CHECK_EVALUATION)
    entries = [record.event_log_entry for record in log.records]
    told: defaultdict[dg.AssetCheckKey, set[str]] = defaultdict(set)
    for entry in entries:
        if (partition := _evaluation(entry).partition) is not None:
            told[_check(entry)].add(partition)
    summaries = {_check(entry): entry for entry in entries if PASSED_AS_ONE in _evaluation(entry).metadata}
    for entry in entries:
        if _evaluation(entry).partition is not None or _check(entry) not in told.keys() | summaries.keys():
            yield _row(entry, zone)
    planned = _planned(instance, run_id) if summaries else {}
    for check, entry in summaries.items():
        for partition in sorted(planned[check] - told[check]):
            yield {**_row(entry, zone), "partition": partition, **_HOLDS}


def _planned(instance: dg.DagsterInstance, run_id: str) -> dict[dg.AssetCheckKey, set[str]]:
    """The partitions of a run by check."""
    log = instance.get_records_for_run(run_id, of_type=DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED)
    plans = [record.event_log_entry.get_dagster_event().asset_check_planned_data for record in log.records]
    return {
        plan.asset_check_key: set(plan.partitions_subset.get_partition_keys())
        for plan in plans
        if plan.partitions_subset is not None
    }


def _row(entry: EventLogEntry, zone: str) -> dict[str, Any]:
    evaluation = _evaluation(entry)
    said = {name: value.value for name, value in evaluation.metadata.items()}
    at = datetime.fromtimestamp(entry.timestamp, UTC)
    return {
        "day": day_of(at, zone),
        "evaluated_at": at,
        "asset": evaluation.asset_key.to_user_string(),
        "check_name": evaluation.check_name,
        "partition": evaluation.partition,
        "dataset": dataset_name(evaluation.asset_key),
        "dimension": said.get("dimension"),
        "severity": evaluation.severity.value,
        "blocking": bool(evaluation.blocking),
        "passed": evaluation.passed,
        "could_not_run": bool(said.get("could_not_run")),
        "checked": said.get("checked"),
        "failed": said.get("failed"),
        "threshold": said.get("threshold"),
        "run_id": entry.run_id,
    }


def _evaluation(entry: EventLogEntry) -> dg.AssetCheckEvaluation:
    return entry.get_dagster_event().asset_check_evaluation_data


def _check(entry: EventLogEntry) -> dg.AssetCheckKey:
    return _evaluation(entry).asset_check_key
