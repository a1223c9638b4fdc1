"""The daily series of KPIs as arrays: per tenant, of all tenants together, and of the parts of the whole.

Figures are the declared headlines, read where dashboards read them. A day without rows is 0 for a sum, from the first
day that the series ever had rows on, and no value for a ratio or a median.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import polars as pl

from analytics_platform.catalog import Kpi
from analytics_platform.insights.currencies import are_several, judged_currencies, own_headline
from analytics_platform.insights.windows import Flags, Floats
from analytics_platform.warehouse import Warehouse
from analytics_platform.warehouse.headlines import births_query, series_query

HEADLINE = "headline"
"""Name of the series that is the KPI itself; a part of it is named ``column=value``."""

_NOT_ASSIGNED = "none"
"""Stands in a series' name for rows that have no value in the column."""


@dataclass(frozen=True)
class SeriesGroup:
    """Series of one KPI over the days from ``first``: ``values`` is series x days, NaN where there is no value.

    ``names`` are tenant (or ``all``) and series; ``births`` the day on which each has its first row ever; ``is_told``
    (series x days) the days whose verdict is to be made of these values, where another group has them otherwise.
    """

    kpi: Kpi
    first: date
    names: tuple[tuple[str, str], ...]
    births: tuple[date, ...]
    values: Floats
    is_told: Flags


def series_part(series: str) -> tuple[str, str | None] | None:
    """The column and the value that a series is of, None being rows without one; None for the KPI itself."""
    if series == HEADLINE:
        return None
    column, _, value = series.partition("=")
    return column, None if value == _NOT_ASSIGNED else value


def read_series(warehouse: Warehouse, kpi: Kpi, first: date, last: date) -> Iterator[SeriesGroup]:
    """All series of a KPI for the days ``first`` to ``last``.

    Tenants are in their own currency as on their dashboards; what stands for all is in the reporting currency, and so
    is a tenant with several.
    """
    yield from _by_tenant(warehouse, kpi, first, last)
    for column in (None, *kpi.anomalies.sub_series):
        yield _group(warehouse, kpi, first, last, by_tenant=False, column=column)


def _by_tenant(warehouse: Warehouse, kpi: Kpi, first: date, last: date) -> Iterator[SeriesGroup]:
    """Tenants' series; of money twice, each day told in its own currency or in the reporting currency.

    When a second currency comes, the days before stay in the first, and those from then on are compared with all of
    history in the reporting currency: a series that changed its unit on the way would be unusual for that alone.
    """
    own = own_headline(warehouse, kpi)
    if own is None:
        yield _group(warehouse, kpi, first, last, by_tenant=True)
        return
    found = judged_currencies(warehouse, kpi, own, first, last)
    in_own = _group(warehouse, kpi.model_copy(update={"headline": own}), first, last, by_tenant=True)
    is_mixed = np.zeros_like(in_own.is_told)
    for row, (tenant, _) in enumerate(in_own.names):
        if tenant in found:
            is_mixed[row] = are_several(found[tenant])
    yield replace(in_own, is_told=~is_mixed)
    if is_mixed.any():
        yield replace(_group(warehouse, kpi, first, last, by_tenant=True), is_told=is_mixed)


def _group(
    warehouse: Warehouse, kpi: Kpi, first: date, last: date, *, by_tenant: bool, column: str | None = None
) -> SeriesGroup:
    births = births_query(kpi, kpi.headline, by_tenant=by_tenant, column=column)
    figures = series_query(kpi, kpi.headline, by_tenant=by_tenant, column=column)
    born = pl.DataFrame(warehouse.query(births, [last])).sort("tenant_id", "part")
    return to_group(kpi, born, pl.DataFrame(warehouse.query(figures, [first, last])), first, last, column)


def to_group(
    kpi: Kpi, born: pl.DataFrame, figures: pl.DataFrame, first: date, last: date, column: str | None
) -> SeriesGroup:
    """Lay figures (day, tenant_id, part, value) out as series x days, a row for each of the series in ``born``."""
    keys = list(born.select("tenant_id", "part").iter_rows())
    place = {key: row for row, key in enumerate(keys)}
    values = np.full((len(keys), (last - first).days + 1), np.nan)
    births = tuple(born["day"].to_list())
    if kpi.headline.kind == "sum":
        for row, birth in enumerate(births):
            values[row, max((birth - first).days, 0) :] = 0.0
    rows = [place[key] for key in figures.select("tenant_id", "part").iter_rows()]
    days = [(day - first).days for day in figures["day"].to_list()]
    values[rows, days] = figures["value"].cast(pl.Float64).fill_null(float("nan")).to_numpy()
    names = tuple((tenant, f"{column}={part or _NOT_ASSIGNED}" if column else HEADLINE) for tenant, part in keys)
    return SeriesGroup(kpi, first, names, births, values, np.ones(values.shape, dtype=np.bool_))
