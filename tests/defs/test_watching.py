"""Reading what Dagster has recorded, from real runs on the embedded storage: each once, in order, with what failed."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.errors import DagsterExecutionInterruptedError

from analytics_platform.alerting.desk import AlertDesk, OvertakenError, Reading
from analytics_platform.alerting.findings import Failure, Observation
from analytics_platform.alerting.judges import EVERYTHING, Place, RunSeen, judge_runs
from analytics_platform.alerting.messages import Places
from analytics_platform.alerting.store import SqliteStore
from analytics_platform.catalog import Catalog
from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.partitions import range_tags
from analytics_platform.defs.watch import RUNS, Watch
from analytics_platform.defs.watching import FIRST_LOOK, Graph, Position, Record
from analytics_platform.settings import Settings
from analytics_platform.warehouse import DuckDBWarehouse

DAYS = dg.DailyPartitionsDefinition(start_date="2026-03-01")
FIRST, LAST = date(2026, 3, 2), date(2026, 3, 4)
OF_DAYS = range_tags(str(FIRST), str(LAST))
bad_days: set[str] = set()
breaks: list[str] = []
checking_breaks: list[BaseException] = []


@dg.asset(key=["ops", "ledger"], partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
def ledger() -> dg.MaterializeResult[None]:
    if breaks:
        raise RuntimeError(breaks[0])
    return dg.MaterializeResult()


@dg.asset_check(asset=ledger, blocking=True)
def balances(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    if checking_breaks:
        raise checking_breaks[0]
    bad = bad_days & set(context.partition_keys)
    return dg.AssetCheckResult(passed=not bad, metadata={"failed": len(bad), "checked": 3})


@dg.asset(key=["raw", "crm"])
def whole() -> dg.MaterializeResult[None]:
    return dg.MaterializeResult()


@dg.asset_check(asset=whole)
def is_whole() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed="whole" not in bad_days, severity=dg.AssetCheckSeverity.WARN)


DEFINITIONS = dg.Definitions(
    assets=[ledger, whole],
    asset_checks=[balances, is_whole],
    jobs=[dg.define_asset_job("build", selection="*")],
    executor=dg.in_process_executor,
)
GRAPH = Graph(DEFINITIONS.get_repository_def())


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    bad_days.clear()
    breaks.clear()
    checking_breaks.clear()
    with open_instance(Settings(home=tmp_path)) as instance:
        yield instance


def build(instance: dg.DagsterInstance, tags: dict[str, str] = OF_DAYS) -> str:
    job = DEFINITIONS.resolve_job_def("build")
    return job.execute_in_process(instance=instance, tags=tags, raise_on_error=False).run_id


def read(instance: dg.DagsterInstance, position: Position | None = None) -> tuple[list[RunSeen], Position]:
    return Record(instance, GRAPH).read(position or Position.parse(None, datetime.now(UTC)))


def test_a_run_is_read_with_its_checks_its_days_and_what_it_built(instance: dg.DagsterInstance) -> None:
    build(instance)
    (run,), _ = read(instance)
    assert (run.failed, run.place, run.built) == (False, Place(FIRST, LAST), {"ops/ledger", "raw/crm"})
    seen = {check.check: check for check in run.checks}
    assert (seen["balances"].place, seen["balances"].is_summary) == (Place(FIRST, LAST), True)
    assert seen["is_whole"].place == EVERYTHING
    assert seen["balances"].dataset == "ops.ledger"


def test_a_blocking_check_that_failed_its_run_is_all_that_broke(instance: dg.DagsterInstance) -> None:
    bad_days.add("2026-03-03")
    build(instance)
    (run,), _ = read(instance)
    assert (run.failed, run.broke) == (True, None)
    assert [(each.check, each.blocks, each.failed) for each in run.checks if not each.passed] == [("balances", True, 1)]


@pytest.mark.parametrize("breaks_with", [RuntimeError("locked"), DagsterExecutionInterruptedError("SIGTERM")])
def test_a_check_that_broke_before_it_found_anything_is_a_run_that_broke(
    instance: dg.DagsterInstance, breaks_with: BaseException
) -> None:
    checking_breaks.append(breaks_with)
    build(instance)
    (run,), _ = read(instance)
    assert (run.failed, run.broke) == (True, ("ops/ledger", "ops.ledger"))
    assert {each.failure for each in judge_runs([run], ()).findings} == {Failure.RUN_FAILED}


def test_a_step_that_broke_names_its_asset_and_no_word_of_its_error(instance: dg.DagsterInstance) -> None:
    breaks.append("duplicate key jane@example.com")
    build(instance)
    (run,), _ = read(instance)
    assert (run.failed, run.broke) == (True, ("ops/ledger", "ops.ledger"))
    assert "jane" not in repr(run)


def test_a_run_that_died_names_what_it_was_to_build(instance: dg.DagsterInstance) -> None:
    dead = dg.DagsterRun(job_name="build", status=dg.DagsterRunStatus.FAILURE, tags={"dagster/partition": str(FIRST)})
    instance.add_run(dead)
    (run,), _ = read(instance)
    assert (run.broke, run.place) == (("ops/ledger", "ops.ledger"), Place(FIRST, FIRST))


def test_each_run_is_read_once_and_in_order(instance: dg.DagsterInstance) -> None:
    ids = [build(instance), build(instance)]
    runs, position = read(instance)
    assert [run.run_id for run in runs] == ids
    assert read(instance, position) == ([], position)
    later = build(instance)
    kept = Position.parse(position.text(), datetime.now(UTC))
    runs, position = read(instance, kept)
    assert [run.run_id for run in runs] == [later]
    assert position.tables == later


def test_the_first_look_goes_back_no_further_than_news(instance: dg.DagsterInstance) -> None:
    build(instance)
    assert read(instance, Position.parse(None, datetime.now(UTC) + FIRST_LOOK + timedelta(hours=1)))[0] == []


def test_a_look_opens_and_closes_incidents_and_marks_that_somebody_looked(
    instance: dg.DagsterInstance, tmp_path: Path, catalog: Catalog
) -> None:
    store = SqliteStore(tmp_path / "alerts.sqlite")
    desk = AlertDesk(catalog, store, Places("http://dagster", None, "Europe/Amsterdam"))
    warehouse = DuckDBWarehouse(tmp_path / "warehouse.duckdb")
    watch = Watch(desk, catalog, warehouse, DEFINITIONS.get_repository_def(), "Europe/Amsterdam")
    bad_days.add("2026-03-03")
    bad_days.add("whole")
    build(instance)
    look = watch.look(instance, datetime.now(UTC))
    assert (look.runs, look.as_dict()["opened"]) == (1, 2)
    assert {each.check for each in desk.wrong([Failure.CHECK_FAILED])} == {"balances", "is_whole"}
    assert not watch.look(instance, datetime.now(UTC)).is_news
    bad_days.clear()
    build(instance)
    assert watch.look(instance, datetime.now(UTC)).as_dict()["recovered"] == 2
    with store.transaction() as session:
        assert f"judged {RUNS}" in session.marks()


def test_a_judge_that_was_overtaken_is_told_and_changes_nothing(tmp_path: Path, catalog: Catalog) -> None:
    desk = AlertDesk(catalog, SqliteStore(tmp_path / "a.sqlite"), Places("http://dagster", None, "Europe/Amsterdam"))
    now = datetime.now(UTC)
    desk.observe("runs", Observation(()), now, Reading("runs", None, "1"))
    with pytest.raises(OvertakenError, match="look again"):
        desk.observe("runs", Observation(()), now, Reading("runs", None, "2"))
    assert desk.position("runs") == "1"
