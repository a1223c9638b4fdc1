"""The payload of a page: everything that one audience's page of a dashboard shows, as numbers, ids and labels of data.

Pure: rows come from ``sources``, what the deployment knows of its checks from ``quality``. Words that a language has
are not in it; they are the catalogue's and ``messages``'. How a page draws a payload is ``page`` and its script. The
form of a payload is a contract between the two, described in docs/dashboards.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import polars as pl

from analytics_platform.catalog import Audience, Catalog, Dashboard, Kpi, PiiClass
from analytics_platform.reporting.cubes import MOST_NUMBERS, Amounts, Cube, additive_cube, cells_of, median_cube, within
from analytics_platform.reporting.dimensions import Dimension, Shares, page_dimensions, shares
from analytics_platform.reporting.figures import days_to_mature, labeller, target_applies
from analytics_platform.reporting.marked_days import JudgedRows, marked_days
from analytics_platform.reporting.measures import Floats, Series
from analytics_platform.reporting.periods import Period, periods_ending
from analytics_platform.reporting.quality import Lineage, badge
from analytics_platform.reporting.slots import Layout, layout_with_points
from analytics_platform.reporting.sources import STAFF, ExtractRows, KpiRows, columns_up_to, seen_series, tenant_names
from analytics_platform.reporting.views import ViewRows, seen_view


@dataclass(frozen=True)
class PageRows:
    """The published rows that a dashboard's pages of a day are made from, over all tenants."""

    dashboard: Dashboard
    day: date
    kpis: Sequence[KpiRows]
    views: Sequence[ViewRows] = ()
    anomalies: pl.DataFrame | None = None

    @property
    def extracted(self) -> list[ExtractRows]:
        """What all of it is read from."""
        return [*self.kpis, *(each.extracted for each in self.views)]


@dataclass(frozen=True)
class _Shown:
    """A KPI as one audience sees it, before its dimensions are known."""

    rows: KpiRows
    series: Series
    drill_downs: Mapping[str, str]
    periods: Sequence[Period]

    @property
    def kpi(self) -> Kpi:
        """Which KPI it is."""
        return self.rows.kpi

    def layout(self, *, with_previous: bool) -> Layout:
        """The slots of its figures."""
        published = self.series.published
        is_median = self.kpi.headline.kind == "median"
        return layout_with_points(published, self.periods, with_totals=is_median, with_previous=with_previous)

    @property
    def weights(self) -> Floats:
        """What each row contributes to the whole: its sum, or what its ratio is taken of."""
        rows, kind = self.series.rows, self.series.headline.kind
        return {"sum": rows.numerators, "ratio": rows.denominators}.get(kind, rows.numerators * 0 + 1)

    def shares(self) -> list[tuple[str, Shares]]:
        """The dimensions that the KPI is cut by, with the share of each value."""
        columns = self.series.rows.columns
        return [(name, shares(columns[column], self.weights)) for column, name in self.drill_downs.items()]


@dataclass
class Pages:
    """The payloads of a dashboard's pages of a day; audiences that see the same share the work.

    Attributes:
        catalog: knows roles and tenants.
        rows: over all tenants.
        lineage: what the deployment knows beyond figures.
    """

    catalog: Catalog
    rows: PageRows
    lineage: Lineage = field(default_factory=Lineage)
    _bodies: dict[tuple[object, ...], dict[str, Any]] = field(default_factory=dict)

    def payload(self, audience: Audience) -> dict[str, Any]:
        """One audience's payload, of its tenant's rows and its role's columns alone."""
        seen = [self.sees(audience, each) for each in self.rows.extracted]
        visible = [
            columns_up_to(each.source.extract, up_to) for each, up_to in zip(self.rows.extracted, seen, strict=True)
        ]
        body = self._bodies.get((audience.tenant, *visible)) or self._body(audience.tenant, seen)
        if audience.tenant is None:  # several roles see the same of all tenants; of one tenant hardly ever
            self._bodies[audience.tenant, *visible] = body
        tenant = self.catalog.tenants[audience.tenant].name if audience.tenant else None
        return {
            "dashboard": self.rows.dashboard.name,
            "day": self.rows.day.isoformat(),
            "audience": {"name": audience.name, "tenant": tenant},
            "lineage": None if audience.tenant else self.lineage.address,
            **body,
        }

    def sees(self, audience: Audience, rows: ExtractRows) -> PiiClass:
        """The highest class of a column of an extract that an audience sees.

        Columns about people are for who may read the extract itself: a dashboard may draw from another one's.
        """
        role = self.catalog.access_roles[audience.role]
        extract = f"extracts.{rows.source.dashboard}.{rows.source.extract.name}"
        return role.max_pii if role.may_see(extract) else "none"

    def _body(self, tenant: str | None, seen: Sequence[PiiClass]) -> dict[str, Any]:
        """All of a payload that depends on rows and columns alone."""
        names, who = tenant_names(self.catalog, tenant or STAFF), tenant or STAFF
        count = len(self.rows.kpis)
        shown = [self._shown(rows, who, up_to) for rows, up_to in zip(self.rows.kpis, seen[:count], strict=True)]
        views = [
            seen_view(each, self.catalog, who, up_to, self.rows.day)
            for each, up_to in zip(self.rows.views, seen[count:], strict=True)
        ]
        parts = [part for each in shown for part in each.shares()]
        parts += [part for view in views for part in view.shares()]
        dimensions = page_dimensions(parts, {name: labeller(name, names) for name, _ in parts})
        return {
            "dimensions": {name: dimension.payload for name, dimension in dimensions.items()},
            "kpis": [self._kpi(each, dimensions, names, tenant) for each in shown],
            "views": [each.payload(dimensions) for each in views],
        }

    def _shown(self, rows: KpiRows, audience: str, max_pii: PiiClass) -> _Shown:
        seen = seen_series(rows, self.catalog, audience, max_pii)
        periods = periods_ending(self.rows.day - timedelta(days_to_mature(rows.kpi)))
        names = {column: rows.kpi.filtered_as.get(column, column) for column in seen.drill_downs}
        return _Shown(rows, seen.series, names, periods)

    def _kpi(
        self, shown: _Shown, dimensions: Mapping[str, Dimension], names: Mapping[str, str], tenant: str | None
    ) -> dict[str, Any]:
        kpi, series = shown.kpi, shown.series
        as_of = series.as_of(self.rows.day)
        cube, layout = _cube(shown, dimensions)
        known = badge(self.lineage.evaluations.get(kpi.name), as_of, self.rows.day)
        return {
            "name": kpi.name,
            "unit": kpi.unit,
            "direction": kpi.direction,
            "kind": kpi.headline.kind,
            "scale": kpi.headline.scale,
            "snapshot": kpi.headline.snapshot,
            "shape": "bar" if kpi.headline.kind == "sum" and not kpi.headline.snapshot else "line",
            "currency": series.currency,
            "target": kpi.target if target_applies(kpi, names) else None,
            "maturity": days_to_mature(kpi),
            "as_of": as_of.isoformat() if as_of else None,
            "home": kpi.dashboard,
            "asset": self.lineage.assets.get(kpi.name),
            "drill_downs": cube.payload["dims"],
            "quality": known.payload(with_causes=tenant is None),
            "periods": {period.key: _period(series, period, layout) for period in shown.periods},
            "cube": cube.payload,
            "anomalies": self._marked(shown, tenant),
        }

    def _marked(self, shown: _Shown, tenant: str | None) -> list[dict[str, Any]]:
        if self.rows.anomalies is None:
            return []
        told = JudgedRows(shown.rows, self.catalog, shown.series.currency)
        return marked_days(self.rows.anomalies, told, tenant, shown.periods)


def _period(series: Series, period: Period, layout: Layout) -> dict[str, Any]:
    return {
        "first": period.span.first.isoformat(),
        "last": period.span.last.isoformat(),
        "previous_first": period.previous.first.isoformat(),
        "previous_last": period.previous.last.isoformat(),
        "days": period.span.days,
        "days_published": series.published_in(period.span),
        "comparable": series.covers(period.previous),
        "until": [bucket.last.isoformat() for bucket in period.buckets],
        "slots": layout.periods[period.key].payload,
    }


def _cube(shown: _Shown, dimensions: Mapping[str, Dimension]) -> tuple[Cube, Layout]:
    """A KPI's numbers and their slots: as much as a page has room for."""
    rows, kind = shown.series.rows, shown.series.headline.kind
    codes = {name: dimensions[name].codes(rows.columns[column]) for column, name in shown.drill_downs.items()}
    measures = {"numerator": Amounts(rows.numerators)}
    if kind == "ratio":
        measures["denominator"] = Amounts(rows.denominators)
    layout = shown.layout(with_previous=True)
    if cells_of(codes) * len(layout.spans) * len(measures) > MOST_NUMBERS // 2:
        layout = shown.layout(with_previous=False)
    if kind == "median":
        return median_cube(codes, rows.days, rows.numerators, layout), layout
    dims = within(codes, {}, MOST_NUMBERS // (len(layout.spans) * len(measures)))
    return additive_cube(dims, rows.days, measures, layout), layout
