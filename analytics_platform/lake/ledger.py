"""The ledger: what came in, and what became of it, per stream, day and tenant. Derived, never a second truth.

The two sides are counted apart. *Received* is what the writers' manifests say, taken at the gate; for an object that no
manifest names (its writer died) it is the lines in the object. The other side is counted where things ended up: rows in
the Parquet footer, duplicates that the writers and the raw build dropped, letters in the dead-letter objects. So a
lost object, a raw object that lost rows, or a dead letter that vanished makes a row that does not balance.

A letter that was replayed is received where it went, and no longer where it was refused; the dead-letter object stays,
so that what a collector acknowledged in an hour still adds up (`collector_hours`).

What retention has removed is no part of it: a partition of raw has no row any more, a letter is not missed. Nor is what
an erasure took out of a partition: those lines count as never received.

Lines in landing objects that raw does not hold yet are `pending`, and no part of `received`: arrivals after a build
make a partition stale (`changes`), not wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from analytics_platform.lake.changes import empty_streams, within
from analytics_platform.lake.dead_letters import count_by_stream
from analytics_platform.lake.layout import (
    DEAD_PREFIX,
    LANDING_PREFIX,
    RAW_PREFIX,
    conflicts_key,
    is_conflicts_of_raw,
    landing_prefix,
    placed,
)
from analytics_platform.lake.manifest import LedgerKey, Manifest, MovedLetters, WrittenObject, read_manifests
from analytics_platform.lake.partition import RawPartition, read_partition
from analytics_platform.lake.removals import Removals, read_removals
from analytics_platform.lake.store import ObjectInfo, ObjectStore

LEDGER_SCHEMA = pa.schema(
    [
        pa.field("stream", pa.string()),
        pa.field("day", pa.date32()),
        pa.field("tenant_id", pa.string()),
        pa.field("received", pa.int64()),
        pa.field("accepted", pa.int64()),
        pa.field("duplicates", pa.int64()),
        pa.field("dead_lettered", pa.int64()),
        pa.field("pending", pa.int64()),
        pa.field("bytes", pa.int64()),
        pa.field("watermark", pa.timestamp("us", tz="UTC")),
        pa.field("landing_objects", pa.int64()),
        pa.field("changed_at", pa.timestamp("us", tz="UTC")),
    ]
)


@dataclass(slots=True)
class _Row:
    received: int = 0
    accepted: int = 0
    duplicates: int = 0
    dead_lettered: int = 0
    pending: int = 0
    bytes: int = 0
    watermark: datetime | None = None
    landing_objects: int = 0
    changed_at: datetime | None = None


@dataclass(slots=True)
class _Books:
    """The rows so far, and what the lake holds in the range of days."""

    store: ObjectStore
    first_day: date
    last_day: date
    rows: dict[LedgerKey, _Row] = field(default_factory=dict)
    held: dict[LedgerKey, dict[str, int]] = field(default_factory=dict)
    letters: dict[str, Counter[str]] = field(default_factory=dict)
    namings: Counter[str] = field(default_factory=Counter)
    moved: list[MovedLetters] = field(default_factory=list)
    removals: Removals = field(default_factory=Removals)

    def row(self, key: LedgerKey) -> _Row:
        return self.rows.setdefault(key, _Row())

    def objects(self, prefix: str) -> Iterable[ObjectInfo]:
        return (info for info in self.store.list(prefix) if self.covers(placed(info.key).day))

    def covers(self, day: date) -> bool:
        return within(day, self.first_day, self.last_day)

    def let_go(self, letters_key: str) -> bool:
        """Whether retention has removed a dead-letter object: nobody misses it."""
        place = placed(letters_key)
        return letters_key not in self.letters and self.removals.covers("dead_letters", place.tenant, place.day)


def ledger_rows(store: ObjectStore, first_day: date, last_day: date) -> pa.Table:
    """The ledger of the days from `first_day` to `last_day`, ordered by stream, day and tenant (`LEDGER_SCHEMA`).

    `bytes` and `changed_at` are the raw object's size and time of writing, `watermark` its latest `received_at`.
    """
    books = _Books(store, first_day, last_day, removals=read_removals(store))
    landed = {info.key for info in books.objects(LANDING_PREFIX)}
    books.letters = {info.key: count_by_stream(store.get(info.key)) for info in books.objects(DEAD_PREFIX)}
    _book_raw(books)
    named: set[str] = set()
    for manifest in read_manifests(store, first_day, last_day):
        _book_manifest(books, manifest, landed)
        named |= {item.key for item in (*manifest.landing, *manifest.dead_letters)}
    _book_unnamed_landing(books, landed - named)
    _book_unnamed_and_gone(books, landed | named)
    _book_unnamed_letters(books, books.letters.keys() - named)
    for moved in books.moved:
        _book_moved(books, moved)
    live = {key: row for key, row in books.rows.items() if not books.removals.covers_raw(key[0], key[2], key[1])}
    return _table(live)


def unbalanced(ledger: pa.Table) -> pa.Table:
    """The rows of a ledger for which `received = accepted + duplicates + dead_lettered` does not hold."""
    ended = pc.add(pc.add(ledger["accepted"], ledger["duplicates"]), ledger["dead_lettered"])
    return ledger.filter(pc.not_equal(ledger["received"], ended))


def _book_raw(books: _Books) -> None:
    for info in books.objects(RAW_PREFIX):
        partition = read_partition(books.store, info.key.split("/")[1], info)
        _book_partition(books, partition, info.modified_at)
        _book_conflicts(books, partition)
    for empty in empty_streams(books.store, books.first_day, books.last_day):
        for partition in empty.partitions:
            if (partition.stream, empty.day, empty.tenant) not in books.held:
                _book_partition(books, partition, empty.changed_at)


def _book_partition(books: _Books, partition: RawPartition, changed_at: datetime) -> None:
    key = (partition.stream, partition.day, partition.tenant)
    books.held[key] = partition.landing_objects
    row = books.row(key)
    row.received -= partition.erased
    row.accepted += partition.accepted
    row.duplicates += partition.duplicates
    row.bytes = partition.bytes
    row.watermark = partition.watermark
    row.landing_objects = len(partition.landing_objects)
    row.changed_at = changed_at


def _book_conflicts(books: _Books, partition: RawPartition) -> None:
    """Take lines out of `received` that raw set aside and whose letters retention has removed since."""
    letters_key = conflicts_key(partition.stream, partition.day, partition.tenant)
    if books.removals.covers("dead_letters", partition.tenant, partition.day):
        gone = partition.conflicts - books.letters.get(letters_key, Counter[str]()).total()
        books.row((partition.stream, partition.day, partition.tenant)).received -= max(gone, 0)


def _book_manifest(books: _Books, manifest: Manifest, landed: set[str]) -> None:
    for key, counts in manifest.counts.items():
        if books.covers(key[1]):
            row = books.row(key)
            row.received += counts.received
            row.duplicates += counts.duplicates
    for item in manifest.landing:
        _book_pending(books, item, landed)
    for item in manifest.dead_letters:
        _book_letters(books, item.key)
        _book_let_go(books, item)
    books.moved += manifest.moved


def _book_pending(books: _Books, item: WrittenObject, landed: set[str]) -> None:
    """Take out of `received` what is in landing and not in raw; an object that is in neither was lost, and stays in."""
    place = placed(item.key)
    if not books.covers(place.day) or item.key not in landed:
        return
    for stream, lines in item.lines.items():
        key = (stream, place.day, place.tenant)
        if place.name not in books.held.get(key, {}):
            books.row(key).received -= lines
            books.row(key).pending += lines


def _book_letters(books: _Books, object_key: str) -> None:
    place = placed(object_key)
    books.namings[object_key] += 1
    for stream, lines in books.letters.get(object_key, Counter[str]()).items():
        books.row((stream, place.day, place.tenant)).dead_lettered += lines


def _book_let_go(books: _Books, item: WrittenObject) -> None:
    """Take the letters of an object out of `received` that retention has removed: the ledger is of what there is."""
    place = placed(item.key)
    if books.covers(place.day) and books.let_go(item.key):
        for stream, lines in item.lines.items():
            books.row((stream, place.day, place.tenant)).received -= lines


def _book_moved(books: _Books, moved: MovedLetters) -> None:
    """Take replayed letters out of where they were refused; those of them that were refused again are duplicates.

    The same file, imported again, is refused into the same object, which then stands in as many manifests.
    """
    place = placed(moved.key)
    if not books.covers(place.day) or books.let_go(moved.key):
        return
    refused = books.namings[moved.key] if moved.key in books.letters else 0
    for stream, lines in moved.lines.items():
        row = books.row((stream, place.day, place.tenant))
        row.received -= lines
        row.dead_lettered -= lines * refused
        row.duplicates += lines * max(refused - 1, 0)


def _book_unnamed_landing(books: _Books, keys: Iterable[str]) -> None:
    for object_key in sorted(keys):
        place = placed(object_key)
        for stream, lines in count_by_stream(books.store.get(object_key)).items():
            key = (stream, place.day, place.tenant)
            row = books.row(key)
            if place.name in books.held.get(key, {}):
                row.received += lines
            else:
                row.pending += lines


def _book_unnamed_and_gone(books: _Books, known: set[str]) -> None:
    """Lines of objects that no manifest named and retention has removed since: only raw remembers them."""
    for key, objects in books.held.items():
        prefix = landing_prefix(key[1], key[2])
        books.row(key).received += sum(lines for name, lines in objects.items() if prefix + name not in known)


def _book_unnamed_letters(books: _Books, keys: Iterable[str]) -> None:
    """Letters without a manifest: those of a writer that died were received too, those of raw were landing lines."""
    for object_key in sorted(keys):
        _book_letters(books, object_key)
        place = placed(object_key)
        if not is_conflicts_of_raw(place.name):
            for stream, lines in books.letters[object_key].items():
                books.row((stream, place.day, place.tenant)).received += lines


def _table(rows: dict[LedgerKey, _Row]) -> pa.Table:
    entries = [
        {"stream": stream, "day": day, "tenant_id": tenant}
        | {name: getattr(row, name) for name in LEDGER_SCHEMA.names[3:]}
        for (stream, day, tenant), row in sorted(rows.items())
    ]
    return pa.Table.from_pylist(entries, schema=LEDGER_SCHEMA)
