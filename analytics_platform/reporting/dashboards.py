"""Dashboards: one self-contained HTML file per dashboard and audience, made from published extracts.

A tenant's file holds nothing of another tenant. This module decides who gets a file and where it goes; ``sources``
picks the rows, ``figures`` computes and ``page`` draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from analytics_platform.catalog import Catalog, Dashboard, Kpi
from analytics_platform.lake.store import ObjectStore
from analytics_platform.reporting.extracts import find_dashboard, published_days
from analytics_platform.reporting.figures import CardNumber, KpiFigures, days_to_mature, kpi_figures
from analytics_platform.reporting.headlines import kpi_source
from analytics_platform.reporting.page import IndexRow, PageContent, render_index, render_page
from analytics_platform.reporting.periods import Span, periods_ending
from analytics_platform.reporting.sources import STAFF as STAFF
from analytics_platform.reporting.sources import KpiRows, load_rows, seen_series, tenant_names

INDEX_KEY = "dashboards/index.html"


@dataclass(frozen=True)
class DashboardFile:
    """One written page, with the numbers on its cards."""

    audience: str
    key: str
    bytes: int
    numbers: tuple[CardNumber, ...]


def dashboard_key(dashboard: str, audience: str) -> str:
    """Where an audience's file is in the lake."""
    return f"dashboards/{dashboard}/{audience}.html"


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


def audiences(catalog: Catalog, dashboard: str) -> list[str]:
    """Who gets a file of their own: platform staff, and each tenant where the catalogue says so."""
    declared = find_dashboard(catalog, dashboard).audiences
    staff = [STAFF] if "all" in declared else []
    return staff + (list(catalog.tenants) if "tenant" in declared else [])


def build_dashboard(store: ObjectStore, catalog: Catalog, dashboard: str, day: date) -> list[DashboardFile]:
    """Write a dashboard's files, as of ``day``, for all its audiences; replaces each file atomically.

    The same extracts give the same bytes. Also renews the start page that links all files.

    Raises:
        ExtractMissingError: the catalogue has no such dashboard.
        KpiSourceError: one of its KPIs is published by no extract.
    """
    declared = find_dashboard(catalog, dashboard)
    sources = [_load(store, catalog, catalog.kpis[name], day) for name in declared.kpis]
    files = []
    for audience in audiences(catalog, dashboard):
        figures = [_figures_for(source, catalog, audience, day) for source in sources]
        body = render_page(_content(catalog, declared, audience, day, figures))
        key = dashboard_key(dashboard, audience)
        store.put(key, body)
        numbers = tuple(card for figure in figures for card in figure.cards)
        files.append(DashboardFile(audience, key, len(body), numbers))
    build_index(store, catalog)
    return files


def build_index(store: ObjectStore, catalog: Catalog) -> str:
    """Write the start page for platform staff: every file that exists, by audience. Returns its key."""
    present = {info.key for info in store.list("dashboards/")}
    names = {STAFF: None, **{tenant.tenant_id: tenant.name for tenant in catalog.tenants.values()}}
    rows = [
        IndexRow(name, links)
        for audience, name in names.items()
        if (links := _links(catalog, audience, present, prefix=""))
    ]
    store.put(INDEX_KEY, render_index(rows))
    return INDEX_KEY


def _links(catalog: Catalog, audience: str, present: set[str], prefix: str) -> list[tuple[str, str]]:
    """(title, relative link) of an audience's files."""
    return [
        (dashboard.title, f"{prefix}{name}/{audience}.html")
        for name, dashboard in catalog.dashboards.items()
        if dashboard_key(name, audience) in present
    ]


def _load(store: ObjectStore, catalog: Catalog, kpi: Kpi, day: date) -> KpiRows:
    """A KPI's published rows, as far back as any period of the page looks."""
    oldest = periods_ending(day - timedelta(days_to_mature(kpi)))
    first = min(period.previous.first for period in oldest)
    return load_rows(store, catalog, kpi, [Span(first, day)])


def _figures_for(rows: KpiRows, catalog: Catalog, audience: str, day: date) -> KpiFigures:
    seen = seen_series(rows, catalog, audience)
    return kpi_figures(seen.series, day, seen.drill_downs, tenant_names(catalog, audience))


def _content(
    catalog: Catalog, dashboard: Dashboard, audience: str, day: date, figures: Sequence[KpiFigures]
) -> PageContent:
    staff = audience == STAFF
    return PageContent(
        dashboard=dashboard,
        audience_name=None if staff else catalog.tenants[audience].name,
        day=day,
        kpis=[catalog.kpis[name] for name in dashboard.kpis],
        figures=[figure.payload for figure in figures],
        siblings=_siblings(catalog, dashboard, audience),
    )


def _siblings(catalog: Catalog, current: Dashboard, audience: str) -> list[tuple[str, str, bool]]:
    """(title, relative link, is this page) of the same audience's dashboards."""
    return [
        (other.title, f"../{name}/{audience}.html", name == current.name)
        for name, other in catalog.dashboards.items()
        if audience in audiences(catalog, name)
    ]
