"""One simulated history that all tests of the demo read."""

from __future__ import annotations

import jsonschema_rs
import pytest
from demo_history import FIRST_DAY, LAST_DAY, SEED, History

from analytics_platform.catalog import Catalog, load_catalog
from analytics_platform.demo import simulate
from analytics_platform.tracking.plan import plan_schemas


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load_catalog()


@pytest.fixture(scope="session")
def plan(catalog: Catalog) -> dict[str, jsonschema_rs.Draft7Validator]:
    schemas = plan_schemas(catalog)
    return {name: jsonschema_rs.Draft7Validator(schema, validate_formats=True) for name, schema in schemas.items()}


@pytest.fixture(scope="session")
def histories(
    catalog: Catalog, plan: dict[str, jsonschema_rs.Draft7Validator], tmp_path_factory: pytest.TempPathFactory
) -> list[History]:
    folder = tmp_path_factory.mktemp("demo")
    simulate(catalog, seed=SEED, first_day=FIRST_DAY, last_day=LAST_DAY, folder=folder)
    return [History(tenant, plan) for tenant in sorted(folder.iterdir())]


@pytest.fixture(scope="session")
def history_of(histories: list[History]) -> dict[str, History]:
    return {history.tenant_id: history for history in histories}
