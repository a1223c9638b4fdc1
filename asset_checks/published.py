"""Checks of what is published: extracts and dashboards."""

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date

import dagster as dg
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from analytics_platform.catalog import PII_CLASSES, Audience, Catalog, Extract, ExtractColumn
from analytics_platform.defs import keys
from analytics_platform.defs.partitions import Partitions
from analytics_platform.lake.store import ObjectMissingError, ObjectStore
from analytics_platform.reporting.dashboards import audiences, dashboard_inputs, dashboard_key
from analytics_platform.reporting.extracts import arrow_schema, extract_key, find_extract, published_days, read_extract
from analytics_platform.reporting.page import payload_of
from asset_checks.factory import Facts, Scope, check

_LOADS_FROM_ELSEWHERE = re.compile(rb"""(?:src|href)\s*=\s*["']?(?:https?:)?//|@import|url\(\s*["']?https?:""", re.I)
_POLICY = b"Content-Security-Policy"

MOST_BYTES = 3_000_000
"""Of a page: with 200 tenants and three years of history it opens within two seconds."""


def published_checks(catalog: Catalog, partitions: Partitions) -> list[dg.AssetChecksDefinition]:
    """All checks of extracts and dashboards."""
    extracts = [
        made
        for dashboard in catalog.dashboards.values()
        for extract in dashboard.extracts
        for made in (
            _budget_check(dashboard.name, extract, partitions),
            _schema_check(dashboard.name, extract, partitions),
        )
    ]
    pages = [
        made
        for name in catalog.dashboards
        for made in (
            _self_contained_check(catalog, name),
            _audience_check(catalog, name),
            _columns_check(catalog, name),
            _size_check(catalog, name),
        )
    ]
    return [*extracts, *pages]


def rows_are_within_budget(rows: int, budget: int) -> Facts:
    """A day has no more rows than its owner allows."""
    offenders = [f"{rows} rows"] if rows > budget else []
    counts = {"rows": rows, "row_budget": budget}
    return Facts(not offenders, f"{rows} rows, {budget} allowed", counts, offenders, 1, len(offenders))


def columns_are_as_declared(columns: Sequence[tuple[str, str, str]], extract: Extract) -> Facts:
    """A file has the declared columns, types and PII classes, and none above the extract's policy.

    Args:
        columns: each column's name, type and PII class.
        extract: the declaration.
    """
    declared = [_described(field) for field in arrow_schema(extract)]
    allowed = PII_CLASSES[: PII_CLASSES.index(extract.pii_policy) + 1]
    odd = {column[0] for column in set(columns) ^ set(declared)}
    offenders = sorted(odd | {name for name, _, pii in columns if pii not in allowed})
    passed = list(columns) == declared and not offenders
    summary = f"{len(offenders)} of {len(declared)} columns break schema or PII policy"
    return Facts(passed, summary, {"columns": len(columns)}, offenders, len(declared), len(offenders))


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


def _budget_check(dashboard: str, extract: Extract, partitions: Partitions) -> dg.AssetChecksDefinition:
    def judge(scope: Scope) -> dict[str, Facts]:
        return _judged_files(
            scope, dashboard, extract, lambda footer: rows_are_within_budget(footer.num_rows, extract.row_budget)
        )

    return check(
        keys.extract(dashboard, extract.name),
        "rows_are_within_budget",
        judge,
        description=f"At most {extract.row_budget} rows a day: more would not open in a consumer's tool.",
        dimension="validity",
        severity=dg.AssetCheckSeverity.WARN,
        partitions_def=partitions.day,
    )


def _schema_check(dashboard: str, extract: Extract, partitions: Partitions) -> dg.AssetChecksDefinition:
    def judge(scope: Scope) -> dict[str, Facts]:
        return _judged_files(
            scope,
            dashboard,
            extract,
            lambda footer: columns_are_as_declared(
                [_described(column) for column in footer.schema.to_arrow_schema()], extract
            ),
        )

    return check(
        keys.extract(dashboard, extract.name),
        "columns_are_as_declared",
        judge,
        description=f"Schema version {extract.schema_version}, at most {extract.pii_policy} data, in every file.",
        dimension="validity",
        blocking=True,
        partitions_def=partitions.day,
    )


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


def _judged_files(
    scope: Scope, dashboard: str, extract: Extract, judge: Callable[[pq.FileMetaData], Facts]
) -> dict[str, Facts]:
    """Facts of each day's file, from its footer: of the scope's days, or of all that are published."""
    days = scope.partition_keys or [day.isoformat() for day in published_days(scope.store, dashboard, extract.name)]
    found = {}
    for day in days:
        try:
            path = scope.store.local_path(extract_key(dashboard, extract.name, date.fromisoformat(day)))
        except ObjectMissingError:
            found[day] = Facts(False, "the day's file is missing", {}, ["no file"], 1, 1)
        else:
            found[day] = judge(pq.read_metadata(path))
    return found


def _described(column: pa.Field) -> tuple[str, str, str]:
    """Name, type and PII class of a column, as the file says."""
    return column.name, str(column.type), (column.metadata or {}).get(b"pii", b"").decode()
