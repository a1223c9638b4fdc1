"""A small business on a small instance: real import, real graph, real warehouse."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import dagster as dg
import orjson
from part_of_graph import up_to

from analytics_platform.catalog import load_catalog
from analytics_platform.definitions import build_definitions
from analytics_platform.defs import keys
from analytics_platform.defs.manifest import build_manifest, manifest_path
from analytics_platform.defs.resources import identity_keys_from, store_from, warehouse_from
from analytics_platform.intake.importer import ImportReport, import_paths
from analytics_platform.lake.store import LocalStore
from analytics_platform.settings import Settings

FIRST = date(2026, 3, 2)
LAST = date(2026, 3, 5)

MRR = dg.AssetKey(["kpi", "revenue", "kpi_mrr"])
MRR_EXTRACT = keys.extract("finance", "mrr")


@dataclass(frozen=True)
class House:
    """One deployment, and what tests do to it and ask of it."""

    settings: Settings
    definitions: dg.Definitions

    @property
    def store(self) -> LocalStore:
        return store_from(self.settings)

    def up_to(self, *ends: dg.AssetKey) -> House:
        """The same house, whose jobs build only what leads to some assets: for what is no matter of the others."""
        return replace(self, definitions=up_to(self.definitions, *ends))

    def land(self, path: Path) -> None:
        report = self.imported(path)
        assert report.accepted, report.as_dict()

    def imported(self, path: Path) -> ImportReport:
        history_start = self.settings.history_start
        keys = identity_keys_from(self.settings)
        return import_paths(
            [path], catalog=load_catalog(), store=self.store, identities=keys, history_start=history_start
        )

    def land_invoice(self, name: str, issued_at: str, tenant: str = "brabant-rental") -> None:
        """Import one message that nobody has sent before."""
        properties = {
            "schema_version": 1,
            "tenant_id": tenant,
            "invoice_id": f"inv-{name}",
            "booking_id": f"book-{name}",
            "customer_ref": f"cust-{name}",
            "amount_minor": 12_100,
            "tax_minor": 2_100,
            "currency": "EUR",
            "issued_at": issued_at,
            "due_at": issued_at,
        }
        message = {
            "type": "track",
            "event": "invoice.issued",
            "messageId": f"late-{name}",
            "userId": "u-1",
            "timestamp": issued_at,
            "originalTimestamp": issued_at,
            "sentAt": issued_at,
            "receivedAt": issued_at,
            "properties": properties,
        }
        path = self.settings.home / f"{name}.ndjson"
        path.write_bytes(orjson.dumps(message) + b"\n")
        self.land(path)

    def fingerprint(self, before: date | None = None) -> dict[str, object]:
        """Count and order-independent hash of the rows of every table, or of those with a day before `before`."""
        warehouse = warehouse_from(self.settings)
        tables = warehouse.query(
            "select table_schema || '.' || table_name as name, "
            "bool_or(column_name = 'day') as by_day "
            "from information_schema.columns where table_schema in ('raw','staging','marts','kpi') group by all"
        ).to_pylist()
        where = f"where day < date '{before}'" if before else ""
        counted = "select count(*) as rows, sum(hash(t)::hugeint)::varchar as sum from"
        with warehouse.reading():
            return {
                table["name"]: warehouse.query(f"{counted} {table['name']} t {where}").to_pylist()[0]
                for table in tables
                if before is None or table["by_day"]
            }


def new_house(home: Path, history_start: date = date(2026, 1, 1), **chosen: object) -> House:
    settings = Settings(home=home, history_start=history_start, **chosen)
    if not manifest_path(settings).exists():
        build_manifest(settings)
    return House(settings, build_definitions(settings))
