"""A check that tells passes as one leaves fewer events, and nobody knows less by it."""

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from analytics_platform.defs.check_results import evaluations
from analytics_platform.defs.evaluations import PASSED_AS_ONE, failed_partitions
from analytics_platform.defs.partitions import partitions_from, range_tags
from analytics_platform.lake.store import LocalStore
from analytics_platform.warehouse import DuckDBWarehouse
from asset_checks.factory import Facts, Scope
from asset_checks.grouped import Found, Told, check_group

ZONE = "Europe/Amsterdam"
TODAY = datetime.now(ZoneInfo(ZONE)).date()
PARTITIONS = partitions_from(date(2026, 1, 1), ZONE)
ASSET = dg.AssetKey(["raw", "billing"])
KEY = dg.AssetCheckKey(ASSET, "readable")
DAYS = ["2026-01-01", "2026-01-02", "2026-01-03"]


class Log:
    """An event log in which the check has been evaluated, and what is read from it."""

    def __init__(self, instance: dg.DagsterInstance, home: Path) -> None:
        self._instance = instance
        self._resources = {"warehouse": DuckDBWarehouse(home / "w.duckdb"), "store": LocalStore(home / "lake")}
        self.run_id = ""

    def judge(self, *bad: str, breaks: bool = False) -> None:
        """Evaluate the check in a run over three days, of which some do not hold."""

        def judged(scope: Scope, _: object) -> Found:
            if breaks:
                raise OSError("the disk is gone")
            days = scope.partition_keys or ()
            return {KEY: {day: Facts(day not in bad, "", {}, (), 1, int(day in bad)) for day in days}}

        @dg.asset(key=ASSET, partitions_def=PARTITIONS.day, backfill_policy=dg.BackfillPolicy.single_run())
        def billing() -> dg.MaterializeResult[None]:
            return dg.MaterializeResult()

        told = Told(KEY.name, "d", "validity", passes_as_one=True)
        made = check_group("raw", [told], [ASSET], judged, partitions_def=PARTITIONS.day)
        result = dg.materialize(
            [billing, made], instance=self._instance, resources=self._resources, tags=range_tags(DAYS[0], DAYS[-1])
        )
        self.run_id = result.run_id

    def told(self) -> list[tuple[str | None, bool]]:
        """Partition and outcome of each evaluation of the last run, the summary last."""
        entries = self._instance.all_logs(self.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        found = [entry.get_dagster_event().asset_check_evaluation_data for entry in entries]
        return [(each.partition, each.passed) for each in found]

    def recorded(self) -> list[tuple[str | None, bool, int | None, int | None]]:
        """What the history of checks makes of the last run."""
        rows = evaluations(self._instance, TODAY, TODAY, ZONE).to_pylist()
        of_run = [row for row in rows if row["run_id"] == self.run_id]
        return sorted((row["partition"], row["passed"], row["checked"], row["failed"]) for row in of_run)

    def failed(self) -> list[str]:
        """The partitions that did not hold in the last run."""
        return failed_partitions(self._instance, KEY, self.run_id)

    def said_of_all(self) -> int:
        """Of how many partitions the newest summary says that they hold."""
        newest = self._instance.event_log_storage.get_asset_check_execution_history(KEY, limit=1)[0]
        assert newest.event is not None
        said = newest.event.get_dagster_event().asset_check_evaluation_data.metadata[PASSED_AS_ONE].value
        assert isinstance(said, int)
        return said


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Log(instance, tmp_path)


def test_partitions_that_hold_are_one_event_and_a_row_each_of_the_history(log: Log) -> None:
    log.judge()
    assert (log.told(), log.said_of_all()) == ([(None, True)], 3)
    assert log.recorded() == [(day, True, 1, 0) for day in DAYS]


def test_one_that_does_not_hold_is_told_alone_and_once_more_when_it_does(log: Log) -> None:
    log.judge(DAYS[1])
    assert (log.told(), log.said_of_all()) == ([(DAYS[1], False), (None, False)], 2)
    assert log.recorded() == [(DAYS[0], True, 1, 0), (DAYS[1], False, 1, 1), (DAYS[2], True, 1, 0)]
    assert log.failed() == [DAYS[1]]
    log.judge()
    assert (log.told(), log.said_of_all()) == ([(DAYS[1], True), (None, True)], 2)
    assert log.recorded() == [(day, True, 1, 0) for day in DAYS]


def test_a_check_that_could_not_run_says_of_no_partition_that_it_holds(log: Log) -> None:
    log.judge(breaks=True)
    assert log.told() == [(None, False)]
    assert log.recorded() == [(None, False, None, None)]
