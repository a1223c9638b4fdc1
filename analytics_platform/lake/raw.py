"""From landing to raw: a Parquet object per stream, day and tenant that has rows, a function of what has landed.

`deduplicate(existing + landing)`: a build reads the rows that raw holds and the landing objects that it does not, so
it may run in any order and as often as one likes, costs what is new, and keeps rows whose landing objects were removed
since. Many small partitions go through one read, because each read has a price of its own. Which row stays is decided
in `merge`, what a raw object says of itself in `partition`, how a partition without rows is kept in `built`, whose
lines may not come in again by who calls (`Screen`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from analytics_platform.lake.built import built_partitions, state_empty
from analytics_platform.lake.dead_letters import DeadLetter, compressed, lines_of, raw_in_clear, size_of_lines
from analytics_platform.lake.landed_identifiers import Landed, LandedIdentifiers, TakeIdentifiers, nobody_takes
from analytics_platform.lake.layout import conflicts_key, landing_prefix, placed, raw_prefix
from analytics_platform.lake.merge import (
    Kept,
    LandingCorruptError,
    Merge,
    PartitionKey,
    Wanted,
    connected,
    merge,
    read_parquet_rows,
)
from analytics_platform.lake.partition import RawPartition, statement
from analytics_platform.lake.removals import read_removals
from analytics_platform.lake.schema import DICTIONARY_COLUMNS, JSON_COLUMNS, RAW_SCHEMA, landing_line
from analytics_platform.lake.store import ObjectInfo, ObjectStore

__all__ = [
    "RAW_SCHEMA",
    "LandingCorruptError",
    "RawPartition",
    "Screen",
    "build_partitions",
    "rewrite_partition",
    "scan",
]

Progress = Callable[[int, int], None]

Screen = Callable[[str, bytes], tuple[bytes, Mapping[str, int]] | None]
"""From a tenant and a landing object's bytes to what may come in of it, and the lines of each stream that may not.

None where nothing is to be changed, which is nearly always.
"""


# Bytes of lines before compression, and objects, of one batch; it ends with the partition that fills it.
_BATCH_BYTES = 48_000_000
_BATCH_OBJECTS = 500
# A batch beyond this has a partition that alone is larger than memory should hold: its rows may spill to disk.
_MEMORY_BYTES = 3 * _BATCH_BYTES
_HELD_RATIO = 10
# Bytes of rows before compression; a row group is in memory whole while it is written.
_ROW_GROUP_BYTES = 16_000_000
# A put waits for the disk or the network and hardly computes.
_PUTS_AT_ONCE = 8
_SCAN_OBJECTS = 500


@dataclass(frozen=True, slots=True)
class _Stale:
    """A partition to build: what raw holds of it, if anything, and the landing objects that it does not hold."""

    stream: str
    day: date
    tenant: str
    held: RawPartition | None
    fresh: tuple[ObjectInfo, ...]

    def is_empty(self, outcome: RawPartition) -> bool:
        """Whether it needs no object: no line ever came in, and none is there from a time when each had one."""
        return not outcome.landed and (self.held is None or not self.held.bytes)

    @property
    def key(self) -> PartitionKey:
        return self.stream, self.day, self.tenant


@dataclass(slots=True)
class _Batch:
    """Partitions that are read together."""

    current: list[RawPartition] = field(default_factory=list)
    stale: list[_Stale] = field(default_factory=list)
    partitions: int = 0
    bytes: int = 0
    objects: set[str] = field(default_factory=set)

    def add(self, current: list[RawPartition], stale: list[_Stale], size: int) -> None:
        self.current += current
        self.stale += stale
        self.partitions += 1
        self.objects |= {info.key for item in stale for info in item.fresh}
        self.bytes += size

    @property
    def is_full(self) -> bool:
        return self.bytes >= _BATCH_BYTES or len(self.objects) >= _BATCH_OBJECTS

    @property
    def is_large(self) -> bool:
        """Whether the batch is larger than memory should hold."""
        return self.bytes > _MEMORY_BYTES


def build_partitions(
    store: ObjectStore,
    *,
    streams: Sequence[str],
    partitions: Sequence[tuple[date, str]],
    progress: Progress | None = None,
    identifiers: TakeIdentifiers = nobody_takes,
    screen: Screen | None = None,
) -> list[RawPartition]:
    """Bring the raw objects of the given streams and (day, tenant) partitions up to what has landed.

    A partition that holds all its landing objects already is not written (`changed` is false). One that no line has
    come in for is stated to be built and gets no object; of one that retention has removed nothing is said.

    Args:
        store: the lake.
        streams: streams to build.
        partitions: business day and tenant of each partition.
        progress: called with the partitions done and the partitions in all.
        identifiers: takes the sealed identifiers that landed with the messages.
        screen: keeps lines of the erased away.

    Raises:
        LandingCorruptError: a landing object cannot be read back.
        UnclaimedIdentifiersError: there are some, and nobody takes them.
    """
    built: list[RawPartition] = []
    done = 0
    with connected() as connection:
        for batch in _batches(store, streams, partitions):
            built += batch.current
            built += _build(store, connection, batch, identifiers, screen)
            done += batch.partitions
            if progress is not None:
                progress(done, len(partitions))
    return built


def scan(store: ObjectStore, stream: str, first_day: date, last_day: date) -> pa.RecordBatchReader:
    """All rows of a stream from `first_day` to `last_day`, by day, tenant, event time, in batches of `RAW_SCHEMA`."""
    keys = [info.key for info in store.list(raw_prefix(stream)) if first_day <= placed(info.key).day <= last_day]
    return pa.RecordBatchReader.from_batches(RAW_SCHEMA, _read_all(store, keys))


def rewrite_partition(store: ObjectStore, held: RawPartition, rows: pa.Table, *, erased: int) -> RawPartition:
    """Replace a raw object's rows in one put; which landing objects it holds stays, so nothing is read again.

    So do its moments: what was received when is still true, and figures are built anew from as far back as before.

    Args:
        store: the lake.
        held: the object as it is.
        rows: its rows as they shall be, in their order.
        erased: how many of its rows are gone.
    """
    partition = replace(held, accepted=rows.num_rows, erased=held.erased + erased, changed=True)
    return _put(store, partition, _parquet(partition, iter(rows.cast(RAW_SCHEMA).to_batches())))


def _read_all(store: ObjectStore, keys: Sequence[str]) -> Iterator[pa.RecordBatch]:
    if not keys:
        return  # making a DuckDB takes longer than reading a small object
    with connected() as connection:
        for start in range(0, len(keys), _SCAN_OBJECTS):
            paths = tuple(store.local_path(key) for key in keys[start : start + _SCAN_OBJECTS])
            for batch in read_parquet_rows(connection, paths):
                yield batch.cast(RAW_SCHEMA)


def _batches(store: ObjectStore, streams: Sequence[str], partitions: Sequence[tuple[date, str]]) -> Iterator[_Batch]:
    batch, removals = _Batch(), read_removals(store)
    for day, tenant in sorted(set(partitions)):
        kept = [stream for stream in streams if not removals.covers_raw(stream, tenant, day)]
        current, stale = _planned(store, kept, day, tenant)
        batch.add(current, stale, _size_in_memory(store, stale))
        if batch.is_full:
            yield batch
            batch = _Batch()
    if batch.partitions:
        yield batch


def _size_in_memory(store: ObjectStore, stale: Iterable[_Stale]) -> int:
    """Bytes that a partition's rows take: what the landing objects say of themselves, however well they compress."""
    held = sum(item.held.bytes for item in stale if item.held is not None)
    fresh = {info.key for item in stale for info in item.fresh}
    try:
        return sum(size_of_lines(store.local_path(key)) for key in fresh) + _HELD_RATIO * held
    except ValueError as error:
        raise LandingCorruptError(f"{error}; restore it from a copy") from error


def _planned(
    store: ObjectStore, streams: Sequence[str], day: date, tenant: str
) -> tuple[list[RawPartition], list[_Stale]]:
    """Which streams of a partition are current, and what the others lack."""
    landed = store.list(landing_prefix(day, tenant))
    current: list[RawPartition] = []
    stale: list[_Stale] = []
    built = {partition.stream: partition for partition, _ in built_partitions(store, streams, day, tenant)}
    for stream in streams:
        held = built.get(stream)
        names = {} if held is None else held.landing_objects
        fresh = tuple(found for found in landed if placed(found.key).name not in names)
        if held is not None and not fresh:
            current.append(held)
        else:
            stale.append(_Stale(stream, day, tenant, held, fresh))
    return current, stale


def _build(
    store: ObjectStore,
    connection: duckdb.DuckDBPyConnection,
    batch: _Batch,
    take: TakeIdentifiers,
    screen: Screen | None,
) -> list[RawPartition]:
    """Merge one batch and put its raw objects, after conflicts and identifiers: a crash is mended by the next build."""
    stale = batch.stale
    if not stale:
        return []
    with TemporaryDirectory(prefix="analytics-conflicts-") as folder:
        screened = _Screened(store, screen, Path(folder))
        merged = merge(connection, _wanted(store, stale, screened, is_large=batch.is_large))
        outcome = _outcome(store, merged, stale, screened)
        for key, landed in _identifiers(merged, stale, screened):
            take(key, landed)
        empty = {item.key: outcome.pop(item.key) for item in stale if item.is_empty(outcome[item.key])}
        rows = _Rows(batch.cast(RAW_SCHEMA) for batch in merged.sorted_rows())
        encoded = ((outcome[key], _parquet(outcome[key], rows.take(outcome[key].accepted))) for key in sorted(outcome))
        if batch.is_large:
            put = [_put(store, partition, data) for partition, data in encoded]
        else:
            with ThreadPoolExecutor(_PUTS_AT_ONCE) as pool:
                put = list(pool.map(lambda pair: _put(store, *pair), encoded))
        state_empty(store, empty.values(), put)
        return [*put, *empty.values()]


class _Screened:
    """Landing objects of a batch as they may come in, each looked at once."""

    def __init__(self, store: ObjectStore, screen: Screen | None, folder: Path) -> None:
        self._store = store
        self._screen = screen
        self.folder = folder
        self._erased: dict[str, Mapping[str, int]] = {}
        self._paths: dict[str, Path] = {}
        self._keys: dict[str, str] = {}

    def path(self, info: ObjectInfo) -> Path:
        """The object's own file, or one beside it without the lines that may not come in."""
        if info.key not in self._paths:
            self._paths[info.key] = self._screened(info) or self._store.local_path(info.key)
            self._keys[str(self._paths[info.key])] = info.key
        return self._paths[info.key]

    def key(self, path: str) -> str:
        """The key of the object that was handed out as that file; a copy of a bucket's object has a name of its own."""
        return self._keys[path]

    def erased(self, item: _Stale) -> Counter[str]:
        """Lines of a partition's stream that did not come in, by name of their landing object."""
        lines = {placed(i.key).name: self._erased.get(i.key, {}).get(item.stream, 0) for i in item.fresh}
        return Counter({name: count for name, count in lines.items() if count})

    def _screened(self, info: ObjectInfo) -> Path | None:
        if self._screen is None:
            return None
        changed = self._screen(placed(info.key).tenant, self._store.get(info.key))
        if changed is None:
            return None
        data, self._erased[info.key] = changed
        path = self.folder / info.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path


def _wanted(store: ObjectStore, stale: Sequence[_Stale], screened: _Screened, *, is_large: bool) -> Wanted:
    landing: dict[Path, set[str]] = {}
    held: dict[Path, str] = {}
    conflicts: list[Path] = []
    for item in stale:
        for info in item.fresh:
            landing.setdefault(screened.path(info), set()).add(item.stream)
        if item.held is not None and item.held.accepted:
            held[store.local_path(item.held.key)] = item.stream
        lost = _lost_before(store, item)
        if lost:
            path = screened.folder / f"{len(conflicts)}.ndjson.zst"
            path.write_bytes(compressed(b"\n".join(lost)))
            conflicts.append(path)
    return Wanted(
        landing={path: frozenset(streams) for path, streams in landing.items()},
        held=held,
        conflicts=tuple(conflicts),
        by_file=any(len(item.fresh) > 1 for item in stale),
        is_large=is_large,
    )


def _lost_before(store: ObjectStore, item: _Stale) -> list[bytes]:
    """The landing lines that earlier builds set aside: needed to tell a repeated loser from a new one."""
    letters = (orjson.loads(letter) for letter in _letters_before(store, item))
    return [raw_in_clear(letter) for letter in letters if not letter.get("erased")]


def _letters_before(store: ObjectStore, item: _Stale) -> list[bytes]:
    key = conflicts_key(*item.key)
    is_there = item.held is not None and item.held.conflicts and store.info(key)
    return lines_of(store.get(key)) if is_there else []


def _emptied(store: ObjectStore, item: _Stale) -> list[bytes]:
    """Letters of the erased: nothing is left in them, but they stay in the account."""
    return [letter for letter in _letters_before(store, item) if orjson.loads(letter).get("erased")]


def _outcome(
    store: ObjectStore, merged: Merge, stale: Sequence[_Stale], screened: _Screened
) -> dict[PartitionKey, RawPartition]:
    lines = _lines_by_object(merged, stale, screened)
    kept, dropped, conflicts = merged.kept(), merged.dropped(), merged.conflicts()
    outcome: dict[PartitionKey, RawPartition] = {}
    for item in stale:
        lost, gone, emptied = conflicts.get(item.key, []), _letters_gone(store, item), _emptied(store, item)
        if lost:
            store.put(conflicts_key(*item.key), _letters(item, lost, emptied))
        fresh = dict.fromkeys((placed(info.key).name for info in item.fresh), 0)
        fresh |= lines.get(item.key, {})
        set_aside = len(lost) + gone + len(emptied)
        accounted = _accounted(item, kept.get(item.key), fresh, dropped.get(item.key, 0), set_aside)
        outcome[item.key] = _with_erased(accounted, screened.erased(item), item.held.erased if item.held else 0)
    return outcome


def _letters_gone(store: ObjectStore, item: _Stale) -> int:
    """Conflicts of earlier builds whose letters retention has removed since: they stay in the account."""
    if item.held is None or not item.held.conflicts:
        return 0
    key = conflicts_key(*item.key)
    return item.held.conflicts - (len(lines_of(store.get(key))) if store.info(key) else 0)


def _lines_by_object(merged: Merge, stale: Iterable[_Stale], screened: _Screened) -> dict[PartitionKey, dict[str, int]]:
    """Lines per landing object's name and partition; a line outside its object's partition is corruption."""
    only_object = _only_objects(stale)
    found: dict[PartitionKey, dict[str, int]] = {}
    for (path, key), lines in merged.lines().items():
        name = _name_within(screened.key(path), key) if path else only_object.get(key)
        if name is None:
            raise LandingCorruptError(
                f"{path or 'a landing object'} holds a line of {key[1]} and {key[2]}; restore it from a copy"
            )
        found.setdefault(key, {})[name] = lines
    return found


def _identifiers(merged: Merge, stale: Iterable[_Stale], screened: _Screened) -> Iterator[tuple[PartitionKey, Landed]]:
    """The sealed identifiers of the batch's landing lines, by partition: a tenant's after each other.

    They are about the same people.
    """
    found: dict[PartitionKey, list[LandedIdentifiers]] = {}
    for key, said in merged.identifiers():
        found.setdefault(key, []).append(LandedIdentifiers(*said))
    for item in sorted(stale, key=lambda item: (item.tenant, item.day, item.stream)):
        if item.key in found:
            names = frozenset(placed(info.key).name for info in item.fresh)
            yield item.key, Landed(names, found[item.key], partial(_by_object, merged, screened, item))


def _by_object(merged: Merge, screened: _Screened, item: _Stale) -> dict[str, list[LandedIdentifiers]]:
    only_object = _only_objects([item])
    found: dict[str, list[LandedIdentifiers]] = {}
    for path, said in merged.identifiers_by_file(item.key):
        name = placed(screened.key(path)).name if path else only_object[item.key]
        found.setdefault(name, []).append(LandedIdentifiers(*said))
    return found


def _only_objects(stale: Iterable[_Stale]) -> dict[PartitionKey, str]:
    """The name of the fresh landing object of each partition that has one alone."""
    return {item.key: placed(item.fresh[0].key).name for item in stale if len(item.fresh) == 1}


def _name_within(landing_key: str, key: PartitionKey) -> str | None:
    """The name of a landing object that is of the partition; None for an object of another."""
    place = placed(landing_key)
    return place.name if (place.day, place.tenant) == key[1:] else None


def _accounted(item: _Stale, kept: Kept | None, fresh: dict[str, int], dropped: int, conflicts: int) -> RawPartition:
    """What becomes of every line that ever landed in the partition, with this batch's lines added."""
    held = item.held
    objects = {**(held.landing_objects if held else {}), **fresh}
    return RawPartition(
        stream=item.stream,
        day=item.day,
        tenant=item.tenant,
        landed=(held.landed if held else 0) + sum(fresh.values()),
        duplicates=(held.duplicates if held else 0) + dropped,
        conflicts=conflicts,
        accepted=kept.rows if kept else 0,
        bytes=0,
        watermark=kept.watermark if kept else None,
        earliest_occurred_at=kept.earliest_occurred_at if kept else None,
        landing_objects=dict(sorted(objects.items())),
        changed=True,
    )


def _with_erased(partition: RawPartition, erased: Counter[str], before: int) -> RawPartition:
    """The account with the lines that landed and did not come in."""
    objects = {name: lines + erased[name] for name, lines in partition.landing_objects.items()}
    landed, gone = partition.landed + erased.total(), before + erased.total()
    return replace(partition, landed=landed, landing_objects=objects, erased=gone)


def _letters(item: _Stale, lost: Iterable[dict[str, Any]], emptied: Iterable[bytes]) -> bytes:
    letters = (
        DeadLetter(
            reason="id_conflict",
            detail=f"messageId {row['message_id']!r} had come before with another payload, which was kept; "
            "send the second message under an id of its own",
            raw=_as_landed(row),
            day=item.day,
            tenant=item.tenant,
            stream=item.stream,
        )
        .in_clear()
        .line
        for row in lost
    )
    return compressed(b"".join((*letters, *(letter + b"\n" for letter in emptied))))


def _as_landed(row: dict[str, Any]) -> bytes:
    nested = {name: orjson.Fragment(row[name]) for name in JSON_COLUMNS if row[name] is not None}
    return landing_line({**row, **nested}).rstrip(b"\n")


class _Rows:
    """Sorted rows handed out partition by partition, a batch in memory at a time."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._rest: pa.RecordBatch | None = None

    def take(self, count: int) -> Iterator[pa.RecordBatch]:
        """The next `count` rows."""
        while count:
            batch = self._rest if self._rest is not None else next(self._batches)
            part = batch.slice(0, count)
            self._rest = batch.slice(count) if batch.num_rows > count else None
            count -= part.num_rows
            yield part


def _put(store: ObjectStore, partition: RawPartition, data: bytes) -> RawPartition:
    store.put(partition.key, data)
    return replace(partition, bytes=len(data))


def _parquet(partition: RawPartition, rows: Iterator[pa.RecordBatch]) -> bytes:
    """The partition as Parquet bytes: the same rows and statement give the same bytes."""
    sink = pa.BufferOutputStream()
    with pq.ParquetWriter(
        sink, RAW_SCHEMA, compression="zstd", use_dictionary=list(DICTIONARY_COLUMNS), store_schema=False
    ) as writer:
        for group in _row_groups(rows):
            writer.write_table(group)
        writer.add_key_value_metadata(statement(partition))
    return bytes(sink.getvalue().to_pybytes())


def _row_groups(rows: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Batches joined to row groups of about `_ROW_GROUP_BYTES`."""
    waiting: list[pa.RecordBatch] = []
    size = 0
    for batch in rows:
        waiting.append(batch)
        size += batch.nbytes
        if size >= _ROW_GROUP_BYTES:
            yield pa.Table.from_batches(waiting)
            waiting, size = [], 0
    if waiting:
        yield pa.Table.from_batches(waiting)
