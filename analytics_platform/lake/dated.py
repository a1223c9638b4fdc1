"""When objects were written that a migration has brought from another store.

No bucket takes a time of writing from its client, and much rests on it: what has changed since a build, whether a
promise was kept, how old a page is. So a migration leaves records in the lake that name each object's own time beside
the time that the bucket gave it, and `DatedStore` tells the former for as long as nobody has written the object anew.
Stays out: copying objects (`migration`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson

from analytics_platform.lake.layout import governance_key, governance_prefix
from analytics_platform.lake.store import ObjectInfo, ObjectMissingError, ObjectStore

RECORDS_PREFIX = governance_prefix("migrations")
"""Where the records lie: one for each prefix of the lake."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PLAIN = re.compile(r"[a-z0-9][a-z0-9_-]{0,80}")
_OTHERS = "other-prefixes"

Times = Mapping[str, tuple[int, int]]
"""By key: when the object was written, in microseconds since 1970, and in which second the store says it was put."""


class DatedStore:
    """A store whose objects keep the time at which they were written before they were brought here.

    What a process has read of the records it keeps: a migration ends before its target is used.
    """

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._records: frozenset[str] | None = None
        self._times: dict[str, Times] = {}
        # What does not depend on time is the store's own; a call more for each would be felt in a hot path.
        self.get: Callable[[str], bytes] = store.get
        self.delete: Callable[[str], None] = store.delete
        self.local_path: Callable[[str], Path] = store.local_path
        self.address: Callable[[str], str] = store.address

    @property
    def undated(self) -> ObjectStore:
        """The store itself, which tells its own times."""
        return self._store

    def put(self, key: str, data: bytes, *, if_none_match: bool = False) -> None:
        """See `ObjectStore.put`."""
        self._store.put(key, data, if_none_match=if_none_match)

    def info(self, key: str) -> ObjectInfo | None:
        """See `ObjectStore.info`."""
        info = self._store.info(key)
        return None if info is None else self._dated(info)

    def list(self, prefix: str) -> list[ObjectInfo]:
        """See `ObjectStore.list`."""
        found = self._store.list(prefix)
        return [self._dated(info) for info in found] if self._known_records() else found

    def _dated(self, info: ObjectInfo) -> ObjectInfo:
        known = self._times_of(times_key(info.key)).get(info.key) if self._known_records() else None
        if known is None or known[1] != int(info.modified_at.timestamp()):
            return info
        return replace(info, modified_at=_EPOCH + timedelta(microseconds=known[0]))

    def _times_of(self, record: str) -> Times:
        if record not in self._times:
            self._times[record] = _read(self._store, record) if record in self._known_records() else {}
        return self._times[record]

    def _known_records(self) -> frozenset[str]:
        if self._records is None:
            self._records = frozenset(info.key for info in self._store.list(RECORDS_PREFIX))
        return self._records


def times_key(key: str) -> str:
    """Key of the record that an object's time stands in."""
    prefix = key.partition("/")[0]
    return governance_key("migrations", prefix if _PLAIN.fullmatch(prefix) else _OTHERS)


def write_times(store: ObjectStore, written: Mapping[str, datetime], put: Iterable[ObjectInfo]) -> None:
    """Note when objects were written, for all that a migration has put; a record that says the same stays.

    Args:
        store: the target itself.
        written: by key, when the object was written where it came from.
        put: the objects as the target lists them.
    """
    records: dict[str, dict[str, tuple[int, int]]] = {}
    for info in put:
        at = (written[info.key] - _EPOCH) // timedelta(microseconds=1)
        records.setdefault(times_key(info.key), {})[info.key] = (at, int(info.modified_at.timestamp()))
    for known in store.list(RECORDS_PREFIX):
        if known.key not in records:
            store.delete(known.key)
    for key, times in records.items():
        body = orjson.dumps({"version": 1, "written": dict(sorted(times.items()))})
        if _bytes(store, key) != body:
            store.put(key, body)


def _read(store: ObjectStore, record: str) -> Times:
    return {key: (at, put) for key, (at, put) in orjson.loads(store.get(record))["written"].items()}


def _bytes(store: ObjectStore, key: str) -> bytes | None:
    try:
        return store.get(key)
    except ObjectMissingError:
        return None
