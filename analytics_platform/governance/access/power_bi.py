"""The policy as roles of a Power BI semantic model over the extracts, in TMDL. Pure: text out.

A role per audience: a table that it may not see is gone (`metadataPermission: none`), and so is a masked column; rows
are filtered by tenant. Two facts decide who is bound by it, and no role can change them:

- **Row-level security binds Viewers of the workspace only.** Admins, Members and Contributors see every row, so the
  workspace's membership is part of the drift check (`live.power_bi_access`).
- A role is held by a group of the identity provider; nobody is listed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from analytics_platform.catalog import Audience
from analytics_platform.governance.access.drift import Access, Privilege
from analytics_platform.governance.access.policy import Policy
from analytics_platform.governance.access.tables import Table

TARGET = "power_bi"
VIEWER = "Viewer"
ADMIN_ROLE = "admin"
"""The role whose holders may be more than Viewers: they see every row anyway."""

_MEMBERS = (
    "/// Members: the group {group}. Row-level security binds Viewers of the workspace only: give this group the\n"
    "/// workspace role Viewer and no other.\n"
)


def compile_power_bi(policy: Policy, tables: Mapping[str, Table], tenants: Iterable[str]) -> dict[str, str]:
    """One TMDL file per audience that sees any extract."""
    extracts = [table for table in tables.values() if table.is_extract]
    return {
        f"power_bi/roles/{audience.name}.tmdl": _role(policy, extracts, audience)
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


def _role(policy: Policy, extracts: Iterable[Table], audience: Audience) -> str:
    lines = [_MEMBERS.format(group=group(audience)) + f"role '{audience.name}'", "\tmodelPermission: read", ""]
    grants = policy.by_role[audience.role].by_dataset
    for table in extracts:
        name = table.place[1]
        grant = grants.get(table.dataset)
        if grant is None:
            lines += [f"\ttablePermission {name}", "\t\tmetadataPermission: none", ""]
            continue
        if grant.tenant_column is not None:
            tenant = str(audience.tenant).replace('"', '""')
            lines += [f'\ttablePermission {name} = {name}[{grant.tenant_column}] = "{tenant}"', ""]
        elif grant.masked:
            lines += [f"\ttablePermission {name}", ""]
        for column in grant.masked:
            lines += [f"\t\tcolumnPermission {column}", "\t\t\tmetadataPermission: none", ""]
    return "\n".join(lines)
