"""The chain of evidence: added to, never changed."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics_platform.governance.evidence import EVIDENCE_TABLE, BrokenChainError, EvidenceChain, remembered
from analytics_platform.lake.store import LocalStore
from analytics_platform.warehouse import DuckDBWarehouse, QueryError

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def chain(store: LocalStore) -> EvidenceChain:
    chain = EvidenceChain(store)
    for number in range(5):
        chain.record("plan_drawn", f"plan-{number}", "ann", {"units": number}, at=NOW)
    return chain


def test_an_untouched_chain_verifies_and_tells_its_length(chain: EvidenceChain) -> None:
    assert chain.verify() == 5
    assert [row["number"] for row in chain.table().to_pylist()] == [1, 2, 3, 4, 5]


def test_an_empty_chain_verifies(store: LocalStore) -> None:
    assert EvidenceChain(store).verify() == 0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.data())
def test_one_changed_byte_anywhere_is_found(chain: EvidenceChain, store: LocalStore, data: st.DataObject) -> None:
    keys = [info.key for info in store.list("evidence/")]
    key = data.draw(st.sampled_from(keys))
    whole = store.get(key)
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = data.draw(st.integers(0, 255).filter(lambda byte: byte != whole[at]))
    store.put(key, whole[:at] + bytes([changed]) + whole[at + 1 :])
    try:
        with pytest.raises(BrokenChainError):
            chain.verify()
    finally:
        store.put(key, whole)
    assert chain.verify() == 5


def test_a_lost_entry_in_the_middle_is_found(chain: EvidenceChain, store: LocalStore) -> None:
    store.delete(store.list("evidence/")[2].key)
    with pytest.raises(BrokenChainError, match=r"0000000003\.json is missing"):
        chain.verify()


def test_an_entry_that_was_made_up_with_a_right_hash_of_its_own_is_found(
    chain: EvidenceChain, store: LocalStore
) -> None:
    forged = EvidenceChain(LocalStore(store.root.with_name("other")))
    for number in range(3):
        forged.record("plan_drawn", f"forged-{number}", "eve", {}, at=NOW)
    other = LocalStore(store.root.with_name("other")).list("evidence/")
    store.put(other[2].key, LocalStore(store.root.with_name("other")).get(other[2].key))
    with pytest.raises(BrokenChainError):
        chain.verify()


def test_a_cut_at_the_end_is_found_by_who_remembers_the_head(chain: EvidenceChain, store: LocalStore) -> None:
    seen = {row["number"]: row["hash"] for row in chain.table().to_pylist()}
    store.delete(store.list("evidence/")[-1].key)
    assert chain.verify() == 4
    with pytest.raises(BrokenChainError, match=r"0000000005\.json is gone"):
        chain.verify(seen)


def test_an_entry_that_was_written_anew_with_all_after_it_is_found_by_who_remembers(tmp_path: Path) -> None:
    first, second = EvidenceChain(LocalStore(tmp_path / "a")), EvidenceChain(LocalStore(tmp_path / "b"))
    for who, chain in (("ann", first), ("eve", second)):
        chain.record("plan_approved", "plan", who, {}, at=NOW)
    seen = {row["number"]: row["hash"] for row in first.table().to_pylist()}
    with pytest.raises(BrokenChainError, match="not the entry"):
        second.verify(seen)


def test_of_two_writers_at_once_one_goes_after_the_other(store: LocalStore) -> None:
    class Slow(LocalStore):
        """Lets another writer in between looking and putting, once."""

        raced = False

        def put(self, key: str, data: bytes, *, if_none_match: bool = False) -> None:
            if key.startswith("evidence/") and not self.raced:
                self.raced = True
                EvidenceChain(store).record("plan_drawn", "of the other", "bob", {}, at=NOW)
            super().put(key, data, if_none_match=if_none_match)

    entry = EvidenceChain(Slow(store.root)).record("plan_drawn", "mine", "ann", {}, at=NOW)
    assert entry.number == 2
    assert EvidenceChain(store).verify() == 2


def test_what_is_recorded_once_is_there_once(store: LocalStore) -> None:
    chain = EvidenceChain(store)
    first = chain.record_once("removal_done", "plan", "ann", {"units": 3}, at=NOW)
    assert chain.record_once("removal_done", "plan", "bob", {"units": 0}, at=NOW) == first
    assert chain.verify() == 1


def test_what_the_warehouse_remembers_is_nothing_before_and_an_error_where_it_cannot_be_read(
    chain: EvidenceChain, tmp_path: Path
) -> None:
    warehouse = DuckDBWarehouse(tmp_path / "warehouse.duckdb")
    assert remembered(warehouse) == {}
    warehouse.replace_table(EVIDENCE_TABLE, chain.table())
    assert sorted(remembered(warehouse)) == [1, 2, 3, 4, 5]
    warehouse.replace_table(EVIDENCE_TABLE, chain.table().drop_columns(["hash"]))
    with pytest.raises(QueryError):
        remembered(warehouse)
