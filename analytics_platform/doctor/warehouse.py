"""The warehouse, tried through its port: whether it takes, gives back and removes a table, value by value."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pyarrow as pa
from pyarrow.csv import ConvertOptions, read_csv

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
_BUILD = "look at its disk; a damaged file is moved away, and `analytics run` builds it from the lake again"

_TYPES = {
    "day": pa.date32(),
    "whole": pa.int64(),
    "ratio": pa.float64(),
    "words": pa.string(),
    "is_so": pa.bool_(),
    "happened_at": pa.timestamp("us", tz="UTC"),
    "amount": pa.decimal128(18, 2),
}
_ROWS = """\
day,whole,ratio,words,is_so,happened_at,amount
2024-02-29,9007199254740993,0.1,"Zoë 🚚 'n \\ \t",true,2026-03-29T00:59:59.123456Z,12345678901.23
1999-12-31,,,,,,
"""
"""A value of each type in use that a careless way loses, and nulls."""


def rows() -> pa.Table:
    """The probe's table."""
    # From text, because pa.array imports pandas to see whether it is given some: longer than all the rest takes.
    options = ConvertOptions(column_types=_TYPES, null_values=[""], strings_can_be_null=True)
    return read_csv(pa.BufferReader(_ROWS.encode()), convert_options=options)


def look(deployment: Deployment) -> Iterator[Finding]:
    """Connect, look at the schemas, and send a table there and back."""
    settings = deployment.settings
    with _warehouse(settings) as warehouse:
        try:
            yield _connected(warehouse, settings)
            yield from tried(warehouse)
        except WarehouseBusyError as error:
            found, _, _ = str(error).rpartition("; ")
            mend = "wait for the run that has it and look again; if there is none, end that process"
            yield warn("warehouse", found or str(error), mend)
        except AnalyticsError as error:
            yield told_by("warehouse", error, mend=_LOOK)
        except Exception as error:  # noqa: BLE001 - each product has its own ways to say that it cannot be used
            yield fail(
                "warehouse", f"{type(error).__name__}: {error}", _LOOK if settings.warehouse != "duckdb" else _BUILD
            )


def tried(warehouse: Warehouse) -> Iterator[Finding]:
    """A table of `ops` that comes and goes."""
    try:
        sent = rows()
        warehouse.replace_table(TABLE, sent)
        came_back = warehouse.query(f"select * from {TABLE} order by day desc")
        yield _compared(sent, came_back)
        removed = warehouse.remove_rows(TABLE, "day < ?", [date(2000, 1, 1)])
        left = warehouse.query(f"select count(*) as n from {TABLE}").to_pylist()[0]["n"]
        if (removed, left) != (1, 1):
            found = f"of two rows one was to go: {removed} are said to have gone, {left} are left"
            yield fail("removal", found, "report this with the warehouse's version: retention would not hold")
        else:
            yield ok("removal", "removes the rows that a condition names, and no other")
    finally:
        warehouse.drop_table(TABLE)


def _connected(warehouse: Warehouse, settings: Settings) -> Finding:
    try:
        rows = warehouse.query("select table_schema from information_schema.tables").to_pylist()
    except WarehouseMissingError:
        return ok("warehouse", f"nothing was ever written; the first run makes {settings.warehouse_path}")
    # With the prefix of a branch environment, and in the letters that the product prefers.
    ours = [row for row in rows if str(row["table_schema"]).lower().endswith(SCHEMAS)]
    return ok("warehouse", f"{warehouse.address} answers, with {len(ours):,} tables and views")


def _compared(sent: pa.Table, came_back: pa.Table) -> Finding:
    wrong = [f"{field.name} ({field.type})" for field in sent.schema if not _is_equal(sent, came_back, field)]
    if wrong:
        found = f"another value came back than was sent: {', '.join(wrong)}"
        return fail("types", found, "report this with the warehouse's version: figures would be wrong")
    return ok("types", f"{sent.num_columns} types come back as they were sent, nulls too")


def _is_equal(sent: pa.Table, came_back: pa.Table, field: pa.Field) -> bool:
    try:
        return bool(came_back[field.name].cast(field.type).equals(sent[field.name]))
    except (KeyError, pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return False


@contextmanager
def _warehouse(settings: Settings) -> Iterator[Warehouse]:
    """The warehouse; where its file is not made yet, another one on the same disk, for as long as we look."""
    if settings.warehouse != "duckdb" or settings.warehouse_path.exists():
        yield warehouse_from(settings, _PATIENCE_SECONDS)
        return
    with tempfile.TemporaryDirectory(dir=standing_folder(settings.home), prefix=".doctor-") as folder:
        yield DuckDBWarehouse(Path(folder, settings.warehouse_path.name), lock_timeout=_PATIENCE_SECONDS)
