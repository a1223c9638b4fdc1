"""Checks of what is published: dashboards. Those of the extracts that they are made from are in `extracts`."""

import json
import re
from collections.abc import Collection, Mapping

import dagster as dg
import polars as pl

from analytics_platform.catalog import PII_CLASSES, Audience, Catalog, ExtractColumn
from analytics_platform.defs import keys
from analytics_platform.lake.store import ObjectStore
from analytics_platform.reporting.dashboards import audiences, dashboard_inputs, dashboard_key
from analytics_platform.reporting.extracts import find_extract, published_days, read_extract
from analytics_platform.reporting.page import payload_of
from asset_checks.factory import Facts, Scope, check

_LOADS_FROM_ELSEWHERE = [
    re.compile(pattern)
    for pattern in (
        rb"""src\s*=\s*["']?(?:https?:)?//""",
        rb"""href\s*=\s*["']?(?:https?:)?//""",
        rb"@import",
        rb"""url\(\s*["']?https?:""",
    )
]
"""Of pages in lower case: each begins with letters, which are looked for in a tenth of the time of alternatives."""
_POLICY = b"Content-Security-Policy"

MOST_BYTES = 3_000_000
"""Of a page: with 200 tenants and three years of history it opens within two seconds."""


def published_checks(catalog: Catalog) -> list[dg.AssetChecksDefinition]:
    """All checks of dashboards."""
    return [
        made
        for name in catalog.dashboards
        for made in (
            _self_contained_check(catalog, name),
            _audience_check(catalog, name),
            _columns_check(catalog, name),
            _size_check(catalog, name),
        )
    ]


def pages_are_self_contained(pages: Mapping[str, bytes]) -> Facts:
    """Each page opens right away from anywhere: it loads nothing from elsewhere and says so in a content policy."""
    offenders = [key for key, body in pages.items() if _loads_from_elsewhere(body) or _POLICY not in body]
    counts = {"pages": len(pages), "bytes": sum(len(body) for body in pages.values())}
    passed = bool(pages) and not offenders
    summary = f"{len(offenders)} of {len(pages)} pages need something from elsewhere"
    return Facts(passed, summary, counts, offenders, len(pages), len(offenders))


def _loads_from_elsewhere(page: bytes) -> bool:
    lowered = page.lower()
    return any(pattern.search(lowered) for pattern in _LOADS_FROM_ELSEWHERE)


def pages_hold_only_their_tenant(pages: Mapping[Audience, bytes], names: Mapping[str, str]) -> Facts:
    """No tenant's page has another tenant's id or name, in its bytes or in what it packs: so it cannot show it.

    A mark that the page's own tenant contains says nothing (`acme` on a page of `acme-2`). What a client wrote counts
    like all else: whoever writes another tenant's id makes this fail, which is better than not seeing it.

    Args:
        pages: of audiences with a tenant.
        names: display name by tenant id.
    """
    offenders = []
    for audience, body in pages.items():
        texts = (body, json.dumps(payload_of(body), ensure_ascii=False).encode())
        own = (audience.tenant or "", names.get(audience.tenant or "", ""))
        offenders += [
            f"{audience.name}: {other}"
            for other, name in names.items()
            if other != audience.tenant
            and any(mark.encode() in text for mark in _telling((other, name), own) for text in texts)
        ]
    leaky = {offender.partition(":")[0] for offender in offenders}
    summary = f"{len(leaky)} of {len(pages)} pages name another tenant"
    return Facts(not offenders, summary, {"pages": len(pages)}, offenders, len(pages), len(leaky))


def _telling(marks: Collection[str], own: Collection[str]) -> list[str]:
    """The marks that none of the reader's own contains."""
    return [mark for mark in marks if not any(mark in mine for mine in own)]


def pages_hold_only_their_roles_columns(
    pages: Mapping[Audience, bytes], denied: Mapping[Audience, Mapping[str, Collection[str]]]
) -> Facts:
    """No page is cut by a column above its role's class, nor has a value of one in what it packs.

    Args:
        pages: by audience.
        denied: by audience, the columns that its role does not see with values that they have.
    """
    offenders = []
    for audience, body in pages.items():
        payload = payload_of(body)
        values = {value for each in payload["dimensions"].values() for value in each["values"]}
        offenders += [
            f"{audience.name}: {column}"
            for column, secret in denied[audience].items()
            if column in payload["dimensions"] or values & set(secret)
        ]
    leaky = {offender.partition(":")[0] for offender in offenders}
    columns = sum(map(len, denied.values()))
    summary = f"{len(leaky)} of {len(pages)} pages hold a column that their role does not see"
    return Facts(not offenders, summary, {"pages": len(pages), "denied": columns}, offenders, len(pages), len(leaky))


def pages_are_within_their_size(pages: Mapping[str, int]) -> Facts:
    """No page has more bytes than open at once over a slow line."""
    offenders = [f"{key}: {size:,} bytes" for key, size in pages.items() if size > MOST_BYTES]
    summary = f"{len(offenders)} of {len(pages)} pages have more than {MOST_BYTES:,} bytes"
    largest = max(pages.values(), default=0)
    passed = bool(pages) and not offenders
    return Facts(passed, summary, {"largest_bytes": largest}, offenders, len(pages), len(offenders))


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


def _columns_check(catalog: Catalog, dashboard: str) -> dg.AssetChecksDefinition:
    def judge(scope: Scope) -> Facts:
        pages = _pages(scope.store, catalog, dashboard)
        secret = _values_about_people(scope.store, catalog, dashboard)
        denied = {
            audience: {
                column.name: values
                for (extract, column), values in secret.items()
                if not _is_shown(catalog, audience, extract, column)
            }
            for audience in pages
        }
        return pages_hold_only_their_roles_columns(pages, denied)

    return check(
        keys.dashboard(dashboard),
        "pages_hold_only_their_roles_columns",
        judge,
        description="No page is cut by, or has a value of, a column about people that its role does not see.",
        dimension="validity",
    )


def _size_check(catalog: Catalog, dashboard: str) -> dg.AssetChecksDefinition:
    return check(
        keys.dashboard(dashboard),
        "pages_are_within_their_size",
        lambda scope: pages_are_within_their_size(
            {audience.name: len(page) for audience, page in _pages(scope.store, catalog, dashboard).items()}
        ),
        description=f"Every page has at most {MOST_BYTES:,} bytes, so that it opens at once.",
        dimension="validity",
        severity=dg.AssetCheckSeverity.WARN,
    )


def _values_about_people(
    store: ObjectStore, catalog: Catalog, dashboard: str
) -> dict[tuple[str, ExtractColumn], Collection[str]]:
    """The columns about people in what a dashboard is drawn from, with the values of their newest day."""
    found: dict[tuple[str, ExtractColumn], Collection[str]] = {}
    for board, table in dashboard_inputs(catalog, dashboard):
        for column in find_extract(catalog, board, table).columns:
            if column.pii != "none" and (days := published_days(store, board, table)):
                values = read_extract(store, board, table, days[-1], days[-1])[column.name]
                found[f"extracts.{board}.{table}", column] = frozenset(values.drop_nulls().cast(pl.String))
    return found


def _is_shown(catalog: Catalog, audience: Audience, extract: str, column: ExtractColumn) -> bool:
    role = catalog.access_roles[audience.role]
    return role.may_see(extract) and PII_CLASSES.index(column.pii) <= PII_CLASSES.index(role.max_pii)


def _pages(store: ObjectStore, catalog: Catalog, dashboard: str) -> dict[Audience, bytes]:
    return {each: store.get(dashboard_key(dashboard, each)) for each in audiences(catalog, dashboard)}
