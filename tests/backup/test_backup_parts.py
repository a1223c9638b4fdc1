"""The parts of a backup: pieces that are shared, the journal, sealed keys, and which backups stay."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_platform.backup.contents import (
    Backup,
    DamagedBackupError,
    Kept,
    backup_id_of,
    pack,
    parse_backup,
    unpack,
)
from analytics_platform.backup.create import Offered, Writing
from analytics_platform.backup.journal import (
    JournaledStore,
    OtherHistoryError,
    bring_up_to_date,
    is_record,
    put_records,
    records_of,
)
from analytics_platform.backup.keys import SealedKeysError, newest_keys, seal_keys
from analytics_platform.backup.prune import Rule, due, prune
from analytics_platform.backup.restore import compare, lay_down
from analytics_platform.backup.target import JOURNAL_PREFIX, BackupTarget, NoBackupError
from analytics_platform.lake.store import LocalStore, ObjectMissingError

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
MOMENTS = st.integers(946_684_800_000, 4_102_444_800_000).map(lambda at: datetime.fromtimestamp(at / 1000, UTC))
LONG_AGO = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1e6)


def quiet(_done: int, _all: int) -> None: ...


@pytest.fixture
def target(tmp_path: Path) -> BackupTarget:
    return BackupTarget(LocalStore(tmp_path / "target"))


class Things:
    """What a home holds, and how often it was read."""

    def __init__(self, **things: bytes) -> None:
        self.things, self.reads = things, 0

    def offered(self, written: int | None = LONG_AGO) -> list[Offered]:
        return [
            Offered("lake", name, len(data), written, partial(self._read, name)) for name, data in self.things.items()
        ]

    def _read(self, name: str) -> tuple[int, Iterable[bytes]]:
        self.reads += 1
        if self.things[name] == b"gone":
            raise ObjectMissingError(name)
        return LONG_AGO, [self.things[name][:3], self.things[name][3:]]


def backed_up(target: BackupTarget, things: Things, at: datetime = NOW, written: int | None = LONG_AGO) -> Backup:
    writing = Writing(target)
    writing.take(things.offered(written), quiet)
    backup = summary(at, writing.hash_of_contents())
    writing.commit(backup)
    return backup


def summary(at: datetime, contents: str = "") -> Backup:
    return Backup(backup_id_of(at), at, at, "ann", contents, {}, {}, {}, {})


def test_what_is_laid_down_is_what_was_kept_and_a_second_time_nothing_is_written(
    target: BackupTarget, tmp_path: Path
) -> None:
    backup = backed_up(target, Things(a=b"first thing", b=b"second thing"))
    kept = target.contents(target.backup())
    assert lay_down(target, kept, lambda each: tmp_path / "home" / each.name, quiet) == 2
    assert (tmp_path / "home" / "a").read_bytes() == b"first thing"
    assert (tmp_path / "home" / "a").stat().st_mtime_ns == LONG_AGO * 1000
    (tmp_path / "home" / "b").write_bytes(b"secind thing")
    assert lay_down(target, kept, lambda each: tmp_path / "home" / each.name, quiet) == 1
    assert compare(target, kept, quiet).differences == ()
    assert parse_backup("key", backup.as_bytes()) == backup


def test_what_has_not_changed_is_neither_read_nor_put_again(target: BackupTarget) -> None:
    things = Things(a=b"first thing", b=b"second thing")
    backed_up(target, things)
    pieces, reads = target.pieces().keys(), things.reads
    backed_up(target, things, NOW + timedelta(days=1))
    assert (target.pieces().keys(), things.reads) == (pieces, reads)
    things.things["a"] = b"other thing"
    backed_up(target, things, NOW + timedelta(days=2), written=LONG_AGO + 1)
    assert things.reads == reads + 2


def test_what_was_written_in_the_second_of_the_last_backup_is_read_again(target: BackupTarget) -> None:
    things = Things(a=b"first thing")
    just_now = int(NOW.timestamp() * 1e6)
    writing = Writing(target)
    writing.take([Offered("lake", "a", 11, just_now, lambda: (just_now, [b"first thing"]))], quiet)
    writing.commit(summary(NOW, writing.hash_of_contents()))
    things.things["a"] = b"other thing"
    backed_up(target, things, NOW + timedelta(days=1), written=just_now)
    assert things.reads == 1


def test_what_is_removed_while_it_is_read_is_left_out(target: BackupTarget) -> None:
    backed_up(target, Things(a=b"gone", b=b"there"))
    assert [each.name for each in target.contents(target.backup())] == ["b"]


def test_a_changed_or_lost_piece_is_told_by_name(target: BackupTarget) -> None:
    backed_up(target, Things(a=b"first thing", b=b"second thing"))
    kept = target.contents(target.backup())
    key = f"pieces/{kept[0].pieces[1][:2]}/{kept[0].pieces[1]}"
    target.store.put(key, target.store.get(f"pieces/{kept[1].pieces[1][:2]}/{kept[1].pieces[1]}"))
    (changed,) = compare(target, kept, quiet).differences
    assert (changed.name, "not what was written" in changed.what) == (kept[0].name, True)
    target.store.delete(key)
    (lost,) = compare(target, kept, quiet).differences
    assert "missing or damaged" in lost.what


def test_contents_that_were_changed_and_summaries_of_newer_programs_are_refused(target: BackupTarget) -> None:
    backup = backed_up(target, Things(a=b"first thing"))
    target.store.put(f"contents/{backup.backup_id}.zst", pack([]))
    with pytest.raises(DamagedBackupError, match="is not what was written"):
        target.contents(backup)
    newer = backup.as_bytes().replace(b'"version": 1', b'"version": 2')
    with pytest.raises(DamagedBackupError, match="newer version of this program"):
        parse_backup("backups/x.json", newer)
    with pytest.raises(DamagedBackupError, match="no summary"):
        parse_backup("backups/x.json", b"{}")
    with pytest.raises(NoBackupError, match="analytics backup list"):
        target.backup("20200101T000000Z")


@given(
    st.lists(
        st.builds(
            Kept,
            part=st.sampled_from(["home", "dagster", "warehouse", "lake"]),
            name=st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
            size=st.integers(0, 2**40),
            written=st.integers(0, 2**60),
            sha256=st.text("0123456789abcdef", min_size=64, max_size=64),
            pieces=st.tuples(st.text("0123456789abcdef", min_size=64, max_size=64)),
        )
    )
)
def test_contents_are_read_as_they_were_packed(kept: list[Kept]) -> None:
    assert unpack(pack(kept)) == kept


def test_a_backup_that_began_in_the_same_moment_is_refused_and_the_first_stays_whole(target: BackupTarget) -> None:
    first = backed_up(target, Things(a=b"first thing"))
    with pytest.raises(NoBackupError, match="try again"):
        backed_up(target, Things(b=b"second thing"))
    assert [each.name for each in target.contents(target.backup())] == ["a"]
    later = backed_up(target, Things(b=b"second thing"), NOW + timedelta(milliseconds=1))
    assert [each.backup_id for each in target.backups()] == [first.backup_id, later.backup_id]


@given(MOMENTS, MOMENTS)
def test_names_of_backups_are_in_the_order_of_their_beginnings(one: datetime, other: datetime) -> None:
    earlier, later = sorted((one, other))
    assert backup_id_of(earlier) <= backup_id_of(later)
    assert (earlier == later) == (backup_id_of(earlier) == backup_id_of(later))


def test_a_name_of_an_older_version_is_in_its_place(target: BackupTarget) -> None:
    of_the_second = replace(summary(NOW - timedelta(seconds=1)), backup_id="20261127T115959Z")
    target.commit(of_the_second, [])
    newest = backed_up(target, Things(a=b"first thing"))
    assert target.backup() == newest
    assert target.backup(of_the_second.backup_id) == of_the_second


def test_pruning_keeps_the_newest_of_each_day_and_week_and_never_beyond_the_age() -> None:
    backups = [summary(NOW - timedelta(days=day, hours=hour)) for day in range(120, -1, -1) for hour in (6, 0)]
    rule = Rule(daily=3, weekly=2, monthly=0, max_age=timedelta(days=90))
    gone = {each.backup_id for each in due(backups, rule, NOW)}
    left = [each for each in backups if each.backup_id not in gone]
    assert [(NOW - each.made_at).days for each in left] == [5, 2, 1, 0]
    everything = Rule(daily=1000, weekly=0, monthly=0, max_age=timedelta(days=90))
    assert due(backups, everything, NOW)[0].made_at == backups[0].made_at
    kept = {each.backup_id for each in backups} - {each.backup_id for each in due(backups, everything, NOW)}
    assert min(kept) > backup_id_of(NOW - timedelta(days=90))
    alone = [summary(NOW - timedelta(days=300))]
    assert due(alone, rule, NOW) == []


def test_pruning_sweeps_pieces_that_no_backup_names_but_none_that_are_fresh(target: BackupTarget) -> None:
    old = backed_up(target, Things(a=b"first thing"), NOW - timedelta(days=100))
    new = backed_up(target, Things(b=b"second thing"), NOW)
    assert prune(target, Rule(), NOW).removed == (old.backup_id,)
    assert len(target.pieces()) == 4  # the first thing's were put just now
    pruned = prune(target, Rule(), datetime.now(UTC) + timedelta(days=2))
    assert pruned.pieces == 2
    assert compare(target, target.contents(new), quiet).differences == ()


def test_keys_open_with_their_passphrase_alone_and_the_newest_are_taken(target: BackupTarget) -> None:
    with pytest.raises(SealedKeysError, match="--keys"):
        newest_keys(target, "any")
    seal_keys(target, "20260101T000000Z", {"identity keys": b"old"}, "a passphrase of ours")
    seal_keys(target, "20260201T000000Z", {"identity keys": b"\x00new"}, "a passphrase of ours")
    assert newest_keys(target, "a passphrase of ours") == {"identity keys": b"\x00new"}
    with pytest.raises(SealedKeysError) as refused:
        newest_keys(target, "a passphrase of theirs")
    assert "theirs" not in str(refused.value)


def test_records_are_journaled_before_the_lake_has_them_and_nothing_else_is(tmp_path: Path) -> None:
    lake, journal = LocalStore(tmp_path / "lake"), LocalStore(tmp_path / "target")
    store = JournaledStore(lake, lambda: journal)
    store.put("suppressions/acme/er-1.json", b"{}")
    store.put("evidence/0000000001.json", b"1", if_none_match=True)
    store.put("governance/locks/removal.json", b"lock", if_none_match=True)
    store.put("raw/x", b"rows")
    assert sorted(info.key for info in journal.list("")) == [
        "journal/evidence/0000000001.json",
        "journal/suppressions/acme/er-1.json",
    ]
    store.delete("suppressions/acme/er-1.json")
    assert records_of(journal, JOURNAL_PREFIX) == {"evidence/0000000001.json": b"1"}


class Broken(LocalStore):
    """A target that cannot be written."""

    def put(self, key: str, data: bytes, *, if_none_match: bool = False) -> None:
        raise OSError("no space left")


def test_without_a_journal_no_statement_reaches_the_lake_and_what_it_missed_is_brought_later(tmp_path: Path) -> None:
    lake, journal = LocalStore(tmp_path / "lake"), LocalStore(tmp_path / "target")
    broken = JournaledStore(lake, lambda: Broken(tmp_path / "target"))
    with pytest.raises(OSError, match="no space"):
        broken.put("removals/x.json", b"{}")
    assert lake.list("") == []
    with pytest.raises(OSError, match="no space"):
        broken.put("evidence/0000000001.json", b"1", if_none_match=True)
    JournaledStore(lake, lambda: journal).put("evidence/0000000002.json", b"2", if_none_match=True)
    assert set(records_of(journal, JOURNAL_PREFIX).values()) == {b"1", b"2"}


def test_a_journal_follows_its_lake_and_refuses_an_older_one(tmp_path: Path) -> None:
    lake, journal = LocalStore(tmp_path / "lake"), LocalStore(tmp_path / "target")
    for key in ("evidence/0000000001.json", "governance/holds/a.json"):
        lake.put(key, b"1")
    bring_up_to_date(lake, journal)
    lake.delete("governance/holds/a.json")
    bring_up_to_date(lake, journal)
    assert records_of(journal, JOURNAL_PREFIX) == records_of(lake)
    older = LocalStore(tmp_path / "older")
    with pytest.raises(OtherHistoryError, match=r"evidence/0000000001\.json"):
        bring_up_to_date(older, journal)
    older.put("governance/holds/b.json", b"1")
    put_records(records_of(journal, JOURNAL_PREFIX), older)
    assert records_of(older) == records_of(lake)


class Interrupted(LocalStore):
    """A store in which others act before its call of some number."""

    def __init__(self, root: Path, turns: Iterator[int], at: int, act: Callable[[], None]) -> None:
        super().__init__(root)
        self._turns, self._at, self._act = turns, at, act

    def __getattribute__(self, name: str) -> Any:
        if name in {"put", "get", "list", "info", "delete"} and next(self._turns) == self._at:
            self._act()
        return super().__getattribute__(name)


@pytest.mark.parametrize("at", range(40))
def test_what_is_recorded_while_a_journal_is_brought_up_to_date_is_in_it_and_what_was_forgotten_is_not(
    tmp_path: Path, at: int
) -> None:
    """An erasure runs to its end in another process, wherever the backup stands."""
    lake, journal = LocalStore(tmp_path / "lake"), LocalStore(tmp_path / "target")
    other = JournaledStore(lake, lambda: journal)
    sealed = "governance/erasure_subjects/er-1.json"
    other.put("evidence/0000000001.json", b"asked", if_none_match=True)
    other.put(sealed, b"whom")
    lake.put("governance/holds/h-1.json", b"from before there was a journal")

    def erase() -> None:
        other.put("evidence/0000000002.json", b"intended", if_none_match=True)
        other.put("suppressions/acme/er-1.json", b"away")
        other.put("removals/raw.billing.json", b"through 2018")
        other.put("evidence/0000000003.json", b"done", if_none_match=True)
        other.delete(sealed)

    turns = count()
    bring_up_to_date(
        Interrupted(tmp_path / "lake", turns, at, erase), Interrupted(tmp_path / "target", turns, at, erase)
    )
    if next(turns) <= at:
        erase()
    assert sealed not in records_of(journal, JOURNAL_PREFIX)
    assert records_of(journal, JOURNAL_PREFIX) == records_of(lake)


def test_a_statement_that_has_not_come_into_the_lake_yet_stays_in_the_journal(tmp_path: Path) -> None:
    lake, journal = LocalStore(tmp_path / "lake"), LocalStore(tmp_path / "target")
    journal.put(f"{JOURNAL_PREFIX}suppressions/acme/er-1.json", b"away")
    bring_up_to_date(lake, journal)
    assert records_of(journal, JOURNAL_PREFIX) == {"suppressions/acme/er-1.json": b"away"}


def test_locks_and_times_of_a_migration_are_no_records() -> None:
    assert is_record("governance/holds/a.json")
    assert not is_record("governance/locks/removal.json")
    assert not is_record("governance/migrations/raw.json")
    assert not is_record("landing/x")
