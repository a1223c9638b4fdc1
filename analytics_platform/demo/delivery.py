"""How messages travel: the seconds until they arrive, the few that come late, twice or broken.

Belongs here: all trouble of the wire, none of the business. The luck of a message comes from its own id, so it
does not depend on its neighbours: the same message has the same fate in a shorter or a longer simulation.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta

from analytics_platform.demo.clock import rfc3339
from analytics_platform.demo.dice import Dice
from analytics_platform.demo.faults import broken_copy
from analytics_platform.demo.journal import Source, World
from analytics_platform.demo.messages import Draft, Message
from analytics_platform.demo.profiles import Plot

DUPLICATE_SHARE = 0.003
FAULT_SHARE = 0.0006
LATE_SHARE = 0.004

# Seconds in the producer's queue before the first attempt: the Python client flushes each half second, the
# browser at once, vehicle telemetry in bursts.
_QUEUE_SECONDS = {
    Source.BACKEND: 0.6,
    Source.SCANNER: 1.5,
    Source.TELEMETRY: 12.0,
    Source.APP: 0.01,
    Source.SITE: 0.01,
}

Sent = tuple[datetime, Message]


def deliver(world: World, draft: Draft) -> Iterator[Sent]:
    """What arrives of one draft: (moment of arrival, message), normally once."""
    dice = _Luck(draft.identity)
    sent_at, received_at = _times(draft, dice)
    yield received_at, _stamped(draft.message, sent_at, received_at)
    if dice.share() < DUPLICATE_SHARE:
        again = sent_at + timedelta(seconds=2 + 118 * dice.share())
        if dice.share() < 0.1:
            again += timedelta(hours=1 + 9 * dice.share())
        yield again + (received_at - sent_at), _stamped(draft.message, again, again + (received_at - sent_at))
    if draft.message["type"] == "track" and dice.share() < _fault_share(world, draft):
        copy = broken_copy(draft.message, Dice(draft.identity), is_release=_release(world, draft) is not None)
        yield received_at, _stamped(copy, sent_at, received_at)


class _Luck:
    """A few shares (0..1) out of the random bits of a UUID: far cheaper than seeding a generator per message."""

    def __init__(self, identity: uuid.UUID) -> None:
        self._bits = identity.int & ((1 << 62) - 1)

    def share(self) -> float:
        self._bits = (self._bits * 6364136223846793005 + 1442695040888963407) & ((1 << 64) - 1)
        return (self._bits >> 11) / (1 << 53)


def _times(draft: Draft, luck: _Luck) -> tuple[datetime, datetime]:
    seconds = _QUEUE_SECONDS[draft.source] * (0.4 + luck.share())
    is_late = luck.share() < LATE_SHARE and draft.source is not Source.SITE
    if is_late:  # a dead spot, a restart: clients retry for at most twelve hours
        seconds += 60 + 11 * 3600 * luck.share() ** 2
    seconds += float(draft.message["properties"].get("offline_queued_ms", 0)) / 1000
    sent_at = draft.at + timedelta(milliseconds=round(seconds * 1000))
    return sent_at, sent_at + timedelta(milliseconds=30 + round(320 * luck.share()))


def _stamped(message: Message, sent_at: datetime, received_at: datetime) -> Message:
    return {**message, "sentAt": rfc3339(sent_at), "receivedAt": rfc3339(received_at)}


def _release(world: World, draft: Draft) -> float | None:
    if draft.source is not Source.SCANNER:
        return None
    return world.effect(Plot.SCANNER_RELEASE, draft.at)


def _fault_share(world: World, draft: Draft) -> float:
    return _release(world, draft) or FAULT_SHARE
