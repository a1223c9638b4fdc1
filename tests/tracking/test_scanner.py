"""The scanner: no scan is lost, none arrives twice after de-duplication, and each item's scans keep their order."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recording_server import RecordingServer

from analytics_platform.catalog import load_catalog
from analytics_platform.tracking.delivery import DeliveryError, Message, Receipt
from analytics_platform.tracking.event_model import WrongEventError
from analytics_platform.tracking.plan import plan_schemas
from analytics_platform.tracking.scan_queue import ScanQueue, ScanQueueError
from analytics_platform.tracking.scanner import Deliver, ScanSession

SCHEMAS = plan_schemas(load_catalog())
VALIDATORS = {
    name: jsonschema_rs.Draft7Validator(SCHEMAS[name], validate_formats=True)
    for name in ("scan.completed", "scan.exception")
}


def session(host: str, queue: Path | ScanQueue, **more: Any) -> ScanSession:
    said = {"tenant": "t1", "device_id": "d1", "operator_ref": "op-1", "warehouse_id": "w1"} | more
    return ScanSession(host, "key-1", queue=queue, **said)


def scan(at: ScanSession, item: str, **more: Any) -> str:
    event = at.completed(item, from_status="picked", to_status="checked_out", direction="out", **more)
    return event.scan_id


def wait_for(taken: Sequence[Message], count: int, *, seconds: float) -> None:
    """Until so many messages have been taken, or the time is over."""
    deadline = time.monotonic() + seconds
    while len(taken) < count and time.monotonic() < deadline:
        time.sleep(0.02)


def assert_sound(messages: Sequence[Message]) -> None:
    """Every message passes the gate's schema, and each item's scans come in the order of their `status_seq`."""
    sequences: dict[str, list[int]] = defaultdict(list)
    for message in messages:
        properties = message["properties"]
        assert [error.message for error in VALIDATORS[message["event"]].iter_errors(properties)] == []
        if message["event"] == "scan.completed":
            sequences[properties["equipment_id"]].append(properties["status_seq"])
    for item, found in sequences.items():
        assert found == sorted(set(found)), item


def test_a_scan_arrives_as_the_plan_wants_it(server: RecordingServer, tmp_path: Path) -> None:
    with session(server.address, tmp_path / "q", project="show-1") as at:
        scan(at, "e1", booking_id="b1", transport_id=None)
        at.exception("damaged", resolved=False, equipment_id="e1", actual_status="on_site")
        report = at.flush()

    assert (report.sent, report.waiting, report.problem) == (2, 0, None)
    assert_sound(server.taken)
    done, odd = (message["properties"] for message in server.taken)
    assert (done["from_status"], done["to_status"], done["status_seq"]) == ("picked", "checked_out", 0)
    assert done["offline_queued_ms"] >= 0
    assert (odd["code"], odd["project_id"], odd["warehouse_id"]) == ("damaged", "show-1", "w1")
    assert [message["timestamp"] for message in server.taken] == [done["scanned_at"], odd["scanned_at"]]


def test_a_scan_may_be_of_another_project_than_its_session(tmp_path: Path) -> None:
    with session("http://127.0.0.1:9", tmp_path / "queue.sqlite", project="p1") as device:
        moved = {"from_status": "picked", "to_status": "checked_out", "direction": "out"}
        assert device.completed("e1", **moved).project_id == "p1"
        assert device.completed("e1", **moved, project_id="p2").project_id == "p2"
        assert device.exception("damaged", resolved=False, project_id="p3").project_id == "p3"


def test_offline_the_scans_wait_and_say_for_how_long(server: RecordingServer, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{free.getsockname()[1]}"
    with session(nowhere, tmp_path / "q") as offline:
        ids = [scan(offline, "e1") for _ in range(3)]
        assert (offline.flush().waiting, server.taken) == (3, [])
    time.sleep(0.3)
    with session(server.address, tmp_path / "q") as online:
        assert online.flush().sent == 3

    assert server.taken_ids == ids
    assert all(message["properties"]["offline_queued_ms"] >= 300 for message in server.taken)
    assert_sound(server.taken)


def test_what_may_have_arrived_is_sent_again_byte_for_byte(server: RecordingServer, tmp_path: Path) -> None:
    server.script = ["lost", 503]
    with session(server.address, tmp_path / "q") as at:
        scan(at, "e1")
        assert at.flush().problem is not None
        time.sleep(0.05)
    with session(server.address, tmp_path / "q") as later:
        assert later.flush().problem is not None
        assert later.flush().sent == 1

    assert len(server.taken) == 2
    assert len(server.first_of_each()) == 1


def test_a_scan_from_before_what_the_collector_takes_is_sent_with_the_time_of_sending(
    server: RecordingServer, tmp_path: Path
) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=90)
    with session(server.address, tmp_path / "q") as at:
        scan(at, "e1", scanned_at=long_ago)
        server.script = ["lost"]
        at.flush()
        at.flush()
    (message,) = server.first_of_each()

    assert abs(datetime.fromisoformat(message["timestamp"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert message["properties"]["scanned_at"] == long_ago.isoformat()


def test_a_queue_that_cannot_be_written_does_not_end_the_thread(
    server: RecordingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = [ScanQueueError("disk full")]
    flush = ScanSession.flush

    def failing_once(at: ScanSession) -> Any:
        if faults:
            raise faults.pop()
        return flush(at)

    monkeypatch.setattr(ScanSession, "flush", failing_once)
    with session(server.address, tmp_path / "q") as at:
        scan(at, "e1")
        at.start(idle_seconds=0.05)
        wait_for(server.taken, 1, seconds=5)

    assert len(server.taken) == 1


def test_the_order_goes_on_from_what_other_devices_did(server: RecordingServer, tmp_path: Path) -> None:
    with session(server.address, tmp_path / "q") as at:
        first = at.completed("e1", from_status="available", to_status="picked", direction="out", known_seq=41)
        second = at.completed("e1", from_status="picked", to_status="checked_out", direction="out", known_seq=7)
        other = at.completed("e2", from_status="available", to_status="picked", direction="out")

    assert (first.status_seq, second.status_seq, other.status_seq) == (42, 43, 0)


def test_a_wrong_scan_raises_at_once_and_uses_up_no_place_in_the_order(tmp_path: Path) -> None:
    with session("http://127.0.0.1:9", tmp_path / "q") as at:
        with pytest.raises(WrongEventError, match=r"scan\.completed: booking_id"):
            scan(at, "e1", booking_id="no id")
        with pytest.raises(WrongEventError, match=r"scan\.exception: code"):
            at.exception("lost", resolved=True)  # type: ignore[arg-type]
        event = at.completed("e1", from_status="picked", to_status="on_site", direction="out")

    assert event.status_seq == 0


def test_what_the_collector_never_takes_is_set_aside_and_the_rest_goes_on(
    server: RecordingServer, tmp_path: Path
) -> None:
    with session(server.address, tmp_path / "q") as at:
        ids = [scan(at, "e1") for _ in range(6)]
        server.refused_ids, server.rejected_ids = {ids[1]}, {ids[4]}
        report = at.flush()

    assert report.sent == 4
    assert set(report.set_aside) == {ids[1], ids[4]}
    assert "400" in report.set_aside[ids[1]]
    assert "schema_violation" in report.set_aside[ids[4]]
    assert [each for each in server.taken_ids if each not in server.rejected_ids] == [ids[0], ids[2], ids[3], ids[5]]
    queue = ScanQueue(tmp_path / "q")
    assert queue.counts() == (0, 2)
    assert [kept["message"]["messageId"] for kept in queue.set_aside()] == [ids[1], ids[4]]
    queue.close()


def test_the_background_thread_waits_as_long_as_it_was_asked(server: RecordingServer, tmp_path: Path) -> None:
    server.script, server.retry_after = [429], 1
    with session(server.address, tmp_path / "q") as at:
        at.start(idle_seconds=0.05)
        ids = [scan(at, "e1") for _ in range(20)]
        wait_for(server.taken, 20, seconds=10)

    assert server.taken_ids == ids
    assert len([batch for _, batch in server.requests if batch[0]["messageId"] == ids[0]]) == 2


def test_two_sessions_of_a_device_never_send_at_once(server: RecordingServer, tmp_path: Path) -> None:
    queue = ScanQueue(tmp_path / "q")
    one, two = session(server.address, queue, batch_size=1), session(server.address, tmp_path / "q", batch_size=1)
    for n in range(20):
        scan(one if n % 2 else two, "e1")
    with ThreadPoolExecutor(2) as pool:
        while queue.counts()[0]:
            list(pool.map(lambda each: each.flush(), (one, two)))
    two.close()
    queue.close()

    assert len(server.taken) == len(server.first_of_each()) == 20
    assert_sound(server.taken)


def test_a_file_that_is_no_queue_is_told_with_the_mend(tmp_path: Path) -> None:
    (tmp_path / "q").write_text("no database, but long enough to be looked at as one" * 100)

    with pytest.raises(ScanQueueError, match="name another file"):
        ScanQueue(tmp_path / "q")


class Fake:
    """A collector that fails as it is told: `ok`, `refused` (503), `unreached`, `lost` (taken, but not answered)."""

    def __init__(self) -> None:
        self.script: list[str] = []
        self.taken: list[Message] = []

    def __call__(self, host: str, write_key: str, messages: Sequence[Message]) -> Receipt:
        what = self.script.pop(0) if self.script else "ok"
        if what == "unreached":
            raise DeliveryError("no connection", reached=False)
        if what == "refused":
            raise DeliveryError("try later", status=503)
        self.taken += messages
        if what == "lost":
            raise DeliveryError("no answer")
        return Receipt()


def sessions_that_meet(folder: Path, one: Deliver, other: Deliver) -> tuple[ScanSession, ScanSession]:
    """Two sessions of a device with a scan that waits; the other one sends just after the first has looked."""
    first, second = session("h", folder / "q", deliver=one), session("h", folder / "q", deliver=other)
    scan(first, "e1")
    take_turn = first._queue.take_turn

    def late(owner: str, seconds: float) -> bool:
        first._queue.take_turn = take_turn  # type: ignore[method-assign]
        second.flush()
        return take_turn(owner, seconds)

    first._queue.take_turn = late  # type: ignore[method-assign]
    return first, second


def test_what_another_session_sent_meanwhile_is_not_sent_again(tmp_path: Path) -> None:
    mine, theirs = Fake(), Fake()
    first, second = sessions_that_meet(tmp_path, mine, theirs)
    with first, second:
        report = first.flush()

    assert (report.sent, report.waiting, report.problem) == (0, 0, None)
    assert (len(mine.taken), len(theirs.taken)) == (0, 1)


def test_what_another_session_may_have_delivered_meanwhile_stays_as_it_was_sent(tmp_path: Path) -> None:
    mine, theirs = Fake(), Fake()
    mine.script, theirs.script = ["unreached"], ["lost"]
    first, second = sessions_that_meet(tmp_path, mine, theirs)
    with first, second:
        assert first.flush().problem == "no connection"
        time.sleep(0.01)
        assert second.flush().sent == 1

    assert len(theirs.taken) == 2
    assert theirs.taken[0] == theirs.taken[1]


def test_a_session_whose_turn_ran_out_takes_nothing_back_that_another_sent(tmp_path: Path) -> None:
    theirs = Fake()
    theirs.script = ["lost"]
    second = session("h", tmp_path / "q", deliver=theirs)

    def unreached_after_its_turn(host: str, write_key: str, messages: Sequence[Message]) -> Receipt:
        time.sleep(0.02)
        assert second.flush().problem == "no answer"
        raise DeliveryError("no connection", reached=False)

    first = session("h", tmp_path / "q", deliver=unreached_after_its_turn, turn_seconds=0.01)
    with first, second:
        scan(first, "e1")
        assert first.flush().problem == "no connection"
        time.sleep(0.01)
        assert second.flush().sent == 1

    assert theirs.taken[0] == theirs.taken[1]


def test_scans_that_are_sent_one_at_a_time_are_each_sent_within_a_turn(tmp_path: Path) -> None:
    """Finding the refused among many takes longer than a turn, which another session then has."""
    collector, theirs = Fake(), Fake()
    second = session("h", tmp_path / "q", deliver=theirs)

    def refuses_batches(host: str, write_key: str, messages: Sequence[Message]) -> Receipt:
        if len(messages) == 1:
            return collector(host, write_key, messages)
        time.sleep(0.25)
        assert second._queue.take_turn(second._name, 1)
        raise DeliveryError("refused", status=400)

    first = session("h", tmp_path / "q", deliver=refuses_batches, turn_seconds=0.2)
    with first, second:
        for item in ("e1", "e2"):
            scan(first, item)
        assert first.flush().problem == "another session of this device is sending"
        assert collector.taken == []
        assert second.flush().sent == 2


def test_a_frozen_scan_that_is_gone_or_set_aside_is_left_out(tmp_path: Path) -> None:
    with session("h", tmp_path / "q") as at:
        for item in ("e1", "e2", "e3"):
            scan(at, item)
        gone, aside, there = at._queue.oldest(3)
        at._queue.remove([gone])
        at._queue.put_aside(aside, "refused")
        frozen = at._queue.freeze([gone, aside, there], lambda each: each.message)

    assert [(each.id, each.is_frozen) for each, _ in frozen] == [(there.id, False)]


def test_what_nobody_foresaw_is_logged_and_does_not_end_the_thread(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    collector, faults = Fake(), [LookupError("unforeseen")]

    def failing_once(host: str, write_key: str, messages: Sequence[Message]) -> Receipt:
        if faults:
            raise faults.pop()
        return collector(host, write_key, messages)

    with session("h", tmp_path / "q", deliver=failing_once) as at:
        scan(at, "e1")
        at.start(idle_seconds=0.05)
        wait_for(collector.taken, 1, seconds=5)

    assert len(collector.taken) == 1
    (logged,) = [record for record in caplog.records if record.exc_info]
    assert logged.exc_info is not None
    assert isinstance(logged.exc_info[1], LookupError)


actions = st.one_of(
    st.tuples(st.just("scan"), st.sampled_from(["e1", "e2", "e3"])),
    st.tuples(st.just("exception"), st.sampled_from(["e1", "e2"])),
    st.tuples(st.just("flush"), st.lists(st.sampled_from(["ok", "refused", "unreached", "lost"]), max_size=3)),
    st.tuples(st.just("crash"), st.none()),
)


@settings(max_examples=60, deadline=None)
@given(story=st.lists(actions, max_size=25), batch_size=st.integers(1, 4))
def test_whatever_fails_in_whatever_order_each_items_scans_arrive_once_and_in_order(
    story: list[tuple[str, Any]], batch_size: int
) -> None:
    collector, expected = Fake(), []
    with tempfile.TemporaryDirectory() as folder:
        queue = ScanQueue(Path(folder, "q"))
        at = session("h", queue, deliver=collector, batch_size=batch_size)
        for what, detail in story:
            if what == "scan":
                expected.append(scan(at, detail))
            elif what == "exception":
                expected.append(at.exception("damaged", resolved=True, equipment_id=detail).scan_id)
            elif what == "flush":
                collector.script = list(detail)
                at.flush()
            else:  # nothing is carried over but the file
                queue.close()
                queue = ScanQueue(Path(folder, "q"))
                at = session("h", queue, deliver=collector, batch_size=batch_size)
        collector.script = []
        assert at.flush().waiting == 0
        queue.close()
    kept: dict[str, Message] = {}
    for message in collector.taken:
        assert kept.setdefault(message["messageId"], message) == message

    assert list(kept) == expected
    assert_sound(list(kept.values()))


SCANNING = """
import sys
from pathlib import Path
from analytics_platform.tracking.scanner import ScanSession
at = ScanSession(sys.argv[1], "key-1", tenant="t1", queue=Path(sys.argv[2]), device_id="d1", operator_ref="op-1",
                 warehouse_id="w1", batch_size=2, turn_seconds=2)
at.start(idle_seconds=0.01)
while True:
    event = at.completed("e1", from_status="picked", to_status="checked_out", direction="out")
    print(event.scan_id, flush=True)
"""


@pytest.mark.integration
def test_a_killed_scanner_loses_no_scan_that_it_confirmed(server: RecordingServer, tmp_path: Path) -> None:
    confirmed: list[str] = []
    for pause in (0.01, 0.1, 0.3):
        process = subprocess.Popen(
            [sys.executable, "-c", SCANNING, server.address, str(tmp_path / "q")], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        confirmed.append(process.stdout.readline().strip())
        time.sleep(pause)
        os.kill(process.pid, signal.SIGKILL)
        confirmed += [line.strip() for line in process.stdout if len(line) == 37]
        process.wait()
    with session(server.address, tmp_path / "q") as at:
        deadline = time.monotonic() + 40  # the killed session's turn must run out
        while at.flush().waiting and time.monotonic() < deadline:
            time.sleep(0.2)
    arrived = server.first_of_each()

    assert len(confirmed) >= 3
    assert set(confirmed) <= {message["messageId"] for message in arrived}
    assert_sound(arrived)


def test_a_scan_is_dated_by_the_scanners_clock(server: RecordingServer, tmp_path: Path) -> None:
    at_noon = datetime(2026, 2, 1, 12, tzinfo=UTC)
    with session(server.address, tmp_path / "q") as at:
        scan(at, "e1", scanned_at=at_noon)
        at.flush()

    assert server.taken[0]["properties"]["scanned_at"] == "2026-02-01T12:00:00+00:00"
