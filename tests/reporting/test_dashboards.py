"""Pages and their payloads against SQL over the same tables."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from analytics_platform.catalog import Audience, load_catalog
from analytics_platform.lake.store import LocalStore
from analytics_platform.reporting import shown
from analytics_platform.reporting.dashboards import (
    INDEX_KEY,
    audiences,
    build_dashboard,
    dashboard_inputs,
    dashboard_key,
)
from analytics_platform.reporting.page import payload_of
from analytics_platform.warehouse import DuckDBWarehouse
from reporting.conftest import Published
from reporting.kpi_tables import GBP_TO_EUR, LAST_DAY, renamed

HOSTILE = "</script><img src=x onerror=alert(1)>"
BRABANT = load_catalog().tenants["brabant-rental"]
ALBION = load_catalog().tenants["albion-stage"]
ADMIN, EXECUTIVE = Audience("admin"), Audience("executive")
OWN = {tenant.tenant_id: Audience("tenant_viewer", tenant.tenant_id) for tenant in (BRABANT, ALBION)}

Publish = Callable[..., Published]
Payload = dict[str, Any]


@dataclass(frozen=True)
class Card:
    """A figure on a page, with the days that it covers."""

    kpi: str
    period: str
    first: str
    last: str
    currency: str | None
    value: float | None
    filters: dict[str, str | None] = field(default_factory=dict)


@pytest.fixture(scope="module")
def pages(published: Published) -> dict[tuple[str, Audience], Payload]:
    """What every page of every dashboard embeds, by dashboard and audience."""
    return {
        (dashboard, file.audience): payload_of(published.store.get(file.key))
        for dashboard in published.catalog.dashboards
        for file in build_dashboard(published.store, published.catalog, dashboard, LAST_DAY)
    }


def kpis_of(payload: Payload) -> dict[str, Payload]:
    return {kpi["name"]: kpi for kpi in payload["kpis"]}


def cards(payload: Payload) -> Iterator[Card]:
    """Every card of both periods with no filter; of one period also with each value of each filter."""
    for kpi in payload["kpis"]:
        for period, told in kpi["periods"].items():
            for filters in ({}, *(_each_value(payload, kpi) if period == "13w" else ())):
                value = shown.figure(payload, kpi, period, filters)
                yield Card(kpi["name"], period, told["first"], told["last"], kpi["currency"], value, filters)
                if told["comparable"]:
                    value = shown.previous(payload, kpi, period, filters)
                    first, last = told["previous_first"], told["previous_last"]
                    yield Card(kpi["name"], period, first, last, kpi["currency"], value, filters)


def _each_value(payload: Payload, kpi: Payload) -> Iterator[dict[str, str | None]]:
    for place, name in enumerate(kpi["cube"]["dims"]):
        for code in sorted(set(kpi["cube"]["codes"][place]) - {-1}):
            yield {name: payload["dimensions"][name]["values"][code]}


def in_sql(published: Published, card: Card, tenant: str | None) -> float | None:
    """A card's value, read straight from the KPI tables by separate, plain SQL."""
    by = next(iter(card.filters), None)
    return _by_value(published.warehouse, _asked(card, by), tenant).get(card.filters.get(by) if by else None)


@cache
def _by_value(warehouse: DuckDBWarehouse, sql: str, tenant: str | None) -> dict[str | None, float | None]:
    """The figure for each value of a column: one query for all of them."""
    own = "tenant_id = ?" if tenant else "true"
    answer = warehouse.query(sql.replace("$own", own), [tenant] if tenant else [])
    return dict(zip(answer["part"].to_pylist(), answer["value"].to_pylist(), strict=True))


def _asked(card: Card, by: str | None) -> str:
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
            "100.0 * sum(converted) / nullif(sum(created), 0)",
            "kpi.kpi_channel_conversion",
            "day between $first and $last and model = 'first_touch'",
        ),
    }[card.kpi]
    if by == "customer_ref":
        table = "kpi.kpi_mrr_by_customer"
    if card.kpi == "invoice_collection_rate" and by in ("project_id", "booking_value_band"):
        table = "kpi.kpi_invoice_collection_by_project"
    where = where.replace("$first", f"date '{card.first}'").replace("$last", f"date '{card.last}'")
    part = by.removeprefix("ticket_") if by else "null"
    return (
        f"select cast({part} as varchar) as part, cast({select} as double) as value from {table} "
        f"where {where} and $own group by 1"
    )


@pytest.mark.parametrize("audience", [ADMIN, *OWN.values()])
def test_every_figure_equals_sql_with_each_value_of_each_filter(
    published: Published, pages: dict[tuple[str, Audience], Payload], audience: Audience
) -> None:
    seen = 0
    for dashboard in published.catalog.dashboards:
        for card in cards(pages[dashboard, audience]):
            value = in_sql(published, card, audience.tenant)
            assert (card.value or 0) == pytest.approx(value or 0, abs=1e-4), card
            seen += 1
    assert seen > 100


def test_there_is_a_card_for_every_kpi_and_period(pages: dict[tuple[str, Audience], Payload]) -> None:
    overview = kpis_of(pages["executive_overview", EXECUTIVE])
    assert len(overview) == 8
    assert {tuple(kpi["periods"]) for kpi in overview.values()} == {("30d", "13w", "12m")}


def test_the_points_of_a_flow_add_up_to_its_card(pages: dict[tuple[str, Audience], Payload]) -> None:
    payload = pages["growth", EXECUTIVE]
    leads = kpis_of(payload)["qualified_leads"]
    points = shown.trend(payload, leads, "13w")
    assert len(points) == 13
    assert sum(point or 0 for point in points) == shown.figure(payload, leads, "13w")


def test_the_overview_shows_the_numbers_of_the_other_dashboards(pages: dict[tuple[str, Audience], Payload]) -> None:
    def whole(payload: Payload) -> dict[tuple[str, str, str], Card]:
        return {(card.kpi, card.period, card.first): card for card in cards(payload) if not card.filters}

    for audience in (EXECUTIVE, OWN["albion-stage"]):
        overview = whole(pages["executive_overview", audience])
        for dashboard in ("finance", "operations", "customer_health", "growth"):
            for key, card in whole(pages[dashboard, audience]).items():
                assert overview[key] == card


def test_a_period_that_is_not_published_in_full_is_not_compared_with(
    pages: dict[tuple[str, Audience], Payload],
) -> None:
    payload = pages["executive_overview", EXECUTIVE]
    found = kpis_of(payload)
    assert shown.previous(payload, found["qualified_leads"], "13w") is not None
    assert shown.previous(payload, found["qualified_leads"], "12m") is None
    assert shown.previous(payload, found["mrr"], "12m") is None


def test_cohorts_are_shown_once_they_had_their_90_days(pages: dict[tuple[str, Audience], Payload]) -> None:
    conversion = kpis_of(pages["growth", EXECUTIVE])["channel_conversion"]
    assert conversion["periods"]["30d"]["last"] == (LAST_DAY - timedelta(90)).isoformat()
    assert conversion["maturity"] == 90


def test_a_tenant_sees_its_own_currency_and_roles_for_all_see_euros(
    pages: dict[tuple[str, Audience], Payload],
) -> None:
    def mrr(audience: Audience) -> tuple[str, float]:
        payload = pages["finance", audience]
        kpi = kpis_of(payload)["mrr"]
        return kpi["currency"], shown.figure(payload, kpi, "30d") or 0

    (gbp, albion), (eur, brabant), (reporting, total) = map(mrr, (OWN["albion-stage"], OWN["brabant-rental"], ADMIN))
    assert (gbp, eur, reporting) == ("GBP", "EUR", "EUR")
    assert total == pytest.approx(brabant + albion * GBP_TO_EUR, rel=1e-6)


def test_a_tenants_file_holds_no_byte_of_another_tenant(published: Published) -> None:
    for dashboard in published.catalog.dashboards:
        for file in build_dashboard(published.store, published.catalog, dashboard, LAST_DAY):
            body = published.store.get(file.key)
            texts = (body.decode(), json.dumps(payload_of(body)))
            for tenant in published.catalog.tenants.values():
                marks = (tenant.tenant_id, tenant.name, f"-{tenant.tenant_id[:3]}-")
                seen = [mark in text for mark in marks for text in texts]
                assert any(seen) == (file.audience.tenant in (None, tenant.tenant_id)), file.key


def test_a_tenants_numbers_do_not_change_with_another_tenants_rows(publish_tenants: Publish) -> None:
    def built(lake: Published) -> dict[Audience, bytes]:
        files = build_dashboard(lake.store, lake.catalog, "finance", LAST_DAY)
        return {file.audience: lake.store.get(file.key) for file in files}

    with_other = built(publish_tenants([BRABANT, ALBION], days=3, dashboards=("finance",)))
    without = built(publish_tenants([BRABANT], days=3, dashboards=("finance",)))
    assert with_other[OWN["brabant-rental"]] == without[OWN["brabant-rental"]]
    assert with_other[ADMIN] != without[ADMIN]


def test_the_same_extracts_give_the_same_bytes(published: Published) -> None:
    first, second = (
        {
            file.key: published.store.get(file.key)
            for file in build_dashboard(published.store, published.catalog, "operations", LAST_DAY)
        }
        for _ in range(2)
    )
    assert first == second


def test_a_hostile_name_is_text(publish_tenants: Publish) -> None:
    hostile = renamed(BRABANT, "hostile", HOSTILE)
    lake = publish_tenants([hostile, ALBION], days=1)
    for file in build_dashboard(lake.store, lake.catalog, "executive_overview", LAST_DAY):
        html = lake.store.get(file.key).decode()
        assert HOSTILE not in html
        assert "<img" not in html
        if file.audience == EXECUTIVE:
            assert HOSTILE in payload_of(html.encode())["dimensions"]["tenant_id"]["labels"]


def test_a_tenant_without_any_event_has_a_page_that_says_so(publish_tenants: Publish) -> None:
    silent = renamed(ALBION, "silent", "Silent Stage")
    lake = publish_tenants([BRABANT], days=1, silent=[silent])
    for dashboard in lake.catalog.dashboards:
        build_dashboard(lake.store, lake.catalog, dashboard, LAST_DAY)
        key = dashboard_key(dashboard, Audience("tenant_viewer", "silent"))
        assert {card.value for card in cards(payload_of(lake.store.get(key)))} == {None}


def test_a_dashboard_before_any_extract_is_an_empty_page_and_no_error(publish_tenants: Publish) -> None:
    lake = publish_tenants([BRABANT], days=1, dashboards=("growth",))
    for file in build_dashboard(lake.store, lake.catalog, "executive_overview", date(2023, 1, 1)):
        assert {card.value for card in cards(payload_of(lake.store.get(file.key)))} == {None}


def test_later_days_do_not_leak_into_a_page_of_an_earlier_day(publish_tenants: Publish) -> None:
    lake = publish_tenants([BRABANT], days=12, dashboards=("operations",))
    earlier = LAST_DAY - timedelta(5)
    for file in build_dashboard(lake.store, lake.catalog, "operations", earlier):
        payload = payload_of(lake.store.get(file.key))
        assert max(card.last for card in cards(payload)) == earlier.isoformat()
        assert {kpi["as_of"] for kpi in payload["kpis"]} == {earlier.isoformat()}


def test_a_figure_of_a_period_with_unpublished_days_counts_those_that_are(publish_tenants: Publish) -> None:
    lake = publish_tenants([BRABANT], days=10, dashboards=("operations",))
    build_dashboard(lake.store, lake.catalog, "operations", LAST_DAY)
    payload = payload_of(lake.store.get(dashboard_key("operations", ADMIN)))
    kpi = kpis_of(payload)["on_time_departures"]
    assert kpi["periods"]["30d"]["days_published"] == 10
    card = next(card for card in cards(payload) if (card.kpi, card.period) == ("on_time_departures", "30d"))
    assert card.value == pytest.approx(in_sql(lake, card, None))
    assert shown.trend(payload, kpi, "13w")[:-2] == [None] * 11


def test_a_page_lies_where_its_audience_looks_and_links_what_the_same_role_may_see(published: Published) -> None:
    keys = {file.key for file in build_dashboard(published.store, published.catalog, "finance", LAST_DAY)}
    assert keys == {
        "dashboards/finance/admin.html",
        "dashboards/finance/executive.html",
        "dashboards/finance/finance.html",
        "dashboards/finance/tenant_viewer@albion-stage.html",
        "dashboards/finance/tenant_viewer@brabant-rental.html",
    }
    page = published.store.get("dashboards/finance/finance.html").decode()
    assert "../executive_overview/finance.html" in page
    assert "../operations/" not in page


class CountingStore(LocalStore):
    """Counts how often each manifest is read."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.manifests: Counter[str] = Counter()

    def get(self, key: str) -> bytes:
        self.manifests[key] += key.endswith("/manifest.json")
        return super().get(key)


def test_a_page_is_made_of_one_publication_of_each_dashboard_that_it_draws_on(published: Published) -> None:
    store = CountingStore(published.store.root)
    build_dashboard(store, published.catalog, "executive_overview", LAST_DAY)
    assert len(+store.manifests) > 1
    assert set((+store.manifests).values()) == {1}


def test_the_file_of_an_audience_that_is_none_any_more_goes(published: Published) -> None:
    published.store.put("dashboards/growth/all.html", b"of old")
    build_dashboard(published.store, published.catalog, "growth", LAST_DAY)
    assert published.store.info("dashboards/growth/all.html") is None


def test_the_overview_is_drawn_from_the_other_dashboards_extracts() -> None:
    inputs = dashboard_inputs(load_catalog(), "executive_overview")
    assert ("finance", "mrr_by_customer") in inputs
    assert ("customer_health", "tickets") in inputs


def test_who_may_see_a_dashboard_has_a_file() -> None:
    catalog = load_catalog()
    roles = ["admin", "executive", "finance"]
    tenants = [Audience("tenant_viewer", tenant) for tenant in catalog.tenants]
    assert audiences(catalog, "finance") == [*map(Audience, roles), *tenants]


def test_the_start_page_links_every_file_that_exists(
    published: Published, pages: dict[tuple[str, Audience], Payload]
) -> None:
    html = published.store.get(INDEX_KEY).decode()
    for dashboard, audience in pages:
        assert dashboard_key(dashboard, audience).removeprefix("dashboards/") in html
