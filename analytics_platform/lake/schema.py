"""What a landed message looks like: the columns of a landing line and of a raw Parquet object, declared once.

A landing line is one flat JSON object with these names in this order, plus `stream` after `tenant_id` and `identifiers`
at the end; in Parquet the stream is in the key, and what a message nests (properties, context, traits, extra) is JSON
text. `identifiers` are the direct identifiers that came with the message, sealed under keys that are not in the lake;
raw does without them, and its build hands them on (`lake.raw`).
"""

from __future__ import annotations

from typing import Any

import orjson
import pyarrow as pa

_LINE_OPTIONS = orjson.OPT_APPEND_NEWLINE | orjson.OPT_NAIVE_UTC | orjson.OPT_UTC_Z
_MOMENT = pa.timestamp("us", tz="UTC")

RAW_SCHEMA = pa.schema(
    [
        pa.field("day", pa.date32()),
        pa.field("tenant_id", pa.string()),
        pa.field("message_id", pa.string()),
        pa.field("type", pa.string()),
        pa.field("event", pa.string()),
        pa.field("schema_version", pa.int32()),
        pa.field("project_id", pa.string()),
        pa.field("user_id", pa.string()),
        pa.field("anonymous_id", pa.string()),
        pa.field("event_at", _MOMENT),
        pa.field("occurred_at", _MOMENT),
        pa.field("original_timestamp", _MOMENT),
        pa.field("sent_at", _MOMENT),
        pa.field("received_at", _MOMENT),
        pa.field("source", pa.string()),
        pa.field("payload_hash", pa.string()),
        pa.field("properties", pa.string()),
        pa.field("context", pa.string()),
        pa.field("traits", pa.string()),
        pa.field("extra", pa.string()),
    ]
)

IDENTIFIERS = "identifiers"
"""The landing column that raw does not have."""

JSON_COLUMNS = ("properties", "context", "traits", "extra")

# Dictionaries pay where values repeat; ids and properties would fill one only to abandon it.
DICTIONARY_COLUMNS = (
    "day",
    "tenant_id",
    "type",
    "event",
    "schema_version",
    "project_id",
    "source",
    "context",
    "traits",
    "extra",
)


def _duckdb_type(field: pa.Field) -> str:
    if field.name in JSON_COLUMNS:
        return "JSON"
    if pa.types.is_timestamp(field.type):
        return "TIMESTAMP"
    return {pa.date32(): "DATE", pa.int32(): "INTEGER", pa.string(): "VARCHAR"}[field.type]


def _landing_columns() -> dict[str, str]:
    columns: dict[str, str] = {}
    for field in RAW_SCHEMA:
        columns[field.name] = _duckdb_type(field)
        if field.name == "tenant_id":
            columns["stream"] = "VARCHAR"
    columns[IDENTIFIERS] = "VARCHAR"
    return columns


LANDING_COLUMNS: dict[str, str] = _landing_columns()
"""Key and DuckDB type of everything that a landing line has, in its order."""


def landing_line(values: dict[str, Any]) -> bytes:
    """A landing line with its newline; `values` has the keys of `LANDING_COLUMNS` in their order, moments in UTC."""
    return orjson.dumps(values, option=_LINE_OPTIONS)
