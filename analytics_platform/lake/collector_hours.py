"""The account of the collectors: acknowledged = landed + dead letters, per hour, tenant and collector.

The sides are counted apart. *Acknowledged* was counted when the answers left, and stands in the manifests of closed
hours; *landed* and *dead-lettered* are counted in the objects that those manifests name (in raw where a landing object
is gone, in its manifest where retention has removed it). So an object that vanished or lost lines makes the right side
smaller, a spool segment that never arrived leaves the left side larger, and either is a row that does not add up.

What lies in objects that no manifest names yet is `waiting`: its hour is not closed, or its collector died and has not
come back. Hours are those of the acknowledgement, in UTC, so a row's events may belong to any business day.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

from analytics_platform.lake.built import built_partitions
from analytics_platform.lake.changes import within
from analytics_platform.lake.dead_letters import lines_of
from analytics_platform.lake.layout import (
    DEAD_PREFIX,
    LANDING_PREFIX,
    MANIFEST_PREFIX,
    Collected,
    collected,
    placed,
)
from analytics_platform.lake.manifest import parse_manifest
from analytics_platform.lake.removals import Removals, read_removals
from analytics_platform.lake.store import ObjectInfo, ObjectStore

COLLECTOR_HOURS_SCHEMA = pa.schema(
    [
        pa.field("day", pa.date32()),
        pa.field("hour", pa.timestamp("us", tz="UTC")),
        pa.field("writer", pa.string()),
        pa.field("tenant_id", pa.string()),
        pa.field("acked", pa.int64()),
        pa.field("landed", pa.int64()),
        pa.field("dead_lettered", pa.int64()),
        pa.field("waiting", pa.int64()),
        pa.field("objects", pa.int64()),
    ]
)

OVERDUE = timedelta(hours=6)
"""An hour that is not closed so long after its end: its collector died, or cannot reach the store."""

_Key = tuple[datetime, str, str]
"""Hour, writer, tenant."""

_NamesInRaw = Callable[[date, str], list[dict[str, int]]]
"""Lines by landing object's name that raw holds of a day and tenant, for each stream that is built."""


@dataclass(slots=True)
class _Row:
    acked: int = 0
    landed: int = 0
    dead_lettered: int = 0
    waiting: int = 0
    objects: int = 0


@dataclass(slots=True)
class _Books:
    """Rows so far, the keys that manifests name, and those that are in the lake, with the hour of each."""

    rows: dict[_Key, _Row] = field(default_factory=dict)
    named: dict[str, Collected] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    present: dict[str, Collected] = field(default_factory=dict)

    def row(self, origin: Collected, tenant: str) -> _Row:
        return self.rows.setdefault((origin.hour, origin.writer, tenant), _Row())


def collector_hours(store: ObjectStore, first_day: date, last_day: date, streams: Sequence[str]) -> pa.Table:
    """The hours of the UTC days from `first_day` to `last_day`, in order (`COLLECTOR_HOURS_SCHEMA`).

    Args:
        store: the lake.
        first_day: of the range.
        last_day: of the range, and part of it.
        streams: all streams that raw is built of.
    """
    books = _Books()
    for info, origin in _of_collectors(store, MANIFEST_PREFIX, first_day, last_day):
        manifest = parse_manifest(store.get(info.key))
        for tenant, acked in manifest.acked.items():
            books.row(origin, tenant).acked += acked
        items = (*manifest.landing, *manifest.dead_letters)
        books.named |= {item.key: origin for item in items}
        books.lines |= {item.key: sum(item.lines.values()) for item in items}
    for prefix in (LANDING_PREFIX, DEAD_PREFIX):
        books.present |= {info.key: origin for info, origin in _of_collectors(store, prefix, first_day, last_day)}
    in_raw, removals = _names_in_raw(store, streams), read_removals(store)
    for key, origin in sorted((books.named | books.present).items()):
        if key not in books.present and _is_removed(removals, key):
            _book(books, key, origin, books.lines[key])
        else:
            _book(books, key, origin, _lines(store, key, streams, in_raw, is_present=key in books.present))
    return _table(books.rows)


def unaccounted(hours: pa.Table, now: datetime) -> pa.Table:
    """The rows that do not add up, and those whose hour should have been closed by `now`."""
    wrong = pc.not_equal(hours["acked"], pc.add(hours["landed"], hours["dead_lettered"]))
    late = pc.less(hours["hour"], pa.scalar(now - OVERDUE - timedelta(hours=1), hours.schema.field("hour").type))
    return hours.filter(pc.or_(wrong, pc.and_(late, pc.greater(hours["waiting"], 0))))


def _is_removed(removals: Removals, key: str) -> bool:
    """Whether retention has removed an object: its manifest is then all that is left to count."""
    place = placed(key)
    return removals.covers("landing" if key.startswith(LANDING_PREFIX) else "dead_letters", place.tenant, place.day)


def _of_collectors(
    store: ObjectStore, prefix: str, first_day: date, last_day: date
) -> Iterator[tuple[ObjectInfo, Collected]]:
    for info in store.list(prefix):
        origin = collected(info.key.rpartition("/")[2])
        if origin is not None and within(origin.hour.date(), first_day, last_day):
            yield info, origin


def _book(books: _Books, key: str, origin: Collected, lines: int) -> None:
    row = books.row(origin, placed(key).tenant)
    row.objects += key in books.present
    if key not in books.named:
        row.waiting += lines
    elif key.startswith(LANDING_PREFIX):
        row.landed += lines
    else:
        row.dead_lettered += lines


def _lines(store: ObjectStore, key: str, streams: Sequence[str], in_raw: _NamesInRaw, *, is_present: bool) -> int:
    """Lines of an object: as raw counted them once every stream holds it, else by reading it; 0 when it is lost."""
    if key.startswith(LANDING_PREFIX):
        place = placed(key)
        held = [lines[place.name] for lines in in_raw(place.day, place.tenant) if place.name in lines]
        if not is_present or len(held) == len(streams):
            return sum(held)
    return len(lines_of(store.get(key))) if is_present else 0


def _names_in_raw(store: ObjectStore, streams: Sequence[str]) -> _NamesInRaw:
    """A reader of raw's own account that reads each partition once."""

    @cache
    def names(day: date, tenant: str) -> list[dict[str, int]]:
        return [partition.landing_objects for partition, _ in built_partitions(store, streams, day, tenant)]

    return names


def _table(rows: dict[_Key, _Row]) -> pa.Table:
    entries = [
        {"day": hour.date(), "hour": hour, "writer": writer, "tenant_id": tenant}
        | {name: getattr(row, name) for name in COLLECTOR_HOURS_SCHEMA.names[4:]}
        for (hour, writer, tenant), row in sorted(rows.items())
    ]
    return pa.Table.from_pylist(entries, schema=COLLECTOR_HOURS_SCHEMA)
