"""Checks of extracts: what was published is what the catalogue declares."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from analytics_platform.catalog import PII_CLASSES, Catalog, Extract
from analytics_platform.defs import keys
from analytics_platform.defs.partitions import Partitions
from analytics_platform.lake.extract_audit import Audit, audit
from analytics_platform.reporting.extracts import arrow_schema, extract_paths
from asset_checks.factory import Facts, Scope, check
from asset_checks.grouped import Found, Told, check_group

MANIFEST_MATCHES = Told(
    "manifest_matches_objects",
    "Each object that the manifest names is there, with its size and, of the days of the run, its hash and rows; "
    "nothing is left over that no manifest names.",
    "consistency",
    dg.AssetCheckSeverity.ERROR,
)
_MISSING = Facts(False, "the day is not published", {}, ["no file"], 1, 1)


def extract_checks(catalog: Catalog, partitions: Partitions) -> list[dg.AssetChecksDefinition]:
    """All checks of extracts."""
    by_table = [
        made
        for dashboard in catalog.dashboards.values()
        for extract in dashboard.extracts
        for made in (
            _budget_check(dashboard.name, extract, partitions),
            _schema_check(dashboard.name, extract, partitions),
        )
    ]
    return [*by_table, _manifest_checks(catalog)]


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


def manifest_matches_objects(found: Audit | None) -> Facts:
    """Every object that the manifest names is there with its bytes, and none that it does not name is left over.

    Args:
        found: the comparison; None when the table is not in a manifest.
    """
    if found is None:
        return Facts(False, "no manifest names this table: publish it", {}, ["no manifest"], 1, 1)
    counts = {"objects": found.objects, "objects_read_in_full": found.hashed, "bytes": found.bytes}
    failed = len(found.problems)
    summary = f"{failed} problems with {found.objects:,} objects, of which {found.hashed:,} were read in full"
    return Facts(not failed, summary, counts, found.problems, found.objects, min(failed, found.objects))


def places_of(catalog: Catalog) -> dict[dg.AssetKey, tuple[str, str]]:
    """Dashboard and table of each extract's asset."""
    return {
        keys.extract(dashboard.name, extract.name): (dashboard.name, extract.name)
        for dashboard in catalog.dashboards.values()
        for extract in dashboard.extracts
    }


def judge_manifests(
    places: Mapping[dg.AssetKey, tuple[str, str]], scope: Scope, assets: Collection[dg.AssetKey]
) -> Found:
    """Facts of each asset's table: the days of the scope are read in full, all others are looked for."""
    first, last = scope.days()
    now = datetime.now(UTC)
    audits = {
        dashboard: audit(scope.store, dashboard, now, is_hashed=lambda day: first <= day <= last)
        for dashboard in sorted({places[asset][0] for asset in assets})
    }
    return {
        dg.AssetCheckKey(asset, MANIFEST_MATCHES.name): manifest_matches_objects(
            audits[places[asset][0]].get(places[asset][1])
        )
        for asset in assets
    }


def _manifest_checks(catalog: Catalog) -> dg.AssetChecksDefinition:
    """All tables in one step, so that each dashboard's folder is listed once."""
    places = places_of(catalog)
    return check_group(
        "extracts_match_their_manifest", [MANIFEST_MATCHES], list(places), partial(judge_manifests, places)
    )


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


def _judged_files(
    scope: Scope, dashboard: str, extract: Extract, judge: Callable[[pq.FileMetaData], Facts]
) -> dict[str, Facts]:
    """Facts of each day's file, from its footer: of the scope's days, or of all that are published."""
    paths = extract_paths(scope.store, dashboard, extract.name, *scope.days())
    published = {day.isoformat(): path for day, path in paths.items()}
    return {
        day: judge(pq.read_metadata(published[day])) if day in published else _MISSING
        for day in scope.partition_keys or published
    }


def _described(column: pa.Field) -> tuple[str, str, str]:
    """Name, type and PII class of a column, as the file says."""
    return column.name, str(column.type), (column.metadata or {}).get(b"pii", b"").decode()
