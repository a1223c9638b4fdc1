"""A random business of many tenants, built once: every cell of the tables equals a reading in plain Python."""

from collections.abc import Mapping
from datetime import date, timedelta
from math import isclose
from pathlib import Path
from typing import Any

import pytest
from fixture import Dbt, Message
from reference import Registry
from reference_customer_success import known_tickets, nps_rows, resolution_rows, score_interval
from reference_growth import cohort_rows, conversion_rows, qualified_rows, touches_of
from reference_operations import arrival_rows, by_warehouse, departure_rows, item_days, utilisation_rows
from reference_product import activity_rows, flow_rows
from scenario import business, tenants

pytestmark = pytest.mark.integration

SEED = 20260401
FIRST, LAST = date(2026, 2, 1), date(2026, 6, 25)
TENANTS = tenants(SEED, 40)
REGISTRY = Registry.of(TENANTS)
DOMAINS = ("operations", "customer_success", "growth", "product")
MODELS = " ".join(f"+path:models/kpi/{domain}" for domain in DOMAINS) + " +fct_tickets"

Rows = dict[tuple[Any, ...], Any]


@pytest.fixture(scope="module")
def facts() -> list[Message]:
    """Return the business's facts."""
    return business(SEED, TENANTS, FIRST, LAST)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, facts: list[Message]) -> Dbt:
    """Return the warehouse with all tables of the business."""
    dbt = Dbt(tmp_path_factory.mktemp("scenario"), TENANTS)
    dbt.load(facts)
    dbt.build(FIRST, LAST, MODELS)
    return dbt


def rows(dbt: Dbt, table: str, keys: int, columns: str) -> Rows:
    """Return a table's rows of the built days: the first columns are the key."""
    found: Rows = {}
    for row in dbt.rows(f"select {columns} from {table}"):
        assert row[:keys] not in found
        found[row[:keys]] = row[keys:]
    return found


def in_period(expected: Mapping[Any, Any]) -> Rows:
    """Return the expected rows of the built days."""
    return {key: value for key, value in expected.items() if FIRST <= key[0] <= LAST}


def same(actual: Rows, expected: Rows) -> None:
    """Assert equal cells, and name the first that differ: whole tables are too long to read."""
    differing = [key for key in actual.keys() | expected.keys() if not alike(actual.get(key), expected.get(key))]
    shown = {key: (actual.get(key), expected.get(key)) for key in sorted(differing, key=str)[:5]}
    assert not differing, f"{len(differing)} of {len(expected)} rows differ; actual and expected: {shown}"
    assert expected


def alike(actual: Any, expected: Any) -> bool:
    """Return whether two rows have the same cells; statistics may differ where floats are added in another order."""
    if not isinstance(actual, tuple) or not isinstance(expected, tuple):
        return bool(actual == expected)
    return len(actual) == len(expected) and all(
        isclose(one, other, abs_tol=1e-9) if isinstance(one, float) and isinstance(other, float) else one == other
        for one, other in zip(actual, expected, strict=True)
    )


def test_equipment_days(built: Dbt, facts: list[Message]) -> None:
    actual = rows(
        built,
        "marts.fct_equipment_days",
        3,
        "day, tenant_id, equipment_id, status_at_close, has_conflict, category, warehouse_id, cost_minor, is_in_fleet",
    )
    expected = {
        key: (item.status, item.has_conflict, item.category, item.warehouse, item.cost, item.is_in_fleet)
        for key, item in item_days(facts, REGISTRY, FIRST, LAST).items()
    }
    same(actual, expected)


def test_utilisation(built: Dbt, facts: list[Message]) -> None:
    names = "fleet_items, on_rent_items, maintenance_items, conflicting_items, fleet_cost_minor, on_rent_cost_minor"
    actual = rows(built, "kpi.kpi_equipment_utilisation", 4, f"day, tenant_id, category, warehouse_id, {names}")
    expected = utilisation_rows(facts, REGISTRY, FIRST, LAST)
    same(actual, {key: tuple(row[name] for name in names.split(", ")) for key, row in expected.items()})


def test_departures_by_warehouse_vehicle_and_reason(built: Dbt, facts: list[Message]) -> None:
    names = "planned, departed, on_time, cancelled, never_departed"
    expected = departure_rows(facts, REGISTRY)
    for table, keys, wanted in (
        ("kpi_departures_by_vehicle", "day, tenant_id, warehouse_id, vehicle_ref, delay_reason", expected),
        ("kpi_on_time_departures", "day, tenant_id, warehouse_id", by_warehouse(expected)),
    ):
        actual = rows(built, f"kpi.{table}", keys.count(",") + 1, f"{keys}, {names}")
        same(
            in_period(actual), in_period({key: tuple(row[n] for n in names.split(", ")) for key, row in wanted.items()})
        )


def test_arrivals(built: Dbt, facts: list[Message]) -> None:
    actual = rows(built, "kpi.kpi_on_time_arrivals", 4, "day, tenant_id, warehouse_id, vehicle_ref, arrived, on_time")
    same(actual, in_period(arrival_rows(facts, REGISTRY)))


def test_net_promoter_score_with_its_interval(built: Dbt, facts: list[Message]) -> None:
    names = "promoters, passives, detractors, answers, score_low, score_high"
    actual = rows(built, "kpi.kpi_nps", 3, f"day, tenant_id, touchpoint, {names}")
    expected = nps_rows(facts, REGISTRY, FIRST, LAST)
    same(
        actual,
        {key: (*row, sum(row), *score_interval(*row)) for key, row in expected.items()},
    )


def test_ticket_resolution(built: Dbt, facts: list[Message]) -> None:
    expected = resolution_rows(facts, REGISTRY, FIRST, LAST)
    names = list(next(iter(expected.values())))
    actual = rows(built, "kpi.kpi_ticket_resolution", 4, f"day, tenant_id, priority, category, {', '.join(names)}")
    same(actual, {key: tuple(row[name] for name in names) for key, row in expected.items()})


def test_tickets(built: Dbt, facts: list[Message]) -> None:
    names = (
        "opened_at, first_resolved_at, final_resolved_at, reopen_count, first_resolution_minutes, "
        "final_resolution_minutes, first_resolution_business_minutes, "
        "final_resolution_business_minutes, on_hold_minutes"
    )
    actual = rows(built, "marts.fct_tickets", 2, f"tenant_id, ticket_id, {names}")
    expected = {
        key: (
            ticket.opened,
            ticket.first_resolved,
            ticket.final_resolved,
            ticket.reopenings,
            ticket.minutes(ticket.first_resolved),
            ticket.minutes(ticket.final_resolved),
            ticket.working(ticket.first_resolved, REGISTRY),
            ticket.working(ticket.final_resolved, REGISTRY),
            ticket.on_hold_minutes,
        )
        for key, ticket in known_tickets(facts).items()
    }
    same({key: _plain(row) for key, row in actual.items()}, {key: _plain(row) for key, row in expected.items()})


def _plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return a row with its moments without their zone (UTC)."""
    return (*(None if at is None else at.replace(tzinfo=None) for at in row[:3]), *row[3:])


def test_qualified_leads(built: Dbt, facts: list[Message]) -> None:
    names = "qualified_leads, est_value_reporting_minor, score_sum"
    actual = rows(built, "kpi.kpi_qualified_leads", 4, f"day, tenant_id, channel, campaign, {names}")
    same(actual, in_period(qualified_rows(facts, REGISTRY)))


def test_touches(built: Dbt, facts: list[Message]) -> None:
    actual: dict[tuple[str, str], list[str]] = {}
    for tenant, lead, channel in built.rows(
        "select tenant_id, lead_id, channel from marts.fct_touches order by tenant_id, lead_id, touch_no"
    ):
        actual.setdefault((tenant, lead), []).append(channel)
    same(actual, touches_of(facts, REGISTRY))


def test_conversion_by_channel_and_model(built: Dbt, facts: list[Message]) -> None:
    expected = in_period(conversion_rows(facts, REGISTRY))
    names = (
        "created, converted, converted_value_reporting_minor, created_est_value_reporting_minor, "
        "converted_est_value_reporting_minor"
    )
    actual = rows(built, "kpi.kpi_channel_conversion", 4, f"day, tenant_id, channel, model, {names}")
    assert actual.keys() == expected.keys()
    for key, row in expected.items():
        counts, cents = (row.created, row.converted), (row.value, row.estimated, row.converted_estimated)
        assert actual[key][:2] == pytest.approx([float(each) for each in counts], abs=1e-6)
        # Cents are whole: each lead's share may be a cent off the exact fraction.
        assert actual[key][2:] == pytest.approx([float(each) for each in cents], abs=4)


def test_lead_cohorts(built: Dbt, facts: list[Message]) -> None:
    names = "leads, qualified_leads, converted_leads, converted_value_reporting_minor"
    actual = rows(built, "kpi.kpi_lead_cohorts", 4, f"cohort_month, tenant_id, channel, month_number, {names}")
    same(actual, dict(cohort_rows(facts, REGISTRY, LAST)))
    assert {key[3] for key, row in actual.items() if row[1] is None} >= {0, 4}, "June had not ended"


def test_flow_conversion(built: Dbt, facts: list[Message]) -> None:
    names = "flow_runs, reached_runs, completed_runs, failed_runs, abandoned_runs"
    actual = rows(built, "kpi.kpi_flow_conversion", 5, f"day, tenant_id, project_id, flow, step, {names}")
    expected = flow_rows(facts, REGISTRY)
    same(actual, in_period({key: tuple(row[n] for n in names.split(", ")) for key, row in expected.items()}))


def test_tenant_activity_cohorts(built: Dbt, facts: list[Message]) -> None:
    names = "active_tenants, active_days, steps"
    actual = rows(built, "kpi.kpi_tenant_activity_cohorts", 3, f"cohort_month, tenant_id, month_number, {names}")
    same(actual, dict(activity_rows(facts, REGISTRY, LAST)))


def test_totals_are_the_same_under_every_attribution_model(built: Dbt) -> None:
    totals = built.rows(
        "select model, round(sum(created), 4), round(sum(converted), 4), sum(converted_value_reporting_minor),"
        " sum(created_est_value_reporting_minor), sum(converted_est_value_reporting_minor)"
        " from kpi.kpi_channel_conversion group by model"
    )
    assert len(totals) == 4
    assert len({row[1:] for row in totals}) == 1


def test_a_day_rebuilt_alone_changes_nothing(built: Dbt) -> None:
    before = contents(built)
    day = FIRST + timedelta(days=70)
    built.build_again(day, day, MODELS)
    assert contents(built) == before


def contents(dbt: Dbt) -> dict[str, list[str]]:
    """Return every row of the KPI tables, in an order of its own."""
    tables = [
        name for (name,) in dbt.rows("select table_name from information_schema.tables where table_schema = 'kpi'")
    ]
    return {table: sorted(map(str, dbt.rows(f"from kpi.{table}"))) for table in tables}


def test_facts_that_come_in_two_loads_with_a_build_between_give_the_same_rows(
    tmp_path: Path, built: Dbt, facts: list[Message]
) -> None:
    late = Dbt(tmp_path, TENANTS)
    late.load(facts[: len(facts) // 2])
    late.build_again(FIRST, LAST, MODELS)
    late.load(reversed(facts))
    late.build_again(FIRST, LAST, MODELS)
    assert contents(late) == contents(built)


SETTLING = {
    "kpi_on_time_departures": 2,
    "kpi_departures_by_vehicle": 2,
    "kpi_departure_delays": 2,
    "kpi_channel_conversion": 90,
}


def test_no_day_depends_on_a_fact_after_it_or_after_its_settling(
    tmp_path: Path, built: Dbt, facts: list[Message]
) -> None:
    cut = FIRST + timedelta(days=115)
    known = Dbt(tmp_path, TENANTS)
    known.load([each for each in facts if REGISTRY.on_day(each) <= cut])
    known.build_again(FIRST, LAST, MODELS)
    by_day = "select table_name from information_schema.columns where table_schema = 'kpi' and column_name = 'day'"
    tables = [table for (table,) in built.rows(by_day)]
    assert len(tables) == 10
    for table in tables:
        settled = f"from kpi.{table} where day <= date '{cut - timedelta(days=SETTLING.get(table, 0))}' order by all"
        assert known.rows(settled) == built.rows(settled), table
        assert built.rows(settled), table
