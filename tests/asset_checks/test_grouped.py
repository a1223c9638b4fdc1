"""Several checks of one step: each is evaluated for itself, by partition, and an error is every check's."""

from collections.abc import Collection
from pathlib import Path

import dagster as dg
import pytest

from analytics_platform.defs.partitions import range_tags
from analytics_platform.warehouse import DuckDBWarehouse
from asset_checks.factory import Facts, Scope
from asset_checks.grouped import Found, Told, check_group

DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-02-01")
GOOD, BAD = "2026-01-03", "2026-01-04"
HOLDS = Told("holds", "It holds.", "validity")
STANDS = Told("stands", "It stands.", "accuracy", dg.AssetCheckSeverity.ERROR)


UNWRITTEN = DuckDBWarehouse(Path("unwritten.duckdb"))
"""A warehouse that nobody asks anything."""


class Nothing:
    """Stands where a check needs no lake."""


def assets() -> list[dg.AssetsDefinition]:
    def made(name: str) -> dg.AssetsDefinition:
        @dg.asset(name=name, partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
        def daily() -> dg.MaterializeResult[None]:
            return dg.MaterializeResult()

        return daily

    return [made("first"), made("second")]


def run(judge: object, instance: dg.DagsterInstance, selection: list[str] | None = None) -> dg.ExecuteInProcessResult:
    keys = [dg.AssetKey(name) for name in ("first", "second")]
    group = check_group("all_at_once", [HOLDS, STANDS], keys, judge, partitions_def=DAYS)  # type: ignore[arg-type]
    definitions = dg.Definitions(assets(), asset_checks=[group], resources={"store": Nothing(), "warehouse": UNWRITTEN})
    job = definitions.resolve_implicit_global_asset_job_def()
    chosen = [dg.AssetKey(name) for name in selection] if selection else None
    return job.execute_in_process(tags=range_tags(GOOD, BAD), instance=instance, asset_selection=chosen)


def judged(scope: Scope, assets: Collection[dg.AssetKey]) -> Found:
    days = {key: Facts(key == GOOD, key, {"rows": 1}, checked=1, failed=int(key == BAD)) for key in (GOOD, BAD)}
    return {dg.AssetCheckKey(asset, told.name): days for asset in assets for told in (HOLDS, STANDS)}


@pytest.mark.filterwarnings("ignore::dagster.PreviewWarning")
def test_each_check_of_each_asset_is_evaluated_once_and_in_each_partition() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        evaluations = run(judged, instance).get_asset_check_evaluations()
    summaries = {(each.asset_key.path[-1], each.check_name): each for each in evaluations if each.partition is None}
    assert summaries.keys() == {(asset, name) for asset in ("first", "second") for name in ("holds", "stands")}
    assert summaries["first", "holds"].severity == dg.AssetCheckSeverity.WARN
    assert summaries["first", "stands"].severity == dg.AssetCheckSeverity.ERROR
    assert summaries["first", "stands"].metadata["dimension"].value == "accuracy"
    assert summaries["second", "holds"].metadata["checked"].value == 2


def test_a_run_of_one_asset_judges_its_checks_alone() -> None:
    asked: list[Collection[dg.AssetKey]] = []

    def remembers(scope: Scope, assets: Collection[dg.AssetKey]) -> Found:
        asked.append(assets)
        return judged(scope, assets)

    with dg.DagsterInstance.ephemeral() as instance:
        assert run(remembers, instance, ["second"]).success
    assert asked == [{dg.AssetKey("second")}]


def test_an_error_is_a_failed_check_of_every_asset_that_says_nothing_of_the_data() -> None:
    def breaks(scope: Scope, assets: Collection[dg.AssetKey]) -> Found:
        raise OSError("the disk is gone")

    with dg.DagsterInstance.ephemeral() as instance:
        result = run(breaks, instance)
    evaluations = result.get_asset_check_evaluations()
    assert result.success
    assert len(evaluations) == 4
    assert all(not each.passed and each.metadata["could_not_run"].value for each in evaluations)


def test_a_check_that_the_judge_forgot_has_not_passed() -> None:
    def forgets(scope: Scope, assets: Collection[dg.AssetKey]) -> Found:
        return {key: facts for key, facts in judged(scope, assets).items() if key.name == "holds"}

    with dg.DagsterInstance.ephemeral() as instance:
        evaluations = run(forgets, instance).get_asset_check_evaluations()
    forgotten = [each for each in evaluations if each.check_name == "stands"]
    assert all(not each.passed and each.metadata["could_not_run"].value for each in forgotten)
    assert len(forgotten) == 2
