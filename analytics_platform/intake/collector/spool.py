"""The spool: what was acknowledged, on this machine's disk until it is in the lake.

`Spool.commit` returns when the outcomes survive a power cut. One thread writes: whatever waits when it is free is one
frame, one fdatasync, one acknowledgement for all (group commit). Segments close by size, age and the turn of the hour;
`shipping` takes them from there.

After a failed write or sync the page cache cannot be trusted: the segment is closed at its last good frame and never
acknowledged into again, and commits are refused until a fresh segment could be written and synced. Nobody needs to do
anything for that but to mend the disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock, Timeout

from analytics_platform.errors import AnalyticsError
from analytics_platform.intake.collector.disk import Disk
from analytics_platform.intake.collector.recovery import ClosedSegment, recovered
from analytics_platform.intake.collector.segments import (
    Acked,
    Content,
    Entries,
    entries_of,
    read_content,
)
from analytics_platform.intake.collector.writing import Clock, Rolling, SegmentWriter
from analytics_platform.intake.outcomes import Admitted
from analytics_platform.lake.dead_letters import SealedLetter

_GROUP_BYTES = 4 * 1024 * 1024
_TICK_SECONDS = 0.25
_RETRY_SECONDS = 1.0
_ENDING = "the collector is shutting down"
_BALLAST = "ballast"
_BALLAST_BYTES = 1024 * 1024

Outcome = Admitted | SealedLetter


class SpoolUnavailableError(AnalyticsError):
    """Nothing can be acknowledged now; `retry_after_seconds` says when it is worth another try."""

    def __init__(self, text: str, retry_after_seconds: int) -> None:
        super().__init__(text)
        self.retry_after_seconds = retry_after_seconds


class SpoolLockedError(AnalyticsError):
    """Another process has the spool folder."""


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """What a spool may use.

    Attributes:
        segment_bytes: a segment closes when it is at least so large.
        segment_seconds: a segment closes when it is at least so old.
        max_bytes: unshipped segments beyond this refuse commits: the store has been down for too long.
        min_free_bytes: less free disk than this refuses commits.
        queue_bytes: what may wait in memory for the disk.
        retry_after_seconds: what a refused client is told.
    """

    segment_bytes: int = 16 * 1024 * 1024
    segment_seconds: float = 30.0
    max_bytes: int = 4 * 1024**3
    min_free_bytes: int = 256 * 1024 * 1024
    queue_bytes: int = 64 * 1024 * 1024
    retry_after_seconds: int = 5


@dataclass(frozen=True, slots=True)
class SpoolState:
    """How the spool is.

    Attributes:
        healthy: whether a commit would be taken.
        problem: why not, and the mend; None when healthy.
        segments: files that are not in the lake yet, the one that is being written too.
        bytes_waiting: their bytes.
        oldest_at: when the oldest of them was opened; None when there is none.
        queued_bytes: what waits in memory for the disk.
        commits: group commits since the spool was opened; each was one fdatasync.
        events: messages that they acknowledged.
        refused: calls of `commit` that were refused.
        failures: writes and syncs that failed.
        lost_segments: segment files that were gone, or in part unreadable, when they were to be shipped.
    """

    healthy: bool
    problem: str | None
    segments: int
    bytes_waiting: int
    oldest_at: datetime | None
    queued_bytes: int
    commits: int
    events: int
    refused: int
    failures: int
    lost_segments: int


@dataclass(frozen=True, slots=True)
class Frontier:
    """Where shipping ends and the spool begins.

    Attributes:
        number: of the first segment that is not shipped; None when all are.
        hour: its hour.
        acked_before: messages acknowledged before it; all of them when there is none.
    """

    number: int | None
    hour: datetime | None
    acked_before: Acked


@dataclass(slots=True)
class _Request:
    """One call of `commit` that waits."""

    entries: Entries
    loop: asyncio.AbstractEventLoop
    done: asyncio.Future[None]


@dataclass(slots=True)
class _Counters:
    commits: int = 0
    events: int = 0
    refused: int = 0
    failures: int = 0
    lost_segments: int = 0


@dataclass(slots=True)
class _Queue:
    """Requests that wait for the writing thread."""

    requests: deque[_Request] = field(default_factory=deque)
    size: int = 0


class Spool:
    """The durable half of a collector. Make one with `Spool.open`; safe to use from any thread and event loop."""

    def __init__(self, folder: Path, writer: str, limits: SpoolLimits, disk: Disk, clock: Clock) -> None:
        self._folder, self._writer, self._limits, self._disk = folder, writer, limits, disk
        self._lock = FileLock(folder / "lock", blocking=False, thread_local=False)
        self._changed = threading.Condition()
        self._queue = _Queue()
        self._counters = _Counters()
        self._closed: dict[int, ClosedSegment] = {}
        self._closed_bytes = 0
        self._failure: str | None = None
        self._stopping = False
        self._free_bytes = 0
        self.segment_closed = threading.Event()
        self._take_lock()
        try:
            self._segments = self._recovered(clock)
            self._look_at_disk()
        except BaseException:
            self._lock.release()
            raise
        self._thread = threading.Thread(target=self._run, name=f"spool-{writer}", daemon=True)
        self._thread.start()

    @classmethod
    def open(
        cls, folder: Path, writer: str, limits: SpoolLimits, *, disk: Disk | None = None, clock: Clock | None = None
    ) -> Spool:
        """Take a spool folder, recover what an earlier process left in it, and be ready to commit.

        Args:
            folder: the spool's own folder; made when it is not there.
            writer: the name that stands in the objects (`writers.writer_of`).
            limits: what it may use.
            disk: where it writes.
            clock: the time in UTC.

        Raises:
            SpoolLockedError: another process has the folder.
        """
        disk = disk or Disk()
        disk.make_folder(folder)
        return cls(folder, writer, limits, disk, clock or (lambda: datetime.now(UTC)))

    @property
    def folder(self) -> Path:
        """Where the segments lie."""
        return self._folder

    @property
    def writer(self) -> str:
        """The name that stands in the objects."""
        return self._writer

    async def commit(self, outcomes: Sequence[Outcome]) -> None:
        """Return when the outcomes are durable; only then may their sender be told so.

        Raises:
            SpoolUnavailableError: they are not; the sender should come again.
        """
        if not outcomes:
            return
        loop = asyncio.get_running_loop()
        request = _Request(entries_of(outcomes), loop, loop.create_future())
        with self._changed:
            problem = self._problem()
            if problem is not None:
                self._counters.refused += 1
                raise self._unavailable(problem)
            self._queue.requests.append(request)
            self._queue.size += request.entries.size
            self._changed.notify()
        await request.done

    def state(self) -> SpoolState:
        """How the spool is, at this moment."""
        with self._changed:
            problem = self._problem()
            opened = self._segments.open
            oldest = [segment.opened_at for segment in self._closed.values()]
            oldest += [opened.opened_at] if opened else []
            return SpoolState(
                healthy=problem is None,
                problem=problem,
                segments=len(oldest),
                bytes_waiting=self._bytes_waiting(),
                oldest_at=min(oldest, default=None),
                queued_bytes=self._queue.size,
                commits=self._counters.commits,
                events=self._counters.events,
                refused=self._counters.refused,
                failures=self._counters.failures,
                lost_segments=self._counters.lost_segments,
            )

    def drain(self) -> None:
        """Commit what waits and close the segment; whoever commits later is refused. What is closed can be shipped."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def close(self) -> None:
        """Drain, and let go of the folder: from then on another process may have it, so nothing is shipped any more."""
        self.drain()
        self._lock.release()

    def closed_segments(self) -> list[ClosedSegment]:
        """What is to be shipped, oldest first."""
        with self._changed:
            return [self._closed[number] for number in sorted(self._closed)]

    def frontier(self) -> Frontier:
        """Where shipping ends and the spool begins."""
        with self._changed:
            if self._closed:
                first = self._closed[min(self._closed)]
                return Frontier(first.number, first.hour, first.acked_before)
            if self._segments.open is not None:
                header = self._segments.open.header
                return Frontier(header.number, header.hour, header.acked_before)
            return Frontier(None, None, self._segments.acked)

    def read(self, segment: ClosedSegment) -> Content:
        """The frames of a closed segment that were acknowledged; raises `OSError` when it cannot be read."""
        return read_content(segment.path.read_bytes()[: segment.length])

    def remove(self, segment: ClosedSegment) -> None:
        """Delete a segment that was shipped."""
        self._disk.remove(segment.path)
        self._forget(segment)

    def set_aside(self, segment: ClosedSegment) -> None:
        """Take a segment that is in part unreadable, or gone, out of the way; its file is kept for a person."""
        with contextlib.suppress(FileNotFoundError):  # it was gone: that is what is told here
            self._disk.rename(segment.path, segment.path.with_suffix(".damaged"))
        with self._changed:
            self._counters.lost_segments += 1
        self._forget(segment)

    def write_file(self, name: str, data: bytes) -> None:
        """Put a small file beside the segments, durably; on a full disk it takes the room that is kept for it.

        Shipping frees the disk but must first write down what it shipped: without that room a full disk would stay
        full for ever.
        """
        path = self._folder / name
        try:
            self._disk.replace_file(path, data)
        except OSError:
            self._disk.remove(self._folder / _BALLAST)
            self._disk.replace_file(path, data)

    def remove_file(self, name: str) -> None:
        """Delete a small file beside the segments."""
        self._disk.remove(self._folder / name)

    def _take_lock(self) -> None:
        try:
            self._lock.acquire()
        except Timeout as error:
            detail = "give each collector a home of its own (ANALYTICS_HOME), or end the other one"
            raise SpoolLockedError(f"{self._folder} is the spool of another running collector; {detail}") from error

    def _recovered(self, clock: Clock) -> SegmentWriter:
        found = recovered(self._folder, self._disk)
        for segment in found.segments:
            self._take(segment)
        return SegmentWriter(
            self._folder,
            self._writer,
            Rolling(self._limits.segment_bytes, self._limits.segment_seconds),
            disk=self._disk,
            clock=clock,
            lock=self._changed,
            on_closed=self._take,
            found=found,
        )

    def _take(self, segment: ClosedSegment) -> None:
        """Have a closed segment shipped."""
        self._closed[segment.number] = segment
        self._closed_bytes += segment.length
        self.segment_closed.set()

    def _forget(self, segment: ClosedSegment) -> None:
        with self._changed:
            if self._closed.pop(segment.number, None) is not None:
                self._closed_bytes -= segment.length

    def _problem(self) -> str | None:
        """Why a commit would be refused now; the lock is held."""
        limits = self._limits
        if self._stopping:
            return _ENDING
        if self._failure is not None:
            return self._failure
        if self._bytes_waiting() + self._queue.size > limits.max_bytes:
            return f"the spool holds more than {limits.max_bytes:,} bytes: bring the object store back, it empties then"
        if self._free_bytes < limits.min_free_bytes:
            return f"less than {limits.min_free_bytes:,} bytes are free at {self._folder}: free some"
        if self._queue.size > limits.queue_bytes:
            return f"more than {limits.queue_bytes:,} bytes wait for the disk: it is too slow for this load"
        return None

    def _bytes_waiting(self) -> int:
        opened = self._segments.open
        return self._closed_bytes + (opened.length if opened else 0)

    def _unavailable(self, problem: str) -> SpoolUnavailableError:
        return SpoolUnavailableError(problem, self._limits.retry_after_seconds)

    # What follows runs in the writing thread alone; it holds the lock only to touch what others read.

    def _run(self) -> None:
        try:
            self._write_until_stopped()
        finally:
            with self._changed:
                self._stopping = True
                rest, self._queue = self._queue.requests, _Queue()
            _answer(rest, self._unavailable(_ENDING))

    def _write_until_stopped(self) -> None:
        while True:
            group = self._next_group()
            if group:
                self._commit_group(group)
            elif self._stopping:
                break
            self._upkeep()
        self._segments.close()

    def _next_group(self) -> list[_Request]:
        """Whatever waits, up to the size of a group; nothing when a tick has passed without any."""
        with self._changed:
            if not self._queue.requests and not self._stopping:
                self._changed.wait(_RETRY_SECONDS if self._failure else _TICK_SECONDS)
            group: list[_Request] = []
            size = 0
            while self._queue.requests and size < _GROUP_BYTES:
                group.append(self._queue.requests.popleft())
                size += group[-1].entries.size
            self._queue.size -= size
            return group

    def _commit_group(self, group: Sequence[_Request]) -> None:
        if self._failure is not None:
            _answer(group, self._unavailable(self._failure))
            return
        # Also after a fault of the program: nobody may wait for a thread that has ended.
        refusal: SpoolUnavailableError | None = self._unavailable(_ENDING)
        try:
            acked = self._segments.append([request.entries for request in group]).total()
            with self._changed:
                self._counters.commits += 1
                self._counters.events += acked
            refusal = None
        except OSError as error:
            self._fail(error)
            refusal = self._unavailable(str(self._failure))
        finally:
            _answer(group, refusal)

    def _fail(self, error: OSError) -> None:
        """Refuse from now on, and never write to this segment again."""
        cause = f"{os.strerror(error.errno)}" if error.errno else str(error)
        with self._changed:
            self._counters.failures += 1
            self._failure = f"the spool at {self._folder} cannot be written ({cause}): mend the disk or free some"
        self._segments.abandon()

    def _upkeep(self) -> None:
        """What time alone asks for: a segment that is due, another try after a failure, a look at the disk."""
        self._look_at_disk()
        self._segments.close_if_due()
        if self._failure is not None and not self._stopping:
            self._try_again()

    def _try_again(self) -> None:
        try:
            self._segments.begin()
        except OSError:
            return
        with self._changed:
            self._failure = None

    def _look_at_disk(self) -> None:
        try:
            self._free_bytes = self._disk.free_bytes(self._folder)
            ballast = self._folder / _BALLAST
            if not ballast.exists() and self._free_bytes > self._limits.min_free_bytes + _BALLAST_BYTES:
                self._disk.reserve(ballast, _BALLAST_BYTES)
        except OSError:
            # Writing tells what is wrong with the disk; this look only spares it a part of that.
            return


def _answer(group: Collection[_Request], refusal: SpoolUnavailableError | None) -> None:
    """Tell everyone of a group, with one call into each event loop."""
    for loop in {request.loop for request in group}:
        waiting = [request.done for request in group if request.loop is loop]
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits there any more
            loop.call_soon_threadsafe(_resolve, waiting, refusal)


def _resolve(waiting: Sequence[asyncio.Future[None]], refusal: SpoolUnavailableError | None) -> None:
    for done in waiting:
        if done.done():
            continue  # the client went away meanwhile
        if refusal is None:
            done.set_result(None)
        else:
            done.set_exception(refusal)
