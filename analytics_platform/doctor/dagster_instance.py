"""Dagster's instance: its records, its queue, whether its daemons live, whether runs get through."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from analytics_platform.defs.health import (
    InstanceHealth,
    has_records,
    instance_health,
    is_as_settings_say,
    written_config,
)
from analytics_platform.defs.pools import BACKFILL_TAG, WAREHOUSE_POOL_LIMIT
from analytics_platform.doctor.deployment import Deployment
from analytics_platform.doctor.findings import Finding, fail, ok, skipped, warn
from analytics_platform.settings import Settings

_LONGEST_QUEUE = timedelta(hours=2)
_DAEMON = "start it: `analytics up`, or the daemon's pod; then look at its log"


def look(deployment: Deployment) -> Iterator[Finding]:
    """Records first: nothing else can be read without them."""
    settings = deployment.settings
    if not has_records(settings):
        yield _without_records(deployment, settings)
        return
    if written_config(settings) is None:
        config = settings.dagster_home / "dagster.yaml"
        yield fail("dagster.yaml", f"{config} is not there, and there are records", "run `analytics up`, or mount it")
        return
    if not is_as_settings_say(settings):
        found = "it is not what the settings make it now; processes that run go by it until they are started again"
        yield warn("dagster.yaml", found, "start `analytics up`, or whatever runs, again")
    health = instance_health(settings)
    yield _records(health)
    yield from _queue(settings, health)
    yield from _daemons(deployment, health)
    yield from _runs(deployment, health)


def _without_records(deployment: Deployment, settings: Settings) -> Finding:
    if settings.dagster_postgres_host is None:
        return skipped("instance", "nothing was ever run here")
    found = f"the database {settings.dagster_postgres_database} answers, and Dagster has no tables in it yet"
    if deployment.serves_people:
        return warn("instance", found, "its first process makes them: start the daemon; is it the right database?")
    return ok("instance", found)


def _records(health: InstanceHealth) -> Finding:
    if health.revision != health.newest_revision:
        found = f"tables are of revision {health.revision}, and this Dagster's is {health.newest_revision}"
        return fail("instance", found, "back the database up, then run `dagster instance migrate`")
    return ok("instance", f"{health.storage}, {health.event_log}, revision {health.revision}; {health.launcher}")


def _queue(settings: Settings, health: InstanceHealth) -> Iterator[Finding]:
    problems = list(_queue_problems(settings, health))
    yield from problems
    if not problems:
        yield ok("queue", f"{health.concurrent_runs} runs at once, one at a time in a pool, backfills limited")


def _queue_problems(settings: Settings, health: InstanceHealth) -> Iterator[Finding]:
    mend = "write it as docs/dagster-in-production.md says, or unset dagster_config_file"
    if health.concurrent_runs is None:
        yield fail("queue", "runs start at once instead of queueing: two would write the warehouse", mend)
        return
    if health.concurrent_runs != settings.dagster_concurrent_runs:
        said = settings.dagster_concurrent_runs
        found = f"{health.concurrent_runs} runs at once, and dagster_concurrent_runs says {said}"
        yield warn("queue", found, "set dagster_concurrent_runs to what dagster.yaml says, or the other way round")
    if (health.pool_limit, health.pool_granularity) != (WAREHOUSE_POOL_LIMIT, "run"):
        found = (
            f"a pool lets {health.pool_limit or 'any number'} in by {health.pool_granularity or 'step'}, not one run"
        )
        yield fail("queue", found, mend)
    if BACKFILL_TAG not in health.limited_tags:
        yield fail("queue", "backfills may take every place: the hourly run would wait for them", mend)


def _daemons(deployment: Deployment, health: InstanceHealth) -> Iterator[Finding]:
    failing = fail if deployment.serves_people else warn
    mend = _DAEMON if deployment.serves_people else "run `analytics up`"
    beats = [each.seen_at for each in health.daemons if each.seen_at]
    if not beats:
        yield failing("daemons", "none has ever run: no schedule and no sensor fires", mend)
        return
    for each in health.daemons:
        if each.error:
            yield failing("daemons", f"{each.name}: {each.error}", "look at the daemon's log")
    silent = [each.name for each in health.daemons if not each.is_healthy and not each.error]
    if len(silent) == len(health.daemons):
        found = f"none lives; last seen at {max(beats):%Y-%m-%d %H:%M:%S} UTC: no schedule and no sensor fires"
        yield failing("daemons", found, mend)
    elif silent:
        yield failing("daemons", f"not seen lately: {', '.join(silent)}", mend)
    elif all(each.is_healthy for each in health.daemons):
        yield ok("daemons", f"{len(health.daemons)} live")


def _runs(deployment: Deployment, health: InstanceHealth) -> Iterator[Finding]:
    now, longest = deployment.now, timedelta(hours=deployment.settings.dagster_run_hours)
    if health.queued_since and now - health.queued_since > _LONGEST_QUEUE:
        found = f"one waits since {health.queued_since:%Y-%m-%d %H:%M} UTC"
        yield warn(
            "runs", found, "see what holds its pool, or whether the daemon lives; end it in the UI if it is stale"
        )
    if health.running_since and now - health.running_since > longest:
        found = f"one runs since {health.running_since:%Y-%m-%d %H:%M} UTC, longer than dagster_run_hours"
        yield warn("runs", found, "end it in the UI; without a daemon nobody else does")
