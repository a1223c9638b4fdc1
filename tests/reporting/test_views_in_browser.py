"""Views in a browser: every kind shows what Python adds up of its cells; marked days and badges say what they are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from analytics_platform.catalog import Audience
from analytics_platform.reporting.quality import Evaluation, Lineage
from reporting.conftest import Published, Written, write_pages
from reporting.kpi_tables import LAST_DAY
from reporting.opened_pages import Watched, card_text, number_text, open_tables, table_of, view_figure, view_of

pytestmark = pytest.mark.browser

Pages = dict[tuple[str, str], Written]
TENANT = {"tenant_id": "albion-stage"}
CHOSEN = "#tenant_id=albion-stage"


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(locale="en-GB", viewport={"width": 1440, "height": 900})
    yield context.new_page()
    context.close()


def opened(page: Page, written: Written, fragment: str = "") -> Watched:
    watched = Watched(page)
    watched.open(written.path, fragment)
    return watched


@pytest.mark.parametrize("filters", [{}, TENANT])
def test_a_bridge_leads_from_opening_to_closing(page: Page, written_pages: Pages, filters: dict[str, str]) -> None:
    written = written_pages["finance", "admin"]
    opened(page, written, CHOSEN if filters else "").assert_quiet()
    view = view_of(written.payload, "mrr_bridge")
    amounts = [view_figure(written.payload, view, measure, {}, filters) or 0 for measure in view["measures"]]
    assert sum(amounts[:-1]) == amounts[-1]
    rows = table_of(page, "mrr_bridge")
    assert [texts[0] for texts in rows.values()] == [number_text(view, amount) for amount in amounts]
    assert next(iter(rows)) == "opening"
    assert list(rows)[-1] == "closing"


def test_a_stack_over_time_ends_with_the_last_day(page: Page, written_pages: Pages) -> None:
    written = written_pages["finance", "admin"]
    opened(page, written, CHOSEN)
    view = view_of(written.payload, "receivables_ageing")
    newest = next(iter(table_of(page, "receivables_ageing").values()))
    assert newest == [
        number_text(view, view_figure(written.payload, view, measure, {}, TENANT)) for measure in view["measures"]
    ]


def test_a_stack_by_value_shows_each_value_as_it_stands(page: Page, written_pages: Pages) -> None:
    written = written_pages["operations", "admin"]
    opened(page, written, CHOSEN)
    view = view_of(written.payload, "fleet_by_category")
    rows = table_of(page, "fleet_by_category")
    (axis,) = view["axes"]
    for value, label in zip(axis["values"], axis["labels"], strict=True):
        place = {"category": value}
        assert rows[label] == [
            number_text(view, view_figure(written.payload, view, measure, place, TENANT))
            for measure in view["measures"]
        ]


def test_a_histogram_has_its_bins_in_their_order(page: Page, written_pages: Pages) -> None:
    written = written_pages["operations", "admin"]
    opened(page, written, CHOSEN)
    view = view_of(written.payload, "departure_delays")
    rows = table_of(page, "departure_delays")
    assert list(rows)[:3] == ["On plan", "Under 5 min", "5-15 min"]
    counts = [
        view_figure(written.payload, view, "departed", {"delay_band": each}, TENANT)
        for each in view["axes"][0]["values"]
    ]
    assert [texts[0] for texts in rows.values()] == [
        number_text(view, count) if count is not None else "\u2013" for count in counts
    ]


def test_a_filter_on_the_axis_of_a_view_leaves_that_value_alone(page: Page, written_pages: Pages) -> None:
    opened(page, written_pages["operations", "admin"], "#category=lighting")
    assert list(table_of(page, "fleet_by_category")) == ["Lighting"]
    unsplit = page.locator('[data-view="departure_delays"] [data-slot="unsplit"]').inner_text()
    assert unsplit == "not split by category: shown for all"


def test_bars_by_two_axes_show_the_measure_that_is_chosen(page: Page, written_pages: Pages) -> None:
    written = written_pages["growth", "admin"]
    opened(page, written, CHOSEN)
    view = view_of(written.payload, "attribution")
    models = view["axes"][1]["values"]
    for measure in ("converted", "created"):
        page.locator("#show-attribution").select_option(measure)
        place = {"channel": "referral"}
        expected = [
            number_text(view, view_figure(written.payload, view, measure, {**place, "model": model}, TENANT))
            for model in models
        ]
        assert table_of(page, "attribution")["Referral"] == expected
    assert "show.attribution=created" in page.url


def test_a_funnel_shows_one_flow_at_a_time(page: Page, written_pages: Pages) -> None:
    written = written_pages["growth", "admin"]
    opened(page, written, f"{CHOSEN}&show.product_flows=onboarding")
    view = view_of(written.payload, "product_flows")
    rows = table_of(page, "product_flows")
    assert list(rows) == ["Account", "Team", "Import"]
    for step, texts in rows.items():
        place = {"flow": "onboarding", "step": step.lower()}
        assert texts[:4] == [
            number_text(view, view_figure(written.payload, view, measure, place, TENANT))
            for measure in view["measures"]
        ]


@pytest.mark.parametrize(
    ("measure", "whole"),
    [("retained_customers", "customers"), ("gross_mrr", "opening_mrr"), ("net_mrr", "opening_mrr")],
)
def test_a_heatmap_shows_the_share_that_is_chosen(page: Page, written_pages: Pages, measure: str, whole: str) -> None:
    written = written_pages["finance", "admin"]
    opened(page, written, f"{CHOSEN}&show.customer_cohorts={measure}")
    view = view_of(written.payload, "customer_cohorts")
    cohort = view["axes"][0]["values"][-3]
    month = date.fromisoformat(cohort)
    shown_month = "Sept" if month.month == 9 else f"{month:%b}"  # as British browsers write it
    cells = table_of(page, "customer_cohorts")[f"{shown_month} {month.year}"]
    for number in (0, 1, 2):
        place = {"cohort_month": cohort, "month_number": str(number)}
        above, below = (view_figure(written.payload, view, name, place, TENANT) for name in (measure, whole))
        assert above is not None
        assert below
        assert cells[1 + number] == f"{int(100 * above / below + 0.5)}%"


def _marked(payload: dict[str, Any]) -> None:
    """One unusual day of the whole and one of a tenant, and an address that is no address of the web."""
    (mrr,) = (kpi for kpi in payload["kpis"] if kpi["name"] == "mrr")
    shared = {"day": LAST_DAY.isoformat(), "series": None, "observed": 100, "expected": 200, "rule": "seasonal"}
    mrr["anomalies"] = [{**shared, "tenant_id": None}, {**shared, "tenant_id": "albion-stage", "rule": "change"}]


def test_an_unusual_day_is_marked_on_its_own_series_alone_and_explained(
    page: Page, published: Published, tmp_path: Path
) -> None:
    written = write_pages(published, tmp_path, [Audience("admin")], ["finance"], _marked)["finance", "admin"]
    opened(page, written)
    panel = page.locator('[data-panel="mrr"]')
    assert "unusual" in panel.locator(".legend").inner_text()
    open_tables(panel.locator("#tables-mrr"))
    table = panel.locator("table", has_text="Unusual days")
    assert {row.locator("td").nth(0).inner_text() for row in table.locator("tbody tr").all()} == {
        "whole",
        "Albion Stage",
    }
    assert "out of season" in table.inner_text()
    page.locator("#filter-tenant_id").select_option("=brabant-rental")
    assert "unusual" not in panel.locator(".legend").inner_text()
    page.locator("#filter-tenant_id").select_option("=albion-stage")
    assert "unusual" in panel.locator(".legend").inner_text()
    assert table.locator("tbody tr").count() == 1
    assert "jumped" in table.inner_text()


LINEAGE = Lineage(
    address="https://lineage.example",
    assets={"mrr": "kpi/revenue/kpi_mrr", "invoice_collection_rate": "kpi/revenue/kpi_invoice_collection_rate"},
    evaluations={
        "mrr": [Evaluation("kpi/revenue/kpi_mrr", "mrr_movements_reconcile", True, "ERROR")],
        "invoice_collection_rate": [Evaluation("marts/revenue/fct_invoices", "<b>_amounts_add_up", False, "ERROR")],
    },
)


def test_a_badge_says_its_state_in_words_and_shape_and_opens_what_failed(
    page: Page, published: Published, tmp_path: Path
) -> None:
    audiences = [Audience("admin"), Audience("tenant_viewer", "albion-stage")]
    written = write_pages(published, tmp_path, audiences, ["finance"], lineage=LINEAGE)
    opened(page, written["finance", "admin"])
    fresh, failing = (page.locator(f'[data-card="{kpi}"] .badge') for kpi in ("mrr", "invoice_collection_rate"))
    assert fresh.locator("summary").inner_text().endswith("Fresh")
    assert failing.locator("summary").inner_text().endswith("Checks fail")
    drawn = [badge.locator("path.body").get_attribute("d") for badge in (fresh, failing)]
    assert drawn[0] != drawn[1]
    failing.locator("summary").click()
    popover = failing.locator(".popover")
    assert "<b> amounts add up (error)" in popover.locator("li").inner_text()
    links = [str(link.get_attribute("href")) for link in popover.locator("a").all()]
    assert links == [
        "https://lineage.example/assets/marts/revenue/fct_invoices",
        "https://lineage.example/assets/kpi/revenue/kpi_invoice_collection_rate",
    ]
    opened(page, written["finance", "tenant_viewer@albion-stage"])
    failing.locator("summary").click()
    assert popover.locator("a, li").count() == 0


def test_an_address_that_is_not_of_the_web_is_no_link(page: Page, published: Published, tmp_path: Path) -> None:
    lineage = Lineage("javascript:alert(1)", LINEAGE.assets, LINEAGE.evaluations)
    written = write_pages(published, tmp_path, [Audience("admin")], ["finance"], lineage=lineage)
    opened(page, written["finance", "admin"])
    page.locator('[data-card="mrr"] .badge summary').click()
    assert page.locator(".popover a").count() == 0
    assert card_text(page, "mrr") != "no data"
