"""What of raw is out of date, and how far back a change reaches: read from the lake's objects, kept nowhere else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta

from analytics_platform.lake.built import EmptyStreams, read_empty
from analytics_platform.lake.layout import EMPTY_PREFIX, LANDING_PREFIX, RAW_PREFIX, placed, raw_prefix
from analytics_platform.lake.partition import RawPartition, read_partition
from analytics_platform.lake.removals import read_removals
from analytics_platform.lake.store import ObjectStore

# A business day may begin up to twelve hours after the UTC day of the same date (UTC-12).
_WEST_OF_UTC = timedelta(hours=12)

_Landed = dict[tuple[date, str], set[str]]


def landed_partitions(
    store: ObjectStore, first_day: date | None = None, last_day: date | None = None
) -> list[tuple[date, str]]:
    """Every (day, tenant) with a landing object, in order; both ends of the range belong to it."""
    return sorted(_landed(store, first_day, last_day))


def stale_partitions(
    store: ObjectStore,
    first_day: date | None = None,
    last_day: date | None = None,
    *,
    streams: Sequence[str] | None = None,
) -> list[tuple[date, str]]:
    """Every (day, tenant) with a landing object that one of the streams does not hold and is not rid of, in order.

    `streams` are those that must hold it: all of the catalogue. Without it the streams that raw has anything of are
    asked, so that a lake can be judged alone.
    """
    landed = _landed(store, first_day, last_day)
    empty = list(empty_streams(store, first_day, last_day))
    asked = _streams_of_raw(store, empty) if streams is None else list(streams)
    stale = set() if asked else set(landed)
    removals = read_removals(store)
    for stream in asked:
        held = {(each.day, each.tenant): set(each.names[stream]) for each in empty if stream in each.names}
        held |= {
            (partition.day, partition.tenant): set(partition.landing_objects)
            for partition in _partitions(store, stream, landed)
        }
        lacking = (place for place, names in landed.items() if names - held.get(place, set()))
        stale |= {(day, tenant) for day, tenant in lacking if not removals.covers_raw(stream, tenant, day)}
    return sorted(stale)


def earliest_change_since(store: ObjectStore, moment: datetime) -> date | None:
    """The earliest day that raw objects written after `moment` can bear upon; None when none was.

    That is the earlier of an object's own day and the business day of its earliest fact, taken so early that it holds
    in every time zone.
    """
    days: list[date] = []
    for info in store.list(RAW_PREFIX):
        if info.modified_at > moment:
            days += _bears_upon(read_partition(store, _stream_of(info.key), info))
    days += (placed(info.key).day for info in store.list(EMPTY_PREFIX) if info.modified_at > moment)
    return min(days, default=None)


def empty_streams(
    store: ObjectStore, first_day: date | None = None, last_day: date | None = None
) -> Iterator[EmptyStreams]:
    """What is said of streams that are built and empty; both ends of the range belong to it."""
    for info in store.list(EMPTY_PREFIX):
        if within(placed(info.key).day, first_day, last_day):
            yield read_empty(store, info)


def _bears_upon(partition: RawPartition) -> Iterator[date]:
    yield partition.day
    if partition.earliest_occurred_at is not None:
        yield (partition.earliest_occurred_at - _WEST_OF_UTC).date()


def _landed(store: ObjectStore, first_day: date | None, last_day: date | None) -> _Landed:
    found: _Landed = {}
    for info in store.list(LANDING_PREFIX):
        place = placed(info.key)
        if within(place.day, first_day, last_day):
            found.setdefault((place.day, place.tenant), set()).add(place.name)
    return found


def _partitions(store: ObjectStore, stream: str, landed: _Landed) -> Iterator[RawPartition]:
    """What raw holds where something landed: a history of years is listed, and its footers stay unread."""
    for info in store.list(raw_prefix(stream)):
        place = placed(info.key)
        if (place.day, place.tenant) in landed:
            yield read_partition(store, stream, info)


def within(day: date, first_day: date | None, last_day: date | None) -> bool:
    """Whether a day is in a range whose ends belong to it; an end that is None is open."""
    return (first_day is None or day >= first_day) and (last_day is None or day <= last_day)


def _streams_of_raw(store: ObjectStore, empty: Sequence[EmptyStreams]) -> list[str]:
    with_rows = {_stream_of(info.key) for info in store.list(RAW_PREFIX)}
    return sorted(with_rows.union(*(each.names for each in empty)))


def _stream_of(key: str) -> str:
    return key.split("/")[1]
