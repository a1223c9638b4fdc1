"""The plan as a page: all of the plan, examples that the gate takes, and in a browser quiet, offline and searchable."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import jsonschema_rs
import pytest
from click.testing import CliRunner
from playwright.sync_api import Browser, Page

from analytics_platform.catalog import Catalog
from analytics_platform.cli import main
from analytics_platform.tracking.plan import plan_schemas
from analytics_platform.tracking.plan_page import example_message, render_plan_page

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


@pytest.fixture(scope="module")
def written(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "plan.html"
    result = CliRunner().invoke(main, ["taxonomy", "page", "--out", str(path)])
    assert result.exit_code == 0, result.output
    return path


@pytest.fixture(params=[DESK, PHONE], ids=["desk", "phone"])
def page(request: pytest.FixtureRequest, browser: Browser, written: Path) -> Iterator[Page]:
    """The page, which must not complain or ask the network for anything."""
    context = browser.new_context(viewport=request.param)
    opened = context.new_page()
    complaints: list[str] = []
    requests: list[str] = []
    opened.on("console", lambda message: complaints.append(message.text))
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda asked: requests.append(asked.url))
    opened.goto(written.as_uri())
    yield opened
    context.close()
    assert complaints == []
    assert requests == [written.as_uri()]


def test_every_example_is_taken_by_the_plan(catalog: Catalog) -> None:
    for name, schema in plan_schemas(catalog).items():
        message = example_message(catalog.events[name])
        problems = jsonschema_rs.Draft7Validator(schema, validate_formats=True).iter_errors(message["properties"])
        assert [f"{name}: {problem}" for problem in problems] == []


def test_the_page_is_the_same_each_time(catalog: Catalog) -> None:
    assert render_plan_page(catalog) == render_plan_page(catalog)


def test_text_of_the_plan_cannot_become_markup(catalog: Catalog) -> None:
    lead = catalog.events["lead.created"].model_copy(update={"description": "</script><img src=x onerror=alert(1)>"})
    marketing = catalog.streams["marketing"].model_copy(update={"events": (lead,)})
    spoilt = catalog.model_copy(update={"streams": {**catalog.streams, "marketing": marketing}})
    spoilt.__dict__.pop("events", None)

    assert "&lt;img src=x" in render_plan_page(spoilt)
    assert "<img" not in render_plan_page(spoilt)


@pytest.mark.browser
def test_every_event_and_property_is_on_the_page(page: Page, catalog: Catalog) -> None:
    for event in catalog.events.values():
        names = page.locator(f"#{event.table_name} tbody th code").all_text_contents()
        assert sorted(names) == sorted(field.name for field in event.all_fields)


@pytest.mark.browser
def test_the_page_is_not_wider_than_the_screen(page: Page) -> None:
    for summary in page.locator("summary").all()[:3]:
        summary.click()

    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.browser
def test_search_leaves_what_has_all_words_and_says_how_many(page: Page, catalog: Catalog) -> None:
    page.fill("#search", "OPERATOR_ref  scanned_at")

    shown = page.locator("article:visible").evaluate_all("all => all.map(each => each.dataset.event)")
    assert shown == ["scan.completed", "scan.exception"]
    assert page.text_content("#found") == f"2 of {len(catalog.events)} events"
    assert page.locator("main > section:visible").count() == 1

    page.fill("#search", "nothing-has-this")
    assert page.is_visible("#none")

    page.fill("#search", "")
    assert page.locator("article:visible").count() == len(catalog.events)
