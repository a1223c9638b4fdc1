"""The policy for BigQuery: views per role that hold the masks, row access policies below them, IAM on the views. Pure.

Masks are authorized views, not policy tags. A tag is one for all tables of a class and lives in another service,
outside of SQL: a role that may see pseudonyms of invoices would see those of tickets too, `create or replace` would
drop it unless each model repeats it, and nothing here could try it out. A view is per role and dataset, is the same
select that DuckDB runs in the tests, and readers have no right at all on the tables below.

Rows are the tables' own: a row access policy judges who asks, also through a view. The account that writes has the TRUE
policy, or its DML would be refused; `create or replace table` drops the policies, so the models run theirs as
post-hooks (`dbt_grants`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from analytics_platform.catalog import Audience
from analytics_platform.governance.access.drift import Access, Drift, Privilege, Restriction
from analytics_platform.governance.access.duckdb import plain_literal
from analytics_platform.governance.access.policy import Policy, Role
from analytics_platform.governance.access.snowflake import Reader, flat, readers
from analytics_platform.governance.access.tables import Table

TARGET = "bigquery"
VIEWER = "roles/bigquery.dataViewer"
WRITER_POLICY = "writer"
"""Name of the TRUE policy of whoever writes."""

AUTHORIZED = "bigquery/3_authorized_datasets.json"
"""What somebody enters into the datasets' access lists once per role; no SQL does it."""


@dataclass(frozen=True)
class Project:
    """A deployment's project.

    Attributes:
        name: the project.
        groups_domain: domain of the groups that the identity provider keeps, one per audience.
        writer: the service account that loads and builds.
    """

    name: str
    groups_domain: str
    writer: str


def group(audience: Audience, project: Project) -> str:
    """The group of an audience; a dot stands in no name of a role or tenant, so no two audiences share one."""
    local = f"analytics.{audience.role}" + (f".{audience.tenant}" if audience.tenant else "")
    return f"group:{local}@{project.groups_domain}"


def view_dataset(role: str) -> str:
    """The dataset with a role's views."""
    return f"audience_{role}"


def row_policies(reader: Reader, project: Project) -> dict[str, tuple[tuple[str, ...], str]]:
    """The row access policies of a table by name: who, and which rows. Whoever is in none sees no row."""
    everything = tuple(group(each, project) for each in reader.audiences if each.tenant is None)
    found: dict[str, tuple[tuple[str, ...], str]] = {WRITER_POLICY: ((f"serviceAccount:{project.writer}",), "true")}
    if everything:
        found["all_tenants"] = (everything, "true")
    for audience in reader.audiences:
        if audience.tenant is not None:
            told_apart = hashlib.sha256(audience.tenant.encode()).hexdigest()[:6]  # a-b and a_b are two tenants
            name = f"own_{audience.role}_{audience.tenant.replace('-', '_')}_{told_apart}"
            found[name] = ((group(audience, project),), f"tenant_id = {plain_literal(audience.tenant)}")
    return found


def row_statements(reader: Reader, project: Project) -> list[str]:
    """Statements that set a table's row access policies, the writer's first."""
    if reader.table.tenant_column is None:
        return []
    return [
        f"create or replace row access policy {name} on `{project.name}.{reader.table.dataset}` "
        f"grant to ({', '.join(json.dumps(each) for each in who)}) filter using ({rows})"
        for name, (who, rows) in row_policies(reader, project).items()
    ]


def view_statements(policy: Policy, tables: Mapping[str, Table], role: Role, project: Project) -> list[str]:
    """A role's dataset and views; a masked column is null of its type."""
    home = f"{project.name}.{view_dataset(role.name)}"
    statements = [f"create schema if not exists `{home}`"]
    for grant in role.grants:
        table = tables.get(grant.dataset)
        if table is None or table.is_extract:
            continue
        hidden = [f"if(false, {name}, null) as {name}" for name in grant.masked]
        name = grant.dataset.replace(".", "__")
        statements.append(
            f"create or replace view `{home}.{name}` as select {', '.join([*grant.columns, *hidden])} "
            f"from `{project.name}.{grant.dataset}`"
        )
    return statements if len(statements) > 1 else []


def statements(
    policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str], project: Project
) -> dict[str, list[str]]:
    """All DDL by step; run in this order, with the views authorized before the last."""
    tenants = list(tenants)
    views = {role.name: view_statements(policy, tables, role, project) for role in policy.roles}
    return {
        "1_rows": [each for reader in readers(policy, tables, tenants) for each in row_statements(reader, project)],
        "2_views": [each for of_role in views.values() for each in of_role],
        "4_iam": list(_iam(policy.audiences(tenants), views, project)),
    }


def compile_bigquery(
    policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str], project: Project
) -> dict[str, str]:
    """The same by file, and the entries that authorize the views, which BigQuery takes by its API alone."""
    steps = statements(policy, tables, tenants, project)
    return {
        **{f"bigquery/{step}.sql": _script(each) for step, each in steps.items()},
        AUTHORIZED: _authorized(policy, tables, project),
    }


def after_models(
    policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str], project: Project
) -> dict[str, list[str]]:
    """By dataset that dbt builds, what brings back the row policies that `create or replace table` takes."""
    found = readers(policy, tables, tenants)
    return {
        reader.table.dataset: hooks
        for reader in found
        if reader.table.dbt_path is not None and (hooks := row_statements(reader, project))
    }


def revocation(drift: Drift, project: Project) -> str | None:
    """The statement that takes a role on a dataset, table or view away; None where what differs is a row policy."""
    right, _, granted = drift.what.partition(" is granted")
    if not granted or not right.startswith("roles/"):
        return None
    kind = "table" if "." in drift.object else "schema"
    return f"revoke `{right}` on {kind} `{project.name}.{drift.object}` from {json.dumps(drift.audience)}"


def expected(policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str], project: Project) -> Access:
    """What BigQuery grants and hides when all of it is in force."""
    tenants = list(tenants)
    privileges, restrictions = set(), {}
    for role in policy.roles:
        for statement in view_statements(policy, tables, role, project)[1:]:
            name = statement.split("`")[1].removeprefix(f"{project.name}.")
            restrictions[view_restriction(name)] = flat(statement.split(" as ", 1)[1])
    homes = {name.object.split(".")[0] for name in restrictions}
    for audience in policy.audiences(tenants):
        home = view_dataset(audience.role)
        if home in homes:
            privileges.add(Privilege(TARGET, group(audience, project), home, VIEWER))
    for reader in readers(policy, tables, tenants):
        if reader.table.tenant_column is not None:
            privileges |= {
                Privilege(TARGET, grantee, reader.table.dataset, f"rows where {rows}")
                for who, rows in row_policies(reader, project).values()
                for grantee in who
            }
    return Access(frozenset(privileges), restrictions)


def view_restriction(view: str) -> Restriction:
    """The definition of a view, which holds its masks."""
    return Restriction(TARGET, view.split(".")[0], view, "definition")


def _authorized(policy: Policy, tables: Mapping[str, Table], project: Project) -> str:
    """By dataset of tables, the datasets whose views may read it."""
    entries: dict[str, list[dict[str, object]]] = {}
    for role in policy.roles:
        schemas = {tables[each.dataset].place[0] for each in role.grants if each.kind == "table"}
        for schema in sorted(schemas):
            home = {"projectId": project.name, "datasetId": view_dataset(role.name)}
            entries.setdefault(schema, []).append({"dataset": {"dataset": home, "targetTypes": ["VIEWS"]}})
    return json.dumps(dict(sorted(entries.items())), indent=2) + "\n"


def _iam(audiences: Iterable[Audience], views: Mapping[str, list[str]], project: Project) -> Iterator[str]:
    for audience in audiences:
        if views[audience.role]:
            home = f"{project.name}.{view_dataset(audience.role)}"
            yield f"grant `{VIEWER}` on schema `{home}` to {json.dumps(group(audience, project))}"


def _script(statements: Iterable[str]) -> str:
    return "".join(f"{statement};\n" for statement in statements)
