"""Views of a dashboard as payload: bridges, stacks, heatmaps and the like, computed as cubes with the page's filters.

One engine for all kinds: a view's rows are reduced to its measures, laid out by its axes, cut by its filters, and added
up per slot. What a view shows is declared (`catalog.views`); how it is drawn is the page's script.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from analytics_platform.catalog import Catalog, Kpi, PiiClass, View, ViewAxis
from analytics_platform.reporting.cubes import MOST_NUMBERS, Amounts, additive_cube, cells_of, within
from analytics_platform.reporting.dimensions import Dimension, Shares, shares
from analytics_platform.reporting.figures import days_to_mature, labeller
from analytics_platform.reporting.measures import (
    REPORTING_CURRENCY,
    Codes,
    Column,
    Floats,
    Published,
    coded,
    signed_sum,
)
from analytics_platform.reporting.periods import Period, Span, months_before, periods_ending
from analytics_platform.reporting.slots import Layout, layout_of_one, layout_of_totals, layout_with_points
from analytics_platform.reporting.sources import STAFF, ExtractRows, columns_up_to, only_currency

_FIRST_DAY = date(1970, 1, 1)


@dataclass(frozen=True)
class ViewRows:
    """A view with the published rows of its extract, over all tenants."""

    view: View
    kpi: Kpi
    extracted: ExtractRows


def view_periods(view: View, kpi: Kpi, source: str | None, day: date) -> tuple[Period, ...]:
    """The periods of a view on a page of ``day``; what is cut from a KPI's cohorts waits as the KPI does."""
    maturity = days_to_mature(kpi) if source == kpi.table else 0
    return periods_ending(day - timedelta(maturity))


def view_spans(view: View, periods: Sequence[Period], day: date) -> list[Span]:
    """The days that a view may look at: of a heatmap all cohorts up to ``day``."""
    if view.kind == "heatmap":
        return [Span(_FIRST_DAY, day)]
    return [Span(min(period.previous.first for period in periods), max(period.span.last for period in periods))]


@dataclass(frozen=True)
class ShownView:
    """A view as one audience sees it, before the page's dimensions are known."""

    view: View
    rows: pl.DataFrame
    currency: str | None
    filters: Sequence[str]
    periods: Sequence[Period]
    published: Published
    days: Codes
    day: date

    @cached_property
    def amounts(self) -> dict[str, Amounts]:
        """Each measure of each row."""
        in_reporting = self.currency in (None, REPORTING_CURRENCY)
        return {
            measure.name: Amounts(
                np.zeros(self.rows.height)
                if measure.reporting_only and not in_reporting
                else signed_sum(measure.columns, self.rows, in_reporting),
                measure.taken,
            )
            for measure in self.view.measures
        }

    @cached_property
    def columns(self) -> dict[str, Column]:
        """The filters' columns, coded."""
        return {name: coded(self.rows[name]) for name in self.filters}

    @property
    def weights(self) -> Floats:
        """What each row adds to the view, to rank values by."""
        return sum((np.abs(each.values) for each in self.amounts.values()), np.zeros(self.rows.height))

    def shares(self) -> list[tuple[str, Shares]]:
        """The dimensions that the view is cut by, with the share of each value."""
        return [(name, shares(column, self.weights)) for name, column in self.columns.items()]

    def payload(self, dimensions: Mapping[str, Dimension]) -> dict[str, Any]:
        """As pages read it."""
        axes = {axis.name: _axis(axis, self.rows[axis.name], self.weights) for axis in self.view.axes}
        on_axes = np.logical_and.reduce([codes >= 0 for _, codes in axes.values()] or [np.ones(self.rows.height, bool)])
        laid_out = {name: codes[on_axes] for name, (_, codes) in axes.items()}
        cut = {name: dimensions[name].codes(column)[on_axes] for name, column in self.columns.items()}
        amounts = {name: Amounts(each.values[on_axes], each.taken) for name, each in self.amounts.items()}
        layout = self.layout(with_previous=True)
        if cells_of({**cut, **laid_out}) * len(layout.spans) * len(amounts) > MOST_NUMBERS // 2:
            layout = self.layout(with_previous=False)
        dims = {**within(cut, laid_out, MOST_NUMBERS // (len(layout.spans) * len(amounts))), **laid_out}
        as_of = self.published.as_of(self.day)
        return {
            "name": self.view.name,
            "kind": self.view.kind,
            "kpi": self.view.kpi,
            "unit": self.view.unit,
            "currency": self.currency,
            "snapshot": self.view.is_stock,
            "measures": list(amounts),
            "axes": [{"column": name, **told} for name, (told, _) in axes.items()],
            "as_of": as_of.isoformat() if as_of else None,
            "periods": {period.key: _period(period, layout) for period in self.periods},
            "cube": additive_cube(dims, self.days[on_axes], amounts, layout).payload,
        }

    def layout(self, *, with_previous: bool) -> Layout:
        """The slots of its numbers."""
        if self.view.kind == "heatmap":
            return layout_of_one(Span(_FIRST_DAY, self.day), self.periods)
        if self.view.kind == "stack" and not self.view.axes:
            return layout_with_points(self.published, self.periods, with_totals=False, with_previous=with_previous)
        return layout_of_totals(self.published, self.periods, whole=self.view.kind == "bridge")


def _period(period: Period, layout: Layout) -> dict[str, Any]:
    return {
        "first": period.span.first.isoformat(),
        "last": period.span.last.isoformat(),
        "until": [bucket.last.isoformat() for bucket in period.buckets],
        "slots": layout.periods[period.key].payload,
    }


def seen_view(view_rows: ViewRows, catalog: Catalog, audience: str, max_pii: PiiClass, day: date) -> ShownView:
    """A view as an audience sees it.

    Args:
        view_rows: over all tenants.
        catalog: knows the tenants.
        audience: a tenant, or all.
        max_pii: the highest class of a column that the audience may see.
        day: the page's.
    """
    view, extracted = view_rows.view, view_rows.extracted
    extract = extracted.source.extract
    rows = extracted.seen_by(audience)
    currency = _currency(view, rows, catalog, audience)
    for column, text in view.filter.items():
        rows = rows.filter(pl.col(column) == text)
    if view.kind == "heatmap":
        rows = _months_that_are_over(view, rows, day)
    periods = view_periods(view, view_rows.kpi, extract.source, day)
    published = Published(extracted.days, view.is_stock)
    visible = columns_up_to(extract, max_pii) - ({"tenant_id"} if audience != STAFF else frozenset())
    ordinals = rows[extract.day_column].cast(pl.Int32).to_numpy().astype(np.int64) + _FIRST_DAY.toordinal()
    return ShownView(
        view=view,
        rows=rows,
        currency=currency,
        filters=[name for name in view.filters if name in visible],
        periods=periods,
        published=published,
        days=ordinals,
        day=day,
    )


def _currency(view: View, rows: pl.DataFrame, catalog: Catalog, audience: str) -> str | None:
    """What a view's amounts are in: the tenant's own currency where it has but one, as on its KPIs' cards."""
    if view.unit != "money_minor":
        return None
    if audience == STAFF:
        return REPORTING_CURRENCY
    tenant = catalog.tenants[audience]
    own = only_currency(rows, tenant) if "currency" in rows.columns else tenant.currency
    return own or REPORTING_CURRENCY


def _months_that_are_over(view: View, rows: pl.DataFrame, day: date) -> pl.DataFrame:
    """The cells of cohorts that the page's day knows: of months that had ended, with every measure known."""
    cohort, number = (pl.col(axis.name) for axis in view.axes)
    over = months_before(day + timedelta(1), 1) if (day + timedelta(1)).day == 1 else months_before(day, 1)
    newest = over.year * 12 + over.month
    measured = [column.removeprefix("-") for measure in view.measures for column in measure.columns]
    month = cohort.dt.year().cast(pl.Int32) * 12 + cohort.dt.month().cast(pl.Int32) + number.cast(pl.Int32)
    return rows.filter((month <= newest) & pl.all_horizontal(pl.col(*measured).is_not_null()))


def _axis(axis: ViewAxis, values: pl.Series, weights: Floats) -> tuple[dict[str, Any], Codes]:
    """An axis' values and labels, and the place of each row on it; -1 for rows that it leaves out."""
    column = coded(values)
    sizes = np.bincount(column.codes, weights, len(column.values)) if len(values) else np.zeros(len(column.values))
    size_of = dict(zip(column.values, sizes.tolist(), strict=True))
    ordered = _ordered(axis, values.dtype, size_of)
    label = labeller(axis.name, {})
    place = {value: at for at, value in enumerate(ordered)}
    table = np.array([place.get(value, -1) for value in column.values], dtype=np.int64)
    codes = table[column.codes] if len(values) else np.zeros(0, dtype=np.int64)
    return {"values": ordered, "labels": [label(value) for value in ordered]}, codes


def _ordered(axis: ViewAxis, kind: pl.DataType, size_of: Mapping[str | None, float]) -> list[str | None]:
    """The values of an axis in the order that readers expect."""
    if axis.values:
        rest = sorted((value for value in size_of if value not in axis.values), key=lambda value: value or "")
        return [*axis.values, *rest]
    if kind.is_temporal():
        ordered: list[str | None] = [*sorted(value for value in size_of if value)]
    elif kind.is_integer():
        numbers = sorted(int(value) for value in size_of if value)
        ordered = [str(number) for number in numbers if axis.at_most is None or number <= axis.at_most]
    else:
        ordered = sorted(size_of, key=lambda value: (-size_of[value], value is None, value or ""))
    return ordered[-axis.newest :] if axis.newest else ordered
