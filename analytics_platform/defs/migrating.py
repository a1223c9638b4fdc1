"""A migration of a deployment: which places it goes from and to, and that nobody writes to the source meanwhile.

Belongs here: reading settings as the two deployments, and the guards. Stays out: how a part is copied and compared
(`migration`, `migrating_records`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as db
from filelock import FileLock, Timeout

from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.migrating_records import RecordsMove, newest_heartbeat, runs_under_way
from analytics_platform.defs.resources import embedded_warehouse, store_from, warehouse_from
from analytics_platform.defs.run_records import databases_of
from analytics_platform.errors import AnalyticsError
from analytics_platform.governance.retention.lock import current_lock
from analytics_platform.migration.home import HomeFile, HomeMove, LeftBehind
from analytics_platform.migration.lake import LakeMove
from analytics_platform.migration.parts import (
    Compared,
    Fate,
    Item,
    Moved,
    Part,
    Progress,
    SourceInUseError,
    Step,
    some,
)
from analytics_platform.migration.state import STATE_FILE, MigrationState
from analytics_platform.migration.warehouse import WarehouseMove
from analytics_platform.settings import RBAC_EXPORT, Settings

_PATIENCE_SECONDS = 5.0
_ALIVE = timedelta(seconds=90)
"""Daemons say every half minute that they are alive."""


class NothingToMigrateError(AnalyticsError):
    """Source and target are the same place, or there is no source."""


@dataclass(frozen=True)
class Stays:
    """A part of which nothing is copied."""

    name: str
    fate: Fate
    reason: str

    def plan(self) -> list[Item]:
        """See `Part`."""
        return [Item(self.name, "all of it", self.fate, reason=self.reason)]

    def run(self, progress: Progress) -> Moved:
        """See `Part`."""
        del progress
        return Moved(self.name, 0, 0, 0)

    def verify(self, progress: Progress) -> Compared:
        """See `Part`."""
        del progress
        return Compared(self.name, 0, ())


def embedded(settings: Settings, home: Path | None) -> Settings:
    """A home as the embedded default has it, whatever settings say of backends.

    Args:
        settings: the deployment that is moved into.
        home: the home that is left; by default that of the settings.
    """
    home = settings.home if home is None else home.expanduser().resolve()
    files = {"identity_keys_file": "identity_keys.json", "write_keys_file": "write_keys.yaml"}
    own = {name: home / file for name, file in files.items() if name not in settings.model_fields_set}
    embedding: dict[str, object] = {
        "home": home,
        "lake_url": None,
        "warehouse": "duckdb",
        "warehouse_schema_prefix": "",
        "dagster_postgres_host": None,
        "dagster_config_file": None,
    }
    return settings.model_copy(update={**embedding, **own})


@contextmanager
def opened_parts(
    settings: Settings, home: Path | None, only: Sequence[str] = (), step: Step = lambda _: None
) -> Iterator[list[Part]]:
    """The parts of a migration, with what they share open.

    Args:
        settings: the deployment that is moved into.
        home: the home that is left; by default that of the settings.
        only: names of parts; by default all.
        step: told each step.

    Raises:
        NothingToMigrateError: there is no source, or nothing of it lies elsewhere than in the target.
    """
    source = embedded(settings, home)
    if not (source.lake_root.is_dir() or source.warehouse_path.exists()):
        raise NothingToMigrateError(f"{source.home} holds neither a lake nor a warehouse; name a home with --from")
    state = MigrationState(source.home / STATE_FILE)
    try:
        parts = _parts(source, settings, state, step)
        if all(isinstance(part, Stays) for part in parts):
            raise NothingToMigrateError(
                f"source and target are one: {source.home}; set lake_url, warehouse or dagster_postgres_host to where "
                "its data shall go, or name another home with --from"
            )
        yield [part for part in parts if not only or part.name in only]
    finally:
        state.close()


@contextmanager
def quiet_source(settings: Settings, home: Path | None) -> Iterator[None]:
    """Hold the source's warehouse, and see that nobody else writes to the source.

    Raises:
        SourceInUseError: naming who does.
        WarehouseBusyError: naming the process that builds.
    """
    source = embedded(settings, home)
    refuse_services(source)
    if source.home != settings.home:
        _refuse_unshipped(source.spool_root)
    with embedded_warehouse(source, _PATIENCE_SECONDS).exclusive():
        yield


def _parts(source: Settings, target: Settings, state: MigrationState, step: Step) -> list[Part]:
    return [
        _home_part(source, target, state, step),
        _lake_part(source, target, state, step),
        _warehouse_part(source, target, state, step),
        _dagster_part(source, target, state, step),
    ]


def _home_part(source: Settings, target: Settings, state: MigrationState, step: Step) -> Part:
    if source.home == target.home:
        return Stays("home", "stays", f"incidents, portal and keys are used where they are: {target.home}")
    return HomeMove(_files(source, target), _left(source), target.home, state, step)


def _lake_part(source: Settings, target: Settings, state: MigrationState, step: Step) -> Part:
    if target.lake_url is None and source.lake_root == target.lake_root:
        return Stays("lake", "stays", "settings name no bucket (lake_url)")
    return LakeMove(store_from(source), store_from(target), state, step)


def _warehouse_part(source: Settings, target: Settings, state: MigrationState, step: Step) -> Part:
    if target.warehouse == "duckdb" and source.warehouse_path == target.warehouse_path:
        return Stays("warehouse", "stays", "settings name no other warehouse (warehouse)")
    file, prefix = embedded_warehouse(source, _PATIENCE_SECONDS), target.warehouse_schema_prefix
    return WarehouseMove(file, warehouse_from(target), state, step, prefix)


def _dagster_part(source: Settings, target: Settings, state: MigrationState, step: Step) -> Part:
    if not (found := databases_of(target)):
        if source.home == target.home:
            return Stays("dagster", "stays", "settings name no PostgreSQL (dagster_postgres_host)")
        reason = "settings name no PostgreSQL; copy the folders dagster/history and dagster/schedules into the new home"
        return Stays("dagster", "left", reason)
    ((_, url),) = found

    def make_tables() -> None:
        with open_instance(target):
            step("dagster: tables are made")

    return RecordsMove(source.dagster_home, db.create_engine(url), state, step, make_tables)


def _files(source: Settings, target: Settings) -> list[HomeFile]:
    theirs = home_files(target)
    return [
        HomeFile(name, path, theirs.get(name, target.portal_root / "audit" / path.name))
        for name, path in home_files(source).items()
    ]


def home_files(settings: Settings) -> dict[str, Path]:
    """The few files that only a home holds, by how people call them; not all of them need to be there."""
    audit = settings.portal_root / "audit"
    return {
        "identity keys": settings.identity_keys_file,
        "write keys": settings.write_keys_file,
        "reference key": settings.access_root / "reference.key",
        "export of the RBAC": settings.home / RBAC_EXPORT,
        "portal's users": settings.portal_root / "users.json",
        "incidents and messages": settings.alerts_path,
        **{f"portal's record {path.name}": path for path in sorted(audit.glob("audit-*.jsonl"))},
    }


def _left(source: Settings) -> list[LeftBehind]:
    return [
        LeftBehind("settings", source.home / "settings.yaml", "left", "the target has its own"),
        LeftBehind("spools", source.spool_root, "left", "a collector's own; nothing in them waits to be shipped"),
        LeftBehind(
            "connectors", source.connectors_folder, "left", "the target has its own files; how far they read is moved"
        ),
        LeftBehind(
            "connectors' rows", source.connector_files, "left", "read again by the target where they have not landed"
        ),
        LeftBehind("portal's sessions", source.portal_state_path, "left", "people log in again"),
        LeftBehind("backups", source.backups_folder, "left", "older than what is moved; they stay until their term"),
        LeftBehind("demo", source.home / "demo", "left", "its events are in the lake"),
        LeftBehind("copies of objects", source.lake_cache, "rebuilt", "by whoever reads an object as a file"),
        LeftBehind("files per audience", source.access_root / "files", "rebuilt", "by governance/access_policies"),
        LeftBehind("dbt's output", source.dbt_target, "rebuilt", "by every build"),
    ]


def refuse_services(source: Settings) -> None:
    """See that nobody writes to a home.

    Raises:
        SourceInUseError: naming who does.
    """
    for lock in sorted(source.spool_root.glob("*/lock")):
        if _is_held(lock):
            raise SourceInUseError(f"a collector of {source.home} is running ({lock.parent.name}); stop it first")
    if _is_held(source.home / "backfill.lock"):
        raise SourceInUseError(f"a backfill of {source.home} is under way; wait until it has ended")
    beat = newest_heartbeat(source.dagster_home)
    if beat is not None and datetime.now(UTC) - beat.replace(tzinfo=UTC) < _ALIVE:
        raise SourceInUseError(
            f"Dagster's daemon of {source.home} was alive at {beat:%H:%M:%S} UTC; stop `analytics up`, and begin again "
            f"when {_ALIVE.seconds} s are over"
        )
    if under_way := runs_under_way(source.dagster_home):
        raise SourceInUseError(
            f"{len(under_way)} runs of {source.home} have not ended ({some(under_way)}); wait for them, or end them "
            "in Dagster's UI"
        )
    if lock_of_removal := current_lock(store_from(source), datetime.now(UTC)):
        raise SourceInUseError(f"{lock_of_removal.holder} removes something from {source.home} right now; wait for it")


def _refuse_unshipped(spool: Path) -> None:
    """A spool belongs to its home: what waits in one would reach the lake that is left."""
    if waiting := sorted([*spool.rglob("*.segment"), *spool.rglob("*.damaged")]):
        raise SourceInUseError(
            f"{waiting[0].parent} holds {len(waiting)} segments that are not in the lake yet; start its collector "
            "until they are (`analytics collector`), look at damaged ones, then begin again"
        )


def _is_held(lock: Path) -> bool:
    if not lock.exists():
        return False
    try:
        with FileLock(lock, blocking=False):
            return False
    except Timeout:
        return True
