"""A message with its person taken out: what is left of it where the law keeps the record.

Amounts, times and keys of things stay; every id of the person gives way to a stand-in, so that the rows of one erased
person still belong together and no total changes; what a record is not kept for (traits, context, what else the
message said beside its properties, sealed identifiers) goes.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

_NESTED = ("properties", "context", "traits", "extra")
_SEVERED = ("context", "traits", "extra", "identifiers")
_PERSON = ("user_id", "anonymous_id")


def new_stand_in() -> str:
    """A stand-in for an erased person: random, so that nothing leads back."""
    return f"erased_{secrets.token_hex(12)}"


def texts_of(value: Any) -> Iterator[str]:
    """Every text in a JSON value, however deep: where an id of a person may stand."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from texts_of(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts_of(each)


def ids_of(row: Mapping[str, Any]) -> set[str]:
    """Every text of a row of landing or raw that may be an id of a person; what a message nests is JSON text in raw."""
    nested = (row.get(name) for name in _NESTED)
    said = [orjson.loads(value) if isinstance(value, str) else value for value in nested]
    return {row[name] for name in _PERSON if row[name]} | set(texts_of(said))


def severed(row: Mapping[str, Any], stand_ins: Mapping[str, str]) -> dict[str, Any]:
    """A landing row (names of `lake.schema`, `properties` as an object) without the person whose ids are given."""
    changed = {**row, "properties": _replaced(row["properties"], stand_ins)}
    changed |= {name: None for name in _SEVERED if name in row}
    changed |= {name: stand_ins.get(row[name], row[name]) for name in _PERSON}
    return changed


def _replaced(value: Any, stand_ins: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return stand_ins.get(value, value)
    if isinstance(value, Mapping):
        return {name: _replaced(each, stand_ins) for name, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each, stand_ins) for each in value]
    return value
