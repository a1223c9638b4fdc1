"""How Dagster's instance is, told without starting or changing anything: for `analytics doctor`.

Belongs here: reading Dagster. Stays out: what of it is wrong, and the mend (`doctor.dagster_instance`).
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from dagster import DagsterInstance, DagsterRunStatus, RunsFilter
from sqlalchemy import create_engine, inspect
from sqlalchemy.exc import SQLAlchemyError

from analytics_platform.defs.instance import CODE_LOCATION, instance_config, process_environment
from analytics_platform.defs.run_records import databases_of
from analytics_platform.errors import AnalyticsError
from analytics_platform.settings import Settings, temporary_environment

_CONNECT_SECONDS = 5
_RUNS = "runs"
"""The table that Dagster makes first."""


class InstanceUnreachableError(AnalyticsError):
    """Dagster's database does not answer or refuses; the text says what it said, and the mend."""


@dataclass(frozen=True)
class Daemon:
    """One of the daemons that the instance needs.

    Attributes:
        name: as Dagster calls it.
        seen_at: its last heartbeat; None where it has never run.
        is_healthy: whether that was lately, and without an error.
        error: the first line of its last error.
    """

    name: str
    seen_at: datetime | None
    is_healthy: bool
    error: str | None


@dataclass(frozen=True)
class InstanceHealth:
    """What was read of the instance.

    Attributes:
        storage: the class that keeps runs.
        event_log: the class that keeps events.
        revision: of its tables.
        newest_revision: of this Dagster.
        launcher: the class that starts runs.
        daemons: those that it needs.
        concurrent_runs: how many at once; None where nothing queues.
        pool_granularity: whether pools hold runs or steps back.
        pool_limit: of a pool that has none of its own.
        limited_tags: keys of tags whose runs are limited.
        queued_since: when the run was made that waits for longest.
        running_since: when the run began that has run for longest.
    """

    storage: str
    event_log: str
    revision: str | None
    newest_revision: str | None
    launcher: str
    daemons: Sequence[Daemon]
    concurrent_runs: int | None
    pool_granularity: str | None
    pool_limit: int | None
    limited_tags: frozenset[str]
    queued_since: datetime | None
    running_since: datetime | None


def has_records(settings: Settings) -> bool:
    """Whether Dagster has made its tables; opening an instance would.

    Raises:
        InstanceUnreachableError: the database does not answer.
    """
    databases = databases_of(settings)
    if not databases:
        told = (written_config(settings) or {}).get("run_storage", {}).get("config", {}).get("base_dir")
        return Path(told or settings.dagster_home / "history", "runs.db").is_file()
    ((_, url),) = databases
    engine = create_engine(url, connect_args={"connect_timeout": _CONNECT_SECONDS})
    try:
        return _RUNS in inspect(engine).get_table_names()
    except SQLAlchemyError as error:
        said = str(getattr(error, "orig", error)).strip().splitlines()[0]
        raise InstanceUnreachableError(
            f"{said}; look at dagster_postgres_host, _user, _password, _sslmode and the network policy"
        ) from error
    finally:
        engine.dispose()


def written_config(settings: Settings) -> Mapping[str, Any] | None:
    """What dagster.yaml says now; None where there is none."""
    path = settings.dagster_home / "dagster.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None


def is_as_settings_say(settings: Settings) -> bool:
    """Whether dagster.yaml is what the settings make it; one of the deployment's own is."""
    return settings.dagster_config_file is not None or written_config(settings) == instance_config(settings)


def instance_health(settings: Settings) -> InstanceHealth:
    """Read the instance that dagster.yaml describes; it has records."""
    with (
        temporary_environment(process_environment(settings)),
        DagsterInstance.from_config(str(settings.dagster_home)) as instance,
    ):
        revision, newest = instance.run_storage.alembic_version() or (None, None)
        concurrency = instance.get_concurrency_config()
        queue = concurrency.run_queue_config
        granularity = concurrency.pool_config.pool_granularity
        return InstanceHealth(
            storage=type(instance.run_storage).__name__,
            event_log=type(instance.event_log_storage).__name__,
            revision=revision,
            newest_revision=newest if isinstance(newest, str) else None,
            launcher=type(instance.run_launcher).__name__,
            daemons=_daemons(instance),
            concurrent_runs=queue.max_concurrent_runs if queue else None,
            pool_granularity=granularity.value if granularity else None,
            pool_limit=concurrency.pool_config.default_pool_limit,
            limited_tags=frozenset(str(each["key"]) for each in (queue.tag_concurrency_limits if queue else ())),
            queued_since=_since(instance, DagsterRunStatus.QUEUED),
            running_since=_since(instance, DagsterRunStatus.STARTED),
        )


def graph_size(settings: Settings) -> tuple[int, int, int]:
    """Load the code location in this process: how many assets, checks and jobs it has.

    Raises:
        Exception: whatever keeps it from loading.
    """
    definitions = importlib.import_module(CODE_LOCATION).build_definitions(settings)
    repository = definitions.get_repository_def()
    graph = repository.asset_graph
    return len(graph.get_all_asset_keys()), len(graph.asset_check_keys), len(repository.get_all_jobs())


def _daemons(instance: DagsterInstance) -> list[Daemon]:
    found = []
    for name, status in sorted(instance.get_daemon_statuses().items()):
        beat = status.last_heartbeat
        errors = (beat.errors if beat else None) or []
        found.append(
            Daemon(
                name=name,
                seen_at=datetime.fromtimestamp(beat.timestamp, UTC) if beat else None,
                is_healthy=bool(status.healthy),
                error=errors[0].message.strip().splitlines()[0] if errors else None,
            )
        )
    return found


def _since(instance: DagsterInstance, status: DagsterRunStatus) -> datetime | None:
    oldest = instance.get_run_records(RunsFilter(statuses=[status]), limit=1, ascending=True)
    if not oldest:
        return None
    began = oldest[0].start_time if status is DagsterRunStatus.STARTED else None
    return datetime.fromtimestamp(began, UTC) if began else oldest[0].create_timestamp.astimezone(UTC)
