"""The identities table: for each tenant, which references stand for which identifier, and the ids they came with.

The values are sealed one by one, so that a person can be found by reference without opening anybody else. One Parquet
object per tenant, day and stream, `identities/tenant=<T>/day=<D>/<stream>.parquet`, written by the raw build from the
landing lines that it takes in. Each object names the landing objects that it holds, as raw's do: what was taken in
once is not counted again, whoever repeats a build, and nothing is lost from it but by retention or erasure.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from functools import cache

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from analytics_platform.errors import AnalyticsError
from analytics_platform.identities.keys import IdentityKeys, TenantKeys
from analytics_platform.identities.sealing import seal, unseal
from analytics_platform.lake.landed_identifiers import Landed, LandedIdentifiers
from analytics_platform.lake.layout import identities_key, identities_prefix
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
_REPEATED = ["day", "tenant_id", "stream", "kind", "messages"]
_PEOPLE_REMEMBERED = 10_000
_OF_A_ROW = ("reference", "kind", "sealed", "user_id", "anonymous_id", "messages")
_Row = tuple[str, str, str, str | None, str | None, int]
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
    buffer = pa.BufferOutputStream()
    with pq.ParquetWriter(
        buffer,
        IDENTITIES_SCHEMA,
        compression="zstd",
        use_dictionary=_REPEATED,
        write_statistics=False,
        store_schema=False,
    ) as writer:
        writer.write_table(identities.rows.cast(IDENTITIES_SCHEMA))
        writer.add_key_value_metadata({_STATEMENT: orjson.dumps(said)})
    store.put(key, buffer.getvalue().to_pybytes())


class IdentitiesTable:
    """Takes in what the raw build hands on.

    Args:
        store: the lake.
        keys: of all tenants.
    """

    def __init__(self, store: ObjectStore, keys: IdentityKeys) -> None:
        self._store, self._keys = store, keys
        self._removals = read_removals(store)
        self._people: _People | None = None

    def take(self, partition: tuple[str, date, str], landed: Landed) -> None:
        """Merge the identifiers of landing lines into the table; see `lake.landed_identifiers.TakeIdentifiers`.

        A day that retention has removed from the table stays removed.

        Raises:
            UnsealedError: they were sealed with keys that this deployment does not have.
        """
        stream, day, tenant = partition
        if self._removals.covers(DATASET, tenant, day):
            return
        key = identities_key(stream, day, tenant)
        held = read_object(self._store, key) if self._store.info(key) else _nothing()
        fresh = landed.but(held.landing_objects)
        if not fresh:
            return
        rows = _merged(held.rows, fresh, self._people_of(tenant))
        common = [[day] * len(rows), [tenant] * len(rows), [stream] * len(rows)]
        table = pa.table([*common, *zip(*rows, strict=True)], schema=IDENTITIES_SCHEMA)
        write_object(self._store, key, Identities(table, tuple(landed.names.union(held.landing_objects))))

    def _people_of(self, tenant: str) -> _People:
        """What was opened of a tenant; only of one, since the build hands on one after another."""
        keys = self._keys.of(tenant)
        if self._people is None or self._people.keys != keys or len(self._people.opened) > _PEOPLE_REMEMBERED:
            self._people = _People(keys)
        return self._people


@cache
def _nothing() -> Identities:
    """No identities. Not a constant: pyarrow imports pandas for its first array, which whoever loads this would pay."""
    return Identities(IDENTITIES_SCHEMA.empty_table(), ())


class _People:
    """The identifiers of a tenant's people, each opened and sealed once."""

    def __init__(self, keys: TenantKeys) -> None:
        self.keys = keys
        self.opened: dict[str, list[Identifier]] = {}
        self._sealed: dict[str, str] = {}

    def open(self, sealed: str) -> list[Identifier]:
        """What a landing line has sealed."""
        found = self.opened.get(sealed)
        if found is None:
            found = self.opened[sealed] = opened_identifiers(self.keys, sealed)
        return found

    def seal(self, value: str) -> str:
        """A value on its own."""
        found = self._sealed.get(value)
        if found is None:
            found = self._sealed[value] = seal(self.keys, value.encode())
        return found


def _merged(held: pa.Table, fresh: Iterable[LandedIdentifiers], people: _People) -> list[_Row]:
    """One row per reference and the ids it came with; of several spellings of a value the first in order is kept."""
    rows: dict[_Key, _Row] = {}
    for row in held.to_pylist():
        found: _Row = tuple(row[name] for name in _OF_A_ROW)
        rows[found[0], found[3], found[4]] = found
    values: dict[_Key, str] = {}
    for user, device, sealed, lines in fresh:
        for reference, kind, value in people.open(sealed):
            key = (reference, user, device)
            known = rows.get(key)
            if known is None:
                values[key] = value
                rows[key] = (reference, kind, "", user, device, lines)
                continue
            rows[key] = (*known[:5], known[5] + lines)
            if key in values and value < values[key]:
                values[key] = value
    for key, value in values.items():
        reference, kind, _, user, device, lines = rows[key]
        rows[key] = (reference, kind, people.seal(value), user, device, lines)
    return sorted(rows.values(), key=_order)


def _order(row: _Row) -> tuple[str, str, str]:
    return row[0], row[3] or "", row[4] or ""
