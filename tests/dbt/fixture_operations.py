"""Facts of a few items and transports for tests with many examples.

Belongs here: the strategies that draw them. Stays out: what they amount to (`reference_operations`), assertions.
"""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from fixture import Message, message
from hypothesis import strategies as st

EPOCH = date(2026, 3, 27)
"""First day of drawn facts: the Friday before the clocks of Amsterdam and London change."""
LENGTH = 6

STATUSES = ("available", "checked_out", "on_site", "in_repair", "in_inspection", "lost", "returned")
EQUIPMENT_EVENTS = ("equipment.registered", "equipment.status_changed", "scan.completed", "scan.exception")


def identified(messages: Iterable[Message]) -> list[Message]:
    """Return the messages with ids that do not depend on their place in a list."""
    return [replace(each, message_id=f"m{number:05d}") for number, each in enumerate(messages)]


def moments(step_minutes: int = 90) -> st.SearchStrategy[str]:
    """Draw RFC 3339 times on a coarse grid, so that ties and midnights are common."""
    start = datetime.combine(EPOCH, datetime.min.time(), UTC) - timedelta(hours=2)
    steps = LENGTH * 24 * 60 // step_minutes
    return st.integers(0, steps).map(lambda n: (start + timedelta(minutes=n * step_minutes)).isoformat())


@st.composite
def equipment_fact(draw: st.DrawFn) -> Message:
    """Draw one fact of one of a few items."""
    event = draw(st.sampled_from(EQUIPMENT_EVENTS))
    status = draw(st.sampled_from(STATUSES))
    extra: dict[str, Any]
    own = {"tenant": draw(st.sampled_from(("t1", "gb"))), "equipment_id": draw(st.sampled_from(("e1", "e2")))}
    if event == "equipment.registered":
        extra = {
            "sku": "s",
            "category": draw(st.sampled_from(("light", "sound"))),
            "status": status,
            "home_warehouse_id": draw(st.sampled_from(("w1", "w2"))),
            **draw(
                st.sampled_from(({}, {"acquisition_cost_minor": 100}, {"acquisition_cost_minor": 7, "currency": "GBP"}))
            ),
        }
    elif event == "scan.exception":
        code = draw(st.sampled_from(("damaged", "status_conflict", "duplicate_scan")))
        extra = {"code": code, "resolved": False, **draw(st.sampled_from(({}, {"to_status": status})))}
    else:
        extra = {"from_status": "available", "to_status": status, "status_seq": draw(st.integers(0, 2))}
    return message(event, draw(moments()), **own, **extra)


@st.composite
def equipment_facts(draw: st.DrawFn) -> list[Message]:
    """Draw facts of a few items in two time zones: repeated, late, conflicting, before registration."""
    registered = [
        message(
            "equipment.registered",
            f"{EPOCH}T00:00:00Z",
            tenant=tenant,
            equipment_id="e1",
            sku="s",
            category="light",
            status="available",
            home_warehouse_id="w1",
            acquisition_cost_minor=40,
        )
        for tenant in ("t1", "gb")
    ]
    facts = draw(st.lists(equipment_fact(), min_size=1, max_size=25))
    return identified(registered + facts)


@st.composite
def transport_facts(draw: st.DrawFn) -> list[Message]:
    """Draw plans, moved plans, departures around the thresholds, and cancellations."""
    facts: list[Message] = []
    for number in range(draw(st.integers(1, 6))):
        own = {"tenant": draw(st.sampled_from(("t1", "gb"))), "transport_id": f"x{number}"}
        plans = draw(st.lists(moments(), min_size=0, max_size=3))
        facts += [draw(_schedule(plan, own)) for plan in plans]
        told = draw(st.sampled_from(plans) if plans else moments())
        facts += draw(st.lists(_end("transport.departed", told, own), max_size=2))
        facts += draw(st.lists(_end("transport.cancelled", told, own), max_size=1))
    return identified(facts)


@st.composite
def _schedule(draw: st.DrawFn, plan: str, own: dict[str, str]) -> Message:
    """Draw when a plan was made, mostly before it."""
    made = datetime.fromisoformat(plan) - timedelta(hours=draw(st.sampled_from((-30, -3, 0, 3, 30, 60))))
    warehouse = draw(st.sampled_from(("w1", "w2")))
    details = {"planned_departure_at": plan, "vehicle_ref": "v", "direction": "outbound"}
    return message("transport.scheduled", made.isoformat(), warehouse_id=warehouse, **details, **own)


@st.composite
def _end(draw: st.DrawFn, event: str, plan: str, own: dict[str, str]) -> Message:
    """Draw a departure or cancellation around the thresholds."""
    late = draw(st.sampled_from((-90, -1, 0, 14, 14.999, 15, 600, 1439, 1440, 1441, 3000)))
    at = datetime.fromisoformat(plan) + timedelta(minutes=late)
    departed = {"warehouse_id": "w3", "loaded_items": 1, "expected_items": 1}
    details = departed if event == "transport.departed" else {"reason": "r"}
    return message(event, at.isoformat(), planned_departure_at=plan, **details, **own)
