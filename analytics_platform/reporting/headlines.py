"""Where a KPI's headline is read among the published extracts, and which published days may still move.

The SQL of headlines is made in :mod:`analytics_platform.warehouse.headlines`; how KPI tables are filled is dbt's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from analytics_platform.catalog import Catalog, Extract, Headline, Kpi
from analytics_platform.errors import AnalyticsError

_FACT_SCHEMA = "marts"


class KpiSourceError(AnalyticsError):
    """No declared extract carries what a KPI's headline needs."""


@dataclass(frozen=True)
class KpiSource:
    """The extract that a KPI's headline is read from, and the dashboard that publishes it."""

    dashboard: str
    extract: Extract


def kpi_source(catalog: Catalog, kpi: Kpi) -> KpiSource:
    """The extract cut from the table that the KPI's headline is read from.

    Raises:
        KpiSourceError: no extract in the catalogue has that table and the columns of the headline.
    """
    needed = headline_columns(kpi.headline)
    for dashboard in catalog.dashboards.values():
        for extract in dashboard.extracts:
            if extract.source == kpi.headline_table and needed <= {column.name for column in extract.columns}:
                return KpiSource(dashboard.name, extract)
    raise KpiSourceError(
        f"no extract in dashboards.yaml publishes {', '.join(sorted(needed))} of {kpi.headline_table}, "
        f"which the headline of {kpi.name} is made of; declare one"
    )


def page_source(catalog: Catalog, kpi: Kpi) -> KpiSource:
    """The extract that pages read a KPI from: that of its finer table where it has one.

    Raises:
        KpiSourceError: no extract in the catalogue has the columns.
    """
    return kpi_source(catalog, in_detail(kpi))


def in_detail(kpi: Kpi) -> Kpi:
    """The KPI as it is read from its finer table; itself where it has none."""
    if kpi.detail is None:
        return kpi
    headline = kpi.headline.model_copy(update={"table": kpi.detail.table})
    return kpi.model_copy(update={"headline": headline, "drill_downs": kpi.page_drill_downs})


def headline_columns(headline: Headline) -> set[str]:
    """The columns that a headline reads."""
    terms = (*headline.numerator, *headline.denominator)
    return {term.removeprefix("-") for term in terms} | set(headline.filter)


def days_still_moving(catalog: Catalog, tables: Iterable[str]) -> int | None:
    """How many days before a day that is built may have changed with it; None is all of them.

    A day of a table that a KPI or its headline is read from stands once it has settled, by the KPI's own declaration;
    of another that an extract is cut from, by the extract's.
    Another fact row may move to another day for as long as its story goes on (a ticket that is resolved again).
    """
    extracts = [extract for dashboard in catalog.dashboards.values() for extract in dashboard.extracts]
    settling = {extract.source: extract.settling_days for extract in extracts}
    known = {table: kpi.settling_days for kpi in catalog.kpis.values() for table in (kpi.table, kpi.headline_table)}
    reach: list[int] = []
    for table in set(tables):
        is_fact = table.startswith(f"{_FACT_SCHEMA}.")
        days = known[table] if table in known else None if is_fact else settling.get(table, 0)
        if days is None:
            return None
        reach.append(days)
    return max(reach, default=0)
