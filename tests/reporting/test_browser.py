"""The pages in a real browser: quiet, offline, and showing the numbers that Python computes of the same cells."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page
from pypdf import PdfReader

from analytics_platform.catalog import Audience, Tenant, load_catalog
from analytics_platform.reporting import shown
from reporting.conftest import Published, Written, write_pages
from reporting.kpi_tables import renamed
from reporting.opened_pages import (
    Watched,
    all_card_texts,
    card_text,
    expected_texts,
    kpi_of,
    number_text,
    open_every_table,
    open_tables,
)

pytestmark = pytest.mark.browser

HOSTILE = "</script><img src=x onerror=alert(1)>"
HOSTILE_NAMES = (HOSTILE, "\"'`;--", "\u202egnitset", "x" * 400, "{{ 7 * 7 }}", "<b>&amp;")
ADMIN, TENANT = "admin", "tenant_viewer@albion-stage"

Pages = dict[tuple[str, str], Written]
Publish = Callable[..., Published]


@pytest.fixture
def watched(browser: Browser) -> Iterator[Watched]:
    context = browser.new_context(locale="en-GB", viewport={"width": 1440, "height": 900})
    yield Watched(context.new_page())
    context.close()


def chosen(page: Page) -> dict[str, str]:
    """What the address says."""
    return {key: values[0] for key, values in parse_qs(urlsplit(page.url).fragment, keep_blank_values=True).items()}


def test_every_page_is_quiet_offline_and_shows_the_numbers_of_python(watched: Watched, written_pages: Pages) -> None:
    for written in written_pages.values():
        page = watched.open(written.path)
        assert all_card_texts(page) == expected_texts(written.payload, "13w")
        open_tables(page.locator("details.tables").first)
    watched.assert_quiet()


def test_every_period_shows_its_own_numbers(watched: Watched, written_pages: Pages) -> None:
    written = written_pages["executive_overview", TENANT]
    page = watched.open(written.path)
    for period in ("30d", "12m"):
        page.locator(f'label[for="period-{period}"]').click()
        assert all_card_texts(page) == expected_texts(written.payload, period)


def test_a_dutch_reader_gets_dutch_words_numbers_and_dates(browser: Browser, written_pages: Pages) -> None:
    context = browser.new_context(locale="nl-NL")
    written = written_pages["finance", ADMIN]
    page = Watched(context.new_page()).open(written.path)
    assert page.locator("html").get_attribute("lang") == "nl"
    assert page.locator("h1").inner_text() == "Financiën"
    assert page.locator("nav a").nth(1).inner_text() == "Financiën"
    assert all_card_texts(page) == expected_texts(written.payload, "13w", language="nl")
    assert "juni" in page.locator("#as-of").inner_text()
    context.close()


def test_the_language_switch_changes_every_word_and_keeps_the_focus(watched: Watched, written_pages: Pages) -> None:
    page = watched.open(written_pages["executive_overview", ADMIN].path)
    english = page.locator("main").inner_text().splitlines()
    page.locator("#lang-nl").click()
    assert chosen(page)["lang"] == "nl"
    assert page.evaluate("document.activeElement.id") == "lang-nl"
    dutch = page.locator("main").inner_text().splitlines()
    same = {line for line in english if line in dutch and len(re.findall(r"[a-zA-Z]{3,}", line)) > 2}
    assert same == {"Net promoter score", "Paid search spring"}  # a name of its own, and one of the data
    page.reload()
    page.wait_for_selector("html[data-ready]")
    assert page.locator("h1").inner_text() == "Directieoverzicht"


def test_the_theme_follows_the_system_until_the_reader_chooses(browser: Browser, written_pages: Pages) -> None:
    context = browser.new_context(color_scheme="dark", locale="en-GB")
    page = Watched(context.new_page()).open(written_pages["growth", ADMIN].path)
    paper = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(paper)
    page.get_by_role("button", name="Light").click()
    assert chosen(page)["theme"] == "light"
    assert page.evaluate(paper) != dark
    assert page.get_by_role("button", name="Dark").is_visible()
    context.close()


@pytest.mark.parametrize("audience", [ADMIN, TENANT])
def test_a_filter_shows_that_part_alone_and_back_takes_it_back(
    watched: Watched, written_pages: Pages, audience: str
) -> None:
    written = written_pages["executive_overview", audience]
    page = watched.open(written.path)
    before = all_card_texts(page)
    page.locator("#filter-category").select_option("=lighting")
    filtered = expected_texts(written.payload, "13w", {"category": "lighting"})
    assert all_card_texts(page) == filtered
    assert [name for name, text in filtered.items() if text != before[name]] == ["equipment_utilisation"]
    assert card_text(page, "mrr", "unsplit") == "not split by category: shown for all"
    assert card_text(page, "equipment_utilisation", "unsplit") == ""
    assert page.locator("#chip-category").inner_text().startswith("Category: Lighting")
    page.go_back()
    assert all_card_texts(page) == before
    page.go_forward()
    assert all_card_texts(page) == filtered
    page.locator("#chip-category").click()
    assert all_card_texts(page) == before
    watched.assert_quiet()


def test_two_filters_hold_together_and_narrow_each_other(watched: Watched, written_pages: Pages) -> None:
    written = written_pages["operations", ADMIN]
    filters = {"tenant_id": "albion-stage", "warehouse_id": "wh-alb-2"}
    page = watched.open(written.path, "#tenant_id=albion-stage")
    options = page.locator("#filter-warehouse_id option").all_inner_texts()
    assert options == ["All", "wh-alb-1", "wh-alb-2", "wh-alb-3"]
    page.locator("#filter-warehouse_id").select_option("=wh-alb-2")
    assert all_card_texts(page) == expected_texts(written.payload, "13w", filters)
    page.locator("#chips-clear").click()
    assert chosen(page) == {}


def test_a_filter_that_leaves_nothing_says_so(watched: Watched, written_pages: Pages) -> None:
    page = watched.open(written_pages["operations", ADMIN].path, "#tenant_id=albion-stage&warehouse_id=wh-bra-1")
    assert card_text(page, "equipment_utilisation") == "no data"
    assert page.locator('[data-panel="equipment_utilisation"] [data-slot="trend"] .empty').is_visible()
    watched.assert_quiet()


def test_a_median_of_a_part_is_the_one_that_python_took(watched: Watched, written_pages: Pages) -> None:
    written = written_pages["customer_health", ADMIN]
    filters = {"tenant_id": "brabant-rental", "priority": "urgent"}
    page = watched.open(written.path, "#tenant_id=brabant-rental&priority=urgent")
    assert all_card_texts(page) == expected_texts(written.payload, "13w", filters)
    page.locator("#filter-ticket_category").select_option("=billing")
    assert card_text(page, "ticket_resolution", "unsplit") == "not computed for these filters together: clear one"


def test_a_bar_filters_the_page_by_click_and_by_key(watched: Watched, written_pages: Pages) -> None:
    written = written_pages["operations", ADMIN]
    page = watched.open(written.path)
    page.locator("#by-equipment_utilisation").select_option("category")
    assert chosen(page)["by.equipment_utilisation"] == "category"
    bar = page.locator('[data-panel="equipment_utilisation"] .bars button', has_text="Video walls")
    bar.focus()
    page.keyboard.press("Enter")
    assert chosen(page)["category"] == "video_walls"
    assert all_card_texts(page) == expected_texts(written.payload, "13w", {"category": "video_walls"})
    assert bar.get_attribute("aria-pressed") == "true"
    assert "video_walls" not in (page.evaluate("document.activeElement.id") or "video_walls")
    assert page.locator('[data-panel="equipment_utilisation"] .bars button').count() == 6
    bar.click()
    assert "category" not in chosen(page)


def test_bars_and_tables_hold_the_figures_of_python(watched: Watched, written_pages: Pages) -> None:
    written = written_pages["operations", ADMIN]
    page = watched.open(written.path, "#tenant_id=brabant-rental&by.equipment_utilisation=category")
    open_tables(page.locator("#tables-equipment_utilisation"))
    kpi = kpi_of(written.payload, "equipment_utilisation")
    dimension = written.payload["dimensions"]["category"]
    expected = {
        label: number_text(
            kpi, shown.figure(written.payload, kpi, "13w", {"tenant_id": "brabant-rental", "category": value})
        )
        for value, label in zip(dimension["values"], dimension["labels"], strict=True)
    }
    panel = page.locator('[data-panel="equipment_utilisation"]')
    bars = dict(
        zip(
            panel.locator(".bars .name").all_inner_texts(),
            panel.locator(".bars .number").all_inner_texts(),
            strict=True,
        )
    )
    assert bars == expected
    parts, trend = (panel.locator("table").nth(index).locator("tbody tr") for index in (0, 1))
    assert {row.locator("th").inner_text(): row.locator("td").first.inner_text() for row in parts.all()} == expected
    points = [row.locator("td").first.inner_text() for row in trend.all()]
    assert points[::-1] == [
        number_text(kpi, value) for value in shown.trend(written.payload, kpi, "13w", {"tenant_id": "brabant-rental"})
    ]


def test_links_to_other_dashboards_keep_what_was_chosen(watched: Watched, written_pages: Pages) -> None:
    page = watched.open(
        written_pages["growth", ADMIN].path, "#period=30d&tenant_id=albion-stage&channel=email&theme=dark"
    )
    page.get_by_role("link", name="Operations").click()
    page.wait_for_url("**/operations/**")
    page.wait_for_selector("html[data-ready]")
    assert chosen(page) == {"period": "30d", "tenant_id": "albion-stage", "channel": "email", "theme": "dark"}
    filters = {"tenant_id": "albion-stage"}
    written = written_pages["operations", ADMIN]
    assert all_card_texts(page) == expected_texts(written.payload, "30d", filters)
    assert page.locator(".chip").all_inner_texts()[0].startswith("Tenant: ")


@pytest.mark.parametrize(
    "fragment",
    [
        "#period=%3Cscript%3E&by.mrr=constructor&__proto__=1&lang=constructor&theme=__proto__",
        "#tenant_id=nobody&toString=1",
        "#%E0%A4%A&&&=&====",
    ],
)
def test_an_address_with_nonsense_shows_the_defaults(watched: Watched, written_pages: Pages, fragment: str) -> None:
    written = written_pages["finance", ADMIN]
    page = watched.open(written.path, fragment)
    assert all_card_texts(page) == expected_texts(written.payload, "13w")
    assert page.locator("#period-13w").is_checked()
    watched.assert_quiet()


def test_the_page_works_by_keyboard_alone(watched: Watched, written_pages: Pages) -> None:
    page = watched.open(written_pages["finance", ADMIN].path)
    page.locator("#period-13w").focus()
    page.keyboard.press("ArrowRight")
    assert chosen(page)["period"] == "12m"
    assert "12 months" in page.locator("#said").inner_text()
    page.locator('[data-card="mrr"] .hint button').focus()
    definition = page.locator("#definition-mrr")
    assert definition.is_visible()
    page.keyboard.press("Escape")
    assert not definition.is_visible()
    badge = page.locator('[data-card="mrr"] .badge summary')
    badge.focus()
    page.keyboard.press("Enter")
    assert page.locator('[data-card="mrr"] .popover').is_visible()
    page.keyboard.press("Escape")
    assert not page.locator('[data-card="mrr"] .popover').is_visible()
    page.locator("#tables-mrr summary").focus()
    page.keyboard.press("Enter")
    page.locator("#tables-mrr table caption").nth(1).wait_for()


@pytest.mark.parametrize("width", [360, 390, 768, 1440])
def test_nothing_is_wider_than_the_screen(browser: Browser, written_pages: Pages, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, locale="nl-NL")
    watched = Watched(context.new_page())
    for dashboard in ("executive_overview", "finance", "growth"):
        page = watched.open(written_pages[dashboard, ADMIN].path)
        open_tables(page.locator("details.tables").first)
        assert page.evaluate("document.documentElement.scrollWidth") == width
    context.close()


def test_bars_start_at_zero_and_lines_are_not_smoothed(watched: Watched, written_pages: Pages) -> None:
    page = watched.open(written_pages["growth", ADMIN].path)
    labels = page.locator('[data-panel="qualified_leads"] [data-slot="trend"] svg text').all_text_contents()
    assert "0" in labels
    curves = page.locator('[data-panel="channel_conversion"] [data-slot="trend"] svg path[fill="none"]')
    assert curves.count() > 0
    drawn = " ".join(str(curves.nth(index).get_attribute("d")) for index in range(curves.count()))
    assert "C" not in drawn


@pytest.mark.parametrize("audience", [ADMIN, TENANT])
def test_every_page_prints_on_at_most_two_pages(watched: Watched, written_pages: Pages, audience: str) -> None:
    for (_, whose), written in written_pages.items():
        if whose == audience:
            page = watched.open(written.path, "#lang=nl&theme=dark")
            pdf = page.pdf(prefer_css_page_size=True, print_background=True)
            assert 1 <= len(PdfReader(io.BytesIO(pdf)).pages) <= 2, written.path


def test_paper_is_light_and_the_screen_is_dark_again_after_it(watched: Watched, written_pages: Pages) -> None:
    page = watched.open(written_pages["finance", ADMIN].path, "#theme=dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("html").get_attribute("data-theme") == "light"
    size = page.locator(".chart svg").first.get_attribute("width")
    assert size is not None
    assert float(size) < 400  # drawn anew for the narrower paper
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator("html").get_attribute("data-theme") == "dark"


def _called(name: str, number: int) -> Tenant:
    like = load_catalog().tenants["brabant-rental" if number % 2 else "albion-stage"]
    return renamed(like, f"hostile-{number}", name)


def _hostile_labels(payload: dict[str, Any]) -> None:
    """Make every word that producers choose an attack, in each dimension."""
    for column, dimension in payload["dimensions"].items():
        if column != "tenant_id":
            attacks = (f"{HOSTILE_NAMES[code % len(HOSTILE_NAMES)]}{code}" for code in range(len(dimension["values"])))
            dimension["values"] = dimension["labels"] = list(attacks)
    for view in payload["views"]:
        for axis in view["axes"]:
            axis["values"] = axis["labels"] = [
                f"{HOSTILE_NAMES[code % 6]}{code}" for code in range(len(axis["values"]))
            ]


def test_hostile_names_are_shown_as_they_are_and_do_nothing(
    browser: Browser, publish_tenants: Publish, tmp_path: Path
) -> None:
    lake = publish_tenants([_called(name, number) for number, name in enumerate(HOSTILE_NAMES)], days=2)
    audiences = [Audience("admin"), Audience("tenant_viewer", "hostile-0")]
    written_pages = write_pages(
        lake, tmp_path / "pages", audiences, ["executive_overview", "operations", "growth"], _hostile_labels
    )
    for written in written_pages.values():
        context = browser.new_context(viewport={"width": 390, "height": 800}, locale="en-GB")
        watched = Watched(context.new_page())
        page = watched.open(written.path)
        open_every_table(page)
        page.locator(".panel .bars button").first.click()
        assert page.locator("img").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        assert HOSTILE in page.locator("body").inner_text()
        assert len(all_card_texts(page)) == len(written.payload["kpis"])
        watched.assert_quiet()
        context.close()


def test_a_tenant_without_any_row_gets_a_page_that_says_so(
    watched: Watched, publish_tenants: Publish, tmp_path: Path
) -> None:
    tenants = load_catalog().tenants
    lake = publish_tenants([tenants["brabant-rental"]], days=2, silent=[tenants["albion-stage"]])
    audience = Audience("tenant_viewer", "albion-stage")
    for written in write_pages(lake, tmp_path / "pages", [audience]).values():
        page = watched.open(written.path)
        assert set(all_card_texts(page).values()) == {"no data"}
        assert page.locator(".audience").inner_text() == tenants["albion-stage"].name
    watched.assert_quiet()
