"""The identities table: for each tenant, which references stand for which identifier, and the ids they came with.

The values are sealed one by one, so that a person can be found by reference without opening anybody else. One Parquet
object per tenant, day and stream, `identities/tenant=<T>/day=<D>/<stream>.parquet`, written by the raw build from the
landing lines that it takes in. Each object names the landing objects that it holds, as raw's do: what was taken in
once is not counted again, whoever repeats a build, and nothing is lost from it but by retention or erasure.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache, lru_cache
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from analytics_platform.errors import AnalyticsError
from analytics_platform.identities.keys import IdentityKeys, TenantKeys
from analytics_platform.identities.sealing import seal, unseal
from analytics_platform.lake.layout import identities_key, identities_prefix
from analytics_platform.lake.raw import LandedIdentifiers
from analytics_platform.lake.removals import read_removals
from analytics_platform.lake.store import ObjectStore

DATASET = "identities"

IDENTITIES_SCHEMA = pa.schema(
    [
        pa.field("day", pa.date32()),
        pa.field("tenant_id", pa.string()),
        pa.field("stream", pa.string()),
        pa.field("reference", pa.string()),
        pa.field("kind", pa.string()),
        pa.field("sealed", pa.string()),
        pa.field("user_id", pa.string()),
        pa.field("anonymous_id", pa.string()),
        pa.field("messages", pa.int64()),
    ]
)

Identifier = tuple[str, str, str]
"""Reference, kind, and the value as it was sent."""

_STATEMENT = b"analytics"
# The people of a tenant or two: the raw build hands on a tenant's partitions one after another.
_PEOPLE_REMEMBERED = 10_000
_Key = tuple[str, str | None, str | None]


class ForeignIdentitiesError(AnalyticsError):
    """An object below `identities/` that this platform did not write."""


@dataclass(frozen=True, slots=True)
class Identities:
    """One object of the table: its rows, and the names of the landing objects that they came from."""

    rows: pa.Table
    landing_objects: tuple[str, ...]


def sealed_identifiers(keys: TenantKeys, identifiers: Iterable[Identifier]) -> str | None:
    """What a landing line says of the identifiers that came with its message; None where there were none."""
    said = sorted(set(identifiers))
    return seal(keys, orjson.dumps(said)) if said else None


def opened_identifiers(keys: TenantKeys, sealed: str) -> list[Identifier]:
    """What `sealed_identifiers` sealed.

    Raises:
        UnsealedError: it cannot be opened.
    """
    return [(reference, kind, value) for reference, kind, value in orjson.loads(unseal(keys, sealed))]


def read_identities(store: ObjectStore, tenant: str) -> pa.Table:
    """The whole table of a tenant, in the columns of `IDENTITIES_SCHEMA`, by day and stream."""
    parts = [read_object(store, info.key).rows for info in store.list(identities_prefix(tenant))]
    return pa.concat_tables(parts) if parts else IDENTITIES_SCHEMA.empty_table()


def read_object(store: ObjectStore, key: str) -> Identities:
    """One object of the table.

    Raises:
        ForeignIdentitiesError: it is none.
    """
    try:
        found = pq.read_table(io.BytesIO(store.get(key)))
        said = orjson.loads((found.schema.metadata or {})[_STATEMENT])
    except (pa.ArrowInvalid, KeyError) as error:
        raise ForeignIdentitiesError(f"{key} is no object of the identities table; restore it from a copy") from error
    return Identities(found.cast(IDENTITIES_SCHEMA), tuple(said["landing_objects"]))


def write_object(store: ObjectStore, key: str, identities: Identities) -> None:
    """Put one object of the table: the same rows and landing objects give the same bytes."""
    said = {"version": 1, "landing_objects": sorted(identities.landing_objects)}
    rows = identities.rows.cast(IDENTITIES_SCHEMA).replace_schema_metadata({_STATEMENT: orjson.dumps(said)})
    buffer = io.BytesIO()
    pq.write_table(rows, buffer, compression="zstd")
    store.put(key, buffer.getvalue())


class IdentitiesTable:
    """Takes in what the raw build hands on.

    Args:
        store: the lake.
        keys: of all tenants.
    """

    def __init__(self, store: ObjectStore, keys: IdentityKeys) -> None:
        self._store, self._keys = store, keys
        self._removals = read_removals(store)

    def take(self, partition: tuple[str, date, str], landed: Sequence[LandedIdentifiers]) -> None:
        """Merge the identifiers of landing lines into the table; see `lake.raw.TakeIdentifiers`.

        A day that retention has removed from the table stays removed.

        Raises:
            UnsealedError: they were sealed with keys that this deployment does not have.
        """
        stream, day, tenant = partition
        if self._removals.covers(DATASET, tenant, day):
            return
        key = identities_key(stream, day, tenant)
        held = read_object(self._store, key) if self._store.info(key) else _nothing()
        fresh = [each for each in landed if each.landing_object not in held.landing_objects]
        if not fresh:
            return
        rows = _merged(held.rows, fresh, self._keys.of(tenant))
        common = {"day": [day] * len(rows), "tenant_id": [tenant] * len(rows), "stream": [stream] * len(rows)}
        columns = {name: common.get(name) or [row[name] for row in rows] for name in IDENTITIES_SCHEMA.names}
        table = pa.table(columns, schema=IDENTITIES_SCHEMA)
        objects = {*held.landing_objects, *(each.landing_object for each in fresh)}
        write_object(self._store, key, Identities(table, tuple(objects)))


@cache
def _nothing() -> Identities:
    """No identities. Not a constant: pyarrow imports pandas for its first array, which whoever loads this would pay."""
    return Identities(IDENTITIES_SCHEMA.empty_table(), ())


@lru_cache(maxsize=_PEOPLE_REMEMBERED)
def _opened(keys: TenantKeys, sealed: str) -> list[Identifier]:
    return opened_identifiers(keys, sealed)


@lru_cache(maxsize=_PEOPLE_REMEMBERED)
def _sealed(keys: TenantKeys, value: str) -> str:
    return seal(keys, value.encode())


def _merged(held: pa.Table, fresh: Iterable[LandedIdentifiers], keys: TenantKeys) -> list[dict[str, Any]]:
    """One row per reference and the ids it came with; of several spellings of a value the first in order is kept."""
    rows: dict[_Key, dict[str, Any]] = {
        (row["reference"], row["user_id"], row["anonymous_id"]): row for row in held.to_pylist()
    }
    values: dict[_Key, str] = {}
    for each in fresh:
        for reference, kind, value in _opened(keys, each.sealed):
            key = (reference, each.user_id, each.anonymous_id)
            if key not in rows:
                ids = {"user_id": each.user_id, "anonymous_id": each.anonymous_id}
                rows[key] = {"reference": reference, "kind": kind, **ids, "messages": 0}
                values[key] = value
            rows[key]["messages"] += each.lines
            if key in values:
                values[key] = min(values[key], value)
    for key, value in values.items():
        rows[key]["sealed"] = _sealed(keys, value)
    return sorted(rows.values(), key=_order)


def _order(row: Mapping[str, Any]) -> tuple[str, str, str]:
    return row["reference"], row["user_id"] or "", row["anonymous_id"] or ""
