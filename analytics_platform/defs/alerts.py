"""When somebody looks, and when what was seen is told: the sensor `alerts`, the daily digest, the heartbeat.

    alerts (a minute) ──► watch.look ──► desk ──► outbox ──► Slack, where there is a token
          └─ an incident changed ──► job incidents ──► ops.incidents

A sensor that breaks fails its tick, judges nothing, and is told by the heartbeat, which says since when nobody looked.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import dagster as dg

from analytics_platform.catalog import load_catalog
from analytics_platform.defs import jobs, keys
from analytics_platform.defs.resources import delivery_from, desk_from, warehouse_from
from analytics_platform.defs.watch import Look, Watch
from analytics_platform.settings import Settings

LOOK_SECONDS = 45
"""With the daemon's own round, an incident is told about a minute after its run has ended."""

PATIENCE_SECONDS = 5.0
"""How long a tick waits for the warehouse: a writer may keep it for minutes, and the next tick comes soon."""

SENDING = timedelta(seconds=20)
"""How long a tick begins to send messages; Dagster gives it a minute in all, and what is left goes with the next."""

HEARTBEAT = "0 7 * * *"
DIGEST = "15 8 * * *"
"""After the silver deadline, when the teams that warnings go to begin their day."""

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""Keeps Dagster's own lines, two for each partition, off the terminal; the event log has them."""

PRIORITY = {"dagster/priority": "10"}


def alerts_sensor(settings: Settings) -> dg.SensorDefinition:
    """Judge what has ended since the last look, and tell it."""

    @dg.sensor(
        name="alerts",
        job_name=jobs.INCIDENTS,
        minimum_interval_seconds=LOOK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Opens, updates and closes incidents from runs, checks, promises, figures and refused events.",
    )
    def evaluate(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if context.repository_def is None:
            raise dg.DagsterInvalidInvocationError("the sensor `alerts` needs the graph whose runs it judges")
        now = datetime.now(UTC)
        watch = watch_from(settings, context.repository_def, patience=PATIENCE_SECONDS)
        look = watch.look(context.instance, now)
        deliver(settings)
        if look.is_news or _is_table_missing(context.instance):
            return dg.RunRequest(run_key=f"alerts {now.isoformat()}", tags=PRIORITY)
        return dg.SkipReason(_nothing_new(look))

    return evaluate


def daily_digest(settings: Settings) -> dg.ScheduleDefinition:
    """Every morning, tell each team its warnings."""
    return _daily(
        settings,
        "daily_digest",
        DIGEST,
        lambda now: desk_from(settings, load_catalog(settings.tenants_file, settings.extension_catalog)).digest(now),
        description="Tells each team the warnings that are open or over since yesterday.",
    )


def heartbeat(settings: Settings) -> dg.ScheduleDefinition:
    """Every morning, prove that alerting is alive, or say that it is not."""
    return _daily(
        settings,
        "heartbeat",
        HEARTBEAT,
        lambda now: desk_from(settings, load_catalog(settings.tenants_file, settings.extension_catalog)).heartbeat(now),
        description="Proves once a day that alerting is alive; says since when nobody has judged, where it is not.",
    )


def watch_from(settings: Settings, repository: dg.RepositoryDefinition, *, patience: float | None = None) -> Watch:
    """The watch over one deployment.

    Args:
        settings: the deployment.
        repository: its graph.
        patience: seconds that a look waits for the warehouse; by default as long as everybody.
    """
    catalog = load_catalog(settings.tenants_file, settings.extension_catalog)
    warehouse = warehouse_from(settings, patience)
    return Watch(desk_from(settings, catalog), catalog, warehouse, repository, settings.reporting_time_zone)


def judge_and_tell(settings: Settings, definitions: dg.Definitions, instance: dg.DagsterInstance) -> Look:
    """Look at what has been run in this process, tell it, and bring the table of incidents up to date.

    Whoever has no daemon loses nothing by it: incidents, messages and the table are as the sensor would leave them.
    """
    now = datetime.now(UTC)
    look = watch_from(settings, definitions.get_repository_def()).look(instance, now)
    deliver(settings)
    if look.is_news or _is_table_missing(instance):
        definitions.resolve_job_def(jobs.INCIDENTS).execute_in_process(instance=instance, run_config=QUIET)
    return look


def deliver(settings: Settings) -> None:
    """Send what waits, where there is a token; what cannot be sent now waits for the next time."""
    delivery = delivery_from(settings)
    if delivery is not None:
        delivery.deliver(within=SENDING)


def _daily(
    settings: Settings, name: str, cron: str, write: Callable[[datetime], object], *, description: str
) -> dg.ScheduleDefinition:
    """A schedule that writes messages, and asks for the table of incidents as they stand then."""

    @dg.schedule(
        name=name,
        job_name=jobs.INCIDENTS,
        cron_schedule=cron,
        execution_timezone=settings.reporting_time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=description,
    )
    def evaluate(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
        write(datetime.now(UTC))
        deliver(settings)
        return dg.RunRequest(run_key=f"{name} {context.scheduled_execution_time:%Y-%m-%d}", tags=PRIORITY)

    return evaluate


def _is_table_missing(instance: dg.DagsterInstance) -> bool:
    """Whether the table of incidents was never built: who asks it for incidents is to find none, not no table."""
    return instance.get_latest_materialization_event(keys.INCIDENTS) is None


def _nothing_new(look: Look) -> str:
    counts = ", ".join(f"{count} {severity}" for severity, count in sorted(look.open_incidents.items())) or "none"
    waits = f"; figures wait: {look.postponed}" if look.postponed else ""
    return f"{look.runs} runs judged, nothing new; open incidents: {counts}{waits}"
