"""Dagster's instance: its configuration file, made from settings, and opening it.

Belongs here: what an instance keeps and where, how much it does at once, and what it forgets by itself. Stays out:
assets and schedules; how processes and pods of a deployment are started (`serve`, the Helm chart).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import yaml
from dagster import DagsterInstance
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage

from analytics_platform.defs.pools import BACKFILL_TAG, WAREHOUSE_POOL_LIMIT
from analytics_platform.errors import AnalyticsError
from analytics_platform.home_state import mark_new
from analytics_platform.lake.layout import RUN_LOGS_PREFIX
from analytics_platform.lake.stores import LAKE_URL
from analytics_platform.settings import PREFIX, Settings

CODE_LOCATION = "analytics_platform.definitions"
"""The composition root. It stands above this package, so it is loaded by name, as Dagster's own processes load it."""

EVENT_BATCH_SIZE = 500
"""Events that Dagster hands to the event log at once; a batch holds that many serialized events in memory."""

TICKS_KEPT_DAYS = 30
"""Hourly and per-minute ticks are of no use after an incident is closed, and grow without bound otherwise."""

RETRIES = 1
"""Of a run whose process died; a run that failed in a step says why, and fails again until somebody looks."""

PASSWORD_VARIABLE = f"{PREFIX}DAGSTER_POSTGRES_PASSWORD"
"""Where dagster.yaml says that the password is; no file holds it."""

_BACKFILL_TAGS = ("dagster/backfill", BACKFILL_TAG)

_PROCESS_ENVIRONMENT = {
    "DAGSTER_EVENT_BATCH_SIZE": str(EVENT_BATCH_SIZE),
    "DAGSTER_DISABLE_TELEMETRY": "yes",
}
"""What Dagster takes from the environment alone, so the file cannot say it."""


class InstanceConfigError(AnalyticsError):
    """The instance cannot be as the settings say; the text says what to mend."""


def instance_config(settings: Settings) -> dict[str, Any]:
    """The content of dagster.yaml."""
    return {
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
        **_storages(settings),
        **_compute_logs(settings),
        "concurrency": _concurrency(settings.dagster_concurrent_runs),
        "run_monitoring": {
            "enabled": True,
            "free_slots_after_run_end_seconds": 60,
            "max_runtime_seconds": int(settings.dagster_run_hours * 3600),
        },
        "run_retries": {"enabled": True, "max_retries": RETRIES, "retry_on_asset_or_op_failure": False},
        "retention": {
            "schedule": {"purge_after_days": TICKS_KEPT_DAYS},
            "sensor": {"purge_after_days": {"skipped": 1, "success": TICKS_KEPT_DAYS, "failure": TICKS_KEPT_DAYS}},
        },
        "code_servers": {"local_startup_timeout": 120},
    }


def process_environment(settings: Settings) -> dict[str, str]:
    """Variables under which a Dagster process of this instance has to run."""
    password = settings.dagster_postgres_password
    secrets = {} if password is None else {PASSWORD_VARIABLE: password.get_secret_value()}
    return {"DAGSTER_HOME": str(settings.dagster_home), **_PROCESS_ENVIRONMENT, **secrets}


def write_instance_config(settings: Settings) -> Path:
    """Write dagster.yaml, leaving an equal file untouched so that running processes see no change.

    Raises:
        InstanceConfigError: the deployment has its own and it is not there, or a client is not installed.
    """
    path = settings.dagster_home / "dagster.yaml"
    if (own := settings.dagster_config_file) is not None:
        if own.name != path.name or not own.is_file():
            raise InstanceConfigError(
                f"dagster_config_file: {own} is no file named {path.name}; Dagster reads that name from a folder"
            )
        return own
    if settings.dagster_postgres_host is not None and find_spec("dagster_postgres") is None:
        raise InstanceConfigError("dagster_postgres_host needs dagster-postgres; install analytics-platform[postgres]")
    mark_new(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(instance_config(settings), sort_keys=False)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
    return path


@contextmanager
def open_instance(settings: Settings) -> Iterator[DagsterInstance]:
    """Open the deployment's instance, made on first use, with batched event writes in effect in this process.

    Raises:
        InstanceConfigError: as `write_instance_config`; or a dagster.yaml of the deployment's own keeps records where
            retention and erasure would not look for them.
    """
    write_instance_config(settings)
    # Dagster reads the batch size from the environment at each event and offers no other way to set it.
    os.environ.update(process_environment(settings))
    with DagsterInstance.from_config(str(settings.dagster_home)) as instance:
        _refuse_records_elsewhere(settings, instance)
        yield instance


def _refuse_records_elsewhere(settings: Settings, instance: DagsterInstance) -> None:
    is_sqlite = isinstance(instance.event_log_storage, SqliteEventLogStorage)
    if is_sqlite != (settings.dagster_postgres_host is None):
        where = "SQLite files" if is_sqlite else "a database"
        raise InstanceConfigError(
            f"{settings.dagster_config_file} keeps events in {where}; dagster_postgres_host and its like must name the "
            "same, since retention and erasure of run records go by them"
        )


def database_parameters(settings: Settings) -> dict[str, str]:
    """What libpq is told beside the address; a host that is a folder is that of a socket, and goes by a parameter."""
    host, certificate = settings.dagster_postgres_host, settings.dagster_postgres_root_certificate
    return {
        "sslmode": settings.dagster_postgres_sslmode,
        "application_name": "analytics-dagster",
        **({"host": host} if host and host.startswith("/") else {}),
        **({"sslrootcert": str(certificate)} if certificate else {}),
    }


def _storages(settings: Settings) -> dict[str, Any]:
    """Where events, runs and schedules are: files of the home, or one database for all machines."""
    if (host := settings.dagster_postgres_host) is None:
        history, schedules = settings.dagster_home / "history", settings.dagster_home / "schedules"
        stores = {
            "event_log": ("analytics_platform.defs.event_log", "BatchingSqliteEventLogStorage", history / "runs"),
            "run": ("dagster._core.storage.runs", "SqliteRunStorage", history),
            "schedule": ("dagster._core.storage.schedules", "SqliteScheduleStorage", schedules),
        }
        return {
            f"{name}_storage": {"module": module, "class": of_class, "config": {"base_dir": str(folder)}}
            for name, (module, of_class, folder) in stores.items()
        }
    database = _database(settings, host)
    shared = {
        "event_log": ("analytics_platform.defs.event_log_postgres", "BatchingPostgresEventLogStorage"),
        "run": ("dagster_postgres", "PostgresRunStorage"),
        "schedule": ("dagster_postgres", "PostgresScheduleStorage"),
    }
    return {
        f"{name}_storage": {"module": module, "class": of_class, "config": {"postgres_db": database}}
        for name, (module, of_class) in shared.items()
    }


def _database(settings: Settings, host: str) -> dict[str, Any]:
    password = settings.dagster_postgres_password
    return {
        "username": settings.dagster_postgres_user,
        **({} if password is None else {"password": {"env": PASSWORD_VARIABLE}}),
        "hostname": "" if host.startswith("/") else host,
        "port": settings.dagster_postgres_port,
        "db_name": settings.dagster_postgres_database,
        "params": database_parameters(settings),
        # SQLAlchemy 2.1 takes psycopg 3 for a bare `postgresql`, and dagster-postgres speaks psycopg2's dialect.
        "scheme": "postgresql+psycopg2",
    }


def _compute_logs(settings: Settings) -> dict[str, Any]:
    """What steps print goes where the lake is, below a prefix of its own; into the home by default."""
    found = re.fullmatch(LAKE_URL, settings.lake_url or "")
    if found is None:
        return {}
    where = {
        "bucket": found["bucket"],
        "prefix": "/".join(filter(None, (found["prefix"], RUN_LOGS_PREFIX.strip("/")))),
        "local_dir": str(settings.dagster_home / "storage"),
    }
    if found["scheme"] == "gs":
        return {"compute_logs": _configured("dagster_gcp.gcs", "GCSComputeLogManager", where)}
    chosen = {
        "endpoint_url": settings.lake_s3_endpoint,
        "region": settings.lake_s3_region,
        "path_style": settings.lake_s3_path_style,
        "encryption": settings.lake_s3_encryption,
        "kms_key": settings.lake_s3_kms_key,
    }
    config = {**where, **{name: value for name, value in chosen.items() if value is not None}}
    return {"compute_logs": _configured("analytics_platform.defs.compute_logs", "LakeS3ComputeLogManager", config)}


def _configured(module: str, of_class: str, config: dict[str, Any]) -> dict[str, Any]:
    return {"module": module, "class": of_class, "config": config}


def _concurrency(runs: int) -> dict[str, Any]:
    """One run at a time writes the warehouse, and the two kinds of backfill together leave a place free for the hour.

    Pools hold whole runs back rather than steps: a slot that a killed process held as a step would stay taken.
    """
    return {
        "pools": {"granularity": "run", "default_limit": WAREHOUSE_POOL_LIMIT},
        "runs": {
            "max_concurrent_runs": runs,
            "tag_concurrency_limits": [
                {"key": key, "limit": (runs - 1) // len(_BACKFILL_TAGS)} for key in _BACKFILL_TAGS
            ],
        },
    }
