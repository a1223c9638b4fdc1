"""Real clients of every kind at work until they are told to end, and what they were told became of their events.

Segment's Python and Node clients, the FastAPI middleware, the scanner's queue and the transactional outbox, all as
producers install them. Those that keep nothing on disk may give up; what they gave up is known by id.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient
from segment.analytics.client import Client
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from analytics_platform.tracking.client import Failure, Tracker
from analytics_platform.tracking.middleware import AnalyticsMiddleware, Caller
from analytics_platform.tracking.models import InvoicePaid
from analytics_platform.tracking.outbox import OUTBOX_METADATA, OutboxRelay
from analytics_platform.tracking.scanner import ScanSession

TENANTS = ("brabant-rental", "albion-stage")
CLIENTS = Path(__file__).parents[1] / "clients"
NODE_BATCH = 15
DRAIN_SECONDS = 180.0
_EVERY_NTH_UNKNOWN = 25


@dataclass
class Told:
    """What clients were told.

    Attributes:
        sent: message ids by client that must be in the lake, but for those given up.
        refused: ids of events that the plan does not know; each must be a dead letter.
        given_up: ids that a client says it could not bring: they may be there or not.
        requests: events of the middleware, whose ids nobody is told.
    """

    sent: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    refused: set[str] = field(default_factory=set)
    given_up: set[str] = field(default_factory=set)
    requests: int = 0
    problems: list[str] = field(default_factory=list)


@contextmanager
def mixed_traffic(url: str, folder: Path, node: str | None) -> Iterator[Told]:
    """Run all clients against a collector; when the block has ended, they have brought or given up everything."""
    told, stop = Told(), threading.Event()
    folder.mkdir(parents=True, exist_ok=True)
    works: list[Callable[[], None]] = [
        lambda: _segment(url, told, stop),
        lambda: _middleware(url, told, stop),
        lambda: _scanner(url, folder, told, stop),
        lambda: _outbox(url, folder, told, stop),
    ]
    if node is not None:
        works.append(lambda: _node(node, url, told, stop))
    threads = [threading.Thread(target=_told_of, args=(work, told)) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield told
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def _told_of(work: Callable[[], None], told: Told) -> None:
    """A client that breaks is a finding, not a thread that ends unseen."""
    try:
        work()
    except Exception as error:  # noqa: BLE001 - told with the result
        told.problems.append(f"a client broke: {type(error).__name__}: {error}")


def _segment(url: str, told: Told, stop: threading.Event) -> None:
    def failed(_: Exception, batch: list[dict[str, Any]]) -> None:
        told.given_up.update(each["messageId"] for each in batch)

    clients = [Client(f"demo-{tenant}-server", host=url, upload_interval=0.2, on_error=failed) for tenant in TENANTS]
    number = 0
    while not stop.wait(0.1):
        number += 1
        tenant = number % len(TENANTS)
        is_unknown = number % _EVERY_NTH_UNKNOWN == 0
        properties = {
            "schema_version": 1,
            "tenant_id": TENANTS[tenant],
            "flow": "booking",
            "step": f"step-{number % 5}",
            "outcome": "completed",
            "flow_run_id": f"run-{number}",
        }
        event = "quote.requested" if is_unknown else "ui.flow_step"
        _, message = clients[tenant].track(f"user-{number}", event, properties)
        (told.refused if is_unknown else told.sent["segment"]).add(message["messageId"])
    for client in clients:
        client.flush()
        client.join()


def _middleware(url: str, told: Told, stop: threading.Event) -> None:
    def failed(failure: Failure) -> None:
        told.problems.append(f"the middleware gave {len(failure.message_ids)} up: {failure.reason}")

    tenants = {tenant: f"demo-{tenant}-server" for tenant in TENANTS}
    tracker = Tracker(url, tenants, upload_interval=0.2, on_failure=failed)
    app = FastAPI()
    app.add_api_route("/bookings/{name}", lambda name: name)
    app.add_middleware(AnalyticsMiddleware, tracker=tracker, identify=lambda _: Caller(TENANTS[0]))
    with TestClient(app) as client:
        while not stop.wait(0.2):
            assert client.get(f"/bookings/{told.requests}").status_code == 200
            told.requests += 1
    tracker.close(timeout=DRAIN_SECONDS)


def _scanner(url: str, folder: Path, told: Told, stop: threading.Event) -> None:
    common = {"tenant": TENANTS[0], "device_id": "d1", "operator_ref": "op-1", "warehouse_id": "w1"}
    key = f"demo-{TENANTS[0]}-scanner"
    with ScanSession(url, key, queue=folder / "scans.db", batch_size=10, **common) as session:
        number = 0
        while not stop.wait(0.3):
            number += 1
            scan = session.completed(f"e{number % 7}", from_status="picked", to_status="on_site", direction="out")
            told.sent["scanner"].add(scan.scan_id)
            if number % 5 == 0:
                session.flush()
        _until("scans wait", lambda: not session.flush().waiting)


def _outbox(url: str, folder: Path, told: Told, stop: threading.Event) -> None:
    engine = create_engine(f"sqlite:///{folder / 'application.db'}")
    OUTBOX_METADATA.create_all(engine)
    with ExitStack() as stack:
        stack.callback(engine.dispose)
        tracker = stack.enter_context(Tracker(url, {TENANTS[0]: f"demo-{TENANTS[0]}-server"}))
        relay = OutboxRelay(engine, tracker, batch_size=10, lease_seconds=2.0)
        number = 0
        while not stop.wait(0.4):
            number += 1
            paid = InvoicePaid(
                invoice_id=f"i{number}",
                payment_id=f"p{number}",
                amount_minor=100 + number,
                currency="EUR",
                paid_at=datetime.now(UTC),
                fully_paid=True,
            )
            with Session(engine) as session, session.begin():
                told.sent["outbox"].add(tracker.emit(paid, session=session))
            relay.run_once()
        _until("the outbox is not empty", lambda: not (relay.run_once(), relay.waiting())[1])


def _node(node: str, url: str, told: Told, stop: threading.Event) -> None:
    while not stop.wait(3):
        command = [node, str(CLIENTS / "send_node.mjs"), url, f"demo-{TENANTS[0]}-server", str(NODE_BATCH)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=DRAIN_SECONDS, check=True, cwd=CLIENTS)
        said = json.loads(done.stdout)
        told.sent["node"].update(said["sent"])
        if said["errors"]:
            told.given_up.update(said["sent"])


def _until(otherwise: str, holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DRAIN_SECONDS
    while not holds():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.3)
