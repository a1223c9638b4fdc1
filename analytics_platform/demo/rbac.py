"""The demo's export of its RBAC: who holds which role at the four companies and at the platform's maker.

The same people in every demo; only the time of the export is that of writing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from analytics_platform.catalog import Catalog

WRITER = "analytics demo"


def write_export(path: Path, catalog: Catalog, at: datetime) -> bool:
    """Write the export unless there is one that the demo has not written; answers whether it did."""
    if path.exists() and json.loads(path.read_text(encoding="utf-8")).get("exported_by") != WRITER:
        return False
    told = {"exported_by": WRITER, "exported_at": at.isoformat(timespec="seconds"), "members": list(_members(catalog))}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return True


def is_demo(path: Path) -> bool:
    """Whether an export is there and is the demo's own."""
    return path.exists() and json.loads(path.read_text(encoding="utf-8")).get("exported_by") == WRITER


def sign_ins(catalog: Catalog) -> list[tuple[str, str]]:
    """Names under which the demo's people sign in at the portal, with their principals: one of each kind."""
    tenant = next(iter(catalog.tenants))
    staff = [(role, f"usr_{role}_1") for role in ("admin", "executive", "finance")]
    return [*staff, (tenant, f"usr_{tenant}_1")]


def _members(catalog: Catalog) -> Iterator[dict[str, Any]]:
    """Two people of each role of staff, and for each tenant one by id and one by address."""
    for role in catalog.access_roles.values():
        name = role.meant_by[0]
        if role.tenants == "all":
            yield from ({"principal": f"usr_{role.name}_{number}", "role": name, "tenants": []} for number in (1, 2))
            continue
        for tenant in catalog.tenants:
            yield {"principal": f"usr_{tenant}_1", "role": name, "tenants": [tenant]}
            yield {"principal": f"office@{tenant}.example", "role": name, "tenants": [tenant]}
