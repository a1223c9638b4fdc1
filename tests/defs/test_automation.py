"""What starts by itself, judged on a real instance and a real lake (events land; nothing is run)."""

import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest
from defs_house import House

from analytics_platform.catalog import load_catalog
from analytics_platform.definitions import build_definitions
from analytics_platform.defs import jobs, keys
from analytics_platform.defs.automation import ATTEMPTS_A_DAY, to_request
from analytics_platform.defs.changes import Watermark, first_day_to_build, last_watermark
from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.partitions import RANGE_END_TAG, RANGE_START_TAG, Rectangle, range_tags
from analytics_platform.lake.raw import build_partitions
from analytics_platform.lake.removals import Removed, state_removals
from analytics_platform.settings import Settings

NOON = datetime(2026, 3, 6, 11, 5, tzinfo=UTC)
NIGHT = datetime(2026, 3, 6, 1, 30, tzinfo=UTC)
TENANTS = list(load_catalog().tenants)
DAY = date(2026, 3, 4)


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory) -> House:
    settings = Settings(home=tmp_path_factory.mktemp("automation"), history_start=date(2026, 1, 1))
    return House(settings, build_definitions(settings))


@pytest.fixture
def house(definitions: House) -> House:
    """A home in which nothing has happened yet; the graph on it is made once."""
    shutil.rmtree(definitions.settings.home)
    definitions.settings.home.mkdir()
    return definitions


@pytest.fixture
def instance(house: House) -> Iterator[dg.DagsterInstance]:
    with open_instance(house.settings) as instance:
        instance.add_dynamic_partitions("tenant", TENANTS)
        yield instance


def tick(house: House, name: str, instance: dg.DagsterInstance, at: datetime) -> list[dg.RunRequest]:
    schedule = house.definitions.resolve_schedule_def(name)
    context = dg.build_schedule_context(instance=instance, scheduled_execution_time=at)
    return list(schedule.evaluate_tick(context).run_requests or [])


def span(request: dg.RunRequest) -> tuple[str, str]:
    return request.tags[RANGE_START_TAG], request.tags[RANGE_END_TAG]


def record_run(
    instance: dg.DagsterInstance, job: str, status: dg.DagsterRunStatus, tags: dict[str, str]
) -> dg.DagsterRun:
    run = dg.DagsterRun(job_name=job, status=status, tags=tags, run_id=str(uuid4()))
    return instance.add_run(run)


def test_schedules_and_sensors_run_without_being_switched_on(definitions: House) -> None:
    repository = definitions.definitions.get_repository_def()
    assert {schedule.name for schedule in repository.schedule_defs} == {
        "hourly_ingestion",
        "hourly_look_back",
        "nightly_build",
        "monday_report",
        "quarterly_review",
        "daily_governance",
        "daily_digest",
        "heartbeat",
    }
    assert all(each.default_status == dg.DefaultScheduleStatus.RUNNING for each in repository.schedule_defs)
    ours = [each for each in repository.sensor_defs if "automation_condition" not in each.name]
    assert {each.name for each in ours} == {
        "tenants_from_registry",
        "loads_follow_ingestion",
        "pages_follow_build",
        "rest_follows_held_back",
        "alerts",
    }
    assert all(each.default_status == dg.DefaultSensorStatus.RUNNING for each in ours)


def test_all_schedules_go_by_the_reporting_time_zone(definitions: House) -> None:
    for schedule in definitions.definitions.get_repository_def().schedule_defs:
        assert schedule.execution_timezone == "Europe/Amsterdam"


def test_the_sensor_adds_exactly_the_tenants_that_have_no_partition(house: House) -> None:
    sensor = house.definitions.resolve_sensor_def("tenants_from_registry")
    with open_instance(house.settings) as instance:
        instance.add_dynamic_partitions("tenant", TENANTS[:1])
        answer = sensor.evaluate_tick(dg.build_sensor_context(instance=instance, definitions=house.definitions))
        assert answer.dynamic_partitions_requests
        assert list(answer.dynamic_partitions_requests[0].partition_keys) == TENANTS[1:]


def test_the_sensor_sees_a_tenant_that_joined_after_the_code_was_loaded(tmp_path: Path) -> None:
    extra = tmp_path / "tenants.yaml"
    extra.write_text("{}\n")
    settings = Settings(home=tmp_path, history_start=date(2026, 1, 1), tenants_file=extra)
    definitions = build_definitions(settings)
    extra.write_text(
        "zeeland-stage:\n  name: Zeeland Stage\n  country: NL\n  time_zone: Europe/Amsterdam\n  currency: EUR\n"
        '  financial_year_end: "12-31"\n  business_hours: {1: {opens: "09:00", closes: "17:00"}}\n'
    )
    with open_instance(settings) as instance:
        instance.add_dynamic_partitions("tenant", TENANTS)
        sensor = definitions.resolve_sensor_def("tenants_from_registry")
        answer = sensor.evaluate_tick(dg.build_sensor_context(instance=instance, definitions=definitions))
    assert [list(each.partition_keys) for each in answer.dynamic_partitions_requests or []] == [["zeeland-stage"]]


def test_the_hour_asks_for_exactly_what_has_landed(house: House, instance: dg.DagsterInstance) -> None:
    house.land_invoice("a", "2026-03-04T10:00:00Z", "brabant-rental")
    house.land_invoice("b", "2026-03-05T10:00:00Z", "brabant-rental")
    house.land_invoice("c", "2026-03-05T10:00:00Z", "noord-rigging")
    requests = tick(house, "hourly_ingestion", instance, NOON)
    assert sorted(span(each) for each in requests) == [
        ("2026-03-04|brabant-rental", "2026-03-05|brabant-rental"),
        ("2026-03-05|noord-rigging", "2026-03-05|noord-rigging"),
    ]


def test_the_hour_does_not_ask_for_streams_that_retention_has_removed(
    house: House, instance: dg.DagsterInstance
) -> None:
    house.land_invoice("one", "2026-03-02T10:00:00Z")
    removed = Removed("raw.product", "brabant-rental", date(2026, 3, 2))
    state_removals(house.store, "a" * 64, [removed])
    (request,) = tick(house, "hourly_ingestion", instance, NOON)
    assert keys.raw("product") not in (request.asset_selection or [])
    assert keys.raw("billing") in (request.asset_selection or [])
    every = [Removed(f"raw.{stream}", "brabant-rental", date(2026, 3, 2)) for stream in load_catalog().streams]
    state_removals(house.store, "b" * 64, every)
    assert tick(house, "hourly_ingestion", instance, NOON) == []


def test_the_hour_asks_for_nothing_when_raw_holds_all(house: House, instance: dg.DagsterInstance) -> None:
    house.land_invoice("a", "2026-03-04T10:00:00Z")
    build_partitions(house.store, streams=list(load_catalog().streams), partitions=[(DAY, "brabant-rental")])
    assert tick(house, "hourly_ingestion", instance, NOON) == []


def test_the_hour_leaves_alone_what_waits_in_a_run(house: House, instance: dg.DagsterInstance) -> None:
    house.land_invoice("a", "2026-03-04T10:00:00Z")
    waiting = Rectangle(DAY, DAY, ("brabant-rental",)).tags
    record_run(instance, jobs.INGEST, dg.DagsterRunStatus.STARTED, waiting)
    assert tick(house, "hourly_ingestion", instance, NOON) == []


def test_a_day_that_has_not_begun_in_the_reporting_zone_waits(house: House, instance: dg.DagsterInstance) -> None:
    house.land_invoice("a", "2026-03-05T10:00:00Z")
    assert tick(house, "hourly_ingestion", instance, datetime(2026, 3, 4, 12, 5, tzinfo=UTC)) == []


def test_a_partition_that_failed_goes_alone_and_its_neighbours_go_on() -> None:
    stale = [(DAY, tenant) for tenant in TENANTS]
    asked = to_request(stale, TENANTS, {(DAY, TENANTS[1]): 1})
    assert Rectangle(DAY, DAY, (TENANTS[1],)) in asked
    assert sorted(part for each in asked for part in each.partitions) == sorted(stale)
    assert len(asked) == 3


def test_a_partition_that_keeps_failing_is_left_to_a_person() -> None:
    assert to_request([(DAY, TENANTS[0])], TENANTS, {(DAY, TENANTS[0]): ATTEMPTS_A_DAY}) == []


def test_failures_are_counted_from_the_runs_of_the_last_day(house: House, instance: dg.DagsterInstance) -> None:
    house.land_invoice("a", "2026-03-04T10:00:00Z")
    for _ in range(ATTEMPTS_A_DAY):
        assert len(tick(house, "hourly_ingestion", instance, NOON)) == 1
        failed = Rectangle(DAY, DAY, ("brabant-rental",)).tags
        record_run(instance, jobs.INGEST, dg.DagsterRunStatus.FAILURE, failed)
    assert tick(house, "hourly_ingestion", instance, NOON) == []


def follow(house: House, name: str, instance: dg.DagsterInstance, run: dg.DagsterRun) -> object:
    event = dg.DagsterEvent("PIPELINE_SUCCESS", run.job_name)
    context = dg.build_run_status_sensor_context(name, event, instance, run)
    return house.definitions.resolve_sensor_def(name)(context)


def test_loads_follow_an_ingestion_over_its_days(house: House, instance: dg.DagsterInstance) -> None:
    tags = range_tags("2026-03-04|brabant-rental", "2026-03-05|noord-rigging")
    run = record_run(instance, jobs.INGEST, dg.DagsterRunStatus.SUCCESS, tags)
    request = follow(house, "loads_follow_ingestion", instance, run)
    assert isinstance(request, dg.RunRequest)
    assert span(request) == ("2026-03-04", "2026-03-05")
    assert request.run_key == run.run_id


def test_pages_follow_a_nightly_build_as_of_its_last_day(house: House, instance: dg.DagsterInstance) -> None:
    house.land_invoice("a", "2026-03-01T10:00:00Z")
    build_raw(house, (date(2026, 3, 1), "brabant-rental"))
    (nightly,) = tick(house, "nightly_build", instance, NIGHT)
    run = record_run(instance, jobs.BUILD, dg.DagsterRunStatus.SUCCESS, dict(nightly.tags))
    request = follow(house, "pages_follow_build", instance, run)
    assert isinstance(request, dg.RunRequest)
    assert span(request) == ("2026-03-05", "2026-03-05")


def test_pages_do_not_follow_a_build_by_hand(house: House, instance: dg.DagsterInstance) -> None:
    run = record_run(instance, jobs.BUILD, dg.DagsterRunStatus.SUCCESS, range_tags("2026-03-01", "2026-03-02"))
    assert isinstance(follow(house, "pages_follow_build", instance, run), dg.SkipReason)


def build_raw(house: House, *places: tuple[date, str]) -> None:
    build_partitions(house.store, streams=list(load_catalog().streams), partitions=list(places))


def test_the_night_builds_from_the_first_landed_day_when_nothing_was_ever_built(
    house: House, instance: dg.DagsterInstance
) -> None:
    house.land_invoice("a", "2026-03-02T10:00:00Z")
    build_raw(house, (date(2026, 3, 2), "brabant-rental"))
    (request,) = tick(house, "nightly_build", instance, NIGHT)
    assert span(request) == ("2026-03-02", "2026-03-05")


def test_the_night_builds_the_closed_day_and_back_to_what_late_data_touched(
    house: House, instance: dg.DagsterInstance
) -> None:
    house.land_invoice("a", "2026-03-01T10:00:00Z")
    house.land_invoice("b", "2026-03-04T10:00:00Z")
    build_raw(house, (date(2026, 3, 1), "brabant-rental"), (DAY, "brabant-rental"))
    tags = Watermark(datetime.now(UTC), DAY).tags()
    record_run(instance, jobs.BUILD, dg.DagsterRunStatus.SUCCESS, tags)
    house.land_invoice("c", "2026-03-03T10:00:00Z")
    build_raw(house, (date(2026, 3, 3), "brabant-rental"))
    (request,) = tick(house, "nightly_build", instance, NIGHT)
    # The reach of a fact is taken so early that it holds in every time zone: one day before its own.
    assert span(request) == ("2026-03-02", "2026-03-05")


def test_a_night_that_failed_is_made_up_for_by_the_next(house: House, instance: dg.DagsterInstance) -> None:
    house.land_invoice("a", "2026-03-02T10:00:00Z")
    build_raw(house, (date(2026, 3, 2), "brabant-rental"))
    (request,) = tick(house, "nightly_build", instance, NIGHT)
    record_run(instance, jobs.BUILD, dg.DagsterRunStatus.FAILURE, dict(request.tags))
    assert last_watermark(instance) is None
    (again,) = tick(house, "nightly_build", instance, NIGHT + timedelta(days=1))
    assert span(again) == ("2026-03-02", "2026-03-06")
    record_run(instance, jobs.BUILD, dg.DagsterRunStatus.SUCCESS, dict(again.tags))
    watermark = last_watermark(instance)
    assert watermark is not None
    assert watermark.built_to == date(2026, 3, 6)
    assert first_day_to_build(house.store, watermark) is None


def test_days_that_landed_beyond_the_last_built_one_are_built_though_raw_is_old(house: House) -> None:
    house.land_invoice("a", "2026-03-04T10:00:00Z")
    build_raw(house, (DAY, "brabant-rental"))
    watermark = Watermark(datetime.now(UTC), date(2026, 3, 2))
    assert first_day_to_build(house.store, watermark) == DAY


def test_every_hour_looks_back_on_the_open_days_and_on_those_of_checks(
    house: House, instance: dg.DagsterInstance
) -> None:
    requests = tick(house, "hourly_look_back", instance, NOON)
    assert {each.asset_selection[0]: span(each) for each in requests if each.asset_selection} == {
        keys.SLA_ATTAINMENT: ("2026-02-27", "2026-03-06"),
        keys.CHECK_RESULTS: ("2026-03-06", "2026-03-06"),
    }


def test_after_a_standstill_no_day_is_left_unjudged(house: House, instance: dg.DagsterInstance) -> None:
    for key, day in ((keys.SLA_ATTAINMENT, "2026-02-10"), (keys.CHECK_RESULTS, "2026-02-11")):
        instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=day))
    spans = [span(each) for each in tick(house, "hourly_look_back", instance, NOON)]
    assert spans == [("2026-02-10", "2026-03-06"), ("2026-02-11", "2026-03-06")]


def test_each_hour_has_its_own_look_back(house: House, instance: dg.DagsterInstance) -> None:
    first, second = (tick(house, "hourly_look_back", instance, at) for at in (NOON, NOON + timedelta(hours=1)))
    assert len({each.run_key for each in [*first, *second]}) == 4
