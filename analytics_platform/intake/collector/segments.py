"""What a spool segment is made of: frames, each whole or not there.

A segment is a header frame and one frame per group commit, so that what was acknowledged together survives together.

    frame    = magic, length of meta, length of body, CRC-32 of all else, meta (JSON), body (NDJSON lines)
    header   = {"segment": number, "writer", "hour", "acked_before", "previous"}
    commit   = {"acked": messages by tenant, "before": messages of earlier frames of the segment,
               "blocks": [[reason, day, tenant, stream, bytes], ...]}; the body holds the lines of the blocks in turn

`acked` is counted where the acknowledgement is given. Each header repeats what the writer had acknowledged before it,
and each frame how much its segment had: so a segment that vanishes, or a frame that is damaged, takes its lines with
it, but not the knowledge that they were promised.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from analytics_platform.intake.outcomes import Admitted
from analytics_platform.lake.dead_letters import SealedLetter
from analytics_platform.lake.layout import UNKNOWN_TENANT

Acked = dict[str, int]
"""Messages by tenant."""

_MAGIC = b"\xffSG1"
"""0xFF is in no UTF-8 text: a client cannot send bytes that look like a frame."""

_HEAD = struct.Struct(">4sIII")
_SUFFIX = ".segment"
_HOUR = "%Y%m%dT%H"


_Place = tuple[str | None, date, str, str]
"""Reason, day, tenant and stream."""


class Block(NamedTuple):
    """Lines of one place: the landing of a day and tenant (`reason` is None) or the dead letters there."""

    reason: str | None
    day: date
    tenant: str
    stream: str
    lines: bytes


@dataclass(frozen=True, slots=True)
class Header:
    """The first frame of a segment.

    Attributes:
        writer: whose spool it is in.
        number: orders the segments of a writer; each is larger than those before, not always by one.
        hour: of the clock when it was opened, in UTC; no segment goes beyond its hour.
        acked_before: what the writer had acknowledged in its life before this segment.
        previous: number and good length of the segment before: what lies after that length was never acknowledged.
    """

    writer: str
    number: int
    hour: datetime
    acked_before: Acked
    previous: tuple[int, int] | None


@dataclass(slots=True)
class Content:
    """What a segment holds, as far as it can be read.

    Attributes:
        header: None when it is damaged.
        blocks: the lines, in the order of their acknowledgement.
        acked: messages that this segment's frames acknowledged; those of frames that cannot be read are under
            `UNKNOWN_TENANT`.
        length: where the last whole frame ends.
        damaged_bytes: what cannot be read before that.
    """

    header: Header | None = None
    blocks: list[Block] = field(default_factory=list)
    acked: Counter[str] = field(default_factory=Counter)
    length: int = 0
    damaged_bytes: int = 0


@dataclass(slots=True)
class Entries:
    """What one request wants acknowledged: its lines by place, its messages by tenant, and the size of its lines."""

    lines: dict[_Place, list[bytes]] = field(default_factory=dict)
    acked: Counter[str] = field(default_factory=Counter)
    size: int = 0


def segment_path(folder: Path, number: int) -> Path:
    """Where a segment lies."""
    return folder / f"{number:020d}{_SUFFIX}"


def segment_paths(folder: Path) -> dict[int, Path]:
    """All segment files by number, in order."""
    return {int(path.stem): path for path in sorted(folder.glob(f"*{_SUFFIX}"))}


def hour_text(hour: datetime) -> str:
    """An hour as it stands in headers and object names."""
    return f"{hour:{_HOUR}}"


def parse_hour(text: str) -> datetime:
    """The hour that `hour_text` wrote."""
    return datetime.strptime(text, _HOUR).replace(tzinfo=UTC)


def header_frame(header: Header) -> bytes:
    """The frame that opens a segment."""
    meta = {
        "segment": header.number,
        "writer": header.writer,
        "hour": hour_text(header.hour),
        "acked_before": header.acked_before,
        "previous": header.previous,
    }
    return _frame(meta, b"")


def entries_of(outcomes: Iterable[Admitted | SealedLetter]) -> Entries:
    """Outcomes as the spool takes them."""
    entries = Entries()
    for outcome in outcomes:
        reason = None if isinstance(outcome, Admitted) else outcome.reason
        place = reason, outcome.day, outcome.tenant, outcome.stream
        found = entries.lines.get(place)
        if found is None:
            found = entries.lines[place] = []
        found.append(outcome.line)
    for (_, _, tenant, _), lines in entries.lines.items():
        entries.acked[tenant] += len(lines)
        entries.size += sum(map(len, lines))
    return entries


def commit_frame(group: Iterable[Entries], before: int) -> tuple[bytes, Counter[str]]:
    """The frame of a group commit, and how many messages of each tenant it acknowledges.

    Args:
        group: the requests.
        before: messages in the earlier frames of the segment.
    """
    places: dict[_Place, list[bytes]] = {}
    acked: Counter[str] = Counter()
    for entries in group:
        acked.update(entries.acked)
        for place, lines in entries.lines.items():
            places.setdefault(place, []).extend(lines)
    bodies = {place: b"".join(lines) for place, lines in places.items()}
    meta = {"acked": acked, "before": before, "blocks": [[*place, len(body)] for place, body in bodies.items()]}
    return _frame(meta, b"".join(bodies.values())), acked


def read_header(path: Path) -> Header | None:
    """A segment's header without reading the segment; None when it is damaged."""
    with path.open("rb") as file:
        head = file.read(_HEAD.size)
        if len(head) < _HEAD.size:
            return None
        _, meta_length, body_length, _ = _HEAD.unpack(head)
        # A header has no body; a length that damage has blown up must not be read into memory.
        data = head + (b"" if body_length else file.read(min(meta_length, path.stat().st_size)))
    return read_content(data).header


def read_content(data: bytes) -> Content:
    """All whole frames of a segment's bytes.

    Bytes that are no frame are skipped to the next whole one: at the end they are the torn tail of a write that never
    was acknowledged, before it they are damage.
    """
    content, position, promised = Content(), 0, 0
    while position < len(data):
        frame = _frame_at(data, position)
        if frame is None:
            position = _next_frame(data, position + 1)
            continue
        meta, body, end = frame
        content.damaged_bytes += position - content.length
        content.length = position = end
        if "segment" in meta:
            content.header = _header(meta)
        else:
            content.acked.update(meta["acked"])
            content.blocks += _blocks(meta["blocks"], body)
            promised = meta["before"] + sum(meta["acked"].values())
    if promised > content.acked.total():
        content.acked[UNKNOWN_TENANT] += promised - content.acked.total()
    return content


def added(total: Mapping[str, int], more: Mapping[str, int]) -> Acked:
    """Messages by tenant, summed."""
    return {tenant: total.get(tenant, 0) + more.get(tenant, 0) for tenant in sorted({*total, *more})}


def since(total: Mapping[str, int], before: Mapping[str, int]) -> Acked:
    """Messages by tenant that `total` has more than `before`; tenants without any are left out."""
    gained = {tenant: total.get(tenant, 0) - before.get(tenant, 0) for tenant in sorted({*total, *before})}
    return {tenant: count for tenant, count in gained.items() if count}


def _frame(meta: Mapping[str, Any], body: bytes) -> bytes:
    said = orjson.dumps(meta)
    check = _crc(len(said), len(body), said, body)
    return b"".join((_HEAD.pack(_MAGIC, len(said), len(body), check), said, body))


def _crc(meta_length: int, body_length: int, *parts: bytes) -> int:
    check = zlib.crc32(struct.pack(">II", meta_length, body_length))
    for part in parts:
        check = zlib.crc32(part, check)
    return check


def _frame_at(data: bytes, position: int) -> tuple[dict[str, Any], bytes, int] | None:
    """Meta, body and end of the whole frame at `position`; None when there is none."""
    start = position + _HEAD.size
    if start > len(data) or not data.startswith(_MAGIC, position):
        return None
    _, meta_length, body_length, check = _HEAD.unpack_from(data, position)
    end = start + meta_length + body_length
    if end > len(data):
        return None
    said, body = data[start : start + meta_length], data[start + meta_length : end]
    if _crc(meta_length, body_length, said, body) != check:
        return None
    return orjson.loads(said), body, end


def _next_frame(data: bytes, position: int) -> int:
    """Where the next whole frame begins; the end of the data when none does."""
    while (found := data.find(_MAGIC, position)) >= 0:
        if _frame_at(data, found) is not None:
            return found
        position = found + 1
    return len(data)


def _header(meta: Mapping[str, Any]) -> Header:
    previous = meta["previous"]
    return Header(
        writer=meta["writer"],
        number=meta["segment"],
        hour=parse_hour(meta["hour"]),
        acked_before=meta["acked_before"],
        previous=None if previous is None else (previous[0], previous[1]),
    )


def _blocks(said: Sequence[Sequence[Any]], body: bytes) -> Iterator[Block]:
    position = 0
    for reason, day, tenant, stream, length in said:
        yield Block(reason, date.fromisoformat(day), tenant, stream, body[position : position + length])
        position += length
