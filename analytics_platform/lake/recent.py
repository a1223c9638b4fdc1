"""What a process that runs for long knows of the lake: read anew beside its work and not within it.

A collector asks with every message whether its day was removed or its person erased. The store that says so may be slow
or away, and then neither a request may wait for it nor fail: what was known stays, and what gets through with it is
held off by the raw build, which reads the lake itself.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from analytics_platform.errors import AnalyticsError

_LOG = logging.getLogger(__name__)
_PATIENCE_SECONDS = 0.25
"""How long who asks waits for a reading that he began; a store that is well answers sooner."""

Known = TypeVar("Known")


class Recent(Generic[Known]):
    """Something that is read from a store, and read anew once it is so many seconds old.

    Args:
        read: asks the store; its first failure is the caller's.
        seconds: from which age on it is read anew.
    """

    def __init__(self, read: Callable[[], Known], seconds: float = 60.0) -> None:
        self._read = read
        self._seconds = seconds
        self._known = read()
        self._read_at = time.monotonic()
        self._reading = threading.Lock()

    def now(self) -> Known:
        """What is known; of a store that does not answer in a quarter of a second what was known before."""
        if time.monotonic() - self._read_at > self._seconds and self._reading.acquire(blocking=False):
            reader = threading.Thread(target=self._read_anew, name="recent", daemon=True)
            reader.start()
            reader.join(_PATIENCE_SECONDS)
        return self._known

    def _read_anew(self) -> None:
        try:
            self._known = self._read()
        except (AnalyticsError, OSError) as error:
            _LOG.warning("what is known of the lake stays as it was: %s", error)
        finally:
            self._read_at = time.monotonic()
            self._reading.release()
