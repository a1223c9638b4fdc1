"""Putting extracts into force: whole publications, one after the other, and nothing that was removed ever again.

A publication puts its objects under keys that nobody has read yet, then commits a manifest that names them. Manifests
are numbered and the first writer of a number wins, so of two runs the later one starts from what the earlier one
published. Readers follow `manifest.json`, the newest manifest's copy: until it is put they see the old publication
whole, afterwards the new one. What a publication stops naming stays for `GRACE`, so that a reader who is half way
through the old one can finish.

A removal (retention, erasure) takes the same way and ends by deleting at once whatever of its table nothing names: a
reader who meets that reads again. A publication whose rows were read before a removal is refused.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from analytics_platform.errors import AnalyticsError
from analytics_platform.lake import layout
from analytics_platform.lake.extract_csv import csv_bytes, newest_days
from analytics_platform.lake.extract_manifest import (
    Manifest,
    Part,
    Sheet,
    Table,
    as_json,
    from_json,
    old_manifest,
    part_of,
    scan_rows,
)
from analytics_platform.lake.store import ObjectExistsError, ObjectMissingError, ObjectStore

GRACE = timedelta(days=1)
"""How long an object stays that the manifest has stopped naming: longer than any reader takes."""

_MANY_DAYS = 30
_REQUESTS_AT_ONCE = 8

T = TypeVar("T")

Edit = Callable[[Manifest], Mapping[str, Table]]
"""The tables that follow on a manifest; asked again when another publication came first."""

Rewrite = Callable[[date, pa.Table], pa.Table | None]
"""What is left of a day's rows; None when the day goes, the same table when nothing of it does."""


class PublicationInterruptedError(AnalyticsError):
    """Something that was to be published was removed meanwhile; nothing was published."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """Who publishes, when, and under which access policy."""

    at: datetime
    run: str | None = None
    policy_sha256: str | None = None


def newest_manifest(store: ObjectStore, dashboard: str) -> Manifest:
    """The manifest that was committed last: what the next publication starts from."""
    prefix = layout.extract_manifest_versions_prefix(dashboard)
    while keys := [info.key for info in store.list(prefix)]:
        try:
            return from_json(store.get(keys[-1]), keys[-1])
        except ObjectMissingError:  # another one was committed, and this one's time was over
            continue
    return old_manifest(store, dashboard)


def publish(
    store: ObjectStore, dashboard: str, edit: Edit, stamp: Stamp, *, swept: Mapping[str, Collection[date]] | None = None
) -> Manifest:
    """Put the tables that `edit` makes of the newest manifest into force, all of them by one put.

    Args:
        store: the lake, with every object that `edit` will name.
        dashboard: whose extracts.
        edit: gives all tables; one that has other days or columns than before gets a new CSV.
        stamp: who, when.
        swept: by table, the days of which leftovers of publications that broke off are deleted.

    Raises:
        PublicationInterruptedError: an object that is to be named is gone.
    """
    manifest = _committed(store, dashboard, edit, stamp)
    settle(store, dashboard)
    _sweep(store, newest_manifest(store, dashboard), stamp.at, swept or {})
    return manifest


def settle(store: ObjectStore, dashboard: str) -> None:
    """Bring what readers find in line with the newest manifest; also after a publication broke off, or a restore."""
    if not store.list(layout.extract_manifest_versions_prefix(dashboard)):
        return
    while True:
        newest = newest_manifest(store, dashboard)
        try:
            _put_copies(store, newest)
        except ObjectMissingError:
            if newest_manifest(store, dashboard).number == newest.number:
                raise
        if newest_manifest(store, dashboard).number == newest.number:
            return


def put_part(store: ObjectStore, dashboard: str, table: str, day: date, body: bytes, schema_version: int) -> Part:
    """Put a day's object where a manifest may name it."""
    part = part_of(
        layout.extract_key(dashboard, table, day, layout.digest(body)), body, _row_count(body), schema_version
    )
    store.put(part.key, body)
    return part


def rewrite_rows(
    store: ObjectStore, dashboard: str, table: str, concerns: Callable[[date], bool], rewrite: Rewrite, at: datetime
) -> None:
    """Remove rows for good: publish without them, then delete every other object of the table.

    May be repeated after it broke off.

    Args:
        store: the lake.
        dashboard: whose extract.
        table: the extract.
        concerns: the days that are looked at.
        rewrite: what is left of such a day.
        at: the time.
    """

    def edit(base: Manifest) -> Mapping[str, Table]:
        published = base.tables.get(table)
        if published is None:
            return base.tables
        days = {day: _rewritten(store, dashboard, table, day, part, rewrite) if concerns(day) else part
                for day, part in published.days.items()}  # fmt: skip
        kept = {day: part for day, part in days.items() if part is not None}
        if kept == published.days:
            return base.tables
        return {**base.tables, table: replace(published, days=kept, removed_in=base.number + 1)}

    # What is put from here on is of a publication that has seen the removal, or that will be refused for not having.
    there = [info.key for info in store.list(layout.extract_prefix(dashboard, table))]
    publish(store, dashboard, edit, Stamp(at))
    kept = _held_keys(newest_manifest(store, dashboard))
    _at_once(store.delete, [key for key in there if key not in kept])


def unnamed_keys(store: ObjectStore, dashboard: str, table: str) -> list[str]:
    """Every object below a table that no publication in force holds."""
    kept = _held_keys(newest_manifest(store, dashboard))
    return [info.key for info in store.list(layout.extract_prefix(dashboard, table)) if info.key not in kept]


def parquet_bytes(rows: pa.Table) -> bytes:
    """Rows as a Parquet object, with the metadata that they came with."""
    buffer = io.BytesIO()
    pq.write_table(rows, buffer, compression="zstd")
    return buffer.getvalue()


def changes_text(manifest: Manifest) -> str:
    """The changelog of a dashboard's extracts, for people, in Markdown."""
    lines = [f"# Changes of the extracts of {manifest.dashboard}", ""]
    for name, table in sorted(manifest.tables.items()):
        lines += [f"## {name} (version {table.schema.version})", ""]
        for change in table.changelog:
            why = f" {change.why}" if change.why else ""
            lines.append(f"- **{change.version}**, {change.on.isoformat()}, {change.kind}:{why}")
            lines += [f"  - {each}" for each in change.changes]
        lines.append("")
    return "\n".join(lines)


def _committed(store: ObjectStore, dashboard: str, edit: Edit, stamp: Stamp) -> Manifest:
    while True:
        base = newest_manifest(store, dashboard)
        edited = edit(base)
        _require_objects(store, {part.key for table in edited.values() for part in table.days.values()} - base.keys)
        tables = {
            name: table if table == base.tables.get(name) and base.number else _with_csv(store, dashboard, name, table)
            for name, table in edited.items()
        }
        if tables == base.tables:
            return base
        manifest = Manifest(dashboard, base.number + 1, stamp.at, stamp.run, stamp.policy_sha256, tables)
        manifest = replace(manifest, superseded=_superseded(store, base, manifest))
        key = layout.extract_manifest_version_key(dashboard, manifest.number)
        try:
            store.put(key, as_json(manifest), if_none_match=True)
        except ObjectExistsError:  # another publication was first; this one starts from it
            continue
        return manifest


def _with_csv(store: ObjectStore, dashboard: str, name: str, table: Table) -> Table:
    days = newest_days(table.days)
    if not days:
        return replace(table, csv=None)
    paths = _at_once(store.local_path, [table.days[day].key for day in days])
    rows = scan_rows(paths, table.schema).collect()
    body = csv_bytes(rows)
    key = layout.extract_csv_key(dashboard, name, layout.digest(body))
    store.put(key, body)
    sha256 = hashlib.sha256(body).hexdigest()
    address = layout.extract_csv_address(dashboard, name)
    return replace(table, csv=Sheet(key, address, rows.height, len(body), sha256, days[0], days[-1]))


def _superseded(store: ObjectStore, base: Manifest, manifest: Manifest) -> dict[str, datetime]:
    """What readers may still be at; what went when its time was over is not told any more."""
    gone = {each for each, since in base.superseded.items() if _is_over(since, manifest) and store.info(each) is None}
    before = {key: since for key, since in base.superseded.items() if key not in gone}
    now = dict.fromkeys(_held_keys(base) - before.keys(), manifest.published_at)
    held = _held_keys(manifest)
    return {key: since for key, since in {**before, **now}.items() if key not in held}


def _held_keys(manifest: Manifest) -> frozenset[str]:
    """What a publication holds: what it names, and the addresses that have its CSVs."""
    return manifest.keys | {table.csv.address for table in manifest.tables.values() if table.csv}


def _is_over(since: datetime, manifest: Manifest) -> bool:
    return since <= manifest.published_at - GRACE


def _require_objects(store: ObjectStore, keys: Iterable[str]) -> None:
    asked = sorted(keys)
    for key, info in zip(asked, _at_once(store.info, asked), strict=True):
        if info is None:
            raise PublicationInterruptedError(
                f"{key} was removed while it was to be published (retention or erasure ran); build its day again"
            )


def _sweep(store: ObjectStore, manifest: Manifest, at: datetime, swept: Mapping[str, Collection[date]]) -> None:
    """Delete what nobody reads any more: superseded objects and manifests, and what a broken publication left."""
    over = at - GRACE
    _at_once(store.delete, [key for key, since in manifest.superseded.items() if since <= over])
    for info in store.list(layout.extract_manifest_versions_prefix(manifest.dashboard))[:-1]:
        if info.modified_at <= over:
            store.delete(info.key)
    known = _held_keys(manifest) | manifest.superseded.keys()
    for table, days in swept.items():
        for prefix in _folders(manifest.dashboard, table, days):
            for info in store.list(prefix):
                if info.key not in known and info.modified_at <= over:
                    store.delete(info.key)


def _folders(dashboard: str, table: str, days: Collection[date]) -> list[str]:
    """Where leftovers of some days are looked for: day by day, unless one walk through all of them costs less."""
    whole = layout.extract_prefix(dashboard, table)
    return [whole] if len(days) > _MANY_DAYS else [f"{whole}csv/", *(f"{whole}day={day.isoformat()}/" for day in days)]


def _rewritten(store: ObjectStore, dashboard: str, table: str, day: date, part: Part, rewrite: Rewrite) -> Part | None:
    rows = pq.ParquetFile(io.BytesIO(store.get(part.key))).read()
    left = rewrite(day, rows)
    if left is None or left is rows:
        return None if left is None else part
    return put_part(store, dashboard, table, day, parquet_bytes(left), part.schema_version)


def _put_copies(store: ObjectStore, manifest: Manifest) -> None:
    """The manifest that readers follow before the CSVs at their addresses, so that none of them is ahead of it."""
    _put_if_other(store, layout.extract_manifest_key(manifest.dashboard), as_json(manifest))
    for table in manifest.tables.values():
        if table.csv:
            _put_if_other(store, table.csv.address, store.get(table.csv.key))
    _put_if_other(store, layout.extract_changes_key(manifest.dashboard), changes_text(manifest).encode())


def _at_once(ask: Callable[[str], T], keys: Sequence[str]) -> list[T]:
    """Ask the store about some keys; one after the other a bucket would take a minute for a year."""
    with ThreadPoolExecutor(_REQUESTS_AT_ONCE) as pool:
        return list(pool.map(ask, keys))


def _put_if_other(store: ObjectStore, key: str, body: bytes) -> None:
    try:
        if store.get(key) == body:
            return
    except ObjectMissingError:
        pass
    store.put(key, body)


def _row_count(body: bytes) -> int:
    return int(pq.read_metadata(io.BytesIO(body)).num_rows)
