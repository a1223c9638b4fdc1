"""What is left of a run when blocking checks fail in some of its days, judged on a small graph and a real instance."""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg
import pytest

from analytics_platform.defs import jobs
from analytics_platform.defs.automation import PUBLISHES_TAG, pages_follow_build, rest_follows_held_back
from analytics_platform.defs.changes import COMPLETE_TAG, Watermark
from analytics_platform.defs.held_back import SPANS_A_SPLIT, SPLIT_FROM_TAG, SPLITS_DEEP, SPLITS_TAG, held_back
from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.partitions import RANGE_END_TAG, RANGE_START_TAG, range_tags
from analytics_platform.settings import Settings
from asset_checks.factory import Facts, Scope, check

DAYS = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-03-01")
NIGHTLY = {**Watermark(datetime(2026, 2, 1, tzinfo=UTC), date(2026, 1, 5)).tags(), PUBLISHES_TAG: "true"}
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class Nothing:
    """Stands where a check needs no lake and asks a warehouse nothing."""

    def reading(self) -> nullcontext[None]:
        return nullcontext()


def graph(bad: set[str], *, last_layer: bool = False, breaks: bool = False) -> dg.Definitions:
    """A source, a blocking check of it, and an asset on it; the check is of the latter where it is the `last_layer`."""

    @dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
    def source() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult()

    @dg.asset(deps=[source], partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
    def figure() -> dg.MaterializeResult[None]:
        if breaks:
            raise OSError("the disk is full")
        return dg.MaterializeResult()

    def judge(scope: Scope) -> Mapping[str, Facts]:
        return {key: Facts(key not in bad, f"judged {key}") for key in scope.partition_keys or ()}

    made = check(
        dg.AssetKey("figure" if last_layer else "source"),
        "holds",
        judge,
        description="Holds.",
        dimension="validity",
        blocking=True,
        partitions_def=DAYS,
    )
    names = (jobs.INGEST, jobs.LOAD, jobs.BUILD, jobs.PUBLISH)
    return dg.Definitions(
        [source, figure],
        asset_checks=[made],
        jobs=[dg.define_asset_job(name) for name in names],
        resources={"store": Nothing(), "warehouse": Nothing()},
        executor=dg.in_process_executor,
    )


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with open_instance(Settings(home=tmp_path)) as instance:
        yield instance


def do(instance: dg.DagsterInstance, definitions: dg.Definitions, tags: Mapping[str, str], job: str) -> dg.DagsterRun:
    result = definitions.resolve_job_def(job).execute_in_process(
        instance=instance, tags=dict(tags), raise_on_error=False, run_config=QUIET
    )
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    return run


def build(
    instance: dg.DagsterInstance, definitions: dg.Definitions, tags: Mapping[str, str] = NIGHTLY
) -> dg.DagsterRun:
    return do(instance, definitions, {**range_tags("2026-01-01", "2026-01-05"), **tags}, jobs.BUILD)


def asked_for(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[dg.RunRequest]:
    """What the sensor requests once the run has failed."""
    sensor = rest_follows_held_back([dg.define_asset_job(name) for name in (jobs.LOAD, jobs.BUILD, jobs.PUBLISH)])
    event = dg.DagsterEvent("PIPELINE_FAILURE", run.job_name)
    answer = sensor(dg.build_run_status_sensor_context(sensor.name, event, instance, run))
    return answer if isinstance(answer, list) else []


def span(request: dg.RunRequest) -> tuple[str, str]:
    return request.tags[RANGE_START_TAG], request.tags[RANGE_END_TAG]


def test_the_rest_of_a_night_is_asked_for_without_the_bad_day(instance: dg.DagsterInstance) -> None:
    run = build(instance, graph({"2026-01-03"}))
    requests = asked_for(instance, run)
    assert [span(each) for each in requests] == [("2026-01-04", "2026-01-05"), ("2026-01-01", "2026-01-02")]
    for request in requests:
        assert request.job_name == jobs.BUILD
        assert request.asset_selection == [dg.AssetKey("figure")]
        assert request.tags[SPLIT_FROM_TAG] == run.run_id
        # It inherits that pages follow, and not that it completes the build.
        assert request.tags[PUBLISHES_TAG] == "true"
        assert COMPLETE_TAG not in request.tags


def test_a_split_run_that_is_held_back_again_is_split_again_and_not_for_ever(instance: dg.DagsterInstance) -> None:
    definitions = graph({"2026-01-03"})
    again = asked_for(instance, build(instance, definitions, {**NIGHTLY, SPLITS_TAG: "1"}))
    assert {each.tags[SPLITS_TAG] for each in again} == {"2"}
    last = build(instance, definitions, {**NIGHTLY, SPLITS_TAG: str(SPLITS_DEEP)})
    assert asked_for(instance, last) == []
    held = held_back(instance, last)
    assert held is not None
    assert [day.day for day in held.left_out] == [1, 2, 4, 5]


def test_of_days_that_lie_scattered_the_newest_go_on(instance: dg.DagsterInstance) -> None:
    bad = {f"2026-01-{day:02}" for day in range(2, 31, 2)}
    run = do(instance, graph(bad), range_tags("2026-01-01", "2026-01-31"), jobs.BUILD)
    held = held_back(instance, run)
    assert held is not None
    assert len(held.spans) == SPANS_A_SPLIT
    assert held.spans[0] == (date(2026, 1, 31), date(2026, 1, 31))
    assert {day for each in held.spans for day in each}.isdisjoint(held.left_out)
    assert len(held.left_out) + SPANS_A_SPLIT == 16


def test_nothing_follows_when_every_day_is_bad_or_the_only_one(instance: dg.DagsterInstance) -> None:
    every_day = {f"2026-01-{day:02}" for day in range(1, 6)}
    assert asked_for(instance, build(instance, graph(every_day))) == []
    alone = do(instance, graph({"2026-01-03"}), {"dagster/partition": "2026-01-03"}, jobs.BUILD)
    held = held_back(instance, alone)
    assert held is not None
    assert held.days == {date(2026, 1, 3)}
    assert asked_for(instance, alone) == []


def test_a_run_that_fails_for_anything_else_is_not_split(instance: dg.DagsterInstance) -> None:
    run = build(instance, graph(set(), breaks=True))
    assert run.status == dg.DagsterRunStatus.FAILURE
    assert held_back(instance, run) is None
    assert asked_for(instance, run) == []


def test_a_check_that_could_not_run_names_no_days(instance: dg.DagsterInstance) -> None:
    @dg.asset(partitions_def=DAYS, backfill_policy=dg.BackfillPolicy.single_run())
    def source() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult()

    def judge(_: Scope) -> Facts:
        raise OSError("the disk is gone")

    made = check(source.key, "holds", judge, description="-", dimension="validity", blocking=True, partitions_def=DAYS)
    definitions = dg.Definitions(
        [source],
        asset_checks=[made],
        jobs=[dg.define_asset_job(jobs.BUILD)],
        resources={"store": Nothing(), "warehouse": Nothing()},
        executor=dg.in_process_executor,
    )
    run = build(instance, definitions)
    assert run.status == dg.DagsterRunStatus.FAILURE
    assert held_back(instance, run) is None


def test_pages_follow_at_once_where_nothing_but_pages_was_left(instance: dg.DagsterInstance) -> None:
    run = build(instance, graph({"2026-01-05"}, last_layer=True))
    (request,) = asked_for(instance, run)
    assert request.job_name == jobs.PUBLISH
    assert span(request) == ("2026-01-04", "2026-01-04")


def test_pages_do_not_go_back_when_the_older_part_of_a_night_ends_last(instance: dg.DagsterInstance) -> None:
    good = graph(set())
    do(instance, good, range_tags("2026-01-05", "2026-01-05"), jobs.PUBLISH)
    older = do(instance, good, {**range_tags("2026-01-01", "2026-01-02"), **NIGHTLY, SPLIT_FROM_TAG: "x"}, jobs.BUILD)
    sensor = pages_follow_build([dg.define_asset_job(name) for name in (jobs.BUILD, jobs.PUBLISH)])
    event = dg.DagsterEvent("PIPELINE_SUCCESS", older.job_name)
    request = sensor(dg.build_run_status_sensor_context(sensor.name, event, instance, older))
    assert isinstance(request, dg.RunRequest)
    assert span(request) == ("2026-01-05", "2026-01-05")
