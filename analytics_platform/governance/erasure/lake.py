"""Objects of the lake as places: raw partitions, dead letters, identities, extracts and pages.

Each object is put anew in one step, and only when the person is in it; objects of other tenants are not opened.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import gzip
import io
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analytics_platform.catalog import Catalog
from analytics_platform.governance.erasure.person import Person, any_mentions, text_columns
from analytics_platform.governance.erasure.place import Action, Findings, Found, Held, action_of
from analytics_platform.governance.retention.objects import Family, place_of_extract
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.sealing import opened
from analytics_platform.lake.dead_letters import compressed, emptied, lines_of
from analytics_platform.lake.extracts import Rewrite, newest_manifest, parquet_bytes, rewrite_rows, unnamed_keys
from analytics_platform.lake.layout import (
    DEAD_PREFIX,
    UNKNOWN_TENANT,
    identities_placed,
    identities_prefix,
    placed,
    raw_prefix,
)
from analytics_platform.lake.partition import read_partition
from analytics_platform.lake.raw import rewrite_partition
from analytics_platform.lake.store import ObjectInfo, ObjectStore

_PACKED = re.compile(rb"H4sI[A-Za-z0-9+/]{16,}={0,2}")
"""Base64 of what gzip writes."""

_NOT_SEARCHED = frozenset({"tenant_id", "message_id", "payload_hash"})
_NOT_KEPT = ("context", "traits", "extra")


class RawObjects:
    """Raw partitions: rows go or are severed, as the stream's class says; counts of what landed stay."""

    name = "raw partitions"

    def __init__(self, store: ObjectStore, catalog: Catalog) -> None:
        self._store = store
        self._actions = {stream: action_of(catalog, f"raw.{stream}") for stream in catalog.streams}

    def find(self, person: Person, held: Held) -> Iterator[Found]:
        """See `Place`."""
        findings = Findings(self.name)
        for stream, info, rows, mask in self._concerned(person):
            day = placed(info.key).day
            action: Action = "hold" if held(f"raw.{stream}", day) else self._actions[stream]
            findings.add(f"raw.{stream}", action, day, pc.sum(mask).as_py())
            del rows
        yield from findings.found()

    def erase(self, person: Person, held: Held) -> Iterator[Found]:
        """See `Place`."""
        findings = Findings(self.name)
        for stream, info, rows, mask in self._concerned(person):
            day, count = placed(info.key).day, pc.sum(mask).as_py()
            if held(f"raw.{stream}", day):
                continue
            action = self._actions[stream]
            partition = read_partition(self._store, stream, info)
            changed = rows.filter(pc.invert(mask)) if action == "delete" else severed_rows(person, rows, mask)
            rewrite_partition(self._store, partition, changed, erased=rows.num_rows - changed.num_rows)
            findings.add(f"raw.{stream}", action, day, count)
        yield from findings.found()

    def _concerned(self, person: Person) -> Iterator[tuple[str, ObjectInfo, pa.Table, pa.Array]]:
        for stream in self._actions:
            for info in self._store.list(raw_prefix(stream)):
                if placed(info.key).tenant != person.tenant:
                    continue
                rows = read_parquet(self._store, info.key)
                mask = any_mentions(person, rows, searched(rows.schema))
                if pc.any(mask).as_py():
                    yield stream, info, rows, mask


class DeadLetterObjects:
    """Dead letters: one that mentions the person is emptied, so that it still counts where it was counted."""

    name = "dead letters"

    def __init__(self, store: ObjectStore, keys: IdentityKeys) -> None:
        self._store = store
        self._keys = keys

    def find(self, person: Person, held: Held) -> Iterator[Found]:
        """See `Place`."""
        findings = Findings(self.name)
        for info, lines in letter_objects(self._store, person.tenant):
            day = placed(info.key).day
            action: Action = "hold" if held("dead_letters", day) else "delete"
            findings.add("dead_letters", action, day, sum(self._is_in(person, info, line) for line in lines))
        yield from findings.found()

    def erase(self, person: Person, held: Held) -> Iterator[Found]:
        """See `Place`."""
        findings = Findings(self.name)
        for info, lines in letter_objects(self._store, person.tenant):
            day = placed(info.key).day
            if held("dead_letters", day):
                continue
            concerned = [self._is_in(person, info, line) for line in lines]
            if any(concerned):
                kept = (emptied(e) if c else e + b"\n" for e, c in zip(lines, concerned, strict=True))
                self._store.put(info.key, compressed(b"".join(kept)))
                findings.add("dead_letters", "delete", day, sum(concerned))
        yield from findings.found()

    def _is_in(self, person: Person, info: ObjectInfo, line: bytes) -> bool:
        return any(person.is_in_bytes(said) for said in readings_of_letter(self._keys, info, line))


def letter_objects(store: ObjectStore, tenant: str) -> Iterator[tuple[ObjectInfo, list[bytes]]]:
    """A tenant's letters, and those of which nobody knows whose they are."""
    for info in store.list(DEAD_PREFIX):
        if placed(info.key).tenant in (tenant, UNKNOWN_TENANT):
            yield info, lines_of(store.get(info.key))


def readings_of_letter(keys: IdentityKeys, info: ObjectInfo, line: bytes) -> Iterator[bytes]:
    """A letter of an object in every way in which it may say who somebody is: as it lies there, opened, as it came."""
    return (said for each in opened(keys.of(placed(info.key).tenant), line) for said in _readings(each))


class IdentityObjects:
    """The tenant's table of identities: the person's rows go, whatever class their messages are of."""

    name = "identities"

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    def find(self, person: Person, held: Held) -> Iterator[Found]:
        """See `Place`."""
        findings = Findings(self.name)
        for _, day, _, mask in self._concerned(person):
            findings.add("identities", "hold" if held("identities", day) else "delete", day, pc.sum(mask).as_py())
        yield from findings.found()

    def erase(self, person: Person, held: Held) -> Iterator[Found]:
        """See `Place`."""
        findings = Findings(self.name)
        for key, day, rows, mask in self._concerned(person):
            if not held("identities", day):
                self._store.put(key, parquet_bytes(rows.filter(pc.invert(mask))))
                findings.add("identities", "delete", day, pc.sum(mask).as_py())
        yield from findings.found()

    def _concerned(self, person: Person) -> Iterator[tuple[str, date, pa.Table, pa.Array]]:
        for info in self._store.list(identities_prefix(person.tenant)):
            rows = read_parquet(self._store, info.key)
            mask = any_mentions(person, rows, searched(rows.schema))
            if pc.any(mask).as_py():
                yield info.key, identities_placed(info.key)[1], rows, mask


class ExtractObjects:
    """Extracts: one Parquet object per day with the rows of all tenants, of which the others' stay as they are.

    They are published anew without the person; copies that no manifest names any more go with that.
    """

    name = "extracts"

    def __init__(self, store: ObjectStore, catalog: Catalog, datasets: Sequence[str]) -> None:
        self._store = store
        self._places = {dataset: place_of_extract(dataset) for dataset in datasets}
        self._actions = {name: action_of(catalog, name) for name in datasets}

    def find(self, person: Person, held: Held) -> Iterator[Found]:
        """See `Place`."""
        findings = Findings(self.name)
        for dataset in self._places:
            for day, count in self._concerned(dataset, person):
                findings.add(dataset, "hold" if held(dataset, day) else self._actions[dataset], day, count)
        yield from findings.found()

    def erase(self, person: Person, held: Held) -> Iterator[Found]:
        """See `Place`."""
        findings = Findings(self.name)
        for dataset, place in self._places.items():
            days = {day: count for day, count in self._concerned(dataset, person) if not held(dataset, day)}
            if not days and not self._is_in_leftovers(place, person):
                continue
            action = self._actions[dataset]
            rewrite_rows(self._store, *place, days.__contains__, _without(person, action), datetime.now(UTC))
            for day, count in days.items():
                findings.add(dataset, action, day, count)
        yield from findings.found()

    def _concerned(self, dataset: str, person: Person) -> Iterator[tuple[date, int]]:
        """The days of an extract that mention the person, with how many rows of them do."""
        dashboard, table = self._places[dataset]
        published = newest_manifest(self._store, dashboard).tables.get(table)
        for day, part in sorted(published.days.items()) if published else ():
            if count := _own_rows(person, read_parquet(self._store, part.key))[1]:
                yield day, count

    def _is_in_leftovers(self, place: tuple[str, str], person: Person) -> bool:
        """Whether an object that is superseded, or was never published, mentions the person."""
        keys = (key for key in unnamed_keys(self._store, *place) if key.endswith(".parquet"))
        return any(_own_rows(person, read_parquet(self._store, key))[1] for key in keys)


class PageObjects:
    """Pages and reports: one that names the person goes whole, and is made anew from what is left."""

    name = "pages"

    def __init__(self, store: ObjectStore, families: Sequence[Family], tenants: Sequence[str]) -> None:
        self._store = store
        self._families = families
        self._tenants = frozenset(tenants)

    def find(self, person: Person, held: Held) -> Iterator[Found]:
        """See `Place`."""
        findings = Findings(self.name)
        for family, _, day in self._concerned(person):
            findings.add(family.dataset, "hold" if held(family.dataset, day) else "delete", day)
        yield from findings.found()

    def erase(self, person: Person, held: Held) -> Iterator[Found]:
        """See `Place`."""
        findings = Findings(self.name)
        for family, key, day in self._concerned(person):
            if not held(family.dataset, day):
                self._store.delete(key)
                findings.add(family.dataset, "delete", day)
        yield from findings.found()

    def _concerned(self, person: Person) -> Iterator[tuple[Family, str, date]]:
        for family in self._families:
            for info in self._store.list(family.prefix):
                tenant, day = family.place(info)
                is_others = tenant != person.tenant and tenant in self._tenants
                if not is_others and any(map(person.is_in_bytes, _page_readings(self._store.get(info.key)))):
                    yield family, info.key, day


def _own_rows(person: Person, rows: pa.Table) -> tuple[pa.Array, int]:
    """Which rows of the tenant, or of nobody, mention the person, and how many they are."""
    mask = any_mentions(person, rows, searched(rows.schema))
    if "tenant_id" in rows.column_names:
        own = pc.fill_null(pc.equal(rows["tenant_id"].cast(pa.string()), person.tenant), True)
        mask = pc.and_(mask, own.combine_chunks())
    return mask, pc.sum(mask).as_py() or 0


def _without(person: Person, action: Action) -> Rewrite:
    def rewrite(_: date, rows: pa.Table) -> pa.Table:
        mask, count = _own_rows(person, rows)
        if not count:
            return rows
        return rows.filter(pc.invert(mask)) if action == "delete" else severed_rows(person, rows, mask)

    return rewrite


def _page_readings(body: bytes) -> Iterator[bytes]:
    """A page as it lies there, and what a dashboard packs in it: gzip in base64."""
    yield body
    for packed in _PACKED.finditer(body):
        yield gzip.decompress(base64.b64decode(packed[0]))


def severed_rows(person: Person, rows: pa.Table, mask: pa.Array) -> pa.Table:
    """Rows with the person taken out of those that the mask names: nothing is left of what only speaks of people."""
    concerned = [place for place, is_in in enumerate(mask.to_pylist()) if is_in]
    for name in searched(rows.schema):
        values = rows[name].to_pylist()
        for place in concerned:
            if values[place] is not None:
                values[place] = None if name in _NOT_KEPT else person.without(values[place])
        position, column = rows.schema.get_field_index(name), rows.schema.field(name)
        rows = rows.set_column(position, column, pa.array(values, column.type))
    return rows


def searched(schema: pa.Schema) -> list[str]:
    """The text columns in which a person may be: all but those that name the tenant and the message."""
    return [name for name in text_columns(schema) if name not in _NOT_SEARCHED]


def read_parquet(store: ObjectStore, key: str) -> pa.Table:
    """The rows of a Parquet object."""
    return pq.ParquetFile(io.BytesIO(store.get(key))).read()


def _readings(line: bytes) -> Iterator[bytes]:
    """A letter's line or what is sealed in it, and the refused bytes as they were before they became a text in JSON."""
    yield line
    try:
        raw = str(orjson.loads(line)["raw"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return
    yield raw.encode()
    with contextlib.suppress(binascii.Error, ValueError):
        yield base64.b64decode(raw, validate=True)
