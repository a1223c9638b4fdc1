"""The platform's own SQL in the dialect of another product.

What Python asks of a warehouse is written once, in DuckDB's dialect with `?` for values; adapters of other products
translate it here. Belongs here: dialects, and the names of a branch environment's schemas. Stays out: dbt's models,
whose macros know the products, and statements that one adapter alone needs.
"""

from __future__ import annotations

from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from analytics_platform.warehouse import snowflake_sql
from analytics_platform.warehouse.port import SCHEMAS, QueryError


@lru_cache(maxsize=4096)
def translated(sql: str, dialect: str, prefix: str = "", *, reads: bool = False) -> str:
    """One statement for another product.

    Args:
        sql: the statement in DuckDB's dialect.
        dialect: sqlglot's name of the product's.
        prefix: what the names of the platform's schemas begin with there.
        reads: refuse what is not a query.

    Raises:
        QueryError: it is not one statement that both dialects know, or would write where it may only read.
    """
    try:
        statements = sqlglot.parse(sql, read="duckdb")
    except SqlglotError as error:
        raise QueryError(str(error)) from error
    if len(statements) != 1 or statements[0] is None:
        raise QueryError(f"{len(statements)} statements where one is expected: {sql}")
    statement = statements[0]
    if reads and not isinstance(statement, exp.Query):
        raise QueryError(f"{statement.key}: only queries are answered here; write one that begins with select or with")
    if dialect == "snowflake":
        statement = snowflake_sql.rewrite(statement, prefix)
    statement = statement.transform(_REWRITTEN.get(dialect, _as_it_is))
    if prefix:
        _put_prefix(statement, prefix)
    return statement.sql(dialect=dialect)


def _snowflakes(node: exp.Expr) -> exp.Expr:
    """Its REGEXP_LIKE has to match the whole text, also over lines, where DuckDB's regexp_matches finds a part."""
    if isinstance(node, exp.RegexpLike) and not node.args.get("flag"):
        within = exp.DPipe(this=exp.DPipe(this=_text(".*("), expression=node.expression), expression=_text(").*"))
        return exp.RegexpLike(this=node.this, expression=within, flag=_text("s"))
    return node


def _text(said: str) -> exp.Expr:
    return exp.Literal.string(said)


def _bigquerys(node: exp.Expr) -> exp.Expr:
    """It has no `hash`."""
    if isinstance(node, exp.Anonymous) and node.name.lower() == "hash":
        return exp.func("farm_fingerprint", *node.expressions)
    return node


def _as_it_is(node: exp.Expr) -> exp.Expr:
    return node


_REWRITTEN = {"snowflake": _snowflakes, "bigquery": _bigquerys}


def _put_prefix(statement: exp.Expr, prefix: str) -> None:
    """On the platform's schemas, however they are written, before tables and before columns of tables."""
    for named in statement.find_all(exp.Table, exp.Column):
        schema = named.args.get("db")
        if schema is not None and schema.name.lower() in SCHEMAS:
            named.set("db", exp.to_identifier(f"{prefix}{schema.name.lower()}"))
