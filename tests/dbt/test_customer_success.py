"""Customer success models against a naive reading of their definitions, also where the clocks change."""

import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fixture import CompiledModels, Dbt, Message, message, write_raw
from fixture_customer_success import CLOCK_CHANGES, TENANTS, answers, tickets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference import Registry
from reference_customer_success import known_tickets, nps_rows, resolution_rows

pytestmark = pytest.mark.integration

EXAMPLES = settings(
    max_examples=12,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
REGISTRY = Registry.of(TENANTS)
NPS_DAYS = date(2026, 3, 20), date(2026, 7, 10)


@pytest.fixture(scope="module")
def surveys(tmp_path_factory: pytest.TempPathFactory) -> CompiledModels:
    """Return the models from answers to the net promoter score."""
    return CompiledModels(
        Dbt(tmp_path_factory.mktemp("surveys")),
        "stg_crm__nps_submitted",
        "int_survey_answer_versions",
        "fct_survey_answers",
        "kpi_nps",
    )


@pytest.fixture(scope="module")
def support(tmp_path_factory: pytest.TempPathFactory) -> CompiledModels:
    """Return the models from ticket facts to resolution times."""
    return CompiledModels(
        Dbt(tmp_path_factory.mktemp("support")),
        "stg_support__ticket_opened",
        "stg_support__ticket_resolved",
        "stg_support__ticket_reopened",
        "dim_tenants",
        "int_business_days",
        "fct_ticket_resolutions",
        "fct_tickets",
        "kpi_ticket_resolution",
    )


def build(models: CompiledModels, messages: list[Message]) -> None:
    """Stage every message of 2026 with the tenants of these tests, and build all models."""
    write_raw(models.connection, messages, TENANTS)
    models.rebuild(date(2026, 1, 1), date(2026, 12, 31))


def rows_of(models: CompiledModels, messages: list[Message], table: str, until: date) -> list[dict[str, Any]]:
    """Return the rows of a KPI table up to a day, in an order of their own."""
    build(models, messages)
    return sorted(models.records(f"from {table} where day <= date '{until}'"), key=str)


@EXAMPLES
@given(facts=answers())
def test_nps_equals_recounting_the_last_answers_of_90_days(surveys: CompiledModels, facts: list[Message]) -> None:
    first, last = NPS_DAYS
    build(surveys, facts)
    surveys.rebuild(first, last, "kpi_nps")
    actual = {
        (row["day"], row["tenant_id"], row["touchpoint"]): (row["promoters"], row["passives"], row["detractors"])
        for row in surveys.records("from kpi.kpi_nps")
    }
    assert actual == nps_rows(facts, REGISTRY, first, last)


@EXAMPLES
@given(facts=answers(), seed=st.integers(0, 9))
def test_nps_of_a_day_needs_no_later_answer_and_no_order_of_arrival(
    surveys: CompiledModels, facts: list[Message], seed: int
) -> None:
    day = REGISTRY.on_day(facts[0])
    whole = rows_of(surveys, facts, "kpi.kpi_nps", day)
    assert rows_of(surveys, random.Random(seed).sample(facts, len(facts)), "kpi.kpi_nps", day) == whole
    assert rows_of(surveys, [each for each in facts if REGISTRY.on_day(each) <= day], "kpi.kpi_nps", day) == whole


def test_an_answer_counts_on_its_day_and_the_89_days_after_it(surveys: CompiledModels) -> None:
    build(
        surveys,
        [
            message(
                "nps.submitted",
                "2026-01-31T23:30:00Z",
                tenant="office",
                survey_id="s",
                response_id="r",
                respondent_ref="p",
                score=9,
                touchpoint="t",
            )
        ],
    )
    days = [row["day"] for row in surveys.records("from kpi.kpi_nps order by day")]
    assert (days[0], days[-1], len(days)) == (date(2026, 2, 1), date(2026, 5, 1), 90)


@EXAMPLES
@given(facts=tickets())
def test_tickets_equal_adding_up_their_times_in_plain_python(support: CompiledModels, facts: list[Message]) -> None:
    build(support, facts)
    actual = {(row["tenant_id"], row["ticket_id"]): row for row in support.records("from marts.fct_tickets")}
    expected = known_tickets(facts)
    assert actual.keys() == expected.keys()
    for key, ticket in expected.items():
        row = actual[key]
        assert row["opened_at"] == ticket.opened.replace(tzinfo=None)
        assert row["first_resolution_minutes"] == ticket.minutes(ticket.first_resolved)
        assert row["final_resolution_minutes"] == ticket.minutes(ticket.final_resolved)
        assert row["first_resolution_business_minutes"] == ticket.working(ticket.first_resolved, REGISTRY)
        assert row["final_resolution_business_minutes"] == ticket.working(ticket.final_resolved, REGISTRY)


@EXAMPLES
@given(facts=tickets())
def test_resolution_times_equal_the_tickets_as_known_on_each_day(support: CompiledModels, facts: list[Message]) -> None:
    build(support, facts)
    actual = {
        (row["day"], row["tenant_id"], row["priority"], row["category"]): {
            name: value for name, value in row.items() if name.startswith(("resolved", "median", "p90", "mean"))
        }
        for row in support.records("from kpi.kpi_ticket_resolution")
    }
    first = min(CLOCK_CHANGES) - timedelta(days=1)
    expected = resolution_rows(facts, REGISTRY, first, max(CLOCK_CHANGES) + timedelta(days=20))
    assert actual.keys() == expected.keys()
    for key, figures in expected.items():
        assert actual[key] == pytest.approx(figures)


@EXAMPLES
@given(facts=tickets(), seed=st.integers(0, 9))
def test_resolution_times_of_a_day_need_no_later_fact(support: CompiledModels, facts: list[Message], seed: int) -> None:
    if not facts:
        return
    day = sorted(map(REGISTRY.on_day, facts))[len(facts) // 2]
    whole = rows_of(support, facts, "kpi.kpi_ticket_resolution", day)
    shuffled = random.Random(seed).sample(facts, len(facts))
    assert rows_of(support, shuffled, "kpi.kpi_ticket_resolution", day) == whole
    until = [each for each in facts if REGISTRY.on_day(each) <= day]
    assert rows_of(support, until, "kpi.kpi_ticket_resolution", day) == whole


@pytest.mark.parametrize(("sunday", "minutes"), [("2026-03-29", 120.0), ("2026-10-25", 240.0)])
def test_hours_that_hold_the_clock_change_are_an_hour_shorter_or_longer(
    support: CompiledModels, sunday: str, minutes: float
) -> None:
    opened, resolved = f"{sunday}T00:00:00+01:00", f"{sunday}T12:00:00Z"
    build(
        support,
        [
            message(
                "ticket.resolved",
                resolved,
                tenant="weekend",
                ticket_id="k",
                opened_at=opened,
                reopen_count=0,
                resolution="solved",
            )
        ],
    )
    (row,) = support.records("from marts.fct_tickets")
    assert row["final_resolution_business_minutes"] == minutes
    assert (
        open_minutes("weekend", *(datetime.fromisoformat(text).astimezone(UTC) for text in (opened, resolved)))
        == minutes
    )


def open_minutes(tenant: str, first: datetime, last: datetime) -> int:
    """Return the minutes between two whole minutes whose local clock lies in the tenant's hours, counted one by one."""
    hours = {weekday: (opens, closes) for weekday, opens, closes in REGISTRY.tenants[tenant].hours}
    count = 0
    while first < last:
        local = first.astimezone(REGISTRY.zone(tenant))
        opens, closes = hours.get(local.isoweekday(), ("24:00", "24:00"))
        count += opens <= f"{local:%H:%M}" < closes
        first += timedelta(minutes=1)
    return count


CUSTOMER_SUCCESS = "+kpi_nps +kpi_ticket_resolution +fct_tickets +fct_survey_answers"
TABLES = ("kpi.kpi_nps", "kpi.kpi_ticket_resolution", "marts.fct_tickets", "marts.fct_survey_answers")


def test_a_day_rebuilt_alone_gives_the_same_rows(tmp_path: Path) -> None:
    dbt = Dbt(tmp_path)
    dbt.load(business())
    dbt.build("2026-01-01", "2026-03-31", CUSTOMER_SUCCESS)
    whole = contents(dbt)
    dbt.build_again("2026-02-11", "2026-02-11", CUSTOMER_SUCCESS)
    assert contents(dbt) == whole


def business() -> list[Message]:
    """Return a quarter of answers and tickets."""
    draw = random.Random(5)
    facts = []
    for number in range(80):
        own = {"tenant": draw.choice(["t1", "gb"])}
        at = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=draw.randrange(60 * 24 * 60))
        facts.append(
            message(
                "nps.submitted",
                at.isoformat(),
                survey_id="s",
                response_id=f"r{number}",
                score=draw.randrange(11),
                respondent_ref=f"p{number % 30}",
                touchpoint="t",
                **own,
            )
        )
        facts.append(
            message(
                "ticket.opened",
                at.isoformat(),
                ticket_id=f"k{number}",
                requester_ref="p",
                priority="high",
                category="c",
                source="mail",
                **own,
            )
        )
        solved = at + timedelta(minutes=draw.randrange(9000))
        facts.append(
            message(
                "ticket.resolved",
                solved.isoformat(),
                ticket_id=f"k{number}",
                opened_at=at.isoformat(),
                reopen_count=0,
                resolution="solved",
                **own,
            )
        )
        if number % 3 == 0:
            again = solved + timedelta(hours=30)
            facts.append(message("ticket.reopened", again.isoformat(), ticket_id=f"k{number}", reopen_count=1, **own))
    return facts


def contents(dbt: Dbt) -> dict[str, list[str]]:
    """Return every row of the tables, in an order of its own."""
    return {table: sorted(map(str, dbt.rows(f"from {table}"))) for table in TABLES}
