"""The check that pages show what the warehouse holds: every card's figure, computed a second time in SQL.

The second computation reads the declared headline and shares no code with the pages, so that a mistake in either
shows. Money is compared on a page of all tenants, which is in the reporting currency; everything else on each tenant's
page, where no currencies mix. Each figure is compared as it stands and with one value of each filter chosen.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import dagster as dg

from analytics_platform.catalog import Audience, Catalog, Kpi
from analytics_platform.defs import keys
from analytics_platform.lake.store import ObjectStore
from analytics_platform.reporting import shown
from analytics_platform.reporting.dashboards import audiences, dashboard_key
from analytics_platform.reporting.dimensions import OTHERS
from analytics_platform.reporting.extracts import published_days
from analytics_platform.reporting.headlines import page_source
from analytics_platform.reporting.page import payload_of
from analytics_platform.reporting.sources import STAFF
from asset_checks.factory import Facts, Scope, check

_TOLERANCE = 1e-9
"""Relative: the pages sum in floating point, the warehouse in integers."""

_LEAST = 1e-4
"""A difference that no page shows; medians are rounded to it."""


@dataclass(frozen=True)
class ShownFigure:
    """A figure on a card.

    Attributes:
        audience: a tenant, or all.
        kpi: its name.
        period: the card's period.
        first: first day that the figure covers; a stock covers one.
        last: last day.
        value: as shown, None for nothing to say.
        filters: the chosen value by column.
    """

    audience: str
    kpi: str
    period: str
    first: date
    last: date
    value: float | None
    filters: Mapping[str, str | None] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """How a failed check names it: by the filter's column, whose value may be a person's reference."""
        return " ".join([self.audience, self.kpi, self.period, *(f"by {column}" for column in self.filters)])


def figures_checks(catalog: Catalog) -> list[dg.AssetChecksDefinition]:
    """One check per dashboard."""
    return [_check(catalog, name) for name in catalog.dashboards]


def shown_figures(catalog: Catalog, audience: Audience, page: bytes) -> Iterator[ShownFigure]:
    """The figures of a page that are compared: money on a page of all tenants, the rest on tenants' pages.

    Raises:
        ValueError: the page embeds no payload.
    """
    payload = payload_of(page)
    for told in payload["kpis"]:
        kpi = catalog.kpis[told["name"]]
        if told["as_of"] and (kpi.unit == "money_minor") == (audience.tenant is None):
            for period in told["periods"]:
                for filters in _chosen(payload, kpi, told):
                    yield _shown_figure(payload, kpi, told, period, filters, audience.tenant or STAFF)


def _chosen(payload: Mapping[str, Any], kpi: Kpi, told: Mapping[str, Any]) -> Iterator[dict[str, str | None]]:
    """No filter, and of each drill-down's column the value with the largest share."""
    yield {}
    columns = {kpi.filtered_as.get(column, column): column for column in kpi.page_drill_downs}
    for name in told["drill_downs"]:
        used = set(told["cube"]["codes"][told["cube"]["dims"].index(name)])
        values = payload["dimensions"][name]["values"]
        value = next((value for code, value in enumerate(values) if code in used), OTHERS)
        if value != OTHERS:
            yield {columns[name]: value}


def _shown_figure(
    payload: Mapping[str, Any],
    kpi: Kpi,
    told: Mapping[str, Any],
    period: str,
    filters: Mapping[str, str | None],
    audience: str,
) -> ShownFigure:
    named = {kpi.filtered_as.get(column, column): value for column, value in filters.items()}
    dates = told["periods"][period]
    last = min(dates["last"], told["as_of"])
    return ShownFigure(
        audience,
        kpi.name,
        period,
        date.fromisoformat(last if kpi.headline.snapshot else dates["first"]),
        date.fromisoformat(last),
        shown.figure(payload, told, period, named),
        filters,
    )


@dataclass(frozen=True)
class Question:
    """What figures have in common, so that one query answers for all of them: KPI, days, and what they are cut by."""

    kpi: str
    first: date
    last: date
    by_tenant: bool
    column: str | None


def question_of(figure: ShownFigure) -> Question:
    """The question that a figure is an answer to."""
    column = next(iter(figure.filters), None)
    return Question(figure.kpi, figure.first, figure.last, figure.audience != STAFF, column)


def headline_sql(kpi: Kpi, asked: Question) -> tuple[str, list[object]]:
    """SQL for the figures that answer a question, as rows of `audience`, `part` and `value`, and its parameters."""
    headline = kpi.headline
    where, parameters = [f"{headline.day_column} between ? and ?"], [asked.first, asked.last, *headline.filter.values()]
    where += [f"{column} = ?" for column in headline.filter]
    finer = kpi.detail is not None and asked.column is not None and asked.column not in kpi.drill_downs
    table = kpi.detail.table if kpi.detail and finer else kpi.headline_table
    if headline.kind == "median":
        value = f"median({headline.numerator[0]})"
    elif headline.kind == "ratio":
        value = f"{_sum(headline.numerator)} / nullif({_sum(headline.denominator)}, 0)"
    else:
        value = _sum(headline.numerator)
    groups = [*(["tenant_id"] if asked.by_tenant else []), *([asked.column] if asked.column else [])]
    sql = (
        f"select {'tenant_id' if asked.by_tenant else repr(STAFF)} as audience, "
        f"cast({asked.column or 'null'} as varchar) as part, ({value} * {headline.scale})::double as value "
        f"from {table} where {' and '.join(where)}"
    )
    return sql + (f" group by {', '.join(groups)}" if groups else ""), parameters


def figures_equal_warehouse(shown: Sequence[ShownFigure], computed: Mapping[str, float | None]) -> Facts:
    """Every figure on a page is the one that SQL gives; nothing to say and nothing at all are the same."""
    offenders = [
        f"{figure.name}: page {figure.value}, warehouse {computed[figure.name]}"
        for figure in shown
        if not _is_same(figure.value, computed[figure.name])
    ]
    summary = f"{len(offenders)} of {len(shown)} figures differ from the warehouse"
    passed = bool(shown) and not offenders
    return Facts(passed, summary, {"figures": len(shown)}, offenders, len(shown), len(offenders))


def _is_same(value: float | None, computed: float | None) -> bool:
    return math.isclose(value or 0, computed or 0, rel_tol=_TOLERANCE, abs_tol=_LEAST)


def _check(catalog: Catalog, dashboard: str) -> dg.AssetChecksDefinition:
    def judge(scope: Scope) -> Facts:
        figures = [
            figure
            for audience in _compared(catalog, dashboard)
            for figure in shown_figures(catalog, audience, scope.store.get(dashboard_key(dashboard, audience)))
        ]
        begun = {kpi: _first_published(scope.store, catalog, kpi) for kpi in {figure.kpi for figure in figures}}
        published = [_published_part(figure, begun[figure.kpi]) for figure in figures]
        return figures_equal_warehouse(published, computed_figures(scope, catalog, published))

    return check(
        keys.dashboard(dashboard),
        "figures_equal_warehouse",
        judge,
        description="Each card's figure, also with one value of each filter, equals the headline computed in SQL.",
        dimension="consistency",
    )


def _compared(catalog: Catalog, dashboard: str) -> list[Audience]:
    """One audience for each tenant and one of all tenants: the one that sees the most."""
    found: dict[str | None, Audience] = {}
    for audience in audiences(catalog, dashboard):
        found.setdefault(audience.tenant, audience)
    return list(found.values())


def _first_published(store: ObjectStore, catalog: Catalog, kpi: str) -> date | None:
    source = page_source(catalog, catalog.kpis[kpi])
    return min(published_days(store, source.dashboard, source.extract.name), default=None)


def _published_part(figure: ShownFigure, begun: date | None) -> ShownFigure:
    """The figure over the days that are published: the warehouse may hold older ones (cohorts that still settle)."""
    return replace(figure, first=max(figure.first, begun or figure.first))


def computed_figures(scope: Scope, catalog: Catalog, shown: Sequence[ShownFigure]) -> dict[str, float | None]:
    """Each figure as SQL gives it, by name; all in one query: opening the warehouse costs more than reading it."""
    asked = {question: n for n, question in enumerate(dict.fromkeys(question_of(figure) for figure in shown))}
    if not asked:
        return {}
    selects = [headline_sql(catalog.kpis[each.kpi], each) for each in asked]
    sql = " union all ".join(
        f"select {n} as n, audience, part, value from ({select}) as q{n}" for n, (select, _) in enumerate(selects)
    )
    answer = scope.warehouse.query(sql, [value for _, parameters in selects for value in parameters])
    found = {(row["n"], row["audience"], row["part"]): row["value"] for row in answer.to_pylist()}
    return {
        figure.name: found.get((asked[question_of(figure)], figure.audience, next(iter(figure.filters.values()), None)))
        for figure in shown
    }


def _sum(columns: Sequence[str]) -> str:
    terms = [f"-sum({column[1:]})" if column.startswith("-") else f"+sum({column})" for column in columns]
    return f"({' '.join(terms)})"
