"""What Dagster has summed up of an asset's partitions: how it is kept, when it still holds, what changes it.

Dagster keeps, for each asset, which partitions are built, being built and failed. Of day x tenant that is the text of
every single key: four megabytes for a hundred thousand partitions, which each look at the asset reads and takes apart,
and which is made anew from all events whenever a tenant joins. Here the keys are kept as spans of days per tenant, two
kilobytes for seven years of fifty tenants; what happens is added to them, and a tenant that joins changes nothing.

Belongs here: that form, and the short cuts, whose results are what Dagster would come to. Stays out: reading and
writing the text (`event_batches`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import TypeGuard

import dagster as dg
from dagster._core.definitions.partitions.subset import DefaultPartitionsSubset, PartitionsSubset
from dagster._core.storage.event_log.base import AssetRecord
from dagster._core.storage.partition_status_cache import AssetStatusCacheValue, _build_status_cache

_ID_PARTS = " of days "
"""Between the two identities that a packed sum names: all of its partitions', and that of their days alone. No other
reader of the database finds its own partitions there, so a stock Dagster makes its sum anew."""

SUBSETS_KEPT = 16
"""Sets of keys that a process holds on to, those looked at last: 15 MB each at a hundred thousand partitions."""

_Spans = dict[str, list[tuple[int, int]]]
"""Of each tenant the first and last day of what is there without a gap, as ordinals, ascending; the tenant is empty
where keys are days."""


class PackedStatus(AssetStatusCacheValue):
    """A sum of day x tenant whose sets of keys are packed; whoever asks for Dagster's text of one is given it."""

    @property
    def partitions_def_id(self) -> str | None:
        """Of the partitions that were summed up."""
        return str(self[1]).partition(_ID_PARTS)[0]

    @property
    def serialized_materialized_partition_subset(self) -> str | None:
        """Dagster's text of what is built."""
        return unpack(self[2]).serialize()

    @property
    def serialized_failed_partition_subset(self) -> str | None:
        """Dagster's text of what has failed."""
        return unpack(self[3]).serialize()

    @property
    def serialized_in_progress_partition_subset(self) -> str | None:
        """Dagster's text of what is being built."""
        return unpack(self[4]).serialize()

    def deserialize_materialized_partition_subsets(self, partitions_def: dg.PartitionsDefinition) -> PartitionsSubset:
        """What is built."""
        del partitions_def
        return unpack(self[2])

    def deserialize_failed_partition_subsets(self, partitions_def: dg.PartitionsDefinition) -> PartitionsSubset:
        """What has failed."""
        del partitions_def
        return unpack(self[3])

    def deserialize_in_progress_partition_subsets(self, partitions_def: dg.PartitionsDefinition) -> PartitionsSubset:
        """What is being built."""
        del partitions_def
        return unpack(self[4])


def stored(value: AssetStatusCacheValue) -> AssetStatusCacheValue:
    """What the database is to keep of a sum."""
    return AssetStatusCacheValue(*value) if isinstance(value, PackedStatus) else value


def read(value: AssetStatusCacheValue | None) -> AssetStatusCacheValue | None:
    """A sum that the database has kept."""
    if value is None or _ID_PARTS not in (value.partitions_def_id or ""):
        return value
    return PackedStatus(*value)


def settled(
    record: AssetRecord | None, planned_since: int, partitions_def: dg.PartitionsDefinition | None
) -> AssetStatusCacheValue | None:
    """What is summed up, when nothing has been planned or built since and nothing was under way; None otherwise.

    Args:
        record: what the event log holds of the asset.
        planned_since: id of an event that has planned a partition of it since it was summed up; 0 for none.
        partitions_def: its partitions as they are now.
    """
    kept = record.asset_entry.cached_status if record else None
    if record is None or kept is None or partitions_def is None:
        return None
    newest = max(record.asset_entry.last_materialization_storage_id or 0, planned_since)
    is_current = newest <= kept.latest_storage_id and kept.earliest_in_progress_materialization_event_id is None
    is_of_these = kept.partitions_def_id == partitions_def.get_serializable_unique_identifier()
    return kept if is_current and is_of_these else None


def is_packable(partitions_def: dg.PartitionsDefinition | None) -> TypeGuard[dg.MultiPartitionsDefinition]:
    """Whether keys are a day and a tenant."""
    if not isinstance(partitions_def, dg.MultiPartitionsDefinition):
        return False
    first, *others = (dimension.partitions_def for dimension in partitions_def.partitions_defs)
    are_tenants = [isinstance(each, dg.DynamicPartitionsDefinition) for each in others]
    return isinstance(first, dg.TimeWindowPartitionsDefinition) and first.is_basic_daily and are_tenants == [True]


def existing(keys: Iterable[str], partitions_def: dg.PartitionsDefinition) -> set[str]:
    """Those of some keys that are partitions; of days and tenants without an object for each, as Dagster makes them."""
    if not is_packable(partitions_def):
        return {*partitions_def.filter_valid_partition_keys({*keys})}
    days, tenants = (dimension.partitions_def for dimension in partitions_def.partitions_defs)
    cut = [(key, *key.partition("|")[::2]) for key in keys]
    valid_days = days.filter_valid_partition_keys({day for _, day, _ in cut})
    valid_tenants = tenants.filter_valid_partition_keys({tenant for _, _, tenant in cut})
    return {key for key, day, tenant in cut if day in valid_days and tenant in valid_tenants}


class _DaysOfTenants(dg.MultiPartitionsDefinition):
    """The same partitions, whose keys are told from others in a tenth of the time."""

    def filter_valid_partition_keys(self, partition_keys: set[str]) -> set[str]:  # type: ignore[override]
        return existing(partition_keys, self)


def summed_up(
    instance: dg.DagsterInstance, record: AssetRecord, partitions_def: dg.MultiPartitionsDefinition
) -> AssetStatusCacheValue | None:
    """The sum of day x tenant as it is now, made of the one that is kept and of what has happened since.

    Dagster is asked what has been built on top of nothing, so that its answer is as small as what is new. A tenant's
    partitions begin to exist before they can be built, so a sum over the same days holds for more tenants.

    Args:
        instance: whose events count.
        record: what the event log holds of the asset.
        partitions_def: its partitions, days and tenants.
    """
    of_all = partitions_def.get_serializable_unique_identifier()
    of_days = partitions_def.partitions_defs[0].partitions_def.get_serializable_unique_identifier()
    kept = record.asset_entry.cached_status
    base = kept if kept is not None and (kept.partitions_def_id == of_all or _days_of(kept) == of_days) else None
    same = _DaysOfTenants({each.name: each.partitions_def for each in partitions_def.partitions_defs})
    new = _build_status_cache(instance, record.asset_entry.asset_key, same, _with_nothing_built(base, of_all), record)
    if new is None:
        return None
    built = _keys(new.serialized_materialized_partition_subset)
    return PackedStatus(
        new.latest_storage_id,
        f"{of_all}{_ID_PARTS}{of_days}",
        pack(built) if base is None else add(_packed_text(base), built),
        pack(_keys(new.serialized_failed_partition_subset)),
        pack(_keys(new.serialized_in_progress_partition_subset)),
        new.earliest_in_progress_materialization_event_id,
    )


def without(kept: AssetStatusCacheValue | None, removed: Sequence[str]) -> AssetStatusCacheValue | None:
    """What is left of the sum when the events of some partitions are gone; None where it has to be made anew.

    Sets of days are kept as spans, which nobody but Dagster can read, and are made anew in no time.
    """
    if not isinstance(kept, PackedStatus):
        return None
    gone = frozenset(removed)
    built, failed, under_way = (pack(key for key in unpack(text).subset if key not in gone) for text in kept[2:5])
    return PackedStatus(kept[0], kept[1], built, failed, under_way, kept[5])


def pack(keys: Iterable[str]) -> str:
    """The text of a set of days, or of days and tenants; equal sets have equal texts."""
    return _text(_spans(keys))


def add(text: str, keys: Iterable[str]) -> str:
    """A packed set with some keys more."""
    held, new = _held(text), _spans(keys)
    joined = {tenant: sorted([*held.get(tenant, ()), *new.get(tenant, ())]) for tenant in held.keys() | new.keys()}
    return _text({tenant: _merged(each) for tenant, each in joined.items()})


@lru_cache(maxsize=SUBSETS_KEPT)
def unpack(text: str) -> DefaultPartitionsSubset:
    """The keys of a packed set. Readers share it, so nobody can change it."""
    days: dict[int, str] = {}
    keys: list[str] = []
    for tenant, spans in _held(text).items():
        for first, last in spans:
            for each in range(first, last + 1):
                day = days.get(each) or days.setdefault(each, date.fromordinal(each).isoformat())
                keys.append(f"{day}|{tenant}" if tenant else day)
    return DefaultPartitionsSubset(frozenset(keys))


def _with_nothing_built(kept: AssetStatusCacheValue | None, of_all: str) -> AssetStatusCacheValue | None:
    """A sum on top of which Dagster comes to what is new alone."""
    return kept and AssetStatusCacheValue(
        latest_storage_id=kept.latest_storage_id,
        partitions_def_id=of_all,
        serialized_failed_partition_subset=kept.serialized_failed_partition_subset,
        earliest_in_progress_materialization_event_id=kept.earliest_in_progress_materialization_event_id,
    )


def _days_of(kept: AssetStatusCacheValue) -> str | None:
    return str(kept[1]).partition(_ID_PARTS)[2] if isinstance(kept, PackedStatus) else None


def _packed_text(kept: AssetStatusCacheValue) -> str:
    """What is built; also of a sum in Dagster's own form, which an earlier release has left."""
    return str(kept[2]) if isinstance(kept, PackedStatus) else pack(_keys(kept[2]))


def _keys(text: str | None) -> list[str]:
    """The keys in Dagster's own text of a set."""
    keys: list[str] = json.loads(text)["subset"] if text else []
    return keys


def _spans(keys: Iterable[str]) -> _Spans:
    days: dict[str, list[int]] = {}
    for key in keys:
        day, _, tenant = key.partition("|")
        days.setdefault(tenant, []).append(date.fromisoformat(day).toordinal())
    return {tenant: _merged((day, day) for day in sorted(each)) for tenant, each in days.items()}


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ascending spans, those that touch or overlap as one."""
    merged: list[tuple[int, int]] = []
    for first, last in spans:
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return merged


def _text(spans: Mapping[str, Sequence[tuple[int, int]]]) -> str:
    return json.dumps(dict(sorted(spans.items())), separators=(",", ":"))


def _held(text: str) -> _Spans:
    held: dict[str, list[list[int]]] = json.loads(text)
    return {tenant: [(first, last) for first, last in spans] for tenant, spans in held.items()}
