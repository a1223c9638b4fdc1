"""What Dagster remembers of partitions that retention removed is wiped, so that nobody takes them for built.

A raw partition is forgotten when its day and tenant are removed, a daily one when the day is removed for every tenant.
Wiping by partition is the work of the event log (`defs.event_batches`); Dagster's own storages refuse, and are helped.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import dagster as dg
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

from analytics_platform.catalog import Catalog
from analytics_platform.defs import keys
from analytics_platform.defs.event_batches import BatchingEventLogStorage, wipe_partitions
from analytics_platform.defs.partitions import parse_raw_key
from analytics_platform.defs.policies import dataset_name
from analytics_platform.lake.removals import Removals

_NOT_BY_DAY = frozenset({"report", "governance"})
"""Weeks and quarters keep their status: that one was reported upon says nothing of anybody."""


def forget_partitions(instance: dg.DagsterInstance, catalog: Catalog, removals: Removals) -> int:
    """Wipe the status of every removed partition that Dagster takes for built; answer how many there were."""
    wiped = 0
    for key in instance.all_asset_keys() if removals else ():
        removed = sorted(_removed(instance, key, catalog, removals))
        if removed:
            _wipe(instance, key, removed)
            wiped += len(removed)
    return wiped


def _wipe(instance: dg.DagsterInstance, key: dg.AssetKey, removed: list[str]) -> None:
    storage = instance.event_log_storage
    if isinstance(storage, SqlEventLogStorage) and not isinstance(storage, BatchingEventLogStorage):
        wipe_partitions(storage, key, removed)
    else:
        instance.wipe_asset_partitions(key, removed)


def _removed(instance: dg.DagsterInstance, key: dg.AssetKey, catalog: Catalog, removals: Removals) -> Iterable[str]:
    if keys.layer(key) in _NOT_BY_DAY:
        return []
    dataset = dataset_name(key)
    newest = removals.newest([dataset])
    if newest is None:
        return []
    built = instance.get_materialized_partitions(key)
    if keys.layer(key) == "raw":
        places = {partition: parse_raw_key(partition) for partition in built}
        return [partition for partition, (day, tenant) in places.items() if removals.covers(dataset, tenant, day)]
    return [
        partition
        for partition in built
        if partition <= newest.isoformat()
        and removals.covers_all(dataset, catalog.tenants, date.fromisoformat(partition))
    ]
