"""What tests of dbt models share: an empty warehouse with the project's models on it."""

from pathlib import Path

import pytest
from fixture import Dbt


@pytest.fixture
def dbt(tmp_path: Path) -> Dbt:
    """Return dbt on an empty warehouse with the fixture's tenants."""
    return Dbt(tmp_path)
