"""What was seen before: the memory that de-duplication goes by, bounded however many messages there are.

The key is (tenant, message id), never wider, so no tenant can suppress another's message. Of messages with the same id
the earliest received counts (and between equals the one with the smaller payload hash): a rule that does not depend on
the order in which files are imported, and the same that the raw build goes by (`lake.merge`).

The newest messages are in memory, about 200 bytes each, older ones in a table on disk that ends with its process. A
filter of fixed size spares nearly every new message the look into that table; it errs to one side only, so the answers
are exact whatever the distance.
"""

from __future__ import annotations

import hashlib
import sqlite3
from datetime import UTC, datetime, timedelta
from enum import Enum

_YEAR_ONE = datetime(1, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_HASH_BITS = 64
_MOMENT_BITS = 64
_RANK_BYTES = 24
_KEY_BYTES = 16
_IN_MEMORY = 50_000
"""Messages; beyond it they go to disk."""
_FILTER_BYTES = 3
"""Of a key, which make its place in the filter: 16 MB, of which a million messages fill a seventeenth."""
_CACHE_KB = 8_000


class Seen(Enum):
    """What is known of a message: it must land, it says nothing new, or its id belongs to another payload."""

    NEW = "new"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


class SeenMessages:
    """The first message of every (tenant, message id) so far.

    Args:
        in_memory: how many messages are held in memory; the others are on disk.
    """

    def __init__(self, in_memory: int = _IN_MEMORY) -> None:
        self._ranks: dict[bytes, int] = {}
        self._in_memory = in_memory
        self._older = _OnDisk()

    def judge(
        self, tenant: str, message_id: str, received_at: datetime, payload_hash: str, sent_at: datetime | None
    ) -> Seen:
        """Remember a message and say what it is beside those before it.

        A message that comes later but was received earlier is new: it lands, and the raw build lets it take the
        other's place.
        """
        key = hashlib.blake2b(f"{tenant}\0{message_id}".encode(), digest_size=_KEY_BYTES).digest()
        rank = _rank(received_at, payload_hash, sent_at)
        known = self._ranks.get(key)
        if known is None:
            known = self._older.rank(key)
        if known is None or rank < known:
            self._remember(key, rank)
            return Seen.NEW
        return Seen.DUPLICATE if _payload(known) == _payload(rank) else Seen.CONFLICT

    def _remember(self, key: bytes, rank: int) -> None:
        self._ranks[key] = rank
        if len(self._ranks) >= self._in_memory:
            self._older.take(self._ranks)
            self._ranks = {}


class _OnDisk:
    """Ranks by key in a table of SQLite that has no name in any folder, so nothing is left of it by a crash."""

    def __init__(self) -> None:
        self._filter = bytearray()
        self._table = sqlite3.connect("", isolation_level=None, check_same_thread=False)

    def rank(self, key: bytes) -> int | None:
        """What is known of a key."""
        if not self._filter or not self._filter[int.from_bytes(key[:_FILTER_BYTES])]:
            return None
        found = self._table.execute("select rank from seen where key = ?", (key,)).fetchone()
        return None if found is None else int.from_bytes(found[0])

    def take(self, ranks: dict[bytes, int]) -> None:
        """Add ranks; they replace those of the same keys."""
        if not self._filter:
            self._begin()
        for key in ranks:
            self._filter[int.from_bytes(key[:_FILTER_BYTES])] = 1
        rows = [(key, ranks[key].to_bytes(_RANK_BYTES)) for key in sorted(ranks)]
        self._table.execute("begin")
        self._table.executemany("insert or replace into seen values (?, ?)", rows)
        self._table.execute("commit")

    def _begin(self) -> None:
        self._filter = bytearray(1 << 8 * _FILTER_BYTES)
        self._table.executescript(
            f"pragma journal_mode = off; pragma synchronous = off; pragma cache_size = -{_CACHE_KB};"
            "create table seen (key blob primary key, rank blob not null) without rowid"
        )


def _rank(received_at: datetime, payload_hash: str, sent_at: datetime | None) -> int:
    """One number that sorts as (received_at, payload_hash, sent_at with None last)."""
    received = (received_at - _YEAR_ONE) // _MICROSECOND
    sent = (1 << _MOMENT_BITS) - 1 if sent_at is None else (sent_at - _YEAR_ONE) // _MICROSECOND
    return received << (_HASH_BITS + _MOMENT_BITS) | int(payload_hash, 16) << _MOMENT_BITS | sent


def _payload(rank: int) -> int:
    return rank >> _MOMENT_BITS & ((1 << _HASH_BITS) - 1)
