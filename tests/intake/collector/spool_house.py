"""What the tests of the spool share: outcomes, a small spool, and readers of what is in it and in the lake."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import orjson
from known_keys import SEALS

from analytics_platform.intake.collector.disk import Disk
from analytics_platform.intake.collector.segments import read_content, segment_paths
from analytics_platform.intake.collector.spool import Outcome, Spool, SpoolLimits, SpoolUnavailableError
from analytics_platform.intake.collector.writing import Clock
from analytics_platform.intake.outcomes import Admitted
from analytics_platform.lake.dead_letters import DeadLetter, SealedLetter, lines_of
from analytics_platform.lake.schema import LANDING_COLUMNS, landing_line
from analytics_platform.lake.store import LocalStore

DAY = date(2026, 1, 15)
HOUR = datetime(2026, 1, 15, 10, tzinfo=UTC)
TENANT = "brabant-rental"
OTHER = "albion-stage"
WRITER = "collector0a"
STREAMS = ("billing", "product")
SMALL = SpoolLimits(segment_bytes=1_000_000, segment_seconds=3_600, min_free_bytes=0)


class SetClock:
    """A clock that a test sets."""

    def __init__(self, now: datetime = HOUR) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **span: float) -> None:
        self.now += timedelta(**span)


def admitted(message_id: str, *, tenant: str = TENANT, day: date = DAY, stream: str = "product") -> Admitted:
    values = dict.fromkeys(LANDING_COLUMNS) | {
        "day": day,
        "tenant_id": tenant,
        "stream": stream,
        "message_id": message_id,
        "type": "track",
        "event_at": HOUR,
        "occurred_at": HOUR,
        "original_timestamp": HOUR,
        "received_at": HOUR,
        "source": "server",
        "payload_hash": "aa",
        "properties": {"text": "é"},
        "extra": {},
    }
    return Admitted(tenant, day, stream, message_id, HOUR, None, "aa", landing_line(values))


def letter(text: str, *, reason: str = "schema_violation", tenant: str = TENANT) -> SealedLetter:
    refused = DeadLetter(reason, "properties.flow: missing", text.encode(), DAY, tenant, "product", received_at=HOUR)
    return refused.sealed(SEALS)


@contextmanager
def spooling(
    folder: Path, limits: SpoolLimits = SMALL, *, disk: Disk | None = None, clock: Clock | None = None
) -> Iterator[Spool]:
    """An open spool."""
    spool = Spool.open(folder, WRITER, limits, disk=disk, clock=clock)
    try:
        yield spool
    finally:
        spool.close()


def commit(spool: Spool, *outcomes: Outcome) -> None:
    """Commit as one request."""
    asyncio.run(spool.commit(outcomes))


def commit_together(spool: Spool, requests: Sequence[Sequence[Outcome]]) -> list[BaseException | None]:
    """Commit requests at the same time; what each was answered."""

    async def all_of_them() -> list[BaseException | None]:
        return await asyncio.gather(*(spool.commit(each) for each in requests), return_exceptions=True)

    return asyncio.run(all_of_them())


def commit_until_refused(spool: Spool, size: int) -> tuple[int, SpoolUnavailableError]:
    """Commit requests of `size` messages one after the other; how many were acknowledged, and what ended it."""
    for n in range(10_000):
        try:
            commit(spool, *(admitted(f"{n}-{m}") for m in range(size)))
        except SpoolUnavailableError as refusal:
            return n, refusal
    raise AssertionError("nothing was refused")


def spooled_ids(folder: Path) -> list[str]:
    """Message ids in the whole frames of a spool folder."""
    blocks = [block for path in segment_paths(folder).values() for block in read_content(path.read_bytes()).blocks]
    return [
        orjson.loads(line)["message_id"]
        for block in blocks
        if block.reason is None
        for line in block.lines.splitlines()
    ]


def landed_ids(store: LocalStore) -> Counter[str]:
    """Message ids in the landing, with how often each is there."""
    lines = (line for info in store.list("landing/") for line in lines_of(store.get(info.key)))
    return Counter(orjson.loads(line)["message_id"] for line in lines)


def objects(store: LocalStore) -> dict[str, bytes]:
    """Everything in the lake, byte for byte."""
    return {info.key: store.get(info.key) for info in store.list("")}


def eventually(fact: Callable[[], bool], *, seconds: float = 20.0) -> None:
    """Wait until something another thread does has happened."""
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.005)
