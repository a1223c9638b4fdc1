"""The embedded warehouse: one DuckDB file, one writing process at a time.

DuckDB lets a single process open a file for writing and refuses all others at once. A lock file beside the
warehouse turns that refusal into a queue: writers wait for each other, readers wait for the writer, and whoever
waits too long is told who holds it.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
from filelock import FileLock, Timeout

from analytics_platform.durability import sync_folder
from analytics_platform.warehouse.port import SCHEMAS, QueryError, WarehouseBusyError, WarehouseMissingError

_THREADS = 2
_READ_RETRY_SECONDS = 0.1
_FILE_IN_USE = "Could not set lock on file"


class _Reader(threading.local):
    """The connection that the queries of a thread share, for as long as it is in a scope of reading."""

    scopes = 0
    connection: duckdb.DuckDBPyConnection | None = None

    def close(self) -> None:
        """Let go of the file."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class DuckDBWarehouse:
    """A DuckDB file behind the warehouse port.

    Args:
        path: the database file; made on the first write.
        lock_timeout: seconds that a reader or a writer waits for another process.
        memory_limit: DuckDB's own bound, so that a year of history does not take the machine.
    """

    def __init__(self, path: Path, *, lock_timeout: float = 600.0, memory_limit: str = "1GB") -> None:
        self._path = path
        self._lock_timeout = lock_timeout
        self._memory_limit = memory_limit
        self._lock = FileLock(f"{path}.lock")
        self._holder = Path(f"{path}.holder.json")
        self._reader = _Reader()

    @property
    def path(self) -> Path:
        """The database file."""
        return self._path

    @property
    def address(self) -> str:
        """The database file."""
        return str(self._path)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the write lock; re-entrant within one process."""
        self._reader.close()
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire(timeout=self._lock_timeout)
        except Timeout as error:
            raise WarehouseBusyError(self._busy_text(self._holder_text())) from error
        try:
            self._holder.write_text(json.dumps({"pid": os.getpid(), "since": datetime.now(UTC).isoformat()}))
            yield
        finally:
            if self._lock.lock_counter == 1:
                self._holder.unlink(missing_ok=True)
            self._lock.release()

    def replace_days(self, table: str, rows: pa.Table | pa.RecordBatchReader, first: date, last: date) -> int:
        """Replace the rows of ``first`` to ``last`` in one transaction; the table is made when it is missing."""
        with self._writing() as connection:
            connection.register("incoming", rows)
            connection.execute(f"create table if not exists {table} as select * from incoming limit 0")
            connection.execute(f"delete from {table} where day between ? and ?", [first, last])
            return _inserted(connection, table)

    def replace_table(self, table: str, rows: pa.Table) -> int:
        """Replace a whole table in one transaction."""
        with self._writing() as connection:
            connection.register("incoming", rows)
            connection.execute(f"create or replace table {table} as select * from incoming limit 0")
            return _inserted(connection, table)

    def drop_table(self, table: str) -> None:
        """Drop in one transaction."""
        with self._writing() as connection:
            connection.execute(f"drop table if exists {table}")

    def remove_rows(self, table: str, condition: str, parameters: Sequence[object]) -> int:
        """Delete in one transaction; the bytes stay in the file until `purge`."""
        with self._writing() as connection:
            (count,) = connection.execute(f"delete from {table} where {condition}", list(parameters)).fetchall()[0]
            return int(count)

    def replace_values(
        self, table: str, column: str, values: Mapping[str, str], condition: str, parameters: Sequence[object]
    ) -> None:
        """Update in one transaction; the old bytes stay in the file until `purge`."""
        if not values:
            return
        with self._writing() as connection:
            connection.register("incoming", pa.table({"old_text": list(values), "new_text": list(values.values())}))
            connection.execute(
                f"update {table} set {column} = incoming.new_text from incoming "
                f"where cast({table}.{column} as varchar) = incoming.old_text and {condition}",
                list(parameters),
            )

    def purge(self) -> None:
        """Copy what is left into a new file that takes the old one's place: deleting leaves the plaintext in it."""
        with self.exclusive():
            if not self._path.exists():
                return
            fresh = self._path.with_name(f"{self._path.name}.purged")
            fresh.unlink(missing_ok=True)
            connection = self._wait_for_file(read_only=False)
            try:
                (name,) = connection.execute("select current_database()").fetchall()[0]
                connection.execute(f"attach '{fresh}' as purged")
                connection.execute(f'copy from database "{name}" to purged')
                connection.execute("detach purged")
            finally:
                connection.close()
            fresh.replace(self._path)
            sync_folder(self._path.parent)  # or a power cut brings back the old file, and what was removed with it
            Path(f"{self._path}.wal").unlink(missing_ok=True)

    def query(self, sql: str, parameters: Sequence[object] = ()) -> pa.Table:
        """Answer a read-only query; waits while a writer is at work."""
        connection = self._reader.connection or self._open_for_reading()
        try:
            answer = connection.sql(sql, params=list(parameters))
            if answer is None:
                raise QueryError("the query asks for nothing; write a select")
            return answer.to_arrow_table()
        except duckdb.Error as error:
            raise QueryError(str(error)) from error
        finally:
            # Whoever holds the lock may let another program open the file.
            if self._reader.scopes and not self._lock.is_locked:
                self._reader.connection = connection
            else:
                connection.close()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Answer the queries within over one connection; re-entrant, and of one thread alone.

        DuckDB takes longer to open a file than to read a small table. Other processes write when the scope ends; this
        one's own writers close the connection first.
        """
        self._reader.scopes += 1
        try:
            yield
        finally:
            self._reader.scopes -= 1
            if not self._reader.scopes:
                self._reader.close()

    @contextmanager
    def opened(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection for what the port has no word for; nobody else has the warehouse open meanwhile.

        Raises:
            WarehouseMissingError: nothing was ever written.
        """
        if not self._path.exists():
            raise WarehouseMissingError(f"no warehouse at {self._path}; run `analytics run` first")
        with self.exclusive():
            connection = self._wait_for_file(read_only=False)
            try:
                yield connection
            finally:
                connection.close()

    @contextmanager
    def _writing(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection inside a transaction that commits at the end and rolls back on any error."""
        with self.exclusive():
            connection = self._wait_for_file(read_only=False)
            try:
                for schema in SCHEMAS:
                    connection.execute(f"create schema if not exists {schema}")
                connection.begin()
                yield connection
                connection.commit()
            finally:
                connection.close()

    def _open_for_reading(self) -> duckdb.DuckDBPyConnection:
        if not self._path.exists():
            raise WarehouseMissingError(f"no warehouse at {self._path}; run `analytics run` first")
        return self._wait_for_file(read_only=True)

    def _wait_for_file(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        """Open the file, waiting for processes that have it open in a way that excludes us."""
        deadline = time.monotonic() + self._lock_timeout
        while True:
            try:
                return self._connect(read_only=read_only)
            except duckdb.IOException as error:
                if _FILE_IN_USE not in str(error):
                    raise
                if time.monotonic() > deadline:
                    raise WarehouseBusyError(self._busy_text(str(error).splitlines()[0])) from error
                time.sleep(_READ_RETRY_SECONDS)

    def _connect(self, *, read_only: bool) -> duckdb.DuckDBPyConnection:
        config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": self._memory_limit,
            "threads": _THREADS,
            # A query sees the warehouse and nothing else of the machine: no files, no other databases.
            "enable_external_access": not read_only,
        }
        connection = duckdb.connect(str(self._path), read_only=read_only, config=config)
        # After two seconds DuckDB draws a bar on standard output, among what a command answers with there.
        connection.execute("set TimeZone = 'UTC'; set enable_progress_bar = false")
        return connection

    def _busy_text(self, holder: str) -> str:
        return (
            f"the warehouse {self._path} is in use ({holder}); waited {self._lock_timeout:g} s. "
            "Let that process end, or raise ANALYTICS_LOCK_TIMEOUT_SECONDS"
        )

    def _holder_text(self) -> str:
        try:
            holder = json.loads(self._holder.read_text())
        except (OSError, ValueError):
            return "by another process"
        return f"by process {holder['pid']} since {holder['since']}"


def _inserted(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    """Insert the registered rows by column name; DuckDB answers with the count."""
    (count,) = connection.execute(f"insert into {table} by name select * from incoming").fetchall()[0]
    return int(count)
