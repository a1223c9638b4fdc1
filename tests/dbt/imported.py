"""A warehouse that messages reach as they do in production: gate, landing, raw objects, loaded tables.

`fixture.Dbt.load` writes the loaded tables itself, which is quicker; here the gate has judged every message and the
lake has kept it, in as many imports as a test likes. Stays out: drawing messages, assertions about figures.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from fixture import STREAMS, Dbt, Message, TenantRow

from known_keys import KEYS
from analytics_platform.catalog import Catalog, load_catalog
from analytics_platform.catalog.tenants import Tenant
from analytics_platform.defs.loaded import registry_tables, stream_table
from analytics_platform.intake.importer import ImportReport, import_paths
from analytics_platform.lake.changes import landed_partitions
from analytics_platform.lake.raw import build_partitions, scan
from analytics_platform.lake.store import LocalStore
from analytics_platform.warehouse.duckdb import DuckDBWarehouse

NOW = datetime(2026, 11, 1, tzinfo=UTC)


class ImportingDbt(Dbt):
    """dbt on a warehouse that is filled by imports; `first` and `last` are the days that it loads."""

    def __init__(self, folder: Path, tenants: Sequence[TenantRow], first: date, last: date) -> None:
        super().__init__(folder, tenants)
        self._folder = folder
        self._days = (first, last)
        self._store = LocalStore(folder / "lake")
        self._catalog = catalog_of(tenants)

    def take(self, name: str, messages: Iterable[Message]) -> ImportReport:
        """Import the messages as one file, in the given order, and load what the lake then holds."""
        file = self._folder / f"{name}.ndjson"
        file.write_text("".join(json.dumps(as_sent(each)) + "\n" for each in messages), encoding="utf-8")
        report = import_paths([file], catalog=self._catalog, store=self._store, identities=KEYS, now=NOW)
        build_partitions(self._store, streams=["billing"], partitions=landed_partitions(self._store))
        warehouse = DuckDBWarehouse(self.warehouse)
        for stream in STREAMS:
            warehouse.replace_days(stream_table(stream), scan(self._store, stream, *self._days), *self._days)
        for table, rows in registry_tables(self._catalog).items():
            warehouse.replace_table(stream_table(table), rows)
        return report


def as_sent(each: Message) -> dict[str, Any]:
    """Return a message as a client of the billing backend sends it."""
    properties = {"schema_version": 1, "tenant_id": each.tenant, **each.properties}
    if each.project is not None:
        properties["project_id"] = each.project
    return {
        "type": each.type,
        "event": each.event,
        "messageId": each.message_id,
        "userId": "billing",
        "timestamp": each.event_at or each.at,
        "properties": properties,
    }


def catalog_of(tenants: Sequence[TenantRow]) -> Catalog:
    """Return the shipped catalogue with these tenants in it instead of its own."""
    return load_catalog().model_copy(update={"tenants": {each.tenant_id: _tenant(each) for each in tenants}})


def _tenant(row: TenantRow) -> Tenant:
    """Return a tenant as the catalogue declares it; billing knows no opening hours."""
    return Tenant(
        tenant_id=row.tenant_id,
        name=row.tenant_id,
        country=row.country,
        time_zone=row.time_zone,
        currency=row.currency,
        financial_year_end=row.financial_year_end,
        business_hours={},
    )


def declared(tenant: TenantRow) -> dict[str, Any]:
    """Return a tenant as the registry declares it."""
    return {
        "tenant_id": tenant.tenant_id,
        "name": tenant.tenant_id,
        "country": tenant.country,
        "time_zone": tenant.time_zone,
        "currency": tenant.currency,
        "financial_year_end": tenant.financial_year_end,
        "on_time_threshold_minutes": tenant.on_time_threshold_minutes,
        "business_hours": {day: {"opens": opens, "closes": closes} for day, opens, closes in tenant.hours},
        "holidays": sorted({str(day) for day in tenant.holidays}),
    }
