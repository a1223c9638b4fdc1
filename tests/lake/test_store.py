from __future__ import annotations

import errno
import fcntl
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import pytest

from analytics_platform.lake.store import LocalStore, ObjectExistsError, ObjectMissingError, UnsafeKeyError


def test_what_was_put_is_read_back_listed_and_deleted(store: LocalStore) -> None:
    store.put("a/b/one", b"1")
    store.put("a/b/one", b"one")
    store.put("a/bc", b"22")

    assert store.get("a/b/one") == b"one"
    assert store.local_path("a/b/one").read_bytes() == b"one"
    assert [(info.key, info.size) for info in store.list("a/b")] == [("a/b/one", 3), ("a/bc", 2)]
    assert [info.key for info in store.list("a/b/")] == ["a/b/one"]
    assert [info.key for info in store.list("")] == ["a/b/one", "a/bc"]
    assert abs(store.list("a/bc")[0].modified_at - datetime.now(UTC)) < timedelta(minutes=5)

    store.delete("a/b/one")
    store.delete("a/b/one")
    assert store.info("a/b/one") is None
    with pytest.raises(ObjectMissingError):
        store.get("a/b/one")
    with pytest.raises(ObjectMissingError):
        store.local_path("a/b/one")


def test_of_many_conditional_puts_one_wins(store: LocalStore) -> None:
    def put(number: int) -> int | None:
        try:
            store.put("the/key", b"%d" % number, if_none_match=True)
        except ObjectExistsError:
            return None
        return number

    with ThreadPoolExecutor(16) as pool:
        winners = [number for number in pool.map(put, range(64)) if number is not None]

    assert len(winners) == 1
    assert store.get("the/key") == b"%d" % winners[0]


def test_a_put_that_failed_leaves_nothing_behind(store: LocalStore) -> None:
    store.put("a/file", b"1")
    with pytest.raises(OSError):
        store.put("a/file/below", b"2")

    assert [info.key for info in store.list("")] == ["a/file"]
    assert list((store.root / ".uploads").iterdir()) == []


def test_a_put_that_found_the_disk_full_leaves_nothing_behind(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        store.put("a/file", b"1")
    assert list((store.root / ".uploads").iterdir()) == []


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../up", "a/../b", "a//b", "a/./b", "a/\0", ".uploads/x", "a/"])
def test_no_key_leaves_the_lake(store: LocalStore, tmp_path: Path, key: str) -> None:
    with pytest.raises(UnsafeKeyError):
        store.put(key, b"x")
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_was_writing_goes_with_the_next_put_and_what_a_living_one_writes_stays(
    store: LocalStore,
) -> None:
    uploads = store.root / ".uploads"
    uploads.mkdir(parents=True)
    (uploads / "left").write_bytes(b"half")
    living = (uploads / "living").open("wb")
    fcntl.flock(living, fcntl.LOCK_EX)

    store.put("a/file", b"1")
    LocalStore(store.root).put("b/file", b"2")

    assert [path.name for path in uploads.iterdir()] == ["living"]
    living.close()


def test_a_put_that_is_swept_before_it_holds_its_file_is_begun_anew(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked, real = [], fcntl.flock

    def swept_first(file: BinaryIO, how: int) -> None:
        if not locked:
            locked.append(file.name)
            Path(file.name).unlink()
        real(file, how)

    monkeypatch.setattr(fcntl, "flock", swept_first)
    store.put("a/file", b"1")
    assert (len(locked), store.get("a/file")) == (1, b"1")
