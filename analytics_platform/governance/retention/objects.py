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
from datetime import date
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analytics_platform.governance.retention.sink import CannotCountError, Tallies, Tally, Waiting
from analytics_platform.governance.retention.terms import NO_TENANT, Term, Terms
from analytics_platform.lake.layout import LANDING_PREFIX, placed, raw_key
from analytics_platform.lake.partition import ForeignObjectError, read_partition
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
        for dataset in self._families:
            newest = terms.newest(dataset)
            if newest is not None:
                yield from self._of(dataset, terms, newest)

    def remove(self, term: Term) -> None:
        """See `Sink`."""
        for info, _ in list(self._due(term)):
            self._store.delete(info.key)

    def survivors(self, term: Term) -> int:
        """Count what a new listing shows, dated by the text of its key where that has a day."""
        family = self._families[term.dataset]
        is_settled = self._settled(term.dataset)
        count = 0
        for info in self._store.list(family.prefix):
            day, tenant = _DAY.search(info.key), _TENANT.search(info.key)
            found = (tenant[1], date.fromisoformat(day[1])) if day and tenant else family.place(info)
            count += found[0] == term.tenant and term.covers(found[1]) and is_settled(info)
        return count

    def _of(self, dataset: str, terms: Terms, newest: date) -> Iterator[Tally | Waiting]:
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
        info = self._store.info(raw_key(stream, day, tenant))
        if info is None:
            return frozenset()
        try:
            return frozenset(read_partition(self._store, stream, info).landing_objects)
        except ForeignObjectError:  # nobody knows what it holds, so it holds nothing back but the landing objects
            return frozenset()


_ALL = frozenset({"*"})


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
    """Extracts: one Parquet object per day with the rows of all tenants.

    Args:
        store: the lake.
        prefixes: where the days of each dataset lie.
    """

    name = "extracts"

    def __init__(self, store: ObjectStore, prefixes: dict[str, str]) -> None:
        self._store = store
        self._prefixes = prefixes

    def datasets(self) -> set[str]:
        """See `Sink`."""
        return set(self._prefixes)

    def tallies(self, terms: Terms) -> Iterator[Tally | Waiting]:
        """See `Sink`."""
        for dataset in self._prefixes:
            newest = terms.newest(dataset)
            if newest is not None:
                yield from self._of(dataset, terms, newest)

    def remove(self, term: Term) -> None:
        """Put each day anew without the tenant's rows, byte for byte the same otherwise; a day without rows goes."""
        for info, day in self._days(term.dataset):
            if not term.covers(day):
                continue
            rows = self._read(info.key)
            tenants = _tenants(rows)
            kept = rows.filter(pc.not_equal(tenants, term.tenant))
            if not kept.num_rows and (rows.num_rows or term.tenant == NO_TENANT):
                self._store.delete(info.key)
            elif kept.num_rows < rows.num_rows:
                self._store.put(info.key, parquet_bytes(kept))

    def survivors(self, term: Term) -> int:
        """Count rows by a query of their own on each object's tenants."""
        count = 0
        for info in self._store.list(self._prefixes[term.dataset]):
            match = _DAY.search(info.key)
            if match is None:
                raise CannotCountError(f"{info.key} has no day in its key; move it away")
            if term.covers(date.fromisoformat(match[1])):
                counts = pc.value_counts(_tenants(self._read(info.key))).to_pylist()
                count += sum(each["counts"] for each in counts if each["values"] == term.tenant)
        return count

    def _of(self, dataset: str, terms: Terms, newest: date) -> Iterator[Tally]:
        tallies = Tallies(self.name, dataset, terms)
        for info, day in self._days(dataset):
            if day > newest:
                break
            mark = f"{info.key} {info.size} {info.modified_at.timestamp()}\n"
            counts = pc.value_counts(_tenants(self._read(info.key))).to_pylist()
            for each in counts or [{"values": NO_TENANT, "counts": 1}]:
                if due := tallies.due(each["values"], day):
                    due.add(day, mark, units=each["counts"])
        yield from tallies.done()

    def _days(self, dataset: str) -> list[tuple[ObjectInfo, date]]:
        found = self._store.list(self._prefixes[dataset])
        dated = [(info, match) for info in found if (match := _DAY.search(info.key))]
        return [(info, date.fromisoformat(match[1])) for info, match in dated]

    def _read(self, key: str) -> pa.Table:
        try:
            return pq.read_table(io.BytesIO(self._store.get(key)))
        except (pa.ArrowInvalid, ObjectMissingError) as error:
            raise CannotCountError(f"{key} cannot be read ({error}); build that day of the extract again") from error


def _tenants(rows: pa.Table) -> pa.ChunkedArray:
    return pc.fill_null(rows["tenant_id"].cast(pa.string()), NO_TENANT)


def parquet_bytes(rows: pa.Table) -> bytes:
    """Rows as a Parquet object, with the metadata that they came with."""
    buffer = io.BytesIO()
    pq.write_table(rows, buffer, compression="zstd")
    return buffer.getvalue()
