"""The lock that keeps builds away from days that are being removed; it expires, so a dead process frees them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import orjson

from analytics_platform.errors import AnalyticsError
from analytics_platform.lake.layout import governance_key
from analytics_platform.lake.store import ObjectExistsError, ObjectMissingError, ObjectStore

LASTS = timedelta(hours=2)
"""Longer than any removal takes; a process that died frees its days after this."""

_KEY = governance_key("locks", "removal")


class RemovalUnderWayError(AnalyticsError):
    """Days are being removed; nothing may be built or removed over them meanwhile."""


@dataclass(frozen=True, slots=True)
class Lock:
    """Who removes something of the days up to `through`, and until when that is believed."""

    holder: str
    through: date
    expires_at: datetime


def current_lock(store: ObjectStore, now: datetime) -> Lock | None:
    """The lock that is in force."""
    try:
        said = orjson.loads(store.get(_KEY))
    except ObjectMissingError:
        return None
    lock = Lock(said["holder"], date.fromisoformat(said["through"]), datetime.fromisoformat(said["expires_at"]))
    return lock if lock.expires_at > now else None


def refuse_while_removing(store: ObjectStore, first: date, now: datetime) -> None:
    """Raise when days from `first` on are being removed.

    Raises:
        RemovalUnderWayError: naming who removes and until when.
    """
    lock = current_lock(store, now)
    if lock is not None and first <= lock.through:
        raise RemovalUnderWayError(
            f"{lock.holder} removes days up to {lock.through} right now; build them when that is done, "
            f"at the latest after {lock.expires_at:%Y-%m-%d %H:%M} UTC"
        )


@contextmanager
def removing(store: ObjectStore, holder: str, through: date) -> Iterator[None]:
    """Hold the lock; one that has expired is taken over.

    Raises:
        RemovalUnderWayError: somebody else has it.
    """
    now = datetime.now(UTC)
    lock = current_lock(store, now)
    if lock is not None:
        raise RemovalUnderWayError(
            f"{lock.holder} removes something right now; wait for it, at the latest until "
            f"{lock.expires_at:%Y-%m-%d %H:%M} UTC"
        )
    store.delete(_KEY)
    said = {"holder": holder, "through": through, "expires_at": now + LASTS}
    try:
        store.put(_KEY, orjson.dumps(said), if_none_match=True)
    except ObjectExistsError as error:
        raise RemovalUnderWayError("somebody else began to remove something at this moment; try again") from error
    try:
        yield
    finally:
        store.delete(_KEY)
