"""Landing objects as a place: one that mentions the person goes whole, as soon as raw holds what it brought.

Raw is all that reads a landing object, once; afterwards it waits for the end of its term. So the others lose nothing
but that wait, and no account changes: manifests say what was received, raw what each object brought.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import date

from analytics_platform.governance.erasure.person import Person
from analytics_platform.governance.erasure.place import ErasureRefusedError, Findings, Found, Held
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.sealing import opened
from analytics_platform.lake.changes import stale_partitions
from analytics_platform.lake.dead_letters import lines_of
from analytics_platform.lake.layout import LANDING_PREFIX, placed
from analytics_platform.lake.store import ObjectInfo, ObjectStore

Build = Callable[[Sequence[tuple[date, str]]], None]
"""Brings raw up to what has landed of some days and tenants."""


class LandingObjects:
    """Landing objects of the person's tenant.

    Args:
        store: the lake.
        keys: of the tenants.
        streams: all that raw is built of.
        build: builds raw of days that it does not hold yet.
    """

    name = "landing"

    def __init__(self, store: ObjectStore, keys: IdentityKeys, streams: Sequence[str], build: Build) -> None:
        self._store = store
        self._keys = keys
        self._streams = streams
        self._build = build

    def find(self, person: Person, held: Held) -> Iterator[Found]:
        """See `Place`."""
        findings = Findings(self.name)
        for info in self._concerned(person):
            day = placed(info.key).day
            findings.add("landing", "hold" if held("landing", day) else "delete", day)
        yield from findings.found()

    def erase(self, person: Person, held: Held) -> Iterator[Found]:
        """See `Place`."""
        findings = Findings(self.name)
        concerned = [info for info in self._concerned(person) if not held("landing", placed(info.key).day)]
        places = {(placed(info.key).day, placed(info.key).tenant) for info in concerned}
        if waiting := sorted(places & self._stale(places)):
            self._build(waiting)
            if missing := self._stale(waiting):
                day, tenant = min(missing)
                raise ErasureRefusedError(
                    f"raw does not hold what landed of {tenant} on {day}, which is the only copy; "
                    "build that day with `analytics run`, and run the erasure again"
                )
        for info in concerned:
            self._store.delete(info.key)
            findings.add("landing", "delete", placed(info.key).day)
        yield from findings.found()

    def _concerned(self, person: Person) -> Iterator[ObjectInfo]:
        keys = self._keys.of(person.tenant)
        for info in self._store.list(LANDING_PREFIX):
            if placed(info.key).tenant == person.tenant:
                data = b"\n".join(lines_of(self._store.get(info.key)))
                if any(person.is_in_bytes(each) for each in opened(keys, data)):
                    yield info

    def _stale(self, places: Sequence[tuple[date, str]] | set[tuple[date, str]]) -> set[tuple[date, str]]:
        if not places:
            return set()
        days = [day for day, _ in places]
        return set(places) & set(stale_partitions(self._store, min(days), max(days), streams=self._streams))
