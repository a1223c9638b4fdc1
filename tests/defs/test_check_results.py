"""The history of evaluations, read from logs that are cut by run (SQLite) and from one that is not (as Postgres's)."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg
import pyarrow.compute as pc
import pytest
from quality_tables import a_check, write_check_results

from analytics_platform.catalog import load_catalog
from analytics_platform.defs import check_results as module
from analytics_platform.defs import keys
from analytics_platform.defs.check_results import (
    CHECK_RESULTS_TABLE,
    SCHEMA,
    check_results_asset,
    stored_results,
    union,
)
from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.partitions import partitions_from, range_tags
from analytics_platform.lake.store import LocalStore
from analytics_platform.settings import Settings
from analytics_platform.warehouse import DuckDBWarehouse
from asset_checks.factory import Facts, Scope, check
from asset_checks.look_back import log_is_recorded, look_back_checks

ZONE = "Europe/Amsterdam"
TODAY = datetime.now(ZoneInfo(ZONE)).date()
PARTITIONS = partitions_from(date(2026, 1, 1), ZONE)
ASSET = dg.AssetKey(["kpi", "revenue", "kpi_mrr"])
BAD = "2026-01-02"
SPAN = ("2026-01-01", "2026-01-03")


def graph() -> list[dg.AssetsDefinition | dg.AssetChecksDefinition]:
    @dg.asset(key=ASSET, partitions_def=PARTITIONS.day, backfill_policy=dg.BackfillPolicy.single_run())
    def mrr() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult()

    def by_day(scope: Scope) -> dict[str, Facts]:
        return {
            key: Facts(key != BAD, "", checked=10, failed=3 if key == BAD else 0, threshold=0.1)
            for key in scope.partition_keys or ()
        }

    def breaks(_: Scope) -> Facts:
        raise OSError("the disk is gone")

    return [
        mrr,
        check(ASSET, "by_day", by_day, description="d", dimension="accuracy", partitions_def=PARTITIONS.day),
        check(ASSET, "whole", lambda _: Facts(True, "", checked=7, failed=0), description="d", dimension="validity"),
        check(ASSET, "breaks", breaks, description="d", dimension="validity", severity=dg.AssetCheckSeverity.WARN),
    ]


class CheckHouse:
    """A log with evaluations in it, and the table that is made from it."""

    def __init__(self, instance: dg.DagsterInstance, home: Path) -> None:
        self.instance = instance
        self.resources = {
            "warehouse": DuckDBWarehouse(home / "warehouse.duckdb"),
            "store": LocalStore(home / "lake"),
        }
        self.warehouse = self.resources["warehouse"]

    def evaluate(self, first: str, last: str) -> str:
        """Evaluate the checks over a range, in one run; returns its id."""
        result = dg.materialize(
            graph(),
            instance=self.instance,
            resources=self.resources,
            tags=range_tags(first, last),
            raise_on_error=False,
        )
        return result.run_id

    def record(self) -> dict[str, dg.AssetCheckEvaluation]:
        """Draw up today's rows; returns what the table's own checks say."""
        result = dg.materialize(
            [check_results_asset(PARTITIONS), *checks_of_results()],
            instance=self.instance,
            resources=self.resources,
            tags=range_tags(TODAY.isoformat(), TODAY.isoformat()),
        )
        return {each.check_name: each for each in result.get_asset_check_evaluations()}

    def rows(self) -> list[dict[str, Any]]:
        """What is recorded of the graph above."""
        return self.warehouse.query(
            f"select * exclude (day, evaluated_at) from {CHECK_RESULTS_TABLE} where asset = 'kpi/revenue/kpi_mrr' "
            "order by check_name, partition"
        ).to_pylist()


def checks_of_results() -> list[dg.AssetChecksDefinition]:
    made = look_back_checks(load_catalog(), PARTITIONS)
    return [each for each in made if next(iter(each.check_keys)).asset_key == keys.CHECK_RESULTS]


@pytest.fixture(params=["cut by run", "in one"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CheckHouse]:
    if request.param == "cut by run":
        with open_instance(Settings(home=tmp_path)) as instance:
            yield CheckHouse(instance, tmp_path)
    else:
        with dg.DagsterInstance.ephemeral() as instance:
            yield CheckHouse(instance, tmp_path)


def test_each_evaluation_is_a_row_and_a_range_is_not_counted_twice(house: CheckHouse) -> None:
    run_id = house.evaluate(*SPAN)
    house.record()
    rows = house.rows()
    assert [(row["check_name"], row["partition"], row["passed"]) for row in rows] == [
        ("breaks", None, False),
        ("by_day", "2026-01-01", True),
        ("by_day", "2026-01-02", False),
        ("by_day", "2026-01-03", True),
        ("whole", None, True),
    ]
    assert rows[2] == {
        "asset": "kpi/revenue/kpi_mrr",
        "check_name": "by_day",
        "partition": "2026-01-02",
        "dataset": "kpi.kpi_mrr",
        "dimension": "accuracy",
        "severity": "ERROR",
        "blocking": False,
        "passed": False,
        "could_not_run": False,
        "checked": 10,
        "failed": 3,
        "threshold": 0.1,
        "run_id": run_id,
    }
    assert (rows[0]["could_not_run"], rows[0]["checked"], rows[0]["failed"]) == (True, None, None)


def test_a_run_over_one_day_leaves_one_row_per_check(house: CheckHouse) -> None:
    house.evaluate(BAD, BAD)
    house.record()
    assert [(row["check_name"], row["failed"]) for row in house.rows()] == [
        ("breaks", None),
        ("by_day", 3),
        ("whole", 0),
    ]


def test_rows_are_filed_by_the_date_of_the_evaluation(house: CheckHouse) -> None:
    house.evaluate(*SPAN)
    house.record()
    (days,) = house.warehouse.query(f"select list(distinct day) as days from {CHECK_RESULTS_TABLE}").to_pylist()
    assert days == {"days": [TODAY]}


def test_the_history_outlives_the_log_and_holds_nothing_twice(house: CheckHouse) -> None:
    first = house.evaluate(*SPAN)
    house.record()
    before = house.rows()
    house.instance.delete_run(first)
    house.evaluate(BAD, BAD)
    for _ in range(2):
        assert all(each.passed for each in house.record().values())
    rows = house.rows()
    assert len(rows) == len(before) + 3
    assert [row for row in rows if row["run_id"] == first] == before


def test_an_evaluation_from_outside_of_runs_is_recorded(house: CheckHouse) -> None:
    house.instance.report_runless_asset_event(dg.AssetCheckEvaluation(ASSET, "by_hand", passed=False, metadata={}))
    house.record()
    (row,) = house.rows()
    assert (row["check_name"], row["passed"], row["dimension"], row["run_id"]) == ("by_hand", False, None, "")


def test_an_evaluation_that_got_lost_is_found(house: CheckHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_IN_FLIGHT", timedelta(0))
    house.evaluate(*SPAN)
    assert all(each.passed for each in house.record().values())
    table = house.warehouse.query(f"select * from {CHECK_RESULTS_TABLE}")
    scope = Scope(house.resources["store"], house.warehouse, [TODAY.isoformat()], house.instance)
    assert log_is_recorded(scope, PARTITIONS).passed
    house.warehouse.replace_table(CHECK_RESULTS_TABLE, table.filter(pc.not_equal(table["check_name"], "whole")))
    facts = log_is_recorded(scope, PARTITIONS)
    assert (facts.passed, facts.failed) == (False, 1)
    assert "whole" in facts.offenders[0]


def test_before_the_first_time_nothing_is_stored_and_tables_of_tests_have_the_columns_of_the_graph(
    tmp_path: Path,
) -> None:
    warehouse = DuckDBWarehouse(tmp_path / "w.duckdb")
    warehouse.replace_table("ops.other", SCHEMA.empty_table())
    assert stored_results(warehouse, TODAY, TODAY).num_rows == 0
    write_check_results(warehouse, [a_check(), a_check(failed=3, check_name="other")])
    stored = stored_results(warehouse, date(2026, 3, 1), date(2026, 3, 3))
    assert stored.schema.equals(SCHEMA)
    assert union(stored, stored).equals(union(stored, SCHEMA.empty_table()))
    assert stored["passed"].to_pylist() == [True, False]
    assert stored["evaluated_at"].to_pylist()[0] == datetime(2026, 3, 2, 3, tzinfo=UTC)
