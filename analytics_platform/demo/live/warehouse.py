"""The warehouse floor: booked items are picked and handed out, scan by scan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from analytics_platform.demo.dice import Dice
from analytics_platform.demo.live.business import BookedItem
from analytics_platform.errors import AnalyticsError
from analytics_platform.tracking.models.vocabularies import EquipmentStatus
from analytics_platform.tracking.scan_queue import ScanQueue
from analytics_platform.tracking.scanner import ScanSession

HandOver = Callable[[BookedItem, str, int], None]

_MOVES: tuple[tuple[EquipmentStatus, EquipmentStatus, str], ...] = (
    ("reserved", "picked", "internal"),
    ("picked", "checked_out", "out"),
)
_WAY_BACK: tuple[tuple[EquipmentStatus, EquipmentStatus, str], ...] = (
    ("checked_out", "returned", "in"),
    ("returned", "available", "internal"),
)


class ScansNotSentError(AnalyticsError):
    """Scans wait on the device although the collector runs."""


def scan_out(
    host: str,
    write_key: str,
    tenant: str,
    items: Sequence[BookedItem],
    *,
    device: Path,
    dice: Dice,
    hand_over: HandOver,
) -> None:
    """Hand out the items, take some back, and report a tag now and then that nobody can read.

    Args:
        host: the collector's address.
        write_key: of the tenant's scanners.
        tenant: its id.
        items: what was booked.
        device: the file of the scanner's queue.
        dice: draws what happens.
        hand_over: tells the product what a scan did.

    Raises:
        ScansNotSentError: the collector did not take them.
    """
    queue = ScanQueue(device)
    try:
        for warehouse, project in sorted({(item.warehouse_id, item.project_id) for item in items}):
            session = ScanSession(
                host,
                write_key,
                tenant=tenant,
                queue=queue,
                device_id=f"dev_{warehouse}",
                operator_ref=dice.name("opr"),
                warehouse_id=warehouse,
                project=project,
            )
            chosen = [item for item in items if (item.warehouse_id, item.project_id) == (warehouse, project)]
            with session:
                _work(session, chosen, dice, hand_over)
    finally:
        queue.close()


def _work(session: ScanSession, items: Sequence[BookedItem], dice: Dice, hand_over: HandOver) -> None:
    if dice.chance(0.3):
        session.exception("unreadable", resolved=True)
    for item in items:
        moves = _MOVES + _WAY_BACK if dice.chance(0.7) else _MOVES
        for before, after, direction in moves:
            scan = session.completed(
                item.equipment_id,
                from_status=before,
                to_status=after,
                direction=direction,
                known_seq=item.status_seq,
                booking_id=item.booking_id,
            )
            hand_over(item, after, scan.status_seq)
    report = session.flush()
    if report.problem or report.set_aside:
        raise ScansNotSentError(f"{report.waiting} scans wait, {len(report.set_aside)} are set aside: {report.problem}")
