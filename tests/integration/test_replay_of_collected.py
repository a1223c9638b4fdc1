"""Messages that a real collector refused, replayed after the plan has learned their event."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from analytics_platform.catalog import Catalog
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.intake.collector.service import RunningCollector
from analytics_platform.intake.replay import Selection, replay
from analytics_platform.lake.changes import landed_partitions
from analytics_platform.lake.collector_hours import collector_hours, unaccounted
from analytics_platform.lake.dead_letters import lines_of
from analytics_platform.lake.ledger import ledger_rows, unbalanced
from analytics_platform.lake.raw import build_partitions
from analytics_platform.lake.store import LocalStore
from analytics_platform.settings import Settings

pytestmark = pytest.mark.integration

TENANT = "delta-events"
AHEAD = timedelta(minutes=42)
"""How far the browser's clock is wrong."""


def escalated(message_id: str, at: datetime) -> dict[str, Any]:
    said = {"ticket_id": "tkt_1", "reopened_at": at.isoformat(), "reopen_count": 1}
    return {
        "event": "ticket.escalated",
        "messageId": message_id,
        "userId": "usr_1",
        "timestamp": at.isoformat(),
        "properties": {"schema_version": 1, "tenant_id": TENANT, **said},
    }


def send(url: str, at: datetime) -> None:
    """One batch that says when it was sent, and one call whose path alone says its type."""
    batch = {"batch": [{"type": "track", **escalated("m-1", at)}], "sentAt": (at + timedelta(seconds=5)).isoformat()}
    with httpx.Client(base_url=url, auth=(f"demo-{TENANT}-browser", "")) as client:
        for path, body in (("/v1/b", batch), ("/v1/t", escalated("m-2", at))):
            answer = client.post(path, content=orjson.dumps(body), headers={"content-type": "text/plain"})
            assert [each["code"] for each in answer.raise_for_status().json()["rejected"]] == ["unknown_event"]


def test_it_lands_as_if_the_plan_had_known_it_and_both_accounts_hold(tmp_path: Path, with_escalations: Catalog) -> None:
    settings, store, streams = Settings(home=tmp_path), LocalStore(tmp_path / "lake"), list(with_escalations.streams)
    collector = RunningCollector(settings, store)
    now = datetime.now(UTC)
    try:
        send(collector.url, now + AHEAD)
    finally:
        collector.stop()
    assert store.list("landing/") == []

    keys = IdentityKeys(settings.identity_keys_file)
    report = replay(store, with_escalations, Selection(reason="unknown_event"), identities=keys)
    # The clock of the second cannot be corrected: the call does not say when it was sent.
    assert (report.accepted, report.reasons) == (1, {"time_suspect": 1})
    (line,) = (orjson.loads(line) for info in store.list("landing/") for line in lines_of(store.get(info.key)))
    assert (line["message_id"], line["type"], line["source"]) == ("m-1", "track", "browser")
    assert abs(datetime.fromisoformat(line["event_at"]) - now) < timedelta(seconds=30)

    build_partitions(store, streams=streams, partitions=landed_partitions(store))
    assert unbalanced(ledger_rows(store, date(2022, 1, 1), date(2100, 1, 1))).num_rows == 0
    hours = collector_hours(store, date(2022, 1, 1), date(2100, 1, 1), streams)
    assert unaccounted(hours, now).num_rows == 0
    assert sum(row["acked"] for row in hours.to_pylist()) == 2
