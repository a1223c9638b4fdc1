"""What starts by itself: tenants become partitions, landed data becomes rows by the hour, rows become figures by night.

    hourly_ingestion ──► ingest ──success──► load            (stale partitions only, tenants named one by one)
    nightly_build    ──► build  ──success──► publish         (the closed day, and older days that late data touched)
                  load, build ──held back──► their rest      (the days that no blocking check has failed in)
    hourly_look_back ──► look_back                           (promises that may have fallen due, checks evaluated since)
    monday_report    ──► report                              (the week that is over, once its Sunday is published)

All schedules go by the reporting time zone. Nobody picks late data up by hand: a late event makes its raw partition
stale, the next hour builds and loads it, and the next night builds every day from the earliest that it touches.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from analytics_platform.catalog import load_catalog
from analytics_platform.defs import jobs, keys
from analytics_platform.defs.changes import Watermark, first_day_to_build, last_watermark
from analytics_platform.defs.held_back import SPLIT_FROM_TAG, HeldBack, held_back
from analytics_platform.defs.look_back import look_back_spans
from analytics_platform.defs.partitions import (
    PARTITION_TAG,
    RANGE_END_TAG,
    RANGE_START_TAG,
    TENANT_PARTITIONS,
    DayTenant,
    Partitions,
    Rectangle,
    parse_raw_key,
    range_tags,
    rectangles,
)
from analytics_platform.defs.removed_days import LeftOut, raw_parts
from analytics_platform.defs.reviews import SCHEDULE_TAG
from analytics_platform.lake.changes import stale_partitions
from analytics_platform.lake.removals import read_removals
from analytics_platform.lake.store import ObjectStore
from analytics_platform.reporting.weekly import late_extracts, newest_week
from analytics_platform.settings import Settings

HOURLY = "5 * * * *"
"""Five minutes past: the collector closes an hour's objects in the first minutes of the next."""

NIGHTLY = "10 3 * * *"
"""After midnight in every European zone, early enough for the first deadline (06:00) with a retry."""

LOOKING_BACK = "20 * * * *"
"""After the hour's ingestion and loads, and soon after each deadline, which are on the hour."""

MONDAY = "0 5-9 * * 1"
"""Hours after the night begins and one before the first deadline (06:00); each later hour is another chance."""

MONDAY_REPORT = "monday_report"
_TO_BE_REPEATED = (dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)

LAST_CHANCE = 9
"""From this hour on the report is made of what there is, and says what is missing."""

ATTEMPTS_A_DAY = 3
"""A partition that fails for a reason in its data fails every time; hourly retries would bury the alert."""

PRIORITY = {
    jobs.INGEST: "10",
    jobs.LOAD: "10",
    jobs.BUILD: "5",
    jobs.PUBLISH: "5",
    jobs.REPORT: "5",
    jobs.LOOK_BACK: "7",
}
"""In Dagster's queue the hour goes before the night, and both before backfills, which have none."""

PUBLISHES_TAG = "analytics/publishes"
"""On builds that pages follow: the night's, and what is left of it where days are held back."""

_PUBLISHED_LOOKED_AT = 30
"""Runs that publish, newest first, among which the newest published day is looked for."""

_UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


def tenants_from_registry(settings: Settings, partitions: Partitions) -> dg.SensorDefinition:
    """Add a partition for each registered tenant that has none; none is ever taken away, its history stays."""

    @dg.sensor(
        name="tenants_from_registry",
        minimum_interval_seconds=300,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Adds tenants of the registry as partitions.",
    )
    def evaluate(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        # Read anew: a tenant that joins must not wait for a deployment.
        registered = load_catalog(settings.tenants_file, settings.extension_catalog).tenants
        known = set(context.instance.get_dynamic_partitions(TENANT_PARTITIONS))
        missing = [tenant for tenant in registered if tenant not in known]
        if not missing:
            return dg.SkipReason(f"all {len(registered)} registered tenants have partitions")
        return dg.SensorResult(dynamic_partitions_requests=[partitions.tenant.build_add_request(missing)])

    return evaluate


def hourly_ingestion(
    settings: Settings, store: ObjectStore, partitions: Partitions, streams: Sequence[str]
) -> dg.ScheduleDefinition:
    """Every hour, ask for exactly the raw partitions that landing objects have made stale."""

    @dg.schedule(
        name="hourly_ingestion",
        job_name=jobs.INGEST,
        cron_schedule=HOURLY,
        execution_timezone=settings.reporting_time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Raw partitions that new landing objects have made stale; their loads follow.",
    )
    def evaluate(context: dg.ScheduleEvaluationContext) -> Sequence[dg.RunRequest] | dg.SkipReason:
        instance = context.instance
        tenants = instance.get_dynamic_partitions(TENANT_PARTITIONS)
        stale = buildable(
            stale_partitions(store, streams=streams), partitions, tenants, context.scheduled_execution_time
        )
        waiting = _waiting_partitions(instance, tenants)
        failures = _failures_of_a_day(instance, tenants)
        requests = [
            _ingest_request(each, left_out, streams)
            for left_out, part in raw_parts(set(stale) - waiting, streams, read_removals(store))
            for each in to_request(part, tenants, failures)
        ]
        if not requests:
            return dg.SkipReason(
                f"{len(stale)} partitions are stale; of these {len(waiting.intersection(stale))} wait in runs"
            )
        return requests

    return evaluate


def loads_follow_ingestion(all_jobs: Sequence[UnresolvedAssetJobDefinition]) -> dg.SensorDefinition:
    """Load the days that an ingestion run has built."""
    by_name = {job.name: job for job in all_jobs}

    @dg.run_status_sensor(
        name="loads_follow_ingestion",
        run_status=dg.DagsterRunStatus.SUCCESS,
        monitored_jobs=[by_name[jobs.INGEST]],
        request_job=by_name[jobs.LOAD],
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Loads the days of each ingestion run.",
    )
    def evaluate(context: dg.RunStatusSensorContext) -> dg.RunRequest | dg.SkipReason:
        span = raw_span(context.dagster_run)
        if span is None:
            return dg.SkipReason("the run built no raw partitions")
        return _request(jobs.LOAD, *span, run_key=context.dagster_run.run_id)

    return evaluate


def nightly_build(settings: Settings, store: ObjectStore) -> dg.ScheduleDefinition:
    """Every night, build the closed day and every older day that late data has touched since."""

    @dg.schedule(
        name="nightly_build",
        job_name=jobs.BUILD,
        cron_schedule=NIGHTLY,
        execution_timezone=settings.reporting_time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="KPIs and extracts of the closed day and of older days that late data touched; pages follow.",
    )
    def evaluate(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        now = datetime.now(UTC)
        local = context.scheduled_execution_time.astimezone(ZoneInfo(settings.reporting_time_zone))
        closed = local.date() - timedelta(days=1)
        earliest = first_day_to_build(store, last_watermark(context.instance))
        if earliest is None:
            return dg.SkipReason("nothing has landed or changed since the last complete build")
        tags = {**Watermark(now, closed).tags(), PUBLISHES_TAG: "true"}
        return _request(jobs.BUILD, min(earliest, closed), closed, run_key=closed.isoformat(), tags=tags)

    return evaluate


def hourly_look_back(settings: Settings, partitions: Partitions) -> dg.ScheduleDefinition:
    """Every hour, judge the promises that may have fallen due, and record the checks that were evaluated since."""

    @dg.schedule(
        name="hourly_look_back",
        job_name=jobs.LOOK_BACK,
        cron_schedule=LOOKING_BACK,
        execution_timezone=settings.reporting_time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Promises that may have fallen due, and the checks that were evaluated since.",
    )
    def evaluate(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest]:
        spans = look_back_spans(context.instance, partitions, context.scheduled_execution_time)
        hour = f"{context.scheduled_execution_time:%Y-%m-%dT%H}"
        return [
            dg.RunRequest(
                run_key=f"{hour} {key.path[-1]}",
                asset_selection=[key],
                tags={
                    **range_tags(first.isoformat(), last.isoformat()),
                    "dagster/priority": PRIORITY[jobs.LOOK_BACK],
                },
            )
            for key, (first, last) in spans.items()
        ]

    return evaluate


def monday_report(settings: Settings, store: ObjectStore) -> dg.ScheduleDefinition:
    """On Monday morning, ask once for the report of the week that is over, as soon as its Sunday is published."""

    @dg.schedule(
        name=MONDAY_REPORT,
        job_name=jobs.REPORT,
        cron_schedule=MONDAY,
        execution_timezone=settings.reporting_time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="The report of the week that is over, once its Sunday is published; at nine in any case.",
    )
    def evaluate(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        local = context.scheduled_execution_time.astimezone(ZoneInfo(settings.reporting_time_zone))
        week = newest_week(local.date())
        late = late_extracts(
            store, load_catalog(settings.tenants_file, settings.extension_catalog), week + timedelta(days=6)
        )
        if late and local.hour < LAST_CHANCE:
            return dg.SkipReason(f"not published for the week's Sunday yet: {', '.join(late)}")
        # A schedule's run key says nothing of its other hours: Dagster knows a key by the hour that gave it.
        if asked := _asked_for(context.instance, week):
            return dg.SkipReason(f"run {asked} was asked for the week already")
        return dg.RunRequest(
            run_key=week.isoformat(),
            partition_key=week.isoformat(),
            tags={"dagster/priority": PRIORITY[jobs.REPORT]},
        )

    return evaluate


def _asked_for(instance: dg.DagsterInstance, week: date) -> str | None:
    """The run that an earlier hour has asked for, unless it has failed."""
    statuses = [each for each in dg.DagsterRunStatus if each not in _TO_BE_REPEATED]
    tags = {SCHEDULE_TAG: MONDAY_REPORT, PARTITION_TAG: week.isoformat()}
    found = instance.get_runs(dg.RunsFilter(job_name=jobs.REPORT, statuses=statuses, tags=tags), limit=1)
    return found[0].run_id if found else None


def pages_follow_build(all_jobs: Sequence[UnresolvedAssetJobDefinition]) -> dg.SensorDefinition:
    """Publish the dashboards as of the last day of a nightly build."""
    by_name = {job.name: job for job in all_jobs}

    @dg.run_status_sensor(
        name="pages_follow_build",
        run_status=dg.DagsterRunStatus.SUCCESS,
        monitored_jobs=[by_name[jobs.BUILD]],
        request_job=by_name[jobs.PUBLISH],
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Publishes the dashboards after a nightly build.",
    )
    def evaluate(context: dg.RunStatusSensorContext) -> dg.RunRequest | dg.SkipReason:
        run = context.dagster_run
        if PUBLISHES_TAG not in run.tags:
            return dg.SkipReason("not a nightly build: who builds days by hand decides what is published")
        return _pages_request(context.instance, run, date.fromisoformat(run.tags[RANGE_END_TAG]))

    return evaluate


def rest_follows_held_back(all_jobs: Sequence[UnresolvedAssetJobDefinition]) -> dg.SensorDefinition:
    """Do what a run left undone when blocking checks failed in some of its days, for the others."""
    by_name = {job.name: job for job in all_jobs}

    @dg.run_status_sensor(
        name="rest_follows_held_back",
        run_status=dg.DagsterRunStatus.FAILURE,
        monitored_jobs=[by_name[jobs.LOAD], by_name[jobs.BUILD]],
        request_jobs=[by_name[jobs.LOAD], by_name[jobs.BUILD], by_name[jobs.PUBLISH]],
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Runs again without the days in which a blocking check failed.",
    )
    def evaluate(context: dg.RunStatusSensorContext) -> list[dg.RunRequest] | dg.SkipReason:
        run = context.dagster_run
        held = held_back(context.instance, run)
        if held is None:
            return dg.SkipReason("it failed for something that names no days")
        requests = [_rest_request(run, held, span) for span in held.spans]
        if not held.assets and PUBLISHES_TAG in run.tags:
            requests += [_pages_request(context.instance, run, max(days)) for days in [held.good_days] if days]
        return requests or dg.SkipReason("no day is left, or none that may be tried again")

    return evaluate


def buildable(
    stale: Sequence[DayTenant], partitions: Partitions, tenants: Sequence[str], now: datetime
) -> list[DayTenant]:
    """Those stale partitions that exist in Dagster by now.

    East of the reporting zone a tenant's day begins earlier: its events wait until that day has begun here.
    """
    first, last = partitions.first_day, partitions.last_day(now)
    return [(day, tenant) for day, tenant in stale if first <= day <= last and tenant in tenants]


def to_request(
    stale: Iterable[DayTenant], tenants: Sequence[str], failures: Mapping[DayTenant, int]
) -> list[Rectangle]:
    """The runs that stale partitions ask for.

    What has failed today goes alone, so that one bad partition does not take its neighbours down again, and not
    more often than `ATTEMPTS_A_DAY`: what fails for its data fails every time.
    """
    fresh = [partition for partition in stale if not failures.get(partition, 0)]
    again = sorted(partition for partition in stale if 0 < failures.get(partition, 0) < ATTEMPTS_A_DAY)
    return rectangles(fresh, tenants) + [Rectangle(day, day, (tenant,)) for day, tenant in again]


def raw_span(run: dg.DagsterRun) -> tuple[date, date] | None:
    """First and last day of the raw partitions that a run was asked for."""
    if RANGE_START_TAG in run.tags:
        return parse_raw_key(run.tags[RANGE_START_TAG])[0], parse_raw_key(run.tags[RANGE_END_TAG])[0]
    if PARTITION_TAG in run.tags:
        day, _ = parse_raw_key(run.tags[PARTITION_TAG])
        return day, day
    return None


def _ingest_request(rectangle: Rectangle, left_out: LeftOut, streams: Sequence[str]) -> dg.RunRequest:
    """A run over days and tenants, without the streams that retention has removed there."""
    start, end = rectangle.tags[RANGE_START_TAG], rectangle.tags[RANGE_END_TAG]
    tags = {**rectangle.tags, "dagster/priority": PRIORITY[jobs.INGEST]}
    chosen = None
    if left_out:
        kept = [keys.raw(stream) for stream in streams if keys.raw(stream) not in left_out]
        chosen = [keys.LANDING_EVENTS, keys.DEAD_LETTERS, *kept]
    return dg.RunRequest(run_key=f"{start}..{end}", tags=tags, asset_selection=chosen)


def _request(job: str, first: date, last: date, *, run_key: str, tags: dict[str, str] | None = None) -> dg.RunRequest:
    return dg.RunRequest(
        job_name=job,
        run_key=run_key,
        tags={
            **range_tags(first.isoformat(), last.isoformat()),
            "dagster/priority": PRIORITY[job],
            **(tags or {}),
        },
    )


def _rest_request(run: dg.DagsterRun, held: HeldBack, span: tuple[date, date]) -> dg.RunRequest:
    return dg.RunRequest(
        job_name=run.job_name,
        run_key=f"{run.run_id} {span[0]}",
        tags=held.rest_tags(run.tags, span),
        asset_selection=sorted(held.assets),
    )


def _pages_request(instance: dg.DagsterInstance, run: dg.DagsterRun, last: date) -> dg.RunRequest:
    """Pages as of a build's last day. Parts of a build end in any order, and pages do not go back for an older one."""
    as_of = max(last, _last_published(instance) or last) if SPLIT_FROM_TAG in run.tags else last
    return _request(jobs.PUBLISH, as_of, as_of, run_key=run.run_id)


def _last_published(instance: dg.DagsterInstance) -> date | None:
    published = dg.RunsFilter(job_name=jobs.PUBLISH, statuses=[dg.DagsterRunStatus.SUCCESS])
    runs = instance.get_runs(published, limit=_PUBLISHED_LOOKED_AT)
    return max((date.fromisoformat(run.tags[RANGE_END_TAG]) for run in runs if RANGE_END_TAG in run.tags), default=None)


def _waiting_partitions(instance: dg.DagsterInstance, tenants: Sequence[str]) -> set[DayTenant]:
    """Partitions of ingestion runs that have not ended: a slow hour must not pile the next one on top."""
    runs = instance.get_runs(dg.RunsFilter(job_name=jobs.INGEST, statuses=_UNFINISHED))
    return {partition for run in runs for partition in _partitions_of(run, tenants)}


def _partitions_of(run: dg.DagsterRun, tenants: Sequence[str]) -> Iterator[DayTenant]:
    if RANGE_START_TAG not in run.tags:
        return
    first, first_tenant = parse_raw_key(run.tags[RANGE_START_TAG])
    last, last_tenant = parse_raw_key(run.tags[RANGE_END_TAG])
    neighbours = tenants[tenants.index(first_tenant) : tenants.index(last_tenant) + 1]
    yield from Rectangle(first, last, tuple(neighbours)).partitions


def _failures_of_a_day(instance: dg.DagsterInstance, tenants: Sequence[str]) -> Counter[DayTenant]:
    failed = dg.RunsFilter(
        job_name=jobs.INGEST,
        statuses=[dg.DagsterRunStatus.FAILURE],
        created_after=datetime.now(UTC) - timedelta(days=1),
    )
    return Counter(partition for run in instance.get_runs(failed) for partition in _partitions_of(run, tenants))
