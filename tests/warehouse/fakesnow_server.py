"""fakesnow's server with what it does not do like Snowflake put right; run by the Python of its own environment.

Belongs here: nothing but corrections of the stand-in, each with its reason, so that neither the platform nor the tests
bend to it. Stays out: anything of the project's, which that environment does not have.

    python fakesnow_server.py PORT
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable
from contextvars import ContextVar
from functools import cache
from pathlib import Path

import duckdb
import fakesnow.arrow
import fakesnow.copy_into
import fakesnow.cursor
import fakesnow.dialect
import fakesnow.rowtype
import fakesnow.server
import fakesnow.transforms
import pyarrow as pa
import pyarrow.compute as pc
import snowflake.connector.errors
import uvicorn
from fakesnow.cursor import FakeSnowflakeCursor
from sqlglot import exp
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

_TIMESTAMPS = fakesnow.arrow.timestamp_to_sf_struct
_EXECUTE = FakeSnowflakeCursor.execute
_PARSE = fakesnow.dialect.parse_one
_PARSED: ContextVar[list[tuple[str, exp.Expr]]] = ContextVar("parsed")
_TRANSFORM = FakeSnowflakeCursor._transform
_NOT_ITS_BUSINESS = [
    # It parses SET of a session's parameters by a list of names that lacks this one, which changes no row.
    r"alter\s+session\s+(un)?set\s+query_tag",
    # Nothing is kept here that was deleted.
    r"alter\s+schema\s+\w+\s+set\s+data_retention_time_in_days",
]
_TRANSIENT: dict[tuple[str, str], bool] = {}
"""Whether a schema, by database and name, was made transient; fakesnow forgets it."""

_TAGS = "query_tags.sql"
"""File in the working directory with the statements that set a tag: what no answer shows, tests read there."""


def timestamps_with_nulls(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Timestamps as Snowflake sends them; fakesnow forgets which are NULL, and the client reads 1970-01-01."""
    plain = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    sent = _TIMESTAMPS(pc.fill_null(plain, pa.scalar(0, pa.timestamp("us")).cast(plain.type)))
    return pa.StructArray.from_arrays(sent.flatten(), fields=list(sent.type), mask=pc.is_null(plain))


def transform(cursor: FakeSnowflakeCursor, statement: exp.Expr, parameters: object) -> exp.Expr:
    """The statement for DuckDB, without what is beyond it or beyond fakesnow."""
    if isinstance(statement, exp.Create) and statement.kind == "TABLE" and statement.find(exp.Table).db:
        # DuckDB has temporary tables in no schema; these are plain ones to it, and dbt drops them.
        for temporary in list(statement.find_all(exp.TemporaryProperty)):
            temporary.pop()
        name_columns(statement)
    remember_transient(cursor, statement)
    for order in statement.find_all(exp.Order):
        order_by_all(order)
    for counted in list(statement.find_all(exp.CountIf)):
        # Of no rows it counts NULL.
        only = exp.Case(ifs=[exp.If(this=counted.this.copy(), true=exp.Literal.number(1))])
        counted.replace(exp.Count(this=only))
    for asked in list(statement.find_all(exp.Typeof)):
        asked.replace(type_of_variant(asked.this))
    return transform_where_it_applies(cursor, statement, parameters)


def transform_where_it_applies(cursor: FakeSnowflakeCursor, statement: exp.Expr, parameters: object) -> exp.Expr:
    """The statement after fakesnow's seventy transformations, each of which would look at all of it."""
    passing = Passing(statement)
    _TRANSFORM(cursor, passing, parameters)
    return passing.statement


class Passing:
    """A statement that goes through a transformation only where it has an expression which that one looks for."""

    def __init__(self, statement: exp.Expr) -> None:
        self.statement = statement
        self._kinds = kinds_in(statement)

    def transform(self, change: Callable[..., exp.Expr], **options: object) -> Passing:
        """What the statement's own method does, which is called for one transformation after the other."""
        looked_for = kinds_looked_for(change)
        if not looked_for or any(issubclass(kind, looked_for) for kind in self._kinds):
            self.statement = self.statement.transform(change, **options)
            self._kinds = kinds_in(self.statement)
        return self


def kinds_in(statement: exp.Expr) -> set[type[exp.Expr]]:
    """The kinds of expressions that a statement is made of."""
    return {type(each) for each in statement.walk()}


def kinds_looked_for(change: Callable[..., exp.Expr]) -> tuple[type[exp.Expr], ...]:
    """The kinds that a transformation asks an expression for; none where it asks otherwise, and any may be meant.

    Some are wrapped into a lambda, which names them.
    """
    wrapped = (getattr(fakesnow.transforms, name, None) for name in change.__code__.co_names)
    return _kinds_asked_for(next(filter(callable, wrapped), change) if change.__name__ == "<lambda>" else change)


@cache
def _kinds_asked_for(change: Callable[..., exp.Expr]) -> tuple[type[exp.Expr], ...]:
    asked = re.findall(r"isinstance\(expression, ([^()]+|\([^()]+\))\)", inspect.getsource(change))
    return tuple(getattr(exp, name) for name in re.findall(r"exp\.(\w+)", " ".join(asked)))


def order_by_all(order: exp.Order) -> None:
    """Snowflake's ORDER BY ALL by the places of columns; fakesnow looks for a column of the name."""
    query, keys = order.parent, order.expressions
    if isinstance(query, exp.Query) and len(keys) == 1 and keys[0].this.name.upper() == "ALL":
        places = range(1, len(query.selects) + 1)
        order.set("expressions", [exp.Ordered(this=exp.Literal.number(place)) for place in places])


def remember_transient(cursor: FakeSnowflakeCursor, statement: exp.Expr) -> None:
    """Tables of a transient schema are transient, as Snowflake has it; to fakesnow none is."""
    database = cursor._conn.database
    if isinstance(statement, exp.Create) and statement.kind == "SCHEMA":
        key = (database, statement.this.db.upper())
        _TRANSIENT.setdefault(key, statement.find(exp.TransientProperty) is not None)
    for column in list(statement.find_all(exp.Column)):
        if column.name.upper() == "IS_TRANSIENT":
            names = [exp.Literal.string(name) for (of, name), is_so in _TRANSIENT.items() if is_so and of == database]
            is_so = exp.In(this=exp.column("table_schema"), expressions=names)
            yes, no = exp.Literal.string("YES"), exp.Literal.string("NO")
            column.replace(exp.Case(ifs=[exp.If(this=is_so, true=yes)], default=no))


def type_of_variant(value: exp.Expr) -> exp.Expr:
    """Snowflake's name of the type that a VARIANT holds; to fakesnow all of them are JSON."""
    names = {"BIGINT": "INTEGER", "UBIGINT": "INTEGER", "HUGEINT": "INTEGER", "NULL": "NULL_VALUE"}
    kind = exp.func("json_type", value.copy())
    cases = [exp.If(this=exp.Literal.string(its), true=exp.Literal.string(theirs)) for its, theirs in names.items()]
    return exp.Case(this=kind, ifs=cases, default=kind.copy())


def name_columns(statement: exp.Create) -> None:
    """What a clustered table selects with a star; fakesnow asks DuckDB for the names in Snowflake's dialect."""
    query = statement.expression and statement.expression.unnest()
    if isinstance(query, exp.Select) and query.is_star and isinstance(statement.this, exp.Schema):
        query.set("expressions", [exp.column(each.this.copy()) for each in statement.this.expressions])


def execute(cursor: FakeSnowflakeCursor, *arguments: object, **options: object) -> FakeSnowflakeCursor:
    """What fakesnow cannot do is an error of the statement; as one of the server the client would try it for ever."""
    if "query_tag" in str(arguments[0]):
        with Path(_TAGS).open("a") as told:
            told.write(f"{arguments[0]}\n")
    try:
        return _EXECUTE(cursor, *arguments, **options)
    except snowflake.connector.errors.Error:
        raise
    except Exception as error:
        raise snowflake.connector.errors.ProgrammingError(
            msg=f"fakesnow: {error}", errno=1, sqlstate="XX000"
        ) from error


def columns_of(table: exp.Table, connection: duckdb.DuckDBPyConnection, *_place: object) -> list[str]:
    """Columns that COPY matches by name; fakesnow looks for temporary tables in the schema, where DuckDB has none."""
    named = table.sql(dialect="duckdb")
    return [name.upper() for name, *_ in connection.execute(f"describe {named}").fetchall()]


def describe_last(cursor: FakeSnowflakeCursor) -> list[tuple[object, ...]]:
    """Columns of what was last run; fakesnow reads DuckDB's statement and writes it again to ask this."""
    with cursor._conn.cursor() as asked:
        asked._duck_conn.execute(f"DESCRIBE {cursor._last_sql}", cursor._last_params)
        return asked._duck_conn.fetchall()


def parse_for_request(command: str) -> exp.Expr:
    """The statement of a request, kept for its cursor, which would parse it a second time."""
    parsed = _PARSE(command)
    _PARSED.set([(command, parsed)])
    return parsed


def parse_for_cursor(command: str) -> exp.Expr:
    """What the cursor's request has parsed, once: it is changed from there on."""
    kept = _PARSED.get([])
    return kept.pop()[1] if kept and kept[0][0] == command else _PARSE(command)


async def nothing_to_tell(_request: Request) -> JSONResponse:
    """Where dbt's sessions send telemetry as they close; without an answer the connector leaves them open."""
    return JSONResponse({"success": True})


def main() -> None:
    """Serve until the process is ended."""
    FakeSnowflakeCursor.execute = execute
    FakeSnowflakeCursor._transform = transform
    FakeSnowflakeCursor._describe_last_sql = describe_last
    fakesnow.server.parse_one = parse_for_request
    fakesnow.cursor.parse_one = parse_for_cursor
    fakesnow.copy_into._get_table_columns = columns_of
    # It sums everything as floats, also decimals, whose sums are exact in Snowflake.
    fakesnow.transforms.numeric_agg_implicit_cast = lambda expression: expression
    fakesnow.arrow.timestamp_to_sf_struct = timestamps_with_nulls
    # Arrays are JSON to it, all of which it calls VARIANT; no question of the platform answers with one.
    fakesnow.rowtype.duckdb_to_sf_type["JSON"] = "array"
    fakesnow.server.shared_fs.nop_regexes = _NOT_ITS_BUSINESS
    # A few hundred rows are not worth sharing out: DuckDB's threads would mostly wait for each other.
    fakesnow.server.shared_fs.duck_conn.execute("set threads = 1")
    fakesnow.server.app.routes.append(Route("/telemetry/send", nothing_to_tell, methods=["POST"]))
    uvicorn.run(fakesnow.server.app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")


if __name__ == "__main__":
    main()
