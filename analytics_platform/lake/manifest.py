"""Manifests: what a writer says it received, and which objects it put, written after the last of them.

A manifest is the received side of the ledger: its counts are taken at the gate, before anything is known of raw. The
same call over the same lake gives the same manifest, under the same key.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any

import orjson

from analytics_platform.lake.layout import MANIFEST_PREFIX, digest, manifest_days, manifest_key, placed
from analytics_platform.lake.store import ObjectExistsError, ObjectStore

_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE

LedgerKey = tuple[str, date, str]
"""Stream, day and tenant; `layout.UNKNOWN_STREAM` and `layout.UNKNOWN_TENANT` where a line did not tell."""


@dataclass(slots=True)
class Counts:
    """What a writer did with the lines of one stream, day and tenant."""

    received: int = 0
    accepted: int = 0
    duplicates: int = 0
    dead_lettered: int = 0


@dataclass(frozen=True, slots=True)
class WrittenObject:
    """An object that the manifest answers for: its lines by stream, and the SHA-256 of the stored bytes."""

    key: str
    lines: dict[str, int]
    sha256: str


@dataclass(frozen=True, slots=True)
class MovedLetters:
    """Letters that a replay took out of a dead-letter object, by stream; the object itself stays as it is."""

    key: str
    lines: dict[str, int]


@dataclass(slots=True)
class Manifest:
    """One import call, or one closed hour of a collector or a part of one, or one step of a replay.

    Attributes:
        writer: whose it is.
        counts: the received side of the ledger.
        landing: landing objects that were put.
        dead_letters: dead-letter objects that were put.
        sources: where the lines came from.
        hour: of a collector: the hour, in UTC, in which the lines were acknowledged.
        acked: of a collector: messages that it acknowledged, by tenant, counted when it did and not from the objects.
        moved: of a replay: the letters that are received here and no longer where they were refused.
    """

    writer: str
    counts: dict[LedgerKey, Counts] = field(default_factory=dict)
    landing: list[WrittenObject] = field(default_factory=list)
    dead_letters: list[WrittenObject] = field(default_factory=list)
    sources: list[dict[str, Any]] = field(default_factory=list)
    hour: datetime | None = None
    acked: dict[str, int] = field(default_factory=dict)
    moved: list[MovedLetters] = field(default_factory=list)

    @property
    def key(self) -> str:
        """Where the manifest belongs; the same statement has the same key."""
        days = [day for _, day, _ in self.counts] or ([self.hour.date()] if self.hour else [])
        days += [placed(item.key).day for item in self.moved]
        return manifest_key(min(days), max(days), self.writer, digest(self.as_bytes()), received_hour=self.hour)

    def as_bytes(self) -> bytes:
        """The manifest as JSON, the same bytes for the same statement."""
        counts = [
            {"stream": stream, "day": day, "tenant_id": tenant, **asdict(counts)}
            for (stream, day, tenant), counts in sorted(self.counts.items())
        ]
        hour = {} if self.hour is None else {"hour": self.hour, "acked": self.acked}
        moved = {"moved": [asdict(item) for item in self.moved]} if self.moved else {}
        return orjson.dumps(
            {
                "version": 1,
                "writer": self.writer,
                "counts": counts,
                "landing": [asdict(item) for item in sorted(self.landing, key=lambda item: item.key)],
                "dead_letters": [asdict(item) for item in sorted(self.dead_letters, key=lambda item: item.key)],
                "sources": self.sources,
                **hour,
                **moved,
            },
            option=_OPTIONS,
        )


def write_manifest(store: ObjectStore, manifest: Manifest) -> str | None:
    """Put the manifest and return its key; one that is there already says the same. None when nothing was received."""
    if not manifest.counts:
        return None
    put_manifest(store, manifest.key, manifest.as_bytes())
    return manifest.key


def put_manifest(store: ObjectStore, key: str, data: bytes) -> None:
    """Put a manifest's bytes under its key; one that is there already says the same."""
    with contextlib.suppress(ObjectExistsError):
        store.put(key, data, if_none_match=True)


def read_manifests(store: ObjectStore, first_day: date, last_day: date) -> Iterator[Manifest]:
    """All manifests that speak about a day from `first_day` to `last_day` (and perhaps about others)."""
    for info in store.list(MANIFEST_PREFIX):
        first, last = manifest_days(info.key)
        if first <= last_day and last >= first_day:
            yield parse_manifest(store.get(info.key))


def parse_manifest(data: bytes) -> Manifest:
    """The manifest that `Manifest.as_bytes` wrote."""
    said = orjson.loads(data)
    hour = said.get("hour")
    return Manifest(
        writer=said["writer"],
        counts={_ledger_key(entry): _counts(entry) for entry in said["counts"]},
        landing=[WrittenObject(**entry) for entry in said["landing"]],
        dead_letters=[WrittenObject(**entry) for entry in said["dead_letters"]],
        sources=said["sources"],
        hour=None if hour is None else datetime.fromisoformat(hour),
        acked=said.get("acked", {}),
        moved=[MovedLetters(**entry) for entry in said.get("moved", [])],
    )


def _ledger_key(entry: dict[str, Any]) -> LedgerKey:
    return entry["stream"], date.fromisoformat(entry["day"]), entry["tenant_id"]


def _counts(entry: dict[str, Any]) -> Counts:
    return Counts(entry["received"], entry["accepted"], entry["duplicates"], entry["dead_lettered"])
