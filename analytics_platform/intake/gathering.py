"""Gathering: lines become immutable objects of one place each, and are put.

Lines wait in memory, by day and tenant (dead letters by reason too), until their object is full or all together are
too many; so no object has two tenants, and memory is bounded whatever a writer reads. Lines of small objects wait
compressed before they are put: an object costs more than its bytes, in the lake and to all who read it, and with
hundreds of tenants each is small. The same lines in the same order give the same objects. What a writer says about its
objects is its own: `landing` for an import, the collector's shipping for a segment.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import NamedTuple

import zstandard

from analytics_platform.lake.dead_letters import compressed
from analytics_platform.lake.manifest import WrittenObject
from analytics_platform.lake.store import ObjectExistsError, ObjectStore

_OBJECT_BYTES = 8 * 1024 * 1024
_WAITING_BYTES = 32 * 1024 * 1024
# Beyond this an object is worth its put, and its lines are not compressed twice.
_SMALL_BYTES = 1024 * 1024
_PUTS_AT_ONCE = 8


class Place(NamedTuple):
    """Where lines wait to go: the landing of a day and tenant, or the dead letters of a reason there."""

    reason: str | None
    day: date
    tenant: str


@dataclass(slots=True)
class Gathered:
    """The lines of an object to be, of which the first may wait compressed; `received_at` is the latest of theirs."""

    streams: Counter[str] = field(default_factory=Counter)
    received_at: datetime | None = None
    size: int = 0
    _squeezed: list[bytes] = field(default_factory=list)
    _last: bytearray = field(default_factory=bytearray)

    @property
    def held(self) -> int:
        """Bytes that the lines take in memory; `size` is theirs as they came."""
        return sum(map(len, self._squeezed)) + len(self._last)

    def add(self, lines: bytes) -> None:
        """Take lines."""
        self._last += lines
        self.size += len(lines)

    def squeeze(self, compressor: zstandard.ZstdCompressor) -> None:
        """Compress what came since the last time."""
        if not self._last:
            return
        self._squeezed.append(compressor.compress(self._last))
        self._last = bytearray()

    def lines(self) -> bytes:
        """All lines as they came."""
        inflate = zstandard.ZstdDecompressor().decompress
        return b"".join((*map(inflate, self._squeezed), self._last))


KeyOf = Callable[[Place, Gathered, bytes], str]
"""The key of an object of those lines; it depends on nothing that another attempt would find changed."""

OnPut = Callable[[Place, WrittenObject, bool], None]
"""Told of every object in the order of the puts; false when it lay in the lake before."""


class Gathering:
    """The lines of one writer's call or segment on their way into objects."""

    def __init__(self, store: ObjectStore, key_of: KeyOf, on_put: OnPut) -> None:
        self._store, self._key_of, self._on_put = store, key_of, on_put
        self._waiting: dict[Place, Gathered] = {}
        self._waiting_bytes = 0

    def add(
        self, place: Place, lines: bytes, stream: str, *, count: int = 1, received_at: datetime | None = None
    ) -> None:
        """Take `count` whole lines of one stream."""
        waiting = self._waiting.get(place)
        if waiting is None:
            waiting = self._waiting[place] = Gathered()
        waiting.add(lines)
        waiting.streams[stream] += count
        if received_at is not None and (waiting.received_at is None or received_at > waiting.received_at):
            waiting.received_at = received_at
        self._waiting_bytes += len(lines)
        if waiting.size >= _OBJECT_BYTES:
            self._put([place])
        elif self._waiting_bytes >= _WAITING_BYTES:
            self._make_room()

    def put_rest(self) -> None:
        """Put what still waits."""
        self._put(sorted(self._waiting, key=lambda place: (place.reason or "", place.day, place.tenant)))

    def _make_room(self) -> None:
        """Compress what is small; where that frees less than half, put the largest."""
        compressor = zstandard.ZstdCompressor(level=1)
        for waiting in self._waiting.values():
            if waiting.size < _SMALL_BYTES:
                waiting.squeeze(compressor)
        self._waiting_bytes = sum(waiting.held for waiting in self._waiting.values())
        if self._waiting_bytes > _WAITING_BYTES // 2:
            self._put(self._largest(self._waiting_bytes - _WAITING_BYTES // 2))

    def _largest(self, to_free: int) -> list[Place]:
        """The fewest places that together hold `to_free` bytes."""
        chosen: list[Place] = []
        for place, waiting in sorted(self._waiting.items(), key=lambda item: item[1].held, reverse=True):
            if to_free <= 0:
                break
            chosen.append(place)
            to_free -= waiting.held
        return chosen

    def _put(self, places: Sequence[Place]) -> None:
        """Put objects side by side (a put waits and hardly computes), and tell of them in their order."""
        with ThreadPoolExecutor(_PUTS_AT_ONCE) as pool:
            for place, (written, is_new) in zip(places, pool.map(self._put_one, places), strict=True):
                self._waiting_bytes -= self._waiting.pop(place).held
                self._on_put(place, written, is_new)

    def _put_one(self, place: Place) -> tuple[WrittenObject, bool]:
        waiting = self._waiting[place]
        lines = waiting.lines()
        key, stored, is_new = self._key_of(place, waiting, lines), compressed(lines), True
        try:
            self._store.put(key, stored, if_none_match=True)
        except ObjectExistsError:
            stored, is_new = self._store.get(key), False
        return WrittenObject(key, dict(sorted(waiting.streams.items())), hashlib.sha256(stored).hexdigest()), is_new
