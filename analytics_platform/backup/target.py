"""Where backups are: a folder or a bucket, behind the lake's port.

    pieces/<2 digits>/<SHA-256>      compressed bytes under the hash of what they were; put once, shared by backups
    contents/<backup>.zst            what a backup keeps, and of which pieces
    backups/<backup>.json            its summary, put last: without it there is no backup
    keys/<backup>.json               what names people, sealed under a passphrase
    journal/<key of the lake>        records of governance, from before each change on

What is read is compared with its hash.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable
from datetime import datetime

import zstandard

from analytics_platform.backup.contents import Backup, DamagedBackupError, Kept, pack, parse_backup, unpack
from analytics_platform.errors import AnalyticsError
from analytics_platform.lake.store import ObjectExistsError, ObjectMissingError, ObjectStore

KEYS_PREFIX = "keys/"
JOURNAL_PREFIX = "journal/"

_PIECES, _CONTENTS, _BACKUPS = "pieces/", "contents/", "backups/"


class NoBackupError(AnalyticsError):
    """There is no such backup."""


class BackupTarget:
    """The backups of one deployment.

    Args:
        store: the folder or bucket.
    """

    def __init__(self, store: ObjectStore) -> None:
        self.store = store

    @property
    def address(self) -> str:
        """How people call the place."""
        return self.store.address("x").removesuffix("x").rstrip("/")

    def backups(self) -> list[Backup]:
        """All backups, the oldest first."""
        return [parse_backup(info.key, self.store.get(info.key)) for info in self.store.list(_BACKUPS)]

    def backup(self, backup_id: str | None = None) -> Backup:
        """One backup; without an id the newest.

        Raises:
            NoBackupError: there is none.
            DamagedBackupError: its summary is not what was written.
        """
        keys = [info.key for info in self.store.list(_BACKUPS)]
        wanted = f"{_BACKUPS}{backup_id}.json" if backup_id else max(keys, default="")
        if wanted not in keys:
            which = f"no backup {backup_id}; see `analytics backup list`" if backup_id else "no backup; make one first"
            raise NoBackupError(f"{self.address} holds {which}")
        return parse_backup(wanted, self.store.get(wanted))

    def contents(self, backup: Backup) -> list[Kept]:
        """What a backup keeps.

        Raises:
            DamagedBackupError: the list is gone or not what was written.
        """
        key = _contents_key(backup.backup_id)
        try:
            data = self.store.get(key)
        except ObjectMissingError as error:
            raise DamagedBackupError(f"{key} is missing; choose another backup") from error
        if hashlib.sha256(data).hexdigest() != backup.contents:
            raise DamagedBackupError(f"{key} is not what was written; choose another backup")
        return unpack(data)

    def commit(self, backup: Backup, kept: Iterable[Kept]) -> None:
        """Put the contents, then the summary that makes it a backup.

        Raises:
            NoBackupError: another has the name; it stays what it was.
        """
        try:
            self.store.put(_contents_key(backup.backup_id), pack(kept), if_none_match=True)
            self.store.put(_backup_key(backup.backup_id), backup.as_bytes(), if_none_match=True)
        except ObjectExistsError as error:
            raise NoBackupError(f"{backup.backup_id} is there already: two began in one moment; try again") from error

    def remove(self, backup_id: str) -> None:
        """Take a backup away; its pieces stay until `sweep`."""
        for key in (_backup_key(backup_id), _contents_key(backup_id), f"{KEYS_PREFIX}{backup_id}.json"):
            self.store.delete(key)

    def pieces(self) -> dict[str, datetime]:
        """All pieces by hash, and when each was put."""
        return {info.key.rpartition("/")[2]: info.modified_at for info in self.store.list(_PIECES)}

    def put(self, data: bytes) -> int:
        """Put a piece, and return how many bytes it takes."""
        packed = zstandard.ZstdCompressor(level=3).compress(data)
        self.store.put(_piece_key(hashlib.sha256(data).hexdigest()), packed)
        return len(packed)

    def get(self, sha256: str) -> bytes:
        """A piece.

        Raises:
            DamagedBackupError: it is gone or not what was written.
        """
        try:
            data = zstandard.ZstdDecompressor().decompressobj().decompress(self.store.get(_piece_key(sha256)))
        except (ObjectMissingError, zstandard.ZstdError) as error:
            raise DamagedBackupError(f"{_piece_key(sha256)} is missing or damaged; choose another backup") from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise DamagedBackupError(f"{_piece_key(sha256)} is not what was written; choose another backup")
        return data

    def sweep(self, keep: Collection[str], before: datetime) -> tuple[int, int]:
        """Take away pieces that no backup names and that were put before a moment; how many, and their bytes."""
        gone = [
            info
            for info in self.store.list(_PIECES)
            if info.modified_at < before and info.key.rpartition("/")[2] not in keep
        ]
        for info in gone:
            self.store.delete(info.key)
        return len(gone), sum(info.size for info in gone)


def _piece_key(sha256: str) -> str:
    return f"{_PIECES}{sha256[:2]}/{sha256}"


def _contents_key(backup_id: str) -> str:
    return f"{_CONTENTS}{backup_id}.zst"


def _backup_key(backup_id: str) -> str:
    return f"{_BACKUPS}{backup_id}.json"
