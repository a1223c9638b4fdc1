"""Dashboards: one self-contained HTML file per dashboard and audience, made from published extracts.

An audience is a role, or a role for one tenant; its file holds what that role may see of that tenant and nothing else.
This module decides who gets a file and where it goes; ``sources`` picks the rows, ``payload`` computes and ``page``
draws.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from analytics_platform.catalog import Audience, Catalog, Kpi
from analytics_platform.lake.store import ObjectStore
from analytics_platform.reporting.extracts import find_dashboard, published_days
from analytics_platform.reporting.figures import days_to_mature
from analytics_platform.reporting.headlines import kpi_source
from analytics_platform.reporting.page import IndexRow, PageContent, render_index, render_page
from analytics_platform.reporting.payload import PageRows, Pages
from analytics_platform.reporting.periods import Span, periods_ending
from analytics_platform.reporting.quality import Lineage
from analytics_platform.reporting.sources import KpiRows, load_rows

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
    sources = [kpi_source(catalog, catalog.kpis[name]) for name in find_dashboard(catalog, dashboard).kpis]
    return list(dict.fromkeys((source.dashboard, source.extract.name) for source in sources))


def latest_published_day(store: ObjectStore, catalog: Catalog, dashboard: str) -> date | None:
    """The newest day that any of a dashboard's extracts has: pages of an older day would take readers back."""
    newest = [published_days(store, *source)[-1:] for source in dashboard_inputs(catalog, dashboard)]
    return max((days[0] for days in newest if days), default=None)


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
    pages = Pages(catalog, load_page_rows(store, catalog, dashboard, day), lineage or Lineage())
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
    return PageRows(declared, day, [_load(store, catalog, catalog.kpis[name], day) for name in declared.kpis])


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
    oldest = periods_ending(day - timedelta(days_to_mature(kpi)))
    first = min(period.previous.first for period in oldest)
    return load_rows(store, catalog, kpi, [Span(first, day)])


def _siblings(catalog: Catalog, audience: Audience) -> list[tuple[str, str]]:
    """(dashboard, relative link) of the same audience's dashboards."""
    return [
        (name, f"../{name}/{audience.name}.html") for name in catalog.dashboards if audience in audiences(catalog, name)
    ]
