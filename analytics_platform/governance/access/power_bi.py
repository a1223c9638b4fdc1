"""The policy as roles of a Power BI semantic model over the extracts, in TMDL. Pure: text out.

A role per audience. A table that it may not see has no rows; a masked column is gone (`metadataPermission: none`); rows
are filtered by tenant. A denied table keeps its name, because the five pages of the report are one for all roles: a
visual over a table that is gone is an error in the reader's face, one over a table without rows is blank. Names of
tables are no secret, and columns that are gone stand on no page.

The model's shared tables (dimensions) hold values of several extracts. Whoever sees none of them sees no value; who
sees some sees the values of all of them, of its own tenant where it is bound to one.

Two facts decide who is bound by all this, and no role can change them:

- **Row-level security binds Viewers of the workspace only.** Admins, Members and Contributors see every row, so the
  workspace's membership is part of the drift check (`live.power_bi_access`).
- A role is held by a group of the identity provider; nobody is listed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from analytics_platform.catalog import Audience
from analytics_platform.governance.access.drift import Access, Privilege
from analytics_platform.governance.access.policy import Policy
from analytics_platform.governance.access.tables import Table

TARGET = "power_bi"
VIEWER = "Viewer"
ADMIN_ROLE = "admin"
"""The role whose holders may be more than Viewers: they see every row anyway."""

NO_ROWS = "FALSE()"
"""The filter of a table that a role may not see."""

_MEMBERS = (
    "/// Members: the group {group}. Row-level security binds Viewers of the workspace only: give this group the\n"
    "/// workspace role Viewer and no other.\n"
)


@dataclass(frozen=True)
class ModelTables:
    """How the semantic model differs from the list of all extracts.

    Attributes:
        shared: tables with values of several extracts: their tenant column and those extracts' datasets, by table.
        datasets: the extracts that are in the model; None for all.
    """

    shared: Mapping[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    datasets: frozenset[str] | None = None


ALL_EXTRACTS = ModelTables()


def compile_power_bi(
    policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str], model: ModelTables = ALL_EXTRACTS
) -> dict[str, str]:
    """One TMDL file per audience that sees any extract."""
    roles = power_bi_roles(policy, tables, tenants, model)
    return {f"power_bi/roles/{name}.tmdl": text for name, text in roles.items()}


def power_bi_roles(
    policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str], model: ModelTables = ALL_EXTRACTS
) -> dict[str, str]:
    """The text of each role by its audience's name."""
    extracts = [
        table
        for table in tables.values()
        if table.is_extract and (model.datasets is None or table.dataset in model.datasets)
    ]
    return {
        audience.name: _role(policy, extracts, audience, model.shared)
        for audience in _readers(policy, extracts, tenants)
    }


def expected(policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str]) -> Access:
    """The workspace's members: each audience's group, as Viewer; administrators' as Admin."""
    extracts = [table for table in tables.values() if table.is_extract]
    return Access(
        frozenset(
            Privilege(TARGET, group(each), "workspace", "Admin" if each.role == ADMIN_ROLE else VIEWER)
            for each in _readers(policy, extracts, tenants)
        )
    )


def group(audience: Audience) -> str:
    """The group of the identity provider that holds a role."""
    return f"analytics.{audience.role}" + (f".{audience.tenant}" if audience.tenant else "")


def _readers(policy: Policy, extracts: Iterable[Table], tenants: Iterable[str]) -> list[Audience]:
    names = {table.dataset for table in extracts}
    return [each for each in policy.audiences(tenants) if names & policy.by_role[each.role].by_dataset.keys()]


def _role(
    policy: Policy,
    extracts: Iterable[Table],
    audience: Audience,
    shared: Mapping[str, tuple[str, tuple[str, ...]]],
) -> str:
    lines = [_MEMBERS.format(group=group(audience)) + f"role '{audience.name}'", "\tmodelPermission: read", ""]
    grants = policy.by_role[audience.role].by_dataset
    for table in extracts:
        name, grant = table.place[1], grants.get(table.dataset)
        if grant is None:
            lines += _permission(name, NO_ROWS)
            continue
        if grant.tenant_column is not None:
            lines += _permission(name, _own_rows(name, grant.tenant_column, audience))
        elif grant.masked:
            lines += _permission(name)
        for column in grant.masked:
            lines += [f"\t\tcolumnPermission {column}", "\t\t\tmetadataPermission: none", ""]
    for name, (column, datasets) in shared.items():
        if not grants.keys() & set(datasets):
            lines += _permission(name, NO_ROWS)
        elif audience.tenant is not None:
            lines += _permission(name, _own_rows(name, column, audience))
    return "\n".join(lines)


def _permission(table: str, filter_: str | None = None) -> list[str]:
    name = table if table.isidentifier() else "'" + table.replace("'", "''") + "'"
    return [f"\ttablePermission {name}" + (f" = {filter_}" if filter_ else ""), ""]


def _own_rows(table: str, column: str, audience: Audience) -> str:
    tenant = str(audience.tenant).replace('"', '""')
    name = table.replace("'", "''")
    return f"'{name}'[{column}] = \"{tenant}\""
