"""The product's RBAC: whether it can be read, and how old it is; without it nobody sees anything."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from analytics_platform.defs.resources import rbac_source
from analytics_platform.doctor.deployment import Deployment
from analytics_platform.doctor.findings import Finding, fail, ok, skipped, told_by, warn
from analytics_platform.governance.access.memberships import RbacError
from analytics_platform.governance.access.rbac import read_rbac


def look(deployment: Deployment) -> Iterator[Finding]:
    """Read it once, as the portal and the graph do."""
    settings = deployment.settings
    source = rbac_source(settings)
    if source.address is None:
        if settings.portal_oidc_groups_claim is not None:
            yield ok("RBAC", "none; the provider's groups say who holds which role")
        elif deployment.serves_people:
            found = "nobody has said who holds which role, so nobody may see anything"
            yield fail("RBAC", found, "set rbac_source to the product's export, endpoint or database")
        else:
            yield skipped("RBAC", "rbac_source is not set, and the home has no rbac.json")
        return
    try:
        export = read_rbac(source)
    except RbacError as error:
        yield told_by("RBAC", error, mend="look at rbac_source")
        return
    if not export.members or export.exported_at is None:
        yield fail("RBAC", f"{export.source} names nobody", "look at what the product exports, and at rbac_query")
        return
    age, most = deployment.now - export.exported_at, timedelta(hours=settings.rbac_max_age_hours)
    people = len({member.principal for member in export.members})
    found = f"{export.source}: {people} principals, {age.total_seconds() / 3600:,.1f} hours old"
    if age > most:
        mend = "let the product export it again, or set rbac_max_age_hours to what it does"
        yield warn("RBAC", f"{found}; {settings.rbac_max_age_hours:g} are allowed", mend)
    else:
        yield ok("RBAC", found)
