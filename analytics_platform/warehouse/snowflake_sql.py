"""What sqlglot leaves to do of DuckDB's SQL before Snowflake understands it as it was meant.

Snowflake writes names in capitals where nobody quoted them, has its own names of types, and divides whole numbers to
six decimals. Belongs here: rewriting a parsed statement. Stays out: parsing and prefixes (`translation`).
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


def rewrite(statement: exp.Expr, prefix: str) -> exp.Expr:
    """The statement for Snowflake, before prefixes are put on its schemas."""
    for division in list(statement.find_all(exp.Div)):
        division.set("this", exp.cast(division.this, exp.DataType.Type.DOUBLE))
    for table in list(statement.find_all(exp.Table)):
        if table.db.lower() == _CATALOG:
            table.replace(_listing(table, prefix))
    return statement


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
