"""Days of extracts put and taken away by hand, through the same publication that the platform uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime

import pyarrow as pa

from analytics_platform.lake.extract_manifest import Manifest, Schema, Table, columns_of
from analytics_platform.lake.extracts import Stamp, parquet_bytes, publish, put_part
from analytics_platform.lake.store import ObjectStore


def put_day(store: ObjectStore, dashboard: str, table: str, day: date, rows: pa.Table) -> str:
    """Publish some rows as a day of an extract, whatever is declared; returns the object's key."""
    part = put_part(store, dashboard, table, day, parquet_bytes(rows), 1)

    def edit(base: Manifest) -> Mapping[str, Table]:
        known = base.tables.get(table, Table(Schema(1, rows.column_names[0], columns_of(rows.schema)), (), {}))
        return {**base.tables, table: replace(known, days={**known.days, day: part})}

    publish(store, dashboard, edit, Stamp(datetime.now(UTC)))
    return part.key


def withdraw_day(store: ObjectStore, dashboard: str, table: str, day: date) -> None:
    """Publish an extract without a day."""

    def edit(base: Manifest) -> Mapping[str, Table]:
        known = base.tables[table]
        days = {each: part for each, part in known.days.items() if each != day}
        return {**base.tables, table: replace(known, days=days)}

    publish(store, dashboard, edit, Stamp(datetime.now(UTC)))
