"""What an earlier process left in a spool folder, and what of it counts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from analytics_platform.intake.collector.disk import Disk
from analytics_platform.intake.collector.journal import read_journal
from analytics_platform.intake.collector.segments import Acked, Header, added, read_content, read_header, segment_paths


@dataclass(frozen=True, slots=True)
class ClosedSegment:
    """A segment that nothing is written to any more.

    Attributes:
        path: its file.
        number: its place in the order of the writer's segments.
        hour: in which its messages were acknowledged.
        length: where its last acknowledged frame ends.
        acked_before: what the writer had acknowledged before it.
        opened_at: when it was opened; of a recovered one, when it was last written.
    """

    path: Path
    number: int
    hour: datetime
    length: int
    acked_before: Acked
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a spool goes on from.

    Attributes:
        segments: to be shipped, in order.
        next_number: larger than that of every segment there ever was.
        previous: number and good length of the newest segment; None when there is none.
        acked: what the writer has acknowledged in its life.
    """

    segments: list[ClosedSegment]
    next_number: int
    previous: tuple[int, int] | None
    acked: Acked


def recovered(folder: Path, disk: Disk) -> Recovered:
    """Adopt the segments of a folder: shipped ones are removed, a torn tail is cut off.

    A frame that is whole counts, also when its writer died before it could say so: its sender comes again, and the
    second copy is a duplicate.
    """
    journal = read_journal(folder)
    paths = segment_paths(folder)
    for number in [number for number in paths if journal.has_shipped(number)]:
        disk.remove(paths.pop(number))
    headers = {number: read_header(path) for number, path in paths.items()}
    segments: list[ClosedSegment] = []
    acked, previous = journal.acked, None
    for number, path in paths.items():
        stated = _length_stated(number, headers)
        if stated is None:
            length, own = _read_to_the_end(path, disk, is_last=number == max(paths))
        else:
            length, own = stated, {}
        header = headers[number]
        if length == 0:
            disk.remove(path)  # its header was never synced, so nothing in it was acknowledged
            continue
        before = header.acked_before if header else acked
        segments.append(_closed(path, number, header, length, before))
        acked, previous = added(before, own), (number, length)
    return Recovered(segments, max([journal.last_number, *paths], default=0) + 1, previous, acked)


def _length_stated(number: int, headers: dict[int, Header | None]) -> int | None:
    """The good length that the next segment's header states."""
    following = next((header for other, header in headers.items() if other > number and header), None)
    if following is None or following.previous is None or following.previous[0] != number:
        return None
    return following.previous[1]


def _read_to_the_end(path: Path, disk: Disk, *, is_last: bool) -> tuple[int, Acked]:
    content = read_content(path.read_bytes())
    if is_last and content.length:
        disk.truncate(path, content.length)  # and synced: a killed process may have left it in the page cache alone
    return content.length, dict(content.acked)


def _closed(path: Path, number: int, header: Header | None, length: int, acked_before: Acked) -> ClosedSegment:
    """A segment with a damaged header is taken for one of the hour in which it was last written."""
    written_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    hour = header.hour if header else written_at.replace(minute=0, second=0, microsecond=0)
    return ClosedSegment(path, number, hour, length, acked_before, written_at)
