"""What it means that two warehouses hold equal tables.

    assert differences(tables_of(embedded), tables_of(warehouse)) == []

Equal are the names of tables and of columns, and the rows as a bag, value by value. What differs by design:

- the order of rows and of columns, which nobody promises;
- the width of whole numbers: Snowflake has NUMBER(38, 0) and BigQuery INT64 alone where DuckDB has INTEGER and BIGINT;
- the scale that a decimal is written with: 1.5 is 1.50;
- the last bits of floats: sums of doubles depend on their order, so they agree to nine digits.

Whoever adds to this list says why, and docs/warehouses.md says it too.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

import pyarrow as pa

from analytics_platform.warehouse import Warehouse, table_columns

BUILT = ("staging", "marts", "kpi")
"""Schemas whose tables dbt makes."""

_DIGITS = 1e-9
_SHOWN = 3

Row = tuple[object, ...]


def tables_of(warehouse: Warehouse, schemas: Sequence[str] = BUILT) -> dict[str, pa.Table]:
    """All tables of some schemas, by `schema.table`."""
    names = sorted(name for name in table_columns(warehouse) if name.partition(".")[0] in schemas)
    with warehouse.reading():
        return {name: warehouse.query(f"select * from {name}") for name in names}


def differences(left: Mapping[str, pa.Table], right: Mapping[str, pa.Table]) -> list[str]:
    """What is not equal, a line for each table; nothing for equal ones."""
    found = [f"{name}: is only on one side" for name in sorted(left.keys() ^ right.keys())]
    for name in sorted(left.keys() & right.keys()):
        found.extend(f"{name}: {each}" for each in _of_table(left[name], right[name]))
    return found


def _of_table(left: pa.Table, right: pa.Table) -> Iterator[str]:
    columns = sorted(left.column_names)
    if columns != sorted(right.column_names):
        yield f"columns {sorted(set(columns) ^ set(right.column_names))} are only on one side"
        return
    if left.num_rows != right.num_rows:
        yield f"{left.num_rows} rows and {right.num_rows}"
        return
    pairs = zip(_rows(left.select(columns)), _rows(right.select(columns)), strict=True)
    unlike = [(one, other) for one, other in pairs if not _equal(one, other)]
    for one, other in unlike[:_SHOWN]:
        told = [f"{name} {a!r} and {b!r}" for name, a, b in zip(columns, one, other, strict=True) if not _alike(a, b)]
        yield f"{len(unlike)} of {left.num_rows} rows differ, such as {', '.join(told)}"


def _rows(table: pa.Table) -> list[Row]:
    rows = [tuple(map(_value, row.values())) for row in table.to_pylist()]
    return sorted(rows, key=lambda row: ([_text(each) for each in row if not isinstance(each, float)], _floats(row)))


def _value(value: object) -> object:
    """A value without what differs by design."""
    if isinstance(value, Decimal):
        return value.normalize() + 0
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value).normalize()
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    return value


def _text(value: object) -> tuple[bool, str]:
    return value is None, str(value)


def _floats(row: Row) -> list[str]:
    """Floats sort by their first digits, lest the last ones put equal rows in another order."""
    return [f"{each:.6e}" for each in row if isinstance(each, float)]


def _equal(one: Row, other: Row) -> bool:
    return all(_alike(a, b) for a, b in zip(one, other, strict=True))


def _alike(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=_DIGITS, abs_tol=_DIGITS) or (math.isnan(one) and math.isnan(other))
    return type(one) is type(other) and one == other
