"""extract/<dashboard>/<table>: the tables that dashboards and BI tools read, one Parquet object per day.

The tables of a dashboard that a run builds come into force together.

Thin: the declaration is the catalogue's, the building is reporting's, and the checks are in `asset_checks.extracts`.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg

from analytics_platform.catalog import Catalog, Dashboard, Extract
from analytics_platform.defs import keys
from analytics_platform.defs.access import dbt_tables
from analytics_platform.defs.dbt import Manifest, key_of_table
from analytics_platform.defs.partitions import Partitions, span_of
from analytics_platform.governance.access.policy import policy_of
from analytics_platform.governance.access.tables import tables_of
from analytics_platform.insights.anomalies import ANOMALIES_TABLE
from analytics_platform.lake.extracts import Stamp
from analytics_platform.lake.store import ObjectStore
from analytics_platform.reporting.extracts import build_extracts
from analytics_platform.warehouse import Warehouse


def extract_assets(catalog: Catalog, manifest: Manifest, partitions: Partitions) -> list[dg.AssetsDefinition]:
    """One step per dashboard, an asset per table."""
    return [_assets(catalog, manifest, partitions, dashboard) for dashboard in catalog.dashboards.values()]


def _assets(catalog: Catalog, manifest: Manifest, partitions: Partitions, dashboard: Dashboard) -> dg.AssetsDefinition:
    policy = policy_of(catalog, tables_of(catalog, dbt_tables(manifest)))

    @dg.multi_asset(
        name=f"extracts_{dashboard.name}",
        specs=[_spec(catalog, manifest, dashboard, extract) for extract in dashboard.extracts],
        partitions_def=partitions.day,
        backfill_policy=dg.BackfillPolicy.single_run(),
        can_subset=True,
    )
    def extracts(
        context: dg.AssetExecutionContext,
        store: dg.ResourceParam[ObjectStore],
        warehouse: dg.ResourceParam[Warehouse],
    ) -> Iterator[dg.MaterializeResult[None]]:
        by_key = {keys.extract(dashboard.name, extract.name): extract.name for extract in dashboard.extracts}
        selected = {key: name for key, name in by_key.items() if key in context.selected_asset_keys}
        stamp = Stamp(datetime.now(UTC), context.run.run_id, policy.sha256)
        built = build_extracts(
            warehouse, store, catalog, dashboard.name, list(selected.values()), *span_of(context), stamp=stamp
        )
        for key, name in selected.items():
            metadata = {"rows": sum(day.rows for day in built[name]), "bytes": sum(day.bytes for day in built[name])}
            yield dg.MaterializeResult(asset_key=key, metadata=metadata)

    return extracts


def _spec(catalog: Catalog, manifest: Manifest, dashboard: Dashboard, extract: Extract) -> dg.AssetSpec:
    return dg.AssetSpec(
        keys.extract(dashboard.name, extract.name),
        deps=[_key(manifest, table) for table in _sources(catalog, dashboard, extract)],
        description=extract.description,
        metadata={
            "schema_version": extract.schema_version,
            "row_budget": extract.row_budget,
            "pii_policy": extract.pii_policy,
        },
    )


def _key(manifest: Manifest, table: str) -> dg.AssetKey:
    return keys.ANOMALIES if table == ANOMALIES_TABLE else key_of_table(manifest, table)


def _sources(catalog: Catalog, dashboard: Dashboard, extract: Extract) -> list[str]:
    """The warehouse tables behind an extract; the headlines have those of all KPIs of their dashboard."""
    if extract.source:
        return [extract.source]
    return sorted({catalog.kpis[kpi].table for kpi in dashboard.kpis})
