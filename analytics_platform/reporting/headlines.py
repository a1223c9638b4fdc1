"""Where a KPI's headline is read, and the one extract that is computed here: every headline per day and tenant.

``executive_overview/kpi_headlines`` has a row per (day, tenant, KPI) with the numerator and the denominator of the KPI
catalogue, so that a consumer may add up tenants and days; a median cannot be added up, stands alone, and is taken of
the fact rows that the headline names. The SQL is made from the catalogue alone; how KPI tables are filled is dbt's.
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


def headline_columns(headline: Headline) -> set[str]:
    """The columns that a headline reads."""
    terms = (*headline.numerator, *headline.denominator)
    return {term.removeprefix("-") for term in terms} | set(headline.filter)


def days_still_moving(catalog: Catalog, tables: Iterable[str]) -> int | None:
    """How many days before a day that is built may have changed with it; None is all of them.

    A day of a table that a KPI or its headline is read from stands once it has settled, by the KPI's own declaration.
    Another fact row may move to another day for as long as its story goes on (a ticket that is resolved again).
    """
    settling = {table: kpi.settling_days for kpi in catalog.kpis.values() for table in (kpi.table, kpi.headline_table)}
    read = set(tables)
    if any(table.startswith(f"{_FACT_SCHEMA}.") and table not in settling for table in read):
        return None
    return max((settling.get(table, 0) for table in read), default=0)


def headlines_query(kpis: Iterable[Kpi]) -> tuple[str, int]:
    """SQL for the headlines of these KPIs, and how many times it takes the parameters (first day, last day).

    Columns: day, tenant_id, kpi, numerator, denominator, value; the value is null when the denominator is zero. A sum
    has no denominator, and a median stands in numerator and value alike.
    """
    selects = [_headline_select(kpi) for kpi in kpis]
    return "\nunion all\n".join(selects), len(selects)


def _headline_select(kpi: Kpi) -> str:
    headline = kpi.headline
    day = headline.day_column
    numerator, denominator, value = _terms(headline)
    conditions = "".join(f" and {column} = '{text}'" for column, text in headline.filter.items())
    return (
        f"select cast({day} as date) as day, tenant_id, '{kpi.name}' as kpi, {numerator} as numerator, "
        f"{denominator} as denominator, {value} * {headline.scale!r} as value\n"
        f"from {kpi.headline_table} where {day} between ? and ?{conditions}\n"
        f"group by {day}, tenant_id"
    )


def _terms(headline: Headline) -> tuple[str, str, str]:
    """Numerator, denominator and unscaled value as SQL."""
    if headline.kind == "median":
        median = f"cast(median({headline.numerator[0]}) as double)"
        return median, "cast(null as double)", median
    numerator = _sum(headline.numerator)
    if headline.kind == "sum":
        return numerator, "cast(null as double)", numerator
    denominator = _sum(headline.denominator)
    return numerator, denominator, f"{numerator} / nullif({denominator}, 0)"


def _sum(terms: tuple[str, ...]) -> str:
    """The sum of columns over rows; a leading minus subtracts the column."""
    parts = []
    for term in terms:
        sign = "-" if term.startswith("-") else "+"
        parts.append(f"{sign} coalesce(sum({term.removeprefix('-')}), 0)")
    return f"cast({' '.join(parts).removeprefix('+ ')} as double)"
