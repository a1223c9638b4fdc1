"""governance/data_quality_review: one review per quarter, as JSON, HTML and PDF, and the schedule that builds it.

Thin: what a review says, keeps and asks to be signed is `governance.review`'s; its checks are in
`asset_checks.reviews`. The partition's key is the quarter's first day. The running quarter has a partition too: a
preview that nobody can sign.
"""

import importlib
from collections.abc import Sequence
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import dagster as dg

from analytics_platform.alerting.outbox import Message
from analytics_platform.alerting.store import SqliteStore
from analytics_platform.catalog import Catalog
from analytics_platform.defs import jobs, keys
from analytics_platform.defs.dbt import Manifest, key_of_table
from analytics_platform.defs.instance import CODE_LOCATION, open_instance
from analytics_platform.defs.interrupted import raise_interrupt
from analytics_platform.defs.review_messages import announcements
from analytics_platform.errors import AnalyticsError
from analytics_platform.governance.review.archive import kept_quarters
from analytics_platform.governance.review.desk import Built, ReviewDesk
from analytics_platform.governance.review.drift import DRIFT_SOURCES
from analytics_platform.governance.review.evidence import RATES, SOURCES
from analytics_platform.governance.review.quarters import Quarter, first_working_day
from analytics_platform.lake.store import ObjectStore
from analytics_platform.settings import Settings
from analytics_platform.warehouse import Warehouse

QUARTERLY = "0 0 1 1,4,7,10 *"
MORNING = "0 7 1-9 1,4,7,10 *"
"""Seven in the morning of each day that may be the first working one: the night's build is done by six."""

HOLIDAYS = "netherlands"
"""The calendar that decides which day is a working day for those who read the review."""

SCHEDULE_TAG = "dagster/schedule_name"
"""On runs that a schedule asked for: those announce their review, whoever builds by hand tells people himself."""

_QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class ReviewNotBuiltError(AnalyticsError):
    """The run that was to build a review failed."""


def quarters_from(history_start: date, time_zone: str) -> dg.TimeWindowPartitionsDefinition:
    """Quarters from the one that holds the first day of history to the running one."""
    first = Quarter.of(history_start).first_day
    return dg.TimeWindowPartitionsDefinition(
        start=first.isoformat(), cron_schedule=QUARTERLY, fmt="%Y-%m-%d", timezone=time_zone, end_offset=1
    )


def quarter_of_key(key: str) -> Quarter:
    """The quarter of a partition."""
    return Quarter.of(date.fromisoformat(key))


def reviewed_quarters(store: ObjectStore) -> list[Quarter]:
    """The quarters whose review is in the lake."""
    return [Quarter.parse(name) for name in kept_quarters(store)]


def review_asset(
    catalog: Catalog, manifest: Manifest, settings: Settings, assets: Sequence[dg.AssetsDefinition]
) -> dg.AssetsDefinition:
    """Build a quarter's review from what the other assets have built of its days."""

    @dg.asset(
        key=keys.REVIEW,
        deps=_deps(manifest, assets),
        partitions_def=quarters_from(settings.history_start, settings.reporting_time_zone),
        description=(
            "Whether each team can rely on its data of the quarter, with the evidence, as HTML, PDF and JSON of "
            "the same "
            "numbers. Signed by finance, operations and the data owner with `analytics review sign`."
        ),
    )
    def data_quality_review(
        context: dg.AssetExecutionContext,
        store: dg.ResourceParam[ObjectStore],
        warehouse: dg.ResourceParam[Warehouse],
    ) -> dg.MaterializeResult[None]:
        quarter, now = quarter_of_key(context.partition_key), datetime.now(UTC)
        desk = ReviewDesk(store, catalog, settings.reporting_time_zone)
        built = desk.build(warehouse, quarter, context.run.run_id, now)
        if SCHEDULE_TAG in context.run.tags or (built.is_changed and built.standing.void):
            _write(announcements(built, catalog, settings.dagster_url), settings, now)
        return dg.MaterializeResult(metadata=_metadata(built))

    return data_quality_review


def quarterly_review(settings: Settings, catalog: Catalog) -> dg.ScheduleDefinition:
    """On the first working day of a quarter, build the review of the one that has ended."""
    holidays = catalog.holiday_calendars[HOLIDAYS].days

    @dg.schedule(
        name="quarterly_review",
        job_name=jobs.REVIEW,
        cron_schedule=MORNING,
        execution_timezone=settings.reporting_time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="The quarterly data-quality review, on the first working day; finance and operations are told.",
    )
    def evaluate(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        today = context.scheduled_execution_time.astimezone(ZoneInfo(settings.reporting_time_zone)).date()
        running = Quarter.of(today)
        working_day = first_working_day(running, holidays)
        if today != working_day:
            return dg.SkipReason(f"the first working day of {running} is {working_day}")
        return dg.RunRequest(run_key=str(running.previous), partition_key=running.previous.first_day.isoformat())

    return evaluate


def build_review(settings: Settings, quarter: Quarter, *, definitions: dg.Definitions | None = None) -> str:
    """Build a quarter's review through Dagster, in this process; answers the run's id.

    Raises:
        ReviewNotBuiltError: the quarter has no partition, or the run failed; the text says why.
    """
    quarters = quarters_from(settings.history_start, settings.reporting_time_zone)
    key = quarter.first_day.isoformat()
    if key not in quarters.get_partition_keys():
        raise ReviewNotBuiltError(
            f"{quarter} has no partition: quarters go from {Quarter.of(settings.history_start)} "
            f"(ANALYTICS_HISTORY_START) "
            f"to {quarter_of_key(quarters.get_partition_keys()[-1])}"
        )
    definitions = definitions or importlib.import_module(CODE_LOCATION).build_definitions(settings)
    with open_instance(settings) as instance:
        result = definitions.resolve_job_def(jobs.REVIEW).execute_in_process(
            instance=instance, partition_key=key, raise_on_error=False, run_config=_QUIET
        )
    raise_interrupt(result)
    if not result.success:
        raise ReviewNotBuiltError(f"the review of {quarter} was not built: {_why(result)}")
    return result.run_id


def _write(messages: Sequence[Message], settings: Settings, at: datetime) -> None:
    with SqliteStore(settings.alerts_path).transaction() as session:
        for message in messages:
            session.write(message, at)


def _deps(manifest: Manifest, assets: Sequence[dg.AssetsDefinition]) -> list[dg.AssetDep]:
    """The assets behind the sources, as far as the graph has them; of a running quarter not all days exist yet."""
    specs = {spec.key: spec for asset in assets for spec in asset.specs}
    tables = [source.table for source in (*SOURCES, *DRIFT_SOURCES)]
    found = [specs[key] for key in (_key_of(manifest, table) for table in tables) if key in specs]
    quarters = dg.TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True)
    return [
        dg.AssetDep(
            spec.key,
            partition_mapping=quarters if isinstance(spec.partitions_def, dg.TimeWindowPartitionsDefinition) else None,
        )
        for spec in found
    ]


def _key_of(manifest: Manifest, table: str) -> dg.AssetKey:
    schema, _, name = table.partition(".")
    if schema == "ops":
        return dg.AssetKey([schema, name])
    if table == RATES.table:
        return dg.AssetKey(["reference", name])
    return keys.loaded(name) if schema == "raw" else key_of_table(manifest, table)


def _metadata(built: Built) -> dict[str, dg.MetadataValue]:
    content = built.review.content
    answers = {verdict.domain: verdict.answer for verdict in content.verdicts}
    return {
        "quarter": dg.MetadataValue.text(content.scope.quarter),
        "status": dg.MetadataValue.text(built.standing.status),
        "content_sha256": dg.MetadataValue.text(built.review.sha256),
        "content_changed": dg.MetadataValue.bool(built.is_changed),
        "void_signatures": dg.MetadataValue.int(len(built.standing.void)),
        "verdicts": dg.MetadataValue.json(answers),
        "files": dg.MetadataValue.json(sorted(built.sizes)),
        "bytes": dg.MetadataValue.int(sum(built.sizes.values())),
    }


def _why(result: dg.ExecuteInProcessResult) -> str:
    failures = result.filter_events(lambda event: event.is_step_failure)
    messages = []
    for event in failures:
        error = event.step_failure_data.error
        while error is not None and error.cause is not None:
            error = error.cause
        messages.append(error.message.strip() if error else "it failed")
    return "; ".join(messages) or "see the run in Dagster"
