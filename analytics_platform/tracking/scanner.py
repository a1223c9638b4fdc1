"""The scanner's emitter: scans are confirmed at once, online or not, and reach the collector in their order.

A scan is on the device's disk when `completed` or `exception` returns. It is sent by `flush` or by a background thread,
oldest first, one request at a time, and only then forgotten; so the scans of an item arrive in the order in which they
were taken, each at least once and always under the same message id.
"""

import logging
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from analytics_platform.tracking.delivery import (
    TIMEOUT_SECONDS,
    DeliveryError,
    Message,
    Receipt,
    envelope_time,
    send,
    track_message,
)
from analytics_platform.tracking.event_model import EventModel
from analytics_platform.tracking.models import ScanCompleted, ScanException
from analytics_platform.tracking.models.vocabularies import EquipmentStatus, ScanExceptionCode
from analytics_platform.tracking.scan_queue import QueuedScan, ScanQueue, ScanQueueError

_LOG = logging.getLogger(__name__)
_FIRST_PAUSE_SECONDS = 0.5
_LONGEST_PAUSE_SECONDS = 60.0

Deliver = Callable[[str, str, Sequence[Message]], Receipt]


@dataclass
class FlushReport:
    """What one flush did. ``problem`` says why scans still wait; ``set_aside`` has id and reason of refused ones."""

    sent: int = 0
    waiting: int = 0
    set_aside: dict[str, str] = field(default_factory=dict)
    problem: str | None = None
    retry_after_seconds: int | None = None


class ScanSession:
    """One operator at one device in one warehouse.

    Args:
        host: the collector's address.
        write_key: the plain write key of the tenant's scanners.
        tenant: the tenant's id.
        queue: the device's queue, or the path of its file; all sessions of a device share it.
        device_id: the scanner.
        operator_ref: pseudonym of the person who scans.
        warehouse_id: where.
        project: project of the scans, if they all belong to one.
        batch_size: scans per request.
        turn_seconds: how long other sessions of the device hold back after one crashed while it sent; longer than a
            request may take.
        deliver: sends one batch; by default over HTTP.

    Raises:
        ScanQueueError: the queue's file cannot be used.
    """

    def __init__(
        self,
        host: str,
        write_key: str,
        *,
        tenant: str,
        queue: ScanQueue | Path,
        device_id: str,
        operator_ref: str,
        warehouse_id: str,
        project: str | None = None,
        batch_size: int = 100,
        turn_seconds: float = 3 * TIMEOUT_SECONDS,
        deliver: Deliver = send,
    ) -> None:
        self._host = host
        self._write_key = write_key
        self._common = {
            "tenant_id": tenant,
            "project_id": project,
            "device_id": device_id,
            "operator_ref": operator_ref,
            "warehouse_id": warehouse_id,
        }
        self._own_queue = not isinstance(queue, ScanQueue)
        self._queue = queue if isinstance(queue, ScanQueue) else ScanQueue(queue)
        self._batch_size = batch_size
        self._deliver = deliver
        self._turn_seconds = turn_seconds
        self._name = str(uuid4())
        self._flushing = threading.Lock()
        self._wanted, self._stopping = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def completed(
        self,
        equipment_id: str,
        *,
        from_status: EquipmentStatus,
        to_status: EquipmentStatus,
        direction: str,
        scan_source: str = "barcode",
        known_seq: int | None = None,
        scanned_at: datetime | None = None,
        **details: Any,
    ) -> ScanCompleted:
        """Queue a scan that moved an item from one status to another.

        Args:
            equipment_id: the item.
            from_status: its status before.
            to_status: its status after.
            direction: which way it went (in, out, …).
            scan_source: what read the tag (barcode, rfid, manual, …).
            known_seq: the item's highest `status_seq` that the application knows, from the backend or another device;
                the scan gets a higher one, and one higher than any that this device gave the item before.
            scanned_at: by the device's clock; now by default.
            **details: further fields of the event, such as `booking_id` and `transport_id`; a `project_id` counts
                before the session's.

        Raises:
            WrongEventError: the plan does not allow the event; nothing is queued.
        """
        said: dict[str, Any] = {
            "equipment_id": equipment_id,
            "from_status": from_status,
            "to_status": to_status,
            "direction": direction,
        }
        common = self._of_the_scan(scan_source, scanned_at)
        made: list[ScanCompleted] = []

        def message(sequence: int) -> Message:
            made.append(ScanCompleted(**{**common, **details}, **said, status_seq=sequence))
            return _message(made[-1])

        self._queue.append(message, equipment_id, known_seq)
        self._wanted.set()
        return made[-1]

    def exception(
        self,
        code: ScanExceptionCode,
        *,
        resolved: bool,
        scan_source: str = "barcode",
        scanned_at: datetime | None = None,
        **details: Any,
    ) -> ScanException:
        """Queue a scan that could not be taken as it was.

        Args:
            code: what was wrong.
            resolved: whether the operator resolved it on the spot.
            scan_source: what read the tag.
            scanned_at: by the device's clock; now by default.
            **details: further fields of the event, such as `equipment_id`, `expected_status` and `to_status`; a
                `project_id` counts before the session's.

        Raises:
            WrongEventError: the plan does not allow the event; nothing is queued.
        """
        common = self._of_the_scan(scan_source, scanned_at)
        event = ScanException(**{**common, **details}, code=code, resolved=resolved)
        self._queue.append(lambda _: _message(event), None, None)
        self._wanted.set()
        return event

    def flush(self) -> FlushReport:
        """Send what waits, until all is sent or a request fails; never raises for the network's sake."""
        report = FlushReport()
        with self._flushing:
            try:
                while report.problem is None and not self._queue.is_empty():
                    # What was read before the turn another session may have sent since.
                    if self._has_turn(report):
                        self._send(self._queue.oldest(self._batch_size), report)
            finally:
                self._queue.end_turn(self._name)
        report.waiting = self._queue.counts()[0]
        return report

    def start(self, idle_seconds: float = 30.0) -> None:
        """Send in the background from now on: after each scan, and every so often while scans wait."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, args=(idle_seconds,), name="scans", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Stop sending; what waits stays in the queue's file for the next session."""
        self._stopping.set()
        self._wanted.set()
        if self._thread is not None:
            self._thread.join()
        if self._own_queue:
            self._queue.close()

    def __enter__(self) -> "ScanSession":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _of_the_scan(self, scan_source: str, scanned_at: datetime | None) -> dict[str, Any]:
        return {
            **self._common,
            "scan_id": str(uuid4()),
            "scan_source": scan_source,
            "scanned_at": scanned_at or datetime.now(UTC),
        }

    def _has_turn(self, report: FlushReport) -> bool:
        """Take the turn, or have it last for another request."""
        if self._queue.take_turn(self._name, self._turn_seconds):
            return True
        report.problem = "another session of this device is sending"
        return False

    def _send(self, waiting: Sequence[QueuedScan], report: FlushReport) -> None:
        """Send scans in one request; where the collector refuses the content, find the scans that it refuses."""
        # What may have arrived must be sent alike ever after: it is frozen on disk before it leaves.
        frozen = self._queue.freeze(waiting, _outgoing)
        if not frozen:
            return
        scans = [scan for scan, _ in frozen]
        try:
            receipt = self._deliver(self._host, self._write_key, [message for _, message in frozen])
        except DeliveryError as error:
            self._not_acknowledged(scans, error, report)
            return
        for scan in scans:
            if (code := receipt.rejected.get(scan.message["messageId"])) is not None:
                self._put_aside(scan, f"the collector keeps it as a dead letter: {code}", report)
        taken = [scan for scan in scans if scan.message["messageId"] not in receipt.rejected]
        self._queue.remove(taken)
        report.sent += len(taken)

    def _not_acknowledged(self, scans: Sequence[QueuedScan], error: DeliveryError, report: FlushReport) -> None:
        if not error.reached:
            self._queue.thaw(scans, self._name)
        if not error.is_about_the_content:
            report.problem, report.retry_after_seconds = str(error), error.retry_after_seconds
        elif len(scans) == 1:
            self._put_aside(scans[0], str(error), report)
        else:
            # One at a time, so that the order holds whichever of them is refused.
            for scan in scans:
                if report.problem is None and self._has_turn(report):
                    self._send([scan], report)

    def _put_aside(self, scan: QueuedScan, reason: str, report: FlushReport) -> None:
        self._queue.put_aside(scan, reason)
        report.set_aside[scan.message["messageId"]] = reason
        _LOG.error("scan %s is set aside: %s", scan.message["messageId"], reason)

    def _tried(self) -> FlushReport:
        """Flush; neither a full disk nor what nobody foresaw may end the thread."""
        try:
            return self.flush()
        except ScanQueueError as error:
            return FlushReport(problem=str(error))
        except Exception as error:  # noqa: BLE001 - a thread that ends would let scans wait unseen
            _LOG.exception("sending failed in a way that nobody foresaw; it is tried again")
            return FlushReport(problem=type(error).__name__)

    def _run(self, idle_seconds: float) -> None:
        failures = 0
        while not self._stopping.is_set():
            self._wanted.clear()
            report = self._tried()
            failures = failures + 1 if report.problem else 0
            if report.problem:
                _LOG.warning("%d scans wait: %s", report.waiting, report.problem)
                # A new scan does not shorten the pause; only the end of the session does.
                self._stopping.wait(_pause(failures, report.retry_after_seconds))
            else:
                self._wanted.wait(idle_seconds)


def _pause(failures: int, asked: int | None) -> float:
    """Seconds until the next try: what the collector asked for, else ever longer."""
    if asked is not None:
        return float(asked)
    longest: float = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 10))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads the devices


def _outgoing(scan: QueuedScan) -> Message:
    """The scan's message as it goes out first, and from then on."""
    now = datetime.now(UTC)
    scanned_at = datetime.fromisoformat(scan.message["properties"]["scanned_at"])
    message = {**scan.message, "timestamp": envelope_time(scanned_at, now).isoformat()}
    if message["event"] != ScanCompleted.event_name:  # the plan has no waiting time for exceptions
        return message
    waited_ms = round(max(0.0, now.timestamp() - scan.queued_at) * 1000, 3)
    return {**message, "properties": {**message["properties"], "offline_queued_ms": waited_ms}}


def _message(event: EventModel) -> Message:
    """The message of a scan; its id is the scan's own."""
    properties = event.properties()
    return track_message(
        event.event_name,
        properties,
        message_id=properties["scan_id"],
        timestamp=properties["scanned_at"],
        user_id=None,
        anonymous_id=properties["device_id"],
    )
