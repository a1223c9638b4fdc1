"""The outbox: an event exists if and only if its transaction commits, and then arrives, on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from postgres import postgres_server
from recording_server import RecordingServer
from sqlalchemy import Engine, create_engine, select, update
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from analytics_platform.tracking.client import Tracker, UnknownTenantError
from analytics_platform.tracking.event_model import WrongEventError
from analytics_platform.tracking.models import InvoicePaid
from analytics_platform.tracking.outbox import OUTBOX_METADATA, OutboxEvent, OutboxRelay, SetAside

NOW = datetime.now(UTC)


def paid(payment: str = "p1", **more: Any) -> InvoicePaid:
    said = {"invoice_id": "i1", "amount_minor": 1, "currency": "EUR", "paid_at": NOW, "fully_paid": True}
    return InvoicePaid(**{**said, "payment_id": payment, **more})


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    with postgres_server() as address:
        yield address


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    sqlite = request.param == "sqlite"
    made = create_engine(f"sqlite:///{tmp_path}/app.db" if sqlite else request.getfixturevalue("postgres"))
    OUTBOX_METADATA.drop_all(made)
    OUTBOX_METADATA.create_all(made)
    yield made
    made.dispose()


@pytest.fixture
def tracker(server: RecordingServer) -> Iterator[Tracker]:
    with Tracker(server.address, {"t1": "key-1", "t2": "key-2"}, upload_interval=0.02) as made:
        yield made


def emit(engine: Engine, tracker: Tracker, count: int, tenant: str = "t1") -> list[str]:
    with Session(engine) as session, session.begin():
        return [tracker.emit(paid(f"p{n}"), tenant=tenant, session=session) for n in range(count)]


def test_a_committed_event_is_sent_once_and_in_order(engine: Engine, tracker: Tracker, server: RecordingServer) -> None:
    ids = emit(engine, tracker, 5)
    relay = OutboxRelay(engine, tracker, batch_size=2)
    assert (relay.waiting(), server.taken) == (5, [])
    assert [relay.run_once().sent for _ in range(4)] == [2, 2, 1, 0]

    assert server.taken_ids == ids
    assert (relay.waiting(), tracker.counters.stored) == (0, 5)
    assert {key for key, _ in server.requests} == {"key-1"}


def test_a_rolled_back_event_never_was(engine: Engine, tracker: Tracker, server: RecordingServer) -> None:
    with Session(engine) as session:
        tracker.emit(paid(), tenant="t1", session=session)
        session.flush()
        session.rollback()
    assert OutboxRelay(engine, tracker).run_once().sent == 0

    assert server.taken == []


@pytest.mark.integration
def test_an_asynchronous_session_stores_as_well(postgres: str, tracker: Tracker, server: RecordingServer) -> None:
    engine = create_engine(postgres)
    OUTBOX_METADATA.drop_all(engine)
    OUTBOX_METADATA.create_all(engine)

    async def committed() -> str:
        asynchronous = create_async_engine(postgres)
        async with AsyncSession(asynchronous) as session, session.begin():
            message_id = tracker.emit(paid(), tenant="t1", session=session)
        await asynchronous.dispose()
        return message_id

    message_id = asyncio.run(committed())
    assert OutboxRelay(engine, tracker).run_once().sent == 1
    assert server.taken_ids == [message_id]
    engine.dispose()


def test_a_wrong_event_raises_before_it_is_stored(engine: Engine, tracker: Tracker) -> None:
    with Session(engine) as session, session.begin():
        with pytest.raises(UnknownTenantError):
            tracker.emit(paid(), tenant="t3", session=session)
        huge = paid(tenant_id="t1").model_copy(update={"invoice_id": "x" * 40_000})
        with pytest.raises(WrongEventError, match="too large"):
            tracker.emit(huge, session=session)

    assert OutboxRelay(engine, tracker).waiting() == 0


@pytest.mark.parametrize("fault", [503, 429, "cut", "lost", 401])
def test_after_a_fault_everything_arrives_in_order_under_the_same_ids(
    engine: Engine, tracker: Tracker, server: RecordingServer, fault: str | int
) -> None:
    ids = emit(engine, tracker, 3)
    server.script, server.retry_after = [fault], 1
    relay = OutboxRelay(engine, tracker)
    first = relay.run_once()
    assert (first.sent, first.postponed, len(first.problems)) == (0, 3, 1)
    assert relay.run_once().sent == 0  # the pause lasts
    deadline = time.monotonic() + 5
    while relay.waiting() and time.monotonic() < deadline:
        relay.run_once()
        time.sleep(0.05)

    assert [message["messageId"] for message in server.first_of_each()] == ids


def test_retry_after_is_waited_out(engine: Engine, tracker: Tracker, server: RecordingServer) -> None:
    emit(engine, tracker, 1)
    server.script, server.retry_after = [429], 300
    relay = OutboxRelay(engine, tracker)
    relay.run_once()
    time.sleep(0.7)

    assert (relay.run_once().sent, len(server.requests)) == (0, 1)


def test_one_tenants_trouble_does_not_hold_up_another(
    engine: Engine, tracker: Tracker, server: RecordingServer
) -> None:
    emit(engine, tracker, 2, "t1")
    ids = emit(engine, tracker, 2, "t2")
    server.script = [503]
    report = OutboxRelay(engine, tracker).run_once()

    assert (report.postponed, report.sent, server.taken_ids) == (2, 2, ids)


def test_a_tenant_whose_key_is_gone_waits_and_that_is_told(engine: Engine, server: RecordingServer) -> None:
    with Tracker(server.address, {"t1": "k"}) as before:
        emit(engine, before, 1)
    with Tracker(server.address, {"t2": "k"}) as after:
        relay = OutboxRelay(engine, after)
        assert "write_keys" in relay.run_once().problems[0]
        assert relay.waiting() == 1


def test_what_the_collector_never_takes_is_set_aside_and_the_rest_arrives(
    engine: Engine, tracker: Tracker, server: RecordingServer
) -> None:
    told: list[SetAside] = []
    ids = emit(engine, tracker, 8)
    server.refused_ids, server.rejected_ids = {ids[3]}, {ids[6]}

    def tell(aside: SetAside) -> None:
        told.append(aside)
        raise RuntimeError("the callback fails")

    relay = OutboxRelay(engine, tracker, on_set_aside=tell)
    report = relay.run_once()

    assert (report.sent, relay.waiting()) == (6, 0)
    assert {each.message_id for each in told} == {ids[3], ids[6]}
    assert {each.message_id: each.reason for each in report.set_aside}[ids[6]].endswith("schema_violation")
    assert ids[3] not in server.taken_ids
    with Session(engine) as session:
        aside = session.scalars(select(OutboxEvent.reason).where(OutboxEvent.set_aside_at.is_not(None))).all()
    assert len(aside) == 2


def test_two_relays_at_once_send_each_event_once(engine: Engine, tracker: Tracker, server: RecordingServer) -> None:
    ids = emit(engine, tracker, 60)
    relays = [OutboxRelay(engine, tracker, batch_size=5) for _ in range(2)]

    def drain(relay: OutboxRelay) -> None:
        while relay.run_once().sent:
            pass

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(drain, relays))

    assert sorted(server.taken_ids) == sorted(ids)


def test_a_relay_that_died_after_sending_leaves_a_duplicate_of_the_same_message_at_most(
    engine: Engine, tracker: Tracker, server: RecordingServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = emit(engine, tracker, 3)
    dying = OutboxRelay(engine, tracker, lease_seconds=0.2)
    with monkeypatch.context() as patched:
        patched.setattr(OutboxRelay, "_update", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            dying.run_once()
    heir = OutboxRelay(engine, tracker)
    assert heir.run_once().sent == 0  # the lease lasts
    time.sleep(0.3)
    assert heir.run_once().sent == 3

    assert len(server.taken) == 6
    assert [message["messageId"] for message in server.first_of_each()] == ids


def test_sent_rows_are_purged_after_a_while_and_others_never(
    engine: Engine, tracker: Tracker, server: RecordingServer
) -> None:
    ids = emit(engine, tracker, 3)
    server.refused_ids = {ids[2]}
    relay = OutboxRelay(engine, tracker, keep_sent=timedelta(days=1))
    relay.run_once()
    assert relay.purge() == 0
    long_ago = {"sent_at": NOW - timedelta(days=2)}
    with Session(engine) as session, session.begin():
        session.execute(update(OutboxEvent).where(OutboxEvent.message_id == ids[0]).values(**long_ago))
    emit(engine, tracker, 1)

    assert relay.purge() == 1
    assert relay.waiting() == 1


def test_run_forever_sends_what_comes_and_stops_when_told(
    engine: Engine, tracker: Tracker, server: RecordingServer
) -> None:
    stop = threading.Event()
    relay = OutboxRelay(engine, tracker)
    thread = threading.Thread(target=relay.run_forever, args=(stop,), kwargs={"idle_seconds": 0.02})
    thread.start()
    ids = emit(engine, tracker, 3)
    deadline = time.monotonic() + 5
    while len(server.taken) < 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    stop.set()
    thread.join()

    assert server.taken_ids == ids


COMMITS = """
import sys, time
from datetime import UTC, datetime
from sqlalchemy import create_engine
from sqlalchemy.orm import Session
from analytics_platform.tracking.client import Tracker
from analytics_platform.tracking.models import InvoicePaid
engine = create_engine(sys.argv[1])
tracker = Tracker("http://127.0.0.1:9", {"t1": "key-1"})
def emit(session):
    return tracker.emit(InvoicePaid(invoice_id="i1", payment_id="p1", amount_minor=1, currency="EUR",
                                    paid_at=datetime.now(UTC), fully_paid=True), session=session)
with Session(engine) as session, session.begin():
    committed = emit(session)
unfinished = Session(engine)
emit(unfinished)
unfinished.flush()
print(committed, flush=True)
time.sleep(60)
"""


@pytest.mark.integration
def test_a_process_killed_after_its_commit_loses_nothing_and_before_it_leaves_nothing(
    engine: Engine, tracker: Tracker, server: RecordingServer
) -> None:
    address = engine.url.render_as_string(hide_password=False)
    process = subprocess.Popen([sys.executable, "-c", COMMITS, address], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    committed = process.stdout.readline().strip()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    server.script = ["lost"]
    relay = OutboxRelay(engine, tracker, lease_seconds=0.1)
    deadline = time.monotonic() + 10
    while relay.waiting() and time.monotonic() < deadline:
        relay.run_once()
        time.sleep(0.05)

    assert [message["messageId"] for message in server.first_of_each()] == [committed]
    assert len(server.taken) == 2


def test_the_table_goes_into_the_applications_own_metadata() -> None:
    from sqlalchemy import MetaData

    own = MetaData()
    copied = OutboxEvent.__table__.to_metadata(own)  # type: ignore[attr-defined]

    assert list(own.tables) == ["analytics_outbox"]
    assert {index.name for index in copied.indexes} == {"ix_analytics_outbox_waiting"}
