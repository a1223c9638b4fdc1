"""What a weekly report tells of unusual days: of which part, and in which currency."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from analytics_platform.documents import Quantity
from analytics_platform.reporting.periods import Span
from analytics_platform.reporting.weekly_content import WeekContent
from analytics_platform.reporting.weekly_facts import WeekFacts, week_facts
from analytics_platform.reporting.weekly_troubles import anomalies_table
from reporting.conftest import Published

WEEK = Span(date(2026, 6, 22), date(2026, 6, 28))
NOW = datetime(2026, 6, 29, tzinfo=UTC)


def told(published: Published, audience: str, language: str, facts: WeekFacts) -> list[list[object]]:
    """The cells of the table of unusual days."""
    content = WeekContent(published.catalog, audience, WEEK.first, language, "Europe/Amsterdam", [], facts)  # type: ignore[arg-type]
    return [[cell.value for cell in row] for row in anomalies_table(content).rows]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("language", "words"), [("en-GB", "channel: not assigned"), ("nl-NL", "kanaal: niet toegewezen")]
)
def test_a_part_without_a_value_is_not_assigned(published: Published, language: str, words: str) -> None:
    row = {"day": WEEK.first, "tenant_id": "all", "kpi": "qualified_leads", "series": "channel=none"}
    row |= {"observed": 1.0, "expected": 5.0, "rule": "seasonal", "currency": None}
    ((_, _, series, *_),) = told(published, "all", language, WeekFacts([row], None, None))
    assert str(series).lower() == words


@pytest.mark.parametrize("audience", ["albion-stage", "brabant-rental", "all"])
def test_unusual_money_is_told_in_the_currency_that_it_was_judged_in(published: Published, audience: str) -> None:
    facts = week_facts(published.warehouse, published.catalog, audience, WEEK, NOW)
    amounts = {
        (str(row[1]) if audience == "all" else audience): cell.currency
        for row in told(published, audience, "en-GB", facts)
        for cell in row
        if isinstance(cell, Quantity) and cell.unit == "money"
    }
    names = {tenant.tenant_id: tenant.name for tenant in published.catalog.tenants.values()}
    if audience == "all":
        assert amounts == {"All tenants": "EUR", names["albion-stage"]: "GBP", names["brabant-rental"]: "EUR"}
    else:
        assert amounts == {audience: published.catalog.tenants[audience].currency}
