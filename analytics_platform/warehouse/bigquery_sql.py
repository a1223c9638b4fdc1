"""The platform's SQL as BigQuery takes it.

Belongs here: what sqlglot's translation leaves to do for this product, as transformations of one parsed statement.
Stays out: the translation itself (`translation`), and running anything.
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache

import sqlglot
from sqlglot import exp

from analytics_platform.warehouse.port import SCHEMAS, QueryError
from analytics_platform.warehouse.translation import translated

DIALECT = "bigquery"
STAGED_PREFIX = "load_"
"""Tables of this name are on their way into another one and live for a statement; they are nobody's to see."""

_FIRST_DAY = date.min
_TYPE_NAMES = """case data_type
    when 'INT64' then 'NUMBER'
    when 'STRING' then 'VARCHAR'
    when 'FLOAT64' then 'DOUBLE'
    when 'BOOL' then 'BOOLEAN'
    when 'BYTES' then 'BLOB'
    when 'DATETIME' then 'TIMESTAMP'
    when 'TIMESTAMP' then 'TIMESTAMP WITH TIME ZONE'
    when 'NUMERIC' then 'DECIMAL'
    else data_type
end"""
"""DuckDB's names; NUMBER is a whole number of any width, DECIMAL one of any digits."""
_JSON_TYPES = """case json_type({value})
    when 'string' then 'VARCHAR'
    when 'number' then if(regexp_contains(json_value({value}), '^-?[0-9]+$'), 'BIGINT', 'DOUBLE')
    else upper(json_type({value}))
end"""
"""DuckDB's names of a JSON value's type."""
_INFORMATION_SCHEMA = "information_schema."
"""sqlglot reads both parts as one name in this dialect."""


@lru_cache(maxsize=4096)
def bigquery_query(sql: str, prefix: str, region: str) -> str:
    """A question of the platform for BigQuery.

    Raises:
        QueryError: it is not one statement that only reads.
    """
    return _rewritten(_parsed(translated(sql, DIALECT, prefix, reads=True)), prefix, region).sql(dialect=DIALECT)


@lru_cache(maxsize=1024)
def bigquery_statement(sql: str, prefix: str, region: str) -> str:
    """A statement of the platform's own that writes."""
    return _rewritten(_parsed(translated(sql, DIALECT, prefix)), prefix, region).sql(dialect=DIALECT)


def tables_of(sql: str) -> list[str]:
    """The tables that a statement in BigQuery's dialect names, as ``dataset.table``, each once."""
    named = (f"{table.db}.{table.name}" for table in _parsed(sql).find_all(exp.Table) if table.db)
    return list(dict.fromkeys(named))


def over_all_days(sql: str, table: str, column: str) -> str:
    """The statement with a filter that keeps every day, where BigQuery will not read a table without one.

    It prunes nothing and says so: whoever wrote the statement means all of history. A filter that the statement has
    in another place still prunes, since BigQuery pushes it down. What it may cost is bounded by the job.

    Args:
        sql: a statement in BigQuery's dialect.
        table: the table that wants a filter, as ``dataset.table``.
        column: the column that its partitions lie by.
    """
    statement = _parsed(sql)
    all_days = f"{column} >= date '{_FIRST_DAY.isoformat()}'"
    if isinstance(statement, (exp.Delete, exp.Update)) and _names(statement.this, table):
        statement = statement.where(all_days, dialect=DIALECT)
        target: exp.Expr | None = statement.this
    else:
        target = None
    for node in list(statement.find_all(exp.Table)):
        if node is target or not _names(node, table):
            continue
        alias = node.alias or node.name
        bare = node.copy()
        bare.set("alias", None)
        filtered = exp.select("*").from_(bare).where(all_days, dialect=DIALECT).subquery(alias)
        node.replace(filtered)
    return statement.sql(dialect=DIALECT)


def _names(node: exp.Expr, table: str) -> bool:
    return isinstance(node, exp.Table) and f"{node.db}.{node.name}" == table


def _parsed(sql: str) -> exp.Expr:
    statement = sqlglot.parse_one(sql, read=DIALECT)
    assert isinstance(statement, exp.Expression)
    return statement


def _rewritten(statement: exp.Expr, prefix: str, region: str) -> exp.Expr:
    for table in list(statement.find_all(exp.Table)):
        if table.name.lower().startswith(_INFORMATION_SCHEMA):
            table.replace(_listing(table, prefix, region))
    for order in statement.find_all(exp.Order):
        _name_all(order)
    for call in list(statement.find_all(exp.Anonymous)):
        if call.name.lower() == "hash":
            call.replace(exp.func("farm_fingerprint", *call.expressions))
    for cast in list(statement.find_all(exp.Cast)):
        _date_in_zone(cast)
    for table in list(statement.find_all(exp.Table)):
        if isinstance(table.this, exp.Anonymous) and table.this.name.lower() == "json_each":
            _take_apart(statement, table)
    return statement


def _date_in_zone(cast: exp.Cast) -> None:
    """The date that a moment has in a zone is asked for as such, and not as that of another moment."""
    local = cast.this.this if isinstance(cast.this, exp.Timestamp) else None
    if cast.is_type(exp.DataType.Type.DATE) and isinstance(local, exp.Datetime):
        cast.replace(exp.func("date", local.this, local.expression, dialect=DIALECT))


def _take_apart(statement: exp.Expr, table: exp.Table) -> None:
    """The members of a JSON object: each with its key, its type as DuckDB says it, and its value.

    BigQuery lists keys alone, those with a dot in quotes; what a key stands for is asked of the object again.
    """
    member = table.alias
    (document,) = table.this.expressions
    # Numbers of more digits than BigQuery keeps would be errors otherwise.
    whole = f"parse_json({document.sql(dialect=DIALECT)}, wide_number_mode => 'round')"
    value = f"{whole}[trim({member}, '\"')]"
    keys = exp.Unnest(expressions=[sqlglot.parse_one(f"json_keys({whole}, 1)", read=DIALECT)])
    keys.set("alias", exp.TableAlias(columns=[exp.to_identifier(member)]))
    table.replace(keys)
    told = {"key": f"trim({member}, '\"')", "type": _JSON_TYPES.format(value=value), "value": value}
    for column in list(statement.find_all(exp.Column)):
        if column.table == member and column.name in told:
            column.replace(sqlglot.parse_one(told[column.name], read=DIALECT))


def _listing(table: exp.Table, prefix: str, region: str) -> exp.Subquery:
    """The platform's own tables of a region, under the names that the platform knows them by."""
    view = table.name[len(_INFORMATION_SCHEMA) :]
    ours = ", ".join(f"'{prefix}{schema}'" for schema in SCHEMAS)
    known = f"substr(table_schema, {len(prefix) + 1}) as table_schema"
    if view.lower() == "columns":
        known += f", {_TYPE_NAMES} as data_type"
    listed = exp.select(f"* replace ({known})", dialect=DIALECT)
    listed = listed.from_(f"`region-{region}`.INFORMATION_SCHEMA.{view.upper()}", dialect=DIALECT)
    listed = listed.where(
        f"table_schema in ({ours}) and not starts_with(table_name, '{STAGED_PREFIX}')", dialect=DIALECT
    )
    return listed.subquery(table.alias or view)


def _name_all(order: exp.Order) -> None:
    """`order by all` is DuckDB's; the columns of the query by their places are what it means."""
    if not any(isinstance(each.this, exp.Column) and each.name.lower() == "all" for each in order.expressions):
        return
    query = order.parent
    if not isinstance(query, exp.Query) or query.is_star:
        raise QueryError("`order by all` needs a query that names its columns")
    places = range(1, len(query.selects) + 1)
    order.set("expressions", [exp.Ordered(this=exp.Literal.number(place)) for place in places])
