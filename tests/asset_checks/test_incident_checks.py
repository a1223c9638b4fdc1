"""The checks of the table of incidents, on rows that hold and rows that do not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from asset_checks.incidents import incident_times_are_in_order, open_incidents_have_an_owner_and_a_next_step

OPENED = datetime(2026, 11, 25, 6, 0, tzinfo=UTC)
OVER = {"status": "recovered", "recovered_at": OPENED + timedelta(hours=1), "minutes_to_repair": 60.0}


def row(**changed: Any) -> dict[str, Any]:
    usual = {
        "incident_id": "a1",
        "owner": "finance",
        "next_step": "analytics backfill",
        "status": "open",
        "opened_at": OPENED,
        "recovered_at": None,
        "minutes_to_detect": 1.0,
        "minutes_to_repair": None,
    }
    return {**usual, **changed}


@pytest.mark.parametrize(
    ("wrong", "holds"),
    [({}, True), ({"owner": "nobody"}, False), ({"next_step": None}, False), ({**OVER, "next_step": None}, True)],
)
def test_each_open_incident_has_an_owner_and_a_next_step(wrong: dict[str, Any], holds: bool) -> None:
    facts = open_incidents_have_an_owner_and_a_next_step([row(**wrong)], frozenset({"finance"}))
    assert facts.passed is holds
    assert facts.offenders == ([] if holds else ["a1"])


@pytest.mark.parametrize(
    ("wrong", "holds"),
    [
        ({}, True),
        (OVER, True),
        ({**OVER, "recovered_at": OPENED - timedelta(minutes=1)}, False),
        ({**OVER, "status": "open"}, False),
        ({**OVER, "minutes_to_repair": None}, False),
        ({"minutes_to_detect": -1.0}, False),
    ],
)
def test_times_are_in_order(wrong: dict[str, Any], holds: bool) -> None:
    assert incident_times_are_in_order([row(**wrong)]).passed is holds


def test_an_id_stands_for_one_incident() -> None:
    assert not incident_times_are_in_order([row(), row()]).passed
