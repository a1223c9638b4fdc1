"""report/expectations: the page that says how KPI tables and extracts keep what their suites expect of them.

Thin: the suites and their checks are in `asset_checks.expectations`, the page is reporting's. The page is written with
the dashboards, after the checks of the same days: there is one, and building an older day puts that day's in its place.
"""

import dagster as dg

from analytics_platform.catalog import Catalog
from analytics_platform.defs import keys
from analytics_platform.defs.dbt import Manifest, key_of_table
from analytics_platform.defs.partitions import Partitions, span_of
from analytics_platform.documents import render_html
from analytics_platform.insights.anomalies import ANOMALIES_TABLE
from analytics_platform.lake.store import ObjectStore
from analytics_platform.reporting.expectation_report import PAGE_KEY, datasets_judged, expectation_report, standings


def expectations_report_asset(catalog: Catalog, manifest: Manifest, partitions: Partitions) -> dg.AssetsDefinition:
    """The page over all datasets that have a suite."""

    @dg.asset(
        key=keys.EXPECTATIONS_REPORT,
        deps=_judged(catalog, manifest),
        description="Whether each KPI table and extract is as its suite expects, for reviewers; opens offline.",
        partitions_def=partitions.day,
        backfill_policy=dg.BackfillPolicy.single_run(),
    )
    def expectations(
        context: dg.AssetExecutionContext, store: dg.ResourceParam[ObjectStore]
    ) -> dg.MaterializeResult[None]:
        _, last = span_of(context)
        found = standings(store, catalog, last)
        page = render_html(expectation_report(found, catalog, last, partitions.time_zone))
        store.put(PAGE_KEY, page)
        return dg.MaterializeResult(
            metadata={
                "datasets": len(found),
                "datasets_that_hold": sum(each.standing == "holds" for each in found),
                "bytes": len(page),
                "as_of": dg.MetadataValue.text(last.isoformat()),
                "file": dg.MetadataValue.text(PAGE_KEY),
            }
        )

    return expectations


def _judged(catalog: Catalog, manifest: Manifest) -> list[dg.AssetKey]:
    """The assets of the datasets that have suites."""
    kpis = [dataset.name for dataset in datasets_judged(catalog) if dataset.layer == "kpi"]
    extracts = [
        keys.extract(dashboard.name, extract.name)
        for dashboard in catalog.dashboards.values()
        for extract in dashboard.extracts
    ]
    tables = [keys.ANOMALIES if name == ANOMALIES_TABLE else key_of_table(manifest, name) for name in kpis]
    return [*tables, *extracts]
