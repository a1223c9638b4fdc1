"""Dashboards: one self-contained HTML file per dashboard and audience, made from published extracts.

An audience is a role, or a role for one tenant; its file holds what that role may see of that tenant and nothing else.
This module decides who gets a file and where it goes; ``sources`` picks the rows, ``payload`` computes and ``page``
draws.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl

from analytics_platform.catalog import Audience, Catalog, Dashboard, Kpi, View
from analytics_platform.lake.as_published import AsPublished
from analytics_platform.lake.store import ObjectStore
from analytics_platform.reporting.extracts import find_dashboard, find_extract
from analytics_platform.reporting.figures import days_to_mature
from analytics_platform.reporting.headlines import KpiSource, in_detail, kpi_source, page_source
from analytics_platform.reporting.marked_days import anomalies_source
from analytics_platform.reporting.page import IndexRow, PageContent, render_index, render_page
from analytics_platform.reporting.payload import PageRows, Pages
from analytics_platform.reporting.periods import Span, periods_ending
from analytics_platform.reporting.quality import Lineage
from analytics_platform.reporting.sources import KpiRows, load_extract, stock_days
from analytics_platform.reporting.views import ViewRows, view_periods, view_spans

INDEX_KEY = "dashboards/index.html"


@dataclass(frozen=True)
class DashboardFile:
    """One written page."""

    audience: Audience
    key: str
    bytes: int


def dashboard_key(dashboard: str, audience: Audience) -> str:
    """Where an audience's file is in the lake."""
    return f"dashboards/{dashboard}/{audience.name}.html"


def dashboard_inputs(catalog: Catalog, dashboard: str) -> list[tuple[str, str]]:
    """The extracts that a dashboard is drawn from, as (dashboard, extract) in the order of its KPIs.

    The executive overview draws from the other dashboards' extracts, so that its numbers are theirs.
    """
    declared = find_dashboard(catalog, dashboard)
    sources = [page_source(catalog, catalog.kpis[name]) for name in declared.kpis]
    read = [(source.dashboard, source.extract.name) for source in sources]
    marked = anomalies_source(catalog)
    read += [(dashboard, view.extract) for view in declared.views]
    read += [(marked.dashboard, marked.extract.name)] if marked else []
    return list(dict.fromkeys(read))


def audiences(catalog: Catalog, dashboard: str) -> list[Audience]:
    """Who gets a file of their own: everybody whose role may see the dashboard."""
    return catalog.audiences_of(f"dashboard.{find_dashboard(catalog, dashboard).name}")


def build_dashboard(
    store: ObjectStore, catalog: Catalog, dashboard: str, day: date, lineage: Lineage | None = None
) -> list[DashboardFile]:
    """Write a dashboard's files, as of ``day``, for all its audiences; replaces each file atomically.

    The same extracts and evaluations give the same bytes. Also renews the start page that links all files, and removes
    the files of audiences that are none any more.

    Raises:
        ExtractMissingError: the catalogue has no such dashboard.
        KpiSourceError: one of its KPIs is published by no extract.
    """
    rows = load_page_rows(AsPublished(store), catalog, dashboard, day)
    pages = Pages(catalog, rows, lineage or Lineage())
    files = []
    for audience in audiences(catalog, dashboard):
        body = render_page(catalog, PageContent(pages.payload(audience), _siblings(catalog, audience)))
        key = dashboard_key(dashboard, audience)
        store.put(key, body)
        files.append(DashboardFile(audience, key, len(body)))
    _remove_all_but(store, f"dashboards/{dashboard}/", [file.key for file in files])
    build_index(store, catalog)
    return files


def load_page_rows(store: ObjectStore, catalog: Catalog, dashboard: str, day: date) -> PageRows:
    """The published rows of a dashboard's KPIs, as far back as any period of a page of ``day`` looks.

    Raises:
        ExtractMissingError: the catalogue has no such dashboard.
        KpiSourceError: one of its KPIs is published by no extract.
    """
    declared = find_dashboard(catalog, dashboard)
    kpis = [_load(store, catalog, in_detail(catalog.kpis[name]), day) for name in declared.kpis]
    views = [_load_view(store, catalog, declared, view, day) for view in declared.views]
    return PageRows(declared, day, kpis, views, _load_anomalies(store, catalog, day))


def build_index(store: ObjectStore, catalog: Catalog) -> str:
    """Write the start page for whoever runs the platform: every file that exists, by audience. Returns its key."""
    present = {info.key for info in store.list("dashboards/")}
    everybody = dict.fromkeys(audience for name in catalog.dashboards for audience in audiences(catalog, name))
    rows = [IndexRow(audience, links) for audience in everybody if (links := _links(catalog, audience, present))]
    store.put(INDEX_KEY, render_index(catalog, rows))
    return INDEX_KEY


def _links(catalog: Catalog, audience: Audience, present: set[str]) -> list[tuple[str, str]]:
    """(dashboard, relative link) of an audience's files."""
    return [
        (name, f"{name}/{audience.name}.html")
        for name in catalog.dashboards
        if dashboard_key(name, audience) in present
    ]


def _remove_all_but(store: ObjectStore, prefix: str, keys: Iterable[str]) -> None:
    wanted = set(keys)
    for info in store.list(prefix):
        if info.key not in wanted:
            store.delete(info.key)


def _load(store: ObjectStore, catalog: Catalog, kpi: Kpi, day: date) -> KpiRows:
    """A KPI's published rows, as far back as any period of the page looks."""
    periods = periods_ending(day - timedelta(days_to_mature(kpi)))
    span = Span(min(period.previous.first for period in periods), day)
    needed = stock_days(periods) if kpi.headline.snapshot else None
    found = load_extract(store, kpi_source(catalog, kpi), [span], needed)
    return KpiRows(found.source, found.rows, found.days, kpi)


def view_source(catalog: Catalog, dashboard: Dashboard, view: View) -> KpiSource:
    """The extract that a view is made from."""
    return KpiSource(dashboard.name, find_extract(catalog, dashboard.name, view.extract))


def _load_view(store: ObjectStore, catalog: Catalog, dashboard: Dashboard, view: View, day: date) -> ViewRows:
    """The rows of a view, as far back as it looks."""
    kpi = catalog.kpis[view.kpi]
    source = view_source(catalog, dashboard, view)
    periods = view_periods(view, kpi, source.extract.source, day)
    needed = stock_days(periods) if view.is_stock else None
    return ViewRows(view, kpi, load_extract(store, source, view_spans(view, periods, day), needed))


def _load_anomalies(store: ObjectStore, catalog: Catalog, day: date) -> pl.DataFrame | None:
    """The days that rules report, as far back as trends are drawn."""
    source = anomalies_source(catalog)
    if source is None:
        return None
    oldest = day - timedelta(max(days_to_mature(kpi) for kpi in catalog.kpis.values()))
    first = min(period.span.first for period in periods_ending(oldest))
    return load_extract(store, source, [Span(first, day)]).rows.filter(pl.col("is_anomaly"))


def _siblings(catalog: Catalog, audience: Audience) -> list[tuple[str, str]]:
    """(dashboard, relative link) of the same audience's dashboards."""
    return [
        (name, f"../{name}/{audience.name}.html") for name in catalog.dashboards if audience in audiences(catalog, name)
    ]
