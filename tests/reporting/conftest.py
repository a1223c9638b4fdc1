"""One published lake for all tests that only read it, and a helper to make others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

from analytics_platform.catalog import Catalog, Tenant, load_catalog
from analytics_platform.lake.store import LocalStore
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


@pytest.fixture
def publish_tenants(tmp_path: Path) -> Callable[..., Published]:
    """Publish a lake for given tenants; ``silent`` ones are in the catalogue and have no rows."""

    def make(tenants: list[Tenant], *, days: int = 8, silent: list[Tenant] | None = None) -> Published:
        return _published(tmp_path, tenants, days, silent or [])

    return make


def _published(folder: Path, tenants: list[Tenant], days: int, silent: list[Tenant] | None = None) -> Published:
    catalog = catalog_with([*tenants, *(silent or [])])
    warehouse = write_kpi_tables(folder / "warehouse.duckdb", KpiTables(tenants, days=days))
    store = LocalStore(folder / "lake")
    publish(warehouse, store, catalog, LAST_DAY - timedelta(days - 1), LAST_DAY)
    return Published(warehouse, store, catalog)
