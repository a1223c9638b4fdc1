"""A desk on an empty store."""

from __future__ import annotations

from pathlib import Path

import pytest
from alert_examples import Desk

from analytics_platform.catalog import Catalog


@pytest.fixture
def desk(catalog: Catalog, tmp_path: Path) -> Desk:
    return Desk(catalog, tmp_path)
