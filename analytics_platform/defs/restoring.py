"""Restoring a backup of the lake, and what has to be done before anybody may use it: forgetting anew.

A backup is older than what was removed since, so the living records of governance (evidence, plans, holds, statements
of removals) take the place of the restored ones, and what they say is carried out on the restored lake. The
warehouse is not restored: `analytics run` builds it from the lake.
"""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

from analytics_platform.catalog import load_catalog
from analytics_platform.defs.erasure import lake_places
from analytics_platform.defs.resources import identity_keys_from, store_from, warehouse_from
from analytics_platform.defs.retention import came_back, lake_sinks_of
from analytics_platform.errors import AnalyticsError
from analytics_platform.governance.backups import Backup, back_up, newest_backup, read_backup, restore
from analytics_platform.governance.erasure.again import erase_again
from analytics_platform.governance.erasure.desk import held_by
from analytics_platform.governance.erasure.place import Held
from analytics_platform.governance.evidence import EvidenceChain, remembered
from analytics_platform.governance.retention.holds import Holds
from analytics_platform.lake import layout
from analytics_platform.lake.extracts import settle
from analytics_platform.lake.removals import read_removals
from analytics_platform.lake.store import LocalStore, ObjectStore
from analytics_platform.settings import Settings

_RECORDS = (layout.EVIDENCE_PREFIX, layout.GOVERNANCE_PREFIX, layout.REMOVAL_PREFIX, layout.SUPPRESSION_PREFIX)
"""What is only ever added to, so that the living ones hold all that a backup's do."""


class NoBackupError(AnalyticsError):
    """There is nothing to restore."""


class ForgottenDataSurvivesError(AnalyticsError):
    """A restored lake still holds what was removed or erased."""


@dataclass(frozen=True, slots=True)
class Restored:
    """What came of restoring a backup.

    Attributes:
        backup: the file.
        made_at: when it was made, in UTC.
        objects: how many it held.
        removed_again: rows and objects that retention had removed since.
    """

    backup: str
    made_at: datetime
    objects: int
    removed_again: int

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Verified:
    """What was proven: the chain holds, and a backup comes back without what was forgotten."""

    evidence: int
    restored: Restored


def make_backup(settings: Settings, *, by: str) -> Backup:
    """Back the lake up, and put the backup's hash on record."""
    store = store_from(settings)
    made = back_up(store, settings.backups_folder, datetime.now(UTC))
    said = {"objects": len(made.objects), "bytes": made.path.stat().st_size}
    EvidenceChain(store).record("backup_made", made.sha256, by, said, at=datetime.now(UTC))
    return made


def restore_home(settings: Settings, path: Path | None, home: Path) -> Restored:
    """Restore a backup, by default the newest, into a home that is empty, without what was forgotten since.

    Raises:
        NoBackupError: there is none.
        DamagedBackupError: it is not what was written.
        NotEmptyError: the home has a lake.
        ForgottenDataSurvivesError: something is left all the same; the home may not be used.
    """
    backup, store = _chosen(settings, path), LocalStore(home / "lake")
    objects = restore(backup, store)
    for dashboard in load_catalog(settings.tenants_file).dashboards:
        settle(store, dashboard)  # a publication may have gone by while the backup was written
    _bring(store_from(settings), store)
    removed = _forget(settings, store)
    return Restored(str(backup.path), backup.made_at, objects, removed)


def verify_governance(settings: Settings, path: Path | None) -> Verified:
    """Check the chain of evidence, and restore a backup to a folder that is thrown away.

    Raises:
        BrokenChainError: naming the first entry that does not hold.
        AnalyticsError: as `restore_home`.
    """
    entries = EvidenceChain(store_from(settings)).verify(remembered(warehouse_from(settings)))
    with tempfile.TemporaryDirectory(prefix="restored-", dir=settings.home) as folder:
        return Verified(entries, restore_home(settings, path, Path(folder)))


def _chosen(settings: Settings, path: Path | None) -> Backup:
    found = path or newest_backup(settings.backups_folder)
    if found is None:
        raise NoBackupError(f"{settings.backups_folder} holds no backup; make one with `analytics governance backup`")
    return read_backup(found)


def _bring(living: ObjectStore, restored: ObjectStore) -> None:
    """The records of today take the place of those of the day of the backup."""
    for prefix in _RECORDS:
        for info in living.list(prefix):
            restored.put(info.key, living.get(info.key))


def _forget(settings: Settings, store: ObjectStore) -> int:
    """Carry out on a restored lake what was removed since, and see that nothing of it is left."""
    catalog, removals = load_catalog(settings.tenants_file), read_removals(store)
    sinks = lake_sinks_of(settings, catalog, store)
    keys, today = identity_keys_from(settings), datetime.now(UTC).date()
    again = partial(erase_again, store, keys, lake_places(catalog, store, keys), partial(_held, store, today))
    removed = came_back(sinks, removals) + again()
    if left := came_back(sinks, removals) + again():
        raise ForgottenDataSurvivesError(
            f"{left} rows and objects that were removed are in the restored lake; do not use it, and report it"
        )
    return removed


def _held(store: ObjectStore, today: date, tenant: str) -> Held:
    return held_by(Holds(store), tenant, today)
