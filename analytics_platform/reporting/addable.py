"""Which columns of an extract a BI tool may add up by itself, as the catalogue declares its rows.

A tool that adds a column up by default does so over every day, part and reading that is chosen. That is right for what
happened on a day, and wrong where rows tell one thing more than once. KPIs have formulas of their own.
"""

from __future__ import annotations

from analytics_platform.catalog import Catalog, Dashboard, Extract, Kpi

_COHORT = "cohort_month"
"""The day column of cohorts: each has a row for every month that it is followed, with all of its members."""


def addable_columns(catalog: Catalog, dashboard: Dashboard, extract: Extract) -> frozenset[str]:
    """Names of the extract's columns that may be added up over any of its rows: whole numbers of what happened.

    None may where one of the declarations says that the rows tell a thing more than once. That speaks for all columns:
    those that no view and no headline names (the open invoices beside what is owed on them) are of the same rows.
    """
    if extract.day_column == _COHORT or _shows_a_stock(dashboard, extract) or _repeats_for_a_kpi(catalog, extract):
        return frozenset()
    return frozenset(column.name for column in extract.columns if column.type == "integer")


def _shows_a_stock(dashboard: Dashboard, extract: Extract) -> bool:
    """Whether a view reads the extract on a period's first or last day alone."""
    measures = [measure for view in dashboard.views if view.extract == extract.name for measure in view.measures]
    return any(measure.taken != "sum" for measure in measures)


def _repeats_for_a_kpi(catalog: Catalog, extract: Extract) -> bool:
    """Whether a KPI reads the extract's table as a stock, or one of several readings that stand side by side in it."""
    return any(
        extract.source in _tables_of(kpi) and (kpi.headline.snapshot or bool(kpi.headline.filter))
        for kpi in catalog.kpis.values()
    )


def _tables_of(kpi: Kpi) -> set[str]:
    """The tables that hold a KPI's figure, in whichever grain."""
    return {kpi.table, kpi.headline_table, *([kpi.detail.table] if kpi.detail else [])}
