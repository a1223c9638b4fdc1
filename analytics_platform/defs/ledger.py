"""ops/ledger: what became of every message, per stream, day and tenant.

The ledger is derived from manifests, dead letters and the raw objects, never a second truth. Its blocking check
(`asset_checks.intake`) keeps days that do not add up out of the warehouse.
"""

import dagster as dg

from analytics_platform.catalog import Catalog
from analytics_platform.defs import keys
from analytics_platform.defs.partitions import Partitions, span_of
from analytics_platform.defs.pools import WAREHOUSE_POOL
from analytics_platform.lake.ledger import ledger_rows
from analytics_platform.lake.store import ObjectStore
from analytics_platform.warehouse import Warehouse

LEDGER_TABLE = "ops.ledger"


def ledger_asset(catalog: Catalog, partitions: Partitions) -> dg.AssetsDefinition:
    """Replace the ledger's rows of the run's days."""
    by_day = dg.MultiToSingleDimensionPartitionMapping("day")
    deps = [dg.AssetDep(keys.raw(stream), partition_mapping=by_day) for stream in catalog.streams]

    @dg.asset(
        key=keys.LEDGER,
        deps=[*deps, keys.LANDING_EVENTS, keys.DEAD_LETTERS],
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
