"""The tracking plan compiled to JSON Schema draft-07: what the gate judges by and what Segment Protocols takes.

A schema describes the ``properties`` of a track call; the envelope around them (ids, times, context) is the gate's.
``format`` must be asserted by whoever validates (``jsonschema_rs.Draft7Validator(schema, validate_formats=True)``): the
patterns below only narrow it. What a field means is declared in :mod:`analytics_platform.catalog.plan`.
"""

from typing import Any, Literal

from analytics_platform.catalog import Catalog, Event, Field, FieldType

JsonSchema = dict[str, Any]

ID_PATTERN = "^[A-Za-z0-9_-]{1,64}$"
CURRENCY_PATTERN = "^[A-Z]{3}$"

# `date-time` alone also takes the year 0000, leap seconds and a lower-case t or z, which Python, Arrow or DuckDB cannot
# read; and at the ends of the calendar an offset leaves the range of all three.
_DATE = "(19|20|21)[0-9]{2}-[0-9]{2}-[0-9]{2}"
_TIME = r"[0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})"
TIMESTAMP_PATTERN = f"^{_DATE}T{_TIME}$"
DATE_PATTERN = f"^{_DATE}$"

#: Characters of a string whose field says no other length.
DEFAULT_MAX_LENGTH = 128

#: Integers beyond this lose digits in clients that hold numbers as doubles (JavaScript among them).
MAX_SAFE_INTEGER = 2**53 - 1

_TIMESTAMP: JsonSchema = {"type": "string", "format": "date-time", "pattern": TIMESTAMP_PATTERN}
_DATE_ONLY: JsonSchema = {"type": "string", "format": "date", "pattern": DATE_PATTERN}

_BASE_SCHEMAS: dict[FieldType, JsonSchema] = {
    "id": {"type": "string", "pattern": ID_PATTERN},
    "ref": {"type": "string", "pattern": ID_PATTERN},
    "string": {"type": "string", "minLength": 1, "maxLength": DEFAULT_MAX_LENGTH},
    "integer": {"type": "integer", "minimum": -MAX_SAFE_INTEGER, "maximum": MAX_SAFE_INTEGER},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "timestamp": _TIMESTAMP,
    "currency": {"type": "string", "pattern": CURRENCY_PATTERN},
}


def plan_schemas(catalog: Catalog) -> dict[str, JsonSchema]:
    """The schema of each event's properties, by the event's name."""
    return {name: event_schema(event) for name, event in catalog.events.items()}


def event_schema(event: Event) -> JsonSchema:
    """Compile one event: all its fields, nothing besides, and null nowhere."""
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": class_name(event.name),
        "description": event.description,
        "type": "object",
        "properties": {field.name: _property_schema(field, event) for field in event.all_fields},
        "required": [field.name for field in event.all_fields if field.required],
        "additionalProperties": False,
    }


def class_name(event_name: str) -> str:
    """The event's name as the name of a type: ``invoice.written_off`` -> ``InvoiceWrittenOff``."""
    return "".join(word.capitalize() for word in event_name.replace(".", "_").split("_"))


def _property_schema(field: Field, event: Event) -> JsonSchema:
    schema: JsonSchema = {"description": field.description, **_type_schema(field)}
    if field.name == "schema_version":
        schema["enum"] = list(event.schema_versions)
    return schema


def _type_schema(field: Field) -> JsonSchema:
    if field.enum is not None:
        return {"type": "string", "enum": list(field.enum)}
    if field.date_allowed:
        return {"anyOf": [dict(_TIMESTAMP), dict(_DATE_ONLY)]}
    bounds = {"minimum": field.minimum, "maximum": field.maximum, "maxLength": field.max_length}
    return _BASE_SCHEMAS[field.type] | {key: bound for key, bound in bounds.items() if bound is not None}


def spec_call_stream(site: Literal["product", "marketing"]) -> str:
    """The stream of page, screen, identify, group and alias calls sent with a write key of the site."""
    return "marketing" if site == "marketing" else "product"
