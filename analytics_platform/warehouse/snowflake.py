"""Snowflake behind the warehouse port.

Days are replaced by staging: rows become one zstd Parquet file, PUT uploads it to a stage of the session, COPY INTO
fills a temporary table, and one transaction deletes the old days and inserts the new. CREATE commits whatever is open,
so every one of them comes before the transaction begins.

All tables are transient: they have no Fail-safe, whose seven days nobody can shorten, and time travel of as many days
as the setting `deleted_rows_kept_days` says, at most one. The lake is what tables are made again from.

Belongs here: statements that Snowflake alone needs, its connection and its errors. Stays out: dialects (`translation`),
types (`snowflake_types`), and grants and policies, which are governance's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from analytics_platform.errors import AnalyticsError
from analytics_platform.warehouse.port import (
    SCHEMAS,
    QueryError,
    WarehouseBusyError,
    WarehouseMissingError,
    WarehouseUnreachableError,
)
from analytics_platform.warehouse.snowflake_types import as_duckdb_answers, column_name, column_type, listed_type
from analytics_platform.warehouse.translation import translated
from analytics_platform.warehouse.work import APPLICATION, Work, Workload, no_work

if TYPE_CHECKING:
    from snowflake.connector import SnowflakeConnection
    from snowflake.connector.cursor import SnowflakeCursor

DIALECT = "snowflake"
_INCOMING = "incoming"
_STAGE = "incoming_files"
_CLUSTERED = ("day", "tenant_id")
_MOST_RETENTION_DAYS = 1
"""Of a transient table."""

_LOGIN_SECONDS = 60
_IDLE_SECONDS = 30 * 60
"""Snowflake forgets a session after four hours without a statement."""

_NO_DATABASE = frozenset({90105})
_BUSY = frozenset({625, 630})
"""A table locked by another transaction for LOCK_TIMEOUT; a statement that waited or ran out of its time."""

_NO_WAREHOUSE = frozenset({606})


class LostRowsError(AnalyticsError):
    """Fewer or more rows arrived than were sent; the table is as it was."""


class KeptRowsError(AnalyticsError):
    """Deleted rows are kept for longer than they may be; the text names the tables."""


@dataclass(frozen=True)
class SnowflakeAccount:
    """How Snowflake is reached, and as whom.

    Attributes:
        account: its identifier, such as myorg-account1.
        user: a user of type SERVICE.
        private_key_file: PEM file with that user's private key.
        passphrase: of that file, where it is encrypted.
        role: owns the schemas and all that lies in them.
        database: holds the schemas.
        warehouses: of each workload.
        host: where not `account`.snowflakecomputing.com, such as a private link's.
        port: of that host.
        protocol: https, and http for a stand-in alone.
    """

    account: str
    user: str
    private_key_file: Path
    passphrase: str | None = field(repr=False)
    role: str
    database: str
    warehouses: Mapping[Workload, str]
    host: str | None = None
    port: int | None = None
    protocol: str = "https"


class _Session(threading.local):
    """A thread's connection, kept from one statement to the next: a login takes half a second of CPU and a second."""

    connection: SnowflakeConnection | None = None
    work: Work | None = None
    used_at = 0.0

    def hang_up(self) -> None:
        """End the session, and all that is temporary with it."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class SnowflakeWarehouse:
    """A database of Snowflake behind the warehouse port; nothing connects before the first statement.

    Args:
        account: how it is reached.
        schema_prefix: what the names of a branch environment's schemas begin with.
        kept_days: how long deleted rows may be kept: 0, or 1 and more, which is time travel of one day.
        lock_timeout: seconds that a statement waits for another's transaction, or for a place in its warehouse.
        work: says what is at work, for the tags of queries and the choice of a warehouse.
    """

    def __init__(
        self,
        account: SnowflakeAccount,
        *,
        schema_prefix: str = "",
        kept_days: int = 0,
        lock_timeout: float = 600.0,
        work: Callable[[], Work] = no_work,
    ) -> None:
        self._account = account
        self._prefix = schema_prefix
        self._retention = min(kept_days, _MOST_RETENTION_DAYS)
        self._lock_timeout = lock_timeout
        self._work = work
        self._session = _Session()

    @property
    def address(self) -> str:
        """Account and database."""
        return f"snowflake://{self._account.host or self._account.account}/{self._account.database}"

    def replace_days(self, table: str, rows: pa.Table | pa.RecordBatchReader, first: date, last: date) -> int:
        """Replace the rows of ``first`` to ``last`` in one transaction; the table is made when it is missing."""
        return self._replace(table, rows, "day between ? and ?", [first, last])

    def replace_table(self, table: str, rows: pa.Table) -> int:
        """Replace all rows in one transaction, and keep the table: grants and policies hang on it.

        A table whose columns are others than before is made anew, which is one transaction too.
        """
        return self._replace(table, rows, "true", [], whole=True)

    def remove_rows(self, table: str, condition: str, parameters: Sequence[object]) -> int:
        """Delete in one transaction; time travel keeps the rows for as long as `purge` says."""
        with self._connected() as cursor:
            self._run(cursor, self._translated(f"delete from {table} where {condition}"), parameters)
            return int(cursor.rowcount or 0)

    def replace_values(
        self, table: str, column: str, values: Mapping[str, str], condition: str, parameters: Sequence[object]
    ) -> None:
        """Update in one transaction, from a table of old and new texts that goes the way of all rows."""
        if not values:
            return
        rows = pa.table({"old_text": list(values), "new_text": list(values.values())})
        with self._connected() as cursor, self._staged(cursor, rows):
            update = (
                f"update {table} set {column} = incoming.new_text from incoming "
                f"where cast({table}.{column} as varchar) = incoming.old_text and {condition}"
            )
            self._run(cursor, self._translated(update), parameters)

    def purge(self) -> None:
        """See that no table of ours keeps deleted rows for longer than it may; the rest is Snowflake's.

        With no time travel, rows are gone from all that can be asked when their transaction ends. A permanent table,
        which nobody but a stranger to this project makes, would keep them for seven days more: that is an error.

        Raises:
            KeptRowsError: permanent tables lie in our schemas; the text names them.
        """
        with self._connected() as cursor:
            self._make_schemas(cursor)
            for schema in self._schemas():
                self._run(cursor, f"alter schema {schema} set data_retention_time_in_days = {self._retention}")
            names = ", ".join(f"'{schema.upper()}'" for schema in self._schemas())
            asked = (
                "select lower(table_schema || '.' || table_name) as name from information_schema.tables "
                f"where table_schema in ({names}) and table_type = 'BASE TABLE' and is_transient = 'NO' order by 1"
            )
            self._run(cursor, asked)
            permanent = [str(row[0]) for row in cursor.fetchall()]
        if permanent:
            raise KeptRowsError(
                f"{', '.join(permanent)}: permanent tables keep deleted rows for seven days in Fail-safe, whatever is "
                "set; drop them, and load or build them again, which makes them transient"
            )

    def query(self, sql: str, parameters: Sequence[object] = ()) -> pa.Table:
        """Answer a read-only query."""
        statement = translated(sql, DIALECT, self._prefix, reads=True)
        with self._connected() as cursor:
            self._run(cursor, statement, parameters)
            answer = cursor.fetch_arrow_all(force_return_table=True, force_microsecond_precision=True)
            return as_duckdb_answers(answer, cursor.description, _type_names())

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Nothing to do: a thread keeps its session anyway, and keeps nobody out by it."""
        yield

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Make the schemas, so that nobody else makes them permanent; there is nothing to hold.

        Snowflake lets many write at once, gives each statement the tables as they were committed, and locks what two
        transactions change. That two runs do not build the same table is what the pool of the graph is for.
        """
        with self._connected() as cursor:
            self._make_schemas(cursor)
        yield

    def _replace(
        self,
        table: str,
        rows: pa.Table | pa.RecordBatchReader,
        condition: str,
        parameters: Sequence[object],
        *,
        whole: bool = False,
    ) -> int:
        names = ", ".join(_quoted(name) for name in rows.schema.names)
        target = self._named(table)
        with self._connected() as cursor, self._staged(cursor, rows) as count:
            if whole and self._differs(cursor, table, rows.schema):
                definition = f"create or replace {self._definition(target, rows.schema)} copy grants"
                self._run(cursor, f"{definition} as select {names} from {_INCOMING}")
                return count
            self._run(cursor, f"create {self._definition(f'if not exists {target}', rows.schema)}")
            with self._transaction(cursor):
                self._run(cursor, f"delete from {target} where {condition}", parameters)
                self._run(cursor, f"insert into {target} ({names}) select {names} from {_INCOMING}")
                if cursor.rowcount != count:
                    raise LostRowsError(
                        f"{table}: {count} rows were staged and {cursor.rowcount} inserted; none is kept"
                    )
        return count

    @contextmanager
    def _staged(self, cursor: SnowflakeCursor, rows: pa.Table | pa.RecordBatchReader) -> Iterator[int]:
        """Rows in the session's temporary table `incoming`, for as long as they are needed; how many there are."""
        self._make_schemas(cursor)
        self._run(cursor, f"use schema {self._schemas()[0]}")
        self._run(cursor, f"create or replace temporary table {_INCOMING} ({_columns(rows.schema)})")
        with TemporaryDirectory() as folder:
            file = Path(folder) / "rows.parquet"
            count = _write_parquet(rows, file)
            if count:
                self._copy(cursor, file, count)
        yield count
        self._run(cursor, f"drop table {_INCOMING}")

    def _copy(self, cursor: SnowflakeCursor, file: Path, count: int) -> None:
        """Upload a file to a stage of the session, which encrypts it on the way, and load it.

        Raises:
            LostRowsError: another number of rows was loaded than the file has.
        """
        self._run(cursor, f"create or replace temporary stage {_STAGE}")
        options = "auto_compress = false source_compression = none overwrite = true"
        self._run(cursor, f"put 'file://{file}' @{_STAGE} {options}")
        self._run(
            cursor,
            f"copy into {_INCOMING} from @{_STAGE} file_format = (type = parquet use_logical_type = true "
            "binary_as_text = false) match_by_column_name = case_insensitive on_error = abort_statement purge = true",
        )
        loaded = sum(int(row[3]) for row in cursor.fetchall())
        if loaded != count:
            raise LostRowsError(f"{count} rows were staged and {loaded} loaded; nothing is replaced")

    def _make_schemas(self, cursor: SnowflakeCursor) -> None:
        """Transient schemas: whatever is made in them, by dbt too, is transient and keeps what they say."""
        for schema in self._schemas():
            self._run(
                cursor,
                f"create transient schema if not exists {schema} data_retention_time_in_days = {self._retention}",
            )

    def _definition(self, target: str, schema: pa.Schema) -> str:
        """What is made: a transient table for such rows, whose days lie together where it has days."""
        keys = [_quoted(name) for name in _CLUSTERED if name in schema.names]
        by = f" cluster by ({', '.join(keys)})" if _CLUSTERED[0] in schema.names else ""
        return f"transient table {target} ({_columns(schema)}){by} data_retention_time_in_days = {self._retention}"

    def _differs(self, cursor: SnowflakeCursor, table: str, schema: pa.Schema) -> bool:
        """Whether the table is there with other columns than these."""
        place, _, name = self._named(table).upper().partition(".")
        asked = (
            "select column_name, data_type from information_schema.columns where table_schema = ? and table_name = ?"
        )
        self._run(cursor, asked, [place, name])
        present = {(column_name(str(row[0])), str(row[1])) for row in cursor.fetchall()}
        return bool(present) and present != {(each.name, listed_type(each)) for each in schema}

    def _schemas(self) -> list[str]:
        return [f"{self._prefix}{schema}" for schema in SCHEMAS]

    def _named(self, table: str) -> str:
        return f"{self._prefix}{table}"

    def _translated(self, sql: str) -> str:
        return translated(sql, DIALECT, self._prefix)

    @contextmanager
    def _transaction(self, cursor: SnowflakeCursor) -> Iterator[None]:
        self._run(cursor, "begin")
        try:
            yield
        except BaseException:
            self._run(cursor, "rollback")
            raise
        self._run(cursor, "commit")

    def _run(self, cursor: SnowflakeCursor, sql: str, parameters: Sequence[object] = ()) -> None:
        """Run one statement as it stands.

        Raises:
            QueryError: Snowflake refuses it.
            WarehouseMissingError: the database is not there, or not ours to see.
            WarehouseBusyError: it waited for too long.
        """
        from snowflake.connector.errors import Error

        try:
            cursor.execute(sql, [_bound(value) for value in parameters] or None)
        except Error as error:
            raise self._told(error) from error

    @contextmanager
    def _connected(self) -> Iterator[SnowflakeCursor]:
        """A cursor in the thread's session, which says what it works for.

        An error ends the session: what it had staged is gone, and so is a session that itself was the error.
        """
        work, session = self._work(), self._session
        if session.connection is not None and time.monotonic() - session.used_at > _IDLE_SECONDS:
            session.hang_up()
        if session.connection is None:
            session.connection, session.work = self._connect(work), work
        try:
            with session.connection.cursor() as cursor:
                if session.work != work:
                    self._tell(cursor, work)
                    session.work = work
                yield cursor
        except BaseException:
            session.hang_up()
            raise
        session.used_at = time.monotonic()

    def _tell(self, cursor: SnowflakeCursor, work: Work) -> None:
        """A session that was opened for other work goes on with this one."""
        tag = work.tag.replace("\\", "\\\\").replace("'", "\\'")
        self._run(cursor, f"alter session set query_tag = '{tag}'")
        self._run(cursor, f"use warehouse {self._account.warehouses[work.workload]}")

    def _connect(self, work: Work) -> SnowflakeConnection:
        """Log in with the key.

        Raises:
            WarehouseUnreachableError: Snowflake is not to be reached, or does not let us in.
        """
        from snowflake.connector import connect
        from snowflake.connector.errors import Error

        place = {"host": self._account.host, "port": self._account.port}
        try:
            connection = connect(
                account=self._account.account,
                user=self._account.user,
                authenticator="SNOWFLAKE_JWT",
                private_key_file=str(self._account.private_key_file),
                private_key_file_pwd=self._account.passphrase,
                role=self._account.role,
                database=self._account.database,
                warehouse=self._account.warehouses[work.workload],
                protocol=self._account.protocol,
                application=APPLICATION,
                paramstyle="qmark",
                autocommit=True,
                arrow_number_to_decimal=True,
                login_timeout=_LOGIN_SECONDS,
                session_parameters=self._parameters(work),
                **{name: value for name, value in place.items() if value is not None},
            )
        except (Error, OSError, ValueError, TypeError) as error:
            raise WarehouseUnreachableError(
                f"{self.address} does not let {self._account.user} in: {error}. See snowflake_account, snowflake_user, "
                "snowflake_private_key_file, its passphrase, and snowflake_host for a private link"
            ) from error
        # Only the connection itself knows this, not its session.
        connection.telemetry_enabled = False
        return connection

    def _parameters(self, work: Work) -> dict[str, Any]:
        return {
            "QUERY_TAG": work.tag,
            "TIMEZONE": "UTC",
            "TIMESTAMP_TYPE_MAPPING": "TIMESTAMP_NTZ",
            "LOCK_TIMEOUT": int(self._lock_timeout),
            "STATEMENT_QUEUED_TIMEOUT_IN_SECONDS": int(self._lock_timeout),
        }

    def _told(self, error: Any) -> AnalyticsError:
        """Snowflake's error as one of the port's, with the setting that mends it."""
        if error.errno in _NO_DATABASE:
            return WarehouseMissingError(
                f"{self.address} has no such database, or role {self._account.role} does not see it; make it "
                "(docs/snowflake.md), or set snowflake_database and snowflake_writer"
            )
        if error.errno in _BUSY:
            return WarehouseBusyError(
                f"{self.address} was busy for {self._lock_timeout:g} s: {error.msg}. Let the other transaction end, "
                "use a larger warehouse, or raise lock_timeout_seconds"
            )
        if error.errno in _NO_WAREHOUSE:
            return WarehouseMissingError(
                f"{error.msg}; role {self._account.role} needs USAGE on the warehouses that "
                "snowflake_hourly_warehouse, snowflake_nightly_warehouse and snowflake_backfill_warehouse name"
            )
        return QueryError(str(error.msg))


def _write_parquet(rows: pa.Table | pa.RecordBatchReader, file: Path) -> int:
    """One zstd Parquet file, batch by batch; how many rows it has."""
    batches = rows.to_batches() if isinstance(rows, pa.Table) else rows
    count = 0
    with pq.ParquetWriter(file, rows.schema, compression="zstd", coerce_timestamps="us") as writer:
        for batch in batches:
            writer.write_batch(batch)
            count += batch.num_rows
    return count


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"{_quoted(each.name)} {column_type(each)}" for each in schema)


def _quoted(name: str) -> str:
    """A column's name as if nobody had quoted it, which it has to be where it is a word of the language."""
    return f'"{name.upper()}"'


def _bound(value: object) -> object:
    """A value with its type where the connector would guess another."""
    if isinstance(value, datetime):
        return ("TIMESTAMP_TZ" if value.tzinfo else "TIMESTAMP_NTZ", value)
    return value


def _type_names() -> list[str]:
    """What the connector's type codes mean."""
    from snowflake.connector.constants import FIELD_ID_TO_NAME

    return [FIELD_ID_TO_NAME[code] for code in sorted(FIELD_ID_TO_NAME)]
