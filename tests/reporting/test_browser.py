"""The pages in a real browser: quiet, offline, and showing the numbers that they hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from analytics_platform.catalog import load_catalog
from analytics_platform.lake.store import LocalStore
from analytics_platform.reporting.dashboards import build_dashboard
from reporting.conftest import Published
from reporting.kpi_tables import LAST_DAY, KpiTables, catalog_with, publish, renamed, write_kpi_tables

pytestmark = pytest.mark.browser

HOSTILE = "</script><img src=x onerror=alert(1)>"


@dataclass
class Watched:
    """A page, with everything that it complained about or asked the network for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def open(self, path: Path, fragment: str = "") -> Page:
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("dialog", lambda dialog: (self.complaints.append(dialog.message), dialog.dismiss()))
        self.page.goto(f"{path.as_uri()}{fragment}")
        self.page.wait_for_selector(".trend svg")
        return self.page

    def assert_quiet(self) -> None:
        assert self.complaints == []
        assert [url for url in self.requests if not url.startswith(("file:", "data:"))] == []


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    context = browser.new_context(locale="en-GB", viewport={"width": 1440, "height": 900})
    yield Watched(context.new_page())
    context.close()


@pytest.fixture(scope="module")
def pages(published: Published) -> dict[str, Path]:
    return {
        f"{dashboard}/{file.audience}": published.store.local_path(file.key)
        for dashboard in published.catalog.dashboards
        for file in build_dashboard(published.store, published.catalog, dashboard, LAST_DAY)
    }


def shown_value(page: Page, kpi: str) -> str:
    return page.locator(f'[data-card="{kpi}"] [data-slot="value"]').inner_text()


def embedded_value(page: Page, kpi: str, period: str) -> float:
    value: float = page.evaluate(
        "([kpi, period]) => JSON.parse(document.getElementById('figures').textContent)"
        ".kpis.find((one) => one.name === kpi).periods[period].value",
        [kpi, period],
    )
    return value


def test_every_page_is_quiet_offline_and_complete(browser: Browser, pages: dict[str, Path]) -> None:
    for name, path in pages.items():
        context = browser.new_context(locale="en-GB", viewport={"width": 1440, "height": 900})
        watched = Watched(context.new_page())
        page = watched.open(path)
        cards = page.locator(".card .value").all_inner_texts()
        assert len(cards) == (8 if name.startswith("executive") else 2)
        assert all(text.strip() for text in cards)
        page.locator("summary").first.click()
        watched.assert_quiet()
        context.close()


def test_numbers_on_the_page_are_the_numbers_embedded(watched: Watched, pages: dict[str, Path]) -> None:
    page = watched.open(pages["executive_overview/all"])
    euros = embedded_value(page, "mrr", "13w") / 100
    assert shown_value(page, "mrr") == f"€{euros:,.0f}"
    assert shown_value(page, "equipment_utilisation") == f"{embedded_value(page, 'equipment_utilisation', '13w'):.1f}%"
    assert shown_value(page, "qualified_leads") == f"{embedded_value(page, 'qualified_leads', '13w'):,.0f}"
    minutes = round(embedded_value(page, "ticket_resolution", "13w"))
    assert shown_value(page, "ticket_resolution") == f"{minutes // 60}h {minutes % 60}m"


def test_the_period_changes_cards_charts_and_the_address(watched: Watched, pages: dict[str, Path]) -> None:
    page = watched.open(pages["growth/all"])
    drawn = page.locator('[data-panel="qualified_leads"] [data-slot="trend"]').inner_html()
    page.get_by_text("30 days", exact=True).click()
    assert "period=30d" in page.url
    assert shown_value(page, "qualified_leads") == f"{embedded_value(page, 'qualified_leads', '30d'):,.0f}"
    assert page.locator('[data-panel="qualified_leads"] [data-slot="trend"]').inner_html() != drawn
    watched.assert_quiet()


def test_a_drill_down_changes_its_own_panel_alone(watched: Watched, pages: dict[str, Path]) -> None:
    page = watched.open(pages["operations/all"])
    mine, other = (
        page.locator(f'[data-panel="{kpi}"] [data-slot="drill"]')
        for kpi in ("equipment_utilisation", "on_time_departures")
    )
    before = (mine.inner_html(), other.inner_html())
    page.locator("#by-equipment_utilisation").select_option("category")
    assert "equipment_utilisation=category" in page.url
    assert mine.inner_html() != before[0]
    assert "Video walls" in mine.inner_html()
    assert other.inner_html() == before[1]


def test_an_address_brings_back_what_was_chosen(watched: Watched, pages: dict[str, Path]) -> None:
    page = watched.open(pages["operations/all"], "#period=30d&equipment_utilisation=warehouse_id")
    assert page.locator("#period-30d").is_checked()
    assert page.locator("#by-equipment_utilisation").input_value() == "warehouse_id"
    link = page.locator("nav a").first.get_attribute("href") or ""
    assert link.endswith("/executive_overview/all.html#period=30d")


def test_an_address_with_nonsense_shows_the_defaults(watched: Watched, pages: dict[str, Path]) -> None:
    page = watched.open(pages["operations/all"], "#period=%3Cscript%3E&equipment_utilisation=constructor&__proto__=1")
    assert page.locator("#period-13w").is_checked()
    watched.assert_quiet()


def test_the_page_works_by_keyboard_alone(watched: Watched, pages: dict[str, Path]) -> None:
    page = watched.open(pages["finance/all"])
    page.locator("#period-13w").focus()
    page.keyboard.press("ArrowRight")
    assert "period=12m" in page.url
    page.locator('[data-card="mrr"] button').focus()
    definition = page.locator("#definition-mrr")
    assert definition.is_visible()
    page.keyboard.press("Escape")
    assert not definition.is_visible()
    page.locator('[data-panel="mrr"] summary').focus()
    page.keyboard.press("Enter")
    page.locator('[data-panel="mrr"] table caption').nth(1).wait_for()


def test_tables_hold_the_figures_of_the_charts(watched: Watched, pages: dict[str, Path]) -> None:
    page = watched.open(pages["finance/all"])
    page.locator('[data-panel="mrr"] summary').click()
    rows = page.locator('[data-panel="mrr"] table').first.locator("tbody tr")
    rows.first.wait_for()  # drawn when the details open
    assert rows.count() == 2
    newest = page.locator('[data-panel="mrr"] table').nth(1).locator("tbody tr").first.locator("td").first
    assert newest.inner_text() == shown_value(page, "mrr")


def test_dutch_readers_get_dutch_numbers(browser: Browser, pages: dict[str, Path]) -> None:
    context = browser.new_context(locale="nl-NL")
    page = Watched(context.new_page()).open(pages["operations/all"])
    value = embedded_value(page, "equipment_utilisation", "13w")
    assert shown_value(page, "equipment_utilisation") == f"{value:.1f}%".replace(".", ",")
    context.close()


@pytest.mark.parametrize("width", [360, 390, 768, 1440])
def test_nothing_is_wider_than_the_screen(browser: Browser, pages: dict[str, Path], width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800})
    page = Watched(context.new_page()).open(pages["executive_overview/all"])
    page.locator("summary").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    context.close()


def test_bars_start_at_zero_and_lines_are_not_smoothed(watched: Watched, pages: dict[str, Path]) -> None:
    page = watched.open(pages["growth/all"])
    labels = page.locator('[data-panel="qualified_leads"] [data-slot="trend"] svg text').all_text_contents()
    assert "0" in labels
    curves = page.locator('[data-panel="channel_conversion"] [data-slot="trend"] svg path[fill="none"]')
    assert curves.count() > 0
    drawn = " ".join(str(curves.nth(index).get_attribute("d")) for index in range(curves.count()))
    assert "C" not in drawn


def test_the_overview_prints_on_two_pages(watched: Watched, pages: dict[str, Path]) -> None:
    for name, at_most in (("executive_overview/all", 2), ("finance/all", 1)):
        pdf = watched.open(pages[name]).pdf(prefer_css_page_size=True, print_background=True)
        count = pdf.count(b"/Type /Page") - pdf.count(b"/Type /Pages")
        assert 1 <= count <= at_most


def test_hostile_names_and_silent_tenants_are_harmless(browser: Browser, tmp_path: Path) -> None:
    tenants = load_catalog().tenants
    hostile = renamed(tenants["brabant-rental"], "hostile", HOSTILE)
    silent = renamed(tenants["albion-stage"], "silent", "{{ 7 * 7 }}")
    catalog = catalog_with([hostile, silent])
    store = LocalStore(tmp_path / "lake")
    publish(write_kpi_tables(tmp_path / "w.duckdb", KpiTables([hostile], days=2)), store, catalog, LAST_DAY, LAST_DAY)
    for file in build_dashboard(store, catalog, "executive_overview", LAST_DAY):
        context = browser.new_context(viewport={"width": 1440, "height": 900})
        watched = Watched(context.new_page())
        if file.audience == "silent":
            watched.page.goto(store.local_path(file.key).as_uri())
            assert watched.page.locator(".value").first.inner_text() == "no data"
            assert watched.page.locator(".audience").inner_text() == "{{ 7 * 7 }}"
        else:
            page = watched.open(store.local_path(file.key))
            assert page.locator("img").count() == 0
            assert HOSTILE in page.content() or HOSTILE in page.inner_text("body")
        watched.assert_quiet()
        context.close()
