"""A small lake and warehouse with data on both sides of the terms of a day, and everything that retention needs."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from analytics_platform.catalog import Catalog
from analytics_platform.governance.retention.desk import RetentionDesk
from analytics_platform.governance.retention.files import HomeFiles, Place
from analytics_platform.governance.retention.holds import Hold
from analytics_platform.governance.retention.objects import ExtractObjects, Family, LakeObjects, in_partition
from analytics_platform.governance.retention.plan import Plan
from analytics_platform.governance.retention.tables import WarehouseTables
from analytics_platform.lake.layout import dead_letter_key, landing_prefix
from analytics_platform.lake.store import LocalStore
from analytics_platform.warehouse import DuckDBWarehouse

TODAY = date(2026, 11, 27)
NOW = datetime(2026, 11, 27, 9, tzinfo=UTC)

DUTCH, BRITISH = "brabant-rental", "albion-stage"
LAST_FISCAL = date(2018, 12, 31)
"""The newest invoice of a calendar-year tenant whose seven years are over."""
LAST_TECHNICAL = date(2026, 9, 27)


class CrashError(Exception):
    """The process dies here."""


@dataclass
class RetentionHouse:
    """One deployment's retention, without Dagster."""

    catalog: Catalog
    root: Path
    crash_at: str | None = None
    steps: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.store = LocalStore(self.root / "lake")
        self.warehouse = DuckDBWarehouse(self.root / "warehouse.duckdb")

    @property
    def desk(self) -> RetentionDesk:
        """As a new process would open it."""
        sinks = [
            LakeObjects(
                self.store,
                [Family("landing", "landing/", in_partition), Family("dead_letters", "dead/", in_partition)],
                ["billing"],
            ),
            ExtractObjects(self.store, ["extracts.finance.mrr"]),
            WarehouseTables(self.warehouse, self.catalog),
            HomeFiles({"demo_files": [Place(self.root / "demo", "*.zst")]}, "Europe/Amsterdam"),
        ]
        return RetentionDesk(self.catalog, self.store, sinks, step=self._step, settle=lambda _: self._step("settle"))

    def fill(self) -> None:
        """Dead letters, an extract, invoices and a file, each on both sides of its boundary, of two tenants."""
        for day in (LAST_TECHNICAL, LAST_TECHNICAL + timedelta(days=1)):
            for tenant in (DUTCH, BRITISH):
                self.store.put(dead_letter_key("invalid_json", day, tenant, "w", "a" * 16), b"letter")
        days = (LAST_FISCAL, LAST_FISCAL + timedelta(days=1))
        rows = [(day, tenant, f"inv-{tenant}-{day}") for day in days for tenant in (DUTCH, BRITISH)]
        self.warehouse.replace_table("marts.fct_invoices", invoices(rows))
        for day in days:
            self.put_extract(day, [DUTCH, BRITISH])
        self.put_file("old.zst", NOW - timedelta(days=62))
        self.put_file("new.zst", NOW - timedelta(days=2))

    def put_extract(self, day: date, tenants: list[str]) -> None:
        rows = pa.table({"day": [day] * len(tenants), "tenant_id": tenants}, schema=_EXTRACT)
        buffer = io.BytesIO()
        pq.write_table(rows.replace_schema_metadata({"schema_version": "1"}), buffer)
        self.store.put(f"extracts/finance/mrr/day={day}/extract.parquet", buffer.getvalue())

    def put_file(self, name: str, at: datetime) -> None:
        path = self.root / "demo" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"events")
        os.utime(path, (at.timestamp(), at.timestamp()))

    def invoices(self) -> list[str]:
        found = self.warehouse.query("select invoice_id from marts.fct_invoices order by 1")
        return [str(name) for name in found["invoice_id"].to_pylist()]

    def letters(self) -> list[str]:
        return [info.key for info in self.store.list("dead/")]

    def land(self, day: date, tenant: str, name: str) -> str:
        key = f"{landing_prefix(day, tenant)}{name}"
        self.store.put(key, b"events")
        return key

    def hold(self, hold_id: str = "case-1", **scope: object) -> Hold:
        hold = Hold(hold_id, "a dispute", "lawyer", NOW, TODAY + timedelta(days=365), **scope)  # type: ignore[arg-type]
        self.desk.holds.declare(hold)
        return hold

    def approved(self) -> Plan:
        plan = self.desk.plan(TODAY, by="ann", now=NOW)
        self.desk.approvals.approve(plan, by="bob", now=NOW)
        return plan

    def bytes_of(self, belongs: Callable[[str], bool]) -> dict[str, bytes]:
        """The lake's objects whose keys belong to something, with what is in them."""
        return {info.key: self.store.get(info.key) for info in self.store.list("") if belongs(info.key)}

    def _step(self, name: str) -> None:
        self.steps.append(name)
        if self.crash_at is not None and name.startswith(self.crash_at):
            raise CrashError(name)


_EXTRACT = pa.schema([("day", pa.date32()), ("tenant_id", pa.string())])
_INVOICES = pa.schema([("issued_on", pa.date32()), ("tenant_id", pa.string()), ("invoice_id", pa.string())])


def invoices(rows: list[tuple[date, str, str]]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(_INVOICES.names, row, strict=True)) for row in rows], schema=_INVOICES)
