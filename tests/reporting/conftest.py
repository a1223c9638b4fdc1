"""One published lake for all tests that only read it, and a helper to make others."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from analytics_platform.catalog import Audience, Catalog, Tenant, load_catalog
from analytics_platform.lake.store import LocalStore
from analytics_platform.reporting.dashboards import dashboard_key, load_page_rows
from analytics_platform.reporting.page import PageContent, render_page
from analytics_platform.reporting.payload import Pages
from analytics_platform.reporting.quality import Lineage
from analytics_platform.warehouse import DuckDBWarehouse
from reporting.kpi_tables import LAST_DAY, KpiTables, catalog_with, publish, write_kpi_tables


@dataclass(frozen=True)
class Published:
    """A warehouse, and the lake with all its extracts."""

    warehouse: DuckDBWarehouse
    store: LocalStore
    catalog: Catalog


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Published:
    """Two tenants, one in euros and one in pounds, with 200 days of history."""
    tenants = load_catalog().tenants
    return _published(tmp_path_factory.mktemp("reporting"), [tenants["brabant-rental"], tenants["albion-stage"]], 200)


@dataclass(frozen=True)
class Written:
    """A page of the published lake: its file, and what it embeds."""

    path: Path
    payload: dict[str, Any]


@pytest.fixture(scope="session")
def written_pages(published: Published, tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Written]:
    """The pages of whoever sees everything and of one tenant, by dashboard and audience."""
    audiences = (Audience("admin"), Audience("tenant_viewer", "albion-stage"))
    return write_pages(published, tmp_path_factory.mktemp("pages"), audiences)


def write_pages(
    published: Published,
    folder: Path,
    audiences: Sequence[Audience],
    dashboards: Sequence[str] | None = None,
    alter: Callable[[dict[str, Any]], None] = lambda payload: None,
    lineage: Lineage | None = None,
) -> dict[tuple[str, str], Written]:
    """Write the pages of some audiences, as they lie beside each other; ``alter`` changes what they embed."""
    catalog, written = published.catalog, {}
    for dashboard in dashboards or catalog.dashboards:
        pages = Pages(catalog, load_page_rows(published.store, catalog, dashboard, LAST_DAY), lineage or Lineage())
        for audience in audiences:
            links = [(name, f"../{name}/{audience.name}.html") for name in catalog.dashboards]
            path = folder / dashboard_key(dashboard, audience)
            path.parent.mkdir(parents=True, exist_ok=True)
            payload = copy.deepcopy(pages.payload(audience))
            alter(payload)
            path.write_bytes(render_page(catalog, PageContent(payload, links)))
            written[dashboard, audience.name] = Written(path, payload)
    return written


@pytest.fixture
def publish_tenants(tmp_path: Path) -> Callable[..., Published]:
    """Publish a lake for given tenants, or some dashboards of it; ``silent`` ones have no rows."""

    def make(
        tenants: list[Tenant],
        *,
        days: int = 8,
        silent: list[Tenant] | None = None,
        dashboards: tuple[str, ...] | None = None,
    ) -> Published:
        return _published(tmp_path, tenants, days, silent or [], dashboards)

    return make


def _published(
    folder: Path,
    tenants: list[Tenant],
    days: int,
    silent: list[Tenant] | None = None,
    dashboards: tuple[str, ...] | None = None,
) -> Published:
    catalog = catalog_with([*tenants, *(silent or [])])
    warehouse = write_kpi_tables(folder / "warehouse.duckdb", KpiTables(tenants, days=days))
    store = LocalStore(folder / "lake")
    publish(warehouse, store, catalog, LAST_DAY - timedelta(days - 1), LAST_DAY, dashboards)
    return Published(warehouse, store, catalog)
