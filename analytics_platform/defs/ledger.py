"""ops/: what became of every message (`ledger`) and of every acknowledgement (`collector_hours`).

Both are derived from manifests, dead letters and the raw objects, never a second truth. The ledger's blocking check
(`asset_checks.intake`) keeps days that do not add up out of the warehouse.
"""

from collections.abc import Callable
from datetime import date
from functools import partial

import dagster as dg
import pyarrow as pa

from analytics_platform.catalog import Catalog
from analytics_platform.defs import keys
from analytics_platform.defs.partitions import Partitions, span_of
from analytics_platform.defs.pools import WAREHOUSE_POOL
from analytics_platform.lake.collector_hours import collector_hours
from analytics_platform.lake.ledger import ledger_rows
from analytics_platform.lake.store import ObjectStore
from analytics_platform.warehouse import Warehouse

LEDGER_TABLE = "ops.ledger"
COLLECTOR_HOURS_TABLE = "ops.collector_hours"


def ledger_asset(catalog: Catalog, partitions: Partitions) -> dg.AssetsDefinition:
    """Replace the ledger's rows of the run's days."""
    return _account(
        keys.LEDGER,
        LEDGER_TABLE,
        ledger_rows,
        _lake_deps(catalog),
        partitions,
        description="Received, accepted, duplicate and dead-lettered messages per stream, day and tenant.",
    )


def collector_hours_asset(catalog: Catalog, partitions: Partitions) -> dg.AssetsDefinition:
    """Replace the rows of the hours in which collectors acknowledged events, for the run's days (here those of UTC)."""
    return _account(
        keys.COLLECTOR_HOURS,
        COLLECTOR_HOURS_TABLE,
        partial(collector_hours, streams=list(catalog.streams)),
        _lake_deps(catalog),
        partitions,
        description="Acknowledged, landed and dead-lettered messages per hour, tenant and collector.",
    )


def _account(
    key: dg.AssetKey,
    table: str,
    rows_of: Callable[[ObjectStore, date, date], pa.Table],
    deps: list[dg.AssetDep],
    partitions: Partitions,
    *,
    description: str,
) -> dg.AssetsDefinition:
    """A table that is drawn up from the lake, day by day."""

    @dg.asset(
        key=key,
        deps=deps,
        partitions_def=partitions.day,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=WAREHOUSE_POOL,
        description=description,
    )
    def account(
        context: dg.AssetExecutionContext,
        store: dg.ResourceParam[ObjectStore],
        warehouse: dg.ResourceParam[Warehouse],
    ) -> dg.MaterializeResult[None]:
        first, last = span_of(context)
        count = warehouse.replace_days(table, rows_of(store, first, last), first, last)
        return dg.MaterializeResult(metadata={"rows": count})

    return account


def _lake_deps(catalog: Catalog) -> list[dg.AssetDep]:
    """Everything in the lake that an account is drawn up from."""
    by_day = dg.MultiToSingleDimensionPartitionMapping("day")
    raw = [dg.AssetDep(keys.raw(stream), partition_mapping=by_day) for stream in catalog.streams]
    return [*raw, dg.AssetDep(keys.LANDING_EVENTS), dg.AssetDep(keys.DEAD_LETTERS)]
