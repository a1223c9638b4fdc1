"""Log lines of faults that may come with every request: each said at most once a minute, with how often it was."""

import logging
import threading
import time

_MOST_TEXTS = 200


class Complaints:
    """Logs errors; the same text again only after a while.

    Args:
        log: where to.
        seconds: for how long the same text is only counted.
    """

    def __init__(self, log: logging.Logger, seconds: float = 60.0) -> None:
        self._log = log
        self._seconds = seconds
        self._said_at: dict[str, float] = {}
        self._kept_back: dict[str, int] = {}
        self._lock = threading.Lock()

    def tell(self, text: str, *, with_traceback: bool = False) -> None:
        """Log the text, or count it."""
        now = time.monotonic()
        with self._lock:
            if now - self._said_at.get(text, float("-inf")) < self._seconds:
                self._kept_back[text] = self._kept_back.get(text, 0) + 1
                return
            if len(self._said_at) >= _MOST_TEXTS:
                self._said_at.clear()
                self._kept_back.clear()
            self._said_at[text] = now
            before = self._kept_back.pop(text, 0)
        more = f" (and {before} times since the last such line)" if before else ""
        self._log.error("%s%s", text, more, exc_info=with_traceback)
