"""Landing: admitted messages and dead letters of one import call, and the account of them.

Objects are named by their bytes: one that is in the lake already was written by a call like this one, and its lines
are duplicates.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from analytics_platform.intake.gathering import Gathered, Gathering, Place
from analytics_platform.intake.outcomes import Admitted
from analytics_platform.lake.dead_letters import SealedLetter
from analytics_platform.lake.layout import dead_letter_key, digest, landing_key, placed
from analytics_platform.lake.manifest import Counts, LedgerKey, Manifest, WrittenObject, write_manifest
from analytics_platform.lake.store import ObjectStore


class Landing:
    """What one call of a writer lands, from the first message to its manifest."""

    def __init__(self, store: ObjectStore, writer: str) -> None:
        self._store = store
        self._manifest = Manifest(writer)
        self._gathering = Gathering(store, self._key, self._account)

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
        place = Place(None, message.day, message.tenant)
        self._gathering.add(place, message.line, message.stream, received_at=message.received_at)

    def drop(self, message: Admitted) -> None:
        """Count a message that says nothing new."""
        self._counted(message.stream, message.day, message.tenant).duplicates += 1

    def refuse(self, letter: SealedLetter) -> None:
        """Take a dead letter."""
        self._counted(letter.stream, letter.day, letter.tenant).dead_lettered += 1
        self._gathering.add(Place(letter.reason, letter.day, letter.tenant), letter.line, letter.stream)

    def finish(self, sources: list[dict[str, Any]]) -> str | None:
        """Put what still waits, then the manifest: from then on the call has happened. Returns the manifest's key."""
        self._gathering.put_rest()
        self._manifest.sources = sources
        return write_manifest(self._store, self._manifest)

    def _counted(self, stream: str, day: date, tenant: str) -> Counts:
        key: LedgerKey = (stream, day, tenant)
        counts = self._manifest.counts.get(key)
        if counts is None:
            counts = self._manifest.counts[key] = Counts()
        counts.received += 1
        return counts

    def _key(self, place: Place, gathered: Gathered, lines: bytes) -> str:
        sha = digest(lines)
        if place.reason is not None:
            return dead_letter_key(place.reason, place.day, place.tenant, self._manifest.writer, sha)
        assert gathered.received_at is not None
        return landing_key(place.day, place.tenant, gathered.received_at, self._manifest.writer, sha)

    def _account(self, place: Place, written: WrittenObject, is_new: bool) -> None:
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
