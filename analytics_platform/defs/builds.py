"""When what was built, by which run: Dagster's materializations as evidence on promises.

Belongs here: reading them through the instance's own API, which answers alike on SQLite and Postgres. Stays out: what
they prove (`insights.promises`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime

import dagster as dg

from analytics_platform.defs import keys
from analytics_platform.defs.partitions import parse_raw_key
from analytics_platform.insights.promises import Build, BuildKey

_EVENTS_A_PAGE = 1_000
_KEYS_A_QUERY = 500


def builds_of(instance: dg.DagsterInstance, wanted: Mapping[dg.AssetKey, Sequence[str]]) -> dict[BuildKey, list[Build]]:
    """Materializations of the given partitions, by asset, day and (of raw) tenant.

    One whose run Dagster has forgotten is no evidence: nobody knows any more when it began to read.

    Args:
        instance: remembers them.
        wanted: partition keys by asset.
    """
    events = [(key, record) for key, partitions in wanted.items() for record in _records(instance, key, partitions)]
    started = _started(instance, sorted({record.run_id for _, record in events}))
    found: dict[BuildKey, list[Build]] = {}
    for key, record in events:
        if record.run_id in started and record.partition_key is not None:
            at = datetime.fromtimestamp(record.timestamp, UTC)
            build = Build(started[record.run_id], at, record.run_id)
            found.setdefault(_build_key(key, record.partition_key), []).append(build)
    return found


def _build_key(key: dg.AssetKey, partition: str) -> BuildKey:
    if keys.layer(key) == "raw":
        return key.to_user_string(), *parse_raw_key(partition)
    return key.to_user_string(), date.fromisoformat(partition), None


def _records(instance: dg.DagsterInstance, key: dg.AssetKey, partitions: Sequence[str]) -> Iterator[dg.EventLogRecord]:
    for start in range(0, len(partitions), _KEYS_A_QUERY):
        chosen = dg.AssetRecordsFilter(key, asset_partitions=partitions[start : start + _KEYS_A_QUERY])
        cursor, has_more = None, True
        while has_more:
            page = instance.fetch_materializations(chosen, limit=_EVENTS_A_PAGE, cursor=cursor)
            yield from page.records
            cursor, has_more = page.cursor, page.has_more


def _started(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> dict[str, datetime]:
    found: dict[str, datetime] = {}
    for start in range(0, len(run_ids), _KEYS_A_QUERY):
        records = instance.get_run_records(dg.RunsFilter(run_ids=run_ids[start : start + _KEYS_A_QUERY]))
        found |= {
            record.dagster_run.run_id: datetime.fromtimestamp(record.start_time, UTC)
            for record in records
            if record.start_time is not None
        }
    return found
