"""Live traffic of the demo: application, browsers and scanners through a collector's process into the lake."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from analytics_platform.catalog import Catalog
from analytics_platform.demo.live import LiveReport, live_burst
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.sealing import TenantSeals
from analytics_platform.identities.table import IdentitiesTable
from analytics_platform.intake.replay import Selection, dead_letters
from analytics_platform.lake.changes import landed_partitions
from analytics_platform.lake.collector_hours import collector_hours, unaccounted
from analytics_platform.lake.ledger import ledger_rows, unbalanced
from analytics_platform.lake.raw import build_partitions, scan
from analytics_platform.lake.store import LocalStore
from analytics_platform.settings import Settings

pytestmark = pytest.mark.integration

TENANTS = {"brabant-rental", "delta-events", "noord-rigging", "albion-stage"}


class Bursts:
    """Two bursts on one home, and what the lake then holds."""

    def __init__(self, settings: Settings, catalog: Catalog) -> None:
        self.store = LocalStore(settings.lake_root)
        self.keys = IdentityKeys(settings.identity_keys_file)
        self.streams = list(catalog.streams)
        self.reports: list[LiveReport] = [live_burst(settings, catalog, self.store, seed=7) for _ in range(2)]
        take = IdentitiesTable(self.store, self.keys).take
        partitions = landed_partitions(self.store)
        build_partitions(self.store, streams=self.streams, partitions=partitions, identifiers=take)
        today = datetime.now(UTC).date()
        self.first, self.last = today - timedelta(days=1), today + timedelta(days=1)

    def rows(self, stream: str) -> list[dict[str, Any]]:
        return list(scan(self.store, stream, date(2022, 1, 1), self.last).read_all().to_pylist())


@pytest.fixture(scope="module")
def bursts(tmp_path_factory: pytest.TempPathFactory, catalog: Catalog) -> Bursts:
    home: Path = tmp_path_factory.mktemp("live")
    return Bursts(Settings(home=home), catalog)


def test_what_was_acknowledged_is_in_the_lake_hour_by_hour(bursts: Bursts) -> None:
    hours = collector_hours(bursts.store, bursts.first, bursts.last, bursts.streams)
    assert unaccounted(hours, datetime.now(UTC)).num_rows == 0
    assert {row["tenant_id"] for row in hours.to_pylist()} == TENANTS
    assert sum(row["waiting"] for row in hours.to_pylist()) == 0
    acked = sum(row["acked"] for row in hours.to_pylist())
    assert acked == sum(row["landed"] + row["dead_lettered"] for row in hours.to_pylist())
    assert acked > 500


def test_the_ledger_balances_over_today(bursts: Bursts) -> None:
    ledger = ledger_rows(bursts.store, bursts.first, bursts.last)
    assert unbalanced(ledger).num_rows == 0
    assert sum(row["pending"] for row in ledger.to_pylist()) == 0


def test_each_producer_is_there_under_its_own_key(bursts: Bursts) -> None:
    sources = Counter(row["source"] for stream in bursts.streams for row in bursts.rows(stream))
    assert set(sources) == {"server", "browser", "marketing", "scanner"}
    pages = [row for row in bursts.rows("marketing") if row["type"] == "page"]
    assert any('"campaign"' in (row["context"] or "") for row in pages)
    assert {row["event"] for row in bursts.rows("billing")} == {"invoice.issued", "invoice.paid"}


def test_a_page_from_before_the_plan_is_a_dead_letter_that_can_be_replayed(bursts: Bursts) -> None:
    found = [each.letter for each in dead_letters(bursts.store, Selection(), TenantSeals(bursts.keys))]
    assert {letter.reason for letter in found} == {"unknown_event"}
    assert {letter.key_name for letter in found} == {"marketing"}


def test_a_second_burst_goes_on_where_the_first_stopped(bursts: Bursts) -> None:
    assert [report.burst.number for report in bursts.reports] == [1, 2]
    last = bursts.reports[-1].as_dict()
    assert last["acked"] == last["landed"] + last["dead_lettered"] > 200
    registered = [row for row in bursts.rows("inventory") if row["event"] == "equipment.registered"]
    booked = [row for row in bursts.rows("inventory") if row["event"] == "booking.confirmed"]
    assert len(registered) < 2 * 8 * len(TENANTS)
    assert len(booked) == 2 * 4 * len(TENANTS)
    sequences = [
        (row["tenant_id"], properties)
        for row in bursts.rows("inventory")
        if row["event"] == "scan.completed"
        for properties in [row["properties"]]
    ]
    assert len(sequences) == len(set(sequences))
