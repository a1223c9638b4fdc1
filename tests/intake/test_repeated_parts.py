"""A context that comes again and again is split once: that it was seen before may change nothing of what lands."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from intake_messages import scan

from analytics_platform.catalog import Catalog
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.references import reference
from analytics_platform.identities.suppression import Suppressions
from analytics_platform.identities.table import opened_identifiers
from analytics_platform.intake import identifiers
from analytics_platform.intake.gate import Gate
from analytics_platform.intake.outcomes import Admitted

NOW = datetime(2026, 11, 22, 18, 16, tzinfo=UTC)
TENANT, OTHER = "brabant-rental", "albion-stage"
ADDRESS = "203.0.113.77"
CONTEXT = {"ip": ADDRESS, "library": {"name": "test", "version": "1"}}


@pytest.fixture
def keys(tmp_path: Path) -> IdentityKeys:
    return IdentityKeys(tmp_path / "keys.json")


@pytest.fixture
def gate(catalog: Catalog, keys: IdentityKeys) -> Gate:
    nobody = Suppressions()
    return Gate(catalog, identities=keys, suppressed=lambda: nobody)


def landed(gate: Gate, number: int, tenant: str = TENANT, context: dict[str, Any] = CONTEXT) -> dict[str, Any]:
    message = scan(f"m-{number}", properties={"tenant_id": tenant}, context=context)
    outcome = gate.admit(orjson.dumps(message), received_at=NOW)
    assert isinstance(outcome, Admitted)
    line: dict[str, Any] = orjson.loads(outcome.line)
    return line


def test_every_message_of_a_context_brings_its_identifiers(gate: Gate, keys: IdentityKeys) -> None:
    first, second = landed(gate, 1), landed(gate, 2)

    assert first["context"] == second["context"]
    expected = [(reference(keys.of(TENANT).newest, "ip", ADDRESS), "ip", ADDRESS)]
    assert opened_identifiers(keys.of(TENANT), second["identifiers"]) == expected


def test_tenants_with_one_context_have_references_of_their_own(gate: Gate, keys: IdentityKeys) -> None:
    assert landed(gate, 1)["context"]["ip"] == reference(keys.of(TENANT).newest, "ip", ADDRESS)
    assert landed(gate, 2, OTHER)["context"]["ip"] == reference(keys.of(OTHER).newest, "ip", ADDRESS)


def test_a_context_seen_before_a_rotation_gets_the_new_reference(gate: Gate, keys: IdentityKeys) -> None:
    before = landed(gate, 1)["context"]["ip"]
    keys.rotate(TENANT)

    after = landed(gate, 2)

    assert after["context"]["ip"] == reference(keys.of(TENANT).newest, "ip", ADDRESS) != before
    assert after["identifiers"].startswith("k2.")


def test_what_is_remembered_is_bounded_and_forgetting_changes_nothing(
    gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identifiers, "_PARTS_BYTES", 3_000)
    contexts = [CONTEXT | {"ip": f"203.0.113.{number}"} for number in range(20)]

    first = [landed(gate, number, context=context) for number, context in enumerate(contexts)]
    again = [landed(gate, number, context=context) for number, context in enumerate(contexts)]

    assert first == again
    assert len({line["context"]["ip"] for line in first}) == len(contexts)
    assert gate._splitter._contexts._bytes <= 3_000


def test_what_is_remembered_takes_about_what_it_is_counted_as(gate: Gate) -> None:
    landed(gate, 0)
    tracemalloc.start()
    try:
        for number in range(500):
            landed(gate, number, context=CONTEXT | {"ip": f"203.0.{number // 250}.{number % 250}"})
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    remembered = gate._splitter._contexts
    assert len(remembered._known) == 501
    assert taken < 3 * remembered._bytes  # with the values of the search and the references, which have bounds too
