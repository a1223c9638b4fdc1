"""Built and empty: the streams of a day and tenant without any line, and the landing objects that were looked through.

One small object for all such streams of a (day, tenant) tells them from what was never built; a Parquet object each
would cost more than the rows of a small tenant. A raw object, where there is one, speaks for its stream alone.

That a landing object has no line of a stream stays true, because landing objects never change. So a statement that
another build overwrote can only be too short: what it does not name is looked through again.

    raw_empty/day=D/tenant=T/streams.json    the names of the landing objects, by stream
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime

import orjson

from analytics_platform.lake.layout import empty_key, placed, raw_key
from analytics_platform.lake.partition import ForeignObjectError, RawPartition, read_partition
from analytics_platform.lake.store import ObjectInfo, ObjectStore

_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE
_PUTS_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class EmptyStreams:
    """What is said of a day and tenant: the names of the landing objects that hold nothing, by stream."""

    day: date
    tenant: str
    names: Mapping[str, tuple[str, ...]]
    changed_at: datetime

    @property
    def partitions(self) -> list[RawPartition]:
        """The partitions without rows, one for each stream."""
        return [empty_partition(stream, self.day, self.tenant, names) for stream, names in self.names.items()]


def empty_partition(stream: str, day: date, tenant: str, names: Iterable[str]) -> RawPartition:
    """A partition that no line has come in for."""
    return RawPartition(
        stream=stream,
        day=day,
        tenant=tenant,
        landed=0,
        duplicates=0,
        conflicts=0,
        accepted=0,
        bytes=0,
        watermark=None,
        earliest_occurred_at=None,
        landing_objects=dict.fromkeys(names, 0),
    )


def read_empty(store: ObjectStore, info: ObjectInfo) -> EmptyStreams:
    """The statement at `info`.

    Raises:
        ForeignObjectError: it is none.
    """
    place = placed(info.key)
    try:
        said = {name: tuple(names) for name, names in orjson.loads(store.get(info.key))["streams"].items()}
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as error:
        raise ForeignObjectError(f"{info.key} is no statement of empty streams; delete it and build it anew") from error
    return EmptyStreams(place.day, place.tenant, said, info.modified_at)


def find_empty(store: ObjectStore, day: date, tenant: str) -> EmptyStreams | None:
    """The statement of a day and tenant, if there is one."""
    info = store.info(empty_key(day, tenant))
    return None if info is None else read_empty(store, info)


def built_partitions(
    store: ObjectStore, streams: Iterable[str], day: date, tenant: str
) -> Iterator[tuple[RawPartition, datetime]]:
    """What is built of a day and tenant, with rows or without, by stream, and when that was written.

    Raises:
        ForeignObjectError: an object is not this platform's.
    """
    empty = find_empty(store, day, tenant)
    for stream in streams:
        info = store.info(raw_key(stream, day, tenant))
        if info is not None:
            yield read_partition(store, stream, info), info.modified_at
        elif empty is not None and stream in empty.names:
            yield empty_partition(stream, day, tenant, empty.names[stream]), empty.changed_at


def state_empty(store: ObjectStore, empty: Iterable[RawPartition], written: Iterable[RawPartition]) -> None:
    """Note partitions as built and empty, and take back what was said of those that have an object now.

    Args:
        store: the lake.
        empty: partitions that no line has come in for.
        written: partitions whose object was put.
    """
    said: dict[tuple[date, str], dict[str, tuple[str, ...] | None]] = {}
    for partition in empty:
        said.setdefault((partition.day, partition.tenant), {})[partition.stream] = tuple(partition.landing_objects)
    for partition in written:
        said.setdefault((partition.day, partition.tenant), {})[partition.stream] = None
    with ThreadPoolExecutor(_PUTS_AT_ONCE) as pool:
        waiting = [pool.submit(_restate, store, day, tenant, names) for (day, tenant), names in said.items()]
        for done in waiting:
            done.result()


def forget_empty(store: ObjectStore, info: ObjectInfo, stream: str) -> None:
    """Take back what the statement at `info` says of a stream; a statement of nothing is removed."""
    place = placed(info.key)
    _restate(store, place.day, place.tenant, {stream: None})


def _restate(store: ObjectStore, day: date, tenant: str, said: Mapping[str, tuple[str, ...] | None]) -> None:
    known = find_empty(store, day, tenant)
    before = {} if known is None else known.names
    names = {stream: each for stream, each in {**before, **said}.items() if each is not None}
    if names and names != before:
        store.put(empty_key(day, tenant), orjson.dumps({"version": 1, "streams": names}, option=_OPTIONS))
    elif known is not None and not names:
        store.delete(empty_key(day, tenant))
