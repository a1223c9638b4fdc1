"""The tracker: what arrives is what was emitted, a wrong event raises at once, a fault of transport never does."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import jsonschema_rs
import pytest
from recording_server import RecordingServer

from analytics_platform.catalog import load_catalog
from analytics_platform.tracking.client import Failure, Tracker, UnknownTenantError
from analytics_platform.tracking.complaints import Complaints
from analytics_platform.tracking.event_model import WrongEventError
from analytics_platform.tracking.models import InvoicePaid, SubscriptionCancelled
from analytics_platform.tracking.plan import plan_schemas

NOW = datetime.now(UTC)


def paid(**more: object) -> InvoicePaid:
    said = {"invoice_id": "i1", "payment_id": "p1", "amount_minor": 1, "currency": "EUR", "fully_paid": True}
    return InvoicePaid(**{**said, "paid_at": NOW, **more})


def tracker(server: RecordingServer, **more: object) -> Tracker:
    return Tracker(server.address, {"t1": "key-1"}, upload_interval=0.05, **more)  # type: ignore[arg-type]


@pytest.fixture
def closed_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_what_arrives_is_what_was_emitted_under_the_id_that_was_returned(server: RecordingServer) -> None:
    with tracker(server, source="bookings") as sending:
        message_id = sending.emit(paid(), user_id="u1", project="p1")
    (message,) = server.taken

    assert (message["messageId"], message["event"], message["type"]) == (message_id, "invoice.paid", "track")
    assert (message["userId"], message["anonymousId"]) == ("u1", "bookings")
    assert message["properties"]["tenant_id"] == "t1"
    assert message["properties"]["project_id"] == "p1"
    schema = plan_schemas(load_catalog())["invoice.paid"]
    assert jsonschema_rs.Draft7Validator(schema, validate_formats=True).is_valid(message["properties"])


def test_each_tenant_sends_with_its_own_key(server: RecordingServer) -> None:
    with Tracker(server.address, {"t1": "key-1", "t2": "key-2"}, upload_interval=0.05) as sending:
        sending.emit(paid(), tenant="t1")
        sending.emit(paid(tenant_id="t2"))

    sent = {(key, message["properties"]["tenant_id"]) for key, batch in server.requests for message in batch}
    assert sent == {("key-1", "t1"), ("key-2", "t2")}


def test_tenants_and_keys_may_change_while_the_service_runs(server: RecordingServer) -> None:
    keys = {"t1": "old"}
    with Tracker(server.address, keys, upload_interval=0.05) as sending:
        sending.emit(paid(), tenant="t1")
        keys |= {"t1": "new", "t2": "other"}
        sending.emit(paid(), tenant="t1")
        sending.emit(paid(), tenant="t2")

    assert sorted(key for key, _ in server.requests) == ["new", "old", "other"]


def test_a_message_carries_the_events_own_time_where_the_collector_takes_it(server: RecordingServer) -> None:
    yesterday, long_ago, ahead = NOW - timedelta(days=1), NOW - timedelta(days=200), NOW + timedelta(days=30)
    cancelled = SubscriptionCancelled(
        subscription_id="s1", customer_ref="c1", mrr_lost_minor=1, currency="EUR", effective_at=ahead, voluntary=True
    )
    with tracker(server) as sending:
        for event in (paid(paid_at=yesterday), paid(paid_at=long_ago), cancelled):
            sending.emit(event)
    times = [datetime.fromisoformat(message["timestamp"]) for message in server.taken]

    assert abs(times[0] - yesterday) < timedelta(milliseconds=1)
    assert all(abs(time - datetime.now(UTC)) < timedelta(minutes=1) for time in times[1:])
    assert server.taken[1]["properties"]["paid_at"] == long_ago.isoformat()


@pytest.mark.parametrize("script", [[503], [429], ["cut"], ["lost"], [500, "cut", "ok"]])
def test_faults_of_transport_end_in_every_event_once(server: RecordingServer, script: list[str | int]) -> None:
    server.script, server.retry_after = script, 1
    with tracker(server) as sending:
        ids = [sending.emit(paid(payment_id=f"p{n}")) for n in range(3)]
        assert sending.flush()

    assert sorted(message["messageId"] for message in server.first_of_each()) == sorted(ids)
    assert (sending.counters.emitted, sending.counters.failed) == (3, 0)


def test_events_that_the_collector_refuses_are_told_and_raise_nothing(server: RecordingServer) -> None:
    failures: list[Failure] = []
    server.script = [401]
    with tracker(server, on_failure=failures.append) as sending:
        message_id = sending.emit(paid())

    assert [failure.message_ids for failure in failures] == [(message_id,)]
    assert sending.counters.failed == 1


def test_a_callback_that_fails_stops_nothing(server: RecordingServer) -> None:
    def broken(_: Failure) -> None:
        raise RuntimeError("broken")

    server.script = [401]
    with tracker(server, on_failure=broken) as sending:
        sending.emit(paid())
        assert sending.flush()
        second = sending.emit(paid())

    assert server.taken_ids == [second]


def test_with_nobody_there_emitting_goes_on_and_what_is_left_is_told(closed_port: str) -> None:
    failures: list[Failure] = []
    sending = Tracker(closed_port, {"t1": "k"}, upload_interval=0.05, max_waiting=2, on_failure=failures.append)
    ids = [sending.emit(paid())]
    time.sleep(0.2)  # until the first is on its way, and tried again
    ids += [sending.emit(paid()) for _ in range(20)]
    assert not sending.flush(timeout=0.2)
    sending.close(timeout=1.5)

    told = [each for failure in failures for each in failure.message_ids]
    assert set(told) <= set(ids)
    assert sending.counters.dropped > 0
    assert sending.counters.dropped + sending.counters.emitted == 21
    assert len(told) == sending.counters.dropped + sending.counters.failed


def test_an_event_without_a_known_tenant_raises_where_it_is_emitted(server: RecordingServer) -> None:
    with Tracker(server.address, {"t1": "key-1", "t2": "key-2"}) as sending:
        with pytest.raises(WrongEventError, match="tenant_id: is missing"):
            sending.emit(paid())
        with pytest.raises(UnknownTenantError, match="write_keys"):
            sending.emit(paid(), tenant="t3")


@pytest.mark.parametrize("ids", [{"message_id": "x" * 257}, {"user_id": "a\nb"}, {"anonymous_id": "\x00"}])
def test_an_id_that_the_wire_cannot_carry_raises_at_once(server: RecordingServer, ids: dict[str, str]) -> None:
    with tracker(server) as sending, pytest.raises(WrongEventError, match=next(iter(ids))):
        sending.emit(paid(), **ids)


def test_an_event_beyond_the_collectors_bound_raises_at_once(server: RecordingServer) -> None:
    event = paid(tenant_id="t1")
    with tracker(server) as sending, pytest.raises(WrongEventError, match="too large"):
        sending.emit(event.model_copy(update={"invoice_id": "x" * 40_000}))


def test_a_fault_that_comes_with_every_event_is_logged_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    sending = Tracker("http://127.0.0.1:9", {"t1": "k"})
    sending.close()
    for _ in range(50):
        sending.emit(paid())

    assert [record.message for record in caplog.records] == ["events were not sent: the tracker is closed"]
    assert sending.counters.dropped == 50


def test_what_was_only_counted_is_told_with_the_next_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    complaints = Complaints(logging.getLogger("test"), seconds=0.05)
    for _ in range(3):
        complaints.tell("it broke")
    time.sleep(0.1)
    complaints.tell("it broke")

    assert [record.message for record in caplog.records] == [
        "it broke",
        "it broke (and 2 times since the last such line)",
    ]


def test_after_closing_nothing_is_sent_and_that_is_told(server: RecordingServer) -> None:
    failures: list[Failure] = []
    sending = tracker(server, on_failure=failures.append)
    sending.close()
    sending.emit(paid())

    assert [failure.reason for failure in failures] == ["the tracker is closed"]
    assert (sending.counters.dropped, server.taken) == (1, [])


def test_a_forked_process_sends_its_own_events(server: RecordingServer) -> None:
    sending = tracker(server)
    first = sending.emit(paid())
    assert sending.flush()
    child = os.fork()
    if child == 0:
        sending.emit(paid(), message_id="from-the-child")
        os._exit(0 if sending.flush(timeout=5) else 1)
    assert os.waitpid(child, 0)[1] == 0
    sending.close()

    assert server.taken_ids == [first, "from-the-child"]


def test_producers_need_nothing_but_the_base_install() -> None:
    script = """
import re, sys
from importlib.metadata import distribution, packages_distributions
needed, waiting = set(), ["analytics-platform"]
while waiting:
    name = waiting.pop()
    if name not in needed:
        needed.add(name)
        wanted = [each for each in distribution(name).requires or [] if "extra ==" not in each and ";" not in each]
        waiting += [re.match("[A-Za-z0-9_.-]+", each)[0].lower().replace("_", "-") for each in wanted]
blocked = {
    package for package, owners in packages_distributions().items()
    if not any(owner.lower().replace("_", "-") in needed for owner in owners) and package[0] != "_"
}
assert {"sqlalchemy", "fastapi", "click", "orjson", "jsonschema_rs"} <= blocked
assert not {"pydantic", "requests", "segment"} & blocked
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in blocked:
            raise ModuleNotFoundError(f"blocked: {name}", name=name)
sys.meta_path.insert(0, Blocker())
import analytics_platform.tracking.client
import analytics_platform.tracking.generated
import analytics_platform.tracking.middleware
import analytics_platform.tracking.models
import analytics_platform.tracking.plan_diff
import analytics_platform.tracking.scanner
try:
    import analytics_platform.tracking.outbox
except ModuleNotFoundError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "blocked: sqlalchemy" in done.stdout
