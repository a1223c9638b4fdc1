"""The example application over real HTTP, in front of a real collector: what each route does and what it tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from analytics_platform.demo.app import create_app, create_tables
from analytics_platform.demo.app.domain import Booking
from analytics_platform.demo.live.servers import serving
from analytics_platform.intake.collector.service import RunningCollector
from analytics_platform.lake.dead_letters import lines_of
from analytics_platform.lake.store import LocalStore
from analytics_platform.settings import Settings
from analytics_platform.tracking.client import Tracker
from analytics_platform.tracking.outbox import OutboxEvent

_CUSTOMERS = 16
TENANT, OTHER = "delta-events", "albion-stage"
CURRENCIES = {TENANT: "EUR", OTHER: "GBP"}
KEYS = {tenant: f"demo-{tenant}-server" for tenant in CURRENCIES}


@dataclass
class Product:
    """The application as a tenant's staff reaches it."""

    client: httpx.Client
    tenant: str = TENANT

    def post(self, path: str, status: int, **body: Any) -> dict[str, Any]:
        headers = {"X-Tenant": self.tenant, "X-User": "usr_1"}
        done = self.client.post(path, json=body or None, headers=headers)
        assert done.status_code == status, done.text
        found: dict[str, Any] = done.json()
        return found

    def item(self, equipment_id: str) -> str:
        body = {"equipment_id": equipment_id, "sku": "spk-12", "category": "audio", "warehouse_id": "wh_1"}
        self.post("/equipment", 201, **body)
        return equipment_id

    def book(self, *equipment: str, status: int = 201) -> dict[str, Any]:
        days = {"rental_start": "2026-03-01", "rental_end": "2026-03-03"}
        body = {"customer_ref": "cus_1", "project_id": "prj_1", "equipment_ids": equipment, **days}
        return self.post("/bookings", status, **body)


def story(product: Product) -> None:
    """Everything that the application can do, and what it must refuse."""
    first, second = product.item("eq_1"), product.item("eq_2")
    product.post("/equipment", 409, equipment_id="eq_1", sku="a", category="a", warehouse_id="w")
    booking = product.book(first, second)
    assert booking["value_minor"] == 2 * 3 * 4_500
    product.book(first, status=409)
    invoice = product.post(f"/bookings/{booking['booking_id']}/invoices", 201)
    paid = f"/invoices/{invoice['invoice_id']}/payments"
    product.post(paid, 201, payment_id="bank_1", amount_minor=1_000)
    product.post(paid, 409, payment_id="bank_2", amount_minor=invoice["amount_minor"])
    rest = product.post(paid, 201, payment_id="bank_3", amount_minor=invoice["amount_minor"] - 1_000)
    assert rest["outstanding_minor"] == 0
    product.post("/equipment/eq_2/scans", 200, to_status="picked", status_seq=2)
    assert product.post("/equipment/eq_2/scans", 200, to_status="available", status_seq=1)["status"] == "picked"
    product.post(f"/bookings/{booking['booking_id']}/cancel", 409)
    other = product.book(product.item("eq_3"))
    product.post(f"/bookings/{other['booking_id']}/cancel", 200)
    assert Counter(_at_once(product, "eq_3")) == {201: 1, 409: _CUSTOMERS - 1}
    ticket = product.post("/tickets", 201, requester_ref="usr_2")["ticket_id"]
    for verb, status in (("resolve", 200), ("resolve", 409), ("reopen", 200), ("reopen", 409)):
        product.post(f"/tickets/{ticket}/{verb}", status)
    assert Product(product.client, OTHER).post(f"/tickets/{ticket}/resolve", 404)
    Product(product.client, "nobody").post("/tickets", 401, requester_ref="usr_2")
    assert product.client.get("/healthz").json() == {"healthy": True}


def _at_once(product: Product, item: str) -> list[int]:
    """The answers to customers who want the same item at the same moment."""
    days = {"rental_start": "2026-03-01", "rental_end": "2026-03-03"}
    body = {"customer_ref": "cus_1", "equipment_ids": [item], **days}

    def book(_: int) -> int:
        return product.client.post("/bookings", json=body, headers={"X-Tenant": product.tenant}).status_code

    with ThreadPoolExecutor(_CUSTOMERS) as pool:
        return list(pool.map(book, range(_CUSTOMERS)))


@dataclass
class Told:
    """What the platform was told."""

    engine: Engine
    landed: list[dict[str, Any]]
    dead: int

    def of(self, event: str) -> list[dict[str, Any]]:
        return [line["properties"] for line in self.landed if line["event"] == event]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    home: Path = tmp_path_factory.mktemp("product")
    settings = Settings(home=home / "platform")
    engine = create_tables(f"sqlite:///{home / 'application.db'}")
    collector = RunningCollector(settings, LocalStore(settings.lake_root))
    try:
        app = create_app(engine, Tracker(collector.url, KEYS, source="rentals"), CURRENCIES)
        with serving(app) as address, httpx.Client(base_url=address) as client:
            story(Product(client))
    finally:
        collector.stop()
    store = LocalStore(settings.lake_root)
    lines = [orjson.loads(line) for info in store.list("landing/") for line in lines_of(store.get(info.key))]
    yield Told(engine, lines, len(store.list("dead/")))
    engine.dispose()


def test_every_event_is_sound_and_all_of_them_have_landed(told: Told) -> None:
    assert told.dead == 0
    counts = Counter(line["event"] for line in told.landed)
    assert counts.pop("http.request") > 15
    assert counts == {
        "equipment.registered": 3,
        "booking.confirmed": 3,
        "equipment.status_changed": 5,
        "booking.cancelled": 1,
        "invoice.issued": 1,
        "invoice.paid": 2,
        "ticket.opened": 1,
        "ticket.resolved": 1,
        "ticket.reopened": 1,
    }
    assert {line["tenant_id"] for line in told.landed} == {TENANT, OTHER}
    assert {line["source"] for line in told.landed} == {"server"}


def test_money_events_agree_with_the_books(told: Told) -> None:
    (issued,) = told.of("invoice.issued")
    assert sum(paid["amount_minor"] for paid in told.of("invoice.paid")) == issued["amount_minor"]
    assert {paid["fully_paid"] for paid in told.of("invoice.paid")} == {False, True}
    assert (issued["booking_currency"], issued["currency"], issued["project_id"]) == ("EUR", "EUR", "prj_1")
    due_at, issued_at = (datetime.fromisoformat(issued[name]).astimezone(UTC) for name in ("due_at", "issued_at"))
    assert (due_at - issued_at).days == 30


def test_what_was_refused_left_neither_row_nor_event(told: Told) -> None:
    with Session(told.engine) as session:
        assert session.scalar(select(func.count()).select_from(Booking)) == len(told.of("booking.confirmed"))


def test_the_outbox_is_empty_when_the_application_has_ended(told: Told) -> None:
    with Session(told.engine) as session:
        rows = session.scalars(select(OutboxEvent)).all()
    assert len(rows) == 15
    assert all(row.sent_at is not None and row.set_aside_at is None for row in rows)


def test_each_item_tells_its_changes_in_their_order(told: Told) -> None:
    moves = [move for move in told.of("equipment.status_changed") if move["equipment_id"] == "eq_3"]
    in_order = sorted(moves, key=lambda move: move["status_seq"])
    assert [(move["from_status"], move["to_status"]) for move in in_order] == [
        ("available", "reserved"),
        ("reserved", "available"),
        ("available", "reserved"),
    ]
    assert [move["status_seq"] for move in in_order] == [1, 2, 3]


def test_requests_name_the_route_and_never_what_was_asked_for(told: Told) -> None:
    requests = told.of("http.request")
    routes = {request["route"] for request in requests}
    assert routes >= {"/bookings", "/bookings/{booking_id}/invoices", "/equipment/{equipment_id}/scans"}
    assert not any("bkg_" in route or "healthz" in route for route in routes)
    assert {request["status"] for request in requests} >= {200, 201, 404, 409}
    assert "nobody" not in {request["tenant_id"] for request in requests}
    assert {request.get("caller_ref") for request in requests} == {"usr_1", None}
