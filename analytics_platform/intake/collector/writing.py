"""The open end of a spool: one segment after another, written by one thread.

What a failure means for the segment at hand is decided here, what it means for those who wait in `spool`.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from time import monotonic

from analytics_platform.intake.collector.disk import Disk
from analytics_platform.intake.collector.recovery import ClosedSegment, Recovered
from analytics_platform.intake.collector.segments import (
    Acked,
    Entries,
    Header,
    added,
    commit_frame,
    header_frame,
    segment_path,
)

Clock = Callable[[], datetime]


@dataclass(slots=True)
class OpenSegment:
    """What is being written: `length` is where its last synced frame ends, `events` how much it acknowledged."""

    header: Header
    path: Path
    descriptor: int
    length: int
    opened_at: datetime
    expires: float
    events: int = 0

    def closed(self) -> ClosedSegment:
        """The same segment for those who ship it."""
        header = self.header
        return ClosedSegment(self.path, header.number, header.hour, self.length, header.acked_before, self.opened_at)


@dataclass(frozen=True, slots=True)
class Rolling:
    """When a segment closes: at a size in bytes, at an age in seconds, and always when its hour is over."""

    size: int
    seconds: float


class SegmentWriter:
    """Writes frames into segments; `OSError` means that the frame does not count.

    Args:
        folder: where the segments lie.
        writer: the name that stands in their headers.
        rolling: when they close.
        disk: what writes them.
        clock: the time in UTC.
        lock: held while what others read is changed.
        on_closed: takes a segment that is closed; the lock is held.
        found: what an earlier process left.
    """

    def __init__(
        self,
        folder: Path,
        writer: str,
        rolling: Rolling,
        *,
        disk: Disk,
        clock: Clock,
        lock: AbstractContextManager[object],
        on_closed: Callable[[ClosedSegment], None],
        found: Recovered,
    ) -> None:
        self._folder, self._writer, self._rolling = folder, writer, rolling
        self._disk, self._clock, self._lock, self._on_closed = disk, clock, lock, on_closed
        self._next_number, self._previous = found.next_number, found.previous
        self.acked: Acked = found.acked
        self.open: OpenSegment | None = None

    def append(self, group: Sequence[Entries]) -> Counter[str]:
        """Write and sync a group as one frame; return the messages of each tenant that may now be acknowledged."""
        self.close_if_due()
        segment = self.open or self.begin()
        frame, acked = commit_frame(group, segment.events)
        self._disk.write(segment.descriptor, frame)
        self._disk.sync(segment.descriptor)
        with self._lock:
            segment.length += len(frame)
            segment.events += acked.total()
            self.acked = added(self.acked, acked)
        return acked

    def begin(self) -> OpenSegment:
        """Open a fresh segment, its header synced; a file whose header failed is removed."""
        now = self._clock()
        header = Header(self._writer, self._next_number, _hour(now), self.acked, self._previous)
        path, frame = segment_path(self._folder, header.number), header_frame(header)
        self._next_number += 1
        descriptor = self._disk.create(path)
        try:
            self._disk.write(descriptor, frame)
            self._disk.sync(descriptor)
            self._disk.sync_folder(self._folder)
        except OSError:
            with contextlib.suppress(OSError):  # recovery takes no such file for a segment either
                self._disk.close(descriptor)
                self._disk.remove(path)
            raise
        segment = OpenSegment(header, path, descriptor, len(frame), now, monotonic() + self._rolling.seconds)
        with self._lock:
            self.open = segment
        return segment

    def close_if_due(self) -> None:
        """Close the open segment if it is full, old, or of another hour."""
        segment = self.open
        if segment is None:
            return
        full, old = segment.length >= self._rolling.size, monotonic() >= segment.expires
        if full or old or segment.header.hour != _hour(self._clock()):
            self.close()

    def close(self) -> None:
        """Hand the open segment on, if there is one; never fails."""
        segment = self.open
        if segment is None:
            return
        with contextlib.suppress(OSError):  # all that counts was synced before it was acknowledged
            self._disk.close(segment.descriptor)
        self._previous = (segment.header.number, segment.length)
        with self._lock:
            self._on_closed(segment.closed())
            self.open = None

    def abandon(self) -> None:
        """Close the open segment after a failure, without what failed, for good; never fails."""
        if self.open is not None:
            with contextlib.suppress(OSError):  # the next header says where the good part ends
                self._disk.truncate(self.open.path, self.open.length)
        self.close()


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)
