"""What befalls a process at its n-th call to the disk or the network, once installed in it; there is no way back.

A call is a point: a file opened for writing, written, synced, linked, renamed, removed; a folder made; a request sent.
Python tells of most by its audit events, before they happen; writing and syncing are put in between. What C++ writes
(DuckDB, SQLite) passes by: it is met by a bound on the size of files, and by kills that look at the clock.
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

Kind = Literal["none", "kill", "torn", "full", "failing", "bound"]
"""Killed before the call, or with half of it done; no room from then on; EIO once; no file longer than `at` bytes."""

_CHANGES = frozenset({"os.rename", "os.link", "os.remove", "os.mkdir", "os.truncate", "sqlite3.connect"})
_REQUESTS = frozenset({"http.client.connect", "http.client.send"})
_TAKES_ROOM = frozenset({"open", "os.link", "os.rename", "os.mkdir", "write", "sync", "sqlite3.connect"})
_WRITING = os.O_WRONLY | os.O_RDWR


@dataclass
class Disturbance:
    """What goes wrong, and when.

    Attributes:
        kind: what.
        at: the number of the point, from 1; for `bound` the bytes.
        within: the folder whose files count.
        points: those that were passed.
    """

    kind: Kind
    at: int
    within: Path
    points: int = 0
    _busy: bool = False

    def install(self) -> None:
        """From now on."""
        if self.kind == "bound":
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.at, resource.RLIM_INFINITY))
            return
        sys.addaudithook(self._heard)
        # Modules call these by their name in `os`.
        os.fsync = partial(self._synced, os.fsync)
        os.fdatasync = partial(self._synced, os.fdatasync)
        os.write = partial(self._written, os.write)

    def _heard(self, event: str, told: tuple[Any, ...]) -> None:
        if self._busy:
            return
        if event == "open":
            if isinstance(told[0], str) and told[2] & _WRITING and self._counts(told[0]):
                self._point(event)
        elif event in _REQUESTS or (event in _CHANGES and self._counts(str(told[0]))):
            self._point(event)

    def _synced(self, sync: Callable[[int], None], descriptor: int) -> None:
        if self._counts(_path_of(descriptor)):
            self._point("sync", lambda: _halve(descriptor))
        sync(descriptor)

    def _written(self, write: Callable[[int, Any], int], descriptor: int, data: Any) -> int:
        if self._counts(_path_of(descriptor)):
            self._point("write", lambda: write(descriptor, bytes(data)[: len(data) // 2]))
        return write(descriptor, data)

    def _counts(self, path: str) -> bool:
        return Path(path).is_relative_to(self.within)

    def _point(self, name: str, half: Callable[[], object] = lambda: None) -> None:
        self.points += 1
        if self.kind == "full" and self.points >= self.at and name in _TAKES_ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self.points != self.at:
            return
        if self.kind == "failing":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if self.kind == "torn":
            self._busy = True
            half()
        if self.kind in ("kill", "torn"):
            os.kill(os.getpid(), signal.SIGKILL)


def _path_of(descriptor: int) -> str:
    return str(Path(f"/proc/self/fd/{descriptor}").readlink())


def _halve(descriptor: int) -> None:
    """Leave of a file what a power cut may: here its first half."""
    path = Path(f"/proc/self/fd/{descriptor}").readlink()
    if path.is_file():
        os.truncate(path, path.stat().st_size // 2)
