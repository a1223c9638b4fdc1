"""A home with a person in every place, backed up, the person erased, and restored: nobody comes back."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import pytest
from erasure_rooms import CUSTOMER, DAY, EMAIL, MINE, NEIGHBOUR, USER, Rooms
from killed import is_killed

from analytics_platform.backup.contents import Backup, DamagedBackupError
from analytics_platform.backup.journal import OtherHistoryError
from analytics_platform.backup.target import BackupTarget, NoBackupError
from analytics_platform.catalog import Catalog
from analytics_platform.defs.backing_up import make_backup, target_of
from analytics_platform.defs.resources import store_from
from analytics_platform.defs.restoring import (
    From,
    MissingKeysError,
    NotAsItWasError,
    NotEmptyError,
    Restored,
    living_records,
    restore_home,
    verify_governance,
)
from analytics_platform.governance.erasure.lake import DeadLetterObjects, letter_objects
from analytics_platform.governance.erasure.person import Person
from analytics_platform.governance.evidence import EvidenceChain
from analytics_platform.home_state import HomeStateError, require_usable
from analytics_platform.identities.sealing import TenantSeals
from analytics_platform.lake.dead_letters import DeadLetter, compressed
from analytics_platform.lake.layout import RAW_PREFIX, dead_letter_key, digest
from analytics_platform.lake.ledger import ledger_rows, unbalanced
from analytics_platform.settings import Settings

PASSPHRASE = "correct horse battery staple"


def quiet(_done: int, _all: int) -> None: ...


@dataclass
class Drill:
    """A home, its backup of before the erasure, and the home of after it."""

    rooms: Rooms
    settings: Settings
    before: Backup
    others: dict[str, bytes]

    def restore(self, home: Path, **chosen: object) -> Restored:
        origin = From(target_of(self.settings), self.before.backup_id, **chosen)  # type: ignore[arg-type]
        return restore_home(self.settings, origin, home, quiet)


@pytest.fixture(scope="module")
def drill(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Drill:
    folder = tmp_path_factory.mktemp("drill")
    rooms = Rooms(catalog, folder / "home")
    rooms.fill()
    settings = Settings(home=rooms.home, backup_target=str(folder / "target"), backup_passphrase=PASSPHRASE)
    before = make_backup(settings, target_of(settings), by="ann", progress=quiet)
    others = rooms.bytes_of_others()
    rooms.store = store_from(settings)  # type: ignore[assignment] - the lake with its journal
    rooms.settings = settings
    asked = rooms.approved(USER, CUSTOMER)
    rooms.desk().run(asked.request, by="bob")
    return Drill(rooms, settings, before, others)


@pytest.fixture(scope="module")
def restored(drill: Drill, tmp_path_factory: pytest.TempPathFactory) -> tuple[Rooms, Restored]:
    home = tmp_path_factory.mktemp("restored") / "home"
    told = drill.restore(home)
    return Rooms(drill.rooms.catalog, home), told


def test_who_was_erased_since_the_backup_is_in_no_place_of_what_is_restored(
    drill: Drill, restored: tuple[Rooms, Restored]
) -> None:
    rooms, told = restored
    assert told.removed_again > 0
    assert rooms.left((USER, CUSTOMER)) == []
    assert rooms.left((NEIGHBOUR,)) != []
    of_pages = {key for key in drill.others if key.startswith("dashboards/")}
    assert {k: v for k, v in rooms.bytes_of_others().items() if k not in of_pages} == {
        k: v for k, v in drill.others.items() if k not in of_pages
    }


def test_tables_and_raw_are_those_of_the_living_home(drill: Drill, restored: tuple[Rooms, Restored]) -> None:
    living, rooms = drill.rooms, restored[0]
    for table in ("raw.billing", "raw.support", "raw.product", "marts.fct_invoices", "marts.fct_tickets", "ops.ledger"):
        ours, theirs = (
            sorted(
                str({k: v for k, v in row.items() if k != "changed_at"})
                for row in each.warehouse.query(f"select * from {table}").to_pylist()
            )
            for each in (living, rooms)
        )
        assert ours == theirs, table
    assert not unbalanced(ledger_rows(rooms.store, date.min, date.max)).num_rows
    keys_of_raw = [[info.key for info in each.store.list(RAW_PREFIX)] for each in (living, rooms)]
    assert keys_of_raw[0] == keys_of_raw[1]


def test_the_records_are_those_of_today_and_the_chain_holds(drill: Drill, restored: tuple[Rooms, Restored]) -> None:
    living, (rooms, told) = drill.rooms, restored
    assert told.evidence == EvidenceChain(rooms.store).verify() == EvidenceChain(living.store).verify()
    assert [each.hash for each in EvidenceChain(rooms.store).entries()] == [
        each.hash for each in EvidenceChain(living.store).entries()
    ]


def test_the_keys_come_back_sealed_and_for_their_owner_alone(drill: Drill, restored: tuple[Rooms, Restored]) -> None:
    living, rooms = drill.rooms, restored[0]
    path = rooms.settings.identity_keys_file
    assert path.read_bytes() == living.settings.identity_keys_file.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600
    secret = json.loads(path.read_bytes())["tenants"][MINE]["fingerprint"]
    target = Path(str(drill.settings.backup_target))
    assert not [each for each in target.rglob("*") if each.is_file() and secret.encode() in each.read_bytes()]


def test_objects_keep_the_time_at_which_they_were_written(drill: Drill, restored: tuple[Rooms, Restored]) -> None:
    key = next(key for key in drill.others if key.startswith("landing/"))
    living, rooms = drill.rooms.store.info(key), restored[0].store.info(key)
    assert living is not None
    assert rooms is not None
    assert living.modified_at == rooms.modified_at


def test_a_restored_home_is_refused_to_everybody_until_it_has_forgotten(drill: Drill, tmp_path: Path) -> None:
    home = tmp_path / "home"
    for after in (1, 9, 14):

        def killed_on_the_way(step: object) -> None:
            origin = From(target_of(drill.settings), drill.before.backup_id)
            restore_home(drill.settings, origin, home, quiet, step)  # type: ignore[arg-type]

        assert is_killed(after, killed_on_the_way)
        with pytest.raises(HomeStateError, match=f"--backup {drill.before.backup_id}"):
            require_usable(Settings(home=home))
    other = BackupTarget(target_of(drill.settings).store)
    newer = make_backup(drill.settings, other, by="ann", progress=quiet)
    with pytest.raises(NotEmptyError):
        restore_home(drill.settings, From(other, newer.backup_id), home, quiet)
    drill.restore(home)
    require_usable(Settings(home=home))
    assert Rooms(drill.rooms.catalog, home).left((USER, CUSTOMER)) == []


def test_a_killed_backup_is_none_and_the_next_one_is_whole(drill: Drill, tmp_path: Path) -> None:
    settings = drill.settings.model_copy(update={"backup_target": str(tmp_path / "target")})
    target = target_of(settings)
    for after in (0, 2, 5, 8):
        assert is_killed(after, lambda step: make_backup(settings, target, by="ann", progress=quiet, step=step))
        assert target.backups() == []
        with pytest.raises(NoBackupError):
            target.backup()
    made = make_backup(settings, target, by="ann", progress=quiet)
    assert made.counts["lake"]["things"] > 0
    assert not (settings.home / ".backing-up").exists()
    restore_home(settings, From(target), tmp_path / "home", quiet)


def test_a_home_that_holds_anything_is_not_restored_over(drill: Drill, tmp_path: Path) -> None:
    (tmp_path / "theirs").write_text("theirs")
    with pytest.raises(NotEmptyError, match="name a folder that is empty"):
        drill.restore(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["theirs"]


def test_without_keys_nothing_is_restored_for_use(drill: Drill, tmp_path: Path) -> None:
    settings = drill.settings.model_copy(update={"backup_passphrase": None})
    made = make_backup(settings, target_of(settings), by="ann", progress=quiet)
    assert "identity keys" in made.apart["keys"]
    with pytest.raises(MissingKeysError, match="--keys"):
        restore_home(settings, From(target_of(settings), made.backup_id), tmp_path / "home", quiet)
    told = restore_home(
        settings, From(target_of(settings), made.backup_id, keys=settings.home), tmp_path / "home", quiet
    )
    assert told.evidence


def test_a_journal_that_was_lost_is_told_and_a_living_lake_takes_its_place(drill: Drill, tmp_path: Path) -> None:
    target = tmp_path / "target"
    shutil.copytree(str(drill.settings.backup_target), target)
    shutil.rmtree(target / "journal")
    settings = drill.settings.model_copy(update={"backup_target": str(target)})
    made = make_backup(drill.settings, target_of(drill.settings), by="ann", progress=quiet)
    shutil.copytree(Path(str(drill.settings.backup_target)) / "backups", target / "backups", dirs_exist_ok=True)
    shutil.copytree(Path(str(drill.settings.backup_target)) / "contents", target / "contents", dirs_exist_ok=True)
    shutil.copytree(Path(str(drill.settings.backup_target)) / "pieces", target / "pieces", dirs_exist_ok=True)
    with pytest.raises(NotAsItWasError, match="--erasures"):
        restore_home(settings, From(target_of(settings), made.backup_id), tmp_path / "home", quiet)
    records = living_records(settings, str(drill.settings.home))
    restore_home(settings, From(target_of(settings), made.backup_id, records=records), tmp_path / "home", quiet)


def test_a_lake_that_is_older_than_its_journal_is_not_backed_up_over_it(drill: Drill, tmp_path: Path) -> None:
    older = tmp_path / "home"
    shutil.copytree(drill.settings.home, older)
    shutil.rmtree(older / "lake" / "evidence")
    settings = drill.settings.model_copy(update={"home": older})
    with pytest.raises(OtherHistoryError, match="analytics restore"):
        make_backup(settings, target_of(settings), by="ann", progress=quiet)


def test_a_changed_byte_of_a_backup_is_found_before_anything_is_used(drill: Drill, tmp_path: Path) -> None:
    target = tmp_path / "target"
    shutil.copytree(str(drill.settings.backup_target), target)
    piece = max((path for path in (target / "pieces").rglob("*") if path.is_file()), key=lambda p: p.stat().st_size)
    data = bytearray(piece.read_bytes())
    data[len(data) // 2] ^= 1
    piece.write_bytes(data)
    settings = drill.settings.model_copy(update={"backup_target": str(target)})
    with pytest.raises(DamagedBackupError, match="choose another backup"):
        restore_home(settings, From(target_of(settings), drill.before.backup_id), tmp_path / "home", quiet)
    with pytest.raises(HomeStateError):
        require_usable(Settings(home=tmp_path / "home"))


@pytest.fixture
def living(catalog: Catalog, tmp_path: Path) -> Rooms:
    """A home of a test's own, which keeps a journal from its first backup on."""
    rooms = Rooms(catalog, tmp_path / "home")
    rooms.fill()
    return rooms


def backed_up(rooms: Rooms) -> From:
    """A backup of now; what happens afterwards is in its journal."""
    settings = Settings(home=rooms.home, backup_target=str(rooms.home.parent / "target"), backup_passphrase=PASSPHRASE)
    made = make_backup(settings, target_of(settings), by="ann", progress=quiet)
    rooms.store = store_from(settings)  # type: ignore[assignment] - the lake with its journal
    rooms.settings = settings
    return From(target_of(settings), made.backup_id)


@pytest.mark.parametrize("refused", [b'{"email":"%s"}', b'{"traits":["mail %s', b'{"text":"write to %s today"}'])
def test_a_letter_that_names_the_erased_by_an_identifier_alone_is_emptied_again(
    living: Rooms, tmp_path: Path, refused: bytes
) -> None:
    letter = replace(DeadLetter("unknown_event", "no such event", refused % EMAIL.encode(), DAY), tenant=MINE)
    data = letter.sealed(TenantSeals(living.keys)).line
    living.store.put(dead_letter_key("unknown_event", DAY, MINE, "other", digest(data)), compressed(data))
    origin = backed_up(living)
    living.desk().run(living.approved().request, by="bob")

    restore_home(living.settings, origin, tmp_path / "restored", quiet)
    restored = Rooms(living.catalog, tmp_path / "restored")
    person = Person(MINE, frozenset({USER, CUSTOMER}), frozenset({EMAIL}), "")
    assert list(DeadLetterObjects(restored.store, restored.keys).find(person, lambda *_: False)) == []
    assert len(list(letter_objects(restored.store, MINE))) == len(list(letter_objects(living.store, MINE)))


def test_what_a_hold_keeps_of_the_erased_is_in_what_is_restored_and_nothing_else(living: Rooms, tmp_path: Path) -> None:
    origin = backed_up(living)
    living.hold("raw.support")
    living.desk().run(living.approved().request, by="bob")

    restore_home(living.settings, origin, tmp_path / "restored", quiet)
    restored = Rooms(living.catalog, tmp_path / "restored")
    for stream in ("support", "billing"):
        held = [row for row in restored.rows(stream) if row["user_id"] == USER]
        assert bool(held) == (stream == "support")
    assert restored.rows("support") == living.rows("support")


def test_verifying_governance_restores_to_a_folder_that_is_thrown_away(drill: Drill) -> None:
    names = sorted(path.name for path in drill.settings.home.iterdir())
    verified = verify_governance(drill.settings)
    assert verified.evidence == EvidenceChain(drill.rooms.store).verify()
    assert sorted(path.name for path in drill.settings.home.iterdir()) == names


def test_the_journal_has_the_statement_before_the_first_change(drill: Drill, tmp_path: Path) -> None:
    settings = drill.settings.model_copy(update={"home": tmp_path, "backup_target": str(tmp_path / "gone" / "file")})
    (tmp_path / "gone").write_text("a file where the folder should be")
    store = store_from(settings)
    with pytest.raises(OSError):
        store.put("suppressions/acme/er-1.json", b"{}")
    assert store.list("suppressions/") == []
    store.put("raw/billing/day=2026-01-01/tenant=acme/events.parquet", b"rows")
