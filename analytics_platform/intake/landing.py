"""Landing: admitted messages and dead letters gathered into immutable objects, and the account of them.

Lines wait in memory, by day and tenant (dead letters by reason too), until their object is full or all together are
too many; so no object has two tenants, and memory is bounded whatever a call reads. Objects are named by their bytes:
one that is in the lake already was written by a call like this one, and its lines are duplicates.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, NamedTuple

from analytics_platform.intake.outcomes import Admitted
from analytics_platform.lake.dead_letters import DeadLetter, compressed
from analytics_platform.lake.layout import dead_letter_key, digest, landing_key, placed
from analytics_platform.lake.manifest import Counts, LedgerKey, Manifest, WrittenObject, write_manifest
from analytics_platform.lake.store import ObjectExistsError, ObjectStore

_OBJECT_BYTES = 8 * 1024 * 1024
_WAITING_BYTES = 48 * 1024 * 1024
_PUTS_AT_ONCE = 8


class _Place(NamedTuple):
    """Where lines wait to go: the landing of a day and tenant, or the dead letters of a reason there."""

    reason: str | None
    day: date
    tenant: str


@dataclass(slots=True)
class _Waiting:
    """The lines of an object to be, before compression."""

    lines: bytearray = field(default_factory=bytearray)
    streams: Counter[str] = field(default_factory=Counter)
    received_at: datetime | None = None


class Landing:
    """What one call of a writer lands, from the first message to its manifest."""

    def __init__(self, store: ObjectStore, writer: str) -> None:
        self._store = store
        self._manifest = Manifest(writer)
        self._waiting: dict[_Place, _Waiting] = {}
        self._waiting_bytes = 0

    @property
    def counts(self) -> Counts:
        """The account of everything so far."""
        total = Counts()
        for counts in self._manifest.counts.values():
            total.received += counts.received
            total.accepted += counts.accepted
            total.duplicates += counts.duplicates
            total.dead_lettered += counts.dead_lettered
        return total

    @property
    def partitions(self) -> list[tuple[date, str]]:
        """The (day, tenant) of every landing object that was put."""
        places = (placed(item.key) for item in self._manifest.landing)
        return sorted({(place.day, place.tenant) for place in places})

    def land(self, message: Admitted) -> None:
        """Take an admitted message."""
        self._counted(message.stream, message.day, message.tenant).accepted += 1
        place = _Place(None, message.day, message.tenant)
        self._wait(place, message.line, message.stream, message.received_at)

    def drop(self, message: Admitted) -> None:
        """Count a message that says nothing new."""
        self._counted(message.stream, message.day, message.tenant).duplicates += 1

    def refuse(self, letter: DeadLetter) -> None:
        """Take a dead letter."""
        self._counted(letter.stream, letter.day, letter.tenant).dead_lettered += 1
        self._wait(_Place(letter.reason, letter.day, letter.tenant), letter.as_line(), letter.stream)

    def finish(self, sources: list[dict[str, Any]]) -> None:
        """Put what still waits, then the manifest: from then on the call has happened."""
        self._put_all(sorted(self._waiting, key=lambda place: (place.reason or "", place.day, place.tenant)))
        self._manifest.sources = sources
        write_manifest(self._store, self._manifest)

    def _counted(self, stream: str, day: date, tenant: str) -> Counts:
        key: LedgerKey = (stream, day, tenant)
        counts = self._manifest.counts.get(key)
        if counts is None:
            counts = self._manifest.counts[key] = Counts()
        counts.received += 1
        return counts

    def _wait(self, place: _Place, line: bytes, stream: str, received_at: datetime | None = None) -> None:
        waiting = self._waiting.get(place)
        if waiting is None:
            waiting = self._waiting[place] = _Waiting()
        waiting.lines += line
        waiting.streams[stream] += 1
        if received_at is not None and (waiting.received_at is None or received_at > waiting.received_at):
            waiting.received_at = received_at
        self._waiting_bytes += len(line)
        if len(waiting.lines) >= _OBJECT_BYTES:
            self._put_all([place])
        elif self._waiting_bytes >= _WAITING_BYTES:
            self._put_all(self._largest(self._waiting_bytes - _WAITING_BYTES // 2))

    def _largest(self, to_free: int) -> list[_Place]:
        """The fewest places that together hold `to_free` bytes."""
        chosen: list[_Place] = []
        for place, waiting in sorted(self._waiting.items(), key=lambda item: len(item[1].lines), reverse=True):
            if to_free <= 0:
                break
            chosen.append(place)
            to_free -= len(waiting.lines)
        return chosen

    def _put_all(self, places: Sequence[_Place]) -> None:
        """Put objects side by side (a put waits and hardly computes), and account for them in their order."""
        with ThreadPoolExecutor(_PUTS_AT_ONCE) as pool:
            for place, (written, is_new) in zip(places, pool.map(self._put, places), strict=True):
                self._waiting_bytes -= len(self._waiting.pop(place).lines)
                self._account(place, written, is_new=is_new)

    def _put(self, place: _Place) -> tuple[WrittenObject, bool]:
        """Put one object; false beside it when it was there already."""
        waiting = self._waiting[place]
        data = bytes(waiting.lines)
        key, stored = self._key(place, waiting, digest(data)), compressed(data)
        written = WrittenObject(key, dict(sorted(waiting.streams.items())), hashlib.sha256(stored).hexdigest())
        try:
            self._store.put(key, stored, if_none_match=True)
        except ObjectExistsError:
            return written, False
        return written, True

    def _key(self, place: _Place, waiting: _Waiting, sha: str) -> str:
        if place.reason is not None:
            return dead_letter_key(place.reason, place.day, place.tenant, self._manifest.writer, sha)
        assert waiting.received_at is not None
        return landing_key(place.day, place.tenant, waiting.received_at, self._manifest.writer, sha)

    def _account(self, place: _Place, written: WrittenObject, *, is_new: bool) -> None:
        """Messages that landed before are duplicates; letters that lay there before were refused again all the same."""
        if place.reason is not None:
            self._manifest.dead_letters.append(written)
        elif is_new:
            self._manifest.landing.append(written)
        else:
            for stream, lines in written.lines.items():
                counts = self._manifest.counts[stream, place.day, place.tenant]
                counts.accepted -= lines
                counts.duplicates += lines
