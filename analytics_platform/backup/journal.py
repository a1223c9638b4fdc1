"""The journal of a target: who was erased, what was removed, and what says so, kept beside the backups.

A backup is older than what was forgotten since, so whoever restores one has to know of it from elsewhere, also when
the lake is lost. So each record of governance is in the journal before anything is deleted on its account: a statement
is put there first and then into the lake; an entry of the chain of evidence, whose number the lake gives out, at once
after. Where the journal cannot be written, the removal or erasure stops there, and nothing is deleted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path

from analytics_platform.backup.target import JOURNAL_PREFIX
from analytics_platform.errors import AnalyticsError
from analytics_platform.lake.dated import RECORDS_PREFIX as TIMES_PREFIX
from analytics_platform.lake.layout import (
    EVIDENCE_PREFIX,
    GOVERNANCE_PREFIX,
    REMOVAL_PREFIX,
    SUPPRESSION_PREFIX,
    governance_prefix,
)
from analytics_platform.lake.store import ObjectInfo, ObjectMissingError, ObjectStore

RECORDS = (EVIDENCE_PREFIX, GOVERNANCE_PREFIX, REMOVAL_PREFIX, SUPPRESSION_PREFIX)
"""Prefixes of the lake whose objects are records of governance."""

_OF_A_STORE = (governance_prefix("locks"), TIMES_PREFIX)
"""Of one store and its processes."""


class OtherHistoryError(AnalyticsError):
    """A journal knows what the lake does not, or something else: one of the two is another deployment's, or older."""


def is_record(key: str) -> bool:
    """Whether an object of the lake belongs into the journal."""
    return key.startswith(RECORDS) and not key.startswith(_OF_A_STORE)


class JournaledStore:
    """A lake's store that keeps records of governance in a journal too.

    Args:
        store: the lake's own.
        journal: opens where backups are; asked for with the first record.
    """

    def __init__(self, store: ObjectStore, journal: Callable[[], ObjectStore]) -> None:
        self._store, self._open = store, journal
        # What changes nothing is the store's own; a call more for each would be felt in a hot path.
        self.get: Callable[[str], bytes] = store.get
        self.info: Callable[[str], ObjectInfo | None] = store.info
        self.list: Callable[[str], list[ObjectInfo]] = store.list
        self.local_path: Callable[[str], Path] = store.local_path
        self.address: Callable[[str], str] = store.address

    def put(self, key: str, data: bytes, *, if_none_match: bool = False) -> None:
        """See `ObjectStore.put`."""
        if is_record(key) and not if_none_match:
            self._journal.put(f"{JOURNAL_PREFIX}{key}", data)
        self._store.put(key, data, if_none_match=if_none_match)
        if is_record(key) and if_none_match:
            add_missing(self._store, self._journal, key.rpartition("/")[0] + "/")

    def delete(self, key: str) -> None:
        """See `ObjectStore.delete`."""
        self._store.delete(key)
        if is_record(key):
            self._journal.delete(f"{JOURNAL_PREFIX}{key}")

    @cached_property
    def _journal(self) -> ObjectStore:
        return self._open()


def add_missing(lake: ObjectStore, journal: ObjectStore, prefix: str) -> None:
    """Bring what the journal lacks below a prefix, also what an attempt before was not able to bring."""
    there = {info.key.removeprefix(JOURNAL_PREFIX) for info in journal.list(f"{JOURNAL_PREFIX}{prefix}")}
    for info in lake.list(prefix):
        if info.key not in there and is_record(info.key):
            journal.put(f"{JOURNAL_PREFIX}{info.key}", lake.get(info.key))


def bring_up_to_date(lake: ObjectStore, journal: ObjectStore) -> None:
    """Make a journal say what a lake does, also while others put records into both.

    The journal is read first: what is recorded meanwhile is in the lake then, and is not taken for gone. Statements and
    evidence stay whatever the lake has, which never lets go of them: they are here before they are there.

    Raises:
        OtherHistoryError: it knows evidence that the lake has not.
    """
    theirs = records_of(journal, JOURNAL_PREFIX)
    ours = records_of(lake)
    refuse_older(lake, theirs)
    for key, data in ours.items():
        if theirs.get(key) != data and (now := _bytes(lake, key)) is not None:
            journal.put(f"{JOURNAL_PREFIX}{key}", now)
    for key in theirs.keys() - ours.keys():
        if key.startswith(GOVERNANCE_PREFIX) and lake.info(key) is None:
            journal.delete(f"{JOURNAL_PREFIX}{key}")


def refuse_older(lake: ObjectStore, records: Mapping[str, bytes]) -> None:
    """Raise where records know of evidence that a lake has not.

    Raises:
        OtherHistoryError: naming the first entry.
    """
    for key, data in sorted(records.items()):
        if key.startswith(EVIDENCE_PREFIX) and _bytes(lake, key) != data:
            raise OtherHistoryError(
                f"the journal beside the backups has {key}, and {lake.address(key)} is missing or another one: the "
                "lake is older than the journal, or another deployment's; restore it with `analytics restore`, or name "
                "a backup_target of its own"
            )


def records_of(store: ObjectStore, below: str = "") -> dict[str, bytes]:
    """Records by their key in the lake: of a lake, or of the journal below a prefix."""
    infos = [info for prefix in RECORDS for info in store.list(f"{below}{prefix}")]
    stored = {info.key.removeprefix(below): _bytes(store, info.key) for info in infos}
    return {key: data for key, data in stored.items() if is_record(key) and data is not None}


def put_records(records: Mapping[str, bytes], lake: ObjectStore) -> None:
    """Make the records of a restored lake those of today."""
    for prefix in RECORDS:
        for info in lake.list(prefix):
            if is_record(info.key) and info.key not in records:
                lake.delete(info.key)
    for key, data in records.items():
        if _bytes(lake, key) != data:
            lake.put(key, data)


def _bytes(store: ObjectStore, key: str) -> bytes | None:
    try:
        return store.get(key)
    except ObjectMissingError:
        return None
