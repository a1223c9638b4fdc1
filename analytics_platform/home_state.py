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
        oldest: which one it can still be brought here from.
        where: what has it.
        modules: the modules that write it.
    """

    name: str
    version: int
    oldest: int
    where: str
    modules: tuple[str, ...]


SCHEMAS: tuple[Schema, ...] = ()


def known_versions(settings: Settings) -> dict[str, int]:
    """Versions of a home by schema: what its file says, and of a home without one what this program writes."""
    said = read_versions(settings.home)
    return {schema.name: schema.version for schema in SCHEMAS} if said is None else said


def read_versions(home: Path) -> dict[str, int] | None:
    """What a home says of itself; None where it does not.

    Raises:
        HomeStateError: the file is not what was written.
    """
    path = home / HOME_FILE
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise HomeStateError(f"{path} is no JSON ({error}); put it back from a backup") from error
    return {name: int(version) for name, version in said["versions"].items()}


def write_versions(home: Path, versions: Mapping[str, int]) -> None:
    """Say of a home which versions it has, in one step."""
    write_json(home / HOME_FILE, {"form": FORM, "versions": dict(sorted(versions.items()))})


def write_json(path: Path, said: Mapping[str, object]) -> None:
    """Write a small file that is whole or not there, and on disk when this returns."""
    draft = path.with_name(f".{path.name}.part")
    with draft.open("w", encoding="utf-8") as file:
        file.write(json.dumps(said, indent=1) + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def require_restored(home: Path) -> None:
    """Refuse a home that a restore has begun and not finished.

    Raises:
        HomeStateError: saying how to finish it.
    """
    path = home / RESTORE_FILE
    if path.exists():
        said = json.loads(path.read_text(encoding="utf-8"))
        raise HomeStateError(
            f"{home} is being restored from backup {said['backup']}, and what was erased since is not taken out yet; "
            f"finish it with `analytics restore {said['target']} --to {home} --backup {said['backup']}`"
        )


def require_usable(settings: Settings) -> None:
    """Refuse a home that this program cannot use; one that is not there yet can be used.

    Raises:
        HomeStateError: it is being restored, newer than the program, or wants an upgrade.
    """
    require_restored(settings.home)
