"""Fixtures that the tests of several rooms share."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from analytics_platform.catalog import Catalog, load_catalog
from analytics_platform.lake.store import LocalStore


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load_catalog()


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "lake")


@pytest.fixture(scope="session")
def now() -> datetime:
    return datetime(2026, 2, 1, 12, tzinfo=UTC)
