"""The policy for Snowflake: roles, grants, row access policies and masking policies. Pure: DDL out.

A role per audience, so no policy has to know a person. Policies are per table and column: with one per class, somebody
who holds two roles would see with the one what only the other may. They come into force like this:

- `create … if not exists` and `alter … set body` change a policy that is attached, which `create or replace` cannot.
- Whoever loads and builds is in every policy: the owner of a table is bound by them like everybody else, and a build
  that sees filtered or masked rows would write them back.
- `create or replace table` detaches policies and drops grants. Every attachment is a statement that does nothing where
  it stands already, and the models run theirs as post-hooks: dbt grants after its hooks, so a table that was made anew
  is readable again only when it is protected (`dbt_grants`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from analytics_platform.catalog import Audience
from analytics_platform.governance.access.drift import Access, Drift, Privilege, Restriction
from analytics_platform.governance.access.duckdb import plain_literal
from analytics_platform.governance.access.policy import Policy
from analytics_platform.governance.access.tables import Column, Table

TARGET = "snowflake"
SCHEMA = "access"
"""Schema of the policies."""


@dataclass(frozen=True)
class Account:
    """A deployment's place in Snowflake.

    Attributes:
        database: the database.
        writer: the role that loads and builds.
    """

    database: str
    writer: str


@dataclass(frozen=True)
class Reader:
    """A table as Snowflake's roles see it, over all audiences.

    Attributes:
        table: the table.
        audiences: whoever may select from it.
    """

    table: Table
    audiences: tuple[Audience, ...]


def role_name(audience: Audience) -> str:
    """Snowflake's role of an audience: no name of ours holds a `$`, so no two audiences share one.

    It needs no quotes, for dbt grants to a name without and revokes from it with them.
    """
    tenant = "" if audience.tenant is None else "$" + audience.tenant.replace("-", "$").upper()
    return f"ANALYTICS_{audience.role.upper()}{tenant}"


def readers(policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str]) -> list[Reader]:
    """Every table of the warehouse that anybody may read."""
    everybody = policy.audiences(tenants)
    found = []
    for dataset, table in tables.items():
        if table.is_extract:
            continue  # extracts are objects of the lake, and no table of the warehouse
        audiences = tuple(each for each in everybody if dataset in policy.by_role[each.role].by_dataset)
        if audiences:
            found.append(Reader(table, audiences))
    return found


def row_body(reader: Reader, account: Account) -> str:
    """The body of a table's row access policy: an expression over `tenant_id`."""
    tests = [_in_session(account.writer)]
    for audience in reader.audiences:
        test = _in_session(role_name(audience))
        if audience.tenant is not None:
            test = f"(tenant_id = {plain_literal(audience.tenant)} and {test})"
        tests.append(test)
    return " or ".join(tests)


def mask_body(policy: Policy, reader: Reader, column: str, account: Account) -> str:
    """The body of a column's masking policy: an expression over `val`."""
    dataset = reader.table.dataset
    shown = [each for each in reader.audiences if column in policy.by_role[each.role].by_dataset[dataset].columns]
    tests = " or ".join(map(_in_session, [account.writer, *(role_name(each) for each in shown)]))
    return f"case when {tests} then val end"


def masked_columns(policy: Policy, reader: Reader) -> list[Column]:
    """The columns that are masked for somebody who reads the table."""
    return [
        column
        for column in reader.table.columns
        if any(
            column.name in policy.by_role[each.role].by_dataset[reader.table.dataset].masked
            for each in reader.audiences
        )
    ]


def attachments(policy: Policy, reader: Reader, database: str) -> list[str]:
    """Statements that attach a table's policies where they are not attached; safe to run at any time."""
    rows = [_attach_rows(reader.table, database)] if reader.table.tenant_column is not None else []
    return rows + [
        f"alter table {database}.{reader.table.dataset} modify column {column.name} "
        f"set masking policy {database}.{SCHEMA}.{mask_name(reader.table, column.name)} force"
        for column in masked_columns(policy, reader)
    ]


def row_name(table: Table) -> str:
    """Name of a table's row access policy."""
    return f"rows_of_{table.dataset.replace('.', '__')}"


def mask_name(table: Table, column: str) -> str:
    """Name of a column's masking policy."""
    return f"mask_of_{table.dataset.replace('.', '__')}__{column}"


def statements(
    policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str], account: Account
) -> dict[str, list[str]]:
    """All DDL by step, in the order in which it is run; each statement does nothing where it stands already."""
    tenants = list(tenants)
    found = readers(policy, tables, tenants)
    return {
        "1_roles": list(_roles(policy.audiences(tenants), account.database)),
        "2_policies": list(_policies(policy, found, account)),
        "3_attach": [each for reader in found for each in attachments(policy, reader, account.database)],
        "4_grants": list(_grants(found, account.database)),
    }


def compile_snowflake(
    policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str], account: Account
) -> dict[str, str]:
    """The same by file."""
    steps = statements(policy, tables, tenants, account)
    return {f"snowflake/{step}.sql": _script(each) for step, each in steps.items()}


def after_models(
    policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str], account: Account
) -> dict[str, list[str]]:
    """By dataset that dbt builds, what brings back what `create or replace table` takes: policies, then grants."""
    return {
        reader.table.dataset: [*attachments(policy, reader, account.database), *_grants([reader], account.database)]
        for reader in readers(policy, tables, tenants)
        if reader.table.dbt_path is not None
    }


def revocation(drift: Drift, account: Account) -> str | None:
    """The statement that takes a privilege away; None where what differs is a policy."""
    right, _, granted = drift.what.partition(" is granted")
    if not granted:
        return None
    return f"revoke {right.lower()} on table {account.database}.{drift.object} from role {drift.audience}"


def expected(policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str], account: Account) -> Access:
    """What Snowflake grants and hides when the DDL is in force."""
    privileges, restrictions = set(), {}
    for reader in readers(policy, tables, tenants):
        dataset = reader.table.dataset
        privileges |= {Privilege(TARGET, role_name(each), dataset, "SELECT") for each in reader.audiences}
        if reader.table.tenant_column is not None:
            restrictions[row_restriction(dataset)] = flat(row_body(reader, account))
        for column in masked_columns(policy, reader):
            restrictions[mask_restriction(dataset, column.name)] = flat(mask_body(policy, reader, column.name, account))
    return Access(frozenset(privileges), restrictions)


def row_restriction(dataset: str) -> Restriction:
    """The row access policy of a table."""
    return Restriction(TARGET, "every role", dataset, "row access policy")


def mask_restriction(dataset: str, column: str) -> Restriction:
    """The masking policy of a column."""
    return Restriction(TARGET, "every role", dataset, f"masking policy of {column}")


def flat(body: str) -> str:
    """A body without the white space and the case of keywords that Snowflake may store otherwise."""
    return " ".join(body.split()).rstrip(";")


def _in_session(role: str) -> str:
    return f"is_role_in_session({plain_literal(role.upper())})"


def _roles(audiences: Iterable[Audience], database: str) -> Iterator[str]:
    yield f"create schema if not exists {database}.{SCHEMA}"
    for audience in audiences:
        yield f"create role if not exists {role_name(audience)}"
        yield f"grant usage on database {database} to role {role_name(audience)}"


def _policies(policy: Policy, found: Iterable[Reader], account: Account) -> Iterator[str]:
    database = account.database
    for reader in found:
        if reader.table.tenant_column is not None:
            name = f"{database}.{SCHEMA}.{row_name(reader.table)}"
            body = row_body(reader, account)
            yield f"create row access policy if not exists {name} as (tenant_id varchar) returns boolean -> {body}"
            yield f"alter row access policy {name} set body -> {body}"
        for column in masked_columns(policy, reader):
            name = f"{database}.{SCHEMA}.{mask_name(reader.table, column.name)}"
            body = mask_body(policy, reader, column.name, account)
            yield f"create masking policy if not exists {name} as (val {column.type}) returns {column.type} -> {body}"
            yield f"alter masking policy {name} set body -> {body}"


def _attach_rows(table: Table, database: str) -> str:
    """Snowflake refuses a second row access policy, and dropping the first would leave the table open meanwhile."""
    name = row_name(table)
    return (
        "execute immediate $$ begin if (not exists (select 1 from table("
        f"{database}.information_schema.policy_references(ref_entity_name => '{database}.{table.dataset}', "
        f"ref_entity_domain => 'table')) where policy_name = '{name.upper()}')) then "
        f"alter table {database}.{table.dataset} add row access policy {database}.{SCHEMA}.{name} "
        f"on ({table.tenant_column}); "
        "end if; end; $$"
    )


def _grants(found: Iterable[Reader], database: str) -> Iterator[str]:
    seen = set()
    for reader in found:
        schema = reader.table.place[0]
        for audience in reader.audiences:
            if (schema, audience) not in seen:
                seen.add((schema, audience))
                yield f"grant usage on schema {database}.{schema} to role {role_name(audience)}"
            yield f"grant select on table {database}.{reader.table.dataset} to role {role_name(audience)}"


def _script(statements: Iterable[str]) -> str:
    return "".join(f"{statement};\n" for statement in statements)
