"""Requests of real clients through the gate: nothing is refused but what the plan does not know."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
import yaml
from captured import CapturedMessage, captured_messages
from known_keys import KEYS, gate_of

from analytics_platform.catalog import Catalog, load_catalog
from analytics_platform.catalog.tenants import hash_write_key
from analytics_platform.intake.gate import Gate
from analytics_platform.intake.importer import import_paths
from analytics_platform.intake.outcomes import Admitted, Reason, Rejected
from analytics_platform.lake.store import LocalStore

TAKEN_AT = datetime(2026, 11, 22, 18, 16, tzinfo=UTC)
SPEC_CALLS = {"page", "screen", "identify", "group", "alias"}
MESSAGES = list(captured_messages())


@pytest.fixture(scope="module")
def test_catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """The catalogue with the tenant whose key the captures were recorded with."""
    path = tmp_path_factory.mktemp("tenants") / "tenants.yaml"
    keys = {"captured": {"sha256": hash_write_key("WK_TEST"), "kind": "browser", "site": "product"}}
    tenant = {
        "tenant_id": "tenant_42",
        "name": "Tenant 42",
        "country": "NL",
        "time_zone": "Europe/Amsterdam",
        "currency": "EUR",
        "financial_year_end": "12-31",
        "business_hours": {1: {"opens": "09:00", "closes": "17:30"}},
        "write_keys": keys,
    }
    path.write_text(yaml.safe_dump([tenant]))
    return load_catalog(path)


def judge(gate: Gate, captured: CapturedMessage) -> Admitted | Rejected:
    key = gate.key_context(captured.write_key)
    assert key is not None
    return gate.admit(orjson.dumps(captured.message), received_at=TAKEN_AT, key=key)


@pytest.mark.parametrize("capture", sorted({message.capture for message in MESSAGES}))
def test_the_gate_refuses_nothing_of_a_client_but_what_the_plan_does_not_know(
    test_catalog: Catalog, capture: str
) -> None:
    gate = gate_of(test_catalog)
    for captured in (message for message in MESSAGES if message.capture == capture):
        outcome = judge(gate, captured)
        if captured.message["type"] in SPEC_CALLS:
            assert isinstance(outcome, Admitted), outcome
        else:
            assert isinstance(outcome, Rejected)
            assert outcome.reason in {Reason.UNKNOWN_EVENT, Reason.SCHEMA_VIOLATION}, outcome
            assert outcome.tenant == "tenant_42"


def test_all_clients_and_all_kinds_of_calls_are_among_the_captures() -> None:
    assert {message.message["type"] for message in MESSAGES} == SPEC_CALLS | {"track"}
    clients = {"rudder-python", "segment-browser", "segment-node", "segment-python"}
    assert {message.capture.split("_")[0] for message in MESSAGES} == clients


def test_a_tracked_event_that_fits_the_plan_is_admitted_from_every_client(test_catalog: Catalog) -> None:
    gate = gate_of(test_catalog)
    fitting = {
        "schema_version": 1,
        "tenant_id": "tenant_42",
        "flow": "booking",
        "step": "dates",
        "outcome": "completed",
        "flow_run_id": "run-1",
    }
    for captured in MESSAGES:
        if captured.message["type"] == "track":
            message = captured.message | {"event": "ui.flow_step", "properties": fitting}
            assert isinstance(judge(gate, captured._replace(message=message)), Admitted)


def test_written_to_a_file_they_import_with_every_message_accounted_for(test_catalog: Catalog, tmp_path: Path) -> None:
    path = tmp_path / "captures.ndjson"
    path.write_bytes(b"".join(orjson.dumps(item.message | {"writeKey": item.write_key}) + b"\n" for item in MESSAGES))

    store = LocalStore(tmp_path / "lake")
    report = import_paths(
        [path], catalog=test_catalog, store=store, identities=KEYS, now=TAKEN_AT + timedelta(minutes=1)
    )

    kinds = Counter("spec" if item.message["type"] in SPEC_CALLS else "track" for item in MESSAGES)
    assert report.read == len(MESSAGES)
    assert set(report.reasons) <= {"unknown_event", "schema_violation"}
    assert report.dead_lettered == kinds["track"]
    assert report.accepted + report.duplicates == kinds["spec"]
