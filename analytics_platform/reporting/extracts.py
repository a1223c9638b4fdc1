"""Extracts: what a dashboard or a BI tool reads, published as one Parquet object per day.

An extract has the columns, types, privacy policy and row budget that the catalogue declares, and nothing else: a source
that does not deliver them is an error here rather than a surprise in somebody's report. An object depends on its day's
rows and its declaration alone, so building it again, alone or within a year, gives the same bytes.
How a KPI is computed stays out; ``headlines`` holds the one extract that is put together from several tables.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analytics_platform.catalog import PII_CLASSES, Catalog, Dashboard, Extract, ExtractColumn, Kpi
from analytics_platform.errors import AnalyticsError
from analytics_platform.lake.store import ObjectStore
from analytics_platform.reporting.headlines import days_still_moving
from analytics_platform.warehouse import QueryError, Warehouse
from analytics_platform.warehouse.headlines import headlines_query

# A put waits for the disk or the network and hardly computes.
_PUTS_AT_ONCE = 8
_EPOCH = date(1970, 1, 1)
_TIMESTAMP = pa.timestamp("us", tz="UTC")
_ARROW_TYPES: dict[str, pa.DataType] = {
    "date": pa.date32(),
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": _TIMESTAMP,
}
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


def extract_key(dashboard: str, table: str, day: date) -> str:
    """Where an extract's day is in the lake."""
    return f"extracts/{dashboard}/{table}/day={day.isoformat()}/extract.parquet"


def extract_prefix(dashboard: str, table: str) -> str:
    """Where all days of an extract are."""
    return f"extracts/{dashboard}/{table}/"


def build_extract(
    warehouse: Warehouse,
    store: ObjectStore,
    catalog: Catalog,
    dashboard: str,
    extract: str,
    first: date,
    last: date,
) -> list[ExtractPartition]:
    """Publish the days ``first`` to ``last`` of one extract; days without rows keep the schema.

    Published days before ``first`` that the same facts may have moved are brought up to date too, and are in the answer
    when they changed. One query for all days; each object replaces its predecessor atomically, unless it is the same.

    Raises:
        ExtractMissingError: the catalogue has no such extract.
        ExtractPrivacyError: a column is more private than the extract's policy allows.
        ExtractSchemaError: the source lacks a column or has it with another type.
    """
    declared = find_extract(catalog, dashboard, extract)
    refuse_private_columns(dashboard, declared)
    moved = _moved_days(store, catalog, dashboard, declared, first)
    start = min(moved, default=first)
    rows = _conform(
        _source_rows(warehouse, catalog, dashboard, declared, start, last), declared, f"{dashboard}/{extract}"
    )

    def publish(day_rows: tuple[date, pa.Table]) -> ExtractPartition | None:
        day, rows_of_day = day_rows
        body = _parquet(rows_of_day, dashboard, declared, day)
        key = extract_key(dashboard, extract, day)
        is_new = _put_if_changed(store, key, body, is_there=day in moved)
        partition = ExtractPartition(day, key, rows_of_day.num_rows, len(body), declared.row_budget)
        return partition if is_new or day >= first else None

    wanted = (pair for pair in _by_day(rows, declared.day_column, start, last) if pair[0] >= first or pair[0] in moved)
    with ThreadPoolExecutor(_PUTS_AT_ONCE) as pool:
        return [partition for partition in pool.map(publish, wanted) if partition]


def _moved_days(store: ObjectStore, catalog: Catalog, dashboard: str, extract: Extract, first: date) -> frozenset[date]:
    """Published days before ``first`` whose rows may have changed with those of ``first`` and later."""
    tables = [extract.source] if extract.source else [kpi.headline_table for kpi in _kpis(catalog, dashboard)]
    reach = days_still_moving(catalog, tables)
    if reach == 0:
        return frozenset()
    oldest = first - timedelta(reach) if reach else date.min
    return frozenset(day for day in published_days(store, dashboard, extract.name) if oldest <= day < first)


def _put_if_changed(store: ObjectStore, key: str, body: bytes, *, is_there: bool) -> bool:
    """Put an object unless it is there with the same bytes, so that its age says when it last changed."""
    if is_there and store.get(key) == body:
        return False
    store.put(key, body)
    return True


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

    Columns are those of the newest day; older days have null where they lack one.

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
    wanted = None if only is None else frozenset(only)
    published = (day for day in published_days(store, dashboard, table) if first <= day <= last)
    days = [day for day in published if wanted is None or day in wanted]
    if not days:
        which = "" if wanted is None else f"of {len(wanted)} wanted "
        raise ExtractMissingError(f"no day {which}of {dashboard}/{table} is published from {first} to {last}")
    paths = [store.local_path(extract_key(dashboard, table, day)) for day in days]
    scan = pl.scan_parquet(
        paths,
        schema=pl.read_parquet_schema(paths[-1]),
        missing_columns="insert",
        extra_columns="ignore",
        hive_partitioning=False,
    )
    return scan.collect()


def published_days(store: ObjectStore, dashboard: str, table: str) -> list[date]:
    """The days of an extract that are in the lake, ascending."""
    infos = store.list(extract_prefix(dashboard, table))
    return sorted(date.fromisoformat(info.key.split("/day=")[1][:10]) for info in infos)


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
    _require_columns(warehouse, dashboard, extract, extract.source)
    names = ", ".join(column.name for column in extract.columns)
    sql = f"select {names} from {extract.source} where {extract.day_column} between ? and ?"
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
            _ARROW_TYPES[column.type],
            metadata={"description": column.description, "pii": column.pii},
        )
        for column in extract.columns
    )


def _typed(values: pa.Array, column: ExtractColumn, where: str) -> pa.Array:
    target = _ARROW_TYPES[column.type]
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


def _parquet(rows: pa.Table, dashboard: str, extract: Extract, day: date) -> bytes:
    metadata = {
        "extract": f"{dashboard}/{extract.name}",
        "schema_version": str(extract.schema_version),
        "source": extract.source or "headlines of the dashboard's KPIs",
        "built_first": day.isoformat(),
        "built_last": day.isoformat(),
        "pii_policy": extract.pii_policy,
    }
    buffer = io.BytesIO()
    pq.write_table(rows.replace_schema_metadata(metadata), buffer, compression="zstd")
    return buffer.getvalue()


def over_budget(partitions: Sequence[ExtractPartition]) -> list[ExtractPartition]:
    """The days that have more rows than the owner allows."""
    return [partition for partition in partitions if not partition.within_budget]
