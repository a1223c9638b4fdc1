"""The how-to for producers does what it says: each of its blocks is run against a server."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from fastapi.testclient import TestClient
from recording_server import RecordingServer

from analytics_platform.catalog import load_catalog
from analytics_platform.tracking.plan import plan_schemas

HOW_TO = Path(__file__).parents[2] / "docs/instrumenting.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", HOW_TO.read_text(), re.MULTILINE | re.DOTALL)
SCHEMAS = plan_schemas(load_catalog())


def block_with(text: str) -> str:
    (found,) = [block for block in BLOCKS if text in block]
    return found


@pytest.fixture
def run(server: RecordingServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)

    def run(block: str) -> dict[str, Any]:
        # Handlers' annotations are looked up in the module's globals, which a namespace of our own stands for.
        names: dict[str, Any] = {"__name__": "how_to"}
        exec(compile(block.replace("https://collect.example.org", server.address), str(HOW_TO), "exec"), names)
        return names

    return run


def arrived(server: RecordingServer, count: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 5
    while len(server.taken) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    for message in server.taken:
        validator = jsonschema_rs.Draft7Validator(SCHEMAS[message["event"]], validate_formats=True)
        assert [error.message for error in validator.iter_errors(message["properties"])] == []
    return server.taken


def test_every_block_is_run() -> None:
    assert len(BLOCKS) == 4


def test_fastapi_in_ten_lines(run: Any, server: RecordingServer) -> None:
    names = run(block_with("AnalyticsMiddleware"))
    with TestClient(names["app"]) as client:
        assert client.get("/bookings/b-1").json() == {"booking_id": "b-1"}
    names["tracker"].close()
    (message,) = arrived(server, 1)

    assert message["properties"]["route"] == "/bookings/{booking_id}"
    assert message["properties"]["caller_ref"] == "u-81f3"


def test_domain_events(run: Any, server: RecordingServer) -> None:
    run(block_with("InvoicePaid"))

    assert [message["messageId"] for message in arrived(server, 1)] == ["paid-pay-77"]


def test_the_outbox(run: Any, server: RecordingServer) -> None:
    assert run(block_with("OutboxRelay"))["report"].sent == 1
    assert [message["event"] for message in arrived(server, 1)] == ["equipment.status_changed"]


def test_scanners(run: Any, server: RecordingServer) -> None:
    assert run(block_with("ScanSession"))["report"].sent == 2
    done, odd = arrived(server, 2)
    assert (done["properties"]["status_seq"], odd["event"]) == (19, "scan.exception")
