"""The rows of a page of very many tenants and years, without a lake: one tenant's believable rows, many times over.

Every tenant has ids of its own and amounts that differ in each row, so that packing finds no more to save than it would
in life.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from analytics_platform.catalog import Catalog, Tenant
from analytics_platform.reporting.dashboards import view_source
from analytics_platform.reporting.extracts import find_dashboard
from analytics_platform.reporting.headlines import KpiSource, in_detail, kpi_source
from analytics_platform.reporting.payload import PageRows
from analytics_platform.reporting.periods import periods_ending
from analytics_platform.reporting.sources import ExtractRows, KpiRows, stock_days
from analytics_platform.reporting.views import ViewRows
from reporting.kpi_tables import BUILDERS, LAST_DAY, KpiTables

_OWN_IDS = ("project_id", "warehouse_id", "customer_ref", "campaign")


def large_page_rows(catalog: Catalog, dashboard: str, tenants: Sequence[Tenant], days: int) -> PageRows:
    """What a dashboard's pages are made from, for these tenants and as many days."""
    declared = find_dashboard(catalog, dashboard)
    kpis = []
    for name in declared.kpis:
        kpi = in_detail(catalog.kpis[name])
        found = _extracted(kpi_source(catalog, kpi), tenants, days, is_stock=kpi.headline.snapshot)
        kpis.append(KpiRows(found.source, found.rows, found.days, kpi))
    views = []
    for view in declared.views:
        source = view_source(catalog, declared, view)
        found = _extracted(source, tenants, days, is_stock=view.is_stock)
        views.append(ViewRows(view, catalog.kpis[view.kpi], found))
    return PageRows(declared, LAST_DAY, kpis, views)


def _extracted(source: KpiSource, tenants: Sequence[Tenant], days: int, *, is_stock: bool) -> ExtractRows:
    tables = KpiTables(tenants[:1], days=days)
    published = frozenset(tables.dates())
    extract = source.extract
    rows = BUILDERS[str(extract.source)](tables, tenants[0], np.random.default_rng(9))
    rows = rows.select(column.name for column in extract.columns)
    if is_stock:
        rows = rows.filter(pl.col(extract.day_column).is_in(sorted(stock_days(periods_ending(LAST_DAY))(published))))
    return ExtractRows(source, _for_each(rows, tenants), published)


def _for_each(rows: pl.DataFrame, tenants: Sequence[Tenant]) -> pl.DataFrame:
    many = rows.drop("tenant_id").join(
        pl.DataFrame({"tenant_id": [tenant.tenant_id for tenant in tenants]}), how="cross"
    )
    factors = pl.Series("factor", np.random.default_rng(9).uniform(0.5, 1.5, many.height))
    amounts = [name for name, kind in many.schema.items() if kind.is_numeric() and name != "month_number"]
    own = [name for name in _OWN_IDS if name in many.columns]
    return many.with_columns(
        *((pl.col(name) * factors).round(0).cast(many.schema[name]) for name in amounts),
        *(pl.concat_str(pl.col(name), pl.col("tenant_id").str.slice(-3), separator="-") for name in own),
    )
