"""Events and the database server that the tests of the graph share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from defs_house import FIRST, LAST
from postgres import PostgresServer, running_postgres

from analytics_platform.catalog import load_catalog
from analytics_platform.demo.simulation import simulate


@pytest.fixture(scope="session")
def demo_events(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four days of the four demo tenants."""
    folder = tmp_path_factory.mktemp("events")
    simulate(load_catalog(), seed=7, first_day=FIRST, last_day=LAST, folder=folder)
    return folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server; each module takes a database of its own."""
    with running_postgres() as server:
        yield server
