"""The lock that keeps builds away from days that are being removed.

It is a lease: its holder renews it for as long as it lives, and a process that died frees its days when the lease runs
out. Each time that it is taken it has a number of its own, one above the last, and whoever puts that number first has
it; the last one stays in the store, so no number is given twice.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import orjson

from analytics_platform.errors import AnalyticsError
from analytics_platform.lake.layout import governance_key, governance_prefix
from analytics_platform.lake.store import ObjectExistsError, ObjectMissingError, ObjectStore

LASTS = timedelta(minutes=5)
"""How long a lease is believed after it was last renewed; far more than clocks of two machines may differ."""

RENEWED_EVERY = timedelta(seconds=30)

_OVER = datetime.min.replace(tzinfo=UTC)
"""What is let go is over by every machine's clock."""

_PREFIX = f"{governance_prefix('locks')}removal-"

logger = logging.getLogger(__name__)


class RemovalUnderWayError(AnalyticsError):
    """Days are being removed; nothing may be built or removed over them meanwhile."""


class LockLostError(AnalyticsError):
    """The lease ran out while its holder was at work, and somebody else has taken it."""


@dataclass(frozen=True, slots=True)
class Lock:
    """Who removes something of the days up to `through`, and until when that is believed."""

    holder: str
    through: date
    expires_at: datetime


def current_lock(store: ObjectStore, now: datetime) -> Lock | None:
    """The lock that is in force."""
    _, lock = _last(store)
    return lock if lock is not None and lock.expires_at > now else None


def refuse_while_removing(store: ObjectStore, first: date, now: datetime) -> None:
    """Raise when days from `first` on are being removed.

    Raises:
        RemovalUnderWayError: naming who removes and until when.
    """
    lock = current_lock(store, now)
    if lock is not None and first <= lock.through:
        raise RemovalUnderWayError(
            f"{lock.holder} removes days up to {lock.through} right now; build them when that is done. {_if_dead(lock)}"
        )


@contextmanager
def removing(store: ObjectStore, holder: str, through: date) -> Iterator[None]:
    """Hold the lock; one that has expired is taken over.

    Raises:
        RemovalUnderWayError: somebody else has it.
        LockLostError: at the end: it could not be renewed and somebody else took it meanwhile.
    """
    number, last = _last(store)
    now = datetime.now(UTC)
    if last is not None and last.expires_at > now:
        raise RemovalUnderWayError(f"{last.holder} removes something right now; wait for it. {_if_dead(last)}")
    lock = Lock(holder, through, now + LASTS)
    try:
        store.put(_key(number + 1), orjson.dumps(lock), if_none_match=True)
    except ObjectExistsError as error:
        raise RemovalUnderWayError("somebody else began to remove something at this moment; try again") from error
    for older in _numbers(store):
        if older <= number:
            store.delete(_key(older))
    with _renewed(store, number + 1, lock):
        yield


@contextmanager
def _renewed(store: ObjectStore, number: int, lock: Lock) -> Iterator[None]:
    """Renew a lease until the block ends, then let it go."""
    is_over = threading.Event()

    def renew() -> None:
        while not is_over.wait(RENEWED_EVERY.total_seconds()):
            try:
                _write(store, number, replace(lock, expires_at=datetime.now(UTC) + LASTS))
            except Exception:  # the lease outlasts several; whoever lost it is told at its end
                logger.exception("the lock of %s was not renewed", lock.holder)

    renewing = threading.Thread(target=renew, name="lock of removal", daemon=True)
    renewing.start()
    try:
        yield
    finally:
        is_over.set()
        renewing.join()
        if is_ours := max(_numbers(store)) == number:
            _write(store, number, replace(lock, expires_at=_OVER))
    if not is_ours:
        raise LockLostError(f"{lock.holder} could not renew its lock and another took it; run it again")


def _last(store: ObjectStore) -> tuple[int, Lock | None]:
    """The number that was given last, and to whom; 0 and None before there was any."""
    while numbers := _numbers(store):
        try:
            said = orjson.loads(store.get(_key(max(numbers))))
        except ObjectMissingError:  # taken over since it was listed
            continue
        expires_at = datetime.fromisoformat(said["expires_at"])
        return max(numbers), Lock(said["holder"], date.fromisoformat(said["through"]), expires_at)
    return 0, None


def _numbers(store: ObjectStore) -> list[int]:
    return [int(info.key.removeprefix(_PREFIX).removesuffix(".json")) for info in store.list(_PREFIX)]


def _write(store: ObjectStore, number: int, lock: Lock) -> None:
    store.put(_key(number), orjson.dumps(lock))


def _key(number: int) -> str:
    return governance_key("locks", f"removal-{number:08}")


def _if_dead(lock: Lock) -> str:
    return f"If its process is dead, that ends at {lock.expires_at:%Y-%m-%d %H:%M:%S} UTC"
