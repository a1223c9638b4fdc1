"""What Dagster has summed up of an asset's partitions: when that still holds, and what is left of it after a removal.

Dagster keeps, for each asset, which partitions are built, being built and failed, as the text of a set of keys. It
reads that text and writes it again each time that somebody looks, and makes it from all events anew when it is gone.
With a hundred thousand partitions of each raw stream that is a quarter of a second an asset, and five seconds.

Belongs here: the two short cuts, whose results are what Dagster would come to. Stays out: reading and writing the text
(`event_batches`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import dagster as dg
from dagster._core.definitions.partitions.subset import DefaultPartitionsSubset
from dagster._core.storage.event_log.base import AssetRecord
from dagster._core.storage.partition_status_cache import AssetStatusCacheValue


def settled(
    record: AssetRecord | None, last_planned: int, partitions_def: dg.PartitionsDefinition | None
) -> AssetStatusCacheValue | None:
    """What is summed up, when nothing has been planned or built since and nothing was under way; None otherwise.

    Args:
        record: what the event log holds of the asset.
        last_planned: id of the last event that has planned a partition of it; 0 for none.
        partitions_def: its partitions as they are now.
    """
    kept = record.asset_entry.cached_status if record else None
    if record is None or kept is None or partitions_def is None:
        return None
    newest = max(record.asset_entry.last_materialization_storage_id or 0, last_planned)
    is_current = kept.latest_storage_id == newest and kept.earliest_in_progress_materialization_event_id is None
    is_of_these = kept.partitions_def_id == partitions_def.get_serializable_unique_identifier()
    return kept if is_current and is_of_these else None


def without(kept: AssetStatusCacheValue | None, removed: Sequence[str]) -> AssetStatusCacheValue | None:
    """What is left of the sum when the events of some partitions are gone; None where it has to be made anew.

    Sets of days are kept as spans, which nobody but Dagster can read, and are made anew in no time.
    """
    if kept is None:
        return None
    texts = [
        kept.serialized_materialized_partition_subset,
        kept.serialized_failed_partition_subset,
        kept.serialized_in_progress_partition_subset,
    ]
    left = [_left(text, frozenset(removed)) for text in texts]
    if None in left:
        return None
    materialized, failed, in_progress = left
    return kept._replace(
        serialized_materialized_partition_subset=materialized,
        serialized_failed_partition_subset=failed,
        serialized_in_progress_partition_subset=in_progress,
    )


def _left(text: str | None, removed: frozenset[str]) -> str | None:
    held = json.loads(text) if text else None
    if not isinstance(held, dict) or held.get("version") != DefaultPartitionsSubset.SERIALIZATION_VERSION:
        return None
    if not isinstance(held.get("subset"), list):
        return None
    return DefaultPartitionsSubset({key for key in held["subset"] if key not in removed}).serialize()
