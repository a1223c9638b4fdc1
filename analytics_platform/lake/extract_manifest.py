"""What is published of a dashboard's extracts: the manifest, as a value and as JSON, and how to read by it.

A manifest names every object of every table with rows, bytes and hash, so a reader who follows it sees one whole
publication whatever is written meanwhile. How one is put into force is :mod:`analytics_platform.lake.extracts`; what
is in a table, and when its version has to rise, is decided in `reporting`.

    extracts/<dashboard>/manifest.json                     what readers follow
    extracts/<dashboard>/_manifests/<number>.json          the same as committed; the first writer of a number wins
    extracts/<dashboard>/<table>/day=D/<digest>.parquet    a day, never overwritten with other bytes
    extracts/<dashboard>/<table>/csv/<digest>.csv          the newest days as one CSV
    extracts/<dashboard>/<table>/<table>.csv               the same at an address that stays
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import orjson
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from analytics_platform.errors import AnalyticsError
from analytics_platform.lake import layout
from analytics_platform.lake.store import ObjectMissingError, ObjectStore

FORMAT = 1
"""Of the manifest's JSON."""

ARROW_TYPES: Mapping[str, pa.DataType] = {
    "date": pa.date32(),
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
"""How Parquet holds the types that the catalogue declares."""

_TYPE_NAMES = {str(kind): name for name, kind in ARROW_TYPES.items()}
_OPTIONS = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS


class ManifestError(AnalyticsError):
    """A manifest cannot be read, or names what is not there."""


@dataclass(frozen=True, slots=True)
class Column:
    """A published column: its type as the catalogue names it, and its class of personal data."""

    name: str
    type: str
    pii: str
    description: str


@dataclass(frozen=True, slots=True)
class Schema:
    """What a table's consumers rely on."""

    version: int
    day_column: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """An entry of a table's changelog.

    Attributes:
        version: the version that it made.
        on: the day on which that was published.
        kind: `first`, `additive` or `breaking`.
        changes: what is different, one sentence each.
        why: as its owner declared it; may be empty.
    """

    version: int
    on: date
    kind: str
    changes: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Part:
    """A day's object."""

    key: str
    rows: int
    bytes: int
    sha256: str
    schema_version: int


@dataclass(frozen=True, slots=True)
class Sheet:
    """The CSV of a table: the newest days from `first` to `last`, in one object that `address` holds too."""

    key: str
    address: str
    rows: int
    bytes: int
    sha256: str
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Table:
    """A published table.

    Attributes:
        schema: its columns now.
        changelog: the newest entry first.
        days: its objects by day.
        csv: the same for spreadsheets; None when it has no day.
        removed_in: number of the manifest in which rows were last removed for good; 0 for never.
    """

    schema: Schema
    changelog: tuple[Change, ...]
    days: Mapping[date, Part]
    csv: Sheet | None = None
    removed_in: int = 0

    @property
    def objects(self) -> list[Part | Sheet]:
        """Everything that it names."""
        return [*self.days.values(), *([self.csv] if self.csv else [])]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is in force for a dashboard's extracts.

    Attributes:
        dashboard: whose.
        number: counts publications; 0 of objects that lie as they did before there were manifests.
        published_at: when, in UTC.
        run: which run did it; None outside of one.
        policy_sha256: of the access policy then in force; None where that was not told.
        tables: by name.
        superseded: objects that nothing names any more, with when that happened: readers may still be at them.
    """

    dashboard: str
    number: int
    published_at: datetime
    run: str | None
    policy_sha256: str | None
    tables: Mapping[str, Table]
    superseded: Mapping[str, datetime] = field(default_factory=dict)

    @property
    def keys(self) -> frozenset[str]:
        """The key of every object that it names."""
        return frozenset(each.key for table in self.tables.values() for each in table.objects)


def as_json(manifest: Manifest) -> bytes:
    """The manifest's JSON: the same manifest gives the same bytes."""
    said = {each.name: getattr(manifest, each.name) for each in fields(manifest)}
    return orjson.dumps({"format": FORMAT, **said}, option=_OPTIONS)


def from_json(data: bytes, key: str) -> Manifest:
    """Read a manifest's JSON.

    Raises:
        ManifestError: naming the object and what is wrong with it.
    """
    try:
        said = orjson.loads(data)
        if said.pop("format") != FORMAT:
            raise ManifestError(f"{key} is of another format than {FORMAT}; read it with the version that wrote it")
        tables = {name: _table(table) for name, table in said.pop("tables").items()}
        superseded = {name: datetime.fromisoformat(at) for name, at in said.pop("superseded").items()}
        at = datetime.fromisoformat(said.pop("published_at"))
        return Manifest(**said, published_at=at, tables=tables, superseded=superseded)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ManifestError(f"{key} is no manifest ({error}); publish the dashboard's extracts again") from error


def read_manifest(store: ObjectStore, dashboard: str) -> Manifest | None:
    """The manifest that readers follow; None when nothing was published since there are manifests."""
    key = layout.extract_manifest_key(dashboard)
    try:
        return from_json(store.get(key), key)
    except ObjectMissingError:
        return None


def current_table(store: ObjectStore, dashboard: str, table: str) -> Table | None:
    """A table as readers find it, by the manifest or where objects lay before there was one; None when unpublished."""
    manifest = read_manifest(store, dashboard)
    return manifest.tables.get(table) if manifest else _old_table(store, dashboard, table)


def old_manifest(store: ObjectStore, dashboard: str) -> Manifest:
    """What lies there from before there were manifests, as if one named it: the first publication starts from it."""
    prefix = layout.extract_prefix(dashboard)
    old = [info.key for info in store.list(prefix) if layout.is_old_extract(info.key)]
    names = sorted({key.removeprefix(prefix).partition("/")[0] for key in old})
    found = {name: _old_table(store, dashboard, name) for name in names}
    tables = {name: table for name, table in found.items() if table is not None}
    return Manifest(dashboard, 0, datetime.fromtimestamp(0, UTC), None, None, tables)


def scan_rows(paths: list[Path], schema: Schema) -> pl.LazyFrame:
    """The rows of some days in the columns of a schema; a day that lacks one (it is older) has null there."""
    columns = pl.Schema(pa.schema([pa.field(each.name, ARROW_TYPES[each.type]) for each in schema.columns]))
    return pl.scan_parquet(
        paths, schema=columns, missing_columns="insert", extra_columns="ignore", hive_partitioning=False
    )


def part_of(key: str, body: bytes, rows: int, schema_version: int) -> Part:
    """What a manifest says of an object."""
    return Part(key, rows, len(body), hashlib.sha256(body).hexdigest(), schema_version)


def columns_of(schema: pa.Schema) -> tuple[Column, ...]:
    """The columns of a Parquet object, with what its fields say of class and meaning."""
    return tuple(_column(each) for each in schema)


def _column(each: pa.Field) -> Column:
    said = {name.decode(): value.decode() for name, value in (each.metadata or {}).items()}
    kind = _TYPE_NAMES.get(str(each.type), str(each.type))
    return Column(each.name, kind, said.get("pii", "none"), said.get("description", ""))


def _old_table(store: ObjectStore, dashboard: str, table: str) -> Table | None:
    infos = store.list(layout.extract_prefix(dashboard, table))
    keys = {
        day: info.key for info in infos if layout.is_old_extract(info.key) and (day := layout.extract_day(info.key))
    }
    if not keys:
        return None
    days, schema = {}, None
    for day in sorted(keys):
        days[day], schema = _old_part(store, keys[day])
    return Table(schema, (), days) if schema else None


def _old_part(store: ObjectStore, key: str) -> tuple[Part, Schema]:
    body = store.get(key)
    try:
        file = pq.ParquetFile(io.BytesIO(body))
    except pa.ArrowInvalid as error:
        raise ManifestError(f"{key} cannot be read ({error}); delete it and build its day again") from error
    columns = columns_of(file.schema_arrow)
    version = int((file.schema_arrow.metadata or {}).get(b"schema_version", b"1"))
    # Objects of then do not name it; it was declared first.
    day_column = next((column.name for column in columns if column.type == "date"), columns[0].name)
    return part_of(key, body, file.metadata.num_rows, version), Schema(version, day_column, columns)


def _table(said: Mapping[str, Any]) -> Table:
    schema = said["schema"]
    return Table(
        Schema(schema["version"], schema["day_column"], tuple(Column(**each) for each in schema["columns"])),
        tuple(_changes(said["changelog"])),
        {date.fromisoformat(day): Part(**part) for day, part in said["days"].items()},
        _sheet(said["csv"]) if said["csv"] else None,
        said["removed_in"],
    )


def _changes(said: Iterable[Mapping[str, Any]]) -> Iterable[Change]:
    for each in said:
        yield Change(**{**each, "on": date.fromisoformat(each["on"]), "changes": tuple(each["changes"])})


def _sheet(said: Mapping[str, Any]) -> Sheet:
    return Sheet(**{**said, **{name: date.fromisoformat(said[name]) for name in ("first", "last")}})
