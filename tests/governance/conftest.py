from __future__ import annotations

import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from review_tables import Q3, SIGNED_AT, SIGNERS, ZONE, Tables, quarter_of_rows, small_catalog

from analytics_platform.catalog import Catalog
from analytics_platform.governance.review.desk import ReviewDesk
from analytics_platform.governance.review.signing import Signing
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
    return ReviewDesk(store, declared, ZONE)


@pytest.fixture(scope="session")
def lakes(tmp_path_factory: pytest.TempPathFactory, declared: Catalog, quarter_file: Path) -> dict[str, Path]:
    """Folders with that quarter's review, as it was built and as all roles have signed it."""
    root = tmp_path_factory.mktemp("lakes")
    tables = Tables(root / "warehouse.duckdb", like=quarter_file)
    desk = ReviewDesk(LocalStore(root / "built"), declared, ZONE)
    built = desk.build(tables.warehouse, Q3, "run-1", datetime(2026, 10, 1, 5, tzinfo=UTC))
    shutil.copytree(root / "built", root / "signed")
    desk = ReviewDesk(LocalStore(root / "signed"), declared, ZONE)
    for role, name in SIGNERS.items():
        desk.sign(Q3, Signing(role, name, built.review.sha256), SIGNED_AT)
    return {name: root / name for name in ("built", "signed")}
