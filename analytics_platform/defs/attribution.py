"""What Dagster is working on at this moment, for the tags of queries and the choice of a warehouse.

Belongs here: from an execution context to `Work`. Stays out: what a warehouse makes of it (`warehouse.snowflake`).
"""

from __future__ import annotations

from datetime import date

import dagster as dg
from dagster._core.execution.context.compute import current_execution_context

from analytics_platform.defs import jobs
from analytics_platform.defs.partitions import parse_day
from analytics_platform.defs.pools import BACKFILL_TAG
from analytics_platform.warehouse.work import Work, Workload

_HOURLY = frozenset({jobs.INGEST, jobs.LOAD, jobs.LOOK_BACK, jobs.INCIDENTS})


def work_at_hand() -> Work:
    """The asset, days and run that this thread executes; nothing but the default workload outside of runs."""
    context = current_execution_context.get()
    if context is None:
        return Work()
    run = context.run
    first, last = _days(context)
    return Work(_asset(context), first, last, run.run_id, workload_of(run))


def workload_of(run: dg.DagsterRun) -> Workload:
    """Backfills are told by their tag, hourly jobs by their name; every other run is of the night."""
    if BACKFILL_TAG in run.tags:
        return "backfill"
    return "hourly" if run.job_name in _HOURLY else "nightly"


def _asset(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> str:
    """Its key, or the name of the step where several are made at once; dbt tags the statements of each by itself."""
    chosen = {key.asset_key for key in context.selected_asset_check_keys}
    if isinstance(context, dg.AssetExecutionContext):
        chosen = set(context.selected_asset_keys)
    if len(chosen) == 1:
        return str(chosen.pop().to_user_string())
    return str(context.op_execution_context.op.name)


def _days(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> tuple[date | None, date | None]:
    step = context.op_execution_context
    if not step.has_partition_key and not step.has_partition_key_range:
        return None, None
    span = step.partition_key_range
    try:
        return parse_day(span.start), parse_day(span.end)
    except ValueError:
        # A quarter's review has partitions that are no days.
        return None, None
