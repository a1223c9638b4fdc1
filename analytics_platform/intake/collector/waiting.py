"""What collectors have acknowledged and the lake has not yet: who has just sent an event looks for it there in vain.

Segments are only looked at; a collector may ship them in the meantime.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from analytics_platform.intake.collector.segments import read_content, segment_paths


@dataclass(frozen=True, slots=True)
class Waiting:
    """Messages in the spools of a home.

    Attributes:
        messages: how many are there.
        newest_at: when the last of them was written.
    """

    messages: int
    newest_at: datetime


def waiting_messages(spool_root: Path) -> Waiting | None:
    """What waits in all spools below a folder; None where nothing does."""
    messages, newest = 0, 0.0
    for path in (path for folder in spool_root.glob("*/") for path in segment_paths(folder).values()):
        with suppress(FileNotFoundError):  # shipped since the folder was listed
            written, found = path.stat().st_mtime, read_content(path.read_bytes()).acked.total()
            if found:
                messages, newest = messages + found, max(newest, written)
    return Waiting(messages, datetime.fromtimestamp(newest, UTC)) if messages else None


def waiting_line(spool_root: Path, segment_seconds: float, now: datetime) -> str | None:
    """What waits, for how long, and what brings it into the lake; None where nothing waits.

    Args:
        spool_root: where the collectors of a home have their spools.
        segment_seconds: the age at which a collector ships what it has.
        now: the clock's time.
    """
    waiting = waiting_messages(spool_root)
    if waiting is None:
        return None
    since = max(now - waiting.newest_at, timedelta())
    noun = "message waits" if waiting.messages == 1 else "messages wait"
    line = (
        f"{waiting.messages:,} {noun} in the collector's spool, {timedelta(seconds=round(since.total_seconds()))} old"
    )
    if since > timedelta(seconds=2 * segment_seconds):
        return (
            f"{line}: does a collector run? `analytics collector` ships them, `analytics doctor` says what hinders it"
        )
    return f"{line}; a collector ships what is {segment_seconds:g} s old (collector_segment_seconds): run again then"
