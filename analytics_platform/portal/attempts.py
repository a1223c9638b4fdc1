"""How often a login may fail: a count per user and per address, kept in memory and bounded.

A refusal is the same for a name that exists and one that does not, and for the right password too while it lasts, so
that guessing on tells nothing.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from collections.abc import Callable

from analytics_platform.errors import AnalyticsError

WINDOW_SECONDS = 15 * 60.0
FAILURES_PER_USER = 8
FAILURES_PER_ADDRESS = 30

_MOST_REMEMBERED = 20_000


class TooManyAttemptsError(AnalyticsError):
    """Logins have failed too often; says after how many seconds to come again."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many failed logins; try again in {seconds} seconds")
        self.seconds = seconds


class Attempts:
    """Failed logins of the last quarter of an hour.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failed: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    def begin(self, user: str, address: str) -> None:
        """Count an attempt as failed until it succeeds, so that many at once are no way around the limit.

        Raises:
            TooManyAttemptsError: there were too many; this one does not count.
        """
        with self._lock:
            now = self._clock()
            wait = max(self._wait(each, most, now) for each, most in _limits(user, address))
            if wait > 0:
                raise TooManyAttemptsError(int(wait) + 1)
            for each, _ in _limits(user, address):
                self._failed.setdefault(each, deque()).append(now)
                self._failed.move_to_end(each)
            while len(self._failed) > _MOST_REMEMBERED:
                self._failed.popitem(last=False)

    def succeeded(self, user: str, address: str) -> None:
        """Forget the user's failures, and this attempt of the address."""
        with self._lock:
            self._failed.pop(("user", user), None)
            if self._failed.get(("address", address)):
                self._failed["address", address].pop()

    def _wait(self, key: tuple[str, str], most: int, now: float) -> float:
        times = self._failed.get(key, deque())
        while times and now - times[0] >= WINDOW_SECONDS:
            times.popleft()
        return times[0] + WINDOW_SECONDS - now if len(times) >= most else 0.0


def _limits(user: str, address: str) -> tuple[tuple[tuple[str, str], int], ...]:
    return (("user", user), FAILURES_PER_USER), (("address", address), FAILURES_PER_ADDRESS)
