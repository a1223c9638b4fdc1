"""Landing: admitted messages and dead letters gathered into immutable objects, and the account of them.

Lines wait in memory, by day and tenant (dead letters by reason too), until their object is full or all together are
too many; so no object has two tenants, and memory is bounded whatever a call reads. Objects are named by their bytes:
one that is in the lake already was written by a call like this one, and its lines are duplicates.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from typing import Any

from analytics_platform.intake.outcomes import Admitted
from analytics_platform.lake.dead_letters import DeadLetter, compressed
from analytics_platform.lake.layout import dead_letter_key, digest, landing_key, placed
from analytics_platform.lake.manifest import Counts, LedgerKey, Manifest, WrittenObject, write_manifest
from analytics_platform.lake.store import ObjectExistsError, ObjectStore

_OBJECT_BYTES = 8 * 1024 * 1024
_WAITING_BYTES = 48 * 1024 * 1024


@dataclass(slots=True)
class _Waiting:
    """The lines of an object to be, before compression."""

    lines: bytearray = field(default_factory=bytearray)
    streams: Counter[str] = field(default_factory=Counter)
    received_at: datetime | None = None

    def add(self, line: bytes, stream: str) -> None:
        self.lines += line
        self.streams[stream] += 1


class Landing:
    """What one call of a writer lands, from the first message to its manifest."""

    def __init__(self, store: ObjectStore, writer: str) -> None:
        self._store = store
        self._manifest = Manifest(writer)
        self._messages: dict[tuple[date, str], _Waiting] = {}
        self._letters: dict[tuple[str, date, str], _Waiting] = {}
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
        counts = self._counted(message.stream, message.day, message.tenant)
        counts.accepted += 1
        place = (message.day, message.tenant)
        waiting = self._messages.setdefault(place, _Waiting())
        waiting.add(message.line, message.stream)
        if waiting.received_at is None or message.received_at > waiting.received_at:
            waiting.received_at = message.received_at
        self._waiting_bytes += len(message.line)
        if len(waiting.lines) >= _OBJECT_BYTES:
            self._put_messages(place)
        self._relieve()

    def drop(self, message: Admitted) -> None:
        """Count a message that says nothing new."""
        self._counted(message.stream, message.day, message.tenant).duplicates += 1

    def refuse(self, letter: DeadLetter) -> None:
        """Take a dead letter."""
        self._counted(letter.stream, letter.day, letter.tenant).dead_lettered += 1
        place = (letter.reason, letter.day, letter.tenant)
        waiting = self._letters.setdefault(place, _Waiting())
        line = letter.as_line()
        waiting.add(line, letter.stream)
        self._waiting_bytes += len(line)
        if len(waiting.lines) >= _OBJECT_BYTES:
            self._put_letters(place)
        self._relieve()

    def finish(self, sources: list[dict[str, Any]]) -> None:
        """Put what still waits, then the manifest: from then on the call has happened."""
        for place in sorted(self._messages):
            self._put_messages(place)
        for reason_and_place in sorted(self._letters):
            self._put_letters(reason_and_place)
        self._manifest.sources = sources
        write_manifest(self._store, self._manifest)

    def _counted(self, stream: str, day: date, tenant: str) -> Counts:
        key: LedgerKey = (stream, day, tenant)
        counts = self._manifest.counts.get(key)
        if counts is None:
            counts = self._manifest.counts[key] = Counts()
        counts.received += 1
        return counts

    def _relieve(self) -> None:
        """Put the largest objects until half of the memory is free again."""
        if self._waiting_bytes < _WAITING_BYTES:
            return
        by_size: list[tuple[int, Callable[[], None]]] = [
            *((len(waiting.lines), partial(self._put_messages, place)) for place, waiting in self._messages.items()),
            *((len(waiting.lines), partial(self._put_letters, place)) for place, waiting in self._letters.items()),
        ]
        for _, put in sorted(by_size, key=lambda entry: entry[0], reverse=True):
            if self._waiting_bytes <= _WAITING_BYTES // 2:
                return
            put()

    def _put_messages(self, place: tuple[date, str]) -> None:
        waiting = self._messages.pop(place)
        self._waiting_bytes -= len(waiting.lines)
        data = bytes(waiting.lines)
        assert waiting.received_at is not None
        key = landing_key(*place, waiting.received_at, self._manifest.writer, digest(data))
        if self._put(key, data, waiting, self._manifest.landing):
            return
        for stream, lines in waiting.streams.items():
            counts = self._manifest.counts[stream, *place]
            counts.accepted -= lines
            counts.duplicates += lines

    def _put_letters(self, place: tuple[str, date, str]) -> None:
        """Put dead letters; those that an earlier call put are the same letters, refused again."""
        waiting = self._letters.pop(place)
        self._waiting_bytes -= len(waiting.lines)
        data = bytes(waiting.lines)
        key = dead_letter_key(*place, self._manifest.writer, digest(data))
        if not self._put(key, data, waiting, self._manifest.dead_letters):
            self._manifest.dead_letters.append(_written(key, waiting, compressed(data)))

    def _put(self, key: str, data: bytes, waiting: _Waiting, written: list[WrittenObject]) -> bool:
        """Put an object and note it; false when it is there already."""
        stored = compressed(data)
        try:
            self._store.put(key, stored, if_none_match=True)
        except ObjectExistsError:
            return False
        written.append(_written(key, waiting, stored))
        return True


def _written(key: str, waiting: _Waiting, stored: bytes) -> WrittenObject:
    return WrittenObject(key, dict(sorted(waiting.streams.items())), hashlib.sha256(stored).hexdigest())
