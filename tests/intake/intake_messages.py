"""Valid messages for the tests of the way in: one shape, changed where a test says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson

TENANT = "brabant-rental"
OTHER_TENANT = "albion-stage"
MOMENT = "2026-01-15T09:30:00.250Z"

_SCAN = {
    "schema_version": 1,
    "tenant_id": TENANT,
    "project_id": "prj-1",
    "scan_id": "scan-1",
    "equipment_id": "eq-1",
    "warehouse_id": "wh-1",
    "device_id": "dev-1",
    "operator_ref": "op-1",
    "direction": "out",
    "from_status": "available",
    "to_status": "picked",
    "status_seq": 7,
    "scanned_at": MOMENT,
    "scan_source": "barcode",
}


def scan(message_id: str = "m-1", *, properties: dict[str, Any] | None = None, **envelope: Any) -> dict[str, Any]:
    """A `scan.completed`; a property or key given as `...` is left out."""
    message = {
        "type": "track",
        "event": "scan.completed",
        "messageId": message_id,
        "userId": "user-1",
        "anonymousId": None,
        "timestamp": MOMENT,
        "receivedAt": MOMENT,
        "context": {"library": {"name": "test", "version": "1"}},
        "integrations": {},
        "properties": _without(_SCAN | (properties or {})),
    }
    return _without(message | envelope)


def flow_step(message_id: str, moment: str, tenant: str = TENANT, **envelope: Any) -> dict[str, Any]:
    """A `ui.flow_step`, whose business time is the message's own time."""
    properties = {
        "schema_version": 1,
        "tenant_id": tenant,
        "flow": "booking",
        "step": "dates",
        "outcome": "completed",
        "flow_run_id": "run-1",
    }
    message = {
        "type": "track",
        "event": "ui.flow_step",
        "messageId": message_id,
        "timestamp": moment,
        "properties": properties,
    }
    return _without(message | envelope)


def lines(*messages: dict[str, Any]) -> bytes:
    """Messages as NDJSON."""
    return b"".join(orjson.dumps(message) + b"\n" for message in messages)


def write(path: Path, *messages: dict[str, Any]) -> Path:
    """Messages as a plain NDJSON file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(lines(*messages))
    return path


def _without(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not ...}
