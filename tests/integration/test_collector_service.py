"""The collector as a process: its start, its refusals to start, what the wire does to it, and its end."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil
import pytest

from analytics_platform.intake.collector.probe import StoreProbeError
from analytics_platform.intake.collector.service import RunningCollector
from analytics_platform.lake.dead_letters import lines_of
from analytics_platform.lake.store import LocalStore
from analytics_platform.settings import Settings

pytestmark = pytest.mark.integration

TENANT, KEY = "brabant-rental", "demo-brabant-rental-server"
SUCCESS = b'{"success":true}'
MAX_GROWTH_BYTES = 160 * 1024 * 1024


@dataclass
class Process:
    """A collector that was started by the command line."""

    home: Path
    url: str
    process: subprocess.Popen[bytes]
    errors: Path

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.url.removeprefix("http://").split(":")
        return host, int(port)

    def post(self, body: bytes, path: str = "/v1/batch", **headers: str) -> httpx.Response:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.post(f"{self.url}{path}", content=body, headers=sent, timeout=60, auth=(KEY, ""))

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def landed(self) -> list[dict[str, Any]]:
        store = LocalStore(self.home / "lake")
        return [orjson.loads(line) for info in store.list("landing/") for line in lines_of(store.get(info.key))]


def command(home: Path, *arguments: str) -> dict[str, Any]:
    return {
        "args": [sys.executable, "-m", "analytics_platform.cli", "collector", *arguments],
        "env": {**os.environ, "ANALYTICS_HOME": str(home)},
    }


@contextmanager
def started(home: Path) -> Iterator[Process]:
    home.mkdir(exist_ok=True)
    errors = home / "stderr"
    with errors.open("wb") as file:
        process = subprocess.Popen(**command(home, "--port", "0"), stdout=subprocess.PIPE, stderr=file)
    try:
        assert process.stdout is not None
        told = re.search(rb"http://127\.0\.0\.1:\d+", process.stdout.readline())
        assert told is not None, errors.read_text()
        yield Process(home, told.group().decode(), process, errors)
    finally:
        process.kill()
        process.wait(10)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    """One collector for the tests that leave it as it was."""
    with started(tmp_path_factory.mktemp("collector") / "home") as found:
        yield found


def body_of(*ids: str) -> bytes:
    return orjson.dumps({"batch": [{"type": "page", "messageId": each} for each in ids]})


def head_of(path: str, *more: str) -> bytes:
    key = base64.b64encode(f"{KEY}:".encode()).decode()
    lines = [f"POST {path} HTTP/1.1", "Host: collector", f"Authorization: Basic {key}", *more]
    return "\r\n".join([*lines, "", ""]).encode()


def test_what_was_acknowledged_is_in_the_lake_when_it_has_stopped(tmp_path: Path) -> None:
    with started(tmp_path / "home") as collector:
        assert httpx.get(f"{collector.url}/readyz").json() == {"status": "ready"}
        answers = [collector.post(body_of(f"m-{number}")) for number in range(5)]

        assert {answer.content for answer in answers} == {SUCCESS}
        assert collector.stop() == 0
        assert sorted(line["message_id"] for line in collector.landed()) == [f"m-{number}" for number in range(5)]


def test_more_connections_than_there_are_files_for_keep_no_event_from_the_disk(tmp_path: Path) -> None:
    with started(tmp_path / "home") as collector:
        psutil.Process(collector.process.pid).rlimit(psutil.RLIMIT_NOFILE, (200, 200))
        with httpx.Client(base_url=collector.url, auth=(KEY, "")) as client, ExitStack() as connections:
            client.get("/healthz")  # connected before the others; the spool begins its file with the first event
            for _ in range(300):
                connections.enter_context(socket.create_connection(collector.address, timeout=20))
            answers = [client.post("/v1/batch", content=body_of(f"m-{number}")) for number in range(3)]
            assert {answer.content for answer in answers} == {SUCCESS}
            with pytest.raises((httpx.HTTPStatusError, httpx.TransportError)):
                collector.post(body_of("m-3")).raise_for_status()
        assert collector.stop() == 0
        assert sorted(line["message_id"] for line in collector.landed()) == [f"m-{number}" for number in range(3)]


def test_logs_are_json_lines_with_names_and_counts_and_nothing_that_was_sent(tmp_path: Path) -> None:
    with started(tmp_path / "home") as collector:
        collector.post(body_of("secret-id"), "/v1/batch?api_key=secret-query")
        httpx.get(f"{collector.url}/v1/secret-path?token=secret-query")
        collector.stop()
        text = collector.errors.read_text()

    lines = [json.loads(line) for line in text.splitlines()]
    request = next(line for line in lines if line["event"] == "request")
    assert {name: request[name] for name in ("route", "status", "tenant", "key", "events", "dead_letters")} == {
        "route": "/v1/batch",
        "status": 200,
        "tenant": TENANT,
        "key": "server",
        "events": 1,
        "dead_letters": 0,
    }
    assert request["request_id"]
    assert request["ms"] > 0
    assert "secret" not in text
    assert KEY not in text


def test_a_body_in_chunks_is_taken_in(running: Process) -> None:
    def parts() -> Iterator[bytes]:
        for byte in body_of("chunked"):
            yield bytes([byte])

    answer = httpx.post(f"{running.url}/v1/batch", content=parts(), auth=(KEY, ""))
    assert answer.content == SUCCESS


def test_a_client_that_leaves_in_the_middle_harms_nobody(running: Process) -> None:
    for sent in (b"", b'{"batch":['):
        with socket.create_connection(running.address) as connection:
            connection.sendall(head_of("/v1/batch", "Content-Length: 100") + sent)
    assert running.post(body_of("after")).content == SUCCESS
    assert "Traceback" not in running.errors.read_text()


def test_several_requests_on_one_connection_are_answered_in_order(running: Process) -> None:
    body = body_of("pipelined")
    request = head_of("/v1/batch", f"Content-Length: {len(body)}") + body
    with socket.create_connection(running.address) as connection:
        connection.settimeout(30)
        connection.sendall(request * 3)
        received = b""
        while received.count(SUCCESS) < 3:
            received += connection.recv(65_536)
    assert received.count(b"HTTP/1.1 200 OK") == 3


def bombs() -> dict[str, tuple[bytes, dict[str, str], set[int]]]:
    inflated = {"content_encoding": "gzip"}
    deep = b'{"batch":[' + b'{"a":' * 400_000 + b"1" + b"}" * 400_000 + b"]}"
    return {
        "gzip of a gigabyte": (gzip.compress(b"0" * 1_000_000_000, 1)[: 4 * 1024 * 1024], inflated, {413}),
        "ten megabytes of text": (b'{"batch":[{"a":"' + b"x" * 10_000_000 + b'"}]}', {}, {413}),
        "the same as gzip": (gzip.compress(b'{"batch":[{"a":"' + b"x" * 10_000_000 + b'"}]}'), inflated, {413}),
        "deep nesting": (deep, {}, {200}),
        "four megabytes in one message": (b'{"batch":[{"a":"' + b"x" * 4_000_000 + b'"}]}', {}, {200}),
        "a million messages": (b'{"batch":[' + b"1," * 1_000_000 + b"1]}", {}, {413}),
        "as many messages as allowed": (b'{"batch":[' + b"1," * 9_999 + b"1]}", {}, {200, 429}),
        "many duplicate names": (b'{"batch":[{' + b'"a":1,' * 500_000 + b'"a":1}]}', {}, {200}),
        "no end": (b'{"batch":[' + b"[" * 4_000_000, {}, {400}),
    }


def test_bombs_are_answered_and_memory_stays_bounded(tmp_path: Path) -> None:
    with started(tmp_path / "home") as collector:
        collector.post(body_of("warm"))
        process = psutil.Process(collector.process.pid)
        before = process.memory_info().rss
        for name, (body, headers, expected) in bombs().items():
            assert collector.post(body, **headers).status_code in expected, name
        assert process.memory_info().rss - before < MAX_GROWTH_BYTES
        assert collector.post(body_of("after"), "/v1/page").status_code in (200, 429)
        assert httpx.get(f"{collector.url}/healthz").status_code == 200


def test_a_second_collector_of_the_same_home_says_why_it_does_not_start(running: Process) -> None:
    done = subprocess.run(
        **command(running.home, "--port", "0"), capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 1
    assert "is the spool of another running collector" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_that_is_taken_is_told_with_the_mend(running: Process, tmp_path: Path) -> None:
    port = str(running.address[1])
    done = subprocess.run(**command(tmp_path, "--port", port), capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert f"127.0.0.1:{port} cannot be listened on" in done.stderr
    assert "--port" in done.stderr


class CarelessStore(LocalStore):
    """A store that takes `If-None-Match` and ignores it."""

    def put(self, key: str, data: bytes, *, if_none_match: bool = False) -> None:
        super().put(key, data)


def test_a_store_that_ignores_conditions_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(StoreProbeError, match="conditional put"):
        RunningCollector(Settings(home=tmp_path), CarelessStore(tmp_path / "lake"))


def test_a_full_spool_is_told_to_senders_and_to_who_asks_whether_it_is_ready(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, collector_min_free_bytes=2**60)
    collector = RunningCollector(settings, LocalStore(settings.lake_root))
    try:
        answer = httpx.post(f"{collector.url}/v1/batch", content=body_of("m"), auth=(KEY, ""))
        ready = httpx.get(f"{collector.url}/readyz")
    finally:
        collector.stop()

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert ready.status_code == 503
    assert "bytes are free" in ready.json()["message"]


def test_requests_under_way_are_answered_when_it_is_told_to_stop(tmp_path: Path) -> None:
    body = body_of("late")
    with started(tmp_path / "home") as collector, socket.create_connection(collector.address) as connection:
        connection.settimeout(30)
        connection.sendall(head_of("/v1/batch", f"Content-Length: {len(body)}", "Expect: 100-continue"))
        assert b"100 Continue" in connection.recv(1_000)
        collector.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        connection.sendall(body)

        assert SUCCESS in b"".join(iter(lambda: connection.recv(1_000), b""))
        assert collector.process.wait(30) == 0
        assert [line["message_id"] for line in collector.landed()] == ["late"]
