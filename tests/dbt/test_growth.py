"""Growth models against a naive reading of their definitions: first qualifications, cohorts, attribution."""

import random
from collections import defaultdict
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from fixture import TENANTS, CompiledModels, Dbt, Message, message
from fixture_growth import EPOCH, lead_facts
from fixture_operations import identified
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference import Registry
from reference_growth import MODELS, conversion_rows, leads_of, qualified_rows, touches_of, values_of

pytestmark = pytest.mark.integration

EXAMPLES = settings(
    max_examples=12,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
REGISTRY = Registry.of(TENANTS)
FIRST, LAST = EPOCH - timedelta(days=40), EPOCH + timedelta(days=100)
SHARE = pytest.approx


@pytest.fixture(scope="module")
def leads(tmp_path_factory: pytest.TempPathFactory) -> CompiledModels:
    """Return the models from page views and leads to qualified leads and conversion."""
    return CompiledModels(
        Dbt(tmp_path_factory.mktemp("leads")),
        "stg_marketing__page",
        "stg_marketing__identities",
        "stg_marketing__lead_created",
        "stg_crm__lead_qualified",
        "stg_crm__lead_converted",
        "stg_inventory__booking_confirmed",
        "stg_billing__subscription_started",
        "dim_tenants",
        "int_lead_identities",
        "fct_leads",
        "fct_touches",
        "kpi_qualified_leads",
        "kpi_channel_conversion",
    )


@EXAMPLES
@given(facts=lead_facts())
def test_qualified_leads_equal_counting_first_qualifications(leads: CompiledModels, facts: list[Message]) -> None:
    leads.build(facts, FIRST, LAST)
    actual = {
        (row["day"], row["tenant_id"], row["channel"], row["campaign"]): (
            row["qualified_leads"],
            row["est_value_reporting_minor"],
            row["score_sum"],
        )
        for row in leads.records("from kpi.kpi_qualified_leads")
    }
    assert actual == qualified_rows(facts, REGISTRY)


@EXAMPLES
@given(facts=lead_facts())
def test_touches_equal_following_each_lead_and_weigh_one_per_lead(leads: CompiledModels, facts: list[Message]) -> None:
    leads.build(facts, FIRST, LAST)
    actual: dict[tuple[str, str], list[str]] = defaultdict(list)
    weighed: dict[tuple[str, str], list[Fraction]] = defaultdict(lambda: [Fraction(0)] * len(MODELS))
    for row in leads.records("from marts.fct_touches order by tenant_id, lead_id, touch_no"):
        key = (row["tenant_id"], row["lead_id"])
        actual[key].append(row["channel"])
        columns = ("first_touch_weight", "last_touch_weight", "linear_weight", "position_weight")
        weighed[key] = [total + Fraction(row[name]) for total, name in zip(weighed[key], columns, strict=True)]
    assert actual == touches_of(facts, REGISTRY)
    assert all(totals == [1] * len(MODELS) for totals in weighed.values())


@EXAMPLES
@given(facts=lead_facts())
def test_conversion_equals_sharing_each_lead_among_its_touches(leads: CompiledModels, facts: list[Message]) -> None:
    leads.build(facts, FIRST, LAST)
    rows = {
        (row["day"], row["tenant_id"], row["channel"], row["model"]): row
        for row in leads.records("from kpi.kpi_channel_conversion")
    }
    expected = conversion_rows(facts, REGISTRY)
    assert rows.keys() == expected.keys()
    for key, row in expected.items():
        assert rows[key]["created"] == SHARE(float(row.created), abs=1e-6)
        assert rows[key]["converted"] == SHARE(float(row.converted), abs=1e-6)
        assert rows[key]["converted_value_reporting_minor"] == SHARE(float(row.value), abs=len(facts))


@EXAMPLES
@given(facts=lead_facts())
def test_channels_sum_to_the_total_under_every_model(leads: CompiledModels, facts: list[Message]) -> None:
    leads.build(facts, FIRST, LAST)
    known = leads_of(facts, REGISTRY)
    worth = values_of([lead for lead in known if lead.cohort is not None], facts)
    total = (
        sum(lead.created is not None for lead in known),
        sum(lead.is_converted for lead in known if lead.cohort is not None),
        sum(worth[lead.tenant, lead.lead_id] for lead in known if lead.cohort is not None and lead.is_converted),
    )
    for model in MODELS:
        (row,) = leads.records(
            "select coalesce(sum(created), 0) as created, coalesce(sum(converted), 0) as converted,"
            " coalesce(sum(converted_value_reporting_minor), 0) as value"
            f" from kpi.kpi_channel_conversion where model = '{model}'"
        )
        assert (row["created"], row["converted"], row["value"]) == (SHARE(total[0]), SHARE(total[1]), total[2])


@EXAMPLES
@given(facts=lead_facts(), cut=st.integers(0, 12), seed=st.integers(0, 9))
def test_a_cohort_is_settled_90_days_later_in_any_order(
    leads: CompiledModels, facts: list[Message], cut: int, seed: int
) -> None:
    day = EPOCH + timedelta(days=cut)
    until = [each for each in facts if REGISTRY.on_day(each) <= day + timedelta(days=90)]
    whole = cohorts(leads, facts, day)
    assert cohorts(leads, random.Random(seed).sample(facts, len(facts)), day) == whole
    assert cohorts(leads, until, day) == whole


@EXAMPLES
@given(facts=lead_facts(), cut=st.integers(0, 6))
def test_qualified_leads_of_a_day_need_no_later_fact(leads: CompiledModels, facts: list[Message], cut: int) -> None:
    day = EPOCH + timedelta(days=cut)
    until = [each for each in facts if REGISTRY.on_day(each) <= day]
    query = f"from kpi.kpi_qualified_leads where day <= date '{day}' order by all"
    leads.build(facts, FIRST, LAST)
    whole = leads.records(query)
    leads.build(until, FIRST, LAST)
    assert leads.records(query) == whole


def cohorts(models: CompiledModels, facts: list[Message], until: date) -> list[dict[str, Any]]:
    """Return the conversion rows of the cohorts up to a day."""
    models.build(facts, FIRST, LAST)
    return models.records(f"from kpi.kpi_channel_conversion where day <= date '{until}' order by all")


def test_a_conversion_is_worth_what_it_says_else_its_booking_else_the_first_month(leads: CompiledModels) -> None:
    def lead(name: str, **ends: Any) -> list[Message]:
        return [
            message("lead.created", "2026-03-27T10:00:00Z", lead_id=name, channel="email"),
            message("lead.converted", "2026-03-28T10:00:00Z", lead_id=name, channel="email", converted_to="x", **ends),
        ]

    booking = message(
        "booking.confirmed", "2026-03-28T10:00:00Z", booking_id="b", customer_ref="c", rental_start="2026-04-01",
        rental_end="2026-04-02", line_count=1, booking_value_minor=500, booking_currency="GBP",
    )  # fmt: skip
    subscription = message(
        "subscription.started", "2026-03-28T10:00:00Z", subscription_id="s", customer_ref="c", plan="p", mrr_minor=70,
        currency="EUR", interval="monthly",
    )  # fmt: skip
    told = lead("told", booking_id="b", booking_value_minor=9, booking_currency="EUR")
    facts = [*told, *lead("booked", booking_id="b"), *lead("subscribed", subscription_id="s"), booking, subscription]
    leads.build(facts, FIRST, LAST)
    values = {row["lead_id"]: row["converted_value_reporting_minor"] for row in leads.records("from marts.fct_leads")}
    assert values == {"told": 9, "booked": 577, "subscribed": 70}  # 500 pence at 1.153


GROWTH = "+kpi_qualified_leads +kpi_channel_conversion +path:models/marts/product"
TABLES = (
    "kpi.kpi_qualified_leads",
    "kpi.kpi_channel_conversion",
    "marts.fct_flow_steps",
    "marts.fct_http_requests_daily",
)


def test_cohorts_built_night_by_night_and_alone_equal_cohorts_built_at_once(tmp_path: Path) -> None:
    (tmp_path / "once").mkdir()
    (tmp_path / "nights").mkdir()
    once, nights = Dbt(tmp_path / "once"), Dbt(tmp_path / "nights")
    once.load(business())
    nights.load(reversed(business()))
    once.build("2026-01-01", "2026-04-20", GROWTH)
    for first, last in (("2026-01-01", "2026-03-01"), ("2026-03-02", "2026-03-02"), ("2026-03-03", "2026-04-20")):
        nights.build_again(first, last, GROWTH)
    assert contents(nights) == contents(once)
    once.build_again("2026-02-03", "2026-02-03", GROWTH)
    assert contents(nights) == contents(once)


def business() -> list[Message]:
    """Return leads of two months that convert up to three months later, and traffic of the product."""
    draw = random.Random(7)
    facts = []
    for number in range(60):
        own = {"tenant": draw.choice(["t1", "gb"]), "lead_id": f"l{number}", "channel": "email"}
        created = date(2026, 1, 3) + timedelta(days=draw.randrange(50))
        facts.append(message("lead.created", f"{created}T10:00:00Z", anonymous_id=f"a{number}", **own))
        facts.append(
            Message(
                None,
                f"{created - timedelta(days=1)}T10:00:00Z",
                tenant=own["tenant"],
                type="page",
                anonymous_id=f"a{number}",
                context={"campaign": {"medium": "cpc"}},
            )
        )
        if number % 2:
            end = created + timedelta(days=draw.randrange(95))
            facts.append(message("lead.converted", f"{end}T10:00:00Z", converted_to="booking", **own))
            facts.append(message("lead.qualified", f"{end}T09:00:00Z", score=3, qualified_by="rule", **own))
        request = {
            "request_id": "r",
            "method": "GET",
            "route": "/b/{id}",
            "status": 200 + number,
            "duration_ms": number,
        }
        facts.append(message("http.request", f"{created}T23:30:00Z", tenant=own["tenant"], **request))
        step = {"flow": "checkout", "step": "pay", "outcome": "completed", "flow_run_id": f"f{number}"}
        facts.append(message("ui.flow_step", f"{created}T23:30:00Z", tenant=own["tenant"], **step))
    return identified(facts)


def contents(dbt: Dbt) -> dict[str, list[str]]:
    """Return every row of the tables, in an order of its own."""
    return {table: sorted(map(str, dbt.rows(f"from {table}"))) for table in TABLES}
