"""Whether a manifest tells the truth: every object that it names is there with its bytes, and none that nobody names.

One listing of the dashboard's folder answers for presence and size of every object; hashes are computed of the days
that are asked for and of every CSV, because an object never changes under its key: one that was right stays right,
unless somebody writes into the store by hand.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime

import pyarrow as pa
import pyarrow.parquet as pq

from analytics_platform.lake import layout
from analytics_platform.lake.extract_manifest import Manifest, Part, Sheet, Table, read_manifest
from analytics_platform.lake.extracts import GRACE, newest_manifest
from analytics_platform.lake.store import ObjectInfo, ObjectMissingError, ObjectStore


@dataclass(frozen=True, slots=True)
class Audit:
    """What was compared of a table.

    Attributes:
        objects: named objects that were looked at.
        hashed: how many of them were read in full.
        bytes: of the objects that the manifest names.
        problems: what does not hold: a key and what is wrong with it.
    """

    objects: int
    hashed: int
    bytes: int
    problems: tuple[str, ...]


def audit(
    store: ObjectStore, dashboard: str, at: datetime, *, is_hashed: Callable[[date], bool] = lambda _: True
) -> dict[str, Audit]:
    """Compare what readers follow with what there is, by table; nothing where nothing was published by a manifest.

    Args:
        store: the lake.
        dashboard: whose extracts.
        at: the time; what nobody names is left over once it is older than a publication takes.
        is_hashed: the days that are read in full.
    """
    manifest = read_manifest(store, dashboard)
    if manifest is None:
        return {}
    infos = {info.key: info for info in store.list(layout.extract_prefix(dashboard))}
    behind = _is_behind(store, manifest)
    leftovers = _leftovers(manifest, infos, at)
    found = {}
    for name, table in manifest.tables.items():
        hashed = [each for day, each in table.days.items() if is_hashed(day)] + ([table.csv] if table.csv else [])
        problems = [*behind, *_of_objects(table, infos), *_of_bytes(store, hashed, infos), *_of_address(store, table)]
        folder = layout.extract_prefix(dashboard, name)
        problems += [f"{key}: named by nothing for more than a day" for key in leftovers if key.startswith(folder)]
        size = sum(each.bytes for each in table.objects)
        found[name] = Audit(len(table.objects), len(hashed), size, tuple(problems))
    return found


def _is_behind(store: ObjectStore, manifest: Manifest) -> list[str]:
    newest = newest_manifest(store, manifest.dashboard).number
    key = layout.extract_manifest_key(manifest.dashboard)
    return [] if newest == manifest.number else [f"{key}: is number {manifest.number}, and {newest} was committed"]


def _of_objects(table: Table, infos: Mapping[str, ObjectInfo]) -> Iterator[str]:
    for each in table.objects:
        info = infos.get(each.key)
        if info is None:
            yield f"{each.key}: is gone"
        elif info.size != each.bytes:
            yield f"{each.key}: has {info.size} bytes instead of {each.bytes}"


def _of_bytes(store: ObjectStore, named: list[Part | Sheet], infos: Mapping[str, ObjectInfo]) -> Iterator[str]:
    for each in named:
        info = infos.get(each.key)
        if info is None or info.size != each.bytes:
            continue
        body = store.get(each.key)
        if hashlib.sha256(body).hexdigest() != each.sha256:
            yield f"{each.key}: has other bytes than were published"
        elif isinstance(each, Part) and (rows := _rows_in(body)) != each.rows:
            yield f"{each.key}: has {rows} rows instead of {each.rows}"


def _rows_in(body: bytes) -> int | None:
    try:
        return int(pq.read_metadata(io.BytesIO(body)).num_rows)
    except pa.ArrowInvalid:
        return None


def _of_address(store: ObjectStore, table: Table) -> Iterator[str]:
    if table.csv is None:
        return
    try:
        body = store.get(table.csv.address)
    except ObjectMissingError:
        yield f"{table.csv.address}: is gone"
        return
    if hashlib.sha256(body).hexdigest() != table.csv.sha256:
        yield f"{table.csv.address}: is not the CSV that the manifest names"


def _leftovers(manifest: Manifest, infos: Mapping[str, ObjectInfo], at: datetime) -> list[str]:
    """Objects that no manifest names and that no publication under way can be about to name."""
    known = manifest.keys | manifest.superseded.keys()
    known |= {table.csv.address for table in manifest.tables.values() if table.csv}
    known |= {layout.extract_manifest_key(manifest.dashboard), layout.extract_changes_key(manifest.dashboard)}
    versions = layout.extract_manifest_versions_prefix(manifest.dashboard)
    return [
        key
        for key, info in infos.items()
        if key not in known and not key.startswith(versions) and info.modified_at <= at - GRACE
    ]
