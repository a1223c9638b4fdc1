"""Every page against the rules of axe-core, in each theme and language, wide and on a phone; and what axe cannot see.

A look is a theme with a language: what a rule sees of one does not depend on the other.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from analytics_platform.catalog import Audience
from analytics_platform.reporting.page import IndexRow, render_index
from reporting.conftest import Published, Written
from reporting.opened_pages import Watched, open_every_table

pytestmark = pytest.mark.browser

DASHBOARDS = ("executive_overview", "finance", "operations", "customer_health", "growth")
LOOKS = ("#lang=en&theme=light", "#lang=nl&theme=dark&tenant_id=albion-stage")
WIDTHS = (1440, 390)


@pytest.fixture(scope="session")
def axe() -> str:
    """The rules; without the npm packages, tests that ask for them are skipped unless REQUIRE_NODE is 1."""
    script = Path(__file__).resolve().parents[1] / "clients" / "node_modules" / "axe-core" / "axe.min.js"
    if not script.is_file():
        message = "axe-core is not there: run `npm ci` in tests/clients"
        if os.environ.get("REQUIRE_NODE") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return script.read_text(encoding="utf-8")


def violations(page: Page, axe: str) -> list[str]:
    """What breaks a rule, with the first element that does."""
    page.evaluate(f"{axe}; undefined")
    found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
    return [
        f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:200]} ({one['nodes'][0]['failureSummary']})"
        for one in found
    ]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dashboard", DASHBOARDS)
def test_a_page_breaks_no_rule_of_accessibility(
    browser: Browser, written_pages: dict[tuple[str, str], Written], axe: str, dashboard: str, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900})
    watched = Watched(context.new_page())
    for look in LOOKS:
        page = watched.open(written_pages[dashboard, "admin"].path, look)
        open_every_table(page)
        page.locator(".badge summary").first.click()
        assert violations(page, axe) == []
    context.close()


def test_the_start_page_breaks_no_rule_and_speaks_both_languages(
    browser: Browser, published: Published, axe: str, tmp_path: Path
) -> None:
    rows = [
        IndexRow(Audience("executive"), [(name, f"{name}/executive.html") for name in DASHBOARDS]),
        IndexRow(Audience("tenant_viewer", "albion-stage"), [("finance", "finance/tenant_viewer@albion-stage.html")]),
    ]
    path = tmp_path / "index.html"
    path.write_bytes(render_index(published.catalog, rows))
    context = browser.new_context(viewport={"width": 390, "height": 800}, locale="nl-NL", color_scheme="dark")
    page = context.new_page()
    page.goto(path.as_uri())
    assert page.locator("h1").inner_text() == "Dashboards"
    assert page.locator(".tiles strong").first.inner_text() == "Directieoverzicht"
    assert violations(page, axe) == []
    page.locator("#lang-en").click()
    page.locator("#theme").click()
    assert page.locator(".tiles strong").first.inner_text() == "Executive overview"
    assert str(page.locator(".tiles a").first.get_attribute("href")).endswith("executive.html#lang=en&theme=light")
    assert violations(page, axe) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    context.close()


def test_the_rules_find_what_is_wrong(browser: Browser, axe: str) -> None:
    page = browser.new_page()
    page.set_content("<html lang=en><title>t</title><main><h1>t</h1><button></button><img src='data:,'></main></html>")
    assert {text.split(":")[0] for text in violations(page, axe)} >= {"button-name", "image-alt"}
    page.close()


def test_every_chart_has_a_name_and_a_table_with_a_caption_behind_it(
    browser: Browser, written_pages: dict[tuple[str, str], Written]
) -> None:
    page = browser.new_page()
    for dashboard in DASHBOARDS:
        Watched(page).open(written_pages[dashboard, "admin"].path)
        open_every_table(page)
        for chart in page.locator(".chart[role=img]").all():
            assert chart.get_attribute("aria-label")
        captions = page.locator(".panel").evaluate_all(
            "(all) => all.map((one) => one.querySelectorAll('table caption').length)"
        )
        assert all(captions), dashboard
    page.close()


def test_a_change_is_said_and_nothing_moves_for_who_asks_for_less_motion(
    browser: Browser, written_pages: dict[tuple[str, str], Written]
) -> None:
    context = browser.new_context(reduced_motion="reduce", locale="en-GB")
    page = Watched(context.new_page()).open(written_pages["operations", "admin"].path)
    assert page.evaluate("getComputedStyle(document.documentElement).scrollBehavior") == "auto"
    page.locator("#filter-category").select_option("=lighting")
    assert page.locator("#said").inner_text() == "Now shown: 13 weeks, category Lighting"
    assert page.locator("#said").get_attribute("role") == "status"
    context.close()
