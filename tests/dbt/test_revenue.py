"""Revenue models against a naive reading of their definitions, and against being built in any order."""

import random
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from fixture import TENANTS, CompiledModels, Dbt, Message, message
from fixture_revenue import EPOCH, invoice_facts, subscription_facts
from hypothesis import HealthCheck, given, settings
from reference import Registry, days
from reference_revenue import (
    MOVEMENTS,
    Subscriptions,
    collection_rows,
    collection_totals,
    in_reporting,
    invoices_of,
    monthly_rows,
    mrr_rows,
)

pytestmark = pytest.mark.integration

REGISTRY = Registry.of(TENANTS)
FIRST, LAST = EPOCH + timedelta(days=3), EPOCH + timedelta(days=50)
EXAMPLES = settings(max_examples=25, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def subscriptions(tmp_path_factory: pytest.TempPathFactory) -> CompiledModels:
    """Return the models from subscription facts to MRR."""
    return CompiledModels(
        Dbt(tmp_path_factory.mktemp("subscriptions")),
        "stg_billing__subscription_started",
        "stg_billing__subscription_changed",
        "stg_billing__subscription_cancelled",
        "dim_days",
        "fct_subscription_spans",
        "fct_customer_mrr_changes",
        "fct_customer_mrr_monthly",
        "kpi_mrr",
    )


@pytest.fixture(scope="module")
def invoices(tmp_path_factory: pytest.TempPathFactory) -> CompiledModels:
    """Return the models from invoice facts to the collection rate."""
    return CompiledModels(
        Dbt(tmp_path_factory.mktemp("invoices")),
        "stg_billing__invoice_issued",
        "stg_billing__invoice_paid",
        "stg_billing__invoice_credited",
        "stg_billing__invoice_voided",
        "stg_billing__invoice_written_off",
        "dim_tenants",
        "fct_invoice_spans",
        "kpi_invoice_collection_rate",
    )


def build_all(models: CompiledModels, messages: list[Message]) -> None:
    """Stage every fact, then build the tables for the tested days only."""
    tested = ("dim_days", "fct_customer_mrr_monthly", "kpi_mrr", "kpi_invoice_collection_rate")
    models.build(messages, EPOCH - timedelta(days=1), EPOCH + timedelta(days=120), but=tested)
    models.rebuild(FIRST, LAST, *tested)


@EXAMPLES
@given(facts=subscription_facts())
def test_mrr_equals_comparing_each_two_days_in_plain_python(
    subscriptions: CompiledModels, facts: list[Message]
) -> None:
    build_all(subscriptions, facts)
    expected = mrr_rows(Subscriptions(facts, REGISTRY), FIRST, LAST)
    actual = {
        (row["day"], row["tenant_id"], row["currency"], row["project_id"]): row
        for row in subscriptions.records("select * from kpi.kpi_mrr")
    }
    assert actual.keys() == expected.keys()
    for key, row in expected.items():
        assert {name: actual[key][name] for name in row} == row, key


@EXAMPLES
@given(facts=subscription_facts())
def test_movements_reconcile_to_the_cent_in_both_currencies(
    subscriptions: CompiledModels, facts: list[Message]
) -> None:
    build_all(subscriptions, facts)
    closing: dict[tuple[Any, ...], tuple[int, int]] = {}
    for row in subscriptions.records("select * from kpi.kpi_mrr order by day"):
        key = (row["tenant_id"], row["currency"], row["project_id"])
        opening = closing.get(key, (row["opening_mrr_minor"], row["opening_mrr_reporting_minor"]))
        assert opening == (row["opening_mrr_minor"], row["opening_mrr_reporting_minor"])
        assert opening[0] + sum(row[f"{name}_minor"] for name in MOVEMENTS) == row["mrr_minor"]
        moved = sum(row[f"{name}_reporting_minor"] for name in MOVEMENTS) + row["fx_minor"]
        assert opening[1] + moved == row["mrr_reporting_minor"]
        assert row["mrr_reporting_minor"] == in_reporting(row["mrr_minor"], row["currency"], row["day"])
        assert row["fx_minor"] == 0 or (row["day"].day == 1 and row["currency"] == "GBP")
        closing[key] = (row["mrr_minor"], row["mrr_reporting_minor"])


@EXAMPLES
@given(facts=subscription_facts())
def test_monthly_mrr_equals_comparing_month_ends_in_plain_python(
    subscriptions: CompiledModels, facts: list[Message]
) -> None:
    build_all(subscriptions, facts)
    actual = {
        (row["month"], row["tenant_id"], row["customer_ref"], row["currency"]): (
            row["mrr_minor"],
            row["mrr_change_minor"],
            row["movement"],
        )
        for row in subscriptions.records("select * from marts.fct_customer_mrr_monthly")
    }
    assert actual == monthly_rows(Subscriptions(facts, REGISTRY), LAST)


@EXAMPLES
@given(facts=invoice_facts())
def test_collection_rate_equals_recounting_each_day_in_plain_python(
    invoices: CompiledModels, facts: list[Message]
) -> None:
    known = invoices_of(facts, REGISTRY)
    invoices.build(facts, EPOCH - timedelta(days=1), EPOCH + timedelta(days=120))
    for first, last in ((FIRST, LAST), (FIRST + timedelta(days=350), FIRST + timedelta(days=420))):
        invoices.rebuild(first, last, "kpi_invoice_collection_rate")
        actual = {
            (row["day"], row["tenant_id"], row["basis"], row["currency"]): (
                row["collected_minor"],
                row["net_invoiced_minor"],
                row["invoices"],
            )
            for row in invoices.records("select * from kpi.kpi_invoice_collection_rate")
        }
        assert actual == collection_totals(collection_rows(known.values(), first, last))


def test_the_rolling_year_of_a_leap_day_is_counted_as_any_other(invoices: CompiledModels) -> None:
    facts = [
        message(
            "invoice.issued",
            f"{day}T10:00:00+00:00",
            message_id=day,
            invoice_id=day,
            booking_id="b1",
            customer_ref="c1",
            amount_minor=100,
            tax_minor=0,
            currency="EUR",
            due_at=f"{day}T10:00:00+00:00",
        )
        for day in ("2024-02-28", "2024-02-29", "2024-03-01")
    ]
    first, last = date(2025, 2, 26), date(2025, 3, 2)
    invoices.build(facts, date(2024, 2, 1), date(2024, 3, 31))
    invoices.rebuild(first, last, "kpi_invoice_collection_rate")
    counted = {
        row["day"]: row["invoices"]
        for row in invoices.records("select * from kpi.kpi_invoice_collection_rate where basis = 'due'")
    }
    assert counted == {date(2025, 2, 26): 3, date(2025, 2, 27): 3, date(2025, 2, 28): 2}
    expected = collection_totals(collection_rows(invoices_of(facts, REGISTRY).values(), first, last))
    assert expected[date(2025, 2, 28), "t1", "due", "EUR"] == (0, 200, 2)


def year_of_business() -> list[Message]:
    """Return facts of a year that reach every rule: trials, upgrades, churn, two currencies, late payments."""
    draw = random.Random(7)
    facts: list[Message] = []
    for number in range(60):
        tenant, currency = draw.choice([("t1", "EUR"), ("t2", "EUR"), ("gb", "GBP")])
        start = date(2025, 1, 1) + timedelta(days=draw.randrange(300))
        facts += _subscription(draw, number, tenant, currency, start)
        facts += _invoice(draw, number, tenant, currency, start)
    draw.shuffle(facts)
    return facts


def _subscription(draw: random.Random, number: int, tenant: str, currency: str, start: date) -> list[Message]:
    """Return a subscription's start and change, and for every third its end."""
    about = {
        "tenant": tenant,
        "project": draw.choice([None, "p1", "p2"]),
        "subscription_id": f"s{number}",
        "customer_ref": f"c{number // 2}",
        "currency": currency,
    }
    changed, ended = start + timedelta(days=draw.randrange(90)), start + timedelta(days=90 + draw.randrange(60))
    started = {"plan": "a", "interval": "monthly", "mrr_minor": draw.choice([0, 9900])}
    change = {"from_plan": "a", "to_plan": "b", "mrr_before_minor": 1, "mrr_after_minor": draw.choice([4900, 19900])}
    facts = [
        message("subscription.started", f"{start}T09:00:00Z", **about, **started),
        message("subscription.changed", f"{changed}T10:00:00Z", change_kind="other", **about, **change),
    ]
    if number % 3 == 0:
        told_at = f"{changed}T10:30:00Z"
        cancelled = {"mrr_lost_minor": 1, "voluntary": True}
        facts.append(message("subscription.cancelled", f"{ended}T11:00:00Z", event_at=told_at, **about, **cancelled))
    return facts


def _invoice(draw: random.Random, number: int, tenant: str, currency: str, start: date) -> list[Message]:
    """Return an invoice and its payment: in full, in part or too much."""
    about = {"tenant": tenant, "invoice_id": f"i{number}", "currency": currency}
    due_at = f"{start + timedelta(days=30)}T12:00:00Z"
    paid_on = start + timedelta(days=draw.randrange(80))
    issued = {"booking_id": "b1", "customer_ref": "c1", "amount_minor": 12100, "tax_minor": 2100, "due_at": due_at}
    paid = {"payment_id": f"p{number}", "amount_minor": draw.choice([12100, 6000, 13000]), "fully_paid": False}
    return [
        message("invoice.issued", f"{start}T12:00:00Z", **about, **issued),
        message("invoice.paid", f"{paid_on}T12:00:00Z", **about, **paid),
    ]


REVENUE = "+kpi_mrr +kpi_invoice_collection_rate +fct_invoices +fct_customer_mrr_monthly +dim_customers"
TABLES = ("kpi.kpi_mrr", "kpi.kpi_invoice_collection_rate", "marts.fct_invoices", "marts.fct_customer_mrr_monthly")


def contents(dbt: Dbt) -> dict[str, list[str]]:
    """Return every row of the revenue tables, in an order of its own."""
    return {table: sorted(map(str, dbt.rows(f"from {table}"))) for table in TABLES}


@pytest.fixture(scope="module")
def at_once(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dbt, dict[str, list[str]]]:
    """Return the warehouse with a year that was built at once, and what its tables held then."""
    dbt = Dbt(tmp_path_factory.mktemp("year"))
    dbt.load(year_of_business())
    dbt.build("2025-01-01", "2025-12-31", REVENUE)
    return dbt, contents(dbt)


def test_days_rebuilt_alone_in_any_order_give_the_same_rows(at_once: tuple[Dbt, dict[str, list[str]]]) -> None:
    dbt, whole = at_once
    assert len(whole["kpi.kpi_mrr"]) > 1000
    picked = random.Random(3).sample(list(days(date(2025, 1, 1), date(2025, 12, 31))), 3)
    for day in picked:
        dbt.build_again(day, day, REVENUE)
    assert contents(dbt) == whole


def test_history_built_in_two_parts_backwards_equals_history_built_at_once(
    at_once: tuple[Dbt, dict[str, list[str]]], tmp_path: Path
) -> None:
    parts = Dbt(tmp_path)
    parts.load(reversed(year_of_business()))
    parts.build_again("2025-01-01", "2025-06-30", REVENUE)
    parts.build_again("2025-07-01", "2025-12-31", REVENUE)
    parts.build_again("2025-01-01", "2025-06-30", REVENUE)
    assert contents(parts) == at_once[1]
