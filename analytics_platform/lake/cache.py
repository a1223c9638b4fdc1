"""Objects of a bucket as files of this machine, for readers that want a path (Parquet footers, scans).

A version of an object never changes, so a file is named by its key and its version and is used as long as that version
is the newest. Belongs here: that folder and how it stays small. Stays out: how bytes come out of a bucket.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

_SETTLED_SECONDS = 3600
"""A file that was asked for within an hour may be read this moment, also by another process."""
_TRIES = 100
"""To name a copy; nobody forgets the same object that often within a moment."""


class ObjectCache:
    """A folder of downloaded objects.

    Args:
        folder: where they lie; several processes may share it.
        max_bytes: beyond it the files that were not asked for the longest go, but none that may be in use.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder, self._max_bytes = folder, max_bytes

    def path(self, key: str, version: str, download: Callable[[], bytes]) -> Path:
        """The file with this version of an object, downloaded when it is not there."""
        path = self._of(key) / hashlib.sha256(version.encode()).hexdigest()
        try:
            os.utime(path)
        except FileNotFoundError:
            self._write(path, download())
            self._make_room()
        return path

    def forget(self, key: str) -> None:
        """Remove every version of an object: what is deleted or replaced in the bucket leaves no copy here."""
        shutil.rmtree(self._of(key), ignore_errors=True)

    def _of(self, key: str) -> Path:
        return self._folder / hashlib.sha256(key.encode()).hexdigest()

    def _write(self, path: Path, data: bytes) -> None:
        fresh = self._folder / f".{uuid.uuid4().hex}"
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            with fresh.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())  # a power cut must not leave an empty file under the name of a version
            _name(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)

    def _copies(self) -> Iterator[tuple[os.stat_result, Path]]:
        """Each copy and what is known of it; other processes forget some meanwhile."""
        for folder in self._folder.glob("[!.]*"):
            with contextlib.suppress(FileNotFoundError):
                for path in folder.iterdir():
                    with contextlib.suppress(FileNotFoundError):
                        yield path.stat(), path

    def _make_room(self) -> None:
        files = list(self._copies())
        excess = sum(stat.st_size for stat, _ in files) - self._max_bytes
        settled = time.time() - _SETTLED_SECONDS
        for left in self._folder.glob(".*"):  # of a process that was killed within a download
            with contextlib.suppress(FileNotFoundError):  # of a living one, which is done with it
                if left.stat().st_mtime < settled:
                    left.unlink()
        for stat, path in sorted(files, key=lambda each: each[0].st_mtime):
            if excess <= 0 or stat.st_mtime > settled:
                return
            path.unlink(missing_ok=True)
            excess -= stat.st_size


def _name(fresh: Path, path: Path) -> None:
    """Give a whole file its name; its folder is made anew where another process forgets the object meanwhile."""
    for left in reversed(range(_TRIES)):
        try:
            path.parent.mkdir(exist_ok=True)
            fresh.replace(path)
        except (FileNotFoundError, FileExistsError):  # mkdir says the latter of a folder that goes as it looks
            if not left:
                raise
        else:
            return
