"""Checks of what is published: dashboards. Those of the extracts that they are made from are in `extracts`."""

import re
from collections.abc import Mapping, Sequence

import dagster as dg

from analytics_platform.catalog import Catalog
from analytics_platform.defs import keys
from analytics_platform.lake.store import ObjectStore
from analytics_platform.reporting.dashboards import STAFF, audiences, dashboard_key
from asset_checks.factory import Facts, Scope, check

_LOADS_FROM_ELSEWHERE = re.compile(rb"""(?:src|href)\s*=\s*["']?(?:https?:)?//|@import|url\(\s*["']?https?:""", re.I)
_POLICY = b"Content-Security-Policy"


def published_checks(catalog: Catalog) -> list[dg.AssetChecksDefinition]:
    """All checks of dashboards."""
    return [
        made
        for name in catalog.dashboards
        for made in (_self_contained_check(catalog, name), _audience_check(catalog, name))
    ]


def pages_are_self_contained(pages: Mapping[str, bytes]) -> Facts:
    """Each page opens right away from anywhere: it loads nothing from elsewhere and says so in a content policy."""
    offenders = [key for key, body in pages.items() if _LOADS_FROM_ELSEWHERE.search(body) or _POLICY not in body]
    counts = {"pages": len(pages), "bytes": sum(len(body) for body in pages.values())}
    passed = bool(pages) and not offenders
    summary = f"{len(offenders)} of {len(pages)} pages need something from elsewhere"
    return Facts(passed, summary, counts, offenders, len(pages), len(offenders))


def pages_hold_only_their_tenant(pages: Mapping[str, bytes], names: Mapping[str, str]) -> Facts:
    """No tenant's page has another tenant's id or name in its bytes: what is not there cannot be shown.

    Args:
        pages: page by tenant id.
        names: display name by tenant id.
    """
    offenders = [
        f"{tenant}: {other}"
        for tenant, body in pages.items()
        for other, name in names.items()
        if other != tenant and (other.encode() in body or name.encode() in body)
    ]
    leaky = {offender.partition(":")[0] for offender in offenders}
    summary = f"{len(leaky)} of {len(pages)} pages name another tenant"
    return Facts(not offenders, summary, {"pages": len(pages)}, offenders, len(pages), len(leaky))


def _self_contained_check(catalog: Catalog, dashboard: str) -> dg.AssetChecksDefinition:
    return check(
        keys.dashboard(dashboard),
        "pages_are_self_contained",
        lambda scope: pages_are_self_contained(_pages(scope.store, dashboard, audiences(catalog, dashboard))),
        description="Every audience has a page, and each opens without a network.",
        dimension="validity",
    )


def _audience_check(catalog: Catalog, dashboard: str) -> dg.AssetChecksDefinition:
    def judge(scope: Scope) -> Facts:
        tenants = [name for name in audiences(catalog, dashboard) if name != STAFF]
        names = {tenant.tenant_id: tenant.name for tenant in catalog.tenants.values()}
        pages = _pages(scope.store, dashboard, tenants)
        by_tenant = {tenant: pages[dashboard_key(dashboard, tenant)] for tenant in tenants}
        return pages_hold_only_their_tenant(by_tenant, names)

    return check(
        keys.dashboard(dashboard),
        "pages_hold_only_their_tenant",
        judge,
        description="Rows are filtered before they are embedded: no page holds another tenant's name.",
        dimension="validity",
    )


def _pages(store: ObjectStore, dashboard: str, names: Sequence[str]) -> dict[str, bytes]:
    return {dashboard_key(dashboard, name): store.get(dashboard_key(dashboard, name)) for name in names}
