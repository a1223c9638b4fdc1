"""What the doctor says of backups."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from examined import deployment

from analytics_platform.backup.contents import Backup, backup_id_of
from analytics_platform.backup.target import BackupTarget
from analytics_platform.doctor.backups import look
from analytics_platform.lake.store import LocalStore

NOW = datetime.now(UTC)


def backed_up(tmp_path: Path, *ages: timedelta, apart: dict[str, str] | None = None) -> None:
    target = BackupTarget(LocalStore(tmp_path / "backups"))
    for age in ages:
        at = NOW - age
        target.commit(Backup(backup_id_of(at), at, at, "ann", "", {}, {}, apart or {}, {}), [])


def told(tmp_path: Path) -> list[tuple[str, str]]:
    looked = look(deployment(tmp_path, backup_target=str(tmp_path / "backups")))
    return [(each.outcome, each.found) for each in looked]


def test_without_a_place_for_backups_nobody_looks(tmp_path: Path) -> None:
    assert [each.outcome for each in look(deployment(tmp_path))] == ["skipped"]


@pytest.mark.parametrize(
    ("ages", "outcomes"),
    [
        ((), ["warn"]),
        ((timedelta(hours=1),), ["ok"]),
        ((timedelta(days=2),), ["warn"]),
        ((timedelta(days=100), timedelta(hours=1)), ["ok", "warn"]),
    ],
)
def test_the_newest_is_young_and_none_too_old(tmp_path: Path, ages: tuple[timedelta, ...], outcomes: list[str]) -> None:
    backed_up(tmp_path, *ages)
    assert [outcome for outcome, _ in told(tmp_path)] == outcomes


def test_keys_that_are_in_no_backup_are_told(tmp_path: Path) -> None:
    backed_up(tmp_path, timedelta(hours=1), apart={"keys": "kept by hand: identity keys"})
    assert told(tmp_path)[1] == ("warn", "the keys to people are not in them")
