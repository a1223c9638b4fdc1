"""fakesnow's server with what it does not do like Snowflake put right; run by the Python of its own environment.

Belongs here: nothing but corrections of the stand-in, each with its reason, so that neither the platform nor the tests
bend to it. Stays out: anything of the project's, which that environment does not have.

    python fakesnow_server.py PORT
"""

from __future__ import annotations

import sys

import duckdb
import fakesnow.arrow
import fakesnow.copy_into
import fakesnow.server
import pyarrow as pa
import pyarrow.compute as pc
import uvicorn
from fakesnow.cursor import FakeSnowflakeCursor
from sqlglot import exp
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

_TIMESTAMPS = fakesnow.arrow.timestamp_to_sf_struct
_TRANSFORM = FakeSnowflakeCursor._transform
_NOT_ITS_BUSINESS = [
    # It parses SET of a session's parameters by a list of names that lacks this one, which changes no row.
    r"alter\s+session\s+(un)?set\s+query_tag",
]


def timestamps_with_nulls(values: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Timestamps as Snowflake sends them; fakesnow forgets which are NULL, and the client reads 1970-01-01."""
    plain = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    sent = _TIMESTAMPS(pc.fill_null(plain, pa.scalar(0, pa.timestamp("us")).cast(plain.type)))
    return pa.StructArray.from_arrays(sent.flatten(), fields=list(sent.type), mask=pc.is_null(plain))


def transform(cursor: FakeSnowflakeCursor, statement: exp.Expr, parameters: object) -> exp.Expr:
    """The statement for DuckDB, which has no temporary tables in a schema: dbt's are plain ones to it, and stay."""
    if isinstance(statement, exp.Create) and statement.kind == "TABLE" and statement.find(exp.Table).db:
        for temporary in list(statement.find_all(exp.TemporaryProperty)):
            temporary.pop()
    return _TRANSFORM(cursor, statement, parameters)


def columns_of(table: exp.Table, connection: duckdb.DuckDBPyConnection, *_place: object) -> list[str]:
    """Columns that COPY matches by name; fakesnow looks for temporary tables in the schema, where DuckDB has none."""
    named = table.sql(dialect="duckdb")
    return [name.upper() for name, *_ in connection.execute(f"describe {named}").fetchall()]


async def nothing_to_tell(_request: Request) -> JSONResponse:
    """Where dbt's sessions send telemetry as they close; without an answer the connector leaves them open."""
    return JSONResponse({"success": True})


def main() -> None:
    """Serve until the process is ended."""
    FakeSnowflakeCursor._transform = transform
    fakesnow.copy_into._get_table_columns = columns_of
    fakesnow.arrow.timestamp_to_sf_struct = timestamps_with_nulls
    fakesnow.server.shared_fs.nop_regexes = _NOT_ITS_BUSINESS
    fakesnow.server.app.routes.append(Route("/telemetry/send", nothing_to_tell, methods=["POST"]))
    uvicorn.run(fakesnow.server.app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")


if __name__ == "__main__":
    main()
