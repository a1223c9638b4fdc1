"""The port: the few things the platform needs of any warehouse."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date
from typing import Any, Protocol, runtime_checkable

import pyarrow as pa

from analytics_platform.errors import AnalyticsError

SCHEMAS = ("raw", "staging", "marts", "kpi", "extracts", "ops")
"""The platform's schemas, as its SQL names them."""


class WarehouseBusyError(AnalyticsError):
    """Another process holds the warehouse and did not let go in time; the text names it."""


class WarehouseMissingError(AnalyticsError):
    """There is no warehouse yet: nothing has been run."""


class WarehouseUnreachableError(AnalyticsError):
    """The warehouse is not to be reached, or lets us not in; the text names the settings. Nothing is known of it."""


class QueryError(AnalyticsError):
    """A query cannot be answered as written; the text is the warehouse's own."""


class Warehouse(Protocol):
    """A warehouse with the schemas of `SCHEMAS`.

    Tables are named ``schema.table``. SQL is DuckDB's, with ``?`` for values; an adapter of another product translates
    it. All writes are transactions: a reader sees the rows before or after, never between.
    """

    @property
    def address(self) -> str:
        """Where it is, for people."""

    def replace_days(self, table: str, rows: pa.Table | pa.RecordBatchReader, first: date, last: date) -> int:
        """Replace the rows of the days ``first`` to ``last`` (inclusive, column ``day``); return the rows written."""

    def replace_table(self, table: str, rows: pa.Table) -> int:
        """Replace a whole table; return the rows written."""

    def remove_rows(self, table: str, condition: str, parameters: Sequence[object]) -> int:
        """Delete the rows for which the condition holds; return how many. The condition is ours, values are bound."""

    def replace_values(
        self, table: str, column: str, values: Mapping[str, str], condition: str, parameters: Sequence[object]
    ) -> None:
        """Put each old text's new one into a column of the rows for which the condition holds, all or none of them."""

    def purge(self) -> None:
        """Make sure that deleted rows are in no file of the warehouse any more, as far as it is in our hands."""

    def query(self, sql: str, parameters: Sequence[object] = ()) -> pa.Table:
        """Answer a read-only query, in the types that DuckDB answers with.

        Raises:
            QueryError: the query is wrong, or would write.
            WarehouseMissingError: nothing was ever written.
            WarehouseBusyError: a writer kept the warehouse for too long.
        """

    def reading(self) -> AbstractContextManager[None]:
        """Answer the queries within over one connection, where many follow each other: opening one costs more."""

    def exclusive(self) -> AbstractContextManager[None]:
        """Hold the warehouse for writing by another program (dbt) while no connection of ours is open."""


@runtime_checkable
class SharedWarehouse(Warehouse, Protocol):
    """A product that others use too, with users, grants and a dialect of its own: Snowflake or BigQuery."""

    @property
    def dialect(self) -> str:
        """Sqlglot's name of its dialect, which the setting `warehouse` uses too."""

    def native(self, sql: str) -> pa.Table:
        """Run one statement as it is, in the product's own dialect: no translation, no schema prefix.

        For what the port has no word for (grants, policies, schemas and their age). A statement that answers nothing
        gives a table without rows.

        Raises:
            QueryError: the product refused it; the text is its own.
        """


@runtime_checkable
class RequestedWarehouse(SharedWarehouse, Protocol):
    """One that has to be asked for some things by its API, because no SQL tells them: BigQuery."""

    def request(self, method: str, path: str, body: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """Send one request; the path begins below `/bigquery/v2`, such as `/projects/p/datasets/d/tables`.

        Raises:
            QueryError: it was refused; the text is the product's own.
        """


def has_table(warehouse: Warehouse, table: str) -> bool:
    """Whether a table, given as ``schema.table``, was ever written; tables are made by their first write."""
    schema, _, name = table.partition(".")
    asked = "select 1 as found from information_schema.tables where table_schema = ? and table_name = ?"
    try:
        return bool(warehouse.query(asked, [schema, name]).num_rows)
    except WarehouseMissingError:
        return False


def table_columns(warehouse: Warehouse) -> dict[str, set[str]]:
    """Names of the columns of every table and view, by ``schema.table``; none before anything was written."""
    sql = "select table_schema || '.' || table_name as name, column_name from information_schema.columns"
    found: dict[str, set[str]] = {}
    try:
        rows = warehouse.query(sql).to_pylist()
    except WarehouseMissingError:
        return {}
    for row in rows:
        found.setdefault(row["name"], set()).add(row["column_name"])
    return found


def row_text(columns: Iterable[str]) -> str:
    """SQL of all that stands in a row as one text, with a control character between two columns; never null.

    Written out, because what a whole row is called as a value is different in every product.
    """
    return " || chr(31) || ".join(f"coalesce(cast({name} as varchar), '')" for name in sorted(columns))
