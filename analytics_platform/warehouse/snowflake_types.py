"""Arrow's types in Snowflake and back.

Moments (timestamps with a zone) are TIMESTAMP_TZ: the instant stands in the row whatever a reader's session thinks its
time zone is, which TIMESTAMP_LTZ would show otherwise to each. Timestamps without a zone are TIMESTAMP_NTZ: they are
UTC by the platform's convention, and no session may shift them. JSON stays text, as everywhere: VARIANT would sort keys
and round numbers, and hashes and re-loads would differ. Whole numbers are NUMBER(38, 0), Snowflake's only kind.

Belongs here: types of columns and of answers. Stays out: the statements (`snowflake`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import orjson
import pyarrow as pa
import pyarrow.compute as pc

_STAMP = pa.timestamp("us")
_MOMENT = pa.timestamp("us", tz="UTC")

_ANSWERED: dict[str, pa.DataType] = {
    "REAL": pa.float64(),
    "TEXT": pa.string(),
    "DATE": pa.date32(),
    "TIMESTAMP": _STAMP,
    "TIMESTAMP_NTZ": _STAMP,
    "TIMESTAMP_TZ": _MOMENT,
    "TIMESTAMP_LTZ": _MOMENT,
    "BOOLEAN": pa.bool_(),
    "BINARY": pa.binary(),
    "VARIANT": pa.string(),
    "OBJECT": pa.string(),
    "ARRAY": pa.list_(pa.string()),
}
"""What DuckDB would answer with, by Snowflake's names of types; FIXED depends on its scale."""


class Described(Protocol):
    """A column of an answer as the connector describes it."""

    @property
    def name(self) -> str:
        """As Snowflake writes it."""

    @property
    def type_code(self) -> int:
        """The connector's number of its type."""

    @property
    def precision(self) -> int | None:
        """Digits of a number."""

    @property
    def scale(self) -> int | None:
        """Those of them behind the point."""


def column_type(field: pa.Field) -> str:
    """The type of a table's column that holds such a field, as CREATE TABLE wants it.

    Raises:
        TypeError: the platform's tables have no such columns; names the column.
    """
    kind = field.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind):
        return "varchar"
    if pa.types.is_integer(kind):
        return "number(38, 0)"
    if pa.types.is_floating(kind):
        return "float"
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_date(kind):
        return "date"
    if pa.types.is_timestamp(kind):
        return "timestamp_tz" if kind.tz else "timestamp_ntz"
    if pa.types.is_decimal(kind):
        return f"number({kind.precision}, {kind.scale})"
    raise TypeError(f"column {field.name} is {kind}, which no table of the warehouse has; write it as text or a number")


def listed_type(field: pa.Field) -> str:
    """The same type as INFORMATION_SCHEMA says it."""
    name = column_type(field).partition("(")[0].upper()
    return "TEXT" if name == "VARCHAR" else name


def as_duckdb_answers(answer: pa.Table, columns: Sequence[Described], names: Iterable[str]) -> pa.Table:
    """An answer in the types and under the names that DuckDB would give it.

    Args:
        answer: the connector's table. Its integers are as narrow as the values allow, and an empty one knows less.
        columns: the connector's description of it.
        names: what its type codes mean, from 0.
    """
    kinds = dict(enumerate(names))
    arrays = [_cast(answer.column(at), _answered(kinds[each.type_code], each)) for at, each in enumerate(columns)]
    return pa.table(arrays, names=[column_name(each.name) for each in columns])


def column_name(name: str) -> str:
    """A column's name: what Snowflake wrote in capitals because nobody quoted it is lower case to us."""
    return name.lower() if name.isupper() else name


def _answered(kind: str, column: Described) -> pa.DataType:
    if kind == "FIXED":
        return pa.decimal128(column.precision or 38, column.scale) if column.scale else pa.int64()
    return _ANSWERED[kind]


def _cast(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Sums of minor units are beyond 64 bits nowhere; where one is, the cast fails rather than being wrong.

    An array comes as the text of its JSON; those that the platform asks for hold texts.
    """
    if pa.types.is_list(kind):
        return pa.chunked_array([[orjson.loads(each) if each else None for each in values.to_pylist()]], kind)
    if pa.types.is_timestamp(values.type) and pa.types.is_timestamp(kind) and kind.tz and values.type.tz != kind.tz:
        values = pc.cast(values, pa.timestamp("us", tz=values.type.tz)) if values.type.tz else values
        values = values if values.type.tz else pc.assume_timezone(pc.cast(values, _STAMP, safe=False), "UTC")
    return pc.cast(values, kind, safe=not pa.types.is_temporal(kind))
