"""Extracts: what is published, in which version, whether it is whole, and a copy of it for somebody."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from analytics_platform.cli.answers import show as show_answer
from analytics_platform.cli.command import Group
from analytics_platform.cli.common import Day, as_json, near, read_catalog, read_settings, working
from analytics_platform.errors import AnalyticsError

if TYPE_CHECKING:
    from analytics_platform.lake.extract_export import Form
    from analytics_platform.lake.extract_manifest import Manifest, Table
    from analytics_platform.lake.store import ObjectStore

_DAYS_SHOWN = 7
_HASH_SHOWN = 12


class NotPublishedError(AnalyticsError):
    """A dashboard is unknown, or none of its extracts is published by a manifest."""


@click.group(cls=Group)
def extracts() -> None:
    """What dashboards and BI tools read: published tables with versions, days and hashes."""


@extracts.command("list")
@as_json
def list_(as_json: bool) -> None:
    """List every published table.

    Examples:
        analytics extracts list
    """
    from analytics_platform.lake.extract_manifest import read_manifest

    store = _store()
    manifests = [found for name in read_catalog().dashboards if (found := read_manifest(store, name)) is not None]
    answer = {"extracts": [_summary(each, name) for each in manifests for name in sorted(each.tables)]}
    lines = [_head(), *(_row(each, name) for each in manifests for name in sorted(each.tables))]
    show_answer(answer, as_json, lines if manifests else ["No extract is published by a manifest; `analytics run`"])


@extracts.command()
@click.argument("dashboard")
@click.argument("table", required=False)
@as_json
def show(dashboard: str, table: str | None, as_json: bool) -> None:
    """Show what is published of a DASHBOARD, or of one TABLE with its columns, newest days and changelog.

    Examples:
        analytics extracts show finance
        analytics extracts show finance headlines --json
    """
    manifest = _manifest(_store(), dashboard)
    names = [table] if table else sorted(manifest.tables)
    if unknown := [name for name in names if name not in manifest.tables]:
        known = near(unknown[0], "tables", sorted(manifest.tables))
        raise NotPublishedError(f"{dashboard} publishes no {unknown[0]}; {known}")
    by = f"by run {manifest.run}" if manifest.run else "by hand"
    at = f"{manifest.published_at:%Y-%m-%d %H:%M} UTC"
    lines = [f"{dashboard}: publication {manifest.number} of {at}, {by}"]
    for name in names:
        lines += ["", *_described(name, manifest.tables[name])]
    show_answer(_as_dict(manifest, names), as_json, lines)


@extracts.command()
@click.argument("dashboard", required=False)
@as_json
def verify(dashboard: str | None, as_json: bool) -> None:
    """Read every published object, of a DASHBOARD or of all, and compare it with its manifest. Exit code 1 if not.

    Examples:
        analytics extracts verify
        analytics extracts verify finance
    """
    from analytics_platform.lake.extract_audit import audit

    store, now = _store(), datetime.now(UTC)
    names = [_manifest(store, dashboard).dashboard] if dashboard else list(read_catalog().dashboards)
    with working("Reading what is published"):
        found = {f"{name}/{table}": each for name in names for table, each in sorted(audit(store, name, now).items())}
    problems = {name: list(each.problems) for name, each in found.items() if each.problems}
    objects, size = sum(each.objects for each in found.values()), sum(each.bytes for each in found.values())
    lines = [f"{name}: {problem}" for name, each in problems.items() for problem in each]
    good = f"{objects:,} objects of {len(found)} tables ({size / 1e6:,.1f} MB) are what their manifests say"
    if problems:
        lines.append("Mend: build the days that are named again, `analytics run --from D --to D`")
    answer = {"ok": not problems, "tables": len(found), "objects": objects, "bytes": size, "problems": problems}
    show_answer(answer, as_json, lines if problems else [good])
    sys.exit(1 if problems else 0)


@extracts.command()
@click.argument("dashboard")
@click.option("--out", "folder", type=click.Path(path_type=Path, file_okay=False), required=True, help="Empty folder.")
@click.option("--table", "tables", multiple=True, help="Only this table; repeat for several. All by default.")
@click.option("--from", "first", type=Day(), default=date.min, help="First day; by default the oldest.")
@click.option("--to", "last", type=Day(), default=date.max, help="Last day; by default the newest.")
@click.option("--format", "form", type=click.Choice(["parquet", "csv", "both"]), default="parquet", show_default=True)
@as_json
def export(
    dashboard: str, folder: Path, tables: tuple[str, ...], first: date, last: date, form: str, as_json: bool
) -> None:
    """Copy what is published of a DASHBOARD, as of one moment, into a folder for somebody.

    Examples:
        analytics extracts export finance --out finance-november/ --from 2026-11-01 --to 2026-11-30 --format csv
    """
    from analytics_platform.lake.extract_export import chosen
    from analytics_platform.lake.extract_export import export as write

    store = _store()
    picked = chosen(_manifest(store, dashboard), tables, first, last)
    forms: list[Form] = ["parquet", "csv"] if form == "both" else ["csv" if form == "csv" else "parquet"]
    files = write(store, picked, folder, forms)
    size = sum(each.bytes for each in files)
    answer = {
        "publication": picked.number,
        "folder": str(folder),
        "files": [str(each.path) for each in files],
        "bytes": size,
    }
    lines = [
        f"{len(files):,} files ({size / 1e6:,.1f} MB) of publication {picked.number} in {folder}",
        "Retention and erasure do not reach this copy: delete it when it has served.",
    ]
    show_answer(answer, as_json, lines)


def _store() -> ObjectStore:
    from analytics_platform.defs.resources import store_from

    return store_from(read_settings())


def _manifest(store: ObjectStore, dashboard: str) -> Manifest:
    from analytics_platform.lake.extract_manifest import read_manifest

    known = read_catalog().dashboards
    if dashboard not in known:
        raise NotPublishedError(f"no dashboard {dashboard!r} in the catalogue; {near(dashboard, 'dashboards', known)}")
    manifest = read_manifest(store, dashboard)
    if manifest is None:
        raise NotPublishedError(f"no manifest of {dashboard} yet: the next `analytics run` publishes one")
    return manifest


def _summary(manifest: Manifest, name: str) -> dict[str, Any]:
    table = manifest.tables[name]
    return {
        "dashboard": manifest.dashboard,
        "table": name,
        "schema_version": table.schema.version,
        "days": len(table.days),
        "first": min(table.days, default=None),
        "last": max(table.days, default=None),
        "rows": sum(part.rows for part in table.days.values()),
        "bytes": sum(part.bytes for part in table.days.values()),
        "csv": table.csv.address if table.csv else None,
        "publication": manifest.number,
        "published_at": manifest.published_at,
    }


def _head() -> str:
    return f"{'table':<48} {'version':>7} {'days':>6} {'from':<10} {'to':<10} {'rows':>11} {'MB':>7}"


def _row(manifest: Manifest, name: str) -> str:
    each = _summary(manifest, name)
    place = f"{manifest.dashboard}/{name}"
    first, last = each["first"] or "-", each["last"] or "-"
    size = f"{each['rows']:>11,} {each['bytes'] / 1e6:>7.1f}"
    return f"{place:<48} {each['schema_version']:>7} {each['days']:>6} {first!s:<10} {last!s:<10} {size}"


def _described(name: str, table: Table) -> Iterable[str]:
    yield f"{name}  version {table.schema.version}, day in {table.schema.day_column}, {len(table.days):,} days"
    for column in table.schema.columns:
        pii = "" if column.pii == "none" else f" [{column.pii}]"
        yield f"  {column.name:<34} {column.type:<10}{pii} {column.description}".rstrip()
    if table.csv:
        span = f"{table.csv.rows:,} rows from {table.csv.first} to {table.csv.last}"
        yield f"  CSV {table.csv.address}: {span}, {table.csv.bytes:,} bytes"
    for day in sorted(table.days, reverse=True)[:_DAYS_SHOWN]:
        part = table.days[day]
        yield f"  {day}  {part.rows:>8,} rows  {part.bytes:>10,} bytes  sha256 {part.sha256[:_HASH_SHOWN]}…  {part.key}"
    if len(table.days) > _DAYS_SHOWN:
        yield f"  and {len(table.days) - _DAYS_SHOWN:,} days before; all with --json"
    for change in table.changelog:
        why = f": {change.why}" if change.why else ""
        yield f"  version {change.version}, {change.on}, {change.kind}{why} ({'; '.join(change.changes)})"


def _as_dict(manifest: Manifest, names: Iterable[str]) -> dict[str, Any]:
    import orjson

    from analytics_platform.lake.extract_manifest import as_json as manifest_json

    said: dict[str, Any] = orjson.loads(manifest_json(manifest))
    return {**said, "tables": {name: said["tables"][name] for name in names}}
