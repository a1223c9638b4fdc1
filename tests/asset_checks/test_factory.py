"""What Dagster is told of a check: numbers on success too, keys on failure, and never a pass for what did not run."""

from datetime import date
from typing import cast

import dagster as dg

from analytics_platform.lake.store import ObjectStore
from analytics_platform.warehouse import Warehouse
from asset_checks.factory import SAMPLES_SHOWN, Facts, Scope, check, evaluated


class Nothing:
    """Stands where a check needs no lake and no warehouse."""


def scope(partition_keys: list[str] | None = None) -> Scope:
    return Scope(cast("ObjectStore", Nothing()), cast("Warehouse", Nothing()), partition_keys)


def test_counts_are_attached_when_the_check_passes() -> None:
    result = evaluated(
        lambda _: Facts(True, "all well", {"rows": 3, "share": 0.5}), scope(), dg.AssetCheckSeverity.ERROR
    )
    assert result.passed
    assert result.description == "all well"
    assert result.metadata["rows"] == dg.MetadataValue.int(3)
    assert result.metadata["share"] == dg.MetadataValue.float(0.5)


def test_a_failure_names_some_offenders_and_counts_all() -> None:
    keys = [f"day-{n}" for n in range(25)]
    result = evaluated(lambda _: Facts(False, "25 are wrong", offenders=keys), scope(), dg.AssetCheckSeverity.WARN)
    assert not result.passed
    assert result.severity == dg.AssetCheckSeverity.WARN
    assert result.metadata["offenders"] == dg.MetadataValue.int(25)
    assert result.metadata["offenders_sample"] == dg.MetadataValue.json(keys[:SAMPLES_SHOWN])


def test_an_exception_is_a_failed_check_that_says_the_data_was_not_judged() -> None:
    def breaks(_: Scope) -> Facts:
        raise OSError("the disk is gone")

    result = evaluated(breaks, scope(), dg.AssetCheckSeverity.WARN)
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
    days = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-02-01")
    seen: list[tuple[date, date]] = []

    def judge(scope: Scope) -> Facts:
        seen.append(scope.days())
        return Facts(True, "seen")

    @dg.asset(partitions_def=days)
    def daily() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult()

    made = check(dg.AssetKey("daily"), "is_seen", judge, description="Looks.")
    definitions = dg.Definitions([daily], asset_checks=[made], resources={"store": Nothing(), "warehouse": Nothing()})
    job = definitions.resolve_implicit_global_asset_job_def()
    tags = {
        "dagster/asset_partition_range_start": "2026-01-03",
        "dagster/asset_partition_range_end": "2026-01-05",
    }
    assert job.execute_in_process(tags=tags).success
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
        dg.AssetKey("first"), "holds", lambda _: Facts(False, "no"), description="Does not hold.", blocking=True
    )
    definitions = dg.Definitions(
        [first, second], asset_checks=[made], resources={"store": Nothing(), "warehouse": Nothing()}
    )
    result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(raise_on_error=False)
    assert not result.success
    assert [event.asset_key for event in result.get_asset_materialization_events()] == [dg.AssetKey("first")]
