"""The parts of erasure alone: finding a person in texts, what a receipt says, and what the checks judge."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import orjson
import pyarrow as pa
import pytest
from erasure_rooms import CUSTOMER, DAY, MINE, USER, Rooms
from hypothesis import given
from hypothesis import strategies as st

from analytics_platform.catalog import Catalog
from analytics_platform.defs.erasure import lake_places
from analytics_platform.documents import date_text, render_html
from analytics_platform.governance.erasure.again import erased_again
from analytics_platform.governance.erasure.course import as_it_stands
from analytics_platform.governance.erasure.person import Person
from analytics_platform.governance.erasure.place import Found, Held, Place
from analytics_platform.governance.erasure.receipt import ANSWER_WITHIN, Purging, Receipt, receipt_document, receipt_of
from analytics_platform.governance.evidence import Evidence
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.suppression import Suppression, Suppressions, read_suppressions, subject_hash
from analytics_platform.warehouse import DuckDBWarehouse
from asset_checks.erasure import (
    UNDER_WAY_WITHIN,
    answered_within,
    begun_erasures_are_verified,
    no_erased_subject_survives,
    no_lock_forbids_erasure,
    severed_rows_go_at_their_term,
)

NOW = datetime(2026, 11, 27, 9, tzinfo=UTC)
PERSON = Person(MINE, frozenset({"cust-7", "user_9"}), frozenset({"Ann.Lee@example.org"}), "erased_x")

words = st.text(st.sampled_from("aU_-7 \"',.@ü"), max_size=6)


@pytest.mark.parametrize(
    ("text", "is_in"),
    [
        ("cust-7", True),
        ('{"ref":"cust-7"}', True),
        ("cust-70", False),
        ("inv-cust-7", False),
        ("to ANN.LEE@EXAMPLE.ORG, please", True),
        ("USER_9", False),
        ("", False),
    ],
)
def test_an_id_is_found_as_a_word_and_an_address_in_any_case(text: str, is_in: bool) -> None:
    assert PERSON.is_in(text) is is_in
    assert PERSON.is_in_bytes(text.encode()) is is_in
    assert PERSON.mentioned(pa.chunked_array([[text]])).to_pylist() == [is_in]


@given(words, st.sampled_from(sorted(PERSON.terms)), words)
def test_what_was_taken_out_is_not_found_and_all_engines_agree(before: str, term: str, after: str) -> None:
    text = before + term + after
    assert PERSON.mentioned(pa.chunked_array([[text]])).to_pylist() == [PERSON.is_in(text)]
    assert not PERSON.is_in(PERSON.without(text))
    if not PERSON.is_in(text):
        assert PERSON.without(text) == text


def test_two_ids_of_a_person_stay_two(tmp_path: Path) -> None:
    assert len(set(PERSON.stand_ins.values())) == len(PERSON.terms)
    hashes = PERSON.hashes(IdentityKeys(tmp_path / "keys.json").of(MINE))
    assert set(hashes.values()) == set(PERSON.stand_ins.values())
    assert not any(term in hash_ for hash_ in hashes for term in PERSON.terms)


@pytest.fixture(scope="module")
def verified(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> tuple[Rooms, Path, Receipt]:
    """A finished erasure, a copy of the home before it, and the receipt of a deployment on Snowflake and a bucket."""
    rooms = Rooms(catalog, tmp_path_factory.mktemp("parts") / "home")
    rooms.home.mkdir()
    rooms.fill()
    before = rooms.home.with_name("before")
    shutil.copytree(rooms.home, before)
    request = rooms.approved(USER, CUSTOMER).request
    rooms.desk().run(request, by="bob")
    receipt = receipt_of(rooms.desk().requests, request, catalog, Purging(8, 30), datetime.now(UTC))
    return rooms, before, receipt


def test_a_receipt_says_when_the_last_copy_is_gone_and_when_the_last_record_goes(
    verified: tuple[Rooms, Path, Receipt],
) -> None:
    receipt = verified[2]
    lines = {(each.sink, each.dataset): each for each in receipt.lines}
    today = receipt.verified_at.date() if receipt.verified_at else None
    assert today is not None
    assert lines["warehouse", "marts.fct_tickets"].physically_purged_by == today + timedelta(days=8)
    assert lines["landing", "landing"].physically_purged_by == today + timedelta(days=30)
    assert lines["files", "build_logs"].physically_purged_by == today
    invoice = lines["raw partitions", "raw.billing"]
    assert (invoice.reason, invoice.final_erasure_on) == ("legal_obligation", date(2034, 1, 1))
    assert receipt.final_erasure_on == date(2034, 1, 1)
    assert (receipt.approved_by, receipt.request.requested_by) == ("bob", "ann")
    page = render_html(receipt_document(receipt)).decode()
    assert "legal_obligation" in page
    assert receipt.backups_until is not None
    assert f"kept until {date_text(receipt.backups_until, 'en-GB')} at the latest" in page
    assert not any(trace in page for trace in (USER, CUSTOMER))


RAW, TABLE = ("raw partitions", "raw.support"), ("warehouse", "raw.billing")


def done(number: int, *held: Found) -> Evidence:
    at = NOW + timedelta(days=number)
    said = orjson.loads(orjson.dumps({"held": [asdict(each) for each in held]}))
    return Evidence(number, at, "erasure_done", "er-1", "bob", said, "")


@pytest.mark.parametrize(
    ("entries", "fates"),
    [
        ((), [("hold", 5, None), ("sever", 9, None)]),
        ((done(1, Found(*RAW, "hold", 5)),), [("hold", 5, 1), ("sever", 9, 1)]),
        ((done(1),), [("delete", 5, 1), ("sever", 9, 1)]),
        (
            (done(1, Found(*RAW, "hold", 5)), done(2, Found(*RAW, "hold", 2))),
            [("delete", 3, 2), ("hold", 2, 2), ("sever", 9, 1)],
        ),
        (
            (done(1, Found(*RAW, "hold", 5)), done(2), done(3, Found("files", "uploads", "hold", 1))),
            [("hold", 1, 3), ("delete", 5, 2), ("sever", 9, 1)],
        ),
    ],
    ids=["not begun", "held", "a hold that ended before the end", "in part", "once and for all"],
)
def test_what_a_hold_kept_is_told_as_it_stands_and_dated_by_the_entry_that_says_so(
    catalog: Catalog, entries: Sequence[Evidence], fates: list[tuple[str, int, int | None]]
) -> None:
    found = [Found(*RAW, "hold", 5), Found(*TABLE, "sever", 9)]
    told = as_it_stands(found, entries, catalog)
    days = [(at - NOW).days if at else None for _, at in told]
    assert [(each.action, each.units, day) for (each, _), day in zip(told, days, strict=True)] == fates


def test_a_receipt_can_be_read_when_what_was_held_is_registered_no_more(catalog: Catalog) -> None:
    gone = Found("warehouse", "marts.of_last_year", "hold", 4)
    told = as_it_stands([gone], [done(1, gone), done(2)], catalog)
    assert [(each.action, each.units) for each, _ in told] == [("delete", 4)]


def test_requests_are_late_on_the_day_and_not_before(verified: tuple[Rooms, Path, Receipt]) -> None:
    asked = verified[2].request.requested_at
    pending = replace(verified[2], state="pending")
    for limit in (UNDER_WAY_WITHIN, ANSWER_WITHIN):
        assert answered_within([pending], limit, asked + limit - timedelta(seconds=1)).passed
        assert not answered_within([pending], limit, asked + limit).passed
        assert answered_within([verified[2]], limit, asked + 2 * limit).passed


def test_an_erasure_that_broke_off_or_failed_is_told(verified: tuple[Rooms, Path, Receipt]) -> None:
    assert begun_erasures_are_verified([verified[2]]).passed
    for state in ("running", "failed"):
        assert not begun_erasures_are_verified([replace(verified[2], state=state)]).passed


def test_a_value_of_the_erased_is_found_by_hash_unless_it_came_later(tmp_path: Path) -> None:
    keys = IdentityKeys(tmp_path / "keys.json")
    erased = Suppressions({MINE: (Suppression("er-1", NOW, {subject_hash(keys.of(MINE), "user_9"): "erased_x"}),)})
    values = [(MINE, ("marts.fct_tickets", NOW - timedelta(days=1), {"user_9", "user_1"}))]
    facts = no_erased_subject_survives(iter(values), keys, erased)
    assert (facts.passed, facts.checked, facts.failed) == (False, 2, 1)
    assert "user_9" not in str(facts)
    later = [(MINE, ("marts.fct_tickets", NOW + timedelta(seconds=1), {"user_9"}))]
    assert no_erased_subject_survives(iter(later), keys, erased).passed


def test_severed_rows_beyond_their_term_are_told(catalog: Catalog, tmp_path: Path) -> None:
    erased = Suppressions({MINE: (Suppression("er-1", NOW, {"0" * 32: "erased_x_1"}),)})
    warehouse = DuckDBWarehouse(tmp_path / "warehouse.duckdb")
    rows = {"day": [DAY], "tenant_id": [MINE], "user_id": ["erased_x_1"]}
    warehouse.replace_table("raw.billing", pa.table(rows))
    assert severed_rows_go_at_their_term(warehouse, catalog, erased, date(2034, 3, 31)).passed
    assert not severed_rows_go_at_their_term(warehouse, catalog, erased, date(2034, 4, 1)).passed


def test_a_lock_that_nobody_can_lift_is_told() -> None:
    assert no_lock_forbids_erasure("governance").passed
    assert not no_lock_forbids_erasure("compliance").passed


def nothing_held(tenant: str) -> Held:
    del tenant
    return lambda dataset, day: False


def erased_once_more(rooms: Rooms, places: Sequence[Place]) -> int:
    people = erased_again(rooms.store, rooms.keys, read_suppressions(rooms.store))
    found = [place.erase(person, nothing_held(person.tenant)) for person in people for place in places]
    return sum(each.units for of_place in found for each in of_place)


def test_a_restored_backup_is_erased_again_by_hash_alone(verified: tuple[Rooms, Path, Receipt]) -> None:
    living, before, _ = verified
    restored = Rooms(living.catalog, before)
    for info in living.store.list("suppressions/"):
        restored.store.put(info.key, living.store.get(info.key))
    assert any("lake" in place for place in restored.left())
    places = lake_places(restored.catalog, restored.store, living.keys)
    assert erased_once_more(restored, places) > 0
    left = restored.left((USER, CUSTOMER))
    assert [place for place in left if place.startswith("lake/") and "dashboards" not in place] == []
    stand_in = {row["user_id"] for row in living.rows("billing")}
    assert {row["user_id"] for row in restored.rows("billing")} == stand_in
    assert erased_once_more(restored, places) == 0


def test_the_pattern_for_warehouses_is_written_in_what_all_of_them_know() -> None:
    """Snowflake has no groups that begin with a question mark, so no flags and no look-around either."""
    assert "(?" not in PERSON.pattern
    assert re.search(PERSON.pattern, "write to ANN.LEE@EXAMPLE.ORG today")
    assert not re.search(PERSON.pattern, "CUST-7")
