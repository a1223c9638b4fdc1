"""Random billing of many tenants, imported through the gate and built: every cell equals a reading in plain Python.

The same facts in two files, the later one first, and each in another order, must give the same tables.
"""

import random
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlglot
from fixture import Dbt, Message
from imported import ImportingDbt
from reference import Registry, rates
from reference_revenue import (
    MOVEMENTS,
    Invoice,
    Subscriptions,
    cohort_rows,
    collection_rows,
    collection_totals,
    first_of,
    invoices_of,
    monthly_rows,
    mrr_rows,
    receivable_rows,
)
from scenario import tenants
from scenario_revenue import billing
from sqlglot import exp

pytestmark = pytest.mark.integration

SEED = 20261125
FIRST, LAST = date(2024, 1, 15), date(2025, 4, 5)
TENANTS = tenants(SEED, 40)
REGISTRY = Registry.of(TENANTS)
MODELS = "+path:models/kpi/revenue +path:models/marts/revenue +dim_customers"
TABLES = (
    "kpi.kpi_mrr",
    "kpi.kpi_invoice_collection_rate",
    "kpi.kpi_invoice_collection_by_project",
    "kpi.kpi_receivables",
    "kpi.kpi_customer_cohorts",
    "marts.fct_customer_mrr_monthly",
    "marts.fct_customer_mrr_changes",
    "marts.fct_subscription_spans",
    "marts.fct_invoices",
    "marts.fct_invoice_spans",
    "marts.dim_customers",
)

Rows = dict[tuple[Any, ...], Any]


@pytest.fixture(scope="module")
def facts() -> list[Message]:
    return billing(SEED, TENANTS, FIRST, LAST)


@pytest.fixture(scope="module")
def subscriptions(facts: list[Message]) -> Subscriptions:
    return Subscriptions(facts, REGISTRY)


@pytest.fixture(scope="module")
def invoices(facts: list[Message]) -> dict[tuple[str, str], Invoice]:
    return invoices_of(facts, REGISTRY)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, facts: list[Message]) -> Dbt:
    dbt = ImportingDbt(tmp_path_factory.mktemp("billing"), TENANTS, FIRST, LAST)
    report = dbt.take("everything", facts)
    assert (report.accepted, report.reasons) == (len(facts), {})
    dbt.build(FIRST, LAST, MODELS)
    return dbt


def rows(dbt: Dbt, table: str, keys: str, values: str) -> Rows:
    """Return a table's values by key; a single value is not wrapped."""
    count = keys.count(",") + 1
    found: Rows = {}
    for row in dbt.rows(f"select {keys}, {values} from {table}"):
        assert row[:count] not in found
        found[row[:count]] = row[count:]
    return found


def same(actual: Rows, expected: Rows) -> None:
    """Assert equal cells, and name the first that differ: whole tables are too long to read."""
    differing = [key for key in actual.keys() | expected.keys() if actual.get(key) != expected.get(key)]
    shown = {key: (actual.get(key), expected.get(key)) for key in sorted(differing, key=str)[:5]}
    assert not differing, f"{len(differing)} of {len(expected)} rows differ; actual and expected: {shown}"
    assert expected


def test_recurring_revenue_and_its_movements(built: Dbt, subscriptions: Subscriptions) -> None:
    expected = mrr_rows(subscriptions, FIRST, LAST)
    names = list(next(iter(expected.values())))
    actual = rows(built, "kpi.kpi_mrr", "day, tenant_id, currency, project_id", ", ".join(names))
    same(actual, {key: tuple(row[name] for name in names) for key, row in expected.items()})
    for name in (*MOVEMENTS, "fx"):
        assert any(row[f"{name}_minor"] for row in expected.values()), f"the scenario has no {name}"
    assert any(row["mrr_reporting_minor"] is None for row in expected.values())


def test_reporting_movements_are_the_movements_at_the_days_rate_to_the_cent(built: Dbt) -> None:
    names = [*MOVEMENTS, "gross_churn", "net_churn"]
    columns = ", ".join(f"{name}_minor, {name}_reporting_minor" for name in names)
    for key, row in rows(built, "kpi.kpi_mrr", "day, tenant_id, currency, project_id", columns).items():
        rate = rates().get((key[2], first_of(key[0])))
        for amount, reporting in zip(row[::2], row[1::2], strict=True):
            assert (reporting is None) == (rate is None), key
            # Each is the difference of two rounded totals; churn figures add up several.
            assert rate is None or abs(amount * rate - reporting) <= Decimal(4), key


def test_monthly_revenue_of_customers(built: Dbt, subscriptions: Subscriptions) -> None:
    actual = rows(
        built,
        "marts.fct_customer_mrr_monthly",
        "month, tenant_id, customer_ref, currency",
        "mrr_minor, mrr_change_minor, movement",
    )
    same(actual, monthly_rows(subscriptions, LAST))
    assert {row[2] for row in actual.values()} == {*MOVEMENTS, "none"}


def test_the_running_month_agrees_with_the_last_day(built: Dbt) -> None:
    of_month = f"select currency, sum(mrr_minor) from marts.fct_customer_mrr_monthly where month = '{first_of(LAST)}'"
    of_day = f"select currency, sum(mrr_minor) from kpi.kpi_mrr where day = '{LAST}'"
    assert built.rows(f"{of_month} group by all order by all") == built.rows(f"{of_day} group by all order by all")


def test_customer_cohorts(built: Dbt, subscriptions: Subscriptions) -> None:
    actual = rows(
        built,
        "kpi.kpi_customer_cohorts",
        "cohort_month, tenant_id, month_number",
        "customers, retained_customers, opening_mrr_minor, retained_mrr_minor, net_mrr_minor",
    )
    same(actual, cohort_rows(subscriptions, REGISTRY, FIRST, LAST))
    assert any(row[1] is None for row in actual.values()), "April has not ended"


def test_collection_by_project_and_its_totals(built: Dbt, invoices: dict[tuple[str, str], Invoice]) -> None:
    values = "collected_minor, net_invoiced_minor, invoices"
    expected = collection_rows(invoices.values(), FIRST, LAST)
    drill_downs = "day, tenant_id, basis, currency, project_id, booking_value_band"
    same(rows(built, "kpi.kpi_invoice_collection_by_project", drill_downs, values), expected)
    same(
        rows(built, "kpi.kpi_invoice_collection_rate", "day, tenant_id, basis, currency", values),
        collection_totals(expected),
    )


def test_receivables_with_their_age(built: Dbt, invoices: dict[tuple[str, str], Invoice]) -> None:
    expected = receivable_rows(invoices.values(), FIRST, LAST)
    names = sorted({name for row in expected.values() for name in row})
    actual = rows(
        built, "kpi.kpi_receivables", "day, tenant_id, currency, project_id, booking_value_band", ", ".join(names)
    )
    same(actual, {key: tuple(row.get(name, 0) for name in names) for key, row in expected.items()})
    assert len(names) == 16


def test_receivables_of_a_day_are_those_of_the_day_before_with_sales_and_without_payments(built: Dbt) -> None:
    key = "tenant_id, currency, project_id, booking_value_band"
    moved = built.rows(
        "select * from (select receivables_minor - day_sales_minor + day_collected_minor as opening,"
        f" lag(receivables_minor) over (partition by {key} order by day) as closed,"
        f" day - lag(day) over (partition by {key} order by day) as days from kpi.kpi_receivables)"
        " where days = 1 and opening <> closed"
    )
    assert moved == []


def test_invoices(built: Dbt, invoices: dict[tuple[str, str], Invoice]) -> None:
    actual = rows(
        built,
        "marts.fct_invoices",
        "tenant_id, invoice_id",
        "issued_at, due_at, total_minor, credited_minor, paid_minor, collected_minor, status = 'voided', currency",
    )
    expected: Rows = {}
    for key, invoice in invoices.items():
        standing = invoice.standing(LAST + timedelta(days=400))
        assert standing is not None
        times = (invoice.issued_at.replace(tzinfo=None), invoice.due_at.replace(tzinfo=None))
        amounts = (invoice.total, standing.credited, standing.paid, standing.collected)
        expected[key] = (*times, *amounts, standing.is_void, invoice.currency)
    same(actual, expected)


def test_two_imports_in_any_order_give_the_tables_of_one(built: Dbt, tmp_path: Path, facts: list[Message]) -> None:
    mixed = random.Random(SEED + 1).sample(facts, len(facts))
    half = len(mixed) // 2
    dbt = ImportingDbt(tmp_path, TENANTS, FIRST, LAST)
    for name, part in (("second", mixed[half:]), ("first", [*mixed[:half], *mixed[half : half + 50]])):
        dbt.take(name, part)
        dbt.build_again(FIRST, LAST, MODELS)
    for table in TABLES:
        assert contents(dbt, table) == contents(built, table), table


def test_days_rebuilt_alone_change_nothing(built: Dbt) -> None:
    before = {table: contents(built, table) for table in TABLES}
    for day in (date(2024, 2, 29), LAST - timedelta(days=30)):
        built.build_again(day, day, MODELS)
    assert {table: contents(built, table) for table in TABLES} == before


def test_money_is_never_a_float(built: Dbt) -> None:
    columns = built.rows(
        "select table_schema || '.' || table_name, column_name, data_type from information_schema.columns"
    )
    types = {(table, column): kind for table, column, kind in columns if table in TABLES}
    assert {table for table, _ in types} == set(TABLES)
    assert {kind for (_, column), kind in types.items() if column.endswith("_minor")} == {"BIGINT"}
    assert [place for place, kind in types.items() if kind in {"DOUBLE", "FLOAT"}] == []


def test_nothing_in_the_revenue_models_makes_a_float(built: Dbt) -> None:
    compiled = built.run("compile", FIRST, LAST, "path:models/kpi/revenue path:models/marts/revenue")
    models = {each.node.name: each.node.compiled_code for each in compiled.result if each.node.resource_type == "model"}
    assert len(models) >= 10
    for name, sql in models.items():
        tree = sqlglot.parse_one(sql, dialect="duckdb")
        assert list(tree.find_all(exp.Div, exp.Avg)) == [], name
        types = {kind.this for kind in tree.find_all(exp.DataType)}
        assert types & exp.DataType.FLOAT_TYPES == set(), name
        assert [each.this for each in tree.find_all(exp.Literal) if each.is_number and not each.is_int] == [], name


def contents(dbt: Dbt, table: str) -> list[str]:
    """Return every row of a table, in an order of its own."""
    return sorted(map(str, dbt.rows(f"from {table}")))
