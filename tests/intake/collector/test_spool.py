from __future__ import annotations

import asyncio
import errno
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from spool_disks import FailingDisk
from spool_house import (
    HOUR,
    SMALL,
    WRITER,
    SetClock,
    admitted,
    commit,
    commit_together,
    commit_until_refused,
    eventually,
    landed_ids,
    letter,
    spooled_ids,
    spooling,
)

from analytics_platform.intake.collector import spool as spool_module
from analytics_platform.intake.collector.disk import Disk
from analytics_platform.intake.collector.segments import read_content, read_header, segment_paths
from analytics_platform.intake.collector.shipping import Shipper
from analytics_platform.intake.collector.spool import Spool, SpoolLockedError, SpoolUnavailableError
from analytics_platform.intake.collector.writers import WriterNameError, writer_of
from analytics_platform.lake.store import LocalStore


@pytest.fixture(autouse=True)
def _retry_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "_RETRY_SECONDS", 0.02)
    monkeypatch.setattr(spool_module, "_TICK_SECONDS", 0.02)


class TestCommit:
    def test_what_was_acknowledged_is_in_the_file(self, tmp_path: Path) -> None:
        with spooling(tmp_path) as spool:
            commit(spool, admitted("1"), letter("no"), admitted("2"))
            assert spooled_ids(tmp_path) == ["1", "2"]
            (path,) = segment_paths(tmp_path).values()
            assert read_content(path.read_bytes()).acked.total() == 3

    def test_nothing_to_commit_costs_nothing(self, tmp_path: Path) -> None:
        with spooling(tmp_path) as spool:
            commit(spool)
            assert (spool.state().commits, list(segment_paths(tmp_path))) == (0, [])

    def test_requests_that_wait_share_one_sync(self, tmp_path: Path) -> None:
        disk = FailingDisk()
        with spooling(tmp_path, disk=disk) as spool:
            answers = commit_together(spool, [[admitted(str(n))] for n in range(200)])
            state = spool.state()
        assert answers == [None] * 200
        assert state.events == 200
        assert disk.syncs < 100
        assert sorted(spooled_ids(tmp_path), key=int) == [str(n) for n in range(200)]

    def test_one_spool_serves_several_event_loops(self, tmp_path: Path) -> None:
        with spooling(tmp_path) as spool:
            for n in range(3):
                commit(spool, admitted(str(n)))
        assert spooled_ids(tmp_path) == ["0", "1", "2"]

    def test_a_client_that_goes_away_takes_nobody_with_it(self, tmp_path: Path) -> None:
        async def scene(spool: Spool) -> None:
            gone = asyncio.ensure_future(spool.commit([admitted("gone")]))
            stays = asyncio.ensure_future(spool.commit([admitted("stays")]))
            await asyncio.sleep(0)
            gone.cancel()
            await stays

        with spooling(tmp_path) as spool:
            asyncio.run(scene(spool))
        assert "stays" in spooled_ids(tmp_path)

    def test_what_cannot_be_written_down_fails_its_own_request_alone(self, tmp_path: Path) -> None:
        broken = replace(letter("x"), line=None)  # type: ignore[arg-type]
        with spooling(tmp_path) as spool:
            bad, good = commit_together(spool, [[broken], [admitted("1")]])
        assert isinstance(bad, TypeError)
        assert good is None

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    def test_a_fault_of_the_program_leaves_nobody_waiting(self, tmp_path: Path) -> None:
        def broken_clock() -> datetime:
            raise ZeroDivisionError

        with spooling(tmp_path, clock=broken_clock) as spool:
            answers = commit_together(spool, [[admitted("1")], [admitted("2")]])
            assert {type(answer) for answer in answers} == {SpoolUnavailableError}
            eventually(lambda: not spool.state().healthy)

    def test_a_closed_spool_refuses(self, tmp_path: Path) -> None:
        with spooling(tmp_path) as spool:
            commit(spool, admitted("1"))
        with pytest.raises(SpoolUnavailableError, match="shutting down"):
            commit(spool, admitted("2"))


class TestSegments:
    def test_a_segment_closes_by_size(self, tmp_path: Path) -> None:
        with spooling(tmp_path, replace(SMALL, segment_bytes=300)) as spool:
            for n in range(4):
                commit(spool, admitted(str(n)))
            assert len(segment_paths(tmp_path)) > 1
            assert spool.segment_closed.is_set()

    def test_a_segment_closes_by_age_without_anybody_coming(self, tmp_path: Path) -> None:
        with spooling(tmp_path, replace(SMALL, segment_seconds=0.05)) as spool:
            commit(spool, admitted("1"))
            eventually(lambda: len(spool.closed_segments()) == 1)

    def test_no_segment_goes_beyond_its_hour(self, tmp_path: Path) -> None:
        clock = SetClock(HOUR + timedelta(minutes=59))
        with spooling(tmp_path, clock=clock) as spool:
            commit(spool, admitted("1"))
            clock.advance(minutes=2)
            commit(spool, admitted("2"))
        hours = [header.hour for path in segment_paths(tmp_path).values() if (header := read_header(path))]
        assert hours == [HOUR, HOUR + timedelta(hours=1)]

    def test_each_header_repeats_what_was_acknowledged_before(self, tmp_path: Path) -> None:
        for n in range(3):
            with spooling(tmp_path) as spool:
                commit(spool, admitted(str(n)), admitted("other", tenant="albion-stage"))
        headers = [read_header(path) for path in segment_paths(tmp_path).values()]
        assert [header.acked_before for header in headers if header] == [
            {},
            {"albion-stage": 1, "brabant-rental": 1},
            {"albion-stage": 2, "brabant-rental": 2},
        ]

    def test_an_earlier_process_s_segments_are_adopted(self, tmp_path: Path) -> None:
        with spooling(tmp_path) as spool:
            commit(spool, admitted("1"))
        with spooling(tmp_path) as spool:
            (segment,) = spool.closed_segments()
            assert spool.read(segment).acked.total() == 1
            assert spool.state().bytes_waiting == segment.length
            commit(spool, admitted("2"))
            assert len(segment_paths(tmp_path)) == 2

    def test_what_a_killed_process_wrote_is_synced_before_it_counts(self, tmp_path: Path) -> None:
        class NotingDisk(Disk):
            def __init__(self) -> None:
                self.synced: list[tuple[Path, int]] = []

            def truncate(self, path: Path, length: int) -> None:
                super().truncate(path, length)
                self.synced.append((path, length))

        with spooling(tmp_path) as spool:
            commit(spool, admitted("1"))
        (path,) = segment_paths(tmp_path).values()
        disk = NotingDisk()
        with spooling(tmp_path, disk=disk):
            assert disk.synced == [(path, path.stat().st_size)]

    def test_a_file_without_a_whole_header_is_no_segment(self, tmp_path: Path) -> None:
        with spooling(tmp_path) as spool:
            commit(spool, admitted("1"))
        torn = tmp_path / f"{2:020d}.segment"
        torn.write_bytes(b"\xffSG1\0\0")
        with spooling(tmp_path) as spool:
            assert [segment.number for segment in spool.closed_segments()] == [1]
            commit(spool, admitted("2"))
        assert not torn.exists()
        assert list(segment_paths(tmp_path)) == [1, 3]


class TestFailures:
    @pytest.mark.parametrize(
        ("call", "code"), [("write", errno.ENOSPC), ("write", errno.EIO), ("sync", errno.EIO), ("sync", errno.ENOSPC)]
    )
    def test_a_failing_disk_refuses_and_comes_back_by_itself(self, tmp_path: Path, call: str, code: int) -> None:
        disk = FailingDisk()
        with spooling(tmp_path, disk=disk) as spool:
            commit(spool, admitted("before"))
            disk.failing = {call: code}
            with pytest.raises(SpoolUnavailableError, match="mend the disk") as refused:
                commit(spool, admitted("refused"))
            assert refused.value.retry_after_seconds == SMALL.retry_after_seconds
            state = spool.state()
            assert not state.healthy
            assert str(tmp_path) in str(state.problem)
            with pytest.raises(SpoolUnavailableError):
                commit(spool, admitted("refused too"))

            disk.failing = {}
            eventually(lambda: spool.state().healthy)
            commit(spool, admitted("after"))
            assert spool.state().failures == 1
        assert spooled_ids(tmp_path) == ["before", "after"]

    def test_after_a_failed_sync_the_segment_is_never_acknowledged_into_again(self, tmp_path: Path) -> None:
        disk = FailingDisk()
        with spooling(tmp_path, disk=disk) as spool:
            commit(spool, admitted("before"))
            disk.failing = {"sync": errno.EIO}
            with pytest.raises(SpoolUnavailableError):
                commit(spool, admitted("refused"))
            disk.failing = {}
            eventually(lambda: spool.state().healthy)
            commit(spool, admitted("after"))
            first, *_, last = segment_paths(tmp_path).values()
        assert [b"before" in first.read_bytes(), b"after" in first.read_bytes()] == [True, False]
        assert b"after" in last.read_bytes()

    def test_what_was_refused_does_not_count_even_where_it_could_not_be_cut_off(self, tmp_path: Path) -> None:
        disk = FailingDisk()
        with spooling(tmp_path, disk=disk) as spool:
            commit(spool, admitted("before"))
            disk.failing = {"sync": errno.EIO, "truncate": errno.EIO}
            with pytest.raises(SpoolUnavailableError):
                commit(spool, admitted("refused"))
            disk.failing = {}
            eventually(lambda: spool.state().healthy)
            commit(spool, admitted("after"))
            assert "refused" in spooled_ids(tmp_path)
        with spooling(tmp_path) as spool:
            assert sum(spool.read(segment).acked.total() for segment in spool.closed_segments()) == 2

    def test_a_failed_sync_refuses_everyone_who_waited_for_it(self, tmp_path: Path) -> None:
        disk = FailingDisk()
        disk.failing = {"sync": errno.EIO}
        with spooling(tmp_path, disk=disk) as spool:
            answers = commit_together(spool, [[admitted(str(n))] for n in range(20)])
        assert {type(answer) for answer in answers} == {SpoolUnavailableError}
        assert spooled_ids(tmp_path) == []

    def test_a_spool_beyond_its_limit_refuses_until_it_is_shipped(self, tmp_path: Path) -> None:
        with spooling(tmp_path, replace(SMALL, segment_bytes=300, max_bytes=2_000)) as spool:
            _, refusal = commit_until_refused(spool, 1)
            assert "bring the object store back" in str(refusal)
            assert spool.state().bytes_waiting > 2_000
            for segment in spool.closed_segments():
                spool.remove(segment)
            assert spool.state().healthy
            commit(spool, admitted("after"))

    def test_too_little_free_disk_refuses_before_the_disk_is_full(self, tmp_path: Path) -> None:
        disk = FailingDisk()
        with spooling(tmp_path, replace(SMALL, min_free_bytes=5_000), disk=disk) as spool:
            commit(spool, admitted("1"))
            disk.free = 4_999
            eventually(lambda: not spool.state().healthy)
            with pytest.raises(SpoolUnavailableError, match="free some"):
                commit(spool, admitted("2"))
            disk.free = 5_000
            eventually(lambda: spool.state().healthy)
            commit(spool, admitted("3"))

    def test_more_than_may_wait_in_memory_is_refused(self, tmp_path: Path) -> None:
        with spooling(tmp_path, replace(SMALL, queue_bytes=1_000)) as spool:
            answers = commit_together(spool, [[admitted(str(n))] for n in range(500)])
            refused = [answer for answer in answers if answer is not None]
            assert 0 < len(refused) < 500
            assert "too slow" in str(refused[0])
            assert spool.state().refused == len(refused)
            commit(spool, admitted("after"))
            assert len(spooled_ids(tmp_path)) == 501 - len(refused)


class TestFolder:
    def test_two_processes_never_share_it(self, tmp_path: Path) -> None:
        with spooling(tmp_path) as spool:
            with pytest.raises(SpoolLockedError, match="ANALYTICS_HOME"):
                Spool.open(tmp_path, WRITER, SMALL)
            spool.drain()
            with pytest.raises(SpoolLockedError):
                Spool.open(tmp_path, WRITER, SMALL)
        with spooling(tmp_path):
            pass

    def test_a_collector_keeps_its_name_and_shares_it_with_none(self, tmp_path: Path) -> None:
        name = writer_of(tmp_path / "a")
        assert writer_of(tmp_path / "a") == name
        assert writer_of(tmp_path / "b") != name

    def test_a_name_that_was_changed_by_hand_is_told(self, tmp_path: Path) -> None:
        writer_of(tmp_path)
        (tmp_path / "writer").write_text("import\n")
        with pytest.raises(WriterNameError, match="'import'"):
            writer_of(tmp_path)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of one and a half megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1536k", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.integration
def test_a_full_disk_that_the_lake_shares_needs_nobody_but_whoever_makes_room(small_disk: Path) -> None:
    store = LocalStore(small_disk / "lake")
    with spooling(small_disk / "spool", replace(SMALL, segment_bytes=20_000)) as spool:
        shipper = Shipper(spool, store)
        commit(spool, admitted("first"))
        filler = small_disk / "somebody_elses_file"
        with filler.open("wb") as file, suppress(OSError):
            file.write(bytes(2_000_000))
        acked, refusal = commit_until_refused(spool, 5)
        assert "No space left" in str(refusal)
        shipper.start()
        eventually(lambda: "No space left" in str(shipper.state().problem))
        assert not spool.state().healthy

        filler.unlink()
        eventually(lambda: spool.state().healthy)
        commit(spool, admitted("after"))
        spool.drain()
        assert shipper.stop()
        shipper.ship_waiting(final=True)
    expected = {f"{n}-{m}" for n in range(acked) for m in range(5)} | {"first", "after"}
    assert landed_ids(store) == Counter(expected)


@pytest.mark.integration
def test_a_disk_that_is_really_full_refuses_and_takes_events_again_when_there_is_room(small_disk: Path) -> None:
    with spooling(small_disk / "spool", replace(SMALL, segment_bytes=50_000)) as spool:
        commit(spool, admitted("first"))
        acked, refusal = commit_until_refused(spool, 50)
        assert acked > 5
        assert "No space left" in str(refusal)
        for segment in spool.closed_segments():
            spool.write_file("receipt", b"x" * 8_000)  # the room that is kept for shipping's own notes
            spool.remove(segment)
        eventually(lambda: spool.state().healthy)
        commit(spool, admitted("after"))
    assert spooled_ids(small_disk / "spool") == ["after"]
