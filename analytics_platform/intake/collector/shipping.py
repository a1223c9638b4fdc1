"""Shipping: closed segments become objects of the lake, and closed hours manifests, in a thread of its own.

Judging is done, so shipping only moves bytes. A segment's objects are named by its number and its lines and are put
conditionally: a shipper that died between any two steps does them again and finds them done. The segment is deleted
when all its objects are put and its receipt, which the hour's manifest is made from, is durable.

A store that fails or is slow delays the shipper and nobody else; what waits in the spool is its back-pressure.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from time import monotonic

import structlog

from analytics_platform.errors import AnalyticsError
from analytics_platform.intake.collector.hours import HourAccount
from analytics_platform.intake.collector.journal import Receipt
from analytics_platform.intake.collector.recovery import ClosedSegment
from analytics_platform.intake.collector.segments import Content
from analytics_platform.intake.collector.spool import Spool
from analytics_platform.intake.gathering import Gathered, Gathering, Place
from analytics_platform.lake.layout import dead_letter_key, digest, landing_key
from analytics_platform.lake.manifest import WrittenObject
from analytics_platform.lake.store import ObjectStore

_log = structlog.get_logger(__name__)

_TICK_SECONDS = 1.0
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 30.0


class SegmentUnreadableError(AnalyticsError):
    """The disk does not give a segment back; it is kept and tried again, and what came after it was shipped."""


@dataclass(slots=True)
class ShipReport:
    """What one round of shipping did; `seconds` has, for each segment, the time from having read it to its receipt."""

    segments: int = 0
    objects: int = 0
    lines: int = 0
    bytes: int = 0
    manifests: int = 0
    seconds: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class ShipperState:
    """How shipping goes: the last problem with the store, since when, and how often it was tried since."""

    problem: str | None = None
    failing_since: datetime | None = None
    attempts: int = 0


class Shipper:
    """Empties a spool into a store.

    Args:
        spool: where segments come from.
        store: where objects go.
        on_shipped: told after every round that shipped something.
        clock: the time in UTC.
    """

    def __init__(
        self,
        spool: Spool,
        store: ObjectStore,
        *,
        on_shipped: Callable[[ShipReport], None] | None = None,
        clock: Callable[[], datetime] | None = None,
    ) -> None:
        self._spool, self._store, self._on_shipped = spool, store, on_shipped
        self._clock = clock or (lambda: datetime.now(UTC))
        self._account = HourAccount(spool, store)
        self._state = ShipperState()
        self._round = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"shipper-{spool.writer}", daemon=True)

    def start(self) -> None:
        """Ship from now on."""
        self._thread.start()

    def stop(self, timeout: float = 30.0) -> bool:
        """End the thread after the segment at hand; false when the store kept it for longer than `timeout` seconds.

        After the spool was drained, `ship_waiting(final=True)` ships the rest and closes the running hour too.
        """
        self._stopping.set()
        self._spool.segment_closed.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def state(self) -> ShipperState:
        """How shipping goes."""
        return self._state

    def ship_waiting(self, *, final: bool = False) -> ShipReport:
        """Ship every closed segment, then put the manifests of closed hours; raises what the store raises.

        Args:
            final: the spool was drained: also the running hour gets a manifest. A later process adds another part.

        Raises:
            SegmentUnreadableError: a segment could not be read; all others were shipped.
        """
        report = ShipReport()
        with self._round:
            self._spool.segment_closed.clear()
            unreadable = self._ship_all(report, final=final)
            report.manifests = self._account.close_hours(self._clock(), final=final)
        if self._on_shipped is not None and (report.segments or report.manifests):
            self._on_shipped(report)
        if unreadable is not None:
            raise unreadable
        return report

    def _run(self) -> None:
        pause = _FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            try:
                self.ship_waiting()
            except Exception as error:  # noqa: BLE001  whatever the store raises, the spool keeps what it holds
                self._failed(error)
                self._stopping.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311  spreads retries, hides nothing
                pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
                continue
            pause = _FIRST_PAUSE_SECONDS
            self._succeeded()
            self._spool.segment_closed.wait(_TICK_SECONDS)

    def _failed(self, error: Exception) -> None:
        before = self._state
        problem = f"{type(error).__name__}: {error}"
        self._state = ShipperState(problem, before.failing_since or datetime.now(UTC), before.attempts + 1)
        _log.warning("shipping failed", problem=problem, attempts=self._state.attempts)

    def _succeeded(self) -> None:
        if self._state.problem is not None:
            _log.info("shipping works again", attempts=self._state.attempts)
        self._state = ShipperState()

    def _ship_all(self, report: ShipReport, *, final: bool) -> SegmentUnreadableError | None:
        """Ship one segment after the other; one that cannot be read must not hold up the others."""
        unreadable: SegmentUnreadableError | None = None
        for segment in self._spool.closed_segments():
            if self._stopping.is_set() and not final:
                break
            try:
                content = self._content(segment)
            except OSError as error:
                unreadable = SegmentUnreadableError(f"{segment.path} cannot be read ({error}): mend the disk")
                continue
            self._ship(segment, content, report)
        return unreadable

    def _ship(self, segment: ClosedSegment, content: Content, report: ShipReport) -> None:
        started = monotonic()
        objects = self._put_objects(segment, content)
        receipt = Receipt(
            number=segment.number,
            hour=segment.hour,
            acked_before=segment.acked_before,
            acked=dict(content.acked),
            landing=[written for place, written in objects if place.reason is None],
            dead_letters=[written for place, written in objects if place.reason is not None],
        )
        self._account.record(receipt)
        if content.damaged_bytes or content.length != segment.length:
            _log.error("segment damaged", segment=segment.path.name, readable=content.length, written=segment.length)
            self._spool.set_aside(segment)
        else:
            self._spool.remove(segment)
        report.segments += 1
        report.objects += len(objects)
        report.lines += sum(sum(written.lines.values()) for _, written in objects)
        report.bytes += segment.length
        report.seconds += (monotonic() - started,)

    def _content(self, segment: ClosedSegment) -> Content:
        """What can be read of a segment. One that is gone is empty: the account then lacks what it had acknowledged."""
        try:
            return self._spool.read(segment)
        except FileNotFoundError:
            return Content()

    def _put_objects(self, segment: ClosedSegment, content: Content) -> list[tuple[Place, WrittenObject]]:
        objects: list[tuple[Place, WrittenObject]] = []
        gathering = Gathering(
            self._store,
            partial(self._key, segment),
            lambda place, written, _is_new: objects.append((place, written)),
        )
        for block in content.blocks:
            lines = block.lines.count(b"\n")
            gathering.add(Place(block.reason, block.day, block.tenant), block.lines, block.stream, count=lines)
        gathering.put_rest()
        return objects

    def _key(self, segment: ClosedSegment, place: Place, _gathered: Gathered, lines: bytes) -> str:
        """The key of an object. The segment's number is in the digest: equal lines acknowledged twice are two lines."""
        sha = digest(b"%d\n" % segment.number + lines)
        writer = self._spool.writer
        if place.reason is None:
            return landing_key(place.day, place.tenant, segment.hour, writer, sha)
        return dead_letter_key(place.reason, place.day, place.tenant, writer, sha, received_hour=segment.hour)
