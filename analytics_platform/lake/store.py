"""Where the lake's objects are kept: one port, here with the local folder behind it.

An object is written whole or not at all, and `if_none_match` makes the first writer of a key win; everything above
relies on these two properties and on nothing else of the store. Keys are `/`-separated and relative; who may be in a
key is decided by `layout`. Buckets behind the same port are `s3` and `gcs`; which one a deployment has, `stores`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from analytics_platform.durability import sync_folder
from analytics_platform.errors import AnalyticsError

_UPLOADS = ".uploads"


class ObjectExistsError(AnalyticsError):
    """A put with `if_none_match` found the key taken."""


class ObjectMissingError(AnalyticsError):
    """The store holds no object under the key."""


class StoreUnavailableError(AnalyticsError):
    """The store did not answer, or refuses; the text names the store, what was asked, and what to look at."""


class UnsafeKeyError(AnalyticsError):
    """A key, or a part of one, could leave its place in the lake."""


@dataclass(frozen=True, slots=True)
class ObjectInfo:
    """What a listing tells: `size` in bytes, `modified_at` in UTC."""

    key: str
    size: int
    modified_at: datetime


class ObjectStore(Protocol):
    """What the lake needs of an object store."""

    def put(self, key: str, data: bytes, *, if_none_match: bool = False) -> None:
        """Store `data` under `key` in one atomic step.

        Raises:
            ObjectExistsError: `if_none_match` was asked for and the key is taken.
        """

    def get(self, key: str) -> bytes:
        """The object's bytes; raises `ObjectMissingError` when there is none."""

    def info(self, key: str) -> ObjectInfo | None:
        """What a listing would tell of the object; None when there is none."""

    def list(self, prefix: str) -> list[ObjectInfo]:
        """All objects whose key starts with `prefix`, in the order of their keys."""

    def delete(self, key: str) -> None:
        """Remove the object; one that is not there is no error."""

    def local_path(self, key: str) -> Path:
        """A file on this machine with the object's bytes; raises `ObjectMissingError` when there is none."""

    def address(self, key: str) -> str:
        """Where people find the object: a path or a URL."""


def refuse_unsafe(key: str) -> None:
    """Refuse what is no key of the lake.

    Raises:
        UnsafeKeyError: it is absolute, has an empty part or a part of dots, or lies where uploads are made.
    """
    parts = key.split("/")
    if "\0" in key or any(part in {"", ".", ".."} for part in parts) or parts[0] == _UPLOADS:
        raise UnsafeKeyError(f"{key!r} is no key of the lake: relative, without empty parts or dots alone")


class LocalStore:
    """A folder as object store: atomic through a synced temporary file that is linked or renamed into place."""

    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._is_swept = False

    @property
    def root(self) -> Path:
        """The folder that holds the objects."""
        return self._root

    def put(self, key: str, data: bytes, *, if_none_match: bool = False) -> None:
        """Store `data` durably; see `ObjectStore.put`."""
        target = self._path(key)
        if if_none_match and os.path.exists(target):  # noqa: PTH110 - the hot path; the link below decides
            raise ObjectExistsError(f"{key} is in the lake already")
        upload = self._root / _UPLOADS / uuid.uuid4().hex
        with self._begun(upload) as file:
            try:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
                _place(upload, target, only_if_new=if_none_match)
            except FileExistsError as error:
                raise ObjectExistsError(f"{key} is in the lake already") from error
            finally:
                upload.unlink(missing_ok=True)  # on a full disk every attempt would leave a part

    def get(self, key: str) -> bytes:
        """Read the whole object."""
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError as error:
            raise ObjectMissingError(f"{key} is not in the lake") from error

    def info(self, key: str) -> ObjectInfo | None:
        """Look at the object's file."""
        try:
            return _info(key, self._path(key).stat())
        except FileNotFoundError:
            return None

    def list(self, prefix: str) -> list[ObjectInfo]:
        """List by prefix of the key, as object stores do: `a/b` finds `a/bc/d` too."""
        folder, _, _ = prefix.rpartition("/")
        start = self._path(folder) if folder else self._root
        found = (info for info in _walk(str(start), f"{folder}/" if folder else "") if info.key.startswith(prefix))
        return sorted(found, key=lambda info: info.key)

    def delete(self, key: str) -> None:
        """Remove the object's file."""
        self._path(key).unlink(missing_ok=True)

    def local_path(self, key: str) -> Path:
        """The object's own file."""
        path = self._path(key)
        if not path.is_file():
            raise ObjectMissingError(f"{key} is not in the lake")
        return path

    def address(self, key: str) -> str:
        """The path of the object's file."""
        return str(self._path(key))

    def _path(self, key: str) -> Path:
        refuse_unsafe(key)
        return self._root / key

    def _begun(self, upload: Path) -> BinaryIO:
        """A new file outside every prefix that is listed, locked for as long as it is open: its writer lives."""
        if not self._is_swept:
            _sweep(upload.parent)
            self._is_swept = True
        while True:
            try:
                file = upload.open("xb")
            except FileNotFoundError:
                upload.parent.mkdir(parents=True, exist_ok=True)
                continue
            fcntl.flock(file, fcntl.LOCK_EX)
            if os.fstat(file.fileno()).st_nlink:
                return file
            file.close()  # somebody swept between the two


def _sweep(uploads: Path) -> None:
    """Delete what was being written by a process that was killed: nobody would ever take it."""
    for each in uploads.iterdir() if uploads.is_dir() else ():
        # Gone: its writer has just ended. Not ours to write: it is swept by whom it belongs to. Locked: it is at work.
        with contextlib.suppress(FileNotFoundError, PermissionError, BlockingIOError), each.open("r+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            each.unlink()


def _walk(folder: str, prefix: str) -> Iterator[ObjectInfo]:
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for entry in entries:
        if entry.name == _UPLOADS and not prefix:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, f"{prefix}{entry.name}/")
        elif entry.is_file():
            yield _info(f"{prefix}{entry.name}", entry.stat())


def _info(key: str, stat: os.stat_result) -> ObjectInfo:
    return ObjectInfo(key, stat.st_size, datetime.fromtimestamp(stat.st_mtime, UTC))


def _place(upload: Path, target: Path, *, only_if_new: bool) -> None:
    """Give a synced file its name, and make the name itself survive a power cut."""
    move = os.link if only_if_new else os.replace
    try:
        move(upload, target)
    except FileNotFoundError:
        target.parent.mkdir(parents=True, exist_ok=True)
        move(upload, target)
    sync_folder(target.parent)
