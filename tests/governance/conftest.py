from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from review_tables import Tables, quarter_of_rows, small_catalog

from analytics_platform.catalog import Catalog
from analytics_platform.governance.review.desk import ReviewDesk
from analytics_platform.lake.store import LocalStore


@pytest.fixture(scope="session")
def declared(catalog: Catalog) -> Catalog:
    """The catalogue with two datasets, both of which the tables measure."""
    return small_catalog(catalog)


@pytest.fixture(scope="session")
def quarter_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse file with a third quarter of 2026 in which all is well."""
    tables = Tables(tmp_path_factory.mktemp("quarter") / "warehouse.duckdb")
    quarter_of_rows(tables, date(2026, 7, 1))
    return tables.close()


@pytest.fixture
def tables(tmp_path: Path, quarter_file: Path) -> Tables:
    """That quarter, for a test to change."""
    return Tables(tmp_path / "warehouse.duckdb", like=quarter_file)


@pytest.fixture
def desk(store: LocalStore, declared: Catalog) -> ReviewDesk:
    return ReviewDesk(store, declared, "Europe/Amsterdam")


@pytest.fixture
def october() -> datetime:
    return datetime(2026, 10, 1, 5, tzinfo=UTC)
