"""dashboard/<name>: self-contained pages, one per audience, written from the extracts.

A page shows how things stood at the close of a day, over the extract's history up to it, and how far its numbers can be
relied on when it is written. There is one page per audience and not one per day: building an older day puts that day's
page in its place.
"""

import dagster as dg

from analytics_platform.catalog import Catalog, Dashboard
from analytics_platform.defs import keys
from analytics_platform.defs.dbt import Manifest
from analytics_platform.defs.page_quality import lineage
from analytics_platform.defs.partitions import Partitions, span_of
from analytics_platform.lake.store import ObjectStore
from analytics_platform.reporting.dashboards import build_dashboard, dashboard_inputs
from analytics_platform.settings import Settings


def dashboard_assets(
    settings: Settings, catalog: Catalog, manifest: Manifest, partitions: Partitions
) -> list[dg.AssetsDefinition]:
    """An asset per dashboard."""
    return [_asset(settings, catalog, manifest, partitions, board) for board in catalog.dashboards.values()]


def _asset(
    settings: Settings, catalog: Catalog, manifest: Manifest, partitions: Partitions, dashboard: Dashboard
) -> dg.AssetsDefinition:
    @dg.asset(
        key=keys.dashboard(dashboard.name),
        deps=[keys.extract(*source) for source in dashboard_inputs(catalog, dashboard.name)],
        description=dashboard.description,
        partitions_def=partitions.day,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def pages(context: dg.AssetExecutionContext, store: dg.ResourceParam[ObjectStore]) -> dg.MaterializeResult[None]:
        _, last = span_of(context)
        known = lineage(context.instance, catalog, manifest, dashboard.kpis, settings.dagster_url)
        files = build_dashboard(store, catalog, dashboard.name, last, known)
        return dg.MaterializeResult(
            metadata={
                "pages": len(files),
                "bytes": sum(file.bytes for file in files),
                "as_of": dg.MetadataValue.text(last.isoformat()),
                "files": dg.MetadataValue.json([file.key for file in files]),
            }
        )

    return pages
