"""Restoring a backup, and what has to be done before anybody may use it: forgetting anew.

A backup is older than what was removed since, so the records of today (from the journal beside the backups, or from a
lake that still lives) take the place of the restored ones, and what they say is carried out in every place of the
restored home. Until all of that is done and looked at, the home is refused to everybody (`home_state`).
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg

from analytics_platform.backup.contents import Backup, DamagedBackupError, Kept
from analytics_platform.backup.journal import put_records, records_of, refuse_older
from analytics_platform.backup.keys import newest_keys
from analytics_platform.backup.restore import lay_down
from analytics_platform.backup.target import JOURNAL_PREFIX, BackupTarget
from analytics_platform.catalog import Catalog, load_catalog
from analytics_platform.defs.backing_up import SEALED, target_of
from analytics_platform.defs.erasure import lake_places, places_of, search_of, settle_erasure
from analytics_platform.defs.forgetting import forget_partitions
from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.migrating import embedded, home_files
from analytics_platform.defs.migrating_records import runs_under_way
from analytics_platform.defs.resources import backup_store, identity_keys_from, store_from, warehouse_from
from analytics_platform.defs.retention import came_back, home_sinks_of, lake_sinks_of, settle_removals
from analytics_platform.errors import AnalyticsError
from analytics_platform.governance.erasure.again import erased_again
from analytics_platform.governance.erasure.desk import held_by
from analytics_platform.governance.erasure.person import Person
from analytics_platform.governance.erasure.place import Found, Place
from analytics_platform.governance.evidence import EvidenceChain, remembered
from analytics_platform.governance.retention.holds import Holds
from analytics_platform.governance.retention.tables import WarehouseTables
from analytics_platform.home_state import RESTORE_FILE, HomeState, require_known, write_json, write_state
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.suppression import read_suppressions
from analytics_platform.lake.extracts import settle
from analytics_platform.lake.ledger import ledger_rows, unbalanced
from analytics_platform.lake.removals import Removals, read_removals
from analytics_platform.lake.store import LocalStore, ObjectStore, refuse_unsafe
from analytics_platform.migration.parts import Progress, Step, some
from analytics_platform.settings import Settings
from analytics_platform.warehouse import Warehouse


class NotEmptyError(AnalyticsError):
    """A backup may only be restored to where nothing is."""


class MissingKeysError(AnalyticsError):
    """What the restored lake is sealed with is not there."""


class NotAsItWasError(AnalyticsError):
    """What was restored is not what the backup says that it keeps."""


class ForgottenDataSurvivesError(AnalyticsError):
    """A restored home still holds what was removed or erased."""


@dataclass(frozen=True)
class From:
    """Where a restore takes what it needs.

    Attributes:
        target: where the backups are.
        backup_id: which one; by default the newest.
        keys: a folder with the files that name people, kept by hand; by default those that the target has sealed.
        records: a lake that still lives, whose records of governance are newer than the target's journal.
    """

    target: BackupTarget
    backup_id: str | None = None
    keys: Path | None = None
    records: ObjectStore | None = None


@dataclass(frozen=True)
class Restored:
    """What came of restoring a backup.

    Attributes:
        backup: its id.
        made_at: when it was made, in UTC.
        things: objects and files that it keeps.
        written: how many had to be written.
        removed_again: rows, objects and files that were removed or erased since.
        runs_ended: runs that were under way when it was made.
        rows: rows of the warehouse, as they were made.
        evidence: entries of the chain, which holds.
        apart: what it does not keep, and who does.
    """

    backup: str
    made_at: datetime
    things: int
    written: int
    removed_again: int
    runs_ended: int = 0
    rows: int = 0
    evidence: int = 0
    apart: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """The same as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Verified:
    """What was proven: the chain holds, and a backup's lake comes back without what was forgotten."""

    evidence: int
    restored: Restored


def restore_home(
    settings: Settings, origin: From, home: Path, progress: Progress, step: Step = lambda _: None
) -> Restored:
    """Restore a backup into a home that is empty, without what was forgotten since.

    Args:
        settings: the deployment's; its catalogue and time zone go for the restored home too.
        origin: where everything comes from.
        home: the new home, as the embedded default has it.
        progress: told what is done.
        step: told each step before it is taken.

    Raises:
        NotEmptyError: the home holds anything, but for an attempt to restore the same backup.
        MissingKeysError: the keys to people are nowhere.
        DamagedBackupError: something is not what was written.
        ForgottenDataSurvivesError: something is left all the same; the home stays refused.
    """
    target, backup = origin.target, origin.target.backup(origin.backup_id)
    require_known(home, HomeState(backup.versions))
    restored = embedded(settings, home).model_copy(update={"backup_target": None})
    _begin(restored.home, target, backup)
    contents = target.contents(backup)
    _bring_keys(settings, restored, origin, backup)
    places = _places(restored)
    _clear(restored, {places[kept.part](kept) for kept in contents})
    written = lay_down(target, contents, lambda kept: places[kept.part](kept), progress, step)
    step("compare")
    rows = _compare_rows(restored, backup)
    lake, catalog = store_from(restored), load_catalog(settings.tenants_file, settings.extension_catalog)
    _bring_records(lake, _records(origin, backup))
    step("forget")
    removed = forget_again(restored, catalog, step)
    step("settle")
    for dashboard in catalog.dashboards:
        settle(lake, dashboard)  # a publication may have gone by while the backup was made
    ended = _end_runs(restored)
    evidence = EvidenceChain(lake).verify()
    _require_balance(lake)
    step("release")
    write_state(restored.home, HomeState(backup.versions))
    os.sync()
    (restored.home / RESTORE_FILE).unlink()
    return Restored(
        backup.backup_id, backup.made_at, len(contents), written, removed, ended, rows, evidence, backup.apart
    )


def verify_governance(settings: Settings) -> Verified:
    """Check the chain of evidence, and restore the newest backup's lake to a folder that is thrown away.

    Raises:
        BrokenChainError: naming the first entry that does not hold.
        AnalyticsError: as `restore_home`.
    """
    living, target = store_from(settings), target_of(settings)
    entries = EvidenceChain(living).verify(remembered(warehouse_from(settings)))
    backup = target.backup()
    contents = [each for each in target.contents(backup) if each.part == "lake"]
    with tempfile.TemporaryDirectory(prefix="restored-", dir=settings.home) as folder:
        lake, root = LocalStore(Path(folder) / "lake"), Path(folder) / "lake"
        written = lay_down(target, contents, lambda kept: _below(root, kept), lambda _done, _all: None)
        _bring_records(lake, _records(From(target, records=living), backup))
        catalog, keys = load_catalog(settings.tenants_file, settings.extension_catalog), identity_keys_from(settings)
        sinks, removals = lake_sinks_of(settings, catalog, lake), read_removals(lake)

        def forget() -> int:
            return came_back(sinks, removals) + _erase_again(lake, catalog, keys)

        removed = forget()
        _require_nothing(forget())
    return Verified(entries, Restored(backup.backup_id, backup.made_at, len(contents), written, removed))


def forget_again(settings: Settings, catalog: Catalog, step: Step = lambda _: None) -> int:
    """Carry out in a restored home what was removed and erased since, and see that nothing of it is left.

    Raises:
        ForgottenDataSurvivesError: naming where something is left.
    """
    lake, warehouse, keys = store_from(settings), warehouse_from(settings), identity_keys_from(settings)
    removals, has_tables = read_removals(lake), settings.warehouse_path.exists()
    people = list(erased_again(lake, keys, read_suppressions(lake)))
    all_places = places_of(settings, catalog, lake, warehouse, keys)
    found = _erase(lake, all_places if has_tables else lake_places(catalog, lake, keys), people, step)
    step("remove what retention has removed")
    removed = _remove(settings, catalog, lake, removals)
    step("settle what follows")
    if has_tables:
        days = [day for each in found for day in (each.first, each.last) if day is not None]
        settle_erasure(lake, warehouse, min(days, default=date.max), max(days, default=date.min))
        with open_instance(settings) as instance:
            settle_removals(warehouse, catalog, lambda gone: forget_partitions(instance, catalog, gone), removals)
    step("look again")
    _require_nothing(_remove(settings, catalog, lake, removals))
    _require_nothing(_erase_again(lake, catalog, keys))
    if has_tables:
        search, today = search_of(settings, catalog, lake, warehouse, keys), datetime.now(UTC).date()
        for person in people:
            searched = search.survivors(person, held_by(Holds(lake), person.tenant, today))
            left = [f"{each.sink}: {each.problem or each.units}" for each in searched if each.units != 0]
            _require_nothing(len(left), left)
    return _units(found) + removed


def _begin(home: Path, target: BackupTarget, backup: Backup) -> None:
    """Take an empty folder, or one in which the same backup was being restored."""
    marker = home / RESTORE_FILE
    said = {"backup": backup.backup_id, "target": target.address}
    if marker.exists() and json.loads(marker.read_text(encoding="utf-8")) == said:
        return
    if home.exists() and (found := sorted(path.name for path in home.iterdir())):
        raise NotEmptyError(f"{home} holds {some(found)}; name a folder that is empty")
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_json(marker, said)


def _clear(settings: Settings, wanted: set[Path]) -> None:
    """Take away what an attempt that was broken off has made beside what it laid down."""
    keep = {settings.home / RESTORE_FILE, *(home_files(settings)[name] for name in SEALED)}
    for path in [path for path in settings.home.rglob("*") if path.is_file()]:
        if path not in wanted and path not in keep:
            path.unlink()


def _places(settings: Settings) -> Mapping[str, Callable[[Kept], Path]]:
    return {
        "lake": lambda kept: _below(settings.lake_root, kept),
        "dagster": lambda kept: _below(settings.dagster_home, kept),
        "warehouse": lambda _: settings.warehouse_path,
        "home": lambda kept: _home_file(settings, kept.name),
    }


def _below(root: Path, kept: Kept) -> Path:
    refuse_unsafe(kept.name)
    return root / kept.name


def _home_file(settings: Settings, name: str) -> Path:
    record = name.removeprefix("portal's record ")
    if record != name and "/" not in record:
        return settings.portal_root / "audit" / record
    if name not in home_files(settings):
        raise DamagedBackupError(f"home file {name!r} is none that this program knows; restore with the newer program")
    return home_files(settings)[name]


def _bring_keys(settings: Settings, restored: Settings, origin: From, backup: Backup) -> None:
    files = home_files(restored)
    if origin.keys is not None:
        found = {name: origin.keys / files[name].name for name in SEALED}
        brought = {name: path.read_bytes() for name, path in found.items() if path.is_file()}
    elif settings.backup_passphrase is not None:
        brought = newest_keys(origin.target, settings.backup_passphrase.get_secret_value())
    else:
        brought = {}
    needs_keys = any(name.startswith("keys") for name in backup.apart) or settings.backup_passphrase is not None
    if needs_keys and "identity keys" not in brought and not restored.identity_keys_file.exists():
        raise MissingKeysError(
            f"backup {backup.backup_id} holds no keys to people; name the folder with identity_keys.json with --keys, "
            "or set the backup_passphrase that sealed them"
        )
    for name, data in brought.items():
        path = files[name]
        if name not in SEALED or (path.exists() and not path.is_relative_to(restored.home)):
            continue  # a file that a setting names is the living deployment's own
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        path.write_bytes(data)


def _records(origin: From, backup: Backup) -> Mapping[str, bytes]:
    """The newest records that there are.

    Raises:
        NotAsItWasError: they know less than the backup does.
    """
    living = origin.records
    records = records_of(living) if living is not None else records_of(origin.target.store, JOURNAL_PREFIX)
    known = sum(key.startswith("evidence/") for key in records)
    if known < backup.facts.get("evidence_entries", 0):
        raise NotAsItWasError(
            f"the journal of {origin.target.address} has {known} entries of evidence, and the backup was made after "
            f"{backup.facts['evidence_entries']}; name the lake that still lives with --erasures"
        )
    return records


def _bring_records(lake: ObjectStore, records: Mapping[str, bytes]) -> None:
    put_records(records, lake)
    refuse_older(lake, records)


def _compare_rows(settings: Settings, backup: Backup) -> int:
    """Compare rows by table with what the backup has counted."""
    if not backup.tables:
        return 0
    counted = " union all ".join(f"select '{name}' as name, count(*) as n from {name}" for name in backup.tables)
    found = {row["name"]: row["n"] for row in warehouse_from(settings).query(counted).to_pylist()}
    if other := [name for name, rows in backup.tables.items() if found.get(name) != rows]:
        raise NotAsItWasError(f"rows of {some(other)} are not as many as the backup has counted; choose another backup")
    return sum(found.values())


def _remove(settings: Settings, catalog: Catalog, lake: ObjectStore, removals: Removals) -> int:
    units = came_back([*lake_sinks_of(settings, catalog, lake), *home_sinks_of(settings)], removals)
    if not settings.warehouse_path.exists():
        return units
    warehouse = warehouse_from(settings)
    built = _built(warehouse)
    known = {place: each for place, each in removals.by_place.items() if place[0] in built}
    return units + came_back([WarehouseTables(warehouse, catalog)], Removals(known))


def _built(warehouse: Warehouse) -> set[str]:
    asked = "select table_schema || '.' || table_name as name from information_schema.tables"
    return {row["name"] for row in warehouse.query(asked).to_pylist()}


def _erase(
    lake: ObjectStore, places: Sequence[Place], people: Sequence[Person], step: Step = lambda _: None
) -> list[Found]:
    found: list[Found] = []
    today = datetime.now(UTC).date()
    for number, person in enumerate(people):
        held = held_by(Holds(lake), person.tenant, today)
        for place in places:
            step(f"erase person {number} from {place.name}")
            found += place.erase(person, held)
    return found


def _erase_again(lake: ObjectStore, catalog: Catalog, keys: IdentityKeys) -> int:
    """Take those of the erased out of a lake who are in it again; how much that was, beside what holds keep."""
    people = list(erased_again(lake, keys, read_suppressions(lake)))
    return _units(_erase(lake, lake_places(catalog, lake, keys), people))


def _units(found: Sequence[Found]) -> int:
    return sum(each.units for each in found)


def _require_nothing(left: int, where: Sequence[str] = ()) -> None:
    if left:
        named = f" ({some(list(where))})" if where else ""
        raise ForgottenDataSurvivesError(
            f"what was removed is in what was restored: {left} rows, objects, files or places{named}; do not use it, "
            "and report it"
        )


def _require_balance(lake: ObjectStore) -> None:
    """Every line is accounted for; a partition that waits for the next build is none yet."""
    rows = [row for row in unbalanced(ledger_rows(lake, date.min, date.max)).to_pylist() if not row["pending"]]
    if rows:
        named = [f"{row['stream']} {row['day']} {row['tenant_id']}" for row in rows]
        raise NotAsItWasError(f"the ledger of {some(named)} does not balance in what was restored; do not use it")


def _end_runs(settings: Settings) -> int:
    """Say of runs that were under way that they have ended: their processes are not there."""
    waiting = runs_under_way(settings.dagster_home)
    if not waiting:
        return 0
    with open_instance(settings) as instance:
        for run in _runs(instance, waiting):
            instance.report_run_failed(run, message="The process was of another machine: the home was restored.")
    return len(waiting)


def _runs(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> Iterator[dg.DagsterRun]:
    for run_id in run_ids:
        run = instance.get_run_by_id(run_id)
        if run is not None:
            yield run


def living_records(settings: Settings, address: str) -> ObjectStore:
    """The lake of a home, or of a bucket, that still lives."""
    return backup_store(settings, address if "://" in address else str(Path(address).expanduser() / "lake"))
