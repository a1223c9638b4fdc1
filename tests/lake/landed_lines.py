"""Landing objects for the tests of the lake, put without the way in."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from analytics_platform.lake.dead_letters import compressed
from analytics_platform.lake.layout import digest, landing_key
from analytics_platform.lake.schema import landing_line
from analytics_platform.lake.store import ObjectStore

DAY = date(2026, 1, 15)
TENANT = "brabant-rental"
STREAMS = ("billing", "inventory", "product")
HOUR = datetime(2026, 1, 15, 10, tzinfo=UTC)


def line(message_id: str, **changes: Any) -> bytes:
    """A landing line."""
    values: dict[str, Any] = {
        "day": DAY,
        "tenant_id": TENANT,
        "stream": "product",
        "message_id": message_id,
        "type": "track",
        "event": "ui.flow_step",
        "schema_version": 1,
        "project_id": None,
        "user_id": "user-1",
        "anonymous_id": None,
        "event_at": HOUR,
        "occurred_at": HOUR,
        "original_timestamp": HOUR,
        "sent_at": None,
        "received_at": HOUR,
        "source": "server",
        "payload_hash": "00000000000000aa",
        "properties": {"flow": "é😀 \u0000 ' \" \\", "big": 12345678901234567, "exact": 1.1},
        "context": None,
        "traits": None,
        "extra": {},
        "identifiers": None,
    }
    return landing_line(values | changes)


def land(store: ObjectStore, *lines: bytes, day: date = DAY, tenant: str = TENANT) -> str:
    """Put lines as one landing object and return its key."""
    data = b"".join(lines)
    key = landing_key(day, tenant, HOUR, "test", digest(data))
    store.put(key, compressed(data), if_none_match=True)
    return key
