"""A few events of two tenants whose KPIs can be worked out on paper, as files that `analytics import` takes.

Belongs here: the events. Stays out: what they amount to, which the tests say.
"""

from __future__ import annotations

import gzip
import json
from itertools import count
from pathlib import Path

FIRST, LAST = "2026-03-02", "2026-03-06"
DUTCH, BRITISH = "brabant-rental", "albion-stage"
_ids = count()


def track(event: str, at: str, tenant: str = DUTCH, **properties: object) -> dict[str, object]:
    return {
        "type": "track",
        "event": event,
        "messageId": f"e2e-{event}-{at}-{next(_ids)}",  # another process counts from the start again
        "userId": "usr_1",
        "timestamp": at,
        "properties": {"schema_version": 1, "tenant_id": tenant, "project_id": "prj_1", **properties},
    }


def subscription(at: str, number: int, mrr: int, tenant: str = DUTCH, currency: str = "EUR") -> dict[str, object]:
    return track(
        "subscription.started",
        at,
        tenant,
        subscription_id=f"sub_{number}",
        customer_ref=f"cus_{number}",
        plan="pro",
        mrr_minor=mrr,
        currency=currency,
        interval="month",
        started_at=at,
    )


def invoice(at: str, number: int, amount: int, due: str) -> dict[str, object]:
    return track(
        "invoice.issued",
        at,
        invoice_id=f"inv_{number}",
        booking_id=f"bkg_{number}",
        customer_ref="cus_1",
        amount_minor=amount,
        tax_minor=0,
        currency="EUR",
        issued_at=at,
        due_at=due,
    )


def paid(at: str, number: int, amount: int) -> dict[str, object]:
    return track(
        "invoice.paid",
        at,
        invoice_id=f"inv_{number}",
        payment_id=f"pay_{number}",
        amount_minor=amount,
        currency="EUR",
        paid_at=at,
        fully_paid=False,
    )


def equipment(at: str, number: int, status: str) -> dict[str, object]:
    return track(
        "equipment.registered",
        at,
        equipment_id=f"eq_{number}",
        sku="SPK-12",
        category="audio",
        status=status,
        home_warehouse_id="wh_1",
    )


def departure(number: int, planned: str, departed: str) -> list[dict[str, object]]:
    transport = {"transport_id": f"trp_{number}", "warehouse_id": "wh_1", "planned_departure_at": planned}
    return [
        track("transport.scheduled", planned, **transport, vehicle_ref="veh_1", direction="outbound"),
        track("transport.departed", departed, **transport, departed_at=departed, loaded_items=3, expected_items=3),
    ]


def answer_survey(at: str, number: int, score: int) -> dict[str, object]:
    return track(
        "nps.submitted",
        at,
        survey_id="srv_1",
        response_id=f"rsp_{number}",
        respondent_ref=f"rsp_{number}",
        score=score,
        submitted_at=at,
        touchpoint="after_rental",
    )


def ticket(opened: str, resolved: str) -> list[dict[str, object]]:
    common = {"ticket_id": "tck_1"}
    return [
        track(
            "ticket.opened",
            opened,
            **common,
            requester_ref="usr_2",
            priority="high",
            category="delivery",
            opened_at=opened,
            source="email",
        ),
        track(
            "ticket.resolved",
            resolved,
            **common,
            opened_at=opened,
            resolved_at=resolved,
            reopen_count=0,
            resolution="solved",
        ),
    ]


def lead(created: str, qualified: str, converted: str) -> list[dict[str, object]]:
    common = {"lead_id": "lead_1", "channel": "referral"}
    return [
        track("lead.created", created, **common, created_at=created),
        track("lead.qualified", qualified, **common, qualified_at=qualified, score=80, qualified_by="rule"),
        track("lead.converted", converted, **common, converted_at=converted, converted_to="subscription"),
    ]


def business() -> list[dict[str, object]]:
    return [
        subscription("2026-03-02T09:00:00+01:00", 1, 10_000),
        subscription("2026-03-04T09:00:00+01:00", 2, 5_000),
        # A quarter past midnight in Amsterdam is still the day before in London.
        subscription("2026-03-05T00:15:00+01:00", 3, 7_000, BRITISH, "GBP"),
        invoice("2026-03-02T10:00:00+01:00", 1, 20_000, "2026-03-03T23:00:00+01:00"),
        invoice("2026-03-02T10:00:00+01:00", 2, 30_000, "2026-03-05T12:00:00+01:00"),
        paid("2026-03-03T10:00:00+01:00", 1, 20_000),
        equipment("2026-03-02T08:00:00+01:00", 1, "on_site"),
        equipment("2026-03-02T08:00:00+01:00", 2, "available"),
        *departure(1, "2026-03-03T07:00:00+01:00", "2026-03-03T07:14:59+01:00"),
        *departure(2, "2026-03-03T08:00:00+01:00", "2026-03-03T08:15:00+01:00"),
        answer_survey("2026-03-03T12:00:00+01:00", 1, 10),
        answer_survey("2026-03-04T12:00:00+01:00", 2, 3),
        *ticket("2026-03-03T09:00:00+01:00", "2026-03-03T10:30:00+01:00"),
        *lead("2026-03-02T11:00:00+01:00", "2026-03-03T11:00:00+01:00", "2026-03-05T11:00:00+01:00"),
    ]


def write(path: Path, messages: list[dict[str, object]]) -> Path:
    path.write_bytes(gzip.compress(b"\n".join(json.dumps(message).encode() for message in messages)))
    return path
