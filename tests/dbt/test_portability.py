"""Every model, compiled for each warehouse by its own dbt adapter, is SQL of that warehouse's dialect.

No warehouse is asked: the adapters compile without a connection, and sqlglot reads what comes out. That a warehouse
would give the same rows is another proof.
"""

from __future__ import annotations

import re
import shutil
from functools import cache, lru_cache
from pathlib import Path

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from analytics_platform.defs.dbt_build import name_flags_at_once
from analytics_platform.defs.dbt_overhead import spare_overhead
from analytics_platform.settings import PROJECT_ROOT, temporary_environment

PROJECT = PROJECT_ROOT / "dbt"
DIALECTS = ("duckdb", "snowflake", "bigquery")
MODELS = sorted(path.stem for path in (PROJECT / "models").rglob("*.sql"))

PROFILES = """
analytics_platform:
  target: duckdb
  outputs:
    duckdb: {type: duckdb, path: ":memory:", schema: main}
    snowflake: {type: snowflake, account: none, user: none, password: none, database: analytics, schema: main}
    bigquery: {type: bigquery, method: oauth-secrets, token: none, project: analytics, schema: main}
"""

# Functions of the dialect that sqlglot has no class for; each was looked up in the warehouse's own reference.
KNOWN_FUNCTIONS = {"snowflake": set(), "bigquery": set()}

# Type names that other warehouses know and this one does not.
FOREIGN_TYPES = {
    "duckdb": r"\b(string|float64|int64|timestamp_ntz|timestamp_tz)\b",
    "snowflake": r"\b(float64|int64|hugeint|timestamptz)\b",
    "bigquery": r"\b(varchar|text|double|hugeint|timestamp_ntz|timestamptz)\b",
}


@pytest.fixture(scope="module", params=DIALECTS)
def project(request, tmp_path_factory):
    """The dialect, a folder to compile to, and dbt with the project as it is parsed for that dialect."""
    from dbt.cli.main import dbtRunner

    name_flags_at_once()
    spare_overhead()
    dialect = request.param
    target = tmp_path_factory.mktemp(dialect)
    (target / "profiles.yml").write_text(PROFILES)
    with temporary_environment({"DBT_TARGET_PATH": str(target)}):
        parsed = dbtRunner().invoke(["parse", *_arguments(dialect, target)])
    assert parsed.success, parsed.exception
    return dialect, target, dbtRunner(manifest=parsed.result)


@pytest.fixture(scope="module", params=[False, True], ids=["first", "later"])
def compiled(request, project) -> tuple[str, dict[str, str]]:
    """The dialect, and the compiled SQL of each model, and of each of its data tests, by its name."""
    from dbt.adapters.base import BaseAdapter
    from dbt.adapters.bigquery import BigQueryAdapter

    dialect, target, dbt = project
    folder = target / "compiled" / "analytics_platform" / "models"
    shutil.rmtree(folder, ignore_errors=True)
    arguments = ["compile", *_arguments(dialect, target), "--no-introspect", "--no-populate-cache"]
    with (
        pytest.MonkeyPatch.context() as patch,
        temporary_environment({"DBT_TARGET_PATH": str(target)}),
    ):
        # A table's first build and every later one are different SQL; which of them is asked of the warehouse.
        for adapter in (BaseAdapter, BigQueryAdapter):
            patch.setattr(adapter, "get_relation", _asked_for(is_built=request.param))
        outcome = dbt.invoke([*arguments, "--select", "resource_type:model"])
    assert outcome.success, outcome.exception or [result.message for result in outcome.result]
    return dialect, {path.stem: path.read_text() for path in folder.rglob("*.sql")}


def _arguments(dialect: str, target: Path) -> list[str]:
    folders = ["--project-dir", str(PROJECT), "--profiles-dir", str(target), "--log-path", str(target)]
    days = ["--vars", "{start_day: 2026-01-01, end_day: 2026-01-31}"]
    return ["--target", dialect, *folders, *days, "--log-level", "none", "--log-level-file", "none"]


def _asked_for(*, is_built: bool):
    """What the adapter answers when it is asked for a table."""

    def get_relation(adapter, database, schema, identifier):
        if not is_built:
            return None
        return adapter.Relation.create(database=database, schema=schema, identifier=identifier, type="table")

    return get_relation


def test_every_model_compiles(compiled):
    _, models = compiled
    assert set(MODELS) <= set(models)


def test_every_model_is_one_query_of_the_dialect(compiled):
    dialect, models = compiled
    refused = {}
    for name, sql in models.items():
        try:
            statements = read(sql, dialect)
        except sqlglot.errors.ParseError as error:
            refused[name] = str(error)
            continue
        if len(statements) != 1 or not isinstance(statements[0], exp.Query):
            refused[name] = f"{len(statements)} statements, {type(statements[0]).__name__}"
    assert refused == {}


def test_every_function_is_known_to_the_dialect(compiled):
    dialect, models = compiled
    unknown = {
        (name, call.name.lower())
        for name, sql in models.items()
        for call in read(sql, dialect)[0].find_all(exp.Anonymous)
        if call.name.lower() not in known_functions(dialect)
    }
    assert unknown == set()


def test_every_cast_names_a_type_of_the_dialect(compiled):
    dialect, models = compiled
    foreign = {
        (name, found.group())
        for name, sql in models.items()
        for found in re.finditer(rf"(?<=as ){FOREIGN_TYPES[dialect]}", without_comments(sql))
    }
    assert foreign == set()


@lru_cache(maxsize=256)
def read(sql: str, dialect: str) -> list[exp.Expr | None]:
    """What sqlglot makes of a model's text, once for the tests that ask for it one after the other."""
    return sqlglot.parse(sql, dialect=dialect)


@cache
def known_functions(dialect: str) -> set[str]:
    if dialect != "duckdb":
        return KNOWN_FUNCTIONS[dialect]
    return {name for (name,) in duckdb.sql("select distinct function_name from duckdb_functions()").fetchall()}


def without_comments(sql: str) -> str:
    return re.sub(r"--.*", "", sql)


def test_no_model_names_a_window_since_snowflake_has_no_window_clause(compiled):
    _, models = compiled
    naming = {name for name, sql in models.items() if re.search(r"^\s*window \w+ as", without_comments(sql), re.M)}
    assert naming == set()


def test_who_reads_a_loaded_stream_says_which_days_since_bigquery_answers_nobody_else(compiled):
    dialect, models = compiled
    streams = {"billing", "crm", "inventory", "marketing", "product", "support", "transport"}
    reads = [
        (name, table)
        for name, sql in models.items()
        for table in read(sql, dialect)[0].find_all(exp.Table)
        if table.db.lower() == "raw" and table.name.lower() in streams
    ]
    assert len(reads) > 30
    assert [name for name, table in reads if "day" not in filtered_columns(table)] == []


def filtered_columns(table: exp.Table) -> set[str]:
    where = table.find_ancestor(exp.Select).args.get("where")
    return {column.name.lower() for column in where.find_all(exp.Column)} if where else set()
