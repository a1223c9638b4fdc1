"""Queries say what they are made for: the asset, its days, the run and its workload."""

from __future__ import annotations

import json
from datetime import date

import dagster as dg

from analytics_platform.defs import jobs
from analytics_platform.defs.attribution import work_at_hand
from analytics_platform.defs.pools import BACKFILL_TAG
from analytics_platform.warehouse.work import Work

DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-02-01")


def worked(*, tags: dict[str, str] | None = None, job: str = jobs.BUILD) -> dict[str, Work]:
    """What an asset of days, one without, and a check are said to be at work on, by name."""
    seen: dict[str, Work] = {}

    @dg.asset(key=["loaded", "billing"], partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
    def by_day() -> dg.MaterializeResult[None]:
        seen["by_day"] = work_at_hand()
        return dg.MaterializeResult()

    @dg.asset_check(asset=dg.AssetKey(["loaded", "billing"]))
    def sound() -> dg.AssetCheckResult:
        seen["check"] = work_at_hand()
        return dg.AssetCheckResult(passed=True)

    definitions = dg.Definitions(
        [by_day], asset_checks=[sound], jobs=[dg.define_asset_job(job, [by_day], executor_def=dg.in_process_executor)]
    )
    span = {"dagster/asset_partition_range_start": "2026-01-03", "dagster/asset_partition_range_end": "2026-01-05"}
    result = definitions.resolve_job_def(job).execute_in_process(tags={**span, **(tags or {})})
    assert result.success
    assert {each.run for each in seen.values()} == {result.run_id}
    return seen


def test_an_asset_is_named_with_its_days() -> None:
    work = worked()["by_day"]
    assert (work.asset, work.first, work.last) == ("loaded/billing", date(2026, 1, 3), date(2026, 1, 5))


def test_a_check_works_for_its_asset() -> None:
    assert worked()["check"].asset == "loaded/billing"


def test_workloads_are_told_by_job_and_tag() -> None:
    assert worked(job=jobs.LOAD)["by_day"].workload == "hourly"
    assert worked(job=jobs.BUILD)["by_day"].workload == "nightly"
    assert worked(job=jobs.LOAD, tags={BACKFILL_TAG: "b1"})["by_day"].workload == "backfill"


def test_outside_of_runs_nothing_is_at_work() -> None:
    assert work_at_hand() == Work()


def test_a_tag_is_json_without_what_is_not_known() -> None:
    assert json.loads(Work().tag) == {"application": "analytics_platform", "workload": "hourly"}
    said = Work("kpi/revenue/kpi_mrr", date(2026, 1, 1), date(2026, 1, 2), "r1", "nightly").tag
    assert json.loads(said) == {
        "application": "analytics_platform",
        "asset": "kpi/revenue/kpi_mrr",
        "first_day": "2026-01-01",
        "last_day": "2026-01-02",
        "run": "r1",
        "workload": "nightly",
    }
