"""The days that a KPI's series are marked on: what the rules report of them, as far as an audience sees the series.

How a day is judged is `insights.anomalies`; a page only marks it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import polars as pl

from analytics_platform.catalog import Catalog, Kpi
from analytics_platform.insights.rules import DAYS_READ
from analytics_platform.insights.series import series_part
from analytics_platform.reporting.headlines import KpiSource
from analytics_platform.reporting.measures import REPORTING_CURRENCY
from analytics_platform.reporting.periods import Period
from analytics_platform.reporting.sources import KpiRows, only_currency, shown_currency
from analytics_platform.warehouse.headlines import ALL_TENANTS

_TABLE = "kpi.kpi_anomalies"


def anomalies_source(catalog: Catalog) -> KpiSource | None:
    """The extract that anomalies are published in; None where none is declared."""
    for dashboard in catalog.dashboards.values():
        for extract in dashboard.extracts:
            if extract.source == _TABLE:
                return KpiSource(dashboard.name, extract)
    return None


@dataclass(frozen=True)
class JudgedRows:
    """The rows that a KPI's page is made from, over all tenants, and the currency that the page is in."""

    rows: KpiRows
    catalog: Catalog
    currency: str | None

    @property
    def kpi(self) -> Kpi:
        """Which KPI it is."""
        return self.rows.kpi

    def is_in_page_currency(self, who: str, day: date) -> bool:
        """Whether a series' figures on a day are in the currency that the page says."""
        return self.kpi.unit != "money_minor" or self._judged_currency(who, day) == self.currency

    def _judged_currency(self, who: str, day: date) -> str | None:
        """What a series' money was judged in (`insights.currencies`), as far as the page's rows tell; else None.

        They are of the last days of weeks and months. Where one currency is all that there is, it was that one; where
        another came on the way, they do not always say on which day.
        """
        if who == ALL_TENANTS:
            return REPORTING_CURRENCY
        tenant = self.catalog.tenants.get(who)
        if tenant is None:
            return None
        own = self.rows.seen_by(who)
        single = only_currency(own, tenant)
        lately = pl.col(self.rows.source.extract.day_column).is_between(day - timedelta(DAYS_READ), day)
        if single is None and only_currency(own.filter(lately), tenant) is not None:
            return None
        return shown_currency(self.kpi, own, single)


def marked_days(
    anomalies: pl.DataFrame, judged: JudgedRows, tenant: str | None, periods: Sequence[Period]
) -> list[dict[str, Any]]:
    """The reported days of a KPI within the periods, as pages read them.

    All tenants' pages have the series of all and of each tenant; a tenant's page has its own, and no id with it. An
    amount in another currency than the page's is left out, and the day stays.
    """
    first = min(period.span.first for period in periods)
    last = max(period.span.last for period in periods)
    chosen = anomalies.filter(
        pl.col("is_anomaly") & (pl.col("kpi") == judged.kpi.name) & pl.col("day").is_between(first, last)
    ).sort("day", "tenant_id", "series")
    return list(_told(chosen, judged, tenant))


def _told(anomalies: pl.DataFrame, judged: JudgedRows, tenant: str | None) -> Iterator[dict[str, Any]]:
    for row in anomalies.iter_rows(named=True):
        who = row["tenant_id"]
        if tenant in (None, who):
            day: date = row["day"]
            is_told = judged.is_in_page_currency(who, day)
            yield {
                "day": day.isoformat(),
                "series": _part(judged.kpi, row["series"]),
                "tenant_id": None if tenant or who == ALL_TENANTS else who,
                "observed": row["observed"] if is_told else None,
                "expected": row["expected"] if is_told else None,
                "rule": row["rule"],
            }


def _part(kpi: Kpi, series: str) -> Mapping[str, str | None] | None:
    part = series_part(series)
    return part and {kpi.filtered_as.get(part[0], part[0]): part[1]}
