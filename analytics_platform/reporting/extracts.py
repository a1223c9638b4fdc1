"""Extracts: what a dashboard or a BI tool reads, published as one Parquet object per day and one CSV per table.

An extract has the columns, types, privacy policy and row budget that the catalogue declares, and nothing else: a source
that does not deliver them is an error here rather than a surprise in somebody's report. An object depends on its day's
rows and its declaration alone, so building it again, alone or within a year, gives the same bytes. All tables that are
built together come into force together (:mod:`analytics_platform.lake.extracts`), and a table has one version: a new
one is published for all its days at once.
How a KPI is computed stays out; ``headlines`` holds the one extract that is put together from several tables.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from analytics_platform.catalog import PII_CLASSES, Catalog, Dashboard, Extract, ExtractColumn, Kpi
from analytics_platform.errors import AnalyticsError
from analytics_platform.lake.extract_manifest import (
    ARROW_TYPES,
    Change,
    Manifest,
    Part,
    Table,
    current_table,
    scan_rows,
)
from analytics_platform.lake.extracts import (
    PublicationInterruptedError,
    Stamp,
    newest_manifest,
    parquet_bytes,
    publish,
    put_part,
)
from analytics_platform.lake.store import ObjectMissingError, ObjectStore
from analytics_platform.reporting.extract_versions import BREAKING, FIRST, declared_schema, next_change
from analytics_platform.reporting.headlines import days_still_moving
from analytics_platform.warehouse import QueryError, Warehouse
from analytics_platform.warehouse.headlines import headlines_query

# A put waits for the disk or the network and hardly computes.
_PUTS_AT_ONCE = 8
# Retention and erasure leave readers no time, but they do not go by more often than that while somebody reads.
_READS = 2
_EPOCH = date(1970, 1, 1)
_ACCEPTED: dict[str, Callable[[pa.DataType], bool]] = {
    "date": pa.types.is_date32,
    "string": lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind),
    # DuckDB sums bigints as hugeint, which arrives as a decimal without a fraction.
    "integer": lambda kind: pa.types.is_integer(kind) or (pa.types.is_decimal(kind) and kind.scale == 0),
    "number": lambda kind: pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_decimal(kind),
    "boolean": pa.types.is_boolean,
    "timestamp": pa.types.is_timestamp,
}


class ExtractSchemaError(AnalyticsError):
    """The source does not deliver what the catalogue declares; the text names the column and the mend."""


class ExtractPrivacyError(AnalyticsError):
    """The declaration would publish a column that the extract's own policy forbids."""


class ExtractMissingError(AnalyticsError):
    """A dashboard or extract is not in the catalogue, or none of its days is published."""


@dataclass(frozen=True)
class ExtractPartition:
    """One published day: where it is, and the facts that its checks judge."""

    day: date
    key: str
    rows: int
    bytes: int
    row_budget: int

    @property
    def within_budget(self) -> bool:
        """Whether the day has no more rows than its owner allows."""
        return self.rows <= self.row_budget


@dataclass(frozen=True)
class _Built:
    """What one table brings to a publication.

    Attributes:
        extract: the declaration.
        change: the entry of the changelog that it makes.
        on: the day of publication.
        parts: what was built, by day.
        told: what its caller is told of, without days before the first asked for that stayed the same.
        withdrawn: days of an older version that cannot be built anew and would not be what the schema says.
    """

    extract: Extract
    change: Change | None
    on: date
    parts: Mapping[date, Part]
    told: Sequence[ExtractPartition]
    withdrawn: frozenset[date]


def build_extracts(
    warehouse: Warehouse,
    store: ObjectStore,
    catalog: Catalog,
    dashboard: str,
    extracts: Sequence[str],
    first: date,
    last: date,
    *,
    stamp: Stamp | None = None,
) -> dict[str, list[ExtractPartition]]:
    """Publish the days ``first`` to ``last`` of some extracts of a dashboard together.

    Days without rows keep the schema. Published days before ``first`` that the same facts may have moved are brought
    up to date too, and are in the answer when they changed; under a new schema version so are all published days.
    Extracts that the catalogue no longer declares are withdrawn. There is one query per extract for all days.

    Raises:
        ExtractMissingError: the catalogue has no such extract.
        ExtractPrivacyError: a column is more private than the extract's policy allows.
        ExtractSchemaError: the source lacks a column or has it with another type.
        UndeclaredChangeError: the schema is not the published one, and the declaration does not say so.
        PublicationInterruptedError: rows were removed while these were built.
    """
    stamp = stamp or Stamp(datetime.now(UTC))
    building = _Building(warehouse, store, catalog, dashboard, newest_manifest(store, dashboard), (first, last), stamp)
    declared = [find_extract(catalog, dashboard, name) for name in extracts]
    changes = [building.change(extract) for extract in declared]
    with warehouse.reading():
        built = [building.build(extract, change) for extract, change in zip(declared, changes, strict=True)]
    keep = {extract.name for extract in find_dashboard(catalog, dashboard).extracts}
    swept = {each.extract.name: list(each.parts) for each in built}
    publish(store, dashboard, partial(_merged, built, building.base.number, keep), stamp, swept=swept)
    return {each.extract.name: list(each.told) for each in built}


@dataclass(frozen=True)
class _Building:
    """The extracts of a dashboard while they are built: what they are made of, and what was published before."""

    warehouse: Warehouse
    store: ObjectStore
    catalog: Catalog
    dashboard: str
    base: Manifest
    span: tuple[date, date]
    stamp: Stamp

    def change(self, extract: Extract) -> Change | None:
        """The entry of the changelog that an extract makes, before anything is built."""
        refuse_private_columns(self.dashboard, extract)
        published = self.base.tables.get(extract.name)
        where, on = f"{self.dashboard}/{extract.name}", self.stamp.at.date()
        return next_change(published.schema if published else None, extract, where, on)

    def build(self, extract: Extract, change: Change | None) -> _Built:
        """Put the objects of one extract's days."""
        first, last = self.span
        published = self.base.tables[extract.name].days if extract.name in self.base.tables else {}
        wanted = self._wanted(extract, published, is_new_version=change is not None and change.kind != FIRST)
        with ThreadPoolExecutor(_PUTS_AT_ONCE) as pool:
            put = pool.map(lambda pair: self._put(extract, pair[0], pair[1], published.get(pair[0])), wanted)
            parts = dict(zip((day for day, _ in wanted), put, strict=True))
        told = [
            ExtractPartition(day, part.key, part.rows, part.bytes, extract.row_budget)
            for day, part in parts.items()
            if first <= day <= last or part != published.get(day)
        ]
        is_breaking = change is not None and change.kind == BREAKING
        withdrawn = frozenset(published) - parts.keys() if is_breaking else frozenset[date]()
        return _Built(extract, change, self.stamp.at.date(), parts, told, withdrawn)

    def _wanted(
        self, extract: Extract, published: Collection[date], *, is_new_version: bool
    ) -> list[tuple[date, pa.Table]]:
        """The days that are asked for, and the published ones that may have changed with them, with their rows."""
        first, last = self.span
        also = frozenset(published) if is_new_version else self._moved(extract, published)
        start, end = min([*also, first]), max([*also, last])
        rows = _source_rows(self.warehouse, self.catalog, self.dashboard, extract, start, end)
        conformed = _conform(rows, extract, f"{self.dashboard}/{extract.name}")
        return [
            (day, rows_of_day)
            for day, rows_of_day in _by_day(conformed, extract.day_column, start, end)
            # That the source has nothing of a day any more is no reason to empty one that nobody asked for.
            if first <= day <= last or (day in also and (rows_of_day.num_rows or not is_new_version))
        ]

    def _moved(self, extract: Extract, published: Collection[date]) -> frozenset[date]:
        """Published days before the first whose rows may have changed with those of the first and later."""
        kpis = _kpis(self.catalog, self.dashboard)
        tables = [extract.source] if extract.source else [kpi.headline_table for kpi in kpis]
        reach, first = days_still_moving(self.catalog, tables), self.span[0]
        if reach == 0:
            return frozenset()
        oldest = first - timedelta(reach) if reach else date.min
        return frozenset(day for day in published if oldest <= day < first)

    def _put(self, extract: Extract, day: date, rows: pa.Table, there: Part | None) -> Part:
        """Put a day's object, unless nobody asked for the day and it is the published one."""
        body = parquet_bytes(rows.replace_schema_metadata(_metadata(self.dashboard, extract, day)))
        is_asked = self.span[0] <= day <= self.span[1]
        if there is not None and not is_asked and there.sha256 == hashlib.sha256(body).hexdigest():
            return there
        return put_part(self.store, self.dashboard, extract.name, day, body, extract.schema_version)


def _merged(built: Sequence[_Built], seen: int, keep: Collection[str], base: Manifest) -> dict[str, Table]:
    """The tables of a publication: what was built, on what others published since the manifest that was seen."""
    tables = {name: table for name, table in base.tables.items() if name in keep}
    for each in built:
        name = each.extract.name
        published = tables.get(name)
        if published is not None and published.removed_in > seen:
            raise PublicationInterruptedError(
                f"rows of {base.dashboard}/{name} were removed while it was built; build its days again"
            )
        if published is not None and published.schema.version > each.extract.schema_version:
            raise PublicationInterruptedError(
                f"{base.dashboard}/{name} was published with schema version {published.schema.version} while it was "
                f"built with {each.extract.schema_version}; build its days again with the newer declaration"
            )
        tables[name] = _table(published, each)
    return tables


def _table(published: Table | None, built: _Built) -> Table:
    schema = declared_schema(built.extract)
    if published is None:
        return Table(schema, (built.change,) if built.change else (), built.parts)
    changelog = published.changelog
    if not changelog:
        as_found = "as it was published before there were manifests"
        changelog = (Change(published.schema.version, built.on, FIRST, (as_found,), ""),)
    if built.change is not None and built.change.version != changelog[0].version:
        changelog = (built.change, *changelog)
    days = {day: part for day, part in published.days.items() if day not in built.withdrawn}
    return replace(published, schema=schema, changelog=changelog, days=dict(sorted({**days, **built.parts}.items())))


def _kpis(catalog: Catalog, dashboard: str) -> list[Kpi]:
    return [catalog.kpis[name] for name in find_dashboard(catalog, dashboard).kpis]


def read_extract(
    store: ObjectStore,
    dashboard: str,
    table: str,
    first: date,
    last: date,
    *,
    only: Collection[date] | None = None,
) -> pl.DataFrame:
    """The published rows of the days that exist between ``first`` and ``last``.

    Columns are those of the published schema; days of an older version have null where they lack one.

    Args:
        store: the lake.
        dashboard: whose extract it is.
        table: the extract.
        first: first day.
        last: last day.
        only: the days of the span that are wanted (the ends of months, say); the others are not opened.

    Raises:
        ExtractMissingError: not a single wanted day of the extract is published in that span.
    """
    for _ in range(_READS):
        try:
            return scan_extract(store, dashboard, table, first, last, only=only).collect()
        except (ObjectMissingError, FileNotFoundError):  # retention or erasure went by, so there is another manifest
            continue
    return scan_extract(store, dashboard, table, first, last, only=only).collect()


def scan_extract(
    store: ObjectStore,
    dashboard: str,
    table: str,
    first: date,
    last: date,
    *,
    only: Collection[date] | None = None,
) -> pl.LazyFrame:
    """The same without reading more than is asked of it."""
    published = current_table(store, dashboard, table)
    wanted = None if only is None else frozenset(only)
    days = [
        day
        for day in sorted(published.days if published else ())
        if first <= day <= last and (wanted is None or day in wanted)
    ]
    if published is None or not days:
        which = "" if wanted is None else f"of {len(wanted)} wanted "
        raise ExtractMissingError(f"no day {which}of {dashboard}/{table} is published from {first} to {last}")
    return scan_rows([store.local_path(published.days[day].key) for day in days], published.schema)


def extract_paths(store: ObjectStore, dashboard: str, table: str, first: date, last: date) -> dict[date, Path]:
    """Files on this machine with the published days between ``first`` and ``last``, by day and ascending."""
    published = current_table(store, dashboard, table)
    days = published.days if published else {}
    return {day: store.local_path(days[day].key) for day in sorted(days) if first <= day <= last}


def published_days(store: ObjectStore, dashboard: str, table: str) -> list[date]:
    """The days of an extract that are published, ascending."""
    published = current_table(store, dashboard, table)
    return sorted(published.days) if published else []


def find_dashboard(catalog: Catalog, name: str) -> Dashboard:
    """The declaration of a dashboard.

    Raises:
        ExtractMissingError: the catalogue has none of that name.
    """
    try:
        return catalog.dashboards[name]
    except KeyError:
        raise ExtractMissingError(
            f"no dashboard {name!r} in the catalogue; there are {', '.join(catalog.dashboards)}"
        ) from None


def find_extract(catalog: Catalog, dashboard: str, name: str) -> Extract:
    """The declaration of an extract.

    Raises:
        ExtractMissingError: the dashboard is unknown or has no extract of that name.
    """
    extracts = find_dashboard(catalog, dashboard).extracts
    for extract in extracts:
        if extract.name == name:
            return extract
    known = ", ".join(extract.name for extract in extracts)
    raise ExtractMissingError(f"dashboard {dashboard} has no extract {name!r}; it has {known}")


def refuse_private_columns(dashboard: str, extract: Extract) -> None:
    """Refuse an extract that declares a column of a higher privacy class than its own policy.

    Raises:
        ExtractPrivacyError: naming every such column.
    """
    allowed = PII_CLASSES.index(extract.pii_policy)
    private = [column for column in extract.columns if PII_CLASSES.index(column.pii) > allowed]
    if private:
        names = ", ".join(f"{column.name} ({column.pii})" for column in private)
        raise ExtractPrivacyError(
            f"extract {dashboard}/{extract.name} allows at most {extract.pii_policy} data but declares {names}; "
            "drop the column, or raise pii_policy in dashboards.yaml with the owner's consent"
        )


def _source_rows(
    warehouse: Warehouse, catalog: Catalog, dashboard: str, extract: Extract, first: date, last: date
) -> pa.Table:
    if extract.source is None:
        sql, spans = headlines_query(_kpis(catalog, dashboard))
        return warehouse.query(sql, [first, last] * spans)
    names = ", ".join(column.name for column in extract.columns)
    sql = f"select {names} from {extract.source} where {extract.day_column} between ? and ?"
    with warehouse.reading():
        _require_columns(warehouse, dashboard, extract, extract.source)
        return warehouse.query(sql, [first, last])


def _require_columns(warehouse: Warehouse, dashboard: str, extract: Extract, source: str) -> None:
    """Fail by name before the query fails by position."""
    where = f"extract {dashboard}/{extract.name}"
    try:
        present = set(warehouse.query(f"select * from {source} limit 0").column_names)
    except QueryError as error:
        raise ExtractSchemaError(f"{where}: cannot read {source} ({error}); build its model first") from error
    missing = [column.name for column in extract.columns if column.name not in present]
    if missing:
        raise ExtractSchemaError(
            f"{where}: {source} has no column {', '.join(missing)}; add it to the model, "
            "or take it out of dashboards.yaml and raise schema_version"
        )


def _conform(rows: pa.Table, extract: Extract, where: str) -> pa.Table:
    """The declared columns in the declared order and types, sorted so that equal rows give equal bytes."""
    arrays = [_typed(rows[column.name].combine_chunks(), column, where) for column in extract.columns]
    table = pa.table(arrays, schema=arrow_schema(extract))
    others = [column.name for column in extract.columns if column.name != extract.day_column]
    return table.sort_by([(name, "ascending") for name in (extract.day_column, *others)])


def arrow_schema(extract: Extract) -> pa.Schema:
    """The extract's columns as published, with descriptions and privacy classes as field metadata."""
    return pa.schema(
        pa.field(
            column.name,
            ARROW_TYPES[column.type],
            metadata={"description": column.description, "pii": column.pii},
        )
        for column in extract.columns
    )


def _typed(values: pa.Array, column: ExtractColumn, where: str) -> pa.Array:
    target = ARROW_TYPES[column.type]
    if not _ACCEPTED[column.type](values.type):
        raise ExtractSchemaError(
            f"extract {where}: column {column.name} is declared {column.type} but the source has {values.type}; "
            "cast it in the model, or declare its type in dashboards.yaml and raise schema_version"
        )
    if pa.types.is_timestamp(values.type) and values.type.tz is None:
        # Warehouse timestamps without a zone are UTC by convention.
        values = pc.assume_timezone(values, "UTC")
    try:
        return values.cast(target)
    except pa.ArrowInvalid as error:
        raise ExtractSchemaError(
            f"extract {where}: column {column.name} holds a value that no {column.type} can: {error}"
        ) from error


def _by_day(rows: pa.Table, day_column: str, first: date, last: date) -> Iterator[tuple[date, pa.Table]]:
    """Each day with its rows, in one pass over rows that are sorted by day."""
    days = [first + timedelta(n) for n in range((last - first).days + 1)]
    stored = rows[day_column].combine_chunks().cast(pa.int32()).to_numpy()
    bounds = np.searchsorted(stored, [(day - _EPOCH).days for day in (*days, last + timedelta(1))])
    for day, start, end in zip(days, bounds[:-1], bounds[1:], strict=True):
        yield day, rows.slice(int(start), int(end - start))


def _metadata(dashboard: str, extract: Extract, day: date) -> dict[str, str]:
    return {
        "extract": f"{dashboard}/{extract.name}",
        "schema_version": str(extract.schema_version),
        "source": extract.source or "headlines of the dashboard's KPIs",
        "built_first": day.isoformat(),
        "built_last": day.isoformat(),
        "pii_policy": extract.pii_policy,
    }
