"""What was seen before: the memory that de-duplication goes by, about 200 bytes a message.

The key is (tenant, message id), never wider, so no tenant can suppress another's message. Of messages with the same id
the earliest received counts (and between equals the one with the smaller payload hash): a rule that does not depend on
the order in which files are imported, and the same that the raw build goes by (`lake.merge`).
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from enum import Enum

_YEAR_ONE = datetime(1, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_HASH_BITS = 64
_MOMENT_BITS = 64


class Seen(Enum):
    """What is known of a message: it must land, it says nothing new, or its id belongs to another payload."""

    NEW = "new"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"


class SeenMessages:
    """The first message of every (tenant, message id) so far."""

    def __init__(self) -> None:
        self._ranks: dict[bytes, int] = {}

    def judge(
        self, tenant: str, message_id: str, received_at: datetime, payload_hash: str, sent_at: datetime | None
    ) -> Seen:
        """Remember a message and say what it is beside those before it.

        A message that comes later but was received earlier is new: it lands, and the raw build lets it take the
        other's place.
        """
        key = hashlib.blake2b(f"{tenant}\0{message_id}".encode(), digest_size=16).digest()
        rank = _rank(received_at, payload_hash, sent_at)
        known = self._ranks.setdefault(key, rank)
        if known is rank:
            return Seen.NEW
        if rank < known:
            self._ranks[key] = rank
            return Seen.NEW
        return Seen.DUPLICATE if _payload(known) == _payload(rank) else Seen.CONFLICT


def _rank(received_at: datetime, payload_hash: str, sent_at: datetime | None) -> int:
    """One number that sorts as (received_at, payload_hash, sent_at with None last)."""
    received = (received_at - _YEAR_ONE) // _MICROSECOND
    sent = (1 << _MOMENT_BITS) - 1 if sent_at is None else (sent_at - _YEAR_ONE) // _MICROSECOND
    return received << (_HASH_BITS + _MOMENT_BITS) | int(payload_hash, 16) << _MOMENT_BITS | sent


def _payload(rank: int) -> int:
    return rank >> _MOMENT_BITS & ((1 << _HASH_BITS) - 1)
