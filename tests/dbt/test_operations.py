"""Operations models against a naive reading of their definitions, and against facts that come later or unordered."""

import random
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from fixture import TENANTS, CompiledModels, Dbt, Message, message
from fixture_operations import EPOCH, LENGTH, equipment_facts, identified, transport_facts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference import Registry
from reference_operations import by_warehouse, departure_rows, item_days, utilisation_rows

pytestmark = pytest.mark.integration

REGISTRY = Registry.of(TENANTS)
FIRST, LAST = EPOCH - timedelta(days=1), EPOCH + timedelta(days=LENGTH)
EXAMPLES = settings(
    max_examples=12,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
UTILISATION = (
    "fleet_items",
    "on_rent_items",
    "maintenance_items",
    "conflicting_items",
    "fleet_cost_minor",
    "on_rent_cost_minor",
)
DEPARTURES = ("planned", "departed", "on_time", "cancelled", "never_departed")


@pytest.fixture(scope="module")
def equipment(tmp_path_factory: pytest.TempPathFactory) -> CompiledModels:
    """Return the models from equipment facts to utilisation."""
    return CompiledModels(
        Dbt(tmp_path_factory.mktemp("equipment")),
        "stg_inventory__equipment_registered",
        "stg_inventory__equipment_status_changed",
        "stg_inventory__scan_completed",
        "stg_inventory__scan_exception",
        "dim_tenants",
        "int_equipment_claims",
        "fct_equipment_status_spans",
        "fct_equipment_days",
        "kpi_equipment_utilisation",
    )


@pytest.fixture(scope="module")
def transports(tmp_path_factory: pytest.TempPathFactory) -> CompiledModels:
    """Return the models from transport facts to on-time departures."""
    return CompiledModels(
        Dbt(tmp_path_factory.mktemp("transports")),
        "stg_transport__transport_scheduled",
        "stg_transport__transport_departed",
        "stg_transport__transport_cancelled",
        "stg_transport__transport_arrived",
        "dim_tenants",
        "fct_departures",
        "kpi_on_time_departures",
    )


def built(models: CompiledModels, messages: list[Message], table: str) -> list[dict[str, Any]]:
    """Stage every message, build the day tables for the tested days, and return a table's rows, sorted."""
    tested = ("fct_equipment_days", "kpi_equipment_utilisation", "kpi_on_time_departures")
    models.build(messages, FIRST - timedelta(days=30), LAST + timedelta(days=30), but=tested)
    models.rebuild(FIRST, LAST, *tested)
    return sorted(models.records(f"from {table}"), key=str)


@EXAMPLES
@given(facts=equipment_facts())
def test_equipment_days_equal_reading_each_days_facts_in_plain_python(
    equipment: CompiledModels, facts: list[Message]
) -> None:
    actual = {
        (row["day"], row["tenant_id"], row["equipment_id"]): (
            row["status_at_close"],
            row["has_conflict"],
            row["category"],
        )
        for row in built(equipment, facts, "marts.fct_equipment_days")
    }
    expected = item_days(facts, REGISTRY, FIRST, LAST)
    assert actual == {key: (day.status, day.has_conflict, day.category) for key, day in expected.items()}


@EXAMPLES
@given(facts=equipment_facts())
def test_utilisation_equals_counting_items_in_plain_python(equipment: CompiledModels, facts: list[Message]) -> None:
    actual = {
        (row["day"], row["tenant_id"], row["category"], row["warehouse_id"]): {name: row[name] for name in UTILISATION}
        for row in built(equipment, facts, "kpi.kpi_equipment_utilisation")
    }
    assert actual == utilisation_rows(facts, REGISTRY, FIRST, LAST)


@EXAMPLES
@given(facts=transport_facts())
def test_departures_equal_judging_each_plan_in_plain_python(transports: CompiledModels, facts: list[Message]) -> None:
    actual = {
        (row["day"], row["tenant_id"], row["warehouse_id"]): {name: row[name] for name in DEPARTURES}
        for row in built(transports, facts, "kpi.kpi_on_time_departures")
    }
    assert actual == {
        key: row
        for key, row in by_warehouse(departure_rows(facts, REGISTRY)).items()
        if FIRST - timedelta(days=2) <= key[0] <= LAST
    }


@EXAMPLES
@given(facts=equipment_facts(), cut=st.integers(0, LENGTH), seed=st.integers(0, 9))
def test_an_equipment_day_needs_no_later_fact_and_no_order_of_arrival(
    equipment: CompiledModels, facts: list[Message], cut: int, seed: int
) -> None:
    day = EPOCH + timedelta(days=cut)
    assert_settled(equipment, facts, "kpi.kpi_equipment_utilisation", seed, lambda row: row["day"] <= day, day)


@EXAMPLES
@given(facts=transport_facts(), cut=st.integers(0, LENGTH), seed=st.integers(0, 9))
def test_a_day_of_departures_is_settled_two_days_later(
    transports: CompiledModels, facts: list[Message], cut: int, seed: int
) -> None:
    day = EPOCH + timedelta(days=cut)
    known = day + timedelta(days=2)
    assert_settled(transports, facts, "kpi.kpi_on_time_departures", seed, lambda row: row["day"] <= day, known)


def assert_settled(
    models: CompiledModels,
    facts: list[Message],
    table: str,
    seed: int,
    is_settled: Callable[[dict[str, Any]], bool],
    known: date,
) -> None:
    """Assert that the settled rows are the same without the facts after a day, and with all facts in another order."""
    whole = [row for row in built(models, facts, table) if is_settled(row)]
    shuffled = random.Random(seed).sample(facts, len(facts))
    assert [row for row in built(models, shuffled, table) if is_settled(row)] == whole
    until = [each for each in facts if REGISTRY.on_day(each) <= known]
    assert [row for row in built(models, until, table) if is_settled(row)] == whole


def business() -> list[Message]:
    """Return a fortnight of equipment and transports."""
    draw = random.Random(11)
    facts = []
    for number in range(12):
        own = {"tenant": draw.choice(["t1", "gb"]), "equipment_id": f"e{number}"}
        facts.append(
            message(
                "equipment.registered",
                "2026-03-20T08:00:00Z",
                sku="s",
                category="light",
                status="available",
                home_warehouse_id="w1",
                acquisition_cost_minor=100,
                **own,
            )
        )
        for seq in range(10):
            at = f"2026-03-{21 + seq}T{draw.randrange(24):02d}:00:00Z"
            status = draw.choice(["available", "on_site", "in_repair", "checked_out"])
            facts.append(
                message(
                    "equipment.status_changed",
                    at,
                    from_status="available",
                    to_status=status,
                    cause="scan",
                    status_seq=seq,
                    **own,
                )
            )
            plan = f"2026-03-{21 + seq}T23:10:00Z"
            ride = {"tenant": own["tenant"], "transport_id": f"x{number}-{seq}", "warehouse_id": "w1"}
            facts.append(
                message("transport.scheduled", at, planned_departure_at=plan, vehicle_ref="v", direction="out", **ride)
            )
            left = f"2026-03-{22 + seq}T0{draw.randrange(3)}:00:00Z"
            facts.append(
                message("transport.departed", left, planned_departure_at=plan, loaded_items=1, expected_items=1, **ride)
            )
    return identified(facts)


OPERATIONS = "+kpi_equipment_utilisation +kpi_on_time_departures"
TABLES = ("marts.fct_equipment_days", "kpi.kpi_equipment_utilisation", "kpi.kpi_on_time_departures")


def test_days_built_night_by_night_and_alone_equal_days_built_at_once(tmp_path: Path) -> None:
    (tmp_path / "once").mkdir()
    (tmp_path / "nights").mkdir()
    once, nights = Dbt(tmp_path / "once"), Dbt(tmp_path / "nights")
    once.load(business())
    nights.load(reversed(business()))
    once.build("2026-03-20", "2026-04-01", OPERATIONS)
    for first, last in (("2026-03-20", "2026-03-28"), ("2026-03-29", "2026-03-29"), ("2026-03-30", "2026-04-01")):
        nights.build_again(first, last, OPERATIONS)
    assert contents(nights) == contents(once)
    once.build_again("2026-03-24", "2026-03-24", OPERATIONS)
    assert contents(nights) == contents(once)


def contents(dbt: Dbt) -> dict[str, list[str]]:
    """Return every row of the tables, in an order of its own."""
    return {table: sorted(map(str, dbt.rows(f"from {table}"))) for table in TABLES}
