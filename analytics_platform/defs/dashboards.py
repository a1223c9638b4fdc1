"""dashboard/<name>: self-contained pages, one per audience, written from the extracts.

A page shows how things stood at the close of a day, over the extract's history up to it. There is one page per
audience and not one per day: building an older day puts that day's page in its place.
"""

import dagster as dg

from analytics_platform.catalog import Catalog, Dashboard
from analytics_platform.defs import keys
from analytics_platform.defs.partitions import Partitions, span_of
from analytics_platform.lake.store import ObjectStore
from analytics_platform.reporting.dashboards import build_dashboard, dashboard_inputs


def dashboard_assets(catalog: Catalog, partitions: Partitions) -> list[dg.AssetsDefinition]:
    """An asset per dashboard."""
    return [_asset(catalog, partitions, dashboard) for dashboard in catalog.dashboards.values()]


def _asset(catalog: Catalog, partitions: Partitions, dashboard: Dashboard) -> dg.AssetsDefinition:
    @dg.asset(
        key=keys.dashboard(dashboard.name),
        deps=[keys.extract(*source) for source in dashboard_inputs(catalog, dashboard.name)],
        description=dashboard.description,
        partitions_def=partitions.day,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def pages(context: dg.AssetExecutionContext, store: dg.ResourceParam[ObjectStore]) -> dg.MaterializeResult[None]:
        _, last = span_of(context)
        files = build_dashboard(store, catalog, dashboard.name, last)
        return dg.MaterializeResult(
            metadata={
                "pages": len(files),
                "bytes": sum(file.bytes for file in files),
                "as_of": dg.MetadataValue.text(last.isoformat()),
                "files": dg.MetadataValue.json([file.key for file in files]),
            }
        )

    return pages
