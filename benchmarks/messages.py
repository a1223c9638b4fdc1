"""Messages as real producers send them, for the benchmarks: seeded, about 750 bytes each, over days and tenants.

A tenant has 500 users unless asked otherwise, each with an address of their own, and 200 projects.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import zstandard

from analytics_platform.catalog import Catalog

FIRST_DAY = datetime(2025, 1, 1, tzinfo=UTC)
USERS_OF_A_TENANT = 500
_DUPLICATES, _BROKEN, _LATE = 0.02, 0.01, 0.03
_DAY = timedelta(days=1)
_STATUSES = ("available", "reserved", "picked", "checked_out", "in_transit", "on_site", "returned", "in_inspection")
_LIBRARY = {"name": "analytics-python", "version": "2.4.0"}
_BROWSER = {
    "page": {"path": "/bookings/7", "title": "Bookings", "url": "https://app.rental.test/bookings/7"},
    "userAgent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36",
    "locale": "nl-NL",
    "library": {"name": "analytics.js", "version": "npm:next-1.84.3"},
}


def write_file(
    path: Path, catalog: Catalog, *, events: int, days: int, seed: int = 1, users: int = USERS_OF_A_TENANT
) -> None:
    """One zstd file in the order of time, with 1 % broken lines, 2 % repeated ones and 3 % a day late among them."""
    with path.open("wb") as file, zstandard.ZstdCompressor().stream_writer(file) as sink:
        for line in _lines(catalog, events, days, random.Random(seed), users):
            sink.write(line)


def _lines(catalog: Catalog, events: int, days: int, rng: random.Random, users: int) -> Iterator[bytes]:
    tenants = sorted(catalog.tenants)
    recent: list[bytes] = []
    for number in range(events):
        chance = rng.random()
        if chance < _BROKEN:
            yield b'{"type":"track","event":"scan.completed","properties":{\n'
        elif chance < _BROKEN + _DUPLICATES and recent:
            yield rng.choice(recent)
        else:
            moment = FIRST_DAY + timedelta(days=days * number / events)
            tenant, late_by = rng.choice(tenants), _DAY if rng.random() < _LATE else timedelta()
            said = message(rng, tenant, moment, late_by=late_by, users=users)
            line = orjson.dumps(said, option=orjson.OPT_APPEND_NEWLINE)
            recent = [*recent[-99:], line]
            yield line


def message(
    rng: random.Random,
    tenant: str,
    moment: datetime,
    *,
    late_by: timedelta = timedelta(),
    users: int = USERS_OF_A_TENANT,
) -> dict[str, object]:
    """A track call of a tenant, sent at a moment: mostly scans and requests, some steps of the browser's flows."""
    happened, user = moment - late_by, rng.randrange(users)
    event, own = rng.choice((_scan, _scan, _request, _flow))(rng, happened)
    common = {"schema_version": 1, "tenant_id": tenant, "project_id": f"prj-{rng.randrange(200)}"}
    return {
        "type": "track",
        "event": event,
        "messageId": _id(rng),
        "userId": f"user_{user}",
        "anonymousId": None,
        "timestamp": happened.isoformat(),
        "sentAt": (moment + timedelta(milliseconds=400)).isoformat(),
        "receivedAt": (moment + timedelta(milliseconds=470)).isoformat(),
        "integrations": {},
        "context": _BROWSER
        if event == "ui.flow_step"
        else {"library": _LIBRARY, "ip": f"198.51.{user // 250}.{user % 250}"},
        "properties": common | own,
    }


def _scan(rng: random.Random, moment: datetime) -> tuple[str, dict[str, object]]:
    return "scan.completed", {
        "scan_id": _id(rng),
        "equipment_id": f"eq-{rng.randrange(20_000)}",
        "warehouse_id": f"wh-{rng.randrange(6)}",
        "device_id": f"scanner-{rng.randrange(40)}",
        "operator_ref": f"op-{rng.randrange(60)}",
        "direction": rng.choice(("in", "out")),
        "from_status": rng.choice(_STATUSES),
        "to_status": rng.choice(_STATUSES),
        "status_seq": rng.randrange(5_000),
        "scanned_at": moment.isoformat(),
        "scan_source": "barcode",
        "booking_id": f"bk-{rng.randrange(4_000)}",
        "offline_queued_ms": rng.randrange(90_000),
    }


def _request(rng: random.Random, moment: datetime) -> tuple[str, dict[str, object]]:
    del moment
    return "http.request", {
        "request_id": _id(rng),
        "method": rng.choice(("GET", "POST")),
        "route": "/projects/{project_id}/bookings/{booking_id}",
        "status": rng.choice((200, 200, 200, 404, 500)),
        "duration_ms": round(rng.expovariate(0.02), 3),
        "trace_id": _id(rng),
    }


def _flow(rng: random.Random, moment: datetime) -> tuple[str, dict[str, object]]:
    del moment
    return "ui.flow_step", {
        "flow": "booking",
        "step": rng.choice(("dates", "equipment", "price", "confirm")),
        "outcome": rng.choice(("completed", "abandoned")),
        "flow_run_id": _id(rng),
        "duration_ms": rng.randrange(60_000),
    }


def _id(rng: random.Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))
