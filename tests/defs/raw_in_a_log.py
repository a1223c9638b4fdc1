"""An instance in which one asset of raw is built over ranges of days and tenants, or fails to be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import dagster as dg
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.partitions import TENANT_PARTITIONS, partitions_from, range_tags
from analytics_platform.settings import Settings

KEY = dg.AssetKey(["raw", "billing"])
DAILY = dg.AssetKey(["ops", "ledger"])
PARTITIONS = partitions_from(date(2026, 1, 1), "Europe/Amsterdam")
DEFINITIONS = {KEY: PARTITIONS.day_tenant, DAILY: PARTITIONS.day}
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@contextmanager
def instance_of_two_tenants(home: Path) -> Iterator[dg.DagsterInstance]:
    with open_instance(Settings(home=home)) as instance:
        instance.add_dynamic_partitions(TENANT_PARTITIONS, ["a", "b"])
        yield instance


def built(instance: dg.DagsterInstance, first: str, last: str, *, key: dg.AssetKey = KEY, fails: bool = False) -> str:
    """A run over a range; its id."""

    @dg.asset(key=key, partitions_def=DEFINITIONS[key], backfill_policy=dg.BackfillPolicy.single_run())
    def some() -> dg.MaterializeResult[None]:
        if fails:
            raise dg.Failure("not today", allow_retries=False)
        return dg.MaterializeResult()

    tags = range_tags(first, last)
    return dg.materialize([some], instance=instance, tags=tags, run_config=QUIET, raise_on_error=False).run_id


def log(instance: dg.DagsterInstance) -> SqlEventLogStorage:
    storage = instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage)
    return storage
