"""The check that pages show what the warehouse holds: every card's figure, computed a second time in SQL.

The second computation reads the declared headline and shares no code with the pages, so that a mistake in either
shows. Money is compared on the staff page, which is in the reporting currency; everything else on each tenant's page,
where no currencies mix.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import dagster as dg

from analytics_platform.catalog import Catalog, Kpi
from analytics_platform.defs import keys
from analytics_platform.lake.store import ObjectStore
from analytics_platform.reporting.dashboards import STAFF, audiences, dashboard_key
from analytics_platform.reporting.extracts import published_days
from analytics_platform.reporting.headlines import kpi_source
from asset_checks.factory import Facts, Scope, check

_EMBEDDED = re.compile(rb'<script type="application/json" id="figures">(.*?)</script>', re.DOTALL)
_TOLERANCE = 1e-9
"""Relative: the pages sum in floating point, the warehouse in integers."""


@dataclass(frozen=True)
class ShownFigure:
    """A figure on a card.

    Attributes:
        audience: the page's, a tenant or all.
        kpi: its name.
        period: the card's period.
        first: first day that the figure covers; a stock covers one.
        last: last day.
        value: as shown, None for nothing to say.
    """

    audience: str
    kpi: str
    period: str
    first: date
    last: date
    value: float | None

    @property
    def name(self) -> str:
        """How a failed check names it."""
        return f"{self.audience} {self.kpi} {self.period}"


def figures_checks(catalog: Catalog) -> list[dg.AssetChecksDefinition]:
    """One check per dashboard."""
    return [_check(catalog, name) for name in catalog.dashboards]


def shown_figures(catalog: Catalog, audience: str, page: bytes) -> Iterator[ShownFigure]:
    """The figures of a page that are compared: money on the staff page, the rest on tenants' pages.

    Raises:
        ValueError: the page embeds no figures.
    """
    embedded = _EMBEDDED.search(page)
    if embedded is None:
        raise ValueError(f"the page of {audience} embeds no figures")
    for shown in json.loads(embedded[1])["kpis"]:
        kpi = catalog.kpis[shown["name"]]
        if shown["as_of"] and (kpi.unit == "money_minor") == (audience == STAFF):
            as_of = date.fromisoformat(shown["as_of"])
            for period, card in shown["periods"].items():
                first, last = date.fromisoformat(card["first"]), min(date.fromisoformat(card["last"]), as_of)
                yield ShownFigure(
                    audience, kpi.name, period, last if kpi.headline.snapshot else first, last, card["value"]
                )


def headline_sql(kpi: Kpi, figure: ShownFigure) -> tuple[str, list[object]]:
    """SQL for one figure, as one row with the column `value`, and its parameters."""
    headline = kpi.headline
    where, parameters = [f"{headline.day_column} between ? and ?"], [figure.first, figure.last]
    conditions = dict(headline.filter) | ({} if figure.audience == STAFF else {"tenant_id": figure.audience})
    where += [f"{column} = ?" for column in conditions]
    if headline.kind == "median":
        value = f"median({headline.numerator[0]})"
    elif headline.kind == "ratio":
        value = f"{_sum(headline.numerator)} / nullif({_sum(headline.denominator)}, 0)"
    else:
        value = _sum(headline.numerator)
    sql = f"select ({value} * {headline.scale})::double as value from {kpi.headline_table} where {' and '.join(where)}"
    return sql, [*parameters, *conditions.values()]


def figures_equal_warehouse(shown: Sequence[ShownFigure], computed: Mapping[str, float | None]) -> Facts:
    """Every figure on a page is the one that SQL gives; nothing to say and nothing at all are the same."""
    offenders = [
        f"{figure.name}: page {figure.value}, warehouse {computed[figure.name]}"
        for figure in shown
        if not math.isclose(figure.value or 0, computed[figure.name] or 0, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
    ]
    summary = f"{len(offenders)} of {len(shown)} figures differ from the warehouse"
    passed = bool(shown) and not offenders
    return Facts(passed, summary, {"figures": len(shown)}, offenders, len(shown), len(offenders))


def _check(catalog: Catalog, dashboard: str) -> dg.AssetChecksDefinition:
    def judge(scope: Scope) -> Facts:
        pages = {name: scope.store.get(dashboard_key(dashboard, name)) for name in audiences(catalog, dashboard)}
        shown = [figure for name, page in pages.items() for figure in shown_figures(catalog, name, page)]
        published = [_published_part(scope.store, catalog, figure) for figure in shown]
        return figures_equal_warehouse(published, computed_figures(scope, catalog, published))

    return check(
        keys.dashboard(dashboard),
        "figures_equal_warehouse",
        judge,
        description="Each card's figure equals the headline computed in SQL from the warehouse.",
        dimension="consistency",
    )


def _published_part(store: ObjectStore, catalog: Catalog, figure: ShownFigure) -> ShownFigure:
    """The figure over the days that are published: the warehouse may hold older ones (cohorts that still settle)."""
    source = kpi_source(catalog, catalog.kpis[figure.kpi])
    published = published_days(store, source.dashboard, source.extract.name)
    return replace(figure, first=max(figure.first, min(published, default=figure.first)))


def computed_figures(scope: Scope, catalog: Catalog, shown: Sequence[ShownFigure]) -> dict[str, float | None]:
    """Each figure as SQL gives it, by name; all in one query: opening the warehouse costs more than reading it."""
    if not shown:
        return {}
    selects = [headline_sql(catalog.kpis[figure.kpi], figure) for figure in shown]
    sql = " union all ".join(f"select {n} as n, value from ({select})" for n, (select, _) in enumerate(selects))
    answer = scope.warehouse.query(sql, [value for _, parameters in selects for value in parameters])
    return {shown[row["n"]].name: row["value"] for row in answer.to_pylist()}


def _sum(columns: Sequence[str]) -> str:
    terms = [f"-sum({column[1:]})" if column.startswith("-") else f"+sum({column})" for column in columns]
    return f"({' '.join(terms)})"
