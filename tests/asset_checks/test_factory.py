"""What Dagster is told of a check: numbers on success too, keys on failure, and never a pass for what did not run."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import cast

import dagster as dg
import pyarrow as pa
import pytest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecord

from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.partitions import range_tags
from analytics_platform.lake.store import ObjectStore
from analytics_platform.settings import Settings
from analytics_platform.warehouse import DuckDBWarehouse, Warehouse
from asset_checks.factory import SAMPLES_SHOWN, Facts, Judge, Scope, check, evaluated

UNWRITTEN = DuckDBWarehouse(Path("unwritten.duckdb"))
"""A warehouse that nobody asks anything."""


class Nothing:
    """Stands where a check needs no lake and no warehouse."""


DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-02-01")
GOOD, BAD, LATER = "2026-01-03", "2026-01-04", "2026-01-05"
HOLDS = dg.AssetCheckKey(dg.AssetKey("daily"), "holds")


def scope(partition_keys: list[str] | None = None) -> Scope:
    return Scope(cast("ObjectStore", Nothing()), cast("Warehouse", Nothing()), partition_keys)


def judged(
    judge: Judge,
    partition_keys: list[str] | None = None,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> dg.AssetCheckResult:
    return evaluated(judge, scope(partition_keys), severity, "validity").result


def test_counts_are_attached_when_the_check_passes() -> None:
    result = judged(lambda _: Facts(True, "all well", {"rows": 3, "share": 0.5}))
    assert result.passed
    assert result.description == "all well"
    assert result.metadata["rows"] == dg.MetadataValue.int(3)
    assert result.metadata["share"] == dg.MetadataValue.float(0.5)


def test_a_failure_names_some_offenders_and_counts_all() -> None:
    keys = [f"day-{n}" for n in range(25)]
    result = judged(lambda _: Facts(False, "25 are wrong", offenders=keys), severity=dg.AssetCheckSeverity.WARN)
    assert not result.passed
    assert result.severity == dg.AssetCheckSeverity.WARN
    assert result.metadata["offenders"] == dg.MetadataValue.int(25)
    assert result.metadata["offenders_sample"] == dg.MetadataValue.json(keys[:SAMPLES_SHOWN])


def test_an_exception_is_a_failed_check_that_says_the_data_was_not_judged() -> None:
    def breaks(_: Scope) -> Facts:
        raise OSError("the disk is gone")

    result = judged(breaks, severity=dg.AssetCheckSeverity.WARN)
    assert not result.passed
    assert result.severity == dg.AssetCheckSeverity.ERROR
    assert "could not run" in str(result.description)
    assert "OSError: the disk is gone" in str(result.description)
    assert result.metadata["could_not_run"] == dg.MetadataValue.bool(True)


def test_a_scope_without_partitions_covers_everything() -> None:
    first, last = scope().days()
    assert first <= date(1970, 1, 1)
    assert last >= date(2100, 1, 1)
    assert scope().day_tenants() is None


def test_a_scope_covers_the_days_of_its_run() -> None:
    assert scope(["2026-01-02", "2026-01-01"]).days() == (date(2026, 1, 1), date(2026, 1, 2))
    assert scope(["2026-01-01|a"]).day_tenants() == [(date(2026, 1, 1), "a")]


def test_in_a_run_a_check_sees_the_partitions_of_that_run() -> None:
    seen: list[tuple[date, date]] = []

    def judge(scope: Scope) -> Facts:
        seen.append(scope.days())
        return Facts(True, "seen")

    @dg.asset(partitions_def=DAYS)
    def daily() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult()

    made = check(dg.AssetKey("daily"), "is_seen", judge, description="Looks.", dimension="validity")
    definitions = dg.Definitions([daily], asset_checks=[made], resources={"store": Nothing(), "warehouse": UNWRITTEN})
    job = definitions.resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(tags=range_tags("2026-01-03", "2026-01-05")).success
    assert job.execute_in_process(partition_key="2026-01-09").success
    assert seen == [(date(2026, 1, 3), date(2026, 1, 5)), (date(2026, 1, 9), date(2026, 1, 9))]


def test_a_blocking_check_keeps_what_follows_from_running() -> None:
    @dg.asset
    def first() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult()

    @dg.asset(deps=[first])
    def second() -> dg.MaterializeResult[None]:
        raise AssertionError("ran on data that does not hold")

    made = check(
        dg.AssetKey("first"),
        "holds",
        lambda _: Facts(False, "no"),
        description="Does not hold.",
        dimension="validity",
        blocking=True,
    )
    definitions = dg.Definitions(
        [first, second], asset_checks=[made], resources={"store": Nothing(), "warehouse": UNWRITTEN}
    )
    result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(raise_on_error=False)
    assert not result.success
    assert [event.asset_key for event in result.get_asset_materialization_events()] == [dg.AssetKey("first")]


def test_what_was_checked_is_attached_under_names_that_reviews_count_by() -> None:
    facts = Facts(True, "within", checked=200, failed=1, threshold=0.01)
    metadata = judged(lambda _: facts).metadata
    assert {name: metadata[name].value for name in ("checked", "failed", "threshold", "dimension")} == {
        "checked": 200,
        "failed": 1,
        "threshold": 0.01,
        "dimension": "validity",
    }


def test_what_is_not_counted_is_absent_rather_than_zero() -> None:
    assert not {"checked", "failed", "threshold"} & judged(lambda _: Facts(True, "well")).metadata.keys()


def test_facts_by_partition_are_summed_up_with_the_newest_failure_first() -> None:
    found = {
        GOOD: Facts(True, "well", checked=10, failed=0),
        BAD: Facts(False, "two are wrong", offenders=[f"billing {BAD} a"], checked=10, failed=2),
        LATER: Facts(False, "one is wrong", offenders=["b"], checked=10, failed=1),
    }
    result = judged(lambda _: found, list(found))
    assert not result.passed
    assert result.description == f"2 of 3 partitions do not hold: {LATER}, {BAD} (3 of 30 units)"
    values = {name: value.value for name, value in result.metadata.items()}
    assert (values["partitions"], values["failed_partitions"], values["checked"], values["failed"]) == (3, 2, 30, 3)
    assert values["offenders_sample"] == [f"{LATER}: b", f"billing {BAD} a"]


def test_a_judge_that_leaves_a_partition_out_has_not_passed_it() -> None:
    result = judged(lambda _: {GOOD: Facts(True, "well")}, [GOOD, BAD])
    assert not result.passed
    assert result.metadata["could_not_run"] == dg.MetadataValue.bool(True)
    assert BAD in str(result.description)


def test_rows_are_cut_by_day_and_a_day_without_rows_is_there_too() -> None:
    days = [date(2026, 1, 5), date(2026, 1, 3), date(2026, 1, 5)]
    rows = pa.table({"day": pa.array(days, pa.date32()), "n": [1, 2, 3]})
    parts = scope([GOOD, BAD, LATER]).by_day(rows)
    assert {day: sorted(part["n"].to_pylist()) for day, part in parts.items()} == {GOOD: [2], BAD: [], LATER: [1, 3]}


def holds_but_on_the_bad_day(scope: Scope) -> Mapping[str, Facts]:
    return {
        key: Facts(key != BAD, f"judged {key}", checked=1, failed=int(key == BAD)) for key in scope.partition_keys or ()
    }


@pytest.fixture
def daily() -> dg.Definitions:
    @dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
    def daily() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult()

    made = check(
        HOLDS.asset_key,
        HOLDS.name,
        holds_but_on_the_bad_day,
        description="Holds.",
        dimension="validity",
        partitions_def=DAYS,
    )
    return dg.Definitions([daily], asset_checks=[made], resources={"store": Nothing(), "warehouse": UNWRITTEN})


def newest(instance: dg.DagsterInstance) -> dict[str | None, AssetCheckExecutionRecord]:
    history = instance.event_log_storage.get_asset_check_execution_history(HOLDS, limit=100)
    return {record.partition: record for record in reversed(history)}


@pytest.mark.parametrize("batched", [True, False])
def test_a_run_over_a_range_records_each_partition_and_a_summary_last(
    tmp_path: Path, daily: dg.Definitions, batched: bool
) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with (
        open_instance(Settings(home=tmp_path)) if batched else dg.DagsterInstance.from_config(str(tmp_path)) as instance
    ):
        job = daily.resolve_implicit_global_asset_job_def()
        result = job.execute_in_process(instance=instance, tags=range_tags(GOOD, LATER), raise_on_error=False)
        records = newest(instance)
        assert {key: record.status.value for key, record in records.items()} == {
            GOOD: "SUCCEEDED",
            BAD: "FAILED",
            LATER: "SUCCEEDED",
            None: "FAILED",
        }
        assert {record.run_id for record in records.values()} == {result.run_id}
        evaluation = records[BAD].evaluation
        assert evaluation is not None
        assert evaluation.metadata["failed"].value == 1
        assert evaluation.target_materialization_data is not None
        assert evaluation.target_materialization_data.run_id == result.run_id
        (latest,) = instance.event_log_storage.get_latest_asset_check_execution_by_key([HOLDS]).values()
        assert latest.partition is None


def test_a_summary_speaks_of_the_newest_build_and_of_none_before_there_is_one(
    tmp_path: Path, daily: dg.Definitions
) -> None:
    alone = dg.define_asset_job("alone", dg.AssetSelection.checks(HOLDS))
    both = dg.Definitions.merge(daily, dg.Definitions(jobs=[alone]))
    with open_instance(Settings(home=tmp_path)) as instance:
        targets = []
        for job in ("alone", "__ASSET_JOB", "alone"):
            both.resolve_job_def(job).execute_in_process(instance=instance, tags=range_tags(GOOD, LATER))
            evaluation = newest(instance)[None].evaluation
            assert evaluation is not None
            targets.append(evaluation.target_materialization_data)
        (built,) = instance.fetch_materializations(HOLDS.asset_key, limit=1).records
    before, target, again = targets
    assert before is None
    assert target is not None
    assert (target.storage_id, target.run_id) == (built.storage_id, built.run_id)
    assert target.timestamp == pytest.approx(built.timestamp, abs=0.001)
    assert again == target


def test_dagster_takes_an_evaluation_for_the_partitions_newest_state(tmp_path: Path, daily: dg.Definitions) -> None:
    with open_instance(Settings(home=tmp_path)) as instance:
        job = daily.resolve_implicit_global_asset_job_def()
        job.execute_in_process(instance=instance, tags=range_tags(GOOD, LATER))
        job.execute_in_process(instance=instance, partition_key=LATER)
        infos = instance.event_log_storage.get_asset_check_partition_info([HOLDS])
        assert {info.partition_key for info in infos} == {GOOD, BAD, LATER, None}
        assert all(info.is_current for info in infos if info.partition_key)


def test_a_run_for_one_partition_records_that_partition_alone(tmp_path: Path, daily: dg.Definitions) -> None:
    with open_instance(Settings(home=tmp_path)) as instance:
        job = daily.resolve_implicit_global_asset_job_def()
        job.execute_in_process(instance=instance, partition_key=BAD)
        assert {key: record.status.value for key, record in newest(instance).items()} == {BAD: "FAILED"}


def test_a_range_of_one_day_is_recorded_for_that_day(tmp_path: Path, daily: dg.Definitions) -> None:
    with open_instance(Settings(home=tmp_path)) as instance:
        job = daily.resolve_implicit_global_asset_job_def()
        job.execute_in_process(instance=instance, tags=range_tags(BAD, BAD))
        assert {key: record.status.value for key, record in newest(instance).items()} == {BAD: "FAILED", None: "FAILED"}


def test_a_judge_that_breaks_over_a_range_judges_no_partition(tmp_path: Path) -> None:
    @dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
    def daily() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult()

    def breaks(_: Scope) -> Facts:
        raise OSError("the disk is gone")

    made = check(HOLDS.asset_key, HOLDS.name, breaks, description="Breaks.", dimension="validity", partitions_def=DAYS)
    definitions = dg.Definitions([daily], asset_checks=[made], resources={"store": Nothing(), "warehouse": UNWRITTEN})
    with open_instance(Settings(home=tmp_path)) as instance:
        job = definitions.resolve_implicit_global_asset_job_def()
        job.execute_in_process(instance=instance, tags=range_tags(GOOD, LATER))
        (record,) = newest(instance).values()
        assert record.partition is None
        assert record.evaluation is not None
        assert record.evaluation.metadata["could_not_run"].value is True
