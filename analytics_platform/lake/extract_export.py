"""A copy of a publication for somebody: the objects that one manifest names, checked as they are copied.

A copy is out of reach of retention and erasure; whoever takes one answers for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Literal

from analytics_platform.errors import AnalyticsError
from analytics_platform.lake import layout
from analytics_platform.lake.extract_csv import csv_bytes
from analytics_platform.lake.extract_manifest import Manifest, ManifestError, Part, Table, as_json, scan_rows
from analytics_platform.lake.store import ObjectMissingError, ObjectStore

Form = Literal["parquet", "csv"]


class ExportRefusedError(AnalyticsError):
    """Nothing was exported; the text says why and the mend."""


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that was written, below the folder that was named."""

    path: Path
    bytes: int


def chosen(manifest: Manifest, tables: Collection[str], first: date, last: date) -> Manifest:
    """The manifest of a part of a publication: some tables (all when none is named), and the days of a span.

    Raises:
        ExportRefusedError: there is no such table, or not one of its days is published in the span.
    """
    unknown = sorted(set(tables) - manifest.tables.keys())
    if unknown:
        known = ", ".join(sorted(manifest.tables))
        raise ExportRefusedError(f"{manifest.dashboard} publishes no {', '.join(unknown)}; it publishes {known}")
    wanted = {name: table for name, table in manifest.tables.items() if not tables or name in tables}
    picked = {name: _within(table, first, last) for name, table in wanted.items()}
    if not any(table.days for table in picked.values()):
        raise ExportRefusedError(f"no day of {manifest.dashboard} is published from {first} to {last}")
    return replace(manifest, tables=picked, superseded={})


def export(store: ObjectStore, manifest: Manifest, folder: Path, forms: Collection[Form]) -> list[Exported]:
    """Write what a manifest names into a folder that is empty: days in Parquet with the manifest, a CSV per table.

    Raises:
        ExportRefusedError: the folder holds something, or an object was removed meanwhile.
        ManifestError: an object is not what the manifest says.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ExportRefusedError(f"{folder} holds something; name a folder that is empty or not there yet")
    try:
        return list(_written(store, manifest, folder, forms))
    except ObjectMissingError as error:
        raise ExportRefusedError(f"{error}: it was removed meanwhile; empty {folder} and export again") from error


def _within(table: Table, first: date, last: date) -> Table:
    days = {day: part for day, part in sorted(table.days.items()) if first <= day <= last}
    return replace(table, days=days, csv=table.csv if days == table.days else None)


def _written(store: ObjectStore, manifest: Manifest, folder: Path, forms: Collection[Form]) -> Iterator[Exported]:
    for name, table in sorted(manifest.tables.items()):
        if "parquet" in forms:
            for part in table.days.values():
                yield _write(folder, part.key, _checked(store, part))
        if "csv" in forms and table.days:
            rows = scan_rows([store.local_path(part.key) for part in table.days.values()], table.schema).collect()
            yield _write(folder, layout.extract_csv_address(manifest.dashboard, name), csv_bytes(rows))
    if "parquet" in forms:
        named = replace(manifest, tables={name: replace(table, csv=None) for name, table in manifest.tables.items()})
        yield _write(folder, layout.extract_manifest_key(manifest.dashboard), as_json(named))


def _checked(store: ObjectStore, part: Part) -> bytes:
    body = store.get(part.key)
    if hashlib.sha256(body).hexdigest() != part.sha256:
        raise ManifestError(f"{part.key} has other bytes than were published; build its day again")
    return body


def _write(folder: Path, key: str, body: bytes) -> Exported:
    path = folder / key.removeprefix(layout.EXTRACT_PREFIX)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(body)
    return Exported(path, len(body))
