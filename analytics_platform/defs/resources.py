"""What the assets work on, by the name under which Dagster hands it to them.

Belongs here: choosing the adapters that settings ask for. Stays out: what they do (lake, warehouse, dbt).
"""

from __future__ import annotations

from analytics_platform.defs.dbt_build import DbtBuild
from analytics_platform.lake.store import LocalStore
from analytics_platform.settings import Settings
from analytics_platform.warehouse import DuckDBWarehouse


def store_from(settings: Settings) -> LocalStore:
    """The lake's object store."""
    return LocalStore(settings.lake_root)


def warehouse_from(settings: Settings) -> DuckDBWarehouse:
    """The warehouse."""
    return DuckDBWarehouse(settings.warehouse_path, lock_timeout=settings.lock_timeout_seconds)


def dbt_from(settings: Settings) -> DbtBuild:
    """Dbt on that warehouse."""
    return DbtBuild(
        project_dir=settings.dbt_project_dir,
        warehouse_path=settings.warehouse_path,
        target_dir=settings.dbt_target,
    )


def build_resources(settings: Settings) -> dict[str, object]:
    """Resources by name: `store`, `warehouse`, `dbt`."""
    return {"store": store_from(settings), "warehouse": warehouse_from(settings), "dbt": dbt_from(settings)}
