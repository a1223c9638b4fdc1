"""The check that views show what the warehouse holds: each measure of each view, computed a second time in SQL.

On the page of all tenants that shows the most, for one period: the whole of a view, and what is left of it with one
value of each filter and axis chosen. Of a heatmap it is one cell, the oldest cohort's newest month.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg

from analytics_platform.catalog import Catalog, Dashboard, View, ViewMeasure
from analytics_platform.defs import keys
from analytics_platform.reporting import shown
from analytics_platform.reporting.dashboards import audiences, dashboard_key
from analytics_platform.reporting.dimensions import OTHERS
from analytics_platform.reporting.extracts import find_extract
from analytics_platform.reporting.page import payload_of
from analytics_platform.warehouse.headlines import money_column
from asset_checks.factory import Facts, Scope, check

_PERIOD = "13w"
_LEAST = 1e-4
_WHOLE_SPANS = ("bridge", "heatmap")
"""Kinds that say nothing of a span that is not over or not published on all its days, whatever the warehouse has."""


@dataclass(frozen=True)
class ViewFigure:
    """The measures of a view under a choice; ``first`` and ``last`` are the days that they cover."""

    view: View
    source: str
    day_column: str
    first: date
    last: date
    chosen: Mapping[str, str | None]
    values: Mapping[str, float | None]

    @property
    def name(self) -> str:
        """How a failed check names it: by columns, whose values may tell a person."""
        return " ".join([self.view.name, *(f"by {column}" for column in self.chosen)])


def view_checks(catalog: Catalog) -> list[dg.AssetChecksDefinition]:
    """One check per dashboard that has views."""
    return [_check(catalog, dashboard) for dashboard in catalog.dashboards.values() if dashboard.views]


def shown_views(catalog: Catalog, dashboard: Dashboard, page: bytes) -> Iterator[ViewFigure]:
    """What a page shows of each view that has a day published, also where that is nothing."""
    payload = payload_of(page)
    declared = {view.name: view for view in dashboard.views}
    for told in payload["views"]:
        view = declared[told["name"]]
        extract = find_extract(catalog, dashboard.name, view.extract)
        slots = told["periods"][_PERIOD]["slots"]
        slot = slots["total"] if slots["total"] is not None else slots["buckets"][1] - 1
        is_empty = not any(told["cube"]["codes"])
        if told["as_of"] is None or (is_empty and told["kind"] in _WHOLE_SPANS):
            continue
        first, last = _days(view, told)
        for codes, chosen in [({}, {})] if is_empty else _choices(payload, told):
            values = {name: shown.added(told["cube"], codes, name, [slot]) for name in told["measures"]}
            yield ViewFigure(view, str(extract.source), extract.day_column, first, last, chosen, values)


def view_sql(columns: Sequence[str], figure: ViewFigure) -> tuple[str, list[object]]:
    """SQL for the measures of a figure, and its parameters.

    Args:
        columns: of the table that the view is cut from.
        figure: what is asked for.
    """
    parameters: list[object] = []
    measures = [f"{_sum(measure, columns, figure)}::double as {measure.name}" for measure in figure.view.measures]
    where = []
    if figure.view.kind != "heatmap":
        where.append(f"{figure.day_column} between ? and ?")
        parameters += [figure.first, figure.last]
    for column, value in {**figure.view.filter, **figure.chosen}.items():
        where.append(f"{column} is null" if value is None else f"cast({column} as varchar) = ?")
        parameters += [] if value is None else [value]
    return f"select {', '.join(measures)} from {figure.source} where {' and '.join(where)}", parameters


def views_equal_warehouse(shown_: Sequence[ViewFigure], computed: Sequence[Mapping[str, float | None]]) -> Facts:
    """Every measure of every view is the one that SQL gives."""
    offenders = [
        f"{figure.name} {measure}: page {value}, warehouse {found[measure]}"
        for figure, found in zip(shown_, computed, strict=True)
        for measure, value in figure.values.items()
        if not math.isclose(value or 0, found[measure] or 0, rel_tol=1e-9, abs_tol=_LEAST)
    ]
    count = sum(len(figure.values) for figure in shown_)
    summary = f"{len(offenders)} of {count} measures of views differ from the warehouse"
    return Facts(not offenders, summary, {"measures": count}, offenders, count, len(offenders))


def _check(catalog: Catalog, dashboard: Dashboard) -> dg.AssetChecksDefinition:
    def judge(scope: Scope) -> Facts:
        audience = next(each for each in audiences(catalog, dashboard.name) if each.tenant is None)
        page = scope.store.get(dashboard_key(dashboard.name, audience))
        figures = list(shown_views(catalog, dashboard, page))
        return views_equal_warehouse(figures, [_computed(scope, figure) for figure in figures])

    return check(
        keys.dashboard(dashboard.name),
        "views_equal_warehouse",
        judge,
        description="Each measure of each view, whole and with one value of each filter, equals what SQL gives.",
        dimension="consistency",
    )


def _computed(scope: Scope, figure: ViewFigure) -> Mapping[str, float | None]:
    columns = scope.warehouse.query(f"select * from {figure.source} limit 0").column_names
    rows: list[dict[str, float | None]] = scope.warehouse.query(*view_sql(columns, figure)).to_pylist()
    return rows[0]


def _choices(
    payload: Mapping[str, Any], told: Mapping[str, Any]
) -> Iterator[tuple[dict[str, int], dict[str, str | None]]]:
    """Codes and values of what is chosen: nothing, and one value of each filter and axis; of a heatmap one cell."""
    cube, axes = told["cube"], {axis["column"]: axis["values"] for axis in told["axes"]}
    if told["kind"] == "heatmap":
        places = [cube["dims"].index(name) for name in axes]
        codes = max(zip(*(cube["codes"][place] for place in places), strict=True), key=lambda cell: (-cell[0], cell[1]))
        yield (
            dict(zip(axes, codes, strict=True)),
            {name: axes[name][code] for name, code in zip(axes, codes, strict=True)},
        )
        return
    yield {}, {}
    for place, name in enumerate(cube["dims"]):
        values = axes[name] if name in axes else payload["dimensions"][name]["values"]
        code = min(cube["codes"][place])
        if values[code] != OTHERS:
            yield {name: code}, {name: values[code]}


def _days(view: View, told: Mapping[str, Any]) -> tuple[date, date]:
    period = told["periods"][_PERIOD]
    last = min(period["last"], told["as_of"])
    return date.fromisoformat(last if view.is_stock else period["first"]), date.fromisoformat(last)


def _sum(measure: ViewMeasure, columns: Sequence[str], figure: ViewFigure) -> str:
    """A measure as SQL, over its days, in the reporting currency."""
    terms = []
    for signed in measure.columns:
        column = money_column(signed.removeprefix("-"), columns, in_reporting=True)
        if measure.taken != "sum" and not figure.view.is_stock:
            day = figure.first if measure.taken == "first" else figure.last
            column = f"case when {figure.day_column} = date '{day.isoformat()}' then {column} end"
        terms.append(f"{'-' if signed.startswith('-') else '+'} coalesce(sum({column}), 0)")
    return f"({' '.join(terms)})"
