import json
import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import pytest

from analytics_platform.catalog import Tenant, load_catalog
from analytics_platform.reporting.dashboards import (
    INDEX_KEY,
    DashboardFile,
    audiences,
    build_dashboard,
    dashboard_inputs,
    latest_published_day,
)
from analytics_platform.reporting.figures import CardNumber
from reporting.conftest import Published
from reporting.kpi_tables import GBP_TO_EUR, LAST_DAY, renamed

HOSTILE = "</script><img src=x onerror=alert(1)>"
BRABANT = load_catalog().tenants["brabant-rental"]
ALBION = load_catalog().tenants["albion-stage"]

Publish = Callable[..., Published]


@pytest.fixture(scope="module")
def pages(published: Published) -> dict[tuple[str, str], DashboardFile]:
    """Every file of every dashboard, by dashboard and audience."""
    return {
        (dashboard, file.audience): file
        for dashboard in published.catalog.dashboards
        for file in build_dashboard(published.store, published.catalog, dashboard, LAST_DAY)
    }


def embedded(published: Published, key: str) -> dict[str, Any]:
    html = published.store.get(key).decode()
    (text,) = re.findall(r'<script type="application/json" id="figures">(.*?)</script>', html, re.DOTALL)
    found: dict[str, Any] = json.loads(text)
    return found


def in_sql(published: Published, card: CardNumber, tenant: str | None) -> tuple[float | None, float | None]:
    """A card's value and the value before, read straight from the KPI tables by separate, plain SQL."""
    days = [(card.first, card.last), (card.previous_first, card.previous_last)]
    value, before = (published.warehouse.query(*_question(card, tenant, *span)).column(0)[0].as_py() for span in days)
    return value, before


def _question(card: CardNumber, tenant: str | None, first: date, last: date) -> tuple[str, list[object]]:
    mrr = "mrr_minor" if card.currency == "GBP" else "mrr_reporting_minor"
    select, table, where = {
        "mrr": (f"sum({mrr})", "kpi.kpi_mrr", "day = $last"),
        "invoice_collection_rate": (
            "100.0 * sum(collected_reporting_minor) / sum(net_invoiced_reporting_minor)",
            "kpi.kpi_invoice_collection_rate",
            "day = $last and basis = 'due'",
        ),
        "equipment_utilisation": (
            "100.0 * sum(on_rent_items) / sum(fleet_items)",
            "kpi.kpi_equipment_utilisation",
            "day between $first and $last",
        ),
        "on_time_departures": (
            "100.0 * sum(on_time) / sum(planned)",
            "kpi.kpi_on_time_departures",
            "day between $first and $last",
        ),
        "nps": (
            "100.0 * (sum(promoters) - sum(detractors)) / (sum(promoters) + sum(passives) + sum(detractors))",
            "kpi.kpi_nps",
            "day = $last",
        ),
        "ticket_resolution": (
            "median(final_resolution_minutes)",
            "marts.fct_ticket_resolutions",
            "resolved_on between $first and $last",
        ),
        "qualified_leads": ("sum(qualified_leads)", "kpi.kpi_qualified_leads", "day between $first and $last"),
        "channel_conversion": (
            "100.0 * sum(converted) / sum(created)",
            "kpi.kpi_channel_conversion",
            "day between $first and $last and model = 'first_touch'",
        ),
    }[card.kpi]
    where = where.replace("$first", f"date '{first}'").replace("$last", f"date '{last}'")
    only = " and tenant_id = ?" if tenant else ""
    return f"select cast({select} as double) from {table} where {where}{only}", [tenant] if tenant else []


@pytest.mark.parametrize("audience", ["all", "brabant-rental", "albion-stage"])
def test_every_card_equals_sql(
    published: Published, pages: dict[tuple[str, str], DashboardFile], audience: str
) -> None:
    for dashboard in published.catalog.dashboards:
        for card in pages[dashboard, audience].numbers:
            value, before = in_sql(published, card, None if audience == "all" else audience)
            assert card.value == (None if value is None else pytest.approx(value)), card
            if card.previous is not None:
                assert card.previous == pytest.approx(before), card


def test_there_is_a_card_for_every_kpi_and_period(pages: dict[tuple[str, str], DashboardFile]) -> None:
    overview = pages["executive_overview", "all"].numbers
    assert len({(card.kpi, card.period) for card in overview}) == len(overview) == 8 * 3


def test_the_overview_shows_the_numbers_of_the_other_dashboards(pages: dict[tuple[str, str], DashboardFile]) -> None:
    for audience in ("all", "albion-stage"):
        overview = {(card.kpi, card.period): card for card in pages["executive_overview", audience].numbers}
        for dashboard in ("finance", "operations", "customer_health", "growth"):
            for card in pages[dashboard, audience].numbers:
                assert overview[card.kpi, card.period] == card


def test_the_page_embeds_what_the_cards_show(published: Published, pages: dict[tuple[str, str], DashboardFile]) -> None:
    for file in pages.values():
        kpis = {kpi["name"]: kpi for kpi in embedded(published, file.key)["kpis"]}
        for card in file.numbers:
            shown = kpis[card.kpi]["periods"][card.period]
            assert (shown["value"], shown["previous"]) == (card.value, card.previous)


def test_a_period_that_is_not_published_in_full_is_not_compared_with(
    pages: dict[tuple[str, str], DashboardFile],
) -> None:
    cards = {(card.kpi, card.period): card for card in pages["executive_overview", "all"].numbers}
    assert cards["qualified_leads", "13w"].previous is not None
    assert cards["qualified_leads", "12m"].previous is None
    assert cards["mrr", "12m"].previous is None


def test_cohorts_are_shown_once_they_had_their_90_days(pages: dict[tuple[str, str], DashboardFile]) -> None:
    cards = {card.period: card for card in pages["growth", "all"].numbers if card.kpi == "channel_conversion"}
    assert cards["30d"].last == LAST_DAY - timedelta(90)


def test_a_tenant_sees_its_own_currency_and_staff_see_euros(
    published: Published, pages: dict[tuple[str, str], DashboardFile]
) -> None:
    def mrr(audience: str) -> CardNumber:
        return next(card for card in pages["finance", audience].numbers if card.kpi == "mrr")

    assert (mrr("albion-stage").currency, mrr("brabant-rental").currency, mrr("all").currency) == ("GBP", "EUR", "EUR")
    total = (mrr("brabant-rental").value or 0) + (mrr("albion-stage").value or 0) * GBP_TO_EUR
    assert mrr("all").value == pytest.approx(total, rel=1e-6)
    assert "Amounts in GBP" in published.store.get(pages["finance", "albion-stage"].key).decode()


def test_a_tenants_file_holds_no_byte_of_another_tenant(
    published: Published, pages: dict[tuple[str, str], DashboardFile]
) -> None:
    for (dashboard, audience), file in pages.items():
        body = published.store.get(file.key)
        for tenant in published.catalog.tenants.values():
            seen = [mark.encode() in body for mark in (tenant.tenant_id, tenant.name, f"-{tenant.tenant_id[:3]}-")]
            if audience in ("all", tenant.tenant_id):
                assert any(seen), (dashboard, audience, tenant.tenant_id)
            else:
                assert not any(seen), (dashboard, audience, tenant.tenant_id)


def test_a_tenants_numbers_do_not_change_with_another_tenants_rows(publish_tenants: Publish) -> None:
    both = publish_tenants([BRABANT, ALBION])
    with_other = {
        file.audience: both.store.get(file.key)
        for file in build_dashboard(both.store, both.catalog, "finance", LAST_DAY)
    }
    alone = publish_tenants([BRABANT])
    without = {
        file.audience: alone.store.get(file.key)
        for file in build_dashboard(alone.store, alone.catalog, "finance", LAST_DAY)
    }
    assert with_other[BRABANT.tenant_id] == without[BRABANT.tenant_id]
    assert with_other["all"] != without["all"]


def test_the_same_extracts_give_the_same_bytes(
    published: Published, pages: dict[tuple[str, str], DashboardFile]
) -> None:
    before = {file.key: published.store.get(file.key) for file in pages.values()}
    for dashboard in published.catalog.dashboards:
        build_dashboard(published.store, published.catalog, dashboard, LAST_DAY)
    assert {key: published.store.get(key) for key in before} == before


def test_a_hostile_name_is_text(publish_tenants: Publish) -> None:
    hostile = renamed(BRABANT, "hostile", HOSTILE)
    lake = publish_tenants([hostile, ALBION])
    for file in build_dashboard(lake.store, lake.catalog, "executive_overview", LAST_DAY):
        html = lake.store.get(file.key).decode()
        assert HOSTILE not in html
        assert "<img" not in html
        if file.audience == "hostile":
            assert "&lt;/script&gt;&lt;img" in html
        if file.audience == "all":
            assert "\\u003c/script\\u003e" in html


def test_a_tenant_without_any_event_has_a_page_that_says_so(publish_tenants: Publish) -> None:
    silent = renamed(ALBION, "silent", "Silent Stage")
    lake = publish_tenants([BRABANT], silent=[silent])
    for dashboard in lake.catalog.dashboards:
        files = {file.audience: file for file in build_dashboard(lake.store, lake.catalog, dashboard, LAST_DAY)}
        assert {card.value for card in files["silent"].numbers} == {None}
        assert {card.previous for card in files["silent"].numbers} == {None}


def test_a_dashboard_before_any_extract_is_an_empty_page_and_no_error(publish_tenants: Publish) -> None:
    lake = publish_tenants([BRABANT], days=1)
    long_before = date(2023, 1, 1)
    for file in build_dashboard(lake.store, lake.catalog, "executive_overview", long_before):
        assert {card.value for card in file.numbers} == {None}


def test_later_days_do_not_leak_into_a_page_of_an_earlier_day(publish_tenants: Publish) -> None:
    lake = publish_tenants([BRABANT], days=40)
    earlier = LAST_DAY - timedelta(5)
    (staff, _) = build_dashboard(lake.store, lake.catalog, "operations", earlier)
    assert max(card.last for card in staff.numbers) == earlier
    assert {kpi["as_of"] for kpi in embedded(lake, staff.key)["kpis"]} == {earlier.isoformat()}


def test_200_tenants_stay_within_the_size_budget(publish_tenants: Publish) -> None:
    tenants: list[Tenant] = [renamed(BRABANT, f"t{number:03}", f"Tenant number {number}") for number in range(200)]
    lake = publish_tenants(tenants, days=3)
    (staff, *others) = build_dashboard(lake.store, lake.catalog, "executive_overview", LAST_DAY)
    assert len(others) == 200
    assert staff.bytes < 3_000_000
    assert max(file.bytes for file in others) < 1_000_000
    tenant_parts = embedded(lake, staff.key)["kpis"][0]["periods"]["13w"]["parts"]["tenant_id"]
    assert len(tenant_parts["label"]) == 200


def test_many_parts_end_in_one_rest_and_add_up(publish_tenants: Publish) -> None:
    lake = publish_tenants([BRABANT], days=1)
    file = build_dashboard(lake.store, lake.catalog, "operations", LAST_DAY)[0]
    parts = embedded(lake, file.key)["kpis"][0]["periods"]["30d"]["parts"]
    for column in ("category", "warehouse_id"):
        assert sum(parts[column]["weight"]) == file.numbers[0].denominator


def test_the_overview_is_drawn_from_the_other_dashboards_extracts() -> None:
    inputs = dashboard_inputs(load_catalog(), "executive_overview")
    assert ("finance", "mrr") in inputs
    assert ("customer_health", "tickets") in inputs
    assert dashboard_inputs(load_catalog(), "growth") == [
        ("growth", "qualified_leads"),
        ("growth", "channel_conversion"),
    ]


def test_the_latest_published_day_is_known(published: Published) -> None:
    assert latest_published_day(published.store, published.catalog, "executive_overview") == LAST_DAY


def test_staff_come_first_and_every_tenant_has_a_file() -> None:
    catalog = load_catalog()
    assert audiences(catalog, "finance") == ["all", *catalog.tenants]


def test_the_start_page_links_every_file_that_exists(
    published: Published, pages: dict[tuple[str, str], DashboardFile]
) -> None:
    html = published.store.get(INDEX_KEY).decode()
    links = set(re.findall(r'href="([^"]+\.html)"', html))
    assert {f"dashboards/{link}" for link in links} == {file.key for file in pages.values()}
