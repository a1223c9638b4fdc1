"""ops/: what became of every message (`ledger`) and of every acknowledgement (`collector_hours`).

Both are derived from manifests, dead letters and the raw objects, never a second truth. The ledger's blocking check
(`asset_checks.intake`) keeps days that do not add up out of the warehouse.
"""

import dagster as dg

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

    @dg.asset(
        key=keys.LEDGER,
        deps=_lake_deps(catalog),
        partitions_def=partitions.day,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=WAREHOUSE_POOL,
        description="Received, accepted, duplicate and dead-lettered messages per stream, day and tenant.",
    )
    def ledger(
        context: dg.AssetExecutionContext,
        store: dg.ResourceParam[ObjectStore],
        warehouse: dg.ResourceParam[Warehouse],
    ) -> dg.MaterializeResult[None]:
        first, last = span_of(context)
        rows = ledger_rows(store, first, last)
        count = warehouse.replace_days(LEDGER_TABLE, rows, first, last)
        return dg.MaterializeResult(metadata={"rows": count})

    return ledger


def collector_hours_asset(catalog: Catalog, partitions: Partitions) -> dg.AssetsDefinition:
    """Replace the rows of the hours in which collectors acknowledged events, for the run's days (here those of UTC)."""
    streams = list(catalog.streams)

    @dg.asset(
        key=keys.COLLECTOR_HOURS,
        deps=_lake_deps(catalog),
        partitions_def=partitions.day,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=WAREHOUSE_POOL,
        description="Acknowledged, landed and dead-lettered messages per hour, tenant and collector.",
    )
    def hours(
        context: dg.AssetExecutionContext,
        store: dg.ResourceParam[ObjectStore],
        warehouse: dg.ResourceParam[Warehouse],
    ) -> dg.MaterializeResult[None]:
        first, last = span_of(context)
        rows = collector_hours(store, first, last, streams)
        count = warehouse.replace_days(COLLECTOR_HOURS_TABLE, rows, first, last)
        return dg.MaterializeResult(metadata={"rows": count})

    return hours


def _lake_deps(catalog: Catalog) -> list[dg.AssetDep]:
    """Everything in the lake that an account is drawn up from."""
    by_day = dg.MultiToSingleDimensionPartitionMapping("day")
    raw = [dg.AssetDep(keys.raw(stream), partition_mapping=by_day) for stream in catalog.streams]
    return [*raw, dg.AssetDep(keys.LANDING_EVENTS), dg.AssetDep(keys.DEAD_LETTERS)]
