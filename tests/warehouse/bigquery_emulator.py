"""The emulator's process: local-bigquery with what BigQuery does and its release 0.4.0 does not.

Run by the Python of the emulator's own environment (`emulator.py`), so nothing of the project is imported here.
Arguments are local-bigquery's own.
"""

import contextvars
import datetime
import functools

import duckdb
from local_bigquery.catalog import tables
from local_bigquery.cli import main
from local_bigquery.engine import database
from local_bigquery.jobs import merge, runner
from local_bigquery.models import JobStatistics2, TableReference
from local_bigquery.sql.rules import tables as table_rules

merging = contextvars.ContextVar("merging", default=False)


def statements_name_their_table() -> None:
    """A job that makes a table names it as its destination: dbt asks for its number of rows."""
    execute = runner.query.execute

    def execute_and_name(cursor, *arguments, session=None, **named):
        ready = cursor if session else Fresh(cursor)
        statistics, children, destination = execute(ready, *arguments, session=session, **named)
        return statistics, children, destination or statistics.ddlTargetTable

    runner.query.execute = execute_and_name


class Fresh:
    """A cursor that was opened for one statement and so has no temporary tables.

    Each statement is asked for them: DuckDB would draw up all tables of all databases to say that there are none.
    """

    def __init__(self, cursor):
        self._cursor = cursor

    def __getattr__(self, name):
        return getattr(self._cursor, name)

    def sql(self, query, **options):
        if query == "SELECT table_name FROM duckdb_tables() WHERE temporary":
            return self._cursor.sql("select '' limit 0")
        return self._cursor.sql(query, **options)


def merges_are_filtered_as_a_whole() -> None:
    """A MERGE is made of queries here, and each of them is asked for the filter that stands in one of its clauses."""
    run, check = merge.run, table_rules._check

    def run_as_merge(cur, tree, context) -> JobStatistics2:
        token = merging.set(True)
        try:
            return run(cur, tree, context)
        finally:
            merging.reset(token)

    def check_unless_merging(tree, table, is_target) -> None:
        check(tree, table, is_target or merging.get())

    merge.run, table_rules._check = run_as_merge, check_unless_merging


def loads_replace_a_partition() -> None:
    """A load into `table$20260131` that truncates replaces the rows of that day, and refuses those of another."""
    run = runner.HANDLERS["load"]

    def run_into_partition(cur, config, upload):
        project, dataset, named = tables.reference(config.destinationTable)
        table, _, partition = named.partition("$")
        if not partition:
            return run(cur, config, upload)
        day = datetime.date.fromisoformat(partition)
        kept = f"{table}_without_{partition}"
        whole = tables.name(project, dataset, table)
        staged = tables.name(project, dataset, kept)
        database.execute(f"create or replace table {staged} as select * from {whole} limit 0")
        destination = TableReference(projectId=project, datasetId=dataset, tableId=kept)
        staging = config.replace(destinationTable=destination, writeDisposition="WRITE_APPEND")
        statistics = run(cur, staging, upload)
        with database.cursor() as writer:
            [(strangers,)] = writer.sql(f"select count(*) from {staged} where day <> date '{day}'").fetchall()
            if strangers:
                raise ValueError(
                    f"Some rows belong to different partitions rather than destination partition {partition}"
                )
            writer.execute("begin")
            writer.execute(f"delete from {whole} where day = date '{day}'")
            writer.execute(f"insert into {whole} by name select * from {staged}")
            writer.execute("commit")
            writer.execute(f"drop table {staged}")
        return statistics

    runner.HANDLERS["load"] = run_into_partition


def statements_have_one_thread() -> None:
    """A few hundred rows are not worth sharing out: DuckDB's threads would mostly wait for each other."""
    connect = database._connect

    @functools.cache
    def connect_with_one_thread():
        connection = connect()
        connection.execute("set threads = 1")
        return connection

    database._connect = connect_with_one_thread


def catalog_is_read_from_where_it_is_kept() -> None:
    """Which tables and columns a project has is read from DuckLake's own tables, once after each change.

    DuckDB's functions draw up all tables of all databases with their sizes first, 40 ms each time that the emulator
    asks whether one table is there, which it does several times a statement: most of the time of a build.
    """
    fetch, answers = database.fetch, {}

    def fetch_kept(sql, params=None):
        project = params[0] if params else None
        if not any(function in sql for function in KEPT):
            return fetch(sql, params)
        if params[:2] == ["emulator", tables.RESULTS] and len(params) == 3:
            return of_answer(fetch, sql, database.quote(*params))
        if project not in database._attached:
            return fetch(sql, params)
        # Rows that come or go change a table's size, and nothing else that is asked for.
        change = "snapshot_id" if "duckdb_tables()" in sql else "schema_version"
        asked = (fetch(f"select max({change}) from {kept(project)}.ducklake_snapshot")[0][0], sql, *params)
        if asked not in answers:
            for function, query in KEPT.items():
                sql = sql.replace(function, query.format(name=project.replace("'", "''"), kept=kept(project)))
            answers[asked] = fetch(sql, params)
        return answers[asked]

    database.fetch = fetch_kept


def of_answer(fetch, sql, table):
    """What is known of the table that holds a query's answer, which is looked for by its name and has no rules."""
    try:
        [(rows,)] = fetch(f"select count(*) from {table}")
    except duckdb.CatalogException:
        return []
    return [(table, "TABLE", rows)] if "duckdb_tables()" in sql else []


def kept(project: str) -> str:
    """The database of a project's catalogue, as DuckLake names it."""
    return database.quote(f"__ducklake_metadata_{project}")


STANDING = "join {kept}.ducklake_schema s using (schema_id) where s.end_snapshot is null"
KEPT = {
    "duckdb_tables()": "(select '{name}' as database_name, schema_name, table_name, "
    "coalesce(record_count, 0) as estimated_size from {kept}.ducklake_table t "
    f"left join {{kept}}.ducklake_table_stats using (table_id) {STANDING} and t.end_snapshot is null)",
    "duckdb_views()": "(select '{name}' as database_name, schema_name, view_name, false as internal "
    f"from {{kept}}.ducklake_view v {STANDING} and v.end_snapshot is null)",
    "duckdb_columns()": "(select '{name}' as database_name, schema_name, table_name, column_name, "
    "nulls_allowed as is_nullable from {kept}.ducklake_column c join {kept}.ducklake_table t using (table_id) "
    f"{STANDING} and t.end_snapshot is null and c.end_snapshot is null and c.parent_column is null)",
}
"""What DuckDB's functions answer, by function; views have no column that the emulator asks for."""


if __name__ == "__main__":
    statements_have_one_thread()
    catalog_is_read_from_where_it_is_kept()
    statements_name_their_table()
    merges_are_filtered_as_a_whole()
    loads_replace_a_partition()
    main()
