"""Checks of what is published: extracts and dashboards."""

import re
from collections.abc import Mapping, Sequence

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from analytics_platform.catalog import PII_CLASSES, Catalog, Extract
from analytics_platform.defs import keys
from analytics_platform.lake.store import ObjectStore
from analytics_platform.reporting.dashboards import STAFF, audiences, dashboard_key
from analytics_platform.reporting.extracts import arrow_schema, extract_key, published_days
from asset_checks.factory import Facts, Scope, check

_LOADS_FROM_ELSEWHERE = re.compile(rb"""(?:src|href)\s*=\s*["']?(?:https?:)?//|@import|url\(\s*["']?https?:""", re.I)
_POLICY = b"Content-Security-Policy"


def published_checks(catalog: Catalog) -> list[dg.AssetChecksDefinition]:
    """All checks of extracts and dashboards."""
    extracts = [
        made
        for dashboard in catalog.dashboards.values()
        for extract in dashboard.extracts
        for made in (_budget_check(dashboard.name, extract), _schema_check(dashboard.name, extract))
    ]
    pages = [
        made
        for name in catalog.dashboards
        for made in (_self_contained_check(catalog, name), _audience_check(catalog, name))
    ]
    return [*extracts, *pages]


def rows_are_within_budget(rows_by_day: Mapping[str, int], budget: int) -> Facts:
    """No day has more rows than its owner allows."""
    offenders = [f"{day}: {rows} rows" for day, rows in rows_by_day.items() if rows > budget]
    most = max(rows_by_day.values(), default=0)
    counts = {"days": len(rows_by_day), "most_rows_a_day": most, "row_budget": budget}
    return Facts(not offenders, f"{len(offenders)} of {len(rows_by_day)} days exceed {budget} rows", counts, offenders)


def columns_are_as_declared(files: Mapping[str, Sequence[tuple[str, str, str]]], extract: Extract) -> Facts:
    """Every file has the declared columns, types and PII classes, and none above the extract's policy.

    Args:
        files: by day, each column's name, type and PII class.
        extract: the declaration.
    """
    declared = [_described(field) for field in arrow_schema(extract)]
    allowed = PII_CLASSES[: PII_CLASSES.index(extract.pii_policy) + 1]
    offenders = [
        day
        for day, columns in files.items()
        if list(columns) != declared or any(pii not in allowed for _, _, pii in columns)
    ]
    counts = {"days": len(files), "columns": len(declared)}
    return Facts(not offenders, f"{len(offenders)} of {len(files)} days break schema or PII policy", counts, offenders)


def pages_are_self_contained(pages: Mapping[str, bytes]) -> Facts:
    """Each page opens right away from anywhere: it loads nothing from elsewhere and says so in a content policy."""
    offenders = [key for key, body in pages.items() if _LOADS_FROM_ELSEWHERE.search(body) or _POLICY not in body]
    counts = {"pages": len(pages), "bytes": sum(len(body) for body in pages.values())}
    passed = bool(pages) and not offenders
    return Facts(passed, f"{len(offenders)} of {len(pages)} pages need something from elsewhere", counts, offenders)


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
    return Facts(not offenders, f"{len(offenders)} pages name another tenant", {"pages": len(pages)}, offenders)


def _budget_check(dashboard: str, extract: Extract) -> dg.AssetChecksDefinition:
    def judge(scope: Scope) -> Facts:
        footers = {day: pq.read_metadata(scope.store.local_path(key)) for day, key in _files(scope, dashboard, extract)}
        return rows_are_within_budget({day: footer.num_rows for day, footer in footers.items()}, extract.row_budget)

    return check(
        keys.extract(dashboard, extract.name),
        "rows_are_within_budget",
        judge,
        description=f"At most {extract.row_budget} rows a day: more would not open in a consumer's tool.",
        severity=dg.AssetCheckSeverity.WARN,
    )


def _schema_check(dashboard: str, extract: Extract) -> dg.AssetChecksDefinition:
    def judge(scope: Scope) -> Facts:
        files = {
            day: [_described(field) for field in pq.read_schema(scope.store.local_path(key))]
            for day, key in _files(scope, dashboard, extract)
        }
        return columns_are_as_declared(files, extract)

    return check(
        keys.extract(dashboard, extract.name),
        "columns_are_as_declared",
        judge,
        description=f"Schema version {extract.schema_version}, at most {extract.pii_policy} data, in every file.",
        blocking=True,
    )


def _self_contained_check(catalog: Catalog, dashboard: str) -> dg.AssetChecksDefinition:
    return check(
        keys.dashboard(dashboard),
        "pages_are_self_contained",
        lambda scope: pages_are_self_contained(_pages(scope.store, dashboard, audiences(catalog, dashboard))),
        description="Every audience has a page, and each opens without a network.",
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
    )


def _pages(store: ObjectStore, dashboard: str, names: Sequence[str]) -> dict[str, bytes]:
    return {dashboard_key(dashboard, name): store.get(dashboard_key(dashboard, name)) for name in names}


def _files(scope: Scope, dashboard: str, extract: Extract) -> list[tuple[str, str]]:
    """Day and key of each published file within the scope."""
    first, last = scope.days()
    days = published_days(scope.store, dashboard, extract.name)
    return [(day.isoformat(), extract_key(dashboard, extract.name, day)) for day in days if first <= day <= last]


def _described(column: pa.Field) -> tuple[str, str, str]:
    """Name, type and PII class of a column, as the file says."""
    return column.name, str(column.type), (column.metadata or {}).get(b"pii", b"").decode()
