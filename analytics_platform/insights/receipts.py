"""What landed when, and what raw holds of it: the lake's part of the evidence on promises.

Reads objects' names, times and metadata, never their rows, but for a landing object that neither raw nor a manifest
speaks about yet. What it means for a promise is judged in :mod:`~analytics_platform.insights.promises`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from analytics_platform.insights.deadlines import day_of
from analytics_platform.insights.promises import Holding, Receipt
from analytics_platform.lake.built import built_partitions
from analytics_platform.lake.dead_letters import count_by_stream
from analytics_platform.lake.layout import LANDING_PREFIX, placed
from analytics_platform.lake.manifest import read_manifests
from analytics_platform.lake.partition import RawPartition
from analytics_platform.lake.store import ObjectInfo, ObjectStore


@dataclass(frozen=True)
class Landed:
    """What has landed of some days and on some dates.

    Attributes:
        receipts: by landing object and stream.
        holdings: what raw holds of their days and tenants, by stream, day and tenant.
        begun: when the oldest landing object that is left of each tenant came in.
    """

    receipts: list[Receipt]
    holdings: dict[tuple[str, date, str], Holding]
    begun: dict[str, datetime]


def landed(store: ObjectStore, streams: Sequence[str], days: Iterable[date], zone: str, since: datetime) -> Landed:
    """All that landed for some business days, and all that landed on dates of the same names after `since`.

    Args:
        store: the lake.
        streams: all streams of the catalogue.
        days: business days, and dates of landing in the reporting time zone.
        zone: the reporting time zone.
        since: when the platform ran first; years of history may have been imported before.
    """
    wanted = set(days)
    begun: dict[str, datetime] = {}
    objects: list[ObjectInfo] = []
    for info in store.list(LANDING_PREFIX):
        place = placed(info.key)
        begun[place.tenant] = min(info.modified_at, begun.get(place.tenant, info.modified_at))
        if place.day in wanted or (info.modified_at > since and day_of(info.modified_at, zone) in wanted):
            objects.append(info)
    held = dict(_held(store, streams, {(placed(info.key).day, placed(info.key).tenant) for info in objects}))
    return Landed(
        receipts=sorted(_receipts(store, streams, objects, held)),
        holdings={key: Holding(frozenset(part.landing_objects), at) for key, (part, at) in held.items()},
        begun=begun,
    )


_Held = Mapping[tuple[str, date, str], tuple[RawPartition, datetime]]


def _held(
    store: ObjectStore, streams: Sequence[str], places: Iterable[tuple[date, str]]
) -> Iterator[tuple[tuple[str, date, str], tuple[RawPartition, datetime]]]:
    for day, tenant in sorted(places):
        for partition, written_at in built_partitions(store, streams, day, tenant):
            yield (partition.stream, day, tenant), (partition, written_at)


def _receipts(
    store: ObjectStore, streams: Sequence[str], objects: Sequence[ObjectInfo], held: _Held
) -> Iterator[Receipt]:
    unheld: list[ObjectInfo] = []
    for info in objects:
        place = placed(info.key)
        parts = [held.get((stream, place.day, place.tenant)) for stream in streams]
        if any(part is None or place.name not in part[0].landing_objects for part in parts):
            unheld.append(info)
            continue
        for part in parts:
            if part is not None and part[0].landing_objects[place.name]:
                yield Receipt(part[0].stream, place.day, place.tenant, place.name, info.modified_at)
    yield from _receipts_of_unheld(store, unheld)


def _receipts_of_unheld(store: ObjectStore, objects: Sequence[ObjectInfo]) -> Iterator[Receipt]:
    """Of objects that raw does not hold in full: which streams they are of, their manifest says."""
    if not objects:
        return
    days = [placed(info.key).day for info in objects]
    lines = {
        written.key: written.lines
        for manifest in read_manifests(store, min(days), max(days))
        for written in manifest.landing
    }
    for info in objects:
        place = placed(info.key)
        streams = lines.get(info.key) or count_by_stream(store.get(info.key))
        for stream, count in streams.items():
            if count:
                yield Receipt(stream, place.day, place.tenant, place.name, info.modified_at)
