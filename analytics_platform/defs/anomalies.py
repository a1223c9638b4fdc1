"""kpi/kpi_anomalies: every KPI series judged day by day, after the KPI tables of the same days are built.

Thin: the rules are the catalogue's, the judging is insights', the warnings are in `asset_checks.anomalies`.
"""

import dagster as dg

from analytics_platform.catalog import Catalog
from analytics_platform.defs import keys
from analytics_platform.defs.dbt import Manifest, key_of_table
from analytics_platform.defs.partitions import Partitions, span_of
from analytics_platform.defs.pools import WAREHOUSE_POOL
from analytics_platform.insights.anomalies import ANOMALIES_TABLE, COLUMNS, anomaly_rows, days_to_write
from analytics_platform.warehouse import Warehouse

_COLUMNS = dg.TableSchema(
    columns=[dg.TableColumn(name, type=str(kind), description=text) for name, (kind, text) in COLUMNS.items()]
)


def anomalies_asset(catalog: Catalog, manifest: Manifest, partitions: Partitions) -> dg.AssetsDefinition:
    """Replace the rows of the run's days, and of the older days that settle with them."""
    tables = sorted({table for kpi in catalog.kpis.values() for table in (kpi.table, kpi.headline_table)})

    @dg.asset(
        key=keys.ANOMALIES,
        deps=[key_of_table(manifest, table) for table in tables],
        partitions_def=partitions.day,
        backfill_policy=dg.BackfillPolicy.single_run(),
        pool=WAREHOUSE_POOL,
        kinds={"python", "duckdb"},
        description="Each KPI series on each day: what was expected, what came, and whether a rule reports it.",
        metadata={"dagster/table_name": ANOMALIES_TABLE, "dagster/column_schema": _COLUMNS},
    )
    def kpi_anomalies(
        context: dg.AssetExecutionContext, warehouse: dg.ResourceParam[Warehouse]
    ) -> dg.MaterializeResult[None]:
        first, last = days_to_write(warehouse, catalog, *span_of(context))
        rows = anomaly_rows(warehouse, catalog, first, last)
        count = warehouse.replace_days(ANOMALIES_TABLE, rows, first, last)
        return dg.MaterializeResult(metadata={"rows": count, "first_day": first.isoformat()})

    return kpi_anomalies
