"""BigQuery as the warehouse: a dataset for each schema, a partition for each day.

One day is loaded into its partition by a load job that truncates it: free, and atomic. Several days are loaded into a
table of their own first, also free, and replaced by one MERGE, because a reader must not see some of them new and some
old; a load for each day would show that, and 365 of them take a quarter of what a table may be changed a day. The MERGE
costs the bytes of the days that it replaces and of those that it brings. Both ways empty the days that have no rows.

Belongs here: the port's words as loads and statements. Stays out: how jobs are run (`bigquery_jobs`), their SQL
(`bigquery_sql`), models (dbt's), and who may see what (`governance.access`).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from google.cloud import bigquery

from analytics_platform.warehouse.bigquery_jobs import BigQueryJobs
from analytics_platform.warehouse.bigquery_place import BigQueryPlace
from analytics_platform.warehouse.bigquery_sql import DIALECT, STAGED_PREFIX, bigquery_query, bigquery_statement
from analytics_platform.warehouse.work import Work, no_work

_DAY, _TENANT = "day", "tenant_id"
_STAGED_FOR = timedelta(hours=6)
"""As long as a job may take: what a process leaves behind that died goes by itself."""


class BigQueryWarehouse:
    """BigQuery behind the warehouse port; nothing connects before the first question or load.

    Args:
        place: project, region and limits.
        work: says what is at work, for the labels of jobs and their priority.
    """

    def __init__(self, place: BigQueryPlace, work: Callable[[], Work] = no_work) -> None:
        self._place = place
        self._jobs = BigQueryJobs(place, work)

    @property
    def dialect(self) -> str:
        """Sqlglot's name of it."""
        return DIALECT

    @property
    def address(self) -> str:
        """Project and region, and the prefix of a branch environment."""
        prefix = f", datasets {self._place.prefix}*" if self._place.prefix else ""
        return f"BigQuery {self._place.project} ({self._place.region}{prefix})"

    def replace_days(self, table: str, rows: pa.Table | pa.RecordBatchReader, first: date, last: date) -> int:
        """Replace the rows of ``first`` to ``last`` at once; the table is made when it is missing."""
        target, fields = self._jobs.table(table), _fields(rows.schema)
        self._jobs.create(_by_day(target, fields))
        with _as_file(rows) as file:
            if first == last:
                partition = bigquery.TableReference.from_string(f"{target}${first:%Y%m%d}")
                return self._jobs.load(file, partition, fields)
            with self._staged(target, fields) as (staged, name):
                count = self._jobs.load(file, staged, fields)
                columns = ", ".join(f"`{field.name}`" for field in fields)
                self._jobs.execute(
                    f"merge into `{target.dataset_id}`.`{target.table_id}` as built using {name} as fresh on false "
                    f"when not matched by source and built.day between ? and ? then delete "
                    f"when not matched by target then insert ({columns}) values ({columns})",
                    [first, last],
                )
                return count

    def replace_table(self, table: str, rows: pa.Table) -> int:
        """Replace a whole table by one load; its row policies stay, unless its columns are others now."""
        target, fields = self._jobs.table(table), _fields(rows.schema)
        standing = self._jobs.create(_clustered(bigquery.Table(target, schema=fields)))
        with _as_file(rows) as file:
            return self._jobs.load(file, target, fields, keeps_table=_columns(standing.schema) == _columns(fields))

    def drop_table(self, table: str) -> None:
        """Remove a table whole; one that is not there is no error."""
        self._jobs.drop(self._jobs.table(table))

    def remove_rows(self, table: str, condition: str, parameters: Sequence[object]) -> int:
        """Delete in one statement; BigQuery keeps the rows for its time travel and seven days more."""
        return self._execute(f"delete from {table} where {condition}", parameters)

    def replace_values(
        self, table: str, column: str, values: Mapping[str, str], condition: str, parameters: Sequence[object]
    ) -> None:
        """Update in one statement, from a table that holds each text and its new one while it runs."""
        if not values:
            return
        pairs = pa.table({"old_text": list(values), "new_text": list(values.values())})
        target, fields = self._jobs.table(table), _fields(pairs.schema)
        with self._staged(target, fields) as (staged, name), _as_file(pairs) as file:
            self._jobs.load(file, staged, fields)
            self._execute(
                f"update {table} as built set {column} = incoming.new_text from {name.replace('`', '')} as incoming "
                f"where cast(built.{column} as varchar) = incoming.old_text and ({condition})",
                parameters,
            )

    def purge(self) -> None:
        """Nothing is in our hands: time travel and what follows it end by themselves (`deleted_rows_kept_days`)."""

    def query(self, sql: str, parameters: Sequence[object] = ()) -> pa.Table:
        """Answer a read-only query; what is no query is refused before it is sent."""
        return self._jobs.answer(bigquery_query(sql, self._place.prefix, self._place.region), parameters)

    def native(self, sql: str) -> pa.Table:
        """Run one statement as it is, and answer with its rows."""
        return self._jobs.answer(sql, asset="native")

    def request(self, method: str, path: str, body: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """Send one request of BigQuery's API."""
        return self._jobs.request(method, path, body)

    def reading(self) -> nullcontext[None]:
        """Nothing to open: questions are requests."""
        return nullcontext()

    def exclusive(self) -> nullcontext[None]:
        """Nothing to hold: BigQuery orders what is written to a table, and Dagster's pool orders our runs."""
        return nullcontext()

    def _execute(self, sql: str, parameters: Sequence[object]) -> int:
        return self._jobs.execute(bigquery_statement(sql, self._place.prefix, self._place.region), parameters)

    @contextmanager
    def _staged(
        self, target: bigquery.TableReference, fields: Sequence[bigquery.SchemaField]
    ) -> Iterator[tuple[bigquery.TableReference, str]]:
        """A table of its own for rows on their way into another, and its name in SQL; gone afterwards."""
        staged = target.dataset_id, f"{STAGED_PREFIX}{target.table_id}_{uuid.uuid4().hex}"
        reference = bigquery.TableReference(bigquery.DatasetReference(self._place.project, staged[0]), staged[1])
        table = bigquery.Table(reference, schema=fields)
        table.expires = datetime.now(UTC) + _STAGED_FOR
        self._jobs.create(table)
        try:
            yield reference, ".".join(f"`{part}`" for part in staged)
        finally:
            self._jobs.drop(reference)


def _by_day(target: bigquery.TableReference, fields: Sequence[bigquery.SchemaField]) -> bigquery.Table:
    """A table with a partition for each day, none of which is read by who does not say which."""
    table = bigquery.Table(target, schema=fields)
    table.time_partitioning = bigquery.TimePartitioning(type_=bigquery.TimePartitioningType.DAY, field=_DAY)
    table.require_partition_filter = True
    return _clustered(table)


def _clustered(table: bigquery.Table) -> bigquery.Table:
    """Tenant by tenant, since most questions are about one."""
    if any(field.name == _TENANT for field in table.schema):
        table.clustering_fields = [_TENANT]
    return table


@contextmanager
def _as_file(rows: pa.Table | pa.RecordBatchReader) -> Iterator[Path]:
    """The rows as a Parquet file, batch by batch."""
    reader = rows.to_reader() if isinstance(rows, pa.Table) else rows
    with TemporaryDirectory(prefix="analytics-load-") as folder:
        path = Path(folder, "rows.parquet")
        with pq.ParquetWriter(path, reader.schema, compression="zstd") as writer:
            for batch in reader:
                writer.write_batch(batch)
        yield path


def _fields(schema: pa.Schema) -> list[bigquery.SchemaField]:
    return [bigquery.SchemaField(field.name, _type(field.type)) for field in schema]


def _columns(fields: Iterable[bigquery.SchemaField]) -> dict[str, str]:
    """Names and types alone, whatever an answer says beside them; the older names of a type count as the type."""
    return {field.name: _FIRST_NAMES.get(field.field_type, field.field_type) for field in fields}


def _type(kind: pa.DataType) -> str:
    """BigQuery's type for a column that DuckDB would have as it comes."""
    if pa.types.is_dictionary(kind):
        return _type(kind.value_type)
    if pa.types.is_timestamp(kind):
        return "TIMESTAMP" if kind.tz else "DATETIME"
    for is_kind, name in _KINDS:
        if is_kind(kind):
            return name
    return "STRING"


_FIRST_NAMES = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL"}
"""BigQuery's API answers with the names that these types had first."""

_KINDS = (
    (pa.types.is_boolean, "BOOL"),
    (pa.types.is_integer, "INT64"),
    (pa.types.is_floating, "FLOAT64"),
    (pa.types.is_decimal, "NUMERIC"),
    (pa.types.is_date, "DATE"),
    (pa.types.is_time, "TIME"),
    (pa.types.is_binary, "BYTES"),
)
