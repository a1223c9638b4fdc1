"""The start-up probe: does the store honour conditional puts?

Everything that is shipped twice after a crash, and every manifest, relies on a put that only the first of two writers
wins. Some stores that speak S3's protocol accept `If-None-Match` and ignore it, so it is tried and not believed.
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor

from analytics_platform.errors import AnalyticsError
from analytics_platform.lake.layout import probe_key
from analytics_platform.lake.store import ObjectExistsError, ObjectStore

_ROUNDS = 8
_MEND = (
    "Use a store with conditional writes (a local folder, AWS S3, Google Cloud Storage, or a MinIO or Ceph of a "
    "version that honours If-None-Match on PUT); on any other store collectors would overwrite each other's objects"
)


class StoreProbeError(AnalyticsError):
    """The store cannot be relied upon; the text says what was seen and what to do."""


def probe_conditional_puts(store: ObjectStore, *, rounds: int = _ROUNDS, writers: int = 2) -> None:
    """Let writers race for one key, some rounds long: exactly one must win and each other be told.

    Raises:
        StoreProbeError: two won, none won, the winner's bytes are not there, or the store cannot be written at all.
    """
    run = uuid.uuid4().hex
    for number in range(rounds):
        key = probe_key(f"{run}{number:02d}")
        try:
            _race(store, key, writers)
        except StoreProbeError:
            raise
        except Exception as error:
            detail = f"the store cannot be probed ({type(error).__name__}: {error}); check its address and credentials"
            raise StoreProbeError(detail) from error
        finally:
            # What the race found out is to be told; that tidying failed as well is no news.
            with contextlib.suppress(Exception):
                store.delete(key)


def _race(store: ObjectStore, key: str, writers: int) -> None:
    start = threading.Barrier(writers)

    def put(data: bytes) -> bytes | None:
        start.wait(timeout=30)
        try:
            store.put(key, data, if_none_match=True)
        except ObjectExistsError:
            return None
        return data

    with ThreadPoolExecutor(writers) as pool:
        winners = [data for data in pool.map(put, (b"%d" % number for number in range(writers))) if data is not None]
    if len(winners) != 1:
        raise StoreProbeError(f"{len(winners)} of {writers} racing conditional puts of one key won, not 1. {_MEND}")
    if store.get(key) != winners[0]:
        raise StoreProbeError(f"a loser of racing conditional puts replaced the winner's object. {_MEND}")
    with contextlib.suppress(ObjectExistsError):
        store.put(key, b"late", if_none_match=True)
        raise StoreProbeError(f"a conditional put replaced an object that was there for some time. {_MEND}")
