"""The chain of evidence: what governance did, when and for whom, in numbered objects that are never changed.

Each entry names the hash of the one before and its own, so a changed byte, a lost entry or one that was slipped in is
found by `verify_chain`. A cut at the end shows only against somebody who remembers the head: `ops.evidence` and the
metadata of the assets do. Entries hold names of datasets and tenants, days, counts and hashes, and who answered for
them; never what a row says about a person.

    evidence/<number>.json
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa

from analytics_platform.errors import AnalyticsError
from analytics_platform.lake.layout import EVIDENCE_PREFIX, evidence_key
from analytics_platform.lake.store import ObjectExistsError, ObjectMissingError, ObjectStore
from analytics_platform.warehouse import Warehouse, has_table

EVIDENCE_TABLE = "ops.evidence"
EVIDENCE_SCHEMA = pa.schema(
    [
        pa.field("number", pa.int64()),
        pa.field("day", pa.date32()),
        pa.field("recorded_at", pa.timestamp("us", tz="UTC")),
        pa.field("kind", pa.string()),
        pa.field("subject", pa.string()),
        pa.field("recorded_by", pa.string()),
        pa.field("said", pa.string()),
        pa.field("previous", pa.string()),
        pa.field("hash", pa.string()),
    ]
)

_START = "0" * 64
_ATTEMPTS = 100


class BrokenChainError(AnalyticsError):
    """The chain of evidence was tampered with, or an entry of it is lost; the text names the first such entry."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One entry.

    Attributes:
        number: its place, from 1.
        at: when it was recorded, in UTC.
        kind: what happened, in the past tense (`removal_intended`).
        subject: what it is about: the hash of a plan, the id of a hold.
        by: who answered for it.
        said: details, as JSON values.
        previous: hash of the entry before.
    """

    number: int
    at: datetime
    kind: str
    subject: str
    by: str
    said: Mapping[str, Any]
    previous: str

    @property
    def hash(self) -> str:
        """SHA-256 of everything else that the entry says."""
        return hashlib.sha256(_canonical(self._content())).hexdigest()

    def as_bytes(self) -> bytes:
        """The entry as its object's bytes."""
        return _canonical({**self._content(), "hash": self.hash})

    def _content(self) -> dict[str, Any]:
        return {
            "version": 1,
            "number": self.number,
            "at": self.at.isoformat(),
            "kind": self.kind,
            "subject": self.subject,
            "by": self.by,
            "said": self.said,
            "previous": self.previous,
        }


class EvidenceChain:
    """The chain of one lake."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def record(self, kind: str, subject: str, by: str, said: Mapping[str, Any], *, at: datetime) -> Evidence:
        """Add an entry; of two writers at once one goes after the other."""
        for _ in range(_ATTEMPTS):
            last = self._last()
            number, previous = (last.number + 1, last.hash) if last else (1, _START)
            entry = Evidence(number, at.astimezone(UTC), kind, subject, by, said, previous)
            try:
                self._store.put(evidence_key(number), entry.as_bytes(), if_none_match=True)
            except ObjectExistsError:
                continue
            return entry
        raise BrokenChainError(
            f"{evidence_key(number)} is taken each time; see who else writes evidence, and try again"
        )

    def record_once(self, kind: str, subject: str, by: str, said: Mapping[str, Any], *, at: datetime) -> Evidence:
        """Add an entry unless the chain has one of that kind and subject; return the one that it has then."""
        return self.find(kind, subject) or self.record(kind, subject, by, said, at=at)

    def find(self, kind: str, subject: str) -> Evidence | None:
        """The first entry of a kind about a subject."""
        return next((each for each in self.entries() if (each.kind, each.subject) == (kind, subject)), None)

    def entries(self) -> Iterator[Evidence]:
        """All entries in order, as they stand, unverified."""
        for info in self._store.list(EVIDENCE_PREFIX):
            yield parse_evidence(info.key, self._store.get(info.key))

    def verify(self, remembered: Mapping[int, str] | None = None) -> int:
        """Check every entry against its hash, its number and its predecessor, and return how many there are.

        Args:
            remembered: hashes by number that somebody noted before, so that a cut at the end is found too.

        Raises:
            BrokenChainError: naming the first entry that does not hold.
        """
        previous, count, seen = _START, 0, dict(remembered or {})
        for info in self._store.list(EVIDENCE_PREFIX):
            data = self._store.get(info.key)
            entry = parse_evidence(info.key, data)
            count += 1
            if info.key != evidence_key(count) or entry.number != count:
                raise BrokenChainError(f"{evidence_key(count)} is missing: {info.key} comes in its place")
            if entry.previous != previous or entry.as_bytes() != data:
                raise BrokenChainError(f"{info.key} was changed, or the entry before it: the hashes do not agree")
            if seen.pop(count, entry.hash) != entry.hash:
                raise BrokenChainError(f"{info.key} is not the entry that {EVIDENCE_TABLE} has seen there")
            previous = entry.hash
        if seen:
            raise BrokenChainError(f"{evidence_key(min(seen))} is gone, although {EVIDENCE_TABLE} has seen it")
        return count

    def table(self) -> pa.Table:
        """All entries as rows of `ops.evidence` (`EVIDENCE_SCHEMA`)."""
        return pa.Table.from_pylist([_row(each) for each in self.entries()], schema=EVIDENCE_SCHEMA)

    def _last(self) -> Evidence | None:
        found = self._store.list(EVIDENCE_PREFIX)
        if not found:
            return None
        try:
            return parse_evidence(found[-1].key, self._store.get(found[-1].key))
        except ObjectMissingError as error:
            raise BrokenChainError(f"{found[-1].key} vanished while it was read") from error


def parse_evidence(key: str, data: bytes) -> Evidence:
    """The entry that `Evidence.as_bytes` wrote.

    Raises:
        BrokenChainError: the bytes are no entry.
    """
    try:
        said = orjson.loads(data)
        return Evidence(
            said["number"],
            datetime.fromisoformat(said["at"]),
            said["kind"],
            said["subject"],
            said["by"],
            said["said"],
            said["previous"],
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise BrokenChainError(f"{key} is no entry of the chain of evidence any more") from error


def remembered(warehouse: Warehouse) -> dict[int, str]:
    """Hashes by number as `ops.evidence` has seen them; empty before it is built."""
    if not has_table(warehouse, EVIDENCE_TABLE):
        return {}
    rows = warehouse.query(f"select number, hash from {EVIDENCE_TABLE}").to_pylist()
    return {row["number"]: row["hash"] for row in rows}


def _row(entry: Evidence) -> dict[str, Any]:
    return {
        "number": entry.number,
        "day": entry.at.date(),
        "recorded_at": entry.at,
        "kind": entry.kind,
        "subject": entry.subject,
        "recorded_by": entry.by,
        "said": _canonical(entry.said).decode(),
        "previous": entry.previous,
        "hash": entry.hash,
    }


def _canonical(said: Mapping[str, Any]) -> bytes:
    return orjson.dumps(said, option=orjson.OPT_SORT_KEYS)
