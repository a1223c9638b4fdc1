"""Dagster's own home on one machine: its configuration file, its storage, and opening it.

Belongs here: what an embedded Dagster instance keeps, limits and forgets. Stays out: assets, schedules, and the
instance of a deployment on Kubernetes, which the Helm chart configures.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from dagster import DagsterInstance

from analytics_platform.defs.pools import BACKFILL_TAG, WAREHOUSE_POOL_LIMIT

CODE_LOCATION = "analytics_platform.definitions"
"""The composition root. It stands above this package, so it is loaded by name, as Dagster's own processes load it."""

EVENT_BATCH_SIZE = 500
"""Events that Dagster hands to the event log at once; a batch holds that many serialized events in memory."""

TICKS_KEPT_DAYS = 30
"""Hourly and per-minute ticks are of no use after an incident is closed, and grow without bound otherwise."""

CONCURRENT_RUNS = 2
"""Each run is a process of about 300 MB; one place stays free for the hourly run while a backfill is at work."""

_PROCESS_ENVIRONMENT = {
    "DAGSTER_EVENT_BATCH_SIZE": str(EVENT_BATCH_SIZE),
    "DAGSTER_DISABLE_TELEMETRY": "yes",
}
"""What Dagster takes from the environment alone, so the file cannot say it."""


def instance_config(home: Path) -> dict[str, Any]:
    """The content of dagster.yaml for an instance in `home`."""
    history = home / "history"
    return {
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
        "event_log_storage": {
            "module": "analytics_platform.defs.event_log",
            "class": "BatchingSqliteEventLogStorage",
            "config": {"base_dir": str(history / "runs")},
        },
        "run_storage": {
            "module": "dagster._core.storage.runs",
            "class": "SqliteRunStorage",
            "config": {"base_dir": str(history)},
        },
        "schedule_storage": {
            "module": "dagster._core.storage.schedules",
            "class": "SqliteScheduleStorage",
            "config": {"base_dir": str(home / "schedules")},
        },
        "concurrency": _concurrency(),
        "run_monitoring": {"enabled": True, "free_slots_after_run_end_seconds": 60},
        "retention": {
            "schedule": {"purge_after_days": TICKS_KEPT_DAYS},
            "sensor": {"purge_after_days": {"skipped": 1, "success": TICKS_KEPT_DAYS, "failure": TICKS_KEPT_DAYS}},
        },
        "code_servers": {"local_startup_timeout": 120},
    }


def process_environment(home: Path) -> dict[str, str]:
    """Variables under which a Dagster process of this instance has to run."""
    return {"DAGSTER_HOME": str(home), **_PROCESS_ENVIRONMENT}


def write_instance_config(home: Path) -> Path:
    """Write dagster.yaml, leaving an equal file untouched so that running processes see no change."""
    home.mkdir(parents=True, exist_ok=True)
    path = home / "dagster.yaml"
    text = yaml.safe_dump(instance_config(home), sort_keys=False)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
    return path


@contextmanager
def open_instance(home: Path) -> Iterator[DagsterInstance]:
    """Open the instance in `home`, made on first use, with batched event writes in effect in this process."""
    write_instance_config(home)
    # Dagster reads the batch size from the environment at each event and offers no other way to set it.
    os.environ.update(_PROCESS_ENVIRONMENT)
    with DagsterInstance.from_config(str(home)) as instance:
        yield instance


def _concurrency() -> dict[str, Any]:
    """One run at a time writes the warehouse, and a backfill takes one place at most.

    Pools hold whole runs back rather than steps: a slot that a killed process held as a step would stay taken.
    """
    return {
        "pools": {"granularity": "run", "default_limit": WAREHOUSE_POOL_LIMIT},
        "runs": {
            "max_concurrent_runs": CONCURRENT_RUNS,
            "tag_concurrency_limits": [
                {"key": key, "limit": CONCURRENT_RUNS - 1} for key in ("dagster/backfill", BACKFILL_TAG)
            ],
        },
    }
