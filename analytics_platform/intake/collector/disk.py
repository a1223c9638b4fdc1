"""The few calls to the operating system that durability rests on, in one place.

Everything that the spool writes goes through a `Disk`: what it promises is then as good as these calls, and a test can
put a disk in its place that fills up, fails, or forgets what was not synced.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from pathlib import Path

from analytics_platform.durability import sync_folder


class Disk:
    """The real disk; every method raises `OSError` as the system does."""

    def create(self, path: Path) -> int:
        """Make a file that must not exist yet; the descriptor appends."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)

    def write(self, descriptor: int, data: bytes) -> None:
        """Append all of `data`; a write that the system cuts short is continued."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]

    def sync(self, descriptor: int) -> None:
        """Return when what was written survives a power cut."""
        if sys.platform == "darwin":
            fcntl.fcntl(descriptor, fcntl.F_FULLFSYNC)  # there fsync leaves it in the drive's cache
        else:
            os.fdatasync(descriptor)

    def sync_folder(self, folder: Path) -> None:
        """Return when the folder's names survive a power cut."""
        sync_folder(folder)

    def close(self, descriptor: int) -> None:
        """Let go of a file."""
        os.close(descriptor)

    def truncate(self, path: Path, length: int) -> None:
        """Cut a file to `length` bytes, durably."""
        descriptor = os.open(path, os.O_WRONLY)
        try:
            os.ftruncate(descriptor, length)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name, in place of what had it."""
        source.replace(target)

    def remove(self, path: Path) -> None:
        """Remove a file; one that is not there is no error."""
        path.unlink(missing_ok=True)

    def reserve(self, path: Path, size: int) -> None:
        """Make a file that occupies `size` bytes."""
        descriptor = self.create(path)
        try:
            self.write(descriptor, bytes(size))
            self.sync(descriptor)
        except OSError:
            self.remove(path)
            raise
        finally:
            self.close(descriptor)

    def free_bytes(self, folder: Path) -> int:
        """What an unprivileged writer may still fill."""
        found = os.statvfs(folder)
        return found.f_bavail * found.f_frsize

    def replace_file(self, path: Path, data: bytes) -> None:
        """Put a small file in one durable step: after a power cut it is there whole, or as it was before."""
        upload = path.with_name(f"{path.name}.new")
        self.remove(upload)
        try:
            descriptor = self.create(upload)
            try:
                self.write(descriptor, data)
                self.sync(descriptor)
            finally:
                self.close(descriptor)
            self.rename(upload, path)
        except OSError:
            with contextlib.suppress(OSError):  # the first failure is the one to tell
                self.remove(upload)
            raise
        self.sync_folder(path.parent)

    def make_folder(self, folder: Path) -> None:
        """Make a folder and those above it, durably; one that is there is no error."""
        missing = [each for each in (folder, *folder.parents) if not each.exists()]
        for each in reversed(missing):
            each.mkdir(exist_ok=True, mode=0o700)
            self.sync_folder(each.parent)
