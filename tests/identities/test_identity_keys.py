"""Keys, references, seals, statements and severing: what the lake holds instead of people."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics_platform.identities.keys import IdentityKeys, IdentityKeysError, KeyVersion, TenantKeys
from analytics_platform.identities.references import REFERENCE, Kind, normalised, reference, references
from analytics_platform.identities.sealing import UnsealedError, seal, unseal
from analytics_platform.identities.severing import new_stand_in, severed, texts_of
from analytics_platform.identities.suppression import (
    Suppression,
    read_suppressions,
    state_suppression,
    subject_hash,
)
from analytics_platform.lake.store import LocalStore

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEYS = TenantKeys("rental", b"f" * 32, (KeyVersion(1, AT, b"r" * 32, b"s" * 64),))


@pytest.fixture
def keys(tmp_path: Path) -> IdentityKeys:
    return IdentityKeys(tmp_path / "identity_keys.json")


def test_keys_are_made_once_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    file = tmp_path / "identity_keys.json"

    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: IdentityKeys(file).of("rental"), range(16)))

    assert len(set(made)) == 1
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_tenants_share_no_key(keys: IdentityKeys) -> None:
    one, other = keys.of("rental"), keys.of("stage")

    assert one.fingerprint("x") != other.fingerprint("x")
    assert reference(one.newest, "email", "a@b.nl") != reference(other.newest, "email", "a@b.nl")
    with pytest.raises(UnsealedError, match="does not open"):
        unseal(other, seal(one, b"a@b.nl"))


def test_after_a_rotation_old_references_are_found_and_old_seals_open(keys: IdentityKeys) -> None:
    before = keys.of("rental")
    sealed, referred = seal(before, b"a@b.nl"), reference(before.newest, "email", "a@b.nl")

    after = keys.rotate("rental")

    assert reference(after.newest, "email", "a@b.nl") != referred
    assert referred in references(after, "email", "a@b.nl")
    assert unseal(after, sealed) == b"a@b.nl"
    assert after.fingerprint("x") == before.fingerprint("x")
    with pytest.raises(UnsealedError, match="key version 2"):
        unseal(before, seal(after, b"a@b.nl"))


def test_where_keys_are_given_none_is_made_up(tmp_path: Path) -> None:
    with pytest.raises(IdentityKeysError, match="analytics identities rotate"):
        IdentityKeys(tmp_path / "none.json", makes_missing=False).of("rental")


def test_a_folder_that_cannot_be_written_is_told_when_a_tenant_needs_keys(tmp_path: Path) -> None:
    (tmp_path / ".keys.json.lock").mkdir()
    with pytest.raises(IdentityKeysError, match="the folder cannot be written"):
        IdentityKeys(tmp_path / "keys.json").of("acme")


def test_a_damaged_file_is_named_and_never_replaced(tmp_path: Path) -> None:
    file = tmp_path / "identity_keys.json"
    file.write_text('{"tenants": {"rental": {"fingerprint": "0", "versions": []}}}')

    with pytest.raises(IdentityKeysError, match=r"tenants\.rental\.fingerprint") as failed:
        IdentityKeys(file).of("other")

    assert "put back" in str(failed.value)
    assert file.read_text().startswith('{"tenants": {"rental"')


def test_who_knows_keys_that_the_file_has_lost_writes_it_no_others(tmp_path: Path) -> None:
    file = tmp_path / "identity_keys.json"
    keys = IdentityKeys(file)
    keys.of("rental")
    file.unlink()

    with pytest.raises(IdentityKeysError, match=r"keys of rental are gone; put back the file from its backup"):
        keys.of("stage")

    assert not file.exists()


def test_a_running_process_takes_over_a_rotation_and_no_damage(tmp_path: Path) -> None:
    file, seconds = tmp_path / "identity_keys.json", iter(range(0, 900, 100))
    running = IdentityKeys(file, clock=lambda: next(seconds))
    assert len(running.of("rental").versions) == 1

    IdentityKeys(file).rotate("rental")
    assert len(running.of("rental").versions) == 2

    file.write_text("{")
    assert len(running.of("rental").versions) == 2


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        ("email", "Jan.Jansen@Example.NL ", "jan.jansen@example.nl"),
        ("phone", "+31 (0)20-123 4567", "0031 020 1234567"),
        ("name", "Sanne  de Vries", "sanne de vries"),
        ("account", "NL91 ABNA 0417 1643 00", "nl91abna0417164300"),
    ],
)
def test_spellings_of_one_identifier_have_one_reference(kind: Kind, one: str, other: str) -> None:
    assert reference(KEYS.newest, kind, one) == reference(KEYS.newest, kind, other)


@given(st.sampled_from(["account", "email", "id", "ip", "name", "phone", "text"]), st.text())
def test_a_reference_fits_an_id_of_the_plan(kind: Kind, value: str) -> None:
    assert REFERENCE.fullmatch(reference(KEYS.newest, kind, value))


@given(st.from_regex(r"[A-Za-z0-9.+]{1,20}@[A-Za-z]{1,10}\.nl", fullmatch=True))
def test_case_and_space_around_an_address_do_not_matter(address: str) -> None:
    assert normalised("email", f" {address.upper()}\n") == normalised("email", address)


@given(st.binary())
def test_what_is_sealed_opens_and_is_the_same_each_time(plain: bytes) -> None:
    assert unseal(KEYS, seal(KEYS, plain)) == plain
    assert seal(KEYS, plain) == seal(KEYS, plain)


@pytest.mark.parametrize("damaged", ["", "k1.", "k1.AAAA", "k1.A", "x"])
def test_a_damaged_seal_does_not_open(damaged: str) -> None:
    with pytest.raises(UnsealedError):
        unseal(KEYS, damaged)


def test_the_erased_are_known_by_hash_up_to_the_moment_of_their_erasure(keys: IdentityKeys, store: LocalStore) -> None:
    hashed = subject_hash(keys.of("rental"), "cust_1")
    state_suppression(store, "rental", Suppression("req-1", AT, {hashed: "erased_1"}))

    known = read_suppressions(store)

    assert known.stand_ins(keys, "rental", ["cust_1", "cust_2"], AT) == {"cust_1": "erased_1"}
    assert known.stand_ins(keys, "rental", ["cust_1"], AT + timedelta(microseconds=1)) == {}
    assert known.stand_ins(keys, "stage", ["cust_1"], AT) == {}
    assert not any(b"cust_1" in store.get(info.key) for info in store.list("suppressions/"))


def test_a_severed_row_keeps_everything_but_the_person() -> None:
    row = {
        "message_id": "m-1",
        "user_id": "cust_1",
        "anonymous_id": None,
        "properties": {"customer_ref": "cust_1", "amount_minor": 100, "lines": [{"ref": "cust_1"}, 3]},
        "context": {"ip": "ip_k1_0"},
        "traits": None,
        "extra": {"groupId": "g"},
    }
    stand_in = new_stand_in()

    left = severed(row, {"cust_1": stand_in})

    assert "cust_1" not in texts_of(left)
    assert left == {
        **row,
        "user_id": stand_in,
        "properties": {"customer_ref": stand_in, "amount_minor": 100, "lines": [{"ref": stand_in}, 3]},
        "context": None,
        "extra": None,
    }
