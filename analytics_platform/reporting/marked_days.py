"""The days that a KPI's series are marked on: what the rules report of them, as far as an audience sees the series.

How a day is judged is `insights.anomalies`; a page only marks it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

import polars as pl

from analytics_platform.catalog import Catalog, Kpi
from analytics_platform.reporting.headlines import KpiSource
from analytics_platform.reporting.measures import REPORTING_CURRENCY
from analytics_platform.reporting.periods import Period
from analytics_platform.warehouse.headlines import ALL_TENANTS

_TABLE = "kpi.kpi_anomalies"
_HEADLINE = "headline"
_NOT_ASSIGNED = "none"


def anomalies_source(catalog: Catalog) -> KpiSource | None:
    """The extract that anomalies are published in; None where none is declared."""
    for dashboard in catalog.dashboards.values():
        for extract in dashboard.extracts:
            if extract.source == _TABLE:
                return KpiSource(dashboard.name, extract)
    return None


def marked_days(
    rows: pl.DataFrame, catalog: Catalog, kpi: Kpi, tenant: str | None, periods: Sequence[Period]
) -> list[dict[str, Any]]:
    """The reported days of a KPI within the periods, as pages read them.

    All tenants' pages have the series of all and of each tenant; a tenant's page has its own, and no id with it.
    """
    first = min(period.span.first for period in periods)
    last = max(period.span.last for period in periods)
    chosen = rows.filter(
        pl.col("is_anomaly") & (pl.col("kpi") == kpi.name) & pl.col("day").is_between(first, last)
    ).sort("day", "tenant_id", "series")
    return list(_told(chosen, catalog, kpi, tenant))


def _told(rows: pl.DataFrame, catalog: Catalog, kpi: Kpi, tenant: str | None) -> Iterator[dict[str, Any]]:
    for row in rows.iter_rows(named=True):
        who = row["tenant_id"]
        if tenant in (None, who):
            in_page_currency = tenant is not None or _is_in_reporting(catalog, kpi, who)
            day: date = row["day"]
            yield {
                "day": day.isoformat(),
                "series": _part(kpi, row["series"]),
                "tenant_id": None if tenant or who == ALL_TENANTS else who,
                "observed": row["observed"] if in_page_currency else None,
                "expected": row["expected"] if in_page_currency else None,
                "rule": row["rule"],
            }


def _is_in_reporting(catalog: Catalog, kpi: Kpi, who: str) -> bool:
    """Whether a series' figures are in the currency of a page of all tenants; a tenant's money is in its own."""
    if kpi.unit != "money_minor" or who == ALL_TENANTS:
        return True
    return who in catalog.tenants and catalog.tenants[who].currency == REPORTING_CURRENCY


def _part(kpi: Kpi, series: str) -> Mapping[str, str | None] | None:
    if series == _HEADLINE:
        return None
    column, _, value = series.partition("=")
    return {kpi.filtered_as.get(column, column): None if value == _NOT_ASSIGNED else value}
