"""Backups of the lake: what was written comes back, and what was damaged is found."""

from __future__ import annotations

import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from analytics_platform.governance.backups import (
    DamagedBackupError,
    NotEmptyError,
    back_up,
    newest_backup,
    read_backup,
    restore,
)
from analytics_platform.lake.store import LocalStore, ObjectInfo

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
OBJECTS = {"raw/billing/day=2026-03-01/tenant=a/events.parquet": b"\0rows", "evidence/0000000001.json": b"{}"}


@pytest.fixture
def filled(store: LocalStore) -> LocalStore:
    for key, data in OBJECTS.items():
        store.put(key, data)
    return store


def test_what_was_written_comes_back(filled: LocalStore, tmp_path: Path) -> None:
    made = back_up(filled, tmp_path / "backups", AT)
    other = LocalStore(tmp_path / "other")

    found = read_backup(made.path)

    assert found == made
    assert restore(found, other) == len(OBJECTS)
    assert {info.key: other.get(info.key) for info in other.list("")} == OBJECTS


def test_the_newest_backup_is_found_and_drafts_are_none(filled: LocalStore, tmp_path: Path) -> None:
    assert newest_backup(tmp_path) is None
    back_up(filled, tmp_path, AT)
    newest = back_up(filled, tmp_path, AT + timedelta(seconds=1))
    (tmp_path / "lake-20990101T000000Z.part").write_bytes(b"")

    assert newest_backup(tmp_path) == newest.path


def test_a_cut_backup_is_found(filled: LocalStore, tmp_path: Path) -> None:
    path = back_up(filled, tmp_path / "backups", AT).path
    path.write_bytes(path.read_bytes()[:1024])

    with pytest.raises(DamagedBackupError, match="take another"):
        read_backup(path)


def test_a_changed_object_is_named(filled: LocalStore, tmp_path: Path) -> None:
    path = back_up(filled, tmp_path / "backups", AT).path
    path.write_bytes(path.read_bytes().replace(b"\0rows", b"\0rowz"))

    with pytest.raises(DamagedBackupError, match="raw/billing"):
        restore(read_backup(path), LocalStore(tmp_path / "other"))


def test_a_lost_object_is_named(filled: LocalStore, tmp_path: Path) -> None:
    path = back_up(filled, tmp_path / "backups", AT).path
    thin = tmp_path / "thin.tar"
    with tarfile.open(path) as whole, tarfile.open(thin, "w") as less:
        for member in whole:
            if "evidence" not in member.name:
                less.addfile(member, whole.extractfile(member))

    with pytest.raises(DamagedBackupError, match=r"evidence/0000000001\.json is missing"):
        restore(read_backup(thin), LocalStore(tmp_path / "other"))


def test_nothing_is_restored_over_a_lake_that_lives(filled: LocalStore, tmp_path: Path) -> None:
    made = back_up(filled, tmp_path / "backups", AT)

    with pytest.raises(NotEmptyError, match="2 objects"):
        restore(made, filled)


class _Vanishing(LocalStore):
    """A lake of which an object is removed between listing and reading."""

    def list(self, prefix: str) -> list[ObjectInfo]:
        found = super().list(prefix)
        self.delete("evidence/0000000001.json")
        return found


def test_what_is_removed_meanwhile_is_left_out(filled: LocalStore, tmp_path: Path) -> None:
    made = back_up(_Vanishing(filled.root), tmp_path / "backups", AT)

    assert set(made.objects) == set(OBJECTS) - {"evidence/0000000001.json"}
