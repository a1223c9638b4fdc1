"""The lake's objects, from one store to another: every key, byte for byte, with the time at which it was written.

An object that the source has lost since (retention, erasure) is taken away in the target as well, one that changed
is put again. Stays out: what is in an object.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from analytics_platform.lake import layout
from analytics_platform.lake.dated import RECORDS_PREFIX, DatedStore, write_times
from analytics_platform.lake.store import ObjectExistsError, ObjectInfo, ObjectMissingError, ObjectStore
from analytics_platform.migration.parts import (
    Compared,
    Difference,
    Item,
    Moved,
    OtherDataError,
    Progress,
    SourceInUseError,
    Step,
    at_once,
    batches,
    some,
)
from analytics_platform.migration.state import Brought, MigrationState

PART = "lake"

_NOTED_AT_ONCE = 64
"""Objects after which it is noted what was put; a killed attempt puts at most so many again."""

_LEFT = {
    "probes/": "proves something of one store and is deleted at once",
    f"{layout.GOVERNANCE_PREFIX}locks/": "a lock of the source's own processes",
    RECORDS_PREFIX: "times of an earlier migration; they are in the new one's",
}
_FORGOTTEN_FIRST = (layout.SUPPRESSION_PREFIX, layout.REMOVAL_PREFIX, layout.GOVERNANCE_PREFIX, layout.EVIDENCE_PREFIX)
"""What says who and what may not come back is there before anything else."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Known:
    """The target as it was found: what it lists, and what is noted of it."""

    listed: Mapping[str, ObjectInfo]
    noted: Mapping[str, Brought]


class LakeMove:
    """The objects of one store on their way into another.

    Args:
        source: the lake that is left.
        target: the lake that is moved into.
        state: what was brought already.
        step: told each step.
    """

    name = PART

    def __init__(
        self, source: DatedStore, target: DatedStore, state: MigrationState, step: Step = lambda _: None
    ) -> None:
        self._source, self._target = source, target
        self._state, self._step = state, step
        self._place = target.address("x").removesuffix("x")

    def plan(self) -> list[Item]:
        """By prefix; see `Part`."""
        noted = self._state.objects(self._place)
        found: dict[str, list[ObjectInfo]] = {}
        for info in self._source.list(""):
            found.setdefault(_left(info.key) or f"{info.key.partition('/')[0]}/", []).append(info)
        return [_item(prefix, infos, noted) for prefix, infos in sorted(found.items())]

    def run(self, progress: Progress) -> Moved:
        """See `Part`."""
        objects = self._objects()
        known = _Known(_listed(self._target.undated), self._state.objects(self._place))
        self._refuse_other_data(objects, known)
        removed = self._take_away(known.noted.keys() - objects.keys())
        waiting = sorted((each for each in objects.values() if not _is_there(each, known)), key=_order)
        self._copy(waiting, known, progress)
        self._step("lake: note the times")
        self._note_times(objects)
        self._refuse_changed(objects)
        return Moved(PART, len(waiting), removed, len(objects), sum(each.size for each in objects.values()))

    def verify(self, progress: Progress) -> Compared:
        """Every object of both sides is read whole; see `Part`."""
        ours, theirs = self._objects(), _listed(self._target)
        found = [Difference(PART, key, "is missing in the target") for key in sorted(ours.keys() - theirs.keys())]
        found += [Difference(PART, key, "is not in the source") for key in sorted(theirs.keys() - ours.keys())]
        total = hashlib.sha256()
        both = sorted(ours.keys() & theirs.keys())
        for done, (key, (left, right)) in enumerate(at_once(both, self._hashes), 1):
            total.update(f"{key} {left}\n".encode())
            if left != right:
                found.append(Difference(PART, key, f"has other bytes in the target: SHA-256 {right} instead of {left}"))
            elif ours[key].modified_at != theirs[key].modified_at:
                at, told = ours[key].modified_at, theirs[key].modified_at
                found.append(Difference(PART, key, f"was written at {at}, and the target says {told}"))
            progress(done, len(both))
        return Compared(PART, len(ours), tuple(found), total.hexdigest(), sum(each.size for each in ours.values()))

    def _objects(self) -> dict[str, ObjectInfo]:
        return {info.key: info for info in self._source.list("") if _left(info.key) is None}

    def _refuse_other_data(self, objects: Mapping[str, ObjectInfo], known: _Known) -> None:
        if other := sorted(known.listed.keys() - objects.keys() - known.noted.keys()):
            raise OtherDataError(
                f"{self._place} holds {len(other):,} objects that this migration has not brought ({some(other)}); "
                "name an empty place in lake_url"
            )
        rewritten = [key for key, info in known.listed.items() if self._is_rewritten(info, known.noted.get(key))]
        if rewritten:
            raise OtherDataError(
                f"{self._place} has been used since: {len(rewritten):,} objects were written anew ({some(rewritten)}). "
                "Stay with it, or name an empty place in lake_url"
            )

    def _is_rewritten(self, info: ObjectInfo, noted: Brought | None) -> bool:
        """Whether somebody else has put an object; a time that differs is no proof where our own note was lost."""
        if noted is None or noted.put_at in (None, int(info.modified_at.timestamp())):
            return False
        return _sha256(self._target, info.key) != noted.sha256

    def _take_away(self, keys: Iterable[str]) -> int:
        gone = sorted(keys)
        for some_of_them in batches(gone, _NOTED_AT_ONCE):
            self._step(f"lake: take away {some_of_them[0]}")
            list(at_once(some_of_them, self._target.delete))
            self._state.forget(self._place, some_of_them)
        return len(gone)

    def _copy(self, waiting: list[ObjectInfo], known: _Known, progress: Progress) -> None:
        done = 0
        for some_of_them in batches(waiting, _NOTED_AT_ONCE):
            self._step(f"lake: put {some_of_them[0].key}")
            self._expect(known.noted, [each.key for each in some_of_them])
            put = at_once(some_of_them, lambda info: self._put(info, known))
            brought = [each for _, each in put if each is not None]
            self._step(f"lake: note {some_of_them[0].key}")
            self._state.brought(self._place, brought)
            done += len(some_of_them)
            progress(done, len(waiting))

    def _expect(self, noted: Mapping[str, Brought], keys: Sequence[str]) -> None:
        """Note that objects are about to be replaced, so that a killed attempt does not look like somebody else's."""
        self._state.brought(self._place, [replace(noted[key], put_at=None) for key in keys if key in noted])

    def _put(self, info: ObjectInfo, known: _Known) -> Brought | None:
        """Put an object; None when the source has lost it meanwhile.

        Only what we brought before is replaced; where a key that we know nothing of is taken, its bytes decide: they
        are of an attempt that was killed before its note, or of somebody else.
        """
        try:
            data = self._source.get(info.key)
        except ObjectMissingError:
            return None
        sha256 = hashlib.sha256(data).hexdigest()
        try:
            self._target.put(info.key, data, if_none_match=info.key not in known.noted)
        except ObjectExistsError:
            if _sha256(self._target, info.key) != sha256:
                raise OtherDataError(
                    f"{self._target.address(info.key)} holds other bytes, which this migration has not brought; "
                    "name an empty place in lake_url"
                ) from None
        return Brought(info.key, info.size, _written(info), sha256)

    def _note_times(self, objects: Mapping[str, ObjectInfo]) -> None:
        noted = self._state.objects(self._place)
        listed = [info for key, info in _listed(self._target.undated).items() if key in noted]
        put = {info.key: int(info.modified_at.timestamp()) for info in listed}
        changed = [replace(each, put_at=put[key]) for key, each in noted.items() if each.put_at != put.get(key)]
        self._state.brought(self._place, changed)
        self._step("lake: write the times into the target")
        write_times(self._target.undated, {key: info.modified_at for key, info in objects.items()}, listed)

    def _refuse_changed(self, objects: Mapping[str, ObjectInfo]) -> None:
        now = self._objects()
        changed = sorted(key for key in now.keys() | objects.keys() if now.get(key) != objects.get(key))
        if changed:
            raise SourceInUseError(
                f"{len(changed):,} objects of the source changed while it was copied ({some(changed)}); stop what "
                "writes there (collector, imports, `analytics up`) and run the migration again"
            )

    def _hashes(self, key: str) -> tuple[str, str]:
        return _sha256(self._source, key), _sha256(self._target, key)


def _listed(store: ObjectStore) -> dict[str, ObjectInfo]:
    return {info.key: info for info in store.list("") if not info.key.startswith(RECORDS_PREFIX)}


def _left(key: str) -> str | None:
    """The prefix for whose sake an object is not copied."""
    return next((prefix for prefix in _LEFT if key.startswith(prefix)), None)


def _item(prefix: str, infos: list[ObjectInfo], noted: Mapping[str, Brought]) -> Item:
    reason = _LEFT.get(prefix, "")
    done = 0 if reason else sum(_is_same(info, noted.get(info.key)) for info in infos)
    size = sum(info.size for info in infos)
    return Item(PART, prefix, "left" if reason else "copied", len(infos), size, done, reason)


def _is_there(info: ObjectInfo, known: _Known) -> bool:
    there = known.listed.get(info.key)
    return there is not None and there.size == info.size and _is_same(info, known.noted.get(info.key))


def _is_same(info: ObjectInfo, noted: Brought | None) -> bool:
    """Whether what was brought is what the source has still."""
    return noted is not None and (noted.size, noted.written) == (info.size, _written(info))


def _written(info: ObjectInfo) -> int:
    return (info.modified_at - _EPOCH) // timedelta(microseconds=1)


def _order(info: ObjectInfo) -> tuple[int, str]:
    first = next((n for n, prefix in enumerate(_FORGOTTEN_FIRST) if info.key.startswith(prefix)), len(_FORGOTTEN_FIRST))
    return first, info.key


def _sha256(store: ObjectStore, key: str) -> str:
    return hashlib.sha256(store.get(key)).hexdigest()
