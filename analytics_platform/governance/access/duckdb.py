"""The policy as DuckDB's views and as the selects that fill an audience's file. Pure: SQL out.

DuckDB has no grants: whoever can open the warehouse's file reads all of it. So the boundary is the file that an
audience gets, filtered and masked before it is written; the views are the same selects inside the warehouse, for those
who work there and want to see what an audience sees.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from analytics_platform.catalog import Audience
from analytics_platform.errors import AnalyticsError
from analytics_platform.governance.access.policy import Grant, Policy, Role
from analytics_platform.governance.access.tables import Table

_PLAIN = re.compile(r"[A-Za-z0-9_.$@-]+")

VIEW_SCHEMA = "audience_"
"""Schemas of views begin with it; no other schema of the warehouse does."""

Live = Mapping[str, Collection[str]]
"""Columns by table (`schema.name`) as the warehouse has them."""


@dataclass(frozen=True)
class Selected:
    """One dataset as one audience sees it.

    Attributes:
        table: what it is cut from.
        columns: in clear, of those that are there.
        masked: null in every row.
        sql: the select.
    """

    table: Table
    columns: tuple[str, ...]
    masked: tuple[str, ...]
    sql: str


def selects(policy: Policy, tables: Mapping[str, Table], audience: Audience, live: Live) -> Iterator[Selected]:
    """What an audience sees, dataset by dataset; of tables that are not built yet there is nothing to see."""
    for grant in policy.by_role[audience.role].grants:
        table = tables.get(grant.dataset)
        if table is None or not all(name in live for name in table.reads):
            continue
        present = {column.name for column in table.columns} if table.is_extract else set(live[table.dataset])
        if grant.tenant_column is not None and grant.tenant_column not in present:
            continue  # its rows cannot be told apart, so nobody of this audience sees one
        columns = tuple(name for name in grant.columns if name in present)
        masked = tuple(name for name in grant.masked if name in present)
        if columns or masked:
            yield Selected(table, columns, masked, _select(table, grant, audience, (columns, masked)))


def view_schema(audience: Audience) -> str:
    """The schema of an audience's views, quoted."""
    return f'"{VIEW_SCHEMA}{audience.name}"'


def view_name(table: Table) -> str:
    """The name of a dataset's view within an audience's schema."""
    return table.dataset.replace(".", "__")


def create_views(policy: Policy, tables: Mapping[str, Table], audience: Audience, live: Live) -> list[str]:
    """Statements that make an audience's schema and views anew."""
    schema = view_schema(audience)
    return [
        f"create schema {schema}",
        *(
            f"create view {schema}.{view_name(each.table)} as {each.sql}"
            for each in selects(policy, tables, audience, live)
        ),
    ]


def sees_everything(role: Role, tables: Mapping[str, Table]) -> bool:
    """Whether a role may see all that is declared: it opens the warehouse itself, and a second copy would be a risk."""
    if role.rows != "all":
        return False
    described = {name: {column.name for column in table.columns if column.pii} for name, table in tables.items()}
    return all(
        name in role.by_dataset and columns <= set(role.by_dataset[name].columns) for name, columns in described.items()
    )


def whole(tables: Mapping[str, Table]) -> Live:
    """Every declared table as if it were built: for compiling without a warehouse."""
    return {
        name: tuple(column.name for column in table.columns) for name, table in tables.items() if not table.is_extract
    }


def _select(table: Table, grant: Grant, audience: Audience, columns: tuple[tuple[str, ...], tuple[str, ...]]) -> str:
    clear, masked = columns
    # The type of a masked column stays, its values are never read.
    items = [*clear, *(f"case when false then {name} end as {name}" for name in masked)]
    where = f" where {grant.tenant_column} = {literal(str(audience.tenant))}" if grant.tenant_column else ""
    return f"select {', '.join(items)} from {table.source}{where}"


def literal(text: str) -> str:
    """A string literal of DuckDB's SQL."""
    return "'" + text.replace("'", "''") + "'"


class UnquotableNameError(AnalyticsError):
    """A name cannot be written into the SQL of every product."""


def plain_literal(text: str) -> str:
    """A string literal of any product's SQL: of a tenant or a role, in which nothing has to be escaped.

    Snowflake and BigQuery end a literal in other places than DuckDB: a backslash escapes what follows.

    Raises:
        UnquotableNameError: it is no such name.
    """
    if _PLAIN.fullmatch(text) is None:
        raise UnquotableNameError(f"{text!r} is no name for a policy; write letters, digits, and _ - . $ @ alone")
    return f"'{text}'"
