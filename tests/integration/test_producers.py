"""Our own producers against the running collector, through faults: what was emitted is landed, once, none refused."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from clients.fault_proxy import Fault, fault_proxy
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from analytics_platform.lake.changes import landed_partitions
from analytics_platform.lake.raw import build_partitions, scan
from analytics_platform.lake.store import LocalStore
from analytics_platform.settings import child_environment
from analytics_platform.tracking.client import Tracker
from analytics_platform.tracking.middleware import AnalyticsMiddleware, Caller
from analytics_platform.tracking.models import InvoicePaid
from analytics_platform.tracking.outbox import OUTBOX_METADATA, OutboxEvent, OutboxRelay
from analytics_platform.tracking.scanner import ScanSession

pytestmark = pytest.mark.integration

TENANT = "brabant-rental"
SERVER_KEY, SCANNER_KEY = f"demo-{TENANT}-server", f"demo-{TENANT}-scanner"
FAULTS = [Fault(status=503, retry_after=1), Fault(cut_after=True), Fault(cut_before=True)]


@dataclass
class Collector:
    """A running collector and its deployment."""

    home: Path
    url: str
    process: subprocess.Popen[str]

    def landed(self, stream: str) -> Counter[str]:
        """Stop it, and count the message ids in raw."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0
        store = LocalStore(self.home / "lake")
        partitions = sorted(landed_partitions(store))
        build_partitions(store, streams=[stream], partitions=partitions)
        rows = scan(store, stream, partitions[0][0], partitions[-1][0]).read_all()
        return Counter(rows["message_id"].to_pylist())

    def dead_letters(self) -> list[Path]:
        return [path for path in (self.home / "lake" / "dead").rglob("*") if path.is_file()]


@contextmanager
def running_collector(home: Path) -> Iterator[Collector]:
    command = [sys.executable, "-m", "analytics_platform.cli", "collector", "--port", "0"]
    log = home.with_suffix(".log").open("w")
    environment = child_environment({"ANALYTICS_HOME": str(home)})
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        assert found, home.with_suffix(".log").read_text()
        yield Collector(home, found.group(), process)
    finally:
        process.kill()
        process.wait(10)
        log.close()


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    with running_collector(tmp_path / "home") as running:
        yield running


def paid(number: int) -> InvoicePaid:
    return InvoicePaid(
        invoice_id="i1",
        payment_id=f"p{number}",
        amount_minor=100,
        currency="EUR",
        paid_at=datetime.now(UTC),
        fully_paid=True,
    )


def test_each_request_of_an_application_is_landed_once(collector: Collector) -> None:
    with fault_proxy(collector.url, FAULTS) as proxy:
        tracker = Tracker(proxy.url, {TENANT: SERVER_KEY}, upload_interval=0.1)
        app = FastAPI()
        app.add_api_route("/bookings/{name}", lambda name: name)
        app.add_middleware(AnalyticsMiddleware, tracker=tracker, identify=lambda _: Caller(TENANT))
        with TestClient(app) as client:
            assert {client.get(f"/bookings/{n}").status_code for n in range(30)} == {200}
        tracker.close(timeout=30)

    landed = collector.landed("product")
    assert (len(landed), set(landed.values())) == (30, {1})
    assert collector.dead_letters() == []
    assert (tracker.counters.emitted, tracker.counters.failed) == (30, 0)


def test_each_event_of_an_outbox_is_landed_once_and_a_refused_one_is_set_aside(
    collector: Collector, tmp_path: Path
) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/app.db")
    OUTBOX_METADATA.create_all(engine)
    with fault_proxy(collector.url, FAULTS) as proxy, Tracker(proxy.url, {TENANT: SERVER_KEY}) as tracker:
        with Session(engine) as session, session.begin():
            ids = [tracker.emit(paid(n), session=session) for n in range(20)]
        with Session(engine) as session, session.begin():  # as an older version of the plan might have stored it
            session.get_one(OutboxEvent, 7).message = session.get_one(OutboxEvent, 7).message | {
                "event": "invoice.gone"
            }
        relay = OutboxRelay(engine, tracker, batch_size=6, lease_seconds=0.5)
        aside = {}
        deadline = time.monotonic() + 30
        while relay.waiting() and time.monotonic() < deadline:
            aside |= {each.message_id: each.reason for each in relay.run_once().set_aside}
            time.sleep(0.05)
    engine.dispose()

    assert aside == {ids[6]: "the collector keeps it as a dead letter: unknown_event"}
    assert collector.landed("billing") == Counter(ids) - Counter([ids[6]])


def test_each_scan_is_landed_once_in_the_order_of_its_item(collector: Collector, tmp_path: Path) -> None:
    common = {"tenant": TENANT, "device_id": "d1", "operator_ref": "op-1", "warehouse_id": "w1"}
    with fault_proxy(collector.url, FAULTS) as proxy:
        with ScanSession(proxy.url, SCANNER_KEY, queue=tmp_path / "scans", batch_size=4, **common) as scans:
            ids = [
                scans.completed(f"e{n % 3}", from_status="picked", to_status="on_site", direction="out").scan_id
                for n in range(12)
            ]
            deadline = time.monotonic() + 30
            while scans.flush().waiting and time.monotonic() < deadline:
                time.sleep(0.1)
        assert list(dict.fromkeys(proxy.passed_on)) == ids

    assert collector.landed("inventory") == Counter(ids)
    assert collector.dead_letters() == [], [json.loads(path.read_text()) for path in collector.dead_letters()]
