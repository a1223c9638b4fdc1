"""What a backup reads of a deployment, and in which order, so that it may be made while the platform runs.

What is derived is read before what it is derived from: alerts before the records that they were made of, these before
the warehouse, the warehouse before the lake; in the lake raw before the manifests, these before what they name, and the
records of governance last. So a backup never holds a result without its source; a source without its result is late
data, which the next run builds. One thing at a time is held still: the warehouse's file while it is copied to the same
disk, and each SQLite file while that is. Stays out: where it goes (`backup`), restoring (`restoring`).
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from analytics_platform.backup.contents import Backup, Part, backup_id_of
from analytics_platform.backup.create import Offered, Writing
from analytics_platform.backup.journal import bring_up_to_date
from analytics_platform.backup.keys import seal_keys
from analytics_platform.backup.prune import Pruned, Rule, prune
from analytics_platform.backup.target import BackupTarget
from analytics_platform.catalog import Catalog, load_catalog
from analytics_platform.defs.migrating import home_files
from analytics_platform.defs.resources import backup_store, embedded_warehouse, store_from, warehouse_from
from analytics_platform.defs.run_records import databases_of
from analytics_platform.errors import AnalyticsError
from analytics_platform.governance.erasure.requests import SUBJECTS
from analytics_platform.governance.evidence import EvidenceChain
from analytics_platform.home_state import known_versions
from analytics_platform.lake import layout
from analytics_platform.lake.dated import RECORDS_PREFIX, DatedStore
from analytics_platform.lake.store import ObjectInfo, ObjectMissingError
from analytics_platform.migration.parts import Progress, Step
from analytics_platform.settings import Settings
from analytics_platform.warehouse import SharedWarehouse, WarehouseMissingError

SEALED = ("identity keys", "reference key", "portal's users")
"""Of `home_files`, those that name people or let them in: sealed, or kept elsewhere by hand."""

RECORDS_FOLDERS = ("schedules", "history")
"""Of Dagster's folder: cursors before the runs that they started, runs before their events."""

SCRATCH = ".backing-up"
"""Folder of the home for files that are copied while they are held."""

_LEFT = (
    "probes/",
    f"{layout.GOVERNANCE_PREFIX}locks/",
    f"{layout.GOVERNANCE_PREFIX}{SUBJECTS}/",  # who asks to be erased, until it is done: in the journal alone
    RECORDS_PREFIX,
)
_SOURCES_LAST = (
    layout.EXTRACT_PREFIX,
    layout.RAW_PREFIX,
    layout.IDENTITIES_PREFIX,
    layout.MANIFEST_PREFIX,
    layout.REPLAY_PREFIX,
    layout.DEAD_PREFIX,
    layout.LANDING_PREFIX,
    layout.REVIEW_PREFIX,
    layout.REMOVAL_PREFIX,
    layout.GOVERNANCE_PREFIX,
    layout.SUPPRESSION_PREFIX,
    layout.EVIDENCE_PREFIX,
)
_ALL = (10**6, 0, 0)
"""Backups of days, weeks and months that stay: every one that is young enough."""

_PIECE_BYTES = 1 << 20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ATTEMPTS = 5


class NoTargetError(AnalyticsError):
    """Nobody has said where backups are."""


class BackupUnderWayError(AnalyticsError):
    """Another backup of this home has not ended."""


class RestlessObjectError(AnalyticsError):
    """An object was written anew each time that it was read."""


def back_up(settings: Settings, target: BackupTarget, *, by: str, progress: Progress) -> tuple[Backup, Pruned]:
    """Make a backup, then take away those that are beyond the age of their class: the backup of every day.

    Raises:
        OtherHistoryError: the target belongs to another deployment, or to a newer state of this one.
        BackupUnderWayError: another one has not ended.
    """
    made = make_backup(settings, target, by=by, progress=progress)
    return made, prune_backups(settings, target, rule_of(settings, *_ALL), by=by)


def target_of(settings: Settings, address: str | None = None) -> BackupTarget:
    """Where backups are: the address that was given, or else the one of the settings.

    Raises:
        NoTargetError: neither is there.
    """
    chosen = address or settings.backup_target
    if chosen is None:
        raise NoTargetError("no place for backups is named: give TARGET, or set backup_target to a folder or a bucket")
    return BackupTarget(backup_store(settings, chosen))


def make_backup(
    settings: Settings, target: BackupTarget, *, by: str, progress: Progress, step: Step = lambda _: None
) -> Backup:
    """Back a deployment up, and put the backup's hash on record.

    Args:
        settings: the deployment.
        target: where the backup goes.
        by: who answers for it; goes on record.
        progress: told what is done of each part.
        step: told each step before it is taken.

    Raises:
        OtherHistoryError: the target belongs to another deployment, or to a newer state of this one.
    """
    store, at = store_from(settings), datetime.now(UTC)
    bring_up_to_date(store, target.store)
    writing = Writing(target, step)
    with _scratch(settings) as folder:
        tables, apart = _take_parts(settings, store, writing, folder, progress)
    backup_id = backup_id_of(at)
    step("keys")
    apart |= _keep_keys(settings, target, backup_id)
    backup = Backup(
        backup_id=backup_id,
        made_at=at,
        ended_at=datetime.now(UTC),
        made_by=by,
        contents=writing.hash_of_contents(),
        counts=writing.counts(),
        tables=tables,
        apart=apart,
        versions=known_versions(settings),
        facts=_facts(store, writing),
        new_bytes=writing.new_bytes,
    )
    writing.commit(backup)
    step("record")
    said = {"contents": backup.contents, "counts": backup.counts, "target": target.address}
    EvidenceChain(store).record_once("backup_made", backup_id, by, said, at=datetime.now(UTC))
    bring_up_to_date(store, target.store)
    return backup


def prune_backups(settings: Settings, target: BackupTarget, rule: Rule, *, by: str) -> Pruned:
    """Take away backups that are due, and put on record which.

    No rule keeps a backup longer than the class of the dataset `backups` allows.
    """
    pruned = prune(target, rule, datetime.now(UTC))
    if pruned.removed:
        said = {"removed": list(pruned.removed), "pieces": pruned.pieces, "bytes": pruned.size}
        EvidenceChain(store_from(settings)).record("backups_pruned", pruned.removed[-1], by, said, at=datetime.now(UTC))
    return pruned


def max_age_of_backups(catalog: Catalog) -> timedelta:
    """How old a backup may become, as the catalogue's class of the dataset says."""
    return timedelta(days=catalog.retention_classes[catalog.datasets["backups"].retention_class].max_keep.about_days)


def rule_of(settings: Settings, daily: int, weekly: int, monthly: int) -> Rule:
    """What stays, never beyond the age that the catalogue allows."""
    return Rule(
        daily, weekly, monthly, max_age_of_backups(load_catalog(settings.tenants_file, settings.extension_catalog))
    )


def _take_parts(
    settings: Settings, store: DatedStore, writing: Writing, folder: Path, progress: Progress
) -> tuple[dict[str, int], dict[str, str]]:
    """Read everything in its order; rows by table, and what is kept elsewhere."""
    apart = {f"records: {dataset}": f"PostgreSQL {url.host}/{url.database}" for dataset, url in databases_of(settings)}
    writing.take(_home(settings, folder), progress)
    if not apart:
        writing.take(_records(settings, folder), progress)
    tables: dict[str, int] = {}
    if isinstance(warehouse := warehouse_from(settings), SharedWarehouse):
        apart["warehouse"] = f"{settings.warehouse} {warehouse.address}"
    else:
        offered, tables = _warehouse(settings, folder)
        writing.take(offered, progress)
    writing.take([each for each in _objects(store, "") if not each.name.startswith(_SOURCES_LAST)], progress)
    for prefix in _SOURCES_LAST:
        writing.take(_objects(store, prefix), progress)
    return tables, apart


def _home(settings: Settings, folder: Path) -> list[Offered]:
    open_files = {name: path for name, path in home_files(settings).items() if name not in SEALED and path.is_file()}
    return [_file("home", name, path, folder) for name, path in open_files.items()]


def _records(settings: Settings, folder: Path) -> list[Offered]:
    """Dagster's SQLite files, each as it is when it is copied."""
    root = settings.dagster_home
    found = [path for each in RECORDS_FOLDERS for path in sorted((root / each).glob("*.db"))]
    logs = root / "history" / "runs"
    found += [logs / "index.db", *sorted(path for path in logs.glob("*.db") if path.name != "index.db")]
    return [_file("dagster", path.relative_to(root).as_posix(), path, folder) for path in found if path.is_file()]


def _file(part: Part, name: str, path: Path, folder: Path) -> Offered:
    is_database = path.suffix in (".sqlite", ".db")
    stat = path.stat()
    written = stat.st_mtime_ns // 1000
    read = partial(_copied, path, folder) if is_database else partial(_whole, path)
    is_settled = not is_database or not _log_of(path).exists() or _log_of(path).stat().st_size == 0
    return Offered(part, name, stat.st_size, written if is_settled else None, read)


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _whole(path: Path) -> tuple[int, Iterable[bytes]]:
    try:
        return path.stat().st_mtime_ns // 1000, _pieces(path)
    except FileNotFoundError as error:
        raise ObjectMissingError(f"{path} is gone") from error


def _copied(path: Path, folder: Path) -> tuple[int, Iterable[bytes]]:
    """A database's pages as they are in one moment, whoever writes to it."""
    copy = folder / f"{path.parent.name}-{path.name}"
    if not path.is_file():
        raise ObjectMissingError(f"{path} is gone")
    written = path.stat().st_mtime_ns // 1000
    source = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60.0)
    with closing(source), closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return written, _pieces(copy, remove=True)


def _warehouse(settings: Settings, folder: Path) -> tuple[list[Offered], dict[str, int]]:
    """The warehouse's file and its rows by table, of one moment in which nobody writes."""
    warehouse, copy = embedded_warehouse(settings), folder / "warehouse.duckdb"
    try:
        with warehouse.opened() as connection:
            connection.execute("checkpoint")
            names = connection.execute(
                "select schema_name || '.' || table_name from duckdb_tables() where not internal order by 1"
            ).fetchall()
            tables = {name: connection.execute(f"select count(*) from {name}").fetchall()[0][0] for (name,) in names}
            written = settings.warehouse_path.stat().st_mtime_ns // 1000
            shutil.copyfile(settings.warehouse_path, copy)
    except WarehouseMissingError:
        return [], {}

    def read() -> tuple[int, Iterable[bytes]]:
        return written, _pieces(copy, remove=True)

    return [Offered("warehouse", copy.name, copy.stat().st_size, None, read)], tables


def _pieces(path: Path, *, remove: bool = False) -> Iterator[bytes]:
    with path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece
    if remove:
        path.unlink()


def _objects(store: DatedStore, prefix: str) -> list[Offered]:
    return [
        Offered("lake", info.key, info.size, _moment(info), partial(_object, store, info))
        for info in store.list(prefix)
        if not info.key.startswith(_LEFT)
    ]


def _object(store: DatedStore, listed: ObjectInfo) -> tuple[int, Iterable[bytes]]:
    """An object's bytes and the time at which just these were written."""
    info: ObjectInfo | None = listed
    for _ in range(_ATTEMPTS):
        data, seen = store.get(listed.key), info
        info = store.info(listed.key)
        if info is None:
            raise ObjectMissingError(f"{listed.key} is gone")
        if info == seen:
            return _moment(info), [data]
    raise RestlessObjectError(f"{listed.key} was written anew each time that it was read; make the backup again")


def _moment(info: ObjectInfo) -> int:
    return (info.modified_at - _EPOCH) // timedelta(microseconds=1)


def _keep_keys(settings: Settings, target: BackupTarget, backup_id: str) -> dict[str, str]:
    """Seal what names people; without a passphrase say that it is kept elsewhere."""
    files = {name: path for name, path in home_files(settings).items() if name in SEALED and path.is_file()}
    if settings.backup_passphrase is None:
        return {"keys": f"kept by hand: {', '.join(files)}"} if files else {}
    seal_keys(
        target,
        backup_id,
        {name: path.read_bytes() for name, path in files.items()},
        settings.backup_passphrase.get_secret_value(),
    )
    return {}


def _facts(store: DatedStore, writing: Writing) -> Mapping[str, Any]:
    """What else tells the moment of which a backup is."""
    landed = max((each.written for each in writing.kept if each.name.startswith(layout.LANDING_PREFIX)), default=None)
    evidence = list(EvidenceChain(store).entries())
    return {
        "last_landing_put_at": landed and (_EPOCH + timedelta(microseconds=landed)).isoformat(),
        "evidence_entries": len(evidence),
        "evidence_head": evidence[-1].hash if evidence else None,
    }


@contextmanager
def _scratch(settings: Settings) -> Iterator[Path]:
    """A folder for copies, which a backup that was killed may have left something in; of one backup at a time.

    Raises:
        BackupUnderWayError: another one has it.
    """
    folder, lock = settings.home / SCRATCH, settings.home / f"{SCRATCH}.lock"
    settings.home.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock, blocking=False):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)
            try:
                yield folder
            finally:
                shutil.rmtree(folder, ignore_errors=True)
    except Timeout as error:
        raise BackupUnderWayError(f"another backup is under way ({lock}); let it end, and try again") from error
