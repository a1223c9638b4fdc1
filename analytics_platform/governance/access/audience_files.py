"""Carrying the policy out in DuckDB: an audience's file and the views, and reading back what they really show.

    <home>/access/files/<audience>.duckdb     all that the audience may see, and nothing else
    <home>/access/applied.json                the policy that was applied last, and what it came to

A file is written beside its place and moved there in one step. Nothing is ever deleted from one: it is made anew, so no
byte of what was in clear before can stay in it. A role that sees everything has no file: it opens the warehouse.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import duckdb

from analytics_platform.catalog import Audience
from analytics_platform.governance.access.drift import Access, Drift, Privilege, Restriction, compare
from analytics_platform.governance.access.duckdb import (
    VIEW_SCHEMA,
    Live,
    Selected,
    create_views,
    literal,
    sees_everything,
    selects,
)
from analytics_platform.governance.access.policy import Policy, PolicyError
from analytics_platform.governance.access.tables import Table, place_of
from analytics_platform.governance.access.targets import Before, Carried, Written, read_applied, write_applied
from analytics_platform.warehouse import DuckDBWarehouse, WarehouseMissingError

VIEWS, FILES = "duckdb_views", "duckdb_files"
_ENDING = ".duckdb"
_HIDDEN, _IN_CLEAR, _OWN = "null in every row", "values in clear", "own rows alone"


class AudienceFiles:
    """The files and views of one deployment (a `Target`).

    Args:
        folder: where the files lie, and what was applied last.
        warehouse: the embedded warehouse.
        compression: how a file's values are packed; None leaves it to DuckDB. Bytes can be searched in `uncompressed`.
    """

    name = "duckdb"
    applies = True
    is_late = False
    next_step = "`analytics access apply --by NAME` makes all of it anew."

    def __init__(self, folder: Path, warehouse: DuckDBWarehouse, *, compression: str | None = None) -> None:
        self._folder = folder / "files"
        self._applied = folder / "applied.json"
        self._warehouse = warehouse
        self._compression = compression

    def path(self, audience: Audience) -> Path:
        """Where an audience's file lies."""
        return self._folder / f"{audience.name}{_ENDING}"

    def applied(self) -> Before | None:
        """What was applied last; None before the first time.

        Raises:
            PolicyError: it cannot be read any more.
        """
        return read_applied(self._applied)

    def changed(self, policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str]) -> list[Drift]:
        """How views and files differ from what they were when the policy was applied last.

        Nobody else writes them, so without word of that everything that is there is beyond the policy.
        """
        before = self.applied()
        access, judged_by = (before.access, before.policy) if before else (Access(), policy)
        return compare(access, self.live(judged_by))

    def apply(self, policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str]) -> Carried:
        """Make every view and file anew, and remove those of audiences that are gone."""
        audiences = policy.audiences(tenants)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o750)
        with self._warehouse.exclusive():
            live = self._replace_views(policy, tables, audiences)
            wanted = [each for each in audiences if not sees_everything(policy.by_role[each.role], tables)]
            written = [self._write(each, list(selects(policy, tables, each, live))) for each in wanted]
        kept = {each.path for each in written}
        for path in self._folder.iterdir():
            if path not in kept:
                path.unlink()
        write_applied(self._applied, Before(policy, self.expected(policy, tables, tenants)))
        return Carried(tuple(written))

    def expected(self, policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str]) -> Access:
        """What views and files show when the policy is in force over the tables that are built."""
        privileges: set[Privilege] = set()
        restrictions: dict[Restriction, str] = {}
        with self._reading() as connection:
            live = _live(connection)
            connection.begin()
            _mirror(connection, live)
            for audience in policy.audiences(tenants):
                for statement in create_views(policy, tables, audience, live):
                    connection.execute(statement)
                if sees_everything(policy.by_role[audience.role], tables):
                    continue
                for selected in selects(policy, tables, audience, live):
                    privileges |= _privileges(audience, selected)
                    restrictions |= _restrictions(audience, selected, policy)
            _read_views(connection, "memory", privileges, restrictions)
        return Access(frozenset(privileges), restrictions)

    def live(self, policy: Policy) -> Access:
        """What views and files really show, judged by what is in them; a file that nobody should have counts too."""
        privileges: set[Privilege] = set()
        restrictions: dict[Restriction, str] = {}
        with self._reading() as connection:
            _read_views(connection, "warehouse", privileges, restrictions)
        # One DuckDB for all files: making one takes twenty times longer than attaching a file to it.
        with closing(duckdb.connect(":memory:")) as connection:
            for path in sorted(self._folder.glob("*")):
                role, _, tenant = path.name.removesuffix(_ENDING).partition("@")
                _read_file(connection, path, Audience(role, tenant or None), policy, (privileges, restrictions))
        return Access(frozenset(privileges), restrictions)

    def readable(self, policy: Policy, audiences: Sequence[Audience]) -> int:
        """Rows that a principal of these audiences can read, counted in their files."""
        with self.opened_for(audiences) as connection:
            tables = connection.execute("select database_name, schema_name, table_name from duckdb_tables()").fetchall()
            counts = [
                connection.execute(f'select count(*) from "{db}"."{schema}"."{name}"').fetchall()[0][0]
                for db, schema, name in tables
            ]
        return sum(counts)

    def after_models(self, policy: Policy, tenants: Iterable[str]) -> dict[str, list[str]]:
        """Nothing: files are made anew, and views outlive the tables below them."""
        return {}

    def mend(self, drifts: Iterable[Drift]) -> list[str]:
        """Nothing to run: each application makes all of it anew."""
        return []

    @contextmanager
    def opened_for(self, audiences: Iterable[Audience]) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection that has the files of these audiences attached under their names, and nothing else."""
        connection = duckdb.connect(":memory:")
        try:
            for audience in audiences:
                if self.path(audience).exists():
                    connection.execute(f'attach {literal(str(self.path(audience)))} as "{audience.name}" (read_only)')
            connection.execute("set enable_external_access = false")
            yield connection
        finally:
            connection.close()

    def _replace_views(self, policy: Policy, tables: Mapping[str, Table], audiences: Iterable[Audience]) -> Live:
        with self._warehouse.opened() as connection:
            live = _live(connection)
            connection.begin()
            for schema in _view_schemas(connection):
                connection.execute(f'drop schema "{schema}" cascade')
            for audience in audiences:
                for statement in create_views(policy, tables, audience, live):
                    connection.execute(statement)
            connection.commit()
        return live

    def _write(self, audience: Audience, selected: Iterable[Selected]) -> Written:
        target = self.path(audience)
        fresh = target.with_name(f".{target.name}")
        fresh.unlink(missing_ok=True)
        rows = datasets = 0
        connection = duckdb.connect(":memory:")
        try:
            connection.execute(f"attach {literal(str(self._warehouse.path))} as warehouse (read_only)")
            # Whoever gets the file may have an older DuckDB than ours.
            connection.execute(f"attach {literal(str(fresh))} as audience (storage_version 'v1.0.0')")
            connection.execute("use warehouse")
            if self._compression:
                connection.execute(f"set force_compression = {literal(self._compression)}")
            connection.begin()
            for each in selected:
                schema, name = each.table.place
                connection.execute(f"create schema if not exists audience.{schema}")
                made = connection.execute(f"create table audience.{schema}.{name} as {each.sql}").fetchall()
                rows, datasets = rows + int(made[0][0]), datasets + 1
            connection.commit()
            connection.execute("use memory")
            connection.execute("detach audience")
        finally:
            connection.close()
        fresh.chmod(0o640)
        fresh.replace(target)
        return Written(audience, target, datasets, rows, target.stat().st_size)

    @contextmanager
    def _reading(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection of its own with the warehouse attached, while nobody writes it."""
        if not self._warehouse.path.exists():
            raise WarehouseMissingError(f"no warehouse at {self._warehouse.path}; run `analytics run` first")
        with self._warehouse.exclusive():
            connection = duckdb.connect(":memory:")
            try:
                connection.execute(f"attach {literal(str(self._warehouse.path))} as warehouse (read_only)")
                yield connection
            finally:
                connection.close()


def _live(connection: duckdb.DuckDBPyConnection) -> Live:
    rows = connection.execute(
        "select schema_name || '.' || table_name, list(column_name order by column_index) from duckdb_columns() "
        "join duckdb_tables() using (database_name, schema_name, table_name) where not starts_with(schema_name, ?) "
        "group by all",
        [VIEW_SCHEMA],
    ).fetchall()
    return {name: tuple(columns) for name, columns in rows}


def _mirror(connection: duckdb.DuckDBPyConnection, live: Live) -> None:
    """The warehouse's tables without rows: what a view of ours is called when DuckDB has read its text."""
    for name in live:
        connection.execute(f"create schema if not exists memory.{name.split('.')[0]}")
        connection.execute(f"create table memory.{name} as from warehouse.{name} limit 0")
    connection.execute("use memory")


def _view_schemas(connection: duckdb.DuckDBPyConnection) -> list[str]:
    rows = connection.execute(
        "select schema_name from duckdb_schemas() where database_name = current_database() "
        "and starts_with(schema_name, ?)",
        [VIEW_SCHEMA],
    ).fetchall()
    return [name for (name,) in rows]


def _read_views(
    connection: duckdb.DuckDBPyConnection,
    database: str,
    privileges: set[Privilege],
    restrictions: dict[Restriction, str],
) -> None:
    """Views and tables in schemas of views, each with its definition as DuckDB keeps it."""
    found = connection.execute(
        "select schema_name, view_name, sql from duckdb_views() "
        "where database_name = $db and starts_with(schema_name, $s) "
        "union all select schema_name, table_name, 'a table' from duckdb_tables() "
        "where database_name = $db and starts_with(schema_name, $s)",
        {"db": database, "s": VIEW_SCHEMA},
    ).fetchall()
    for schema, name, sql in found:
        audience = schema.removeprefix(VIEW_SCHEMA)
        privileges.add(Privilege(VIEWS, audience, name, "select"))
        restrictions[Restriction(VIEWS, audience, name, "definition")] = sql


def _privileges(audience: Audience, selected: Selected) -> set[Privilege]:
    name = ".".join(selected.table.place)
    return {Privilege(FILES, audience.name, name, f"column {column}") for column in selected.columns}


def _restrictions(audience: Audience, selected: Selected, policy: Policy) -> dict[Restriction, str]:
    name = ".".join(selected.table.place)
    found = {_mask(audience, name, column): _HIDDEN for column in selected.masked}
    if policy.by_role[audience.role].by_dataset[selected.table.dataset].tenant_column:
        found[_rows(audience, name)] = _OWN
    return found


def _read_file(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    audience: Audience,
    policy: Policy,
    found: tuple[set[Privilege], dict[Restriction, str]],
) -> None:
    privileges, restrictions = found
    role = policy.by_role.get(audience.role)
    grants = {".".join(place_of(each.dataset)): each for each in role.grants} if role else {}
    try:
        connection.execute(f"attach {literal(str(path))} as audience (read_only)")
        for name, columns in _live(connection).items():
            grant = grants.get(name)
            masked = [column for column in columns if grant and column in grant.masked]
            counts = _values(connection, name, masked)
            privileges |= {
                Privilege(FILES, audience.name, name, f"column {column}") for column in columns if column not in masked
            }
            restrictions |= {
                _mask(audience, name, column): _IN_CLEAR if count else _HIDDEN
                for column, count in zip(masked, counts, strict=True)
            }
            if grant and grant.tenant_column is not None and grant.tenant_column in columns:
                restrictions[_rows(audience, name)] = _whose(connection, name, grant.tenant_column, audience)
    except duckdb.Error as error:
        raise PolicyError(
            f"{path} is no file of an audience ({type(error).__name__}); remove it and apply again"
        ) from error
    finally:
        connection.execute("detach database if exists audience")


def _values(connection: duckdb.DuckDBPyConnection, name: str, columns: list[str]) -> list[int]:
    if not columns:
        return []
    counts = ", ".join(f"count({column})" for column in columns)
    return list(connection.execute(f"select {counts} from audience.{name}").fetchall()[0])


def _whose(connection: duckdb.DuckDBPyConnection, name: str, column: str, audience: Audience) -> str:
    """Whether every row is the audience's own tenant's; whose the others are is not told."""
    sql = f"select count(*) from audience.{name} where {column} is distinct from ?"
    ((others,),) = connection.execute(sql, [audience.tenant]).fetchall()
    return f"{others} rows of others" if others else _OWN


def _mask(audience: Audience, name: str, column: str) -> Restriction:
    return Restriction(FILES, audience.name, name, f"mask of {column}")


def _rows(audience: Audience, name: str) -> Restriction:
    return Restriction(FILES, audience.name, name, "filter of rows")
