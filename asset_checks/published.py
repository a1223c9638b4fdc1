"""Checks of what is published: dashboards. Those of the extracts that they are made from are in `extracts`."""

import json
import re
from collections.abc import Mapping

import dagster as dg

from analytics_platform.catalog import Audience, Catalog
from analytics_platform.defs import keys
from analytics_platform.lake.store import ObjectStore
from analytics_platform.reporting.dashboards import audiences, dashboard_key
from analytics_platform.reporting.page import payload_of
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


def pages_hold_only_their_tenant(pages: Mapping[Audience, bytes], names: Mapping[str, str]) -> Facts:
    """No tenant's page has another tenant's id or name, in its bytes or in what it packs: so it cannot show it.

    Args:
        pages: of audiences with a tenant.
        names: display name by tenant id.
    """
    offenders = []
    for audience, body in pages.items():
        texts = (body, json.dumps(payload_of(body), ensure_ascii=False).encode())
        offenders += [
            f"{audience.name}: {other}"
            for other, name in names.items()
            if other != audience.tenant and any(mark.encode() in text for mark in (other, name) for text in texts)
        ]
    leaky = {offender.partition(":")[0] for offender in offenders}
    summary = f"{len(leaky)} of {len(pages)} pages name another tenant"
    return Facts(not offenders, summary, {"pages": len(pages)}, offenders, len(pages), len(leaky))


def _self_contained_check(catalog: Catalog, dashboard: str) -> dg.AssetChecksDefinition:
    return check(
        keys.dashboard(dashboard),
        "pages_are_self_contained",
        lambda scope: pages_are_self_contained(
            {audience.name: page for audience, page in _pages(scope.store, catalog, dashboard).items()}
        ),
        description="Every audience has a page, and each opens without a network.",
        dimension="validity",
    )


def _audience_check(catalog: Catalog, dashboard: str) -> dg.AssetChecksDefinition:
    def judge(scope: Scope) -> Facts:
        pages = _pages(scope.store, catalog, dashboard)
        own = {audience: body for audience, body in pages.items() if audience.tenant}
        names = {tenant.tenant_id: tenant.name for tenant in catalog.tenants.values()}
        return pages_hold_only_their_tenant(own, names)

    return check(
        keys.dashboard(dashboard),
        "pages_hold_only_their_tenant",
        judge,
        description="Rows are filtered before they are embedded: no page holds another tenant's name, packed or not.",
        dimension="validity",
    )


def _pages(store: ObjectStore, catalog: Catalog, dashboard: str) -> dict[Audience, bytes]:
    return {each: store.get(dashboard_key(dashboard, each)) for each in audiences(catalog, dashboard)}
