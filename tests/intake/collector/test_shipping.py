from __future__ import annotations

import errno
import os
import random
import shutil
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from spool_disks import FailingDisk, PowerDisk
from spool_house import (
    DAY,
    HOUR,
    OTHER,
    SMALL,
    STREAMS,
    TENANT,
    SetClock,
    admitted,
    commit,
    commit_until_refused,
    eventually,
    landed_ids,
    letter,
    objects,
    spooling,
)

from analytics_platform.intake.collector import shipping
from analytics_platform.intake.collector.disk import Disk
from analytics_platform.intake.collector.recovery import ClosedSegment
from analytics_platform.intake.collector.segments import Content, segment_paths
from analytics_platform.intake.collector.shipping import SegmentUnreadableError, Shipper, ShipReport
from analytics_platform.intake.collector.spool import Spool
from analytics_platform.lake.collector_hours import collector_hours, unaccounted
from analytics_platform.lake.ledger import ledger_rows, unbalanced
from analytics_platform.lake.manifest import Manifest, read_manifests
from analytics_platform.lake.raw import build_partitions
from analytics_platform.lake.store import LocalStore

NEXT_HOUR = HOUR + timedelta(hours=1)


class StoreDownError(Exception):
    """What a store's own library raises."""


class UnreliableStore(LocalStore):
    """A store that is down, or that keeps a put waiting, while a test wants it."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.down_for = 0
        self.open = threading.Event()
        self.open.set()

    def put(self, key: str, data: bytes, *, if_none_match: bool = False) -> None:
        assert self.open.wait(timeout=30)
        if self.down_for:
            self.down_for -= 1
            raise StoreDownError("503 Slow Down")
        super().put(key, data, if_none_match=if_none_match)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def flaky(tmp_path: Path) -> UnreliableStore:
    return UnreliableStore(tmp_path / "lake")


@pytest.fixture(autouse=True)
def _unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here loses real power, so nobody waits for the real disk."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(os, "fdatasync", lambda _: None)


@pytest.fixture(autouse=True)
def _quick_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "_FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(shipping, "_LONGEST_PAUSE_SECONDS", 0.02)
    monkeypatch.setattr(shipping, "_TICK_SECONDS", 0.02)


def session(folder: Path, store: LocalStore, *messages: Any, clock: SetClock | None = None) -> ShipReport:
    """A collector that takes messages, one request each, and is stopped as it should be."""
    with spooling(folder, clock=clock) as spool:
        for message in messages:
            commit(spool, message)
        spool.drain()
        return Shipper(spool, store, clock=clock).ship_waiting(final=True)


def manifests(store: LocalStore) -> list[Manifest]:
    found = read_manifests(store, DAY - timedelta(days=40), DAY + timedelta(days=2))
    return sorted(found, key=lambda each: (each.hour or HOUR, str(each.sources)))


def accounts(store: LocalStore) -> list[tuple[datetime, str, int, int, int, int]]:
    table = collector_hours(store, HOUR.date(), HOUR.date() + timedelta(days=1), STREAMS)
    columns = ("hour", "tenant_id", "acked", "landed", "dead_lettered", "waiting")
    return [tuple(row[name] for name in columns) for row in table.to_pylist()]


def wrong(store: LocalStore) -> int:
    table = collector_hours(store, HOUR.date(), HOUR.date() + timedelta(days=1), STREAMS)
    return unaccounted(table, HOUR).num_rows  # type: ignore[no-any-return]


class TestObjects:
    def test_lines_go_to_their_day_and_tenant_and_letters_to_their_reason(
        self, folder: Path, store: LocalStore
    ) -> None:
        session(
            folder,
            store,
            admitted("1"),
            admitted("2", stream="billing"),
            admitted("3", tenant=OTHER),
            admitted("4", day=DAY - timedelta(days=1)),
            letter("a"),
            letter("b", reason="invalid_json", tenant="_unknown"),
            clock=SetClock(),
        )
        keys = [key.rpartition("-")[0] for key in objects(store) if not key.startswith("landing_manifests/")]
        assert keys == [
            f"dead/invalid_json/day={DAY}/tenant=_unknown/20260115T10-collector0a",
            f"dead/schema_violation/day={DAY}/tenant={TENANT}/20260115T10-collector0a",
            f"landing/day={DAY - timedelta(days=1)}/tenant={TENANT}/20260115T10-collector0a",
            f"landing/day={DAY}/tenant={OTHER}/20260115T10-collector0a",
            f"landing/day={DAY}/tenant={TENANT}/20260115T10-collector0a",
        ]
        assert landed_ids(store) == Counter("1234")
        assert accounts(store) == [
            (HOUR, "_unknown", 1, 0, 1, 0),
            (HOUR, OTHER, 1, 1, 0, 0),
            (HOUR, TENANT, 4, 3, 1, 0),
        ]

    def test_nothing_stays_behind_but_the_account(self, folder: Path, store: LocalStore) -> None:
        report = session(folder, store, admitted("1"))
        assert (report.segments, report.objects, report.lines, report.manifests) == (1, 1, 1, 1)
        assert sorted(path.name for path in folder.iterdir()) == ["account", "ballast", "lock"]

    def test_the_same_line_acknowledged_twice_is_two_lines(self, folder: Path, store: LocalStore) -> None:
        clock = SetClock()
        for _ in range(2):
            session(folder, store, admitted("1"), letter("x"), clock=clock)
        assert landed_ids(store) == {"1": 2}
        assert accounts(store) == [(HOUR, TENANT, 4, 2, 2, 0)]

    def test_raw_and_the_ledger_take_it_as_they_take_an_import(self, folder: Path, store: LocalStore) -> None:
        session(folder, store, admitted("1"), letter("x"), clock=SetClock())
        ledger = ledger_rows(store, DAY, DAY).to_pylist()
        assert [(row["received"], row["pending"], row["dead_lettered"]) for row in ledger] == [(1, 1, 1)]
        assert unbalanced(ledger_rows(store, DAY, DAY)).num_rows == 0


class TestHours:
    def test_an_hour_has_a_manifest_when_it_is_over(self, folder: Path, store: LocalStore) -> None:
        clock = SetClock()
        with spooling(folder, clock=clock) as spool:
            shipper = Shipper(spool, store, clock=clock)
            commit(spool, admitted("1"))
            clock.now = NEXT_HOUR - timedelta(seconds=1)
            assert shipper.ship_waiting().manifests == 0
            clock.now = NEXT_HOUR
            eventually(lambda: len(spool.closed_segments()) == 1)
            assert shipper.ship_waiting().manifests == 1
            assert shipper.ship_waiting().manifests == 0
        (manifest,) = manifests(store)
        assert (manifest.hour, manifest.acked) == (HOUR, {TENANT: 1})
        assert [item.lines for item in manifest.landing] == [{"product": 1}]

    def test_segments_of_one_hour_are_one_manifest(self, folder: Path, store: LocalStore) -> None:
        clock = SetClock()
        with spooling(folder, replace(SMALL, segment_bytes=200), clock=clock) as spool:
            for n in range(5):
                commit(spool, admitted(str(n)))
            clock.now = NEXT_HOUR
            commit(spool, admitted("next"))
            Shipper(spool, store, clock=clock).ship_waiting()
        (manifest,) = manifests(store)
        assert manifest.acked == {TENANT: 5}
        assert len(manifest.landing) == len(manifest.sources) == 5

    def test_a_restart_within_the_hour_makes_a_further_part(self, folder: Path, store: LocalStore) -> None:
        clock = SetClock()
        session(folder, store, admitted("1"), clock=clock)
        session(folder, store, admitted("2"), admitted("3"), clock=clock)
        assert [manifest.acked for manifest in manifests(store)] == [{TENANT: 1}, {TENANT: 2}]
        assert accounts(store) == [(HOUR, TENANT, 3, 3, 0, 0)]

    def test_a_clock_that_is_set_back_loses_nothing_from_the_account(self, folder: Path, store: LocalStore) -> None:
        clock = SetClock(NEXT_HOUR)
        with spooling(folder, clock=clock) as spool:
            shipper = Shipper(spool, store, clock=clock)
            commit(spool, admitted("1"))
            clock.now = HOUR
            commit(spool, admitted("back"))
            clock.now = NEXT_HOUR
            commit(spool, admitted("2"))
            shipper.ship_waiting()
            spool.drain()
            shipper.ship_waiting(final=True)
        assert accounts(store) == [(HOUR, TENANT, 1, 1, 0, 0), (NEXT_HOUR, TENANT, 2, 2, 0, 0)]

    @pytest.mark.parametrize("gone", [0, 1, 2])
    def test_a_vanished_segment_is_missed_in_its_hour(self, folder: Path, store: LocalStore, gone: int) -> None:
        clock = SetClock()
        with spooling(folder, replace(SMALL, segment_bytes=200), clock=clock) as spool:
            for n in range(3):
                commit(spool, admitted(str(n)))
            sorted(segment_paths(folder).values())[gone].unlink()
            shipper = Shipper(spool, store, clock=clock)
            spool.drain()
            shipper.ship_waiting(final=True)
            assert spool.state().lost_segments == 1
        assert accounts(store) == [(HOUR, TENANT, 3, 2, 0, 0)]
        assert wrong(store) == 1

    @pytest.mark.parametrize("gone", [0, 1])
    def test_a_segment_that_vanished_while_nothing_ran_is_missed_too(
        self, folder: Path, store: LocalStore, gone: int
    ) -> None:
        clock = SetClock()
        with spooling(folder, replace(SMALL, segment_bytes=200), clock=clock) as spool:
            for n in range(3):
                commit(spool, admitted(str(n)))
        sorted(segment_paths(folder).values())[gone].unlink()
        session(folder, store, clock=clock)
        assert accounts(store) == [(HOUR, TENANT, 3, 2, 0, 0)]

    def test_a_damaged_segment_gives_what_can_be_read_and_is_kept(self, folder: Path, store: LocalStore) -> None:
        clock = SetClock()
        with spooling(folder, clock=clock) as spool:
            for n in range(3):
                commit(spool, admitted(str(n)))
            commit(spool, letter("x"))
        (path,) = segment_paths(folder).values()
        path.write_bytes(path.read_bytes().replace(b'"message_id":"1"', b'"message_id":"7"'))
        with spooling(folder, clock=clock) as spool:
            commit(spool, admitted("after"))
            spool.drain()
            Shipper(spool, store, clock=clock).ship_waiting(final=True)
            assert spool.state().lost_segments == 1
        assert landed_ids(store) == Counter(["0", "2", "after"])
        assert path.with_suffix(".damaged").exists()
        assert accounts(store) == [(HOUR, "_unknown", 1, 0, 0, 0), (HOUR, TENANT, 4, 3, 1, 0)]

    def test_a_lost_object_is_missed_in_its_hour(self, folder: Path, store: LocalStore) -> None:
        session(folder, store, admitted("1"), admitted("2", tenant=OTHER), clock=SetClock())
        assert wrong(store) == 0
        store.delete(store.list(f"landing/day={DAY}/tenant={OTHER}/")[0].key)
        assert accounts(store) == [(HOUR, OTHER, 1, 0, 0, 0), (HOUR, TENANT, 1, 1, 0, 0)]
        build_partitions(store, streams=STREAMS, partitions=[(DAY, OTHER), (DAY, TENANT)])
        assert wrong(store) == 1


class TestStore:
    def test_a_store_that_was_down_gets_everything_once(self, folder: Path, flaky: UnreliableStore) -> None:
        clock, reports = SetClock(), list[ShipReport]()
        with spooling(folder, replace(SMALL, segment_bytes=200), clock=clock) as spool:
            shipper = Shipper(spool, flaky, on_shipped=reports.append, clock=clock)
            flaky.down_for = 1_000_000
            for n in range(6):
                commit(spool, admitted(str(n)))
            shipper.start()
            eventually(lambda: shipper.state().attempts >= 3)
            assert "503 Slow Down" in str(shipper.state().problem)
            assert spool.state().healthy
            flaky.down_for = 0
            eventually(lambda: len(spool.closed_segments()) == 0)
            eventually(lambda: shipper.state().problem is None)
            spool.drain()
            assert shipper.stop()
            shipper.ship_waiting(final=True)
        assert landed_ids(flaky) == Counter("012345")
        assert sum(report.lines for report in reports) == 6
        assert wrong(flaky) == 0

    def test_a_store_that_fails_every_other_time_gets_everything_once(
        self, folder: Path, flaky: UnreliableStore
    ) -> None:
        clock = SetClock()
        with spooling(folder, replace(SMALL, segment_bytes=200), clock=clock) as spool:
            shipper = Shipper(spool, flaky, clock=clock)
            for n in range(10):
                commit(spool, admitted(str(n)))
                eventually(lambda: len(spool.closed_segments()) == 1)
                flaky.down_for = 1
                with pytest.raises(StoreDownError):
                    shipper.ship_waiting()
                shipper.ship_waiting()
            spool.drain()
            shipper.ship_waiting(final=True)
        assert landed_ids(flaky) == Counter("0123456789")
        assert wrong(flaky) == 0

    def test_a_slow_store_holds_nobody_up_until_the_spool_is_full(self, folder: Path, flaky: UnreliableStore) -> None:
        with spooling(folder, replace(SMALL, segment_bytes=200, max_bytes=20_000)) as spool:
            shipper = Shipper(spool, flaky)
            flaky.open.clear()
            shipper.start()
            acked, refusal = commit_until_refused(spool, 1)
            assert "bring the object store back" in str(refusal)
            assert acked > 5
            flaky.open.set()
            eventually(lambda: spool.state().healthy)
            commit(spool, admitted(f"{acked}-0"))
            assert shipper.stop()
            spool.drain()
            shipper.ship_waiting(final=True)
        assert landed_ids(flaky) == Counter(f"{n}-0" for n in range(acked + 1))

    def test_a_segment_that_the_disk_does_not_give_back_holds_no_other_up(
        self, folder: Path, store: LocalStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock, read = SetClock(), Spool.read

        def broken(spool: Spool, segment: ClosedSegment) -> Content:
            if segment.number == 2:
                raise OSError(errno.EIO, "Input/output error")
            return read(spool, segment)

        with spooling(folder, replace(SMALL, segment_bytes=200), clock=clock) as spool:
            for n in range(3):
                commit(spool, admitted(str(n)))
            spool.drain()
            monkeypatch.setattr(Spool, "read", broken)
            with pytest.raises(SegmentUnreadableError, match="Input/output error"):
                Shipper(spool, store, clock=clock).ship_waiting(final=True)
            assert landed_ids(store) == Counter("02")
            assert wrong(store) == 0
            monkeypatch.undo()
            Shipper(spool, store, clock=clock).ship_waiting(final=True)
        assert accounts(store) == [(HOUR, TENANT, 3, 3, 0, 0)]

    def test_a_full_disk_is_emptied_by_shipping(self, folder: Path, store: LocalStore) -> None:
        class FullDisk(FailingDisk):
            """Takes no new file until the room that is kept for that was given up."""

            def create(self, path: Path) -> int:
                if (folder / "ballast").exists() and "create" in self.failing:
                    self._act("create")
                return Disk.create(self, path)

        disk = FullDisk()
        with spooling(folder, disk=disk) as spool:
            commit(spool, admitted("1"))
            spool.drain()
            disk.failing = {"create": 28}
            Shipper(spool, store).ship_waiting(final=True)
        assert landed_ids(store) == {"1": 1}
        assert not segment_paths(folder)


class CrashError(Exception):
    """The process died here."""


class Crashes:
    """Counts the calls that change something, and ends the process before or after one of them."""

    def __init__(self, at: int, *, after: bool) -> None:
        self._at, self._after, self._calls = at, after, 0
        self._lock = threading.Lock()
        self._dead = False

    def around(self, call: Callable[[], Any]) -> Any:
        with self._lock:
            if self._dead:
                raise CrashError("dead processes do nothing")
            self._calls += 1
            self._dead = self._calls == self._at
            if self._dead and not self._after:
                raise CrashError("before")
            try:
                return call()
            finally:
                if self._dead:
                    raise CrashError("after")


class CrashingStore(LocalStore):
    def __init__(self, root: Path, crashes: Crashes) -> None:
        super().__init__(root)
        self._crashes = crashes

    def put(self, key: str, data: bytes, *, if_none_match: bool = False) -> None:
        self._crashes.around(lambda: LocalStore.put(self, key, data, if_none_match=if_none_match))


class CrashingDisk(Disk):
    def __init__(self, crashes: Crashes) -> None:
        self._crashes = crashes

    def create(self, path: Path) -> int:
        return int(self._crashes.around(lambda: Disk.create(self, path)))

    def write(self, descriptor: int, data: bytes) -> None:
        self._crashes.around(lambda: Disk.write(self, descriptor, data))

    def rename(self, source: Path, target: Path) -> None:
        self._crashes.around(lambda: Disk.rename(self, source, target))

    def remove(self, path: Path) -> None:
        self._crashes.around(lambda: Disk.remove(self, path))

    def truncate(self, path: Path, length: int) -> None:
        self._crashes.around(lambda: Disk.truncate(self, path, length))


def filled(folder: Path) -> None:
    """A spool with segments of two hours, one of them torn."""
    clock = SetClock()
    with spooling(folder, replace(SMALL, segment_bytes=400), clock=clock) as spool:
        for n in range(3):
            commit(spool, admitted(f"a{n}"), admitted(f"b{n}", tenant=OTHER), letter(f"c{n}"))
        clock.now = NEXT_HOUR
        commit(spool, admitted("d"))
    *_, last = segment_paths(folder).values()
    with last.open("ab") as file:
        file.write(b"\xffSG1 torn")


def shipped(folder: Path, store: LocalStore, disk: Disk) -> None:
    """A whole life after a crash: open, ship, close the hours, stop."""
    clock = SetClock(NEXT_HOUR)
    with spooling(folder, disk=disk, clock=clock) as spool:
        Shipper(spool, store, clock=clock).ship_waiting(final=True)


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_between_any_two_steps_and_another_life_give_the_same_lake(tmp_path: Path, after: bool) -> None:
    filled(tmp_path / "spool")
    whole = LocalStore(tmp_path / "whole")
    shutil.copytree(tmp_path / "spool", tmp_path / "undisturbed")
    shipped(tmp_path / "undisturbed", whole, Disk())
    expected = objects(whole)
    assert len(expected) > 8
    step, crashed = 0, True
    while crashed:
        step += 1
        folder, lake = tmp_path / f"{step}", tmp_path / f"{step}-lake"
        shutil.copytree(tmp_path / "spool", folder)
        crashes = Crashes(step, after=after)
        try:
            shipped(folder, CrashingStore(lake, crashes), CrashingDisk(crashes))
            crashed = False
        except CrashError:
            shipped(folder, LocalStore(lake), Disk())
        assert objects(LocalStore(lake)) == expected, f"step {step}"
        assert not segment_paths(folder), f"step {step}"
        assert wrong(LocalStore(lake)) == 0, f"step {step}"
    assert step > 40


class CrashingPowerDisk(PowerDisk):
    """A disk that crashes between any two steps, and then loses power."""

    def __init__(self, crashes: Crashes, folder: Path) -> None:
        super().__init__()
        self._crashes = Crashes(0, after=False)
        self.adopt(folder)
        self._crashes = crashes

    def rename(self, source: Path, target: Path) -> None:
        self._crashes.around(lambda: PowerDisk.rename(self, source, target))

    def remove(self, path: Path) -> None:
        self._crashes.around(lambda: PowerDisk.remove(self, path))

    def sync_folder(self, folder: Path) -> None:
        self._crashes.around(lambda: PowerDisk.sync_folder(self, folder))


@pytest.mark.parametrize("seed", range(4))
def test_a_power_cut_between_any_two_steps_and_another_life_give_the_same_lake(tmp_path: Path, seed: int) -> None:
    filled(tmp_path / "spool")
    shutil.copytree(tmp_path / "spool", tmp_path / "undisturbed")
    shipped(tmp_path / "undisturbed", LocalStore(tmp_path / "whole"), Disk())
    for step in range(1, 60, 2):
        folder, store = tmp_path / f"{step}", LocalStore(tmp_path / f"{step}-lake")
        shutil.copytree(tmp_path / "spool", folder)
        crashes = Crashes(step, after=bool(seed % 2))
        disk = CrashingPowerDisk(crashes, folder)
        with suppress(CrashError):
            shipped(folder, CrashingStore(store.root, crashes), disk)
        disk.cut(folder, tmp_path / f"{step}-after", random.Random(seed), lambda: None)
        shipped(tmp_path / f"{step}-after", store, Disk())
        assert objects(store) == objects(LocalStore(tmp_path / "whole")), f"step {step}"


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_and_more_messages_of_the_same_hour_count_each_once(tmp_path: Path, after: bool) -> None:
    filled(tmp_path / "spool")
    clock = SetClock(NEXT_HOUR)
    for step in range(2, 50):
        folder, store = tmp_path / f"{step}", LocalStore(tmp_path / f"{step}-lake")
        shutil.copytree(tmp_path / "spool", folder)
        crashes = Crashes(step, after=after)
        with suppress(CrashError):
            shipped(folder, CrashingStore(store.root, crashes), CrashingDisk(crashes))
        session(folder, store, admitted("more"), clock=clock)
        assert accounts(store) == [
            (HOUR, OTHER, 3, 3, 0, 0),
            (HOUR, TENANT, 6, 3, 3, 0),
            (NEXT_HOUR, TENANT, 2, 2, 0, 0),
        ], f"step {step}"


def test_two_crashes_in_a_row_give_the_same_lake_too(tmp_path: Path) -> None:
    filled(tmp_path / "spool")
    shutil.copytree(tmp_path / "spool", tmp_path / "undisturbed")
    shipped(tmp_path / "undisturbed", LocalStore(tmp_path / "whole"), Disk())
    for first in range(2, 40, 7):
        folder, lake = tmp_path / f"{first}", tmp_path / f"{first}-lake"
        shutil.copytree(tmp_path / "spool", folder)
        for step in (first, 5):
            crashes = Crashes(step, after=False)
            with pytest.raises(CrashError):
                shipped(folder, CrashingStore(lake, crashes), CrashingDisk(crashes))
        shipped(folder, LocalStore(lake), Disk())
        assert objects(LocalStore(lake)) == objects(LocalStore(tmp_path / "whole"))


def test_a_clock_far_off_files_under_the_hour_that_it_shows(folder: Path, store: LocalStore) -> None:
    session(folder, store, admitted("1"), clock=SetClock(datetime(2031, 1, 1, 5, 30, tzinfo=UTC)))
    (info,) = store.list("landing/")
    assert "/20310101T05-" in info.key


def test_an_opened_spool_ships_without_a_single_commit(folder: Path, store: LocalStore) -> None:
    with spooling(folder) as spool:
        assert isinstance(spool, Spool)
        assert Shipper(spool, store).ship_waiting(final=True) == ShipReport()
    assert objects(store) == {}


@pytest.mark.parametrize("damaged", ["account", "receipt"])
def test_a_journal_that_a_bad_disk_made_unreadable_stops_nothing(folder: Path, store: LocalStore, damaged: str) -> None:
    clock = SetClock()
    session(folder, store, admitted("1"), clock=clock)
    with spooling(folder, replace(SMALL, segment_bytes=200), clock=clock) as spool:
        for n in range(3):
            commit(spool, admitted(f"2{n}"))
        spool.drain()
        Shipper(spool, store, clock=clock).ship_waiting()
    receipts = sorted(folder.glob("*.shipped"))
    assert len(receipts) == 3
    (folder / "account" if damaged == "account" else receipts[0]).write_bytes(b"")
    session(folder, store, admitted("3"), clock=clock)
    assert landed_ids(store) == Counter(["1", "20", "21", "22", "3"])
    lost_to_the_account = 1 if damaged == "receipt" else 0
    assert accounts(store) == [(HOUR, TENANT, 5, 5 - lost_to_the_account, 0, lost_to_the_account)]
