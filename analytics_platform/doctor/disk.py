"""The home folder: whether it can be written, has working locks, and room for what will be written into it."""

from __future__ import annotations

import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from analytics_platform.doctor.deployment import Deployment, standing_folder
from analytics_platform.doctor.findings import Finding, fail, ok, warn
from analytics_platform.settings import Settings

_LEAST_BYTES = 256 * 1024**2
_LEAST_FILES = 10_000
_GIB = 1024**3
_MEND_WRITE = "give this user the folder (chown), or set ANALYTICS_HOME to another"


def look(deployment: Deployment) -> Iterator[Finding]:
    """The home, what its disk has left, and room for copies of a bucket's objects and for a purge."""
    settings = deployment.settings
    folder = standing_folder(settings.home)
    if not (folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)):
        yield fail("home", f"{folder} cannot be written", _MEND_WRITE)
        return
    yield ok("home", f"{settings.home}" + ("" if deployment.is_made else f" will be made in {folder}"))
    try:
        yield from _locks(folder)
    except OSError as error:
        yield fail("home", f"{folder} cannot be written ({error.strerror})", _MEND_WRITE)
        return
    if deployment.is_made:
        yield from _readers(folder)
    yield from _room(settings, folder)


def _readers(folder: Path) -> Iterator[Finding]:
    """Who else of this machine may look in; a volume that is mounted is nobody's of ours to shut."""
    found = folder.stat()
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o007 and found.st_uid == os.geteuid():
        yield warn("home", f"{folder} can be read by everybody on this machine ({mode:04o})", f"chmod o= {folder}")


def _locks(folder: Path) -> Iterator[Finding]:
    """Warehouse, SQLite and identity keys rest on locks; some network file systems take them and keep none."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix=".doctor-") as first, open(first.name, "rb") as second:  # noqa: PTH123
        fcntl.flock(first, fcntl.LOCK_EX)
        try:
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield ok("locks", "work on its file system")
            return
    yield fail(
        "locks", f"two had the same lock in {folder} at once", "put the home on a file system with locks (NFS 4)"
    )


def _room(settings: Settings, folder: Path) -> Iterator[Finding]:
    free = free_bytes(folder)
    # Erasure and retention copy what is left of the file into a new one before the old one goes.
    size = settings.warehouse_path.stat().st_size if settings.warehouse_path.is_file() else 0
    wanted = max(_LEAST_BYTES, size)
    left = f"{gib(free)} left on the disk of {folder}"
    if free < _LEAST_BYTES:
        yield fail("disk", left, "free some, or move the home (ANALYTICS_HOME) to a larger disk")
    elif free < wanted:
        yield warn("disk", f"{left}, and a purge copies the warehouse of {gib(size)}", "free as much as it is large")
    else:
        yield ok("disk", left)
    files = os.statvfs(folder)
    if files.f_files and files.f_favail < _LEAST_FILES:
        yield warn("disk", f"{files.f_favail:,} more files fit on it", "remove files, or make its file system larger")
    yield from _copies(settings)


def _copies(settings: Settings) -> Iterator[Finding]:
    if settings.lake_url is None:
        return
    folder = standing_folder(settings.lake_cache)
    held = sum(path.stat().st_size for path in settings.lake_cache.rglob("*") if path.is_file())
    missing = settings.lake_cache_bytes - held - free_bytes(folder)
    if missing > 0:
        found = (
            f"copies of the bucket's objects may take {gib(settings.lake_cache_bytes)}, {gib(missing)} more than fits"
        )
        yield warn("cache", found, "set lake_cache_bytes to less, or give the home a larger disk")
    else:
        yield ok("cache", f"{gib(held)} of at most {gib(settings.lake_cache_bytes)}")


def free_bytes(folder: Path) -> int:
    """What an unprivileged writer may still fill."""
    found = os.statvfs(folder)
    return found.f_bavail * found.f_frsize


def gib(size: int) -> str:
    """A size as people say it."""
    return f"{size / _GIB:,.1f} GiB" if size >= _GIB else f"{size / 1024**2:,.1f} MiB"
