"""Backfills of a real deployment: of a home that has never run, and of days that retention removed.

The tests go in order.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from defs_house import House, new_house
from retention_boundary import KEPT, NOW, OF_EACH_TERM, OLD, TODAY

from analytics_platform.catalog import load_catalog
from analytics_platform.defs.backfill import backfill
from analytics_platform.defs.begun_backfills import Asked
from analytics_platform.defs.resources import warehouse_from
from analytics_platform.defs.retention import forgetful_desk
from analytics_platform.defs.run_report import RunReport

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """An invoice on both sides of the boundary; nothing has run."""
    house = new_house(tmp_path_factory.mktemp("home"), history_start=OLD - timedelta(days=5))
    house.land_invoice("old", f"{OLD}T12:00:00Z")
    house.land_invoice("kept", f"{KEPT}T12:00:00Z")
    return house


def build(house: House) -> RunReport:
    return backfill(house.settings, Asked((), OLD, KEPT, (), "a test"), definitions=house.definitions).report


def problems(report: RunReport) -> list[str]:
    failed = [f"{each.asset} {each.check}: {each.description}" for each in report.checks_failed]
    return [*(run.error for run in report.runs if run.error), *failed] if not report.ok else []


def invoices(house: House) -> set[str]:
    return set(
        warehouse_from(house.settings).query("select invoice_id from marts.fct_invoices")["invoice_id"].to_pylist()
    )


def objects_of_old_day(house: House) -> set[str]:
    return {info.key for info in house.store.list("") if f"day={OLD}/" in info.key}


def test_a_home_that_has_never_run_is_built_with_its_registry(house: House) -> None:
    report = build(house)
    assert problems(report) == []
    assert report.removed == 0
    assert invoices(house) == {"inv-old", "inv-kept"}
    tenants = warehouse_from(house.settings).query("select tenant_id from raw.tenants")["tenant_id"].to_pylist()
    assert set(tenants) == set(load_catalog().tenants)


def test_a_backfill_brings_nothing_back_that_retention_removed(house: House) -> None:
    desk = forgetful_desk(house.settings)
    plan = desk.plan(TODAY, by="ann")
    desk.approvals.approve(plan, by="bob", now=NOW)
    assert desk.apply(plan, by="bob").ok
    before = objects_of_old_day(house)
    report = build(house.up_to(*OF_EACH_TERM))
    assert problems(report) == []
    assert report.removed > 0
    assert invoices(house) == {"inv-kept"}
    assert objects_of_old_day(house) == before
    assert forgetful_desk(house.settings).verify(plan, by="auditor").ok
