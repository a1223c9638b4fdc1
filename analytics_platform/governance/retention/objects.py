"""Objects of the lake as sinks: those dated by their folder, name or age, and extracts.

An extract's object holds all tenants, so it is rewritten without the rows that are due.
A landing object is removed only when raw holds it, or when what raw would hold of it is removed as well: until then it
is the only copy of events that other classes keep for years.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache, cached_property, partial

import polars as pl
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analytics_platform.governance.retention.sink import CannotCountError, Tallies, Tally, Waiting
from analytics_platform.governance.retention.terms import NO_TENANT, Term, Terms
from analytics_platform.lake.built import built_partitions, forget_empty, read_empty
from analytics_platform.lake.extract_manifest import ManifestError
from analytics_platform.lake.extract_manifest import Table as PublishedTable
from analytics_platform.lake.extracts import newest_manifest, rewrite_rows
from analytics_platform.lake.layout import EMPTY_PREFIX, LANDING_PREFIX, extract_prefix, placed
from analytics_platform.lake.partition import ForeignObjectError
from analytics_platform.lake.removals import read_removals
from analytics_platform.lake.store import ObjectInfo, ObjectMissingError, ObjectStore

Place = Callable[[ObjectInfo], tuple[str, date]]
"""Tenant and business day of an object."""

_DAY = re.compile(r"/day=([0-9-]{10})/")
_TENANT = re.compile(r"/tenant=([^/]+)/")


@dataclass(frozen=True, slots=True)
class Family:
    """The objects of a dataset: everything below a prefix, and how to date it."""

    dataset: str
    prefix: str
    place: Place


def in_partition(info: ObjectInfo) -> tuple[str, date]:
    """Of an object below `day=…/tenant=…/`."""
    place = placed(info.key)
    return place.tenant, place.day


class LakeObjects:
    """Families of objects that are removed whole."""

    name = "lake"

    def __init__(self, store: ObjectStore, families: Sequence[Family], streams: Sequence[str]) -> None:
        self._store = store
        self._families = {family.dataset: family for family in families}
        self._streams = streams

    def datasets(self) -> set[str]:
        """See `Sink`."""
        return set(self._families)

    def tallies(self, terms: Terms) -> Iterator[Tally | Waiting]:
        """See `Sink`."""
        empty = _Empty(self._store)
        for dataset in self._families:
            newest = terms.newest(dataset)
            if newest is not None:
                yield from self._of(dataset, terms, newest, empty)

    def remove(self, term: Term) -> None:
        """See `Sink`."""
        for info, _ in list(self._due(term)):
            self._store.delete(info.key)
        stream = _stream_of(term.dataset)
        for info in _Empty(self._store).listed if stream else ():
            tenant, day = in_partition(info)
            if tenant == term.tenant and term.covers(day):
                forget_empty(self._store, info, stream)

    def survivors(self, term: Term) -> int:
        """Count what a new listing shows, dated by the text of its key where that has a day."""
        family = self._families[term.dataset]
        is_settled = self._settled(term.dataset)
        count = 0
        for info in self._store.list(family.prefix):
            day, tenant = _DAY.search(info.key), _TENANT.search(info.key)
            found = (tenant[1], date.fromisoformat(day[1])) if day and tenant else family.place(info)
            count += found[0] == term.tenant and term.covers(found[1]) and is_settled(info)
        own = _Empty(self._store).of(term.dataset, lambda tenant, day: tenant == term.tenant and term.covers(day))
        return count + sum(1 for _ in own)

    def _of(self, dataset: str, terms: Terms, newest: date, empty: _Empty) -> Iterator[Tally | Waiting]:
        family, is_settled = self._families[dataset], self._settled(dataset)
        tallies, waiting = Tallies(self.name, dataset, terms), _Waits(dataset)
        for info in self._store.list(family.prefix):
            tenant, day = family.place(info)
            due = tallies.due(tenant, day) if day <= newest else None
            if due is None:
                continue
            if is_settled(info):
                due.add(day, f"{info.key} {info.size} {info.modified_at.timestamp()}\n", info.size)
            else:
                waiting.add(tenant, day)
        for tenant, day in empty.of(dataset, lambda tenant, day: day <= newest and bool(tallies.due(tenant, day))):
            if due := tallies.due(tenant, day):
                due.add(day, f"{dataset} {tenant} {day} is empty\n")
        yield from tallies.done()
        yield from waiting.done()

    def _due(self, term: Term) -> Iterator[tuple[ObjectInfo, date]]:
        family, is_settled = self._families[term.dataset], self._settled(term.dataset)
        for info in self._store.list(family.prefix):
            tenant, day = family.place(info)
            if tenant == term.tenant and term.covers(day) and is_settled(info):
                yield info, day

    def _settled(self, dataset: str) -> Callable[[ObjectInfo], bool]:
        """Whether an object may go as far as others depend on it."""
        if self._families[dataset].prefix != LANDING_PREFIX:
            return lambda _: True
        removals = read_removals(self._store)

        @cache
        def held(day: date, tenant: str) -> frozenset[str]:
            """Names of landing objects that every stream holds which is not removed."""
            needed = [s for s in self._streams if not removals.covers(f"raw.{s}", tenant, day)]
            return frozenset.intersection(*(self._names(s, day, tenant) for s in needed)) if needed else _ALL

        def is_settled(info: ObjectInfo) -> bool:
            place = placed(info.key)
            names = held(place.day, place.tenant)
            return names is _ALL or place.name in names

        return is_settled

    def _names(self, stream: str, day: date, tenant: str) -> frozenset[str]:
        try:
            built = built_partitions(self._store, [stream], day, tenant)
            return frozenset(name for partition, _ in built for name in partition.landing_objects)
        except ForeignObjectError:  # nobody knows what it holds, so it holds nothing back but the landing objects
            return frozenset()


_ALL = frozenset({"*"})


def _stream_of(dataset: str) -> str:
    """The stream that a dataset is the raw partitions of; none for other datasets."""
    layer, _, stream = dataset.partition(".")
    return stream if layer == "raw" else ""


class _Empty:
    """Raw partitions that are built and empty: no object is theirs alone, and they are due as their stream is."""

    def __init__(self, store: ObjectStore) -> None:
        self._read = cache(partial(read_empty, store))
        self._store = store

    @cached_property
    def listed(self) -> list[ObjectInfo]:
        """All statements of empty streams."""
        return self._store.list(EMPTY_PREFIX)

    def of(self, dataset: str, is_due: Callable[[str, date], bool]) -> Iterator[tuple[str, date]]:
        """Tenant and day of the partitions of a dataset that are due; only what may be due is opened."""
        stream = _stream_of(dataset)
        for info in self.listed if stream else ():
            tenant, day = in_partition(info)
            if is_due(tenant, day) and stream in self._read(info).names:
                yield tenant, day


class _Waits:
    """Objects of a dataset that are due and not settled, by tenant."""

    def __init__(self, dataset: str) -> None:
        self._dataset = dataset
        self._days: dict[str, list[date]] = {}

    def add(self, tenant: str, day: date) -> None:
        self._days.setdefault(tenant, []).append(day)

    def done(self) -> Iterator[Waiting]:
        why = "raw does not hold them yet, so they are the only copy; build those days with `analytics run`"
        for tenant, days in sorted(self._days.items()):
            yield Waiting(self._dataset, tenant, min(days), max(days), len(days), why)


class ExtractObjects:
    """Extracts: one Parquet object per day with the rows of all tenants, and a CSV of the newest days.

    What is due goes with the next publication of its table; nothing that is not named by it stays.

    Args:
        store: the lake.
        datasets: `extracts.<dashboard>.<table>` each.
    """

    name = "extracts"

    def __init__(self, store: ObjectStore, datasets: Sequence[str]) -> None:
        self._store = store
        self._places = {dataset: place_of_extract(dataset) for dataset in datasets}

    def datasets(self) -> set[str]:
        """See `Sink`."""
        return set(self._places)

    def tallies(self, terms: Terms) -> Iterator[Tally | Waiting]:
        """See `Sink`."""
        for dataset in self._places:
            newest = terms.newest(dataset)
            if newest is not None:
                yield from self._of(dataset, terms, newest)

    def remove(self, term: Term) -> None:
        """Publish each day anew without the tenant's rows, the same otherwise; a day without rows goes."""

        def rewrite(_: date, rows: pa.Table) -> pa.Table | None:
            kept = rows.filter(pc.not_equal(_tenants(rows), term.tenant))
            if not kept.num_rows and (rows.num_rows or term.tenant == NO_TENANT):
                return None
            return rows if kept.num_rows == rows.num_rows else kept

        rewrite_rows(self._store, *self._places[term.dataset], term.covers, rewrite, datetime.now(UTC))

    def survivors(self, term: Term) -> int:
        """Count rows by a query of their own on every object of the table, named or not."""
        dashboard, table = self._places[term.dataset]
        count = 0
        for info in self._store.list(extract_prefix(dashboard, table)):
            day = _DAY.search(info.key)
            if day is None and not info.key.endswith(".csv"):
                raise CannotCountError(f"{info.key} has no day in its key; move it away")
            if day is None:
                count += self._in_csv(info.key, dashboard, table, term)
            elif term.covers(date.fromisoformat(day[1])):
                counts = pc.value_counts(_tenants(self._read(info.key))).to_pylist()
                count += sum(each["counts"] for each in counts if each["values"] == term.tenant)
        return count

    def _in_csv(self, key: str, dashboard: str, table: str, term: Term) -> int:
        published = self._published(dashboard, table)
        if published is None:
            raise CannotCountError(f"{key} is of a table that no manifest names; delete it")
        rows = pl.read_csv(self._store.get(key), infer_schema=False)
        own = rows.filter(pl.col("tenant_id").fill_null(NO_TENANT) == term.tenant)
        return sum(term.covers(date.fromisoformat(day)) for day in own[published.schema.day_column])

    def _of(self, dataset: str, terms: Terms, newest: date) -> Iterator[Tally]:
        tallies = Tallies(self.name, dataset, terms)
        dashboard, table = self._places[dataset]
        published = self._published(dashboard, table)
        for day, part in sorted(published.days.items()) if published else ():
            if day > newest:
                break
            counts = pc.value_counts(_tenants(self._read(part.key))).to_pylist()
            for each in counts or [{"values": NO_TENANT, "counts": 1}]:
                if due := tallies.due(each["values"], day):
                    due.add(day, f"{part.key} {part.sha256}\n", units=each["counts"])
        yield from tallies.done()

    def _published(self, dashboard: str, table: str) -> PublishedTable | None:
        try:
            return newest_manifest(self._store, dashboard).tables.get(table)
        except ManifestError as error:
            raise CannotCountError(str(error)) from error

    def _read(self, key: str) -> pa.Table:
        try:
            return pq.read_table(io.BytesIO(self._store.get(key)))
        except (pa.ArrowInvalid, ObjectMissingError) as error:
            raise CannotCountError(f"{key} cannot be read ({error}); build that day of the extract again") from error


def place_of_extract(dataset: str) -> tuple[str, str]:
    """Dashboard and table of an extract's dataset."""
    _, dashboard, table = dataset.split(".")
    return dashboard, table


def _tenants(rows: pa.Table) -> pa.ChunkedArray:
    return pc.fill_null(rows["tenant_id"].cast(pa.string()), NO_TENANT)
