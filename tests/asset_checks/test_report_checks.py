"""The judges of weekly reports, each with what passes and what does not."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from analytics_platform.catalog import Catalog, load_catalog
from asset_checks.reports import (
    forms_carry_the_same_numbers,
    page_text,
    report_holds_only_its_tenant,
    shown_figures,
)

TENANTS = load_catalog().tenants
TREE: dict[str, Any] = {
    "sections": [{"rows": [[{"text": "€1,234", "value": 123400}, {"text": "\u22120.5\u00a0pts", "value": -0.5}]]}],
    "facts": {"text": "never written", "value": 1},
}


def test_numbers_that_stand_in_both_forms_pass() -> None:
    facts = forms_carry_the_same_numbers({"all": (TREE, "MRR €1,234 \u22120.5 pts", "€1,2\u200b34 and \u22120.5\npts")})
    assert facts.passed
    assert (facts.checked, facts.failed) == (2, 0)


@pytest.mark.parametrize(
    ("page", "pdf"), [("€1,234 \u22120.5 pts", "€1,234"), ("€1,235 \u22120.5 pts", "€1,234 \u22120.5 pts")]
)
def test_a_number_that_one_form_lacks_fails_and_is_named(page: str, pdf: str) -> None:
    facts = forms_carry_the_same_numbers({"all": (TREE, page, pdf)})
    assert not facts.passed
    assert facts.failed == 1
    assert facts.offenders[0].startswith("all: ")


def test_a_number_that_stands_once_too_few_fails() -> None:
    twice = {"rows": [{"text": "7", "value": 7}, {"text": "7", "value": 7}]}
    assert not forms_carry_the_same_numbers({"all": (twice, "7", "7 7")}).passed
    assert forms_carry_the_same_numbers({"all": (twice, "7 7", "7 7")}).passed


def test_a_report_without_any_number_does_not_pass() -> None:
    assert not forms_carry_the_same_numbers({"all": ({}, "", "")}).passed


def test_a_report_that_names_its_own_tenant_alone_passes() -> None:
    assert report_holds_only_its_tenant({"noord-rigging": ["Noord Rigging", "noord-rigging"]}, TENANTS).passed


@pytest.mark.parametrize("text", ["… delta-events …", "to Delta\nEvents"])
def test_a_report_that_names_another_tenant_fails(text: str) -> None:
    facts = report_holds_only_its_tenant({"noord-rigging": ["Noord Rigging", text]}, TENANTS)
    assert not facts.passed
    assert facts.offenders == ["noord-rigging: names delta-events"]


def test_a_name_that_the_readers_own_contains_says_nothing() -> None:
    short = TENANTS["delta-events"].model_copy(update={"tenant_id": "noord", "name": "Noord"})
    tenants = {"noord-rigging": TENANTS["noord-rigging"], "noord": short}
    assert report_holds_only_its_tenant({"noord-rigging": ["Noord Rigging"]}, tenants).passed


def test_the_text_of_a_page_is_what_a_reader_sees() -> None:
    assert page_text(b"<style>p { color: red }</style><p title='no'>1 &lt; 2</p>") == "1 < 2"


def figure(kpi: str, *, is_whole: bool = True) -> dict[str, Any]:
    return {"kpi": kpi, "is_whole": is_whole, "first": "2026-06-22", "last": "2026-06-28", "value": 5.0}


def test_stocks_are_compared_on_their_last_day_and_money_where_it_is_in_one_currency(catalog: Catalog) -> None:
    kpis = [figure("mrr"), figure("nps"), figure("qualified_leads"), figure("on_time_departures", is_whole=False)]
    (staff,) = shown_figures(catalog, {"audience": "all", "kpis": kpis})
    assert (staff.kpi, staff.first, staff.last) == ("mrr", date(2026, 6, 28), date(2026, 6, 28))
    nps, leads = shown_figures(catalog, {"audience": "noord-rigging", "kpis": kpis})
    assert (nps.first, leads.first) == (date(2026, 6, 28), date(2026, 6, 22))
