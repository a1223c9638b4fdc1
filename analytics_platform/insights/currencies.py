"""In which currency a tenant's money is judged, by its amounts up to the day.

In the tenant's own, where everything that the day's verdict is made of is in that one: an exchange rate is not its
business. Amounts in several currencies cannot be added, and are judged in the reporting currency. Which of the two it
was is not stored; whoever tells a figure asks here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import polars as pl

from analytics_platform.catalog import Catalog, Headline, Kpi
from analytics_platform.insights.rules import DAYS_READ
from analytics_platform.insights.windows import Flags
from analytics_platform.warehouse import Warehouse, has_table
from analytics_platform.warehouse.headlines import currencies_query, in_own_currency

Currencies = Mapping[str, Mapping[str, Flags]]
"""By tenant and currency, for each day whether its verdict is made of an amount in that currency."""


def own_headline(warehouse: Warehouse, kpi: Kpi) -> Headline | None:
    """A sum of money over tenants' own amounts; None where it is no money, or the table has it in one currency alone.

    A ratio has no currency, and is right in the reporting currency, whatever its parts are in.
    """
    if kpi.headline.kind != "sum":
        return None
    own = in_own_currency(kpi.headline, warehouse.query(f"select * from {kpi.headline_table} limit 0").column_names)
    return None if own == kpi.headline else own


def judged_currencies(warehouse: Warehouse, kpi: Kpi, own: Headline, first: date, last: date) -> Currencies:
    """The currencies that verdicts on days up to ``last`` are made of, as far as days from ``first`` on tell."""
    amounts = pl.DataFrame(warehouse.query(currencies_query(kpi, own), [first, last]))
    found: dict[str, dict[str, Flags]] = {}
    for (tenant, currency), rows in amounts.group_by("tenant_id", "currency"):
        has_amount = np.zeros((last - first).days + 1, dtype=np.bool_)
        has_amount[[(day - first).days for day in rows["day"].to_list()]] = True
        found.setdefault(str(tenant), {})[str(currency)] = _lately(has_amount)
    return found


def are_several(currencies: Mapping[str, Flags]) -> Flags:
    """For each day whether a tenant's amounts are in more than one currency."""
    several: Flags = np.sum([*currencies.values()], axis=0) > 1
    return several


def own_currencies(warehouse: Warehouse, kpi: Kpi, first: date, last: date) -> dict[tuple[str, date], str]:
    """The currency that a tenant's money is judged in on each day, where that is its own and not the reporting one."""
    own = own_headline(warehouse, kpi) if has_table(warehouse, kpi.headline_table) else None
    if own is None:
        return {}
    begin = first - timedelta(DAYS_READ)
    found = judged_currencies(warehouse, kpi, own, begin, last)
    return {
        (tenant, begin + timedelta(int(at))): currency
        for tenant, currencies in found.items()
        for currency, is_read in currencies.items()
        for at in np.flatnonzero(is_read & ~are_several(currencies))
        if at >= DAYS_READ
    }


def with_currencies(
    warehouse: Warehouse, catalog: Catalog, rows: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Rows of ``kpi.kpi_anomalies``, each with the ``currency`` of its figures.

    None is the reporting currency, or none at all where the KPI is no money.
    """
    days = [row["day"] for row in rows]
    own = {
        name: own_currencies(warehouse, catalog.kpis[name], min(days), max(days))
        for name in sorted({row["kpi"] for row in rows} & catalog.kpis.keys())
        if catalog.kpis[name].unit == "money_minor"
    }
    return [{**row, "currency": own.get(row["kpi"], {}).get((row["tenant_id"], row["day"]))} for row in rows]


def _lately(has_amount: Flags) -> Flags:
    """Whether there was an amount on a day or on one of those that its verdict looks back on."""
    so_far = np.cumsum(has_amount)
    long_ago = np.zeros_like(so_far)
    long_ago[DAYS_READ + 1 :] = so_far[: -DAYS_READ - 1]
    return so_far > long_ago
