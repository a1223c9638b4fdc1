"""The deployment's own graph with Dagster's records in PostgreSQL: from landing to the warehouse, built and checked.

One stream is enough: what is asked here is what Dagster remembers, and not what the figures are.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import dagster as dg
import pytest
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from defs_house import House, new_house
from postgres import PostgresServer
from sqlalchemy import select

from analytics_platform.catalog import load_catalog
from analytics_platform.defs import jobs
from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.partitions import TENANT_PARTITIONS, range_tags
from analytics_platform.defs.resources import warehouse_from
from analytics_platform.defs.run_report import RunReport
from analytics_platform.defs.runs import Step, run_steps

pytestmark = pytest.mark.integration

FIRST, LAST = date(2026, 3, 2), date(2026, 3, 3)
DAYS = {FIRST.isoformat(), LAST.isoformat()}


TENANT = "brabant-rental"


def chosen(*names: str) -> frozenset[dg.AssetKey]:
    return frozenset(dg.AssetKey.from_user_string(name) for name in names)


@dataclass(frozen=True)
class Built:
    """A home after its first run, and its instance."""

    house: House
    report: RunReport
    instance: dg.DagsterInstance


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> Iterator[Built]:
    house = new_house(tmp_path_factory.mktemp("home"), **postgres.database("graph"))
    for day in sorted(DAYS):
        house.land_invoice(day, f"{day}T10:00:00.000Z")
    with open_instance(house.settings) as instance:
        instance.add_dynamic_partitions(TENANT_PARTITIONS, [TENANT])
        tags = range_tags(f"{FIRST}|{TENANT}", f"{LAST}|{TENANT}")
        loaded = [f"loaded/{stream}" for stream in load_catalog().streams]
        days = range_tags(str(FIRST), str(LAST))
        steps = [
            Step(jobs.INGEST, jobs.INGEST_LAYERS, tags, 2, chosen("raw/billing")),
            Step(jobs.BUILD, jobs.SOURCE_LAYERS, days, 2, chosen("ops/ledger", *loaded)),
        ]
        yield Built(house, run_steps(house.settings, house.definitions, instance, steps), instance)


def test_every_run_succeeds_and_no_sqlite_file_of_dagster_is_there(built: Built) -> None:
    assert {run.status for run in built.report.runs} == {"SUCCESS"}, [run.error for run in built.report.runs]
    assert list(built.house.settings.dagster_home.rglob("*.db")) == []


@pytest.mark.parametrize("asset", ["loaded/billing", "ops/ledger"])
def test_the_status_of_partitions_is_right(built: Built, asset: str) -> None:
    key = dg.AssetKey.from_user_string(asset)
    assert built.instance.get_materialized_partitions(key) == DAYS
    assert built.report.built[asset] == len(DAYS)


def test_raw_partitions_are_known_by_day_and_tenant(built: Built) -> None:
    known = built.instance.get_materialized_partitions(dg.AssetKey(["raw", "billing"]))
    assert known == {f"{day}|{TENANT}" for day in DAYS}


def test_a_check_of_a_range_has_an_evaluation_per_partition_and_the_summary_is_the_newest(built: Built) -> None:
    storage, column = built.instance.event_log_storage, AssetCheckExecutionsTable.c
    assert isinstance(storage, SqlEventLogStorage)
    query = select(column.asset_key, column.check_name, column.partition).where(
        column.asset_key == dg.AssetKey(["loaded", "billing"]).to_string()
    )
    with storage.index_connection() as connection:
        found = connection.execute(query.order_by(column.id)).all()
    by_check: dict[str, list[str | None]] = {}
    for _, check, partition in found:
        by_check.setdefault(check, []).append(partition)
    by_partition = {check: partitions for check, partitions in by_check.items() if set(partitions) >= DAYS}
    assert by_partition
    assert all(partitions[-1] is None for partitions in by_partition.values())


def test_the_history_of_checks_is_read_from_the_shared_log(built: Built) -> None:
    rows = warehouse_from(built.house.settings).query(
        "select count(*) as n, sum(passed::int) as ok from ops.check_results"
    )
    (counted,) = rows.to_pylist()
    assert counted["n"] >= built.report.checks_passed > 5
