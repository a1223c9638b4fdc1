"""Planning, approving, removing and verifying, over a real lake and a real warehouse."""

import hashlib
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from retention_house import (
    BRITISH,
    DUTCH,
    LAST_FISCAL,
    LAST_TECHNICAL,
    NOW,
    TODAY,
    CrashError,
    RetentionHouse,
    invoices,
)

from analytics_platform.catalog import Catalog
from analytics_platform.defs.retention import came_back
from analytics_platform.governance.retention.approvals import NotApprovedError, SelfApprovalError, UnknownPlanError
from analytics_platform.governance.retention.desk import StalePlanError, SurvivorsError
from analytics_platform.governance.retention.holds import HoldError
from analytics_platform.governance.retention.lock import RemovalUnderWayError, refuse_while_removing, removing
from analytics_platform.governance.retention.sink import CannotCountError
from analytics_platform.lake.extract_manifest import read_manifest
from analytics_platform.lake.removals import read_removals

NEXT = LAST_FISCAL + timedelta(days=1)
STEPS = ["intend", "state", "remove extracts", "remove files", "remove lake", "remove warehouse", "settle", "record"]


@pytest.fixture
def house(tmp_path: Path, catalog: Catalog) -> RetentionHouse:
    house = RetentionHouse(catalog, tmp_path)
    house.fill()
    return house


def planned(house: RetentionHouse) -> dict[tuple[str, str, str], int]:
    targets = house.desk.plan(TODAY, by="ann", now=NOW).targets
    return {(each.sink, each.dataset, each.tenant): each.units for each in targets}


def test_exactly_what_is_past_its_term_is_planned(house: RetentionHouse) -> None:
    assert planned(house) == {
        ("extracts", "extracts.finance.mrr", DUTCH): 1,
        # Its financial year ends on 31 March, so the first of January is as old as the last of December.
        ("extracts", "extracts.finance.mrr", BRITISH): 2,
        ("files", "demo_files", "_none"): 1,
        ("lake", "dead_letters", DUTCH): 1,
        ("lake", "dead_letters", BRITISH): 1,
        ("warehouse", "marts.fct_invoices", DUTCH): 1,
        ("warehouse", "marts.fct_invoices", BRITISH): 2,
    }


def test_a_plan_is_canonical_and_its_hash_is_that_of_its_bytes(house: RetentionHouse) -> None:
    first, second = (house.desk.plan(TODAY, by="ann", now=NOW) for _ in range(2))
    assert first.as_bytes() == second.as_bytes()
    assert first.hash == hashlib.sha256(first.as_bytes()).hexdigest()
    assert first.as_bytes() == orjson.dumps(orjson.loads(first.as_bytes()), option=orjson.OPT_SORT_KEYS)
    assert house.desk.approvals.plan(first.hash[:12]) == first


def test_planning_and_a_dry_run_remove_nothing(house: RetentionHouse) -> None:
    before = house.bytes_of(lambda key: not key.startswith(("governance/", "evidence/")))
    assert house.desk.dry_run(house.approved(), TODAY) == []
    assert house.bytes_of(lambda key: not key.startswith(("governance/", "evidence/"))) == before
    assert len(house.invoices()) == 4


def test_what_was_approved_is_removed_everywhere_and_nothing_else(house: RetentionHouse) -> None:
    outcome = house.desk.apply(house.approved(), by="bob", now=NOW)
    assert outcome.ok
    assert house.invoices() == [f"inv-{DUTCH}-{NEXT}"]
    assert [key for key in house.letters() if f"day={LAST_TECHNICAL}" in key] == []
    assert len(house.letters()) == 2
    manifest = read_manifest(house.store, "finance")
    assert manifest is not None
    (part,) = manifest.tables["mrr"].days.values()
    objects = [info.key for info in house.store.list("extracts/finance/mrr/day=")]
    assert objects == [part.key]
    kept = pq.read_table(house.store.local_path(part.key), partitioning=None)
    assert DUTCH.encode() in house.store.get("extracts/finance/mrr/mrr.csv")
    assert BRITISH.encode() not in house.store.get("extracts/finance/mrr/mrr.csv")
    assert kept["tenant_id"].to_pylist() == [DUTCH]
    assert kept.schema.metadata[b"schema_version"] == b"1"
    assert [path.name for path in (house.root / "demo").iterdir()] == ["new.zst"]


def test_the_removed_rows_are_not_in_the_warehouses_file_any_more(house: RetentionHouse) -> None:
    import duckdb

    with duckdb.connect(str(house.warehouse.path)) as connection:
        connection.execute("pragma force_compression = 'uncompressed'")
        connection.execute("create or replace table marts.fct_invoices as from marts.fct_invoices")
        connection.execute("checkpoint")
    gone, stays = f"inv-{DUTCH}-{LAST_FISCAL}".encode(), f"inv-{DUTCH}-{NEXT}".encode()
    assert gone in house.warehouse.path.read_bytes()
    house.desk.apply(house.approved(), by="bob", now=NOW)
    house.warehouse.purge()
    # What stays is copied under the file's own compression, so it is found by asking and the other by its bytes.
    assert house.invoices() == [stays.decode()]
    assert gone not in house.warehouse.path.read_bytes()


def test_who_drew_a_plan_cannot_approve_it_however_they_write_their_name(house: RetentionHouse) -> None:
    plan = house.desk.plan(TODAY, by="ann", now=NOW)
    for name in ("ann", "Ann", " ann "):
        with pytest.raises(SelfApprovalError, match="somebody else"):
            house.desk.approvals.approve(plan, by=name, now=NOW)


def test_an_approval_that_was_slipped_in_by_who_drew_the_plan_is_refused(house: RetentionHouse) -> None:
    plan = house.desk.plan(TODAY, by="ann", now=NOW)
    forged = {"plan": plan.hash, "approved_by": "ANN", "approved_at": NOW}
    house.store.put(f"governance/approvals/{plan.hash}.json", orjson.dumps(forged))
    with pytest.raises(SelfApprovalError):
        house.desk.apply(plan, by="ann", now=NOW)
    assert len(house.invoices()) == 4


def test_without_an_approval_or_with_one_of_long_ago_nothing_is_removed(house: RetentionHouse) -> None:
    plan = house.desk.plan(TODAY, by="ann", now=NOW)
    with pytest.raises(NotApprovedError, match="approve"):
        house.desk.apply(plan, by="ann", now=NOW)
    house.desk.approvals.approve(plan, by="bob", now=NOW)
    with pytest.raises(NotApprovedError, match="draw a new plan"):
        house.desk.apply(plan, by="ann", now=NOW + timedelta(days=15))
    assert len(house.invoices()) == 4


def test_a_plan_that_was_changed_after_it_was_drawn_is_no_plan(house: RetentionHouse) -> None:
    plan = house.approved()
    key = f"governance/plans/{plan.hash}.json"
    house.store.put(key, house.store.get(key).replace(b'"units":2', b'"units":9'))
    with pytest.raises(UnknownPlanError, match="was changed"):
        house.desk.approvals.plan(plan.hash)


@pytest.mark.parametrize("change", ["a row more", "a row of other content", "an object more", "a hold", "another file"])
def test_a_plan_is_stale_once_the_data_or_the_holds_have_changed(house: RetentionHouse, change: str) -> None:
    plan = house.approved()
    rows = [(LAST_FISCAL, DUTCH, f"inv-{DUTCH}-{LAST_FISCAL}"), (NEXT, BRITISH, f"inv-{BRITISH}-{NEXT}")]
    if change == "a row more":
        house.warehouse.replace_table("marts.fct_invoices", invoices([*rows, (LAST_FISCAL, BRITISH, "x"), *rows]))
    elif change == "a row of other content":
        others = [(LAST_FISCAL, BRITISH, "other"), (NEXT, DUTCH, f"inv-{DUTCH}-{NEXT}")]
        house.warehouse.replace_table("marts.fct_invoices", invoices([*rows, *others]))
    elif change == "an object more":
        house.store.put(f"dead/invalid_json/day={LAST_TECHNICAL}/tenant={DUTCH}/w-b.ndjson.zst", b"letter")
    elif change == "a hold":
        house.hold()
    else:
        house.put_file("older.zst", NOW - timedelta(days=80))
    assert house.desk.dry_run(plan, TODAY)
    with pytest.raises(StalePlanError, match="new plan"):
        house.desk.apply(plan, by="bob", now=NOW)
    assert house.invoices()
    assert not read_removals(house.store)


@pytest.mark.parametrize("step", STEPS)
def test_a_removal_that_died_at_any_step_is_finished_with_one_effect(house: RetentionHouse, step: str) -> None:
    plan = house.approved()
    house.crash_at = step
    with pytest.raises(CrashError):
        house.desk.apply(plan, by="bob", now=NOW)
    house.crash_at = None
    assert house.desk.apply(plan, by="cleo", now=NOW + timedelta(hours=1)).ok
    assert house.desk.apply(plan, by="cleo", now=NOW + timedelta(hours=2)).already_done
    kinds = [entry.kind for entry in house.desk.chain.entries()]
    assert kinds == ["plan_drawn", "plan_approved", "removal_intended", "removal_done", "verified"]
    assert house.invoices() == [f"inv-{DUTCH}-{NEXT}"]
    assert len(house.letters()) == 2


def test_what_died_on_the_way_is_finished_although_its_approval_has_run_out(house: RetentionHouse) -> None:
    plan = house.approved()
    house.crash_at = "remove warehouse"
    with pytest.raises(CrashError):
        house.desk.apply(plan, by="bob", now=NOW)
    house.crash_at = None
    later = NOW + timedelta(days=30)
    assert [each.hash for each in house.desk.approved(later)] == [plan.hash]
    assert house.desk.apply(plan, by="bob", now=later).ok


def test_a_hold_beats_the_term_for_exactly_its_scope(house: RetentionHouse) -> None:
    house.hold(tenant=BRITISH, datasets=("marts.*",), first=NEXT, last=NEXT)
    before = planned(house)
    assert before["warehouse", "marts.fct_invoices", BRITISH] == 1
    house.desk.apply(house.approved(), by="bob", now=NOW)
    assert house.invoices() == [f"inv-{BRITISH}-{NEXT}", f"inv-{DUTCH}-{NEXT}"]
    removals = read_removals(house.store)
    assert not removals.covers("marts.fct_invoices", BRITISH, NEXT)
    assert removals.covers("marts.fct_invoices", BRITISH, LAST_FISCAL)


def test_a_hold_over_everything_leaves_nothing_to_plan_until_it_is_released(house: RetentionHouse) -> None:
    house.hold()
    assert planned(house) == {}
    house.desk.holds.release("case-1", by="lawyer", reason="settled", now=NOW)
    assert len(planned(house)) == 7


def test_a_hold_that_has_expired_keeps_nothing(house: RetentionHouse) -> None:
    hold = house.hold()
    assert house.desk.holds.in_force(hold.expires_on) == [hold]
    assert house.desk.holds.in_force(hold.expires_on + timedelta(days=1)) == []


def test_a_hold_that_was_declared_after_a_removal_died_keeps_what_is_left(house: RetentionHouse) -> None:
    plan = house.approved()
    house.crash_at = "remove warehouse"
    with pytest.raises(CrashError):
        house.desk.apply(plan, by="bob", now=NOW)
    house.crash_at = None
    house.hold(datasets=("marts.fct_invoices",), tenant=DUTCH)
    outcome = house.desk.apply(plan, by="bob", now=NOW)
    assert outcome.ok
    assert outcome.held_back == (f"warehouse marts.fct_invoices {DUTCH}",)
    assert f"inv-{DUTCH}-{LAST_FISCAL}" in house.invoices()
    assert not read_removals(house.store).covers("marts.fct_invoices", DUTCH, LAST_FISCAL)


def test_holds_are_declared_once_and_released_once_and_both_are_on_record(house: RetentionHouse) -> None:
    house.hold()
    with pytest.raises(HoldError, match="another id"):
        house.hold()
    house.desk.holds.release("case-1", by="lawyer", reason="settled", now=NOW)
    with pytest.raises(HoldError, match="released before"):
        house.desk.holds.release("case-1", by="lawyer", reason="settled", now=NOW)
    with pytest.raises(HoldError, match="no hold"):
        house.desk.holds.release("case-2", by="lawyer", reason="settled", now=NOW)
    kinds = [(entry.kind, entry.subject) for entry in house.desk.chain.entries()]
    assert kinds == [("hold_declared", "case-1"), ("hold_released", "case-1")]


@pytest.mark.parametrize(
    "scope", [{"first": NEXT, "last": LAST_FISCAL}, {"hold_id": "No Such Id"}, {"hold_id": "../escape"}]
)
def test_a_hold_that_says_nothing_sensible_is_refused(house: RetentionHouse, scope: dict[str, object]) -> None:
    with pytest.raises(HoldError):
        house.hold(**scope)  # type: ignore[arg-type]


def test_a_survivor_fails_the_verification_and_is_on_record(house: RetentionHouse) -> None:
    plan = house.approved()
    house.desk.apply(plan, by="bob", now=NOW)
    house.store.put(f"dead/invalid_json/day={LAST_TECHNICAL}/tenant={DUTCH}/w-c.ndjson.zst", b"letter")
    with pytest.raises(SurvivorsError, match="1 of 7 targets survive: lake dead_letters brabant-rental: 1 left"):
        house.desk.verify(plan, by="auditor", now=NOW)
    last = list(house.desk.chain.entries())[-1]
    assert (last.kind, last.said["survivors"][0]["units"]) == ("verification_failed", 1)


def test_what_cannot_be_counted_fails_the_verification_and_is_never_zero(house: RetentionHouse) -> None:
    plan = house.approved()
    house.desk.apply(plan, by="bob", now=NOW)
    house.warehouse.remove_rows("marts.fct_invoices", "true", [])
    house.warehouse.replace_table("marts.fct_invoices", pa.table({"nothing": [1]}))
    with pytest.raises(SurvivorsError, match="could not be counted"):
        house.desk.verify(plan, by="auditor", now=NOW)


def test_a_sink_that_did_not_remove_anything_does_not_get_past_the_verification(
    house: RetentionHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    from analytics_platform.governance.retention.tables import WarehouseTables

    monkeypatch.setattr(WarehouseTables, "remove", lambda self, term: None)
    with pytest.raises(SurvivorsError, match=r"marts.fct_invoices"):
        house.desk.apply(house.approved(), by="bob", now=NOW)


def test_an_unreadable_extract_stops_the_plan_rather_than_counting_as_empty(house: RetentionHouse) -> None:
    house.store.put(f"extracts/finance/mrr/day={LAST_FISCAL}/extract.parquet", b"no parquet")
    with pytest.raises(CannotCountError, match="cannot be read"):
        house.desk.plan(TODAY, by="ann", now=NOW)


def test_landing_objects_wait_until_raw_holds_them(house: RetentionHouse) -> None:
    key = house.land(LAST_TECHNICAL, DUTCH, "20260927T10-w-a.ndjson.zst")
    plan = house.approved()
    assert [(each.dataset, each.tenant, each.units) for each in plan.waiting] == [("landing", DUTCH, 1)]
    house.desk.apply(plan, by="bob", now=NOW)
    assert house.store.info(key) is not None


def test_a_table_without_a_business_date_waits_for_its_declaration(house: RetentionHouse) -> None:
    house.warehouse.replace_table("marts.fct_tickets", pa.table({"tenant_id": [DUTCH]}))
    (waiting,) = house.desk.plan(TODAY, by="ann", now=NOW).waiting
    assert (waiting.dataset, waiting.units) == ("marts.fct_tickets", 1)
    assert "clock_column" in waiting.why


def test_of_removed_datasets_every_tenants_old_days_stay_away_and_of_others_none(house: RetentionHouse) -> None:
    house.desk.apply(house.approved(), by="bob", now=NOW)
    removals = read_removals(house.store)
    assert removals.covers("marts.fct_invoices", "delta-events", date(2018, 6, 1))
    assert not removals.covers("marts.fct_invoices", "delta-events", NEXT)
    assert not removals.covers("raw.billing", DUTCH, LAST_FISCAL)


def test_nothing_is_built_or_removed_over_days_that_are_being_removed(house: RetentionHouse) -> None:
    with removing(house.store, "another removal", LAST_FISCAL):
        with pytest.raises(RemovalUnderWayError, match="another removal"):
            house.desk.apply(house.approved(), by="bob", now=NOW)
        with pytest.raises(RemovalUnderWayError, match="another removal removes days up to 2018-12-31"):
            refuse_while_removing(house.store, LAST_FISCAL, NOW)
        refuse_while_removing(house.store, NEXT, NOW)
    refuse_while_removing(house.store, LAST_FISCAL, NOW)


def test_what_a_hold_kept_when_a_plan_was_approved_stays_though_the_hold_ends_while_it_is_carried_out(
    house: RetentionHouse,
) -> None:
    house.hold(tenant=DUTCH)
    plan = house.approved()
    house.crash_at = "remove warehouse"
    with pytest.raises(CrashError):
        house.desk.apply(plan, by="bob", now=NOW)
    house.crash_at = None
    house.desk.holds.release("case-1", by="lawyer", reason="settled", now=NOW)
    assert house.desk.apply(plan, by="bob", now=NOW).ok
    removals = read_removals(house.store)
    assert not removals.covers("marts.fct_invoices", DUTCH, LAST_FISCAL)
    assert removals.covers("marts.fct_invoices", BRITISH, LAST_FISCAL)
    assert came_back(house.desk.sinks, removals) == 0
    assert f"inv-{DUTCH}-{LAST_FISCAL}" in house.invoices()


def test_the_lock_of_a_process_that_died_runs_out(house: RetentionHouse) -> None:
    said = {"holder": "a dead process", "through": LAST_FISCAL, "expires_at": datetime.now(UTC) - timedelta(seconds=1)}
    house.store.put("governance/locks/removal-00000007.json", orjson.dumps(said))
    refuse_while_removing(house.store, LAST_FISCAL, datetime.now(UTC))
    assert house.desk.apply(house.approved(), by="bob", now=NOW).ok


def test_other_tenants_bytes_are_as_they_were(house: RetentionHouse) -> None:
    house.hold(tenant=BRITISH)
    before = house.bytes_of(lambda key: f"tenant={BRITISH}" in key)
    house.desk.apply(house.approved(), by="bob", now=NOW)
    assert before
    assert house.bytes_of(lambda key: f"tenant={BRITISH}" in key) == before
    assert [name for name in house.invoices() if BRITISH in name] == [
        f"inv-{BRITISH}-{LAST_FISCAL}",
        f"inv-{BRITISH}-{NEXT}",
    ]


def test_the_record_holds_nothing_that_a_row_says(house: RetentionHouse) -> None:
    house.desk.apply(house.approved(), by="bob", now=NOW)
    records = house.bytes_of(lambda key: key.startswith(("evidence/", "governance/", "removals/")))
    assert len(records) > 6
    assert not any(b"inv-" in data or b"letter" in data.replace(b"dead_letters", b"") for data in records.values())
