"""The warehouse, tried through its port: whether it takes, gives back and removes a table, value by value."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa

from analytics_platform.defs.resources import warehouse_from
from analytics_platform.doctor.deployment import Deployment, standing_folder
from analytics_platform.doctor.findings import Finding, fail, ok, told_by, warn
from analytics_platform.errors import AnalyticsError
from analytics_platform.settings import Settings
from analytics_platform.warehouse import (
    DuckDBWarehouse,
    Warehouse,
    WarehouseBusyError,
    WarehouseMissingError,
)
from analytics_platform.warehouse.port import SCHEMAS

TABLE = "ops.doctor_probe"
_PATIENCE_SECONDS = 3.0
_LOOK = "look at the warehouse's address, credentials and role"

ROWS = pa.table(
    {
        "day": pa.array([date(2024, 2, 29), date(1999, 12, 31)], pa.date32()),
        "count": pa.array([2**53 + 1, None], pa.int64()),
        "ratio": pa.array([0.1, None], pa.float64()),
        "text": pa.array(["Zoë 🚚 'n \\ \n", None], pa.string()),
        "is_so": pa.array([True, None], pa.bool_()),
        "at": pa.array([datetime(2026, 3, 29, 0, 59, 59, 123456, tzinfo=UTC), None], pa.timestamp("us", tz="UTC")),
        "amount": pa.array([Decimal("12345678901.23"), None], pa.decimal128(18, 2)),
    }
)
"""A value that a careless way loses, and a null, of each type in use."""


def look(deployment: Deployment) -> Iterator[Finding]:
    """Connect, look at the schemas, and send a table there and back."""
    settings = deployment.settings
    with _warehouse(settings) as warehouse:
        try:
            yield _connected(warehouse)
            yield from tried(warehouse)
        except WarehouseBusyError as error:
            found, _, _ = str(error).rpartition("; ")
            mend = "wait for the run that has it and look again; if there is none, end that process"
            yield warn("warehouse", found or str(error), mend)
        except AnalyticsError as error:
            yield told_by("warehouse", error, mend=_LOOK)


def tried(warehouse: Warehouse) -> Iterator[Finding]:
    """A table of `ops` that comes and goes."""
    try:
        warehouse.replace_table(TABLE, ROWS)
        came_back = warehouse.query(f"select * from {TABLE} order by day desc")
        yield _compared(came_back)
        removed = warehouse.remove_rows(TABLE, "day < ?", [date(2000, 1, 1)])
        left = warehouse.query(f"select count(*) as n from {TABLE}").to_pylist()[0]["n"]
        if (removed, left) != (1, 1):
            found = f"of two rows one was to go: {removed} are said to have gone, {left} are left"
            yield fail("removal", found, "report this with the warehouse's version: retention would not hold")
        else:
            yield ok("removal", "removes the rows that a condition names, and no other")
    finally:
        warehouse.drop_table(TABLE)


def _connected(warehouse: Warehouse) -> Finding:
    try:
        rows = warehouse.query("select table_schema from information_schema.tables").to_pylist()
    except WarehouseMissingError:
        return ok("warehouse", f"{warehouse.address} is made by the first run")
    # With the prefix of a branch environment, and in the letters that the product prefers.
    ours = [row for row in rows if str(row["table_schema"]).lower().endswith(SCHEMAS)]
    return ok("warehouse", f"{warehouse.address} answers, with {len(ours):,} tables and views")


def _compared(came_back: pa.Table) -> Finding:
    wrong = []
    for name in ROWS.column_names:
        sent = ROWS[name].to_pylist()
        with suppress(KeyError, pa.ArrowInvalid, pa.ArrowNotImplementedError):
            if came_back[name].cast(ROWS.schema.field(name).type).to_pylist() == sent:
                continue
        wrong.append(f"{name} ({ROWS.schema.field(name).type})")
    if wrong:
        found = f"another value came back than was sent: {', '.join(wrong)}"
        return fail("types", found, "report this with the warehouse's version: figures would be wrong")
    return ok("types", f"{ROWS.num_columns} types come back as they were sent, nulls too")


@contextmanager
def _warehouse(settings: Settings) -> Iterator[Warehouse]:
    """The warehouse; where its file is not made yet, another one on the same disk, for as long as we look."""
    if settings.warehouse != "duckdb" or settings.warehouse_path.exists():
        yield warehouse_from(settings, _PATIENCE_SECONDS)
        return
    with tempfile.TemporaryDirectory(dir=standing_folder(settings.home), prefix=".doctor-") as folder:
        yield DuckDBWarehouse(Path(folder, settings.warehouse_path.name), lock_timeout=_PATIENCE_SECONDS)
