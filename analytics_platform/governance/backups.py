"""Backups of the lake: one tar file whose last member says what is in it, so that a damaged or cut copy is found.

The lake is the truth that everything else is built from, so it is what is kept; the warehouse is built from it again.
Keys to people (`identities.keys`) are never in a backup: a copy that is lost or stolen names nobody. A backup is older
than what has been erased and removed since, so whoever restores one carries that out anew (`defs.restoring`); a
backup itself goes after its term like every other file of the home.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

from analytics_platform.errors import AnalyticsError
from analytics_platform.lake.store import ObjectMissingError, ObjectStore

_CONTENTS = "backup.json"
_PREFIX = "lake/"
_CHUNK = 1 << 20


class DamagedBackupError(AnalyticsError):
    """A backup is not what was written; the text names the member at fault."""


class NotEmptyError(AnalyticsError):
    """A backup may only be restored to where nothing is."""


@dataclass(frozen=True, slots=True)
class Backup:
    """A backup as it was written.

    Attributes:
        path: the tar file.
        made_at: when it was begun, in UTC.
        objects: SHA-256 by key.
        sha256: of the whole file.
    """

    path: Path
    made_at: datetime
    objects: Mapping[str, str]
    sha256: str


def back_up(store: ObjectStore, folder: Path, at: datetime) -> Backup:
    """Write every object of a lake into a new file of a folder; a file that has its name is whole.

    An object that is removed meanwhile is left out: a backup is of what was there while it was written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"lake-{at.astimezone(UTC):%Y%m%dT%H%M%SZ}.tar"
    draft = path.with_suffix(".part")
    hashes: dict[str, str] = {}
    with draft.open("wb") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for key, data, modified_at in _objects(store):
                hashes[key] = hashlib.sha256(data).hexdigest()
                _add(tar, f"{_PREFIX}{key}", data, modified_at)
            _add(tar, _CONTENTS, _contents(at, hashes), at)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    return Backup(path, at, hashes, _digest(path))


def read_backup(path: Path) -> Backup:
    """What a backup says that it holds.

    Raises:
        DamagedBackupError: it is no backup, or was cut.
    """
    try:
        with tarfile.open(path) as tar:
            said = orjson.loads(_member(tar, _CONTENTS, path))
        return Backup(path, datetime.fromisoformat(said["made_at"]), said["objects"], _digest(path))
    except (tarfile.TarError, OSError, orjson.JSONDecodeError, KeyError, ValueError) as error:
        raise DamagedBackupError(f"{path}: is no whole backup of a lake ({error}); take another one") from error


def restore(backup: Backup, store: ObjectStore) -> int:
    """Put every object of a backup into an empty lake, and return how many there are.

    Raises:
        NotEmptyError: the lake holds something.
        DamagedBackupError: an object is missing or not what was written; what was put until then stays.
    """
    if found := store.list(""):
        raise NotEmptyError(f"the lake to restore to holds {len(found):,} objects; name a folder that is empty")
    with tarfile.open(backup.path) as tar:
        for key, sha256 in backup.objects.items():
            data = _member(tar, f"{_PREFIX}{key}", backup.path)
            if hashlib.sha256(data).hexdigest() != sha256:
                raise DamagedBackupError(f"{backup.path}: {key} is not what was written; take another backup")
            store.put(key, data)
    return len(backup.objects)


def newest_backup(folder: Path) -> Path | None:
    """The youngest backup of a folder, by the moment in its name; None when there is none."""
    return max(folder.glob("lake-*.tar"), default=None)


def _objects(store: ObjectStore) -> Iterator[tuple[str, bytes, datetime]]:
    for info in store.list(""):
        try:
            yield info.key, store.get(info.key), info.modified_at
        except ObjectMissingError:
            continue


def _add(tar: tarfile.TarFile, name: str, data: bytes, modified_at: datetime) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = len(data), int(modified_at.timestamp()), 0o600
    tar.addfile(member, io.BytesIO(data))


def _contents(at: datetime, hashes: Mapping[str, str]) -> bytes:
    return orjson.dumps({"version": 1, "made_at": at.astimezone(UTC).isoformat(), "objects": hashes})


def _member(tar: tarfile.TarFile, name: str, path: Path) -> bytes:
    try:
        file = tar.extractfile(name)
    except KeyError as error:
        raise DamagedBackupError(f"{path}: {name} is missing; take another backup") from error
    if file is None:
        raise DamagedBackupError(f"{path}: {name} is no file; take another backup")
    return file.read()


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
