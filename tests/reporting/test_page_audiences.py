"""What an audience's payload holds, and what it must not."""

import json
from dataclasses import replace
from datetime import date, timedelta

import polars as pl
import pytest

from analytics_platform.catalog import Audience
from analytics_platform.reporting.dashboards import load_page_rows
from analytics_platform.reporting.payload import Pages
from analytics_platform.reporting.quality import Evaluation, Lineage
from reporting.conftest import Published
from reporting.kpi_tables import LAST_DAY

ALBION = Audience("tenant_viewer", "albion-stage")
FAILING = Evaluation("kpi/revenue/kpi_mrr", "mrr_movements_reconcile", False, "ERROR")
LINEAGE = Lineage("https://dagster.example", {"mrr": "kpi/revenue/kpi_mrr"}, {"mrr": [FAILING]})


@pytest.fixture(scope="module")
def finance(published: Published) -> Pages:
    return Pages(published.catalog, load_page_rows(published.store, published.catalog, "finance", LAST_DAY), LINEAGE)


def test_customers_are_on_the_pages_of_roles_that_see_pseudonyms_alone(finance: Pages) -> None:
    for role, sees in (("admin", True), ("finance", True), ("executive", False)):
        text = json.dumps(finance.payload(Audience(role)))
        assert ("cus-alb-0" in text, "customer_ref" in text) == (sees, sees)
    assert "cus-" not in json.dumps(finance.payload(ALBION))


def test_customers_are_not_on_a_page_of_a_role_that_may_not_read_their_extract(published: Published) -> None:
    rows = load_page_rows(published.store, published.catalog, "executive_overview", LAST_DAY)
    pages = Pages(published.catalog, rows)
    assert "cus-" in json.dumps(pages.payload(Audience("finance")))
    assert published.catalog.access_roles["operations"].max_pii == "pseudonymous"
    assert "cus-" not in json.dumps(pages.payload(Audience("operations")))


def test_a_failing_number_says_so_to_everybody_and_why_to_those_who_see_all_tenants(finance: Pages) -> None:
    (staff,) = (kpi["quality"] for kpi in finance.payload(Audience("finance"))["kpis"] if kpi["name"] == "mrr")
    assert staff["state"] == "failing"
    assert staff["failing"] == [
        {"check": "mrr_movements_reconcile", "asset": "kpi/revenue/kpi_mrr", "severity": "ERROR"}
    ]
    (own,) = (kpi["quality"] for kpi in finance.payload(ALBION)["kpis"] if kpi["name"] == "mrr")
    assert (own["state"], own["failing"]) == ("failing", [])


def test_the_lineage_is_linked_on_pages_of_all_tenants_alone(finance: Pages) -> None:
    assert finance.payload(Audience("finance"))["lineage"] == "https://dagster.example"
    assert finance.payload(ALBION)["lineage"] is None


def test_marked_days_are_those_of_the_audiences_series(published: Published) -> None:
    rows = load_page_rows(published.store, published.catalog, "operations", LAST_DAY)
    pages = Pages(published.catalog, rows)

    def marked(audience: Audience) -> list[tuple[str | None, object]]:
        (kpi,) = (each for each in pages.payload(audience)["kpis"] if each["name"] == "equipment_utilisation")
        assert {each["day"] for each in kpi["anomalies"]} == {"2026-06-27"}
        return [(each["tenant_id"], each["series"]) for each in kpi["anomalies"]]

    assert sorted(marked(Audience("admin")), key=repr) == sorted(
        [("albion-stage", None), ("brabant-rental", None), (None, None), (None, {"category": "lighting"})], key=repr
    )
    assert marked(ALBION) == [(None, None)]


def test_a_tenants_money_is_not_told_in_another_currency_beside_euros(finance: Pages) -> None:
    (mrr,) = (kpi for kpi in finance.payload(Audience("admin"))["kpis"] if kpi["name"] == "mrr")
    observed = {each["tenant_id"]: each["observed"] for each in mrr["anomalies"]}
    assert observed == {"albion-stage": None, "brabant-rental": 40.0, None: 40.0}


def test_a_tenants_own_page_tells_its_money_in_its_own_currency(finance: Pages) -> None:
    (mrr,) = (kpi for kpi in finance.payload(ALBION)["kpis"] if kpi["name"] == "mrr")
    assert (mrr["currency"], [each["observed"] for each in mrr["anomalies"]]) == ("GBP", [40.0])


def with_amounts_in(pages: Pages, tenant: str, currency: str, first: date) -> Pages:
    """The pages as they are where a tenant's amounts from a day on are in a currency, and before it in its own."""
    changed = pl.when((pl.col("tenant_id") == tenant) & (pl.col("day") >= first)).then(pl.lit(currency))
    kpis = [
        replace(each, rows=each.rows.with_columns(currency=changed.otherwise("currency"))) for each in pages.rows.kpis
    ]
    return Pages(pages.catalog, replace(pages.rows, kpis=kpis))


@pytest.mark.parametrize(
    ("tenant", "currency", "first", "of_own_page", "of_all"),
    [
        ("brabant-rental", "GBP", date.min, ("GBP", 40.0), None),
        ("albion-stage", "EUR", date.min, ("EUR", 40.0), 40.0),
        ("albion-stage", "EUR", LAST_DAY - timedelta(9), ("EUR", 40.0), 40.0),
        ("albion-stage", "EUR", LAST_DAY, ("EUR", None), None),
        ("brabant-rental", "GBP", LAST_DAY, ("EUR", None), None),
    ],
    ids=["all in pounds", "all in euros", "in both by then", "in pounds until then", "in euros until then"],
)
def test_an_amount_that_was_judged_in_another_currency_than_the_pages_is_left_out(
    finance: Pages, tenant: str, currency: str, first: date, of_own_page: tuple[str, float | None], of_all: float | None
) -> None:
    pages = with_amounts_in(finance, tenant, currency, first)

    def told(audience: Audience, who: str | None) -> tuple[str, float | None]:
        (mrr,) = (kpi for kpi in pages.payload(audience)["kpis"] if kpi["name"] == "mrr")
        (observed,) = (each["observed"] for each in mrr["anomalies"] if each["tenant_id"] == who)
        return mrr["currency"], observed

    assert told(Audience("tenant_viewer", tenant), None) == of_own_page
    assert told(Audience("admin"), tenant) == ("EUR", of_all)
