"""The search afterwards: what still mentions an erased person, by a way that shares nothing with the erasure.

It knows no classes and no lists of columns: every row of every table as one text, every object of the lake and every
file of the home folder as bytes, decompressed, and with what is sealed in them opened. What cannot be read is a failure
of its own, never a count of nothing. What a legal hold keeps is left out, and so are the rows and objects of other
tenants, and their lines of the portal's record: they may know somebody else by the same id.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import csv
import io
import mmap
import re
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import zstandard
from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from analytics_platform.catalog import Catalog
from analytics_platform.errors import AnalyticsError
from analytics_platform.governance.erasure.copies import rows_in
from analytics_platform.governance.erasure.database import mentions_in
from analytics_platform.governance.erasure.person import Person
from analytics_platform.governance.erasure.place import Held
from analytics_platform.governance.erasure.portal_record import DATASET as PORTAL_RECORD
from analytics_platform.governance.erasure.portal_record import tenant_of
from analytics_platform.governance.erasure.requests import SUBJECTS
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.sealing import opened
from analytics_platform.lake.layout import (
    DEAD_PREFIX,
    EXTRACT_PREFIX,
    IDENTITIES_PREFIX,
    LANDING_PREFIX,
    governance_prefix,
)
from analytics_platform.lake.store import ObjectMissingError, ObjectStore
from analytics_platform.warehouse import Warehouse, row_text, table_columns

_ZSTD = b"\x28\xb5\x2f\xfd"
_PARQUET = b"PAR1"
_DUCKDB = b"DUCK"
_CSV = ".csv"
_BASE64 = re.compile(rb'"([A-Za-z0-9+/]{12,}={0,2})"')
_ELEMENT = re.compile(rb'<script type="application/octet-stream"[^>]*>([^<]*)</script>')
_DAY = re.compile(r"/day=([0-9-]{10})/")
_TENANT = re.compile(r"(?:/tenant=|^suppressions/)([^/]+)/")
_BROKEN = (csv.Error, KeyError, UnicodeDecodeError, pa.ArrowInvalid, zstandard.ZstdError, zlib.error)
_UNREADABLE = (AnalyticsError, OSError, *_BROKEN, sqlite3.Error, duckdb.Error, SQLAlchemyError)
_OWN_MISSING = "_unknown"
_NOBODYS = ("at", "action", "outcome")
"""Texts of a line of the portal's record that name nobody, whatever an id looks like: `22` is a minute too."""


Named = tuple[str, date | None]
"""A dataset and a day, None where a file is of no day."""


@dataclass(frozen=True, slots=True)
class Survivors:
    """What was found in one place; `units` is None where it could not be counted, and `problem` says why."""

    sink: str
    units: int | None
    searched: int
    problem: str | None = None


class Search:
    """The search over all of a deployment.

    Args:
        catalog: the tenants, and which datasets a hold can name.
        store: the lake.
        warehouse: the warehouse.
        keys: opens what is sealed.
        home: the home folder.
        lake: the folder of the lake within it, which is searched as objects.
        backups: the folder of backups, which are erased again when they are restored and not searched.
        named: the dataset and the day by which a hold can name a file of the home; None of a file that none can.
        records: by dataset, databases beside the warehouse.
    """

    def __init__(
        self,
        catalog: Catalog,
        store: ObjectStore,
        warehouse: Warehouse,
        keys: IdentityKeys,
        *,
        home: Path,
        lake: Path,
        backups: Path,
        named: Callable[[Path], Named | None],
        records: Mapping[str, URL],
    ) -> None:
        self._catalog, self._store, self._warehouse = catalog, store, warehouse
        self._keys, self._home, self._lake, self._backups = keys, home, lake, backups
        self._named, self._records = named, records

    def survivors(self, person: Person, held: Held) -> list[Survivors]:
        """Everything that was searched, with what was found in it."""
        # Opening the warehouse takes longer than an answer.
        with self._warehouse.reading():
            tables = self._in_tables(person, held)
            lake = self._counted("lake objects", self._objects(person, held))
            files = self._counted("files", self._files(person, held))
        databases = [
            self._counted(f"database of {dataset}", self._in_database(url, person))
            for dataset, url in self._records.items()
            if not held(dataset, None)
        ]
        return [tables, lake, files, *databases]

    def _in_database(self, url: URL, person: Person) -> Iterator[tuple[str, Callable[[], int]]]:
        known = self._known_here_alone(person)
        for table, count in mentions_in(url, known) if known.terms else ():
            yield table, lambda count=count: count  # type: ignore[misc]

    def _counted(self, sink: str, counts: Iterator[tuple[str, Callable[[], int]]]) -> Survivors:
        units, searched, problems = 0, 0, []
        try:
            for name, count in counts:
                searched += 1
                try:
                    units += count()
                except _UNREADABLE as error:
                    problems.append(f"{name}: {type(error).__name__}")
        except _UNREADABLE as error:
            problems.append(f"{type(error).__name__}: {error}")
        problem = f"cannot be searched: {'; '.join(problems)}" if problems else None
        return Survivors(sink, None if problems else units, searched, problem)

    def _in_tables(self, person: Person, held: Held) -> Survivors:
        """Every row of every table as one text; one query for all of them."""
        try:
            tables = table_columns(self._warehouse)
            counted = [_rows_with(name, columns, self._catalog) for name, columns in tables.items()]
            parameters = [value for _ in counted for value in (person.tenant, person.pattern)]
            found = self._warehouse.query(" union all ".join(counted), parameters).to_pylist() if counted else []
        except AnalyticsError as error:
            return Survivors("tables", None, 0, f"cannot be searched: {error}")
        return Survivors("tables", sum(e["units"] for e in found if not held(e["name"], e["day"])), len(tables))

    def _objects(self, person: Person, held: Held) -> Iterator[tuple[str, Callable[[], int]]]:
        for info in self._store.list(""):
            dataset, day = _dataset(info.key), _DAY.search(info.key)
            is_held = dataset is not None and held(dataset, date.fromisoformat(day[1]) if day else None)
            if not is_held and not self._is_others(info.key, person):
                yield info.key, lambda key=info.key: self._in_object(key, person)  # type: ignore[misc]

    def _is_others(self, key: str, person: Person) -> bool:
        found = _TENANT.search(key)
        tenant = found[1] if found else key.rpartition("/")[2].partition(".")[0].rpartition("@")[2]
        others = tenant in self._catalog.tenants or found is not None
        return others and tenant not in (person.tenant, _OWN_MISSING)

    def _in_object(self, key: str, person: Person) -> int:
        try:
            data = self._store.get(key)
        except ObjectMissingError:  # gone since it was listed
            return 0
        if key.startswith(EXTRACT_PREFIX) and key.endswith(_CSV):
            return sum(any(person.is_in(text) for text in texts) for texts in _texts_of_csv(data, person.tenant))
        if data.startswith(_PARQUET):
            return sum(self._in_row(key, texts, person) for texts in _texts(data, person.tenant))
        if data.startswith(_ZSTD):
            data = _decompressed(data)
        if key.startswith("dashboards/"):
            data = b"\n".join([data, *_unpacked(data)])
        of = _OWN_MISSING if f"tenant={_OWN_MISSING}/" in key else person.tenant
        if key.startswith(governance_prefix(SUBJECTS)):  # sealed on purpose, until this search finds nothing
            return int(person.is_in_bytes(data))
        lines = data.splitlines() if key.startswith((LANDING_PREFIX, DEAD_PREFIX)) else [data]
        return sum(self._in_line(line, of, person) for line in lines)

    def _in_row(self, key: str, texts: Sequence[str], person: Person) -> bool:
        if not key.startswith(IDENTITIES_PREFIX):
            return any(person.is_in(text) for text in texts)
        return any(self._in_line(f'"{text}"'.encode(), person.tenant, person) for text in texts)

    def _in_line(self, line: bytes, tenant: str, person: Person) -> bool:
        sealed = opened(self._keys.of(tenant), line)
        return any(person.is_in_bytes(each) or person.is_in_bytes(_decoded(each)) for each in sealed)

    def _files(self, person: Person, held: Held) -> Iterator[tuple[str, Callable[[], int]]]:
        known = self._known_here_alone(person)
        for path in sorted(self._home.rglob("*")) if known.terms else []:
            is_lake = path.is_relative_to(self._lake) and not path.is_relative_to(self._lake / ".uploads")
            is_apart = is_lake or path.is_relative_to(self._backups)
            if path.is_file() and not is_apart and not self._is_kept(path, held):
                yield path.name, lambda path=path: self._in_file(path, known)  # type: ignore[misc]

    def _known_here_alone(self, person: Person) -> Person:
        """The person without ids that another tenant uses too: in what holds all tenants such an id tells nothing."""
        others = self._also_others(person)
        return replace(person, ids=person.ids - others, values=person.values - others)

    def _is_kept(self, path: Path, held: Held) -> bool:
        """Whether a hold keeps a file; of the warehouse, anything: its file then says what may be said.

        One that is gone since it was listed keeps nothing, and holds nothing either.
        """
        if path.name.startswith("warehouse"):
            return any(held(name, None) for name in self._catalog.datasets if name.count(".") == 1)
        try:
            named = self._named(path)
        except FileNotFoundError:
            return False
        return named is not None and held(*named)

    def _also_others(self, person: Person) -> frozenset[str]:
        """What other tenants know somebody by as well: in files of all tenants it tells nothing."""
        others = [
            f"select {row_text(columns)} as said from {name} where tenant_id <> ?"
            for name, columns in self._raw_tables().items()
        ]
        if not others or not person.terms:
            return frozenset()
        terms = sorted(person.terms)
        patterns = [_known_by(person, term).pattern for term in terms]
        known = [f"max(case when regexp_matches(said, ?) then 1 else 0 end) as term_{n}" for n in range(len(patterns))]
        texts = f"({' union all '.join(others)}) as texts"
        sql = f"select {', '.join(known)} from {texts} where regexp_matches(said, ?)"
        parameters = [*patterns, *(person.tenant for _ in others), person.pattern]
        (found,) = self._warehouse.query(sql, parameters).to_pylist()
        return frozenset(term for term, is_known in zip(terms, found.values(), strict=True) if is_known)

    def _raw_tables(self) -> dict[str, set[str]]:
        found = table_columns(self._warehouse).items()
        return {name: columns for name, columns in found if name.startswith("raw.") and "tenant_id" in columns}

    def _in_file(self, path: Path, person: Person) -> int:
        if not path.exists() or not path.stat().st_size:
            return 0
        named = self._named(path)
        if named is not None and named[0] == PORTAL_RECORD:
            return sum(_in_line_of_portal(line, person) for line in path.read_bytes().splitlines())
        with path.open("rb") as file, closing(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)) as data:
            if data[8:12] == _DUCKDB and not path.name.startswith("warehouse"):
                return rows_in(path, person)
            if data[:4] == _ZSTD:
                return int(person.is_in_bytes(_decompressed(bytes(data))))
            return int(person.is_in_bytes(data))


def _rows_with(name: str, columns: set[str], catalog: Catalog) -> str:
    """Counts a table's rows of a tenant that match a pattern, by day."""
    dataset = catalog.datasets.get(name)
    day = dataset.clock_column if dataset and dataset.clock_column in columns else None
    selected = f"cast({day} as date)" if day else "cast(null as date)"
    own = "tenant_id = ? or tenant_id is null" if "tenant_id" in columns else "? is not null"
    return (
        f"select '{name}' as name, day, count(*) as units from "
        f"(select {selected} as day, {row_text(columns)} as said from {name} where {own}) as texts "
        "where regexp_matches(said, ?) group by 2"
    )


def _known_by(person: Person, term: str) -> Person:
    """The person as if there were one term alone."""
    alone = frozenset({term})
    return replace(person, ids=person.ids & alone, values=person.values & alone)


def _texts(data: bytes, tenant: str) -> Iterator[list[str]]:
    """The texts of each row of a Parquet object that is the tenant's or nobody's."""
    for row in pq.ParquetFile(io.BytesIO(data)).read().to_pylist():
        if row.get("tenant_id") in (None, tenant):
            yield [str(value) for value in row.values() if value is not None]


def _texts_of_csv(data: bytes, tenant: str) -> Iterator[list[str]]:
    """The texts of each row of an extract's CSV that is the tenant's or nobody's."""
    for row in csv.DictReader(io.StringIO(data.decode(), newline="")):
        if row["tenant_id"] in ("", tenant):
            yield [value for value in row.values() if value]


def _in_line_of_portal(line: bytes, person: Person) -> bool:
    """Whether a line of the portal's record is the tenant's or nobody's and names the person in what can name one."""
    if tenant_of(line) not in (None, person.tenant):
        return False
    try:
        said = [value for name, value in orjson.loads(line).items() if name not in _NOBODYS]
    except (orjson.JSONDecodeError, AttributeError):  # cut off by a full disk
        return person.is_in_bytes(line)
    return any(person.is_in(value) for value in said if isinstance(value, str))


def _decompressed(data: bytes) -> bytes:
    with zstandard.ZstdDecompressor().stream_reader(data) as reader:
        return bytes(reader.read())


def _unpacked(page: bytes) -> Iterator[bytes]:
    """The inert elements of a page, as its script reads them: base64, and gzip below that."""
    for element in _ELEMENT.finditer(page):
        with contextlib.suppress(binascii.Error):
            yield zlib.decompress(base64.b64decode(element[1], validate=True), wbits=31)


def _decoded(data: bytes) -> bytes:
    """Every text of a JSON that could be base64, decoded, and every quoted JSON in it unquoted."""
    unquoted = [data.replace(b'\\"', b'"')]
    for match in _BASE64.finditer(data):
        with contextlib.suppress(binascii.Error, ValueError):
            unquoted.append(base64.b64decode(match[1], validate=True))
    return b"\n".join(unquoted)


def _dataset(key: str) -> str | None:
    """The dataset of an object that a legal hold can name; None of all others."""
    first, *rest = key.split("/")
    named: dict[str, Callable[[], str]] = {
        "raw": lambda: f"raw.{rest[0]}",
        "landing": lambda: "landing",
        "dead": lambda: "dead_letters",
        "identities": lambda: "identities",
        "extracts": lambda: f"extracts.{rest[0]}.{rest[1]}",
        "dashboards": lambda: f"dashboard.{rest[0]}",
        "reports": lambda: f"report.{rest[0].removesuffix('.html')}",
        "reviews": lambda: "governance.data_quality_review",
    }
    return named[first]() if first in named and rest else None
