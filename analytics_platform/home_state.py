"""What state a home is in: of which version each thing in it is, and whether it may be used at all.

``home.json`` in the home says which version of each persisted form the home has; ``SCHEMAS`` says which one this
program writes. A home that is newer than the program, or older than it reads, is refused before anything of it is
opened, as is one that a restore has not finished. Belongs here: the list, the file, the refusal. Stays out: bringing a
home from one version to the next (`defs.upgrading`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from analytics_platform.errors import AnalyticsError
from analytics_platform.settings import Settings

HOME_FILE = "home.json"
RESTORE_FILE = "restore.json"
"""There while a restore is under way: the backup, and until when nobody may use the home."""

FORM = 1
"""Of `home.json` itself."""


class HomeStateError(AnalyticsError):
    """A home cannot be used by this program; the text says what to do."""


@dataclass(frozen=True, slots=True)
class Schema:
    """A persisted form.

    Attributes:
        name: as in `home.json` and docs/upgrade.md.
        version: which one this program writes.
        opens: the oldest that it works with as it stands; an older one wants an upgrade first.
        upgrades: the oldest that it can bring here; before that, another release comes between.
        where: what has it.
        modules: the modules that write it.
    """

    name: str
    version: int
    opens: int
    upgrades: int
    where: str
    modules: tuple[str, ...]


def _first(name: str, where: str, *modules: str) -> Schema:
    """A form that has not changed since it is counted; 0 is that of a home from before."""
    return Schema(name, 1, 0, 0, where, modules)


SCHEMAS: tuple[Schema, ...] = (
    _first("landing", "lake: lines in landing/", "lake.schema"),
    _first("manifests", "lake: landing_manifests/", "lake.manifest"),
    _first("dead_letters", "lake: dead/", "lake.dead_letters"),
    _first("raw", "lake: raw/, and the statement in each object", "lake.partition", "lake.schema"),
    _first("raw_empty", "lake: raw_empty/", "lake.built"),
    _first("replays", "lake: replays/", "lake.replays"),
    _first("identities", "lake: identities/", "identities.table"),
    _first("suppressions", "lake: suppressions/", "identities.suppression"),
    _first("removals", "lake: removals/", "lake.removals"),
    _first("evidence", "lake: evidence/", "governance.evidence"),
    _first(
        "governance",
        "lake: governance/ (plans, approvals, holds, requests)",
        "governance.retention.plan",
        "governance.erasure.plan",
        "governance.erasure.requests",
    ),
    _first("times", "lake: governance/migrations/", "lake.dated"),
    _first("connectors", "lake: connectors/, and staged rows of the home", "connectors.state", "connectors.staging"),
    _first("extracts", "lake: extracts/, with a format of its own in each manifest", "lake.extract_manifest"),
    _first("reviews", "lake: reviews/", "governance.review.archive", "governance.review.signatures"),
    _first("warehouse", "tables that no build makes anew", "defs.upgrading"),
    Schema(
        "dagster",
        2,
        0,
        0,
        "Dagster's tables, by its own migrations, and an index of ours",
        ("defs.upgrading", "defs.newest_events"),
    ),
    _first("alerts", "home: alerts.sqlite", "alerting.store"),
    _first("portal_state", "home: portal/state.sqlite", "portal.sessions"),
    _first("portal_users", "home: portal/users.json", "portal.users"),
    _first("identity_keys", "home: identity_keys.json", "identities.keys"),
    _first("write_keys", "home: write_keys.yaml", "intake.key_registry"),
    _first("spool", "a collector's spool", "intake.collector.segments", "intake.collector.journal"),
    _first("producers", "producers' outbox and queue of scans", "tracking.outbox", "tracking.scan_queue"),
    _first("migration", "home: migration.sqlite, of a migration under way", "migration.state"),
    _first("backups", "a target of backups", "backup.contents", "backup.keys"),
    _first("home", "home: home.json, restore.json", "home_state"),
)
"""Every persisted form; one that changes rises here, with its step in `defs.upgrading`."""


@dataclass(frozen=True, slots=True)
class HomeState:
    """What a home says of itself.

    Attributes:
        versions: by schema; one that is not named is of version 0.
        upgrading: the schema whose step has begun and not ended.
    """

    versions: Mapping[str, int]
    upgrading: str | None = None

    def version(self, schema: Schema) -> int:
        """Of which version a form is."""
        return self.versions.get(schema.name, 0)


def current_versions() -> dict[str, int]:
    """What this program writes."""
    return {schema.name: schema.version for schema in SCHEMAS}


def known_versions(settings: Settings) -> dict[str, int]:
    """Versions of a home by schema."""
    state = read_state(settings.home)
    return {schema.name: state.version(schema) for schema in SCHEMAS}


def read_state(home: Path) -> HomeState:
    """What a home says of itself; one without the file is from before.

    Raises:
        HomeStateError: the file is not what was written.
    """
    path = home / HOME_FILE
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return HomeState({name: int(version) for name, version in said["versions"].items()}, said["upgrading"])
    except FileNotFoundError:
        return HomeState({})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise HomeStateError(f"{path} is not what was written; put it back from a backup") from error


def write_state(home: Path, state: HomeState) -> None:
    """Say of a home which versions it has, in one step."""
    versions = dict(sorted(state.versions.items()))
    write_json(home / HOME_FILE, {"form": FORM, "versions": versions, "upgrading": state.upgrading})


def mark_new(settings: Settings) -> None:
    """Say of a home in which nothing was ever built that it is of this program's versions."""
    is_old = settings.warehouse_path.exists() or (settings.home / HOME_FILE).exists()
    if not is_old and not settings.dagster_home.exists():
        settings.home.mkdir(parents=True, exist_ok=True)
        write_state(settings.home, HomeState(current_versions()))


def write_json(path: Path, said: Mapping[str, object]) -> None:
    """Write a small file that is whole or not there, and on disk when this returns."""
    draft = path.with_name(f".{path.name}.part")
    with draft.open("w", encoding="utf-8") as file:
        file.write(json.dumps(said, indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def require_usable(settings: Settings) -> None:
    """Refuse a home that this program cannot use; one that is not there yet can be used.

    Raises:
        HomeStateError: it is being restored, newer than the program, or wants an upgrade.
    """
    _require_restored(settings.home)
    state = read_state(settings.home)
    require_known(settings.home, state)
    if state.upgrading is not None:
        raise HomeStateError(f"an upgrade of {settings.home} broke off at {state.upgrading}; run `analytics upgrade`")
    if old := [schema.name for schema in SCHEMAS if state.version(schema) < schema.opens]:
        raise HomeStateError(f"{settings.home} is of an earlier release ({', '.join(old)}); run `analytics upgrade`")


def require_known(home: Path, state: HomeState) -> None:
    """Refuse versions that this program neither knows nor can bring up.

    Raises:
        HomeStateError: saying which.
    """
    schemas = {schema.name: schema for schema in SCHEMAS}
    for name, version in state.versions.items():
        if name not in schemas or version > schemas[name].version:
            known = schemas[name].version if name in schemas else "none"
            raise HomeStateError(
                f"{home} is of a newer release: {name} has version {version}, and this program knows {known}; use that "
                "release, or restore a backup from before its upgrade"
            )
    for schema in SCHEMAS:
        if state.version(schema) < schema.upgrades:
            raise HomeStateError(
                f"{home} is too old: {schema.name} has version {state.version(schema)}, and this program upgrades from "
                f"{schema.upgrades} on; upgrade with the releases between first"
            )


def _require_restored(home: Path) -> None:
    path = home / RESTORE_FILE
    if path.exists():
        said = json.loads(path.read_text(encoding="utf-8"))
        raise HomeStateError(
            f"{home} is being restored from backup {said['backup']}, and what was erased since is not taken out yet; "
            f"finish it with `analytics restore {said['target']} --to {home} --backup {said['backup']}`"
        )
