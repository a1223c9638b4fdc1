"""What sqlglot leaves to do of DuckDB's SQL before Snowflake understands it as it was meant.

Snowflake writes names in capitals where nobody quoted them, reserves words that DuckDB leaves to everybody, has its
own names of types, divides whole numbers to six decimals, matches whole texts, and takes JSON apart by FLATTEN.
Belongs here: rewriting a parsed statement. Stays out: parsing and prefixes
(`translation`).
"""

from __future__ import annotations

from sqlglot import exp, parse_one

from analytics_platform.warehouse.port import SCHEMAS

_CATALOG = "information_schema"

_TYPE_NAMES = """case
    when c.data_type = 'TEXT' then 'VARCHAR'
    when c.data_type = 'FLOAT' then 'DOUBLE'
    when c.data_type = 'TIMESTAMP_NTZ' then 'TIMESTAMP'
    when c.data_type = 'TIMESTAMP_TZ' then 'TIMESTAMP WITH TIME ZONE'
    when c.data_type = 'NUMBER' and c.numeric_scale > 0
        then 'DECIMAL(' || c.numeric_precision || ',' || c.numeric_scale || ')'
    else c.data_type
end"""
"""DuckDB's names; NUMBER stays where it may be a whole number of any width."""

_COLUMNS_OF = {
    "tables": "c.table_type",
    "columns": f"lower(c.column_name) as column_name, c.ordinal_position, {_TYPE_NAMES} as data_type",
}


_RESERVED = """
alter and any as between by cast check column connect create current delete distinct drop else exists following for
from grant group having ilike in increment insert intersect into is like minus not null of on or order qualify regexp
revoke rlike row rows sample select set some start table tablesample then to trigger union unique update values whenever
where with
"""
"""Words of its reference (Reserved & limited keywords) that name no column without quotes; ALL may stand for all."""

_NEEDS_QUOTES = frozenset(_RESERVED.split())

_JSON_TYPES = """case typeof({value})
    when 'INTEGER' then 'BIGINT'
    when 'DECIMAL' then 'DOUBLE'
    when 'NULL_VALUE' then 'NULL'
    else typeof({value})
end"""
"""DuckDB's names of a JSON value's type."""


def rewrite(statement: exp.Expr, prefix: str) -> exp.Expr:
    """The statement for Snowflake, before prefixes are put on its schemas."""
    for division in list(statement.find_all(exp.Div)):
        division.set("this", exp.cast(division.this, exp.DataType.Type.DOUBLE))
    for tried in statement.find_all(exp.TryCast):
        # It tries texts alone; what sqlglot does not know to be one would be cast, and fail.
        tried.set("this", exp.cast(tried.this, exp.DataType.Type.VARCHAR))
        tried.set("requires_string", True)
    for match in list(statement.find_all(exp.RegexpLike)):
        _look_within(match)
    for table in list(statement.find_all(exp.Table)):
        if table.db.lower() == _CATALOG:
            table.replace(_listing(table, prefix))
        elif isinstance(table.this, exp.Anonymous) and table.this.name.lower() == "json_each":
            _flatten(statement, table)
    for pairs in list(statement.find_all(exp.In)):
        _list_columns(pairs)
    for name in statement.find_all(exp.Identifier):
        if name.name.lower() in _NEEDS_QUOTES and not name.quoted:
            name.replace(exp.to_identifier(name.name.upper(), quoted=True))
    return statement


def _flatten(statement: exp.Expr, table: exp.Table) -> None:
    """The members of a JSON object by FLATTEN: each with its key, its type as DuckDB says it, and its value."""
    alias = table.alias
    (document,) = table.this.expressions
    flattened = parse_one(
        f"select 1 from a, lateral flatten(input => parse_json({document.sql('snowflake')})) as {alias}",
        read="snowflake",
    ).find(exp.Lateral)
    assert flattened is not None
    flattened.set("alias", exp.TableAlias(this=exp.to_identifier(alias)))
    table.replace(flattened)
    value = f"{alias}.value"
    for text in list(statement.find_all(exp.JSONExtractScalar)):
        if text.this.sql("snowflake") == value:
            text.replace(exp.cast(exp.column("value", alias), exp.DataType.Type.VARCHAR))
    for column in list(statement.find_all(exp.Column)):
        if column.table == alias and column.name == "type":
            column.replace(parse_one(_JSON_TYPES.format(value=value), read="snowflake"))


def _list_columns(pairs: exp.In) -> None:
    """`(a, b) in (select (a, b) …)` is one struct to DuckDB and BigQuery, and two columns to Snowflake."""
    query = pairs.args.get("query")
    inner = query.this if isinstance(query, exp.Subquery) else query
    if isinstance(inner, exp.Select) and len(inner.selects) == 1 and isinstance(inner.selects[0], exp.Tuple):
        inner.set("expressions", inner.selects[0].expressions)


def _look_within(match: exp.RegexpLike) -> None:
    """Its REGEXP_LIKE has to match the whole text, also over lines, where DuckDB's regexp_matches finds a part."""
    if not match.args.get("flag"):
        before, after = exp.Literal.string(".*("), exp.Literal.string(").*")
        match.set("expression", exp.DPipe(this=exp.DPipe(this=before, expression=match.expression), expression=after))
        match.set("flag", exp.Literal.string("s"))


def _listing(table: exp.Table, prefix: str) -> exp.Subquery:
    """Our own schemas in the catalogue of names, under the names that the platform gave them."""
    name = table.name.lower()
    ours = ", ".join(f"'{prefix}{schema}'".upper() for schema in SCHEMAS)
    listing = (
        f"select substr(lower(c.table_schema), {len(prefix) + 1}) as table_schema, lower(c.table_name) as table_name, "
        f"{_COLUMNS_OF[name]} from {_CATALOG}.{name} as c where c.table_schema in ({ours})"
    )
    query = parse_one(listing, read="snowflake")
    assert isinstance(query, exp.Select)
    return query.subquery(table.alias or name)
