"""What landed before, learned partition by partition as messages of it come: `seen`, with the lake behind it."""

from __future__ import annotations

from datetime import date, datetime

import orjson

from analytics_platform.intake.outcomes import Admitted
from analytics_platform.intake.seen import Seen, SeenMessages
from analytics_platform.lake.dead_letters import lines_of
from analytics_platform.lake.layout import landing_prefix
from analytics_platform.lake.store import ObjectStore


class LandedMessages:
    """The messages of the landing, and those that are about to land."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._seen = SeenMessages()
        self._remembered: set[tuple[date, str]] = set()

    def judge(self, message: Admitted) -> Seen:
        """Remember a message and say what it is beside those before it."""
        place = (message.day, message.tenant)
        if place not in self._remembered:
            self._remembered.add(place)
            self._remember(*place)
        return self._seen.judge(
            message.tenant, message.message_id, message.received_at, message.payload_hash, message.sent_at
        )

    def _remember(self, day: date, tenant: str) -> None:
        for info in self._store.list(landing_prefix(day, tenant)):
            for line in lines_of(self._store.get(info.key)):
                landed = orjson.loads(line)
                sent_at = landed["sent_at"]
                self._seen.judge(
                    tenant,
                    landed["message_id"],
                    datetime.fromisoformat(landed["received_at"]),
                    landed["payload_hash"],
                    None if sent_at is None else datetime.fromisoformat(sent_at),
                )
