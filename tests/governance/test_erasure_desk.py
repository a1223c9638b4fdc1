"""A person in every place, erased: what goes, what is severed, who may not, and a crash at each step."""

from __future__ import annotations

import shutil
import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pytest
from erasure_rooms import (
    CUSTOMER,
    DAY,
    EMAIL,
    MINE,
    NEIGHBOUR,
    OTHER,
    STORE_CHANGES,
    USER,
    WAREHOUSE_CHANGES,
    CrashError,
    Crashing,
    Rooms,
    lines_from,
)

from analytics_platform.catalog import Catalog
from analytics_platform.governance.erasure.desk import ErasureOutcome
from analytics_platform.governance.erasure.links import Given
from analytics_platform.governance.erasure.person import Person
from analytics_platform.governance.erasure.place import ErasureRefusedError
from analytics_platform.governance.erasure.plan import parse_erasure_plan
from analytics_platform.governance.erasure.receipt import Purging, Receipt, receipt_of
from analytics_platform.governance.erasure.requests import ErasureRequest, UnknownRequestError
from analytics_platform.governance.evidence import BrokenChainError
from analytics_platform.governance.retention.approvals import NotApprovedError, SelfApprovalError
from analytics_platform.governance.retention.desk import StalePlanError, SurvivorsError
from analytics_platform.governance.retention.holds import Hold
from analytics_platform.governance.retention.lock import RemovalUnderWayError, removing
from analytics_platform.identities.table import read_identities
from analytics_platform.intake.collector.segments import Entries, Header, commit_frame, header_frame, segment_path
from analytics_platform.lake.dead_letters import compressed, lines_of
from analytics_platform.lake.layout import DEAD_PREFIX, LANDING_PREFIX, RAW_PREFIX, raw_key, suppression_prefix
from analytics_platform.lake.ledger import ledger_rows, unbalanced

BOTH = (USER, CUSTOMER)
RECEIVED = 12 - 3 + 4
"""Messages of three people, less the three that are deleted, and four letters."""
FINISHED = ["erasure_requested", "erasure_intended", "erasure_done", "erasure_verified"]
FINISHED_AFTER_A_HOLD = [*FINISHED, "erasure_done", "erasure_verified"]


@pytest.fixture(scope="session")
def filled(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home folder with the person in every place."""
    rooms = Rooms(catalog, tmp_path_factory.mktemp("erasure"))
    rooms.fill()
    return rooms.home


@dataclass(frozen=True)
class Erased:
    """A home folder after the erasure, and what was there before."""

    home: Path
    request: ErasureRequest
    outcome: ErasureOutcome
    others: dict[str, bytes]
    billing: list[dict[str, Any]]
    totals: list[dict[str, Any]]
    ledger: pa.Table
    landing: dict[str, bytes]


TOTALS = "select count(*) as n, sum(amount_minor) as total, count(distinct customer_ref) as c from marts.fct_invoices"


@pytest.fixture(scope="session")
def erased(catalog: Catalog, filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Erased:
    rooms = copied(catalog, filled, tmp_path_factory.mktemp("erased") / "home")
    landing = [info.key for info in rooms.store.list(LANDING_PREFIX) if f"tenant={MINE}" in info.key]
    before = (
        rooms.bytes_of_others(),
        rooms.rows("billing"),
        rooms.warehouse.query(TOTALS).to_pylist(),
        ledger_rows(rooms.store, DAY, DAY),
        {key: rooms.store.get(key) for key in landing},
    )
    request = rooms.approved(*BOTH).request
    outcome = rooms.desk().run(request, by="bob")
    return Erased(rooms.home, request, outcome, *before)


@pytest.fixture
def rooms(catalog: Catalog, filled: Path, tmp_path: Path) -> Rooms:
    """The person in every place, for a test to change."""
    return copied(catalog, filled, tmp_path / "home")


@pytest.fixture
def after(catalog: Catalog, erased: Erased, tmp_path: Path) -> Rooms:
    """After the erasure, for a test to change."""
    return copied(catalog, erased.home, tmp_path / "after")


def copied(catalog: Catalog, home: Path, to: Path) -> Rooms:
    shutil.copytree(home, to)
    return Rooms(catalog, to)


def test_the_search_of_these_tests_finds_the_person_in_every_place_before(rooms: Rooms) -> None:
    left = rooms.left()
    for place in ("lake/landing/", "lake raw.billing", "lake raw.product", "lake raw.support"):
        assert any(each.startswith(place) for each in left), place
    assert {"raw.billing", "marts.fct_invoices", "marts.fct_tickets", "alerts.sqlite", "dbt/logs/dbt.log"} <= set(left)
    assert {f"lake/dashboards/finance/{audience}.html" for audience in ("finance", f"viewer@{MINE}")} <= set(left)


@pytest.mark.parametrize("prefix", ["landing/", "dead/", "identities/"])
def test_the_search_afterwards_finds_who_stands_only_in_what_is_sealed(rooms: Rooms, prefix: str) -> None:
    for info in rooms.store.list(""):
        if not info.key.startswith(prefix):
            rooms.store.delete(info.key)
    person = Person(MINE, frozenset(), frozenset({EMAIL.lower()}), "erased_x")
    searched = rooms.desk().search.survivors(person, lambda dataset, day: False)
    assert [each.units for each in searched if each.sink == "lake objects"] == [1]


def test_in_a_file_of_all_tenants_an_id_that_another_tenant_uses_too_tells_nothing(rooms: Rooms) -> None:
    (rooms.home / "some.log").write_text(f"{USER} by its_device")

    def files_with(*ids: str) -> int | None:
        person = Person(MINE, frozenset(ids), frozenset(), "erased_x")
        searched = rooms.desk().search.survivors(person, lambda dataset, day: False)
        return next(each.units for each in searched if each.sink == "files")

    assert (files_with(USER), files_with("its_device"), files_with(USER, "its_device")) == (0, 1, 1)


def test_an_erased_person_is_in_no_place_any_more_and_others_are_untouched(after: Rooms, erased: Erased) -> None:
    assert erased.outcome.ok
    assert after.left() == []
    assert after.bytes_of_others() == erased.others
    assert {row["user_id"] for row in after.rows("support")} == {NEIGHBOUR}
    assert after.warehouse.query("select count(*) as n from marts.fct_tickets")["n"].to_pylist() == [3]
    assert [path.stem for path in after.settings.access_root.rglob("*.duckdb")] == [f"finance-{OTHER}"]
    assert [read_identities(after.store, tenant).num_rows for tenant in (MINE, OTHER)] == [0, 1]


def test_a_backup_is_no_place_to_erase_but_is_kept_no_longer_than_its_term(after: Rooms) -> None:
    (backup,) = after.settings.backups_folder.iterdir()
    assert USER.encode() in backup.read_bytes()


def test_a_fiscal_record_stays_without_its_person_and_totals_are_equal(after: Rooms, erased: Erased) -> None:
    now = after.warehouse.query(TOTALS).to_pylist()
    assert [{**row, "c": row["c"] - 1} for row in now] == erased.totals  # another tenant's customer has the same id
    rows = after.rows("billing")
    assert [row["message_id"] for row in rows] == [row["message_id"] for row in erased.billing]
    (severed,) = [row for row in rows if row["user_id"] != NEIGHBOUR]
    properties = orjson.loads(severed["properties"])
    assert properties["amount_minor"] == 12100
    assert properties["customer_ref"].startswith("erased_")
    assert (severed["context"], severed["traits"], severed["extra"]) == (None, None, None)
    assert (severed["payload_hash"], severed["day"]) == (erased.billing[0]["payload_hash"], DAY)


def test_the_ledger_balances_and_raw_reads_nothing_again(after: Rooms, erased: Erased) -> None:
    now = ledger_rows(after.store, DAY, DAY)
    assert unbalanced(now).num_rows == 0
    total = lambda rows, name: sum(rows[name].to_pylist())  # noqa: E731
    assert total(now, "received") == total(erased.ledger, "received") - 3  # a ticket, an identify call, a flow step
    assert total(now, "dead_lettered") == total(erased.ledger, "dead_lettered")
    held = {info.key: after.store.get(info.key) for info in after.store.list(RAW_PREFIX)}
    assert len(held) > 3
    after.build()
    assert {info.key: after.store.get(info.key) for info in after.store.list(RAW_PREFIX)} == held


def test_a_letter_of_the_person_is_emptied_and_its_neighbour_stays(after: Rooms) -> None:
    (info,) = [info for info in after.store.list(DEAD_PREFIX) if f"tenant={MINE}" in info.key]
    emptied, kept = (orjson.loads(line) for line in lines_of(after.store.get(info.key)))
    assert (emptied["raw"], emptied["erased"], emptied["stream"]) == ("", True, "_unknown")
    assert (kept["encoding"], "erased" in kept) == ("sealed", False)


def test_nothing_on_record_names_the_person_and_the_ids_are_sealed_until_the_end(rooms: Rooms) -> None:
    asked = rooms.request(*BOTH)
    assert f"governance/erasure_subjects/{asked.request.request_id}.json" in records(rooms)
    assert not any(trace.encode() in rooms.store.get(key) for key in records(rooms) for trace in (*BOTH, EMAIL))


def test_afterwards_whom_it_was_about_is_known_by_keyed_hash_alone(after: Rooms, erased: Erased) -> None:
    assert not after.store.list("governance/erasure_subjects/")
    assert not any(trace.encode() in after.store.get(key) for key in records(after) for trace in (*BOTH, EMAIL))
    with pytest.raises(UnknownRequestError, match="keyed hash alone"):
        after.desk().verify(erased.request, by="auditor")
    assert after.desk().run(erased.request, by="bob").already_done


def records(rooms: Rooms) -> list[str]:
    return [info.key for each in ("governance/", "evidence/", "suppressions/") for info in rooms.store.list(each)]


def test_the_reason_may_not_name_the_person(rooms: Rooms) -> None:
    with pytest.raises(ErasureRefusedError, match="write why, not who"):
        rooms.desk().request(MINE, Given(frozenset({USER})), by="ann", reason=f"{USER} wrote to us")
    with pytest.raises(ErasureRefusedError, match="nothing of this person"):
        rooms.desk().request(MINE, Given(frozenset({"user_nobody"})), by="ann", reason="art. 17")
    assert rooms.desk().requests.all() == []


def test_states_follow_from_what_is_on_record(rooms: Rooms, after: Rooms, erased: Erased) -> None:
    now = datetime.now(UTC)
    asked = rooms.request(*BOTH)
    requests = rooms.desk().requests
    assert requests.state(asked.request, now) == "pending"
    rooms.desk().approve(asked.request, asked.plan.hash, by="bob")
    assert requests.state(asked.request, now) == "approved"
    assert requests.state(asked.request, now + timedelta(days=15)) == "pending"
    assert after.desk().requests.state(erased.request, now) == "verified"


def test_who_asks_may_not_approve_and_nothing_runs_unapproved(rooms: Rooms) -> None:
    asked = rooms.request(*BOTH)
    with pytest.raises(NotApprovedError):
        rooms.desk().run(asked.request, by="ann")
    with pytest.raises(SelfApprovalError):
        rooms.desk().approve(asked.request, asked.plan.hash, by=" Ann ")
    with pytest.raises(ErasureRefusedError, match="by now"):
        rooms.desk().approve(asked.request, "0" * 64, by="bob")
    assert rooms.left() != []


def test_a_plan_is_stale_once_another_id_turns_out_to_be_the_persons(rooms: Rooms) -> None:
    asked = rooms.approved(*BOTH)
    line = orjson.loads(lines_from(MINE, USER, CUSTOMER)[0])
    rooms.land(orjson.dumps({**line, "message_id": "later", "anonymous_id": "another_device"}) + b"\n")
    with pytest.raises(StalePlanError, match="the ids that belong to the person"):
        rooms.desk().run(asked.request, by="bob")
    again = rooms.desk().plan_again(asked.request)
    assert "another_device" in again.person.ids
    with pytest.raises(NotApprovedError):
        rooms.desk().run(asked.request, by="bob")
    rooms.desk().approve(asked.request, again.plan.hash, by="bob")
    assert rooms.desk().run(asked.request, by="bob").ok


def test_an_approval_that_has_lapsed_is_given_anew_to_a_plan_that_is_drawn_anew(rooms: Rooms) -> None:
    asked = rooms.approved(*BOTH)
    later = datetime.now(UTC) + timedelta(days=15)
    with pytest.raises(NotApprovedError, match="draw a new plan and have it approved"):
        rooms.desk().run(asked.request, by="bob", now=later)
    again = rooms.desk().plan_again(asked.request, now=later)
    with pytest.raises(ErasureRefusedError, match="by now"):
        rooms.desk().approve(asked.request, asked.plan.hash, by="bob", now=later)
    rooms.desk().approve(asked.request, again.plan.hash, by="bob", now=later)
    assert rooms.desk().run(asked.request, by="bob", now=later).ok


def test_after_a_hold_has_come_and_gone_the_newest_plan_is_the_one_to_approve(rooms: Rooms) -> None:
    asked = rooms.request(*BOTH)
    hold = rooms.hold("raw.support")
    during = rooms.desk().plan_again(asked.request)
    rooms.desk().holds.release(hold.hold_id, by="lawyer", reason="settled", now=datetime.now(UTC))
    after = rooms.desk().plan_again(asked.request)
    assert len({asked.plan.hash, during.plan.hash, after.plan.hash}) == 3
    rooms.desk().approve(asked.request, after.plan.hash, by="bob")
    assert rooms.desk().run(asked.request, by="bob").ok


def test_a_plan_from_before_plans_said_when_they_were_drawn_is_the_same_plan(rooms: Rooms) -> None:
    older = replace(rooms.request(*BOTH).plan, drawn_at=None)
    assert b"drawn_at" not in older.as_bytes()
    assert parse_erasure_plan(older.as_bytes()) == older


def test_every_plan_is_read_as_it_was_drawn(rooms: Rooms) -> None:
    plan = rooms.request(*BOTH).plan
    assert parse_erasure_plan(plan.as_bytes()) == plan
    assert plan.drawn_at is not None


def test_more_of_the_same_does_not_make_a_plan_stale(rooms: Rooms) -> None:
    asked = rooms.approved(*BOTH)
    line = orjson.loads(lines_from(MINE, USER, CUSTOMER)[3])
    rooms.land(orjson.dumps({**line, "message_id": "later"}) + b"\n")
    assert rooms.desk().run(asked.request, by="bob").ok
    assert rooms.left() == []


def test_a_hold_beats_an_erasure_until_it_ends(rooms: Rooms) -> None:
    before = rooms.rows("support")
    rooms.hold("raw.support")
    asked = rooms.approved(*BOTH)
    outcome = rooms.desk().run(asked.request, by="bob")
    assert {(each.sink, each.dataset) for each in outcome.held} == {
        ("raw partitions", "raw.support"),
        ("warehouse", "raw.support"),
    }
    assert rooms.rows("support") == before
    assert all("support" in each for each in rooms.left())
    now = datetime.now(UTC)
    assert rooms.desk().approved(now) == []
    rooms.desk().holds.release("case-1", by="lawyer", reason="settled", now=now)
    assert rooms.desk().approved(now) == [asked.request]
    assert rooms.desk().run(asked.request, by="bob").held == ()
    assert rooms.left() == []


def test_what_goes_when_a_hold_has_ended_is_on_record_and_dated(catalog: Catalog, rooms: Rooms) -> None:
    rooms.hold("raw.support")
    request = rooms.approved(*BOTH).request
    rooms.desk().run(request, by="bob")
    first = receipt(catalog, rooms, request)
    assert (first.units("held"), {each.dataset for each in first.lines if each.fate == "held"}) == (2, {"raw.support"})
    rooms.desk().holds.release("case-1", by="lawyer", reason="settled", now=datetime.now(UTC))
    rooms.desk().run(request, by="dagster")
    assert rooms.kinds(request.request_id) == FINISHED_AFTER_A_HOLD
    *_, done, verified = rooms.desk().requests.history(request)
    last = receipt(catalog, rooms, request)
    assert (last.units("held"), last.verified_at) == (0, verified.at)
    released = [each for each in last.lines if each.dataset == "raw.support"]
    assert {(each.sink, each.fate) for each in released} == {("raw partitions", "deleted"), ("warehouse", "deleted")}
    assert {(each.logically_deleted_at, each.physically_purged_by) for each in released} == {(done.at, done.at.date())}
    assert dates_of_others(last) == dates_of_others(first)


def dates_of_others(drawn: Receipt) -> set[tuple[str, str, datetime | None]]:
    lines = [each for each in drawn.lines if each.dataset != "raw.support"]
    return {(each.sink, each.dataset, each.logically_deleted_at) for each in lines}


def test_what_every_hold_kept_ends_as_it_would_have_without_one(catalog: Catalog, rooms: Rooms, erased: Erased) -> None:
    rooms.hold("*")
    request = rooms.approved(*BOTH).request
    rooms.desk().run(request, by="bob")
    rooms.desk().holds.release("case-1", by="lawyer", reason="settled", now=datetime.now(UTC))
    rooms.desk().run(request, by="dagster")
    assert rooms.left() == []
    ended = [
        {(each.sink, each.dataset, each.fate, each.units) for each in drawn.lines}
        for drawn in (receipt(catalog, rooms, request), receipt(catalog, Rooms(catalog, erased.home), erased.request))
    ]
    assert ended[0] == ended[1]


def test_of_a_hold_that_has_ended_in_part_the_receipt_says_both(catalog: Catalog, rooms: Rooms) -> None:
    rooms.hold("raw.billing", "raw.support")
    request = rooms.approved(*BOTH).request
    rooms.desk().run(request, by="bob")
    rooms.desk().holds.release("case-1", by="lawyer", reason="settled", now=datetime.now(UTC))
    now = datetime.now(UTC)
    narrower = Hold("case-2", "a dispute", "lawyer", now, now.date() + timedelta(days=9), ("raw.billing",), MINE)
    rooms.desk().holds.declare(narrower)
    rooms.desk().run(request, by="dagster")
    fates = {each.dataset: each.fate for each in receipt(catalog, rooms, request).lines if each.sink == "warehouse"}
    assert (fates["raw.billing"], fates["raw.support"]) == ("held", "deleted")


def receipt(catalog: Catalog, rooms: Rooms, request: ErasureRequest) -> Receipt:
    return receipt_of(rooms.desk().requests, request, catalog, Purging(), datetime.now(UTC))


def test_a_crash_after_a_hold_and_a_run_again_have_one_effect(
    catalog: Catalog, asked_under_hold: tuple[Path, ErasureRequest], tmp_path: Path
) -> None:
    home, request = asked_under_hold
    steps = crashed_at_each_step(catalog, home, request, tmp_path, FINISHED_AFTER_A_HOLD)
    assert steps > 5


@pytest.fixture
def asked_under_hold(catalog: Catalog, rooms: Rooms) -> tuple[Path, ErasureRequest]:
    """A home folder with an erasure of which a hold kept something, and the hold has ended."""
    rooms.hold("raw.support")
    request = rooms.approved(*BOTH).request
    rooms.desk().run(request, by="bob")
    rooms.desk().holds.release("case-1", by="lawyer", reason="settled", now=datetime.now(UTC))
    return rooms.home, request


def test_what_a_hold_over_everything_keeps_is_no_survivor_in_any_place(rooms: Rooms) -> None:
    ids = (*BOTH, "its_device")  # which no other tenant uses, so that files are searched for it
    demo = rooms.home / "demo" / "seed-1" / "2026.ndjson.zst"
    demo.parent.mkdir(parents=True)
    demo.write_bytes(compressed(b'{"userId":"its_device"}\n'))
    with closing(sqlite3.connect(rooms.settings.alerts_path)) as connection, connection:
        connection.execute("insert into outbox (body) values ('about its_device')")
    rooms.hold("*")
    before = rooms.left()
    outcome = rooms.desk().run(rooms.approved(*ids).request, by="bob")
    assert outcome.ok
    assert {each.sink for each in outcome.held} >= {"raw partitions", "warehouse", "records", "audience files", "files"}
    assert rooms.left() == before
    (rooms.home / "loose.txt").write_text("its_device")
    with pytest.raises(SurvivorsError, match="files: 1 left"):
        rooms.desk().run(rooms.approved(*ids).request, by="bob")


def test_a_file_that_goes_while_it_is_looked_at_fails_no_search(rooms: Rooms, monkeypatch: pytest.MonkeyPatch) -> None:
    demo = rooms.home / "demo" / "seed-1" / "2026.ndjson.zst"
    demo.parent.mkdir(parents=True)
    demo.write_bytes(compressed(b'{"userId":"its_device"}\n'))
    search = rooms.desk().search
    named = search._named

    def named_too_late(path: Path) -> object:
        if path == demo:
            demo.unlink()
        return named(path)

    monkeypatch.setattr(search, "_named", named_too_late)
    person = Person(MINE, frozenset({"its_device"}), frozenset(), "erased_x")
    (files,) = (each for each in search.survivors(person, lambda dataset, day: False) if each.sink == "files")
    assert (files.units, files.problem) == (0, None)


def test_an_erasure_waits_for_other_removals_and_for_the_spool(rooms: Rooms) -> None:
    asked = rooms.approved(*BOTH)
    with removing(rooms.store, "retention", DAY), pytest.raises(RemovalUnderWayError, match="retention"):
        rooms.desk().run(asked.request, by="bob")
    folder = rooms.settings.spool_root / "collectorx"
    folder.mkdir(parents=True)
    line = lines_from(MINE, USER, CUSTOMER)[3]
    entries = Entries({(None, DAY, MINE, "product"): [line]}, Counter({MINE: 1}), len(line))
    frame, _ = commit_frame([entries], 0)
    header = header_frame(Header("collectorx", 1, datetime(2026, 3, 2, 10, tzinfo=UTC), {}, None))
    segment_path(folder, 1).write_bytes(header + frame)
    with pytest.raises(ErasureRefusedError, match="started again"):
        rooms.desk().run(asked.request, by="bob")
    segment_path(folder, 1).unlink()
    assert rooms.desk().run(asked.request, by="bob").ok


def test_what_the_search_finds_or_cannot_read_fails_the_erasure(rooms: Rooms) -> None:
    asked = rooms.approved(*BOTH)
    rooms.store.put("somewhere/else.json", f'"{USER}"'.encode())
    with pytest.raises(SurvivorsError, match="lake objects: 1 left"):
        rooms.desk().run(asked.request, by="bob")
    assert rooms.desk().requests.state(asked.request, datetime.now(UTC)) == "failed"
    rooms.store.put("somewhere/else.json", b"\x28\xb5\x2f\xfdbroken")
    with pytest.raises(SurvivorsError, match=r"else\.json: ZstdError"):
        rooms.desk().run(asked.request, by="bob")
    rooms.store.delete("somewhere/else.json")
    assert rooms.desk().run(asked.request, by="bob").ok


def test_an_old_landing_object_that_is_put_back_brings_nobody_back(after: Rooms, erased: Erased) -> None:
    accepted = {stream: len(after.rows(stream)) for stream in after.streams}
    for stream in after.streams:  # the raw objects are lost too, so everything is built from what was put back
        after.store.delete(raw_key(stream, DAY, MINE))
    for key, data in erased.landing.items():
        after.store.put(key, data)
    after.build()
    assert {stream: len(after.rows(stream)) for stream in after.streams} == accepted
    assert {row["user_id"] for row in after.rows("product")} == {NEIGHBOUR}
    assert not any(trace in str(after.rows(stream)) for stream in after.streams for trace in (*BOTH, EMAIL))
    assert unbalanced(ledger_rows(after.store, DAY, DAY)).num_rows == 0


def test_an_old_file_that_lands_again_brings_nobody_back_and_is_accounted_for(after: Rooms) -> None:
    before = {stream: after.rows(stream) for stream in after.streams}
    after.land(*lines_from(MINE, USER, CUSTOMER), b"")
    after.build()
    assert {stream: after.rows(stream) for stream in after.streams} == before
    assert unbalanced(ledger_rows(after.store, DAY, DAY)).num_rows == 0


def test_a_conflict_of_the_person_is_emptied_and_stays_in_the_account(rooms: Rooms) -> None:
    line = orjson.loads(lines_from(MINE, USER, CUSTOMER)[3])
    rooms.land(orjson.dumps({**line, "payload_hash": "f" * 16}) + b"\n")
    rooms.build()
    rooms.desk().run(rooms.approved(*BOTH).request, by="bob")
    assert rooms.left() == []
    other = orjson.loads(lines_from(MINE, NEIGHBOUR, "customer_spatz")[3])
    rooms.land(orjson.dumps({**other, "payload_hash": "e" * 16}) + b"\n")
    rooms.build()
    ledger = ledger_rows(rooms.store, DAY, DAY)
    assert unbalanced(ledger).num_rows == 0
    letters = {(row["stream"], row["tenant_id"]): row["dead_lettered"] for row in ledger.to_pylist()}
    assert letters["product", MINE] == 2


def test_one_tampered_byte_of_the_evidence_is_found(after: Rooms) -> None:
    (key,) = [i.key for i in after.store.list("evidence/") if b'"erasure_done"' in after.store.get(i.key)]
    after.desk().chain.verify()
    after.store.put(key, after.store.get(key).replace(b"bob", b"eve"))
    with pytest.raises(BrokenChainError, match=key):
        after.desk().chain.verify()


@pytest.fixture(scope="session")
def asked(catalog: Catalog, filled: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ErasureRequest]:
    """A home folder with an approved request."""
    rooms = copied(catalog, filled, tmp_path_factory.mktemp("asked") / "home")
    return rooms.home, rooms.approved(*BOTH).request


def test_a_crash_at_each_step_and_a_run_again_have_one_effect(
    catalog: Catalog, asked: tuple[Path, ErasureRequest], tmp_path: Path
) -> None:
    """Every put, deletion and change of a table is a step; the process dies before it, or right after it."""
    home, request = asked
    assert crashed_at_each_step(catalog, home, request, tmp_path, FINISHED) > 15


def crashed_at_each_step(
    catalog: Catalog, home: Path, request: ErasureRequest, folder: Path, kinds: Sequence[str]
) -> int:
    """Crash a run at each of its steps, run again, look at the effect; how many steps there were."""
    at, steps = 0, 1
    while at < steps:
        at += 1
        rooms = copied(catalog, home, folder / str(at))
        store = Crashing(rooms.store, STORE_CHANGES, at, after=at % 2 == 0)
        warehouse = Crashing(rooms.warehouse, WAREHOUSE_CHANGES, at, after=at % 2 == 0, seen=store.seen)
        try:
            rooms.desk(store, warehouse).run(request, by="bob")
        except CrashError:
            steps = at + 1
        # The lock of a dead process is believed until it expires.
        shutil.rmtree(rooms.home / "lake" / "governance" / "locks", ignore_errors=True)
        again = rooms.desk()
        if again.requests.knows_subject(request):
            assert again.approved(datetime.now(UTC)) == [request], f"{at}: the daily job takes it up"
        assert again.run(request, by="bob").ok
        assert_one_effect(rooms, request, kinds, f"{at}: {store.seen[-1]}")
        shutil.rmtree(rooms.home)
    return steps


def assert_one_effect(rooms: Rooms, request: ErasureRequest, kinds: Sequence[str], where: str) -> None:
    assert rooms.left() == [], where
    assert rooms.kinds(request.request_id) == kinds, where
    ledger = ledger_rows(rooms.store, DAY, DAY)
    assert unbalanced(ledger).num_rows == 0, where
    assert sum(ledger["received"].to_pylist()) == RECEIVED, where
    assert rooms.warehouse.query("select sum(received) as n from ops.ledger")["n"].to_pylist() == [RECEIVED], where
    assert len(rooms.store.list(suppression_prefix(MINE))) == 1, where
