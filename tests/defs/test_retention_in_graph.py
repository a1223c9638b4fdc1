"""Retention over a real deployment: invoices on both sides of their boundary, in every place. The tests go in order."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from defs_house import House, new_house
from retention_boundary import KEPT, NOW, OF_EACH_TERM, OLD, TODAY

from analytics_platform.defs import jobs, keys
from analytics_platform.defs.instance import open_instance
from analytics_platform.defs.partitions import Rectangle
from analytics_platform.defs.removed_days import RemovedDayError
from analytics_platform.defs.resources import warehouse_from
from analytics_platform.defs.retention import forgetful_desk
from analytics_platform.defs.run_report import RunReport
from analytics_platform.defs.runs import run_days
from analytics_platform.governance.retention.desk import Outcome
from analytics_platform.governance.retention.holds import Hold
from analytics_platform.governance.retention.lock import RemovalUnderWayError, removing
from analytics_platform.lake.layout import raw_key

pytestmark = pytest.mark.integration

MINE, HELD = "brabant-rental", "delta-events"


def run(house: House, first: date = OLD, last: date = KEPT) -> RunReport:
    return run_days(house.settings, first, last, definitions=house.definitions)


def problems(report: RunReport) -> list[str]:
    failed = [f"{each.asset} {each.check}: {each.description}" for each in report.checks_failed]
    return [*(run.error for run in report.runs if run.error), *failed] if not report.ok else []


def names_in(house: House, table: str, column: str = "invoice_id") -> set[str]:
    return set(warehouse_from(house.settings).query(f"select {column} as name from {table}")["name"].to_pylist())


def built_partitions(house: House, key: str) -> set[str]:
    with open_instance(house.settings) as instance:
        return set(instance.get_materialized_partitions(keys.AssetKey.from_user_string(key)))


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Invoices of the last second of a financial year in Amsterdam, and of the first second of the next one."""
    house = new_house(tmp_path_factory.mktemp("home"), history_start=OLD - timedelta(days=5))
    house.land_invoice("old", f"{OLD}T22:59:59Z", MINE)
    house.land_invoice("kept", f"{OLD}T23:00:00Z", MINE)
    house.land_invoice("held", f"{OLD}T12:00:00Z", HELD)
    assert problems(run(house)) == []
    hold = Hold("dispute", "a dispute", "lawyer", NOW, TODAY + timedelta(days=30), ("*",), HELD, OLD, OLD)
    forgetful_desk(house.settings).holds.declare(hold)
    return house


@pytest.fixture(scope="module")
def others(house: House) -> dict[str, bytes]:
    """What the lake holds under the other tenant's folders before anything is removed."""
    return {key: house.store.get(key) for key in held_keys(house)}


def held_keys(house: House) -> list[str]:
    return [info.key for info in house.store.list("") if f"day={OLD}/tenant={HELD}/" in info.key]


@pytest.fixture(scope="module")
def outcome(house: House, others: dict[str, bytes]) -> Outcome:
    desk = forgetful_desk(house.settings)
    plan = desk.plan(TODAY, by="ann")
    desk.approvals.approve(plan, by="bob", now=NOW)
    return desk.apply(plan, by="bob")


def test_before_the_removal_all_three_invoices_are_everywhere(house: House) -> None:
    for table in ("staging.stg_billing__invoice_issued", "marts.fct_invoices"):
        assert names_in(house, table) == {"inv-old", "inv-kept", "inv-held"}
    assert built_partitions(house, "raw/billing") >= {f"{OLD}|{MINE}", f"{KEPT}|{MINE}", f"{OLD}|{HELD}"}


def test_the_invoice_past_its_term_vanishes_everywhere_and_its_neighbour_of_a_second_later_stays(
    house: House, outcome: Outcome
) -> None:
    assert outcome.ok
    assert outcome.units > 20
    for table in ("staging.stg_billing__invoice_issued", "marts.fct_invoices"):
        assert names_in(house, table) == {"inv-kept", "inv-held"}
    assert names_in(house, "raw.billing", "message_id") == {"late-kept", "late-held"}
    assert house.store.info(raw_key("billing", OLD, MINE)) is None
    assert house.store.info(raw_key("billing", KEPT, MINE)) is not None
    assert not [key for key in keys_of(house, f"day={OLD}/") if f"tenant={MINE}" in key]
    days = warehouse_from(house.settings).query(
        f"select distinct tenant_id, day from kpi.kpi_receivables where tenant_id = '{MINE}'"
    )
    assert days["day"].to_pylist() == [KEPT]


def keys_of(house: House, part: str) -> list[str]:
    return [info.key for info in house.store.list("") if part in info.key]


def test_extracts_keep_only_the_rows_of_who_is_held(house: House, outcome: Outcome) -> None:
    (key,) = keys_of(house, f"extracts/finance/invoice_collection_rate/day={OLD}/")
    assert set(pq.read_table(io.BytesIO(house.store.get(key)))["tenant_id"].to_pylist()) == {HELD}


def test_what_a_hold_keeps_is_there_byte_for_byte(house: House, others: dict[str, bytes], outcome: Outcome) -> None:
    assert {key: house.store.get(key) for key in held_keys(house)} == others
    assert any(key.startswith("landing/") for key in others)


def test_the_ledger_shows_what_is_there(house: House, outcome: Outcome) -> None:
    rows = warehouse_from(house.settings).query("select stream, tenant_id, day from ops.ledger where received > 0")
    billing = {(row["tenant_id"], row["day"]) for row in rows.to_pylist() if row["stream"] == "billing"}
    assert billing == {(HELD, OLD), (MINE, KEPT)}


def test_dagster_forgets_exactly_the_removed_partitions(house: House, outcome: Outcome) -> None:
    billing = built_partitions(house, "raw/billing")
    assert f"{OLD}|{MINE}" not in billing
    assert {f"{KEPT}|{MINE}", f"{OLD}|{HELD}"} <= billing
    # Of other classes both days are long past their term, and only the tenant that is held keeps them.
    assert built_partitions(house, "raw/product") == {f"{OLD}|{HELD}"}
    assert built_partitions(house, "staging/billing/stg_billing__invoice_issued") == {str(OLD), str(KEPT)}


def test_a_backfill_brings_nothing_back(house: House, outcome: Outcome) -> None:
    before = {info.key for info in house.store.list("") if info.key.startswith(("raw/", "landing/", "dead/"))}
    report = run(house.up_to(*OF_EACH_TERM))
    assert problems(report) == []
    assert report.removed > 0
    assert names_in(house, "marts.fct_invoices") == {"inv-kept", "inv-held"}
    after = {info.key for info in house.store.list("") if info.key.startswith(("raw/", "landing/", "dead/"))}
    assert after == before
    assert f"{OLD}|{MINE}" not in built_partitions(house, "raw/billing")
    assert built_partitions(house, "raw/product") == {f"{OLD}|{HELD}"}
    desk = forgetful_desk(house.settings)
    assert desk.verify(desk.approvals.plan(outcome.plan), by="auditor").ok


def test_a_day_that_is_removed_for_everybody_is_refused_by_name(house: House, outcome: Outcome) -> None:
    with pytest.raises(RemovedDayError, match=f"days from {OLD} on can be"):
        run(house, OLD - timedelta(days=1), KEPT)


def test_an_old_file_that_is_imported_again_becomes_dead_letters(
    house: House, outcome: Outcome, tmp_path: Path
) -> None:
    report = house.imported(house.settings.home / "old.ndjson")
    assert (report.accepted, report.reasons) == (0, {"past_retention": 1})
    assert house.imported(house.settings.home / "kept.ndjson").accepted == 1
    # What is made from raw partitions has been built again above; they alone can bring anything back.
    ingest, billing = house.definitions.resolve_job_def(jobs.INGEST), [keys.raw("billing")]
    tags = Rectangle(KEPT, KEPT, (MINE,)).tags
    with open_instance(house.settings) as instance:
        assert ingest.execute_in_process(instance=instance, tags=tags, asset_selection=billing).success
    assert house.store.info(raw_key("billing", OLD, MINE)) is None


def test_no_day_is_built_while_it_is_being_removed(house: House, outcome: Outcome) -> None:
    with removing(house.store, "an erasure", KEPT), pytest.raises(RemovalUnderWayError, match="an erasure"):
        run(house, KEPT, KEPT)


def test_the_daily_job_plans_sweeps_what_is_approved_and_its_checks_hold(house: House, outcome: Outcome) -> None:
    job = house.definitions.resolve_job_def("govern")
    with open_instance(house.settings) as instance:
        plans = [keys.RETENTION_PLAN, keys.RETENTION_SWEEP]
        first = job.execute_in_process(instance=instance, asset_selection=plans, raise_on_error=False)
        waiting = _metadata(first, keys.RETENTION_SWEEP)["waiting_for_approval"].value
        desk = forgetful_desk(house.settings)
        # What came in again above is past the terms of landing and dead letters: somebody has to agree to that.
        assert len(waiting) == 1
        desk.approvals.approve(desk.approvals.plan(waiting[0]), by="bob", now=datetime.now(UTC))
        second = job.execute_in_process(instance=instance, asset_selection=plans, raise_on_error=False)
        third = job.execute_in_process(instance=instance, raise_on_error=False)
    assert second.success
    assert _metadata(second, keys.RETENTION_SWEEP)["units_removed"].value > 0
    checks = third.get_asset_check_evaluations()
    assert {each.check_name for each in checks} >= {
        "no_identifier_in_clear",
        "identities_open_with_their_keys",
        "nothing_is_overdue",
        "every_personal_column_is_registered",
        "nothing_was_removed_early",
        "chain_is_unbroken",
    }
    assert [(each.check_name, each.description) for each in checks if not each.passed] == []
    kinds = names_in(house, "ops.evidence", "kind")
    assert {"hold_declared", "removal_intended", "removal_done", "verified"} <= kinds


def _metadata(result: object, key: keys.AssetKey) -> dict[str, object]:
    events = result.get_asset_materialization_events()  # type: ignore[attr-defined]
    return next(event.materialization.metadata for event in events if event.asset_key == key)
