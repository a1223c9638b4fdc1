"""The collector's spool: whether it takes a write durably, has room, and empties itself.

It is only looked at: the collector's own lock is not taken, and no segment is touched.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from analytics_platform.doctor.deployment import Deployment
from analytics_platform.doctor.disk import gib
from analytics_platform.doctor.findings import Finding, fail, ok, skipped, warn
from analytics_platform.intake.collector.disk import Disk
from analytics_platform.intake.collector.segments import segment_paths
from analytics_platform.settings import Settings

_SLOW_SECONDS = 0.5
_NEARLY_FULL = 0.8
_STUCK_AFTER = 10
"""Segments live for `collector_segment_seconds`; after so many times that, nobody ships them."""

_LEAST_STUCK = timedelta(minutes=5)
_START = "see that a collector runs on this spool and that the store answers (`analytics doctor --only store`)"


def look(deployment: Deployment) -> Iterator[Finding]:
    """Each spool of this home."""
    settings = deployment.settings
    root = settings.spool_root
    if not root.is_dir():
        yield skipped("spool", f"no collector has run in {settings.home}")
        return
    disk = Disk()
    yield from _durable(disk, root)
    yield _free(disk, settings, root)
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        yield from _segments(deployment, folder)


def _durable(disk: Disk, folder: Path) -> Iterator[Finding]:
    path = folder / f".doctor-{uuid.uuid4().hex}"
    start = time.monotonic()
    try:
        descriptor = disk.create(path)
        try:
            disk.write(descriptor, b"\0" * 4096)
            disk.sync(descriptor)
        finally:
            disk.close(descriptor)
            disk.remove(path)
        disk.sync_folder(folder)
    except OSError as error:
        yield fail(
            "spool",
            f"{folder} takes no write ({error.strerror}): every event is refused",
            "mend its disk, or give the collector's user the folder",
        )
        return
    took = time.monotonic() - start
    if took > _SLOW_SECONDS:
        found = f"a write reached the disk after {took * 1000:,.0f} ms; each request waits for one"
        yield warn("spool", found, "give the spool a faster disk")
    else:
        yield ok("spool", f"{folder} takes writes durably, in {took * 1000:,.0f} ms")


def _free(disk: Disk, settings: Settings, folder: Path) -> Finding:
    free, least = disk.free_bytes(folder), settings.collector_min_free_bytes
    found = f"{gib(free)} left on its disk"
    if free < least:
        mend = "free some, give it a larger disk, or set collector_min_free_bytes to less"
        return fail("room", f"{found}, less than collector_min_free_bytes ({gib(least)}): events are refused", mend)
    held = sum(path.stat().st_size for path in folder.rglob("*.segment"))
    if free - least < settings.collector_spool_max_bytes - held:
        mend = "set collector_spool_max_bytes to what fits, or give it a larger disk"
        what = f"{found}: the disk is full before collector_spool_max_bytes ({gib(settings.collector_spool_max_bytes)})"
        return warn("room", what, mend)
    return ok("room", found)


def _segments(deployment: Deployment, folder: Path) -> Iterator[Finding]:
    settings = deployment.settings
    paths = list(segment_paths(folder).values())
    waiting = sum(path.stat().st_size for path in paths)
    if damaged := sorted(folder.glob("*.damaged")):
        found = f"{len(damaged)} segments of {folder.name} could not be read, such as {damaged[0].name}"
        yield fail("segments", found, "keep the files and look at the disk; ops.collector_hours says what is missing")
    if waiting >= settings.collector_spool_max_bytes:
        yield fail("segments", f"{gib(waiting)} wait in {folder.name}: events are refused", _START)
    elif waiting > _NEARLY_FULL * settings.collector_spool_max_bytes:
        yield warn(
            "segments", f"{gib(waiting)} wait in {folder.name}, of {gib(settings.collector_spool_max_bytes)}", _START
        )
    if oldest := _stuck(paths, settings, deployment.now):
        found = f"{len(paths)} segments wait in {folder.name}, the oldest since {oldest:%Y-%m-%d %H:%M} UTC"
        yield warn("segments", found, _START)
    elif not damaged:
        yield ok("segments", f"{len(paths)} wait in {folder.name}, none for long")


def _stuck(paths: Sequence[Path], settings: Settings, now: datetime) -> datetime | None:
    """When the oldest segment was written last, where that is too long ago."""
    if not paths:
        return None
    oldest = datetime.fromtimestamp(min(path.stat().st_mtime for path in paths), UTC)
    longest = max(timedelta(seconds=settings.collector_segment_seconds * _STUCK_AFTER), _LEAST_STUCK)
    return oldest if now - oldest > longest else None
