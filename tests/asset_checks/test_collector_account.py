"""The account of the collectors in the graph: a table, and a check that shows its numbers and finds what was lost."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest
from known_keys import SEALS

from analytics_platform.catalog import Catalog
from analytics_platform.defs import keys
from analytics_platform.defs.ledger import collector_hours_asset
from analytics_platform.defs.partitions import partitions_from
from analytics_platform.intake.collector.shipping import Shipper
from analytics_platform.intake.collector.spool import Spool, SpoolLimits
from analytics_platform.intake.outcomes import Admitted
from analytics_platform.lake.collector_hours import COLLECTOR_HOURS_SCHEMA, OVERDUE
from analytics_platform.lake.dead_letters import DeadLetter
from analytics_platform.lake.store import LocalStore
from analytics_platform.warehouse import DuckDBWarehouse
from asset_checks.intake import acked_is_landed_or_dead_lettered, intake_checks

HOUR = datetime(2026, 1, 15, 10, tzinfo=UTC)
DAY = date(2026, 1, 15)
TENANT = "brabant-rental"


def hours(**counts: int) -> pa.Table:
    row = {"day": DAY, "hour": HOUR, "writer": "collector0a", "tenant_id": TENANT, "acked": 0, "landed": 0}
    return pa.Table.from_pylist([{**row, "dead_lettered": 0, "waiting": 0, **counts}], COLLECTOR_HOURS_SCHEMA)


def test_an_hour_that_adds_up_passes_and_shows_its_numbers() -> None:
    facts = acked_is_landed_or_dead_lettered(hours(acked=3, landed=2, dead_lettered=1), HOUR)
    assert facts.passed
    assert facts.counts == {"collector_hours": 1, "acked": 3, "landed": 2, "dead_lettered": 1, "waiting": 0}


def test_an_hour_that_lost_something_is_named_with_its_numbers() -> None:
    facts = acked_is_landed_or_dead_lettered(hours(acked=3, landed=2), HOUR)
    assert not facts.passed
    assert facts.offenders == [
        "2026-01-15T10Z brabant-rental collector0a: acknowledged 3, landed 2, dead letters 0, in no manifest 0"
    ]


def test_an_hour_may_stay_open_for_some_time_and_not_for_ever() -> None:
    end = HOUR + timedelta(hours=1)
    assert acked_is_landed_or_dead_lettered(hours(waiting=2), end + OVERDUE).passed
    assert not acked_is_landed_or_dead_lettered(hours(waiting=2), end + OVERDUE + timedelta(seconds=1)).passed


async def collect(folder: Path, store: LocalStore) -> None:
    """An hour of a collector: two messages and a dead letter."""
    spool = Spool.open(folder, "collector0a", SpoolLimits(min_free_bytes=0), clock=lambda: HOUR)
    await spool.commit([Admitted(TENANT, DAY, "product", name, HOUR, None, "aa", b"{}\n") for name in ("a", "b")])
    await spool.commit(
        [DeadLetter("schema_violation", "properties.flow: missing", b"{}", DAY, TENANT, "product").sealed(SEALS)]
    )
    spool.drain()
    Shipper(spool, store).ship_waiting(final=True)
    spool.close()


@pytest.mark.filterwarnings("ignore::dagster.BetaWarning")
@pytest.mark.parametrize("lost", [False, True])
def test_the_graph_shows_the_account(tmp_path: Path, catalog: Catalog, store: LocalStore, lost: bool) -> None:
    asyncio.run(collect(tmp_path / "spool", store))
    if lost:
        store.delete(store.list("landing/")[0].key)
    warehouse = DuckDBWarehouse(tmp_path / "warehouse.duckdb")
    partitions = partitions_from(date(2026, 1, 1), "Europe/Amsterdam")
    (check,) = [
        each
        for each in intake_checks(catalog, partitions)
        if {key.asset_key for key in each.check_keys} == {keys.COLLECTOR_HOURS}
    ]
    result = dg.materialize(
        [collector_hours_asset(catalog, partitions), check],
        resources={"store": store, "warehouse": warehouse},
        partition_key=DAY.isoformat(),
    )
    (evaluation,) = result.get_asset_check_evaluations()
    assert evaluation.passed is not lost
    assert evaluation.check_name == "acked_is_landed_or_dead_lettered"
    assert evaluation.partition == DAY.isoformat()
    assert evaluation.metadata["acked"].value == 3
    assert evaluation.metadata["landed"].value == (0 if lost else 2)
    assert warehouse.query("select acked, dead_lettered from ops.collector_hours").to_pylist() == [
        {"acked": 3, "dead_lettered": 1}
    ]
