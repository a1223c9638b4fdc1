"""An account of Snowflake as far as access goes, played by DuckDB: a stand-in, and no proof of Snowflake.

Tables lie in a real DuckDB file behind the real adapter. The compiled questions are run as they are, by DuckDB, over
tables of `snowflake.account_usage`; the compiled DDL is understood statement by statement, and what is not understood
is refused as Snowflake refuses nonsense. Two of its habits are played on purpose: a second row access policy is
refused, and a table that is made anew has lost its policies and grants. (fakesnow knows no grants.)
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date

import duckdb
import pyarrow as pa

from analytics_platform.warehouse import DuckDBWarehouse, QueryError

_USAGE = """
attach ':memory:' as snowflake; create schema snowflake.account_usage; use snowflake.account_usage;
create table grants_to_roles (grantee_name varchar, privilege varchar, granted_on varchar, table_catalog varchar,
    table_schema varchar, name varchar, deleted_on timestamp);
create table policy_references (policy_name varchar, policy_kind varchar, ref_database_name varchar,
    ref_schema_name varchar, ref_entity_name varchar, ref_column_name varchar);
create table row_access_policies (policy_name varchar, policy_body varchar, policy_catalog varchar, deleted timestamp);
create table masking_policies (policy_name varchar, policy_body varchar, policy_catalog varchar, deleted timestamp);
"""
_KINDS = {"row access": "row_access_policies", "masking": "masking_policies"}


class PlayedSnowflake:
    """A `SharedWarehouse` over a DuckDB file.

    Attributes:
        told: every statement that was run and is no question.
    """

    dialect = "snowflake"

    def __init__(self, tables: DuckDBWarehouse) -> None:
        self._tables = tables
        self._usage = duckdb.connect()
        self._usage.execute(_USAGE)
        self._roles: set[str] = set()
        self.told: list[str] = []

    @property
    def address(self) -> str:
        return "snowflake://played"

    def native(self, sql: str) -> pa.Table:
        if sql.startswith("select "):
            answer = self._usage.sql(sql).to_arrow_table()
            return answer.rename_columns([name.upper() for name in answer.column_names])
        for pattern, method in self._understood():
            if match := re.fullmatch(pattern, sql, re.S):
                method(*match.groups())
                self.told.append(sql)
                return pa.table({})
        raise QueryError(f"syntax error: {sql}")

    def make_anew(self, dataset: str) -> None:
        """What `create or replace table` does to policies and grants."""
        schema, name = dataset.upper().split(".")
        self._usage.execute(
            "delete from policy_references where ref_schema_name = ? and ref_entity_name = ?", [schema, name]
        )
        self._usage.execute("delete from grants_to_roles where table_schema = ? and name = ?", [schema, name])

    def _understood(self) -> Iterator[tuple[str, Callable[..., None]]]:
        yield r"create schema if not exists analytics\.access", lambda: None
        yield r"create role if not exists (\S+)", self._roles.add
        yield r"grant usage on (?:database analytics|schema analytics\.\w+) to role (\S+)", self._known
        yield r"create (row access|masking) policy if not exists analytics\.access\.(\w+) as .*? -> (.*)", self._create
        yield r"alter (row access|masking) policy analytics\.access\.(\w+) set body -> (.*)", self._alter
        yield (
            r"execute immediate \$\$ begin if \(not exists \(select 1 from table\(analytics\.information_schema\."
            r"policy_references\(ref_entity_name => 'analytics\.[\w.]+', ref_entity_domain => 'table'\)\) where "
            r"policy_name = '(\w+)'\)\) then alter table analytics\.([\w.]+) add row access policy "
            r"analytics\.access\.(\w+) on \((\w+)\); end if; end; \$\$",
            self._attach_rows_where_missing,
        )
        yield (
            r"alter table analytics\.([\w.]+) add row access policy analytics\.access\.(\w+) on \((\w+)\)",
            self._attach_rows,
        )
        yield (
            r"alter table analytics\.([\w.]+) modify column (\w+) set masking policy analytics\.access\.(\w+) force",
            self._attach_mask,
        )
        yield r"grant (\w+) on table analytics\.([\w.]+) to role (\S+)", self._grant
        yield r"revoke (\w+) on table analytics\.([\w.]+) from role (\S+)", self._revoke

    def _known(self, role: str) -> None:
        if role not in self._roles | {"PUBLIC"}:
            raise QueryError(f"Role '{role}' does not exist or not authorized.")

    def _there(self, dataset: str, column: str | None = None) -> tuple[str, str]:
        schema, name = dataset.split(".")
        asked = "select column_name from information_schema.columns where table_schema = ? and table_name = ?"
        columns = self._tables.query(asked, [schema, name])["column_name"].to_pylist()
        if not columns or (column and column not in columns):
            raise QueryError(f"Object '{dataset}.{column}' does not exist or not authorized.")
        return schema.upper(), name.upper()

    def _create(self, kind: str, name: str, body: str) -> None:
        if not self._bodies(kind, name):
            self._usage.execute(f"insert into {_KINDS[kind]} values (?, ?, 'ANALYTICS', null)", [name.upper(), body])

    def _alter(self, kind: str, name: str, body: str) -> None:
        if not self._bodies(kind, name):
            raise QueryError(f"Policy '{name}' does not exist.")
        self._usage.execute(f"update {_KINDS[kind]} set policy_body = ? where policy_name = ?", [body, name.upper()])

    def _bodies(self, kind: str, name: str) -> int:
        sql = f"select count(*) from {_KINDS[kind]} where policy_name = ?"
        return int(self._usage.execute(sql, [name.upper()]).fetchall()[0][0])

    def _attach_rows_where_missing(self, policy: str, dataset: str, name: str, column: str) -> None:
        assert policy == name.upper()
        if not self._attached(dataset, "ROW_ACCESS_POLICY"):
            self._attach_rows(dataset, name, column)

    def _attach_rows(self, dataset: str, name: str, column: str) -> None:
        if self._attached(dataset, "ROW_ACCESS_POLICY"):
            raise QueryError(f"Object '{dataset}' already has a ROW_ACCESS_POLICY. Only one is allowed at a time.")
        self._attach("row access", dataset, name, column, None)

    def _attach_mask(self, dataset: str, column: str, name: str) -> None:
        schema, table = self._there(dataset, column)
        sql = "delete from policy_references where ref_schema_name = ? and ref_entity_name = ? and ref_column_name = ?"
        self._usage.execute(sql, [schema, table, column.upper()])
        self._attach("masking", dataset, name, column, column.upper())

    def _attach(self, kind: str, dataset: str, name: str, column: str, on: str | None) -> None:
        if not self._bodies(kind, name):
            raise QueryError(f"Policy '{name}' does not exist.")
        place = self._there(dataset, column)
        policy_kind = f"{kind.upper().replace(' ', '_')}_POLICY"
        row = [name.upper(), policy_kind, "ANALYTICS", *place, on]
        self._usage.execute("insert into policy_references values (?, ?, ?, ?, ?, ?)", row)

    def _attached(self, dataset: str, kind: str) -> bool:
        schema, name = dataset.upper().split(".")
        sql = "select 1 from policy_references where policy_kind = ? and ref_schema_name = ? and ref_entity_name = ?"
        return bool(self._usage.execute(sql, [kind, schema, name]).fetchall())

    def _grant(self, privilege: str, dataset: str, role: str) -> None:
        self._known(role)
        schema, name = self._there(dataset)
        self._revoke(privilege, dataset, role)
        row = [role, privilege.upper(), "TABLE", "ANALYTICS", schema, name]
        self._usage.execute("insert into grants_to_roles values (?, ?, ?, ?, ?, ?, null)", row)

    def _revoke(self, privilege: str, dataset: str, role: str) -> None:
        schema, name = dataset.upper().split(".")
        sql = "delete from grants_to_roles where grantee_name = ? and privilege = ? and table_schema = ? and name = ?"
        self._usage.execute(sql, [role, privilege.upper(), schema, name])

    def replace_days(self, table: str, rows: pa.Table | pa.RecordBatchReader, first: date, last: date) -> int:
        return self._tables.replace_days(table, rows, first, last)

    def replace_table(self, table: str, rows: pa.Table) -> int:
        return self._tables.replace_table(table, rows)

    def drop_table(self, table: str) -> None:
        self._tables.drop_table(table)

    def remove_rows(self, table: str, condition: str, parameters: Sequence[object]) -> int:
        return self._tables.remove_rows(table, condition, parameters)

    def replace_values(
        self, table: str, column: str, values: Mapping[str, str], condition: str, parameters: Sequence[object]
    ) -> None:
        self._tables.replace_values(table, column, values, condition, parameters)

    def purge(self) -> None:
        self._tables.purge()

    def query(self, sql: str, parameters: Sequence[object] = ()) -> pa.Table:
        return self._tables.query(sql, parameters)

    def reading(self) -> AbstractContextManager[None]:
        return self._tables.reading()

    def exclusive(self) -> AbstractContextManager[None]:
        return self._tables.exclusive()
