"""Fixtures of the connectors' tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from connector_house import House
from played_provider import PlayedProvider, playing

from analytics_platform.catalog import Catalog


@pytest.fixture
def house(tmp_path: Path, catalog: Catalog) -> House:
    return House(tmp_path, catalog)


@pytest.fixture
def provider() -> Iterator[PlayedProvider]:
    with playing() as provider:
        yield provider
