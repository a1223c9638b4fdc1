from pathlib import Path

import pytest
from catalog_copy import CatalogCopy

from analytics_platform.catalog import Catalog, load_catalog


@pytest.fixture
def catalog_copy(tmp_path: Path) -> CatalogCopy:
    return CatalogCopy.below(tmp_path)


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load_catalog()
