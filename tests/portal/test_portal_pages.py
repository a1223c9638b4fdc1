"""What readers see: the start page and the login, in a real browser and with what is new."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Browser, Page
from portal_lake import MONDAY, PASSWORD, Lake, Start, plant

from analytics_platform.alerting.findings import Failure, Finding
from analytics_platform.alerting.incidents import Incident
from analytics_platform.catalog import Audience, Catalog
from analytics_platform.governance.access.policy import pages_policy
from analytics_platform.portal.html import own_policy
from analytics_platform.portal.rights import Principal, Rights
from analytics_platform.portal.shelf import Shelf
from analytics_platform.portal.start import Reader, StartPage, StartPages
from analytics_platform.portal.words import WORDS, language_of
from analytics_platform.settings import Settings

AXE = Path(__file__).parents[1] / "clients" / "node_modules" / "axe-core" / "axe.min.js"
ZONE = ZoneInfo("Europe/Amsterdam")


@pytest.fixture
def opened(browser: Browser, local_home: Lake, start: Start) -> Iterator[Any]:
    """Opens pages of a portal in contexts of their own, and sees to it that nothing complained."""
    client = start(Settings(home=local_home.home))
    complaints: list[str] = []
    contexts = []

    def open_page(**context: object) -> Page:
        contexts.append(browser.new_context(base_url=str(client.base_url), **context))  # type: ignore[arg-type]
        page = contexts[-1].new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield open_page
    for context in contexts:
        context.close()
    told = ("status of 40", "Clear-Site-Data")  # a refusal that was asked for, and that signing out empties the cache
    assert [each for each in complaints if not any(part in each for part in told)] == []


def signed_in(page: Page, user: str) -> Page:
    page.goto("/")
    page.get_by_label("User").fill(user)
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/")
    return page


def violations(page: Page) -> list[str]:
    """What axe-core finds; it runs beside the page's policy, which allows no script."""
    found = page.evaluate("axe.run().then((result) => result.violations.map((each) => each.id + ': ' + each.help))")
    return list(found)


@pytest.mark.browser
def test_somebody_signs_in_by_keyboard_opens_a_page_and_leaves(opened: Any) -> None:
    page = opened(locale="en-GB", viewport={"width": 1280, "height": 900})
    page.goto("/dashboards/finance/executive.html")
    assert page.evaluate("document.activeElement.id") == "user"
    page.keyboard.type("eva")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**/dashboards/finance/executive.html")
    page.goto("/")
    assert page.get_by_role("heading", level=1).inner_text() == "Dashboards and reports"
    assert page.get_by_role("heading", level=2).all_inner_texts()[1:] == [
        "Dashboards",
        "Weekly reports",
        "Governance",
        "Data and definitions",
    ]
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/login")
    page.go_back()
    page.reload()
    assert "/login" in page.url


@pytest.mark.browser
@pytest.mark.parametrize(
    ("locale", "scheme", "width"), [("en-GB", "light", 1280), ("nl-NL", "dark", 390)], ids=["desktop", "phone at night"]
)
def test_pages_are_accessible_in_both_languages_and_on_a_phone(
    opened: Any, locale: str, scheme: str, width: int
) -> None:
    page = opened(locale=locale, color_scheme=scheme, viewport={"width": width, "height": 844}, bypass_csp=True)
    page.add_init_script(path=AXE)
    page.goto("/login")
    page.locator("#user").fill("eva")
    page.locator("#password").fill("not the password")
    page.keyboard.press("Enter")
    page.wait_for_selector("[role=alert]")
    assert violations(page) == []
    page.locator("#user").fill("eva")
    page.locator("#password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_selector(".tiles")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("html").get_attribute("lang") == locale[:2]
    page.goto("/nothing.html")
    assert violations(page) == []


@pytest.mark.browser
def test_a_language_that_was_chosen_stays(opened: Any) -> None:
    page = signed_in(opened(locale="en-GB"), "tom")
    page.get_by_role("link", name="Nederlands").click()
    page.get_by_role("heading", name="Weekrapporten").wait_for()
    page.goto("/")
    assert page.get_by_role("link", name="Directieoverzicht").is_visible()
    assert page.get_by_text("Brabant").count() + page.get_by_text("Albion").count() > 0


@pytest.mark.browser
def test_a_link_from_elsewhere_opens_for_whoever_is_signed_in(opened: Any, tmp_path: Path) -> None:
    page = signed_in(opened(locale="en-GB"), "eva")
    target = page.url + "dashboards/finance/executive.html"
    mail = tmp_path / "mail.html"
    mail.write_text(f'<!doctype html><html lang="en"><title>Mail</title><a href="{target}">The figures</a>')
    page.goto(mail.as_uri())
    page.get_by_role("link").click()
    page.wait_for_url("**/dashboards/finance/executive.html")
    page.get_by_text("dashboards/finance/executive.html").wait_for()
    stranger = opened(locale="en-GB")
    stranger.goto(mail.as_uri())
    stranger.get_by_role("link").click()
    stranger.wait_for_url("**/login?next=dashboards%2Ffinance%2Fexecutive.html")


SCRIPT = "document.querySelector('p').textContent = 'drawn'"


@pytest.mark.browser
def test_a_pages_own_scripts_and_links_work_behind_the_portals_headers(opened: Any, local_home: Lake) -> None:
    allowed = base64.b64encode(hashlib.sha256(SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; script-src 'sha256-{allowed}'; img-src data:"
    page_text = (
        f'<!doctype html><html lang="en"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<link rel="icon" href="data:,"><title>Growth</title><p>empty</p>'
        f'<a href="../finance/executive.html">Finance</a><script>{SCRIPT}</script>'
    )
    local_home.store.put("dashboards/growth/executive.html", page_text.encode())
    page = signed_in(opened(locale="en-GB"), "eva")
    page.goto("/dashboards/growth/executive.html#period=30d")
    assert page.locator("p").inner_text() == "drawn"
    page.get_by_role("link", name="Finance").click()
    page.wait_for_url("**/dashboards/finance/executive.html")
    page.get_by_text("dashboards/finance/executive.html").wait_for()


class Scene:
    """Start pages of a lake of one's own."""

    def __init__(self, home: Path, catalog: Catalog, incidents: list[Incident]) -> None:
        self.lake = plant(home, catalog)
        self.rights = Rights(catalog, pages_policy(catalog), {}, b"")
        shelf = Shelf(self.lake.store, lambda: datetime.now(ZONE).date())
        self._starts = StartPages(self.lake.store, shelf, lambda: incidents, ZONE)

    def page(self, *audiences: Audience, since: datetime | None = None, now: datetime | None = None) -> StartPage:
        reader = Reader(Principal("usr_1", audiences), "en-GB", since, now or datetime.now(ZONE))
        return self._starts.page(self.rights, reader)


def test_what_was_published_since_the_last_visit_is_told(tmp_path: Path, catalog: Catalog) -> None:
    scene = Scene(tmp_path, catalog, [])
    executive = Audience("executive")
    assert scene.page(executive).changed == (), "on a first visit all of it is new"
    before = datetime.now(UTC)
    assert scene.page(executive, since=before).changed == ()
    scene.lake.store.put("dashboards/finance/executive.html", b"new")
    scene.lake.store.put("dashboards/finance/admin.html", b"new too, and not for them")
    for monday in (MONDAY, MONDAY - timedelta(days=7)):
        scene.lake.store.put(f"reports/weekly/week={monday}/all.html", b"built anew")
    last_week = datetime.combine(MONDAY + timedelta(days=3), time(12), ZONE)
    weeks = [
        (line.title.partition(":")[0], line.mark) for line in scene.page(executive, since=last_week).groups[1].lines
    ]
    newest, older = (f"Week {day.isocalendar().week}" for day in (MONDAY, MONDAY - timedelta(days=7)))
    assert weeks == [(newest, "new"), (older, "changed")]
    told = {(line.title.partition(":")[0], line.mark) for line in scene.page(executive, since=before).changed}
    assert told == {("Finance", "changed"), (newest, "changed"), (older, "changed")}


def test_a_page_that_should_be_there_by_now_is_late(tmp_path: Path, catalog: Catalog) -> None:
    scene = Scene(tmp_path, catalog, [])
    tomorrow = datetime.now(ZONE) + timedelta(days=1)
    group = scene.page(Audience("executive"), now=tomorrow.replace(hour=23, minute=59)).groups[0]
    assert {line.is_late for line in group.lines} == {True}
    group = scene.page(Audience("executive"), now=tomorrow.replace(hour=0, minute=1)).groups[0]
    assert {line.is_late for line in group.lines} == {False}


def incident(tenant: str | None, number: int, severity: str = "warning") -> Incident:
    finding = Finding.model_validate(
        {
            "failure": Failure.CHECK_FAILED,
            "asset": "kpi/revenue/kpi_mrr",
            "dataset": "kpi.kpi_mrr",
            "check": "x",
            "tenant": tenant,
            "since": datetime(2026, 3, 2, tzinfo=UTC),
        }
    )
    at = datetime(2026, 3, 2, number, tzinfo=UTC)
    return Incident.model_validate(
        {
            "id": f"I-{number}",
            "cause": finding,
            "failing": (finding,),
            "seen": (finding.fingerprint,),
            "severity": severity,
            "owner": "finance",
            "channel": "#finance",
            "dashboards": (),
            "status": "open",
            "opened_at": at,
            "turned_at": at,
            "recovered_at": None,
            "openings": (at,),
        }
    )


def test_incidents_are_told_to_roles_that_may_see_them_the_gravest_first(tmp_path: Path, catalog: Catalog) -> None:
    one, two, *_ = catalog.tenants
    found = [incident(one, 1), incident(two, 2, "critical"), *(incident(None, number) for number in range(3, 8))]
    scene = Scene(tmp_path, catalog, found)
    page = scene.page(Audience("admin"))
    assert "critical" in page.incidents[0]
    assert catalog.tenants[two].name in page.incidents[0]
    assert (len(page.incidents), page.more_incidents) == (5, 2)
    assert scene.page(Audience("executive")).incidents == ()
    assert scene.page(Audience("tenant_viewer", one)).incidents == ()
    viewer = catalog.access_roles["tenant_viewer"]
    widened = viewer.model_copy(update={"datasets": (*viewer.datasets, "ops.incidents")})
    roles = {**catalog.access_roles, "tenant_viewer": widened}
    scene.rights = Rights(catalog.model_copy(update={"access_roles": roles}), scene.rights.policy, {}, b"")
    (told,) = scene.page(Audience("tenant_viewer", one)).incidents
    assert catalog.tenants[one].name in told


def test_languages_say_the_same_things() -> None:
    assert WORDS["en-GB"].keys() == WORDS["nl-NL"].keys()
    placeholders = {
        name: {part.partition("}")[0] for part in text.split("{")[1:]} for name, text in WORDS["en-GB"].items()
    }
    for name, text in WORDS["nl-NL"].items():
        assert {part.partition("}")[0] for part in text.split("{")[1:]} == placeholders[name], name


@pytest.mark.parametrize(
    ("chosen", "accepted", "language"),
    [
        ("nl-NL", "en", "nl-NL"),
        ("xx", "nl-BE,nl;q=0.9,en;q=0.8", "nl-NL"),
        (None, "de-DE,en-US;q=0.7", "en-GB"),
        (None, "de", "nl-NL"),
        (None, None, "nl-NL"),
    ],
)
def test_the_language_is_the_one_that_was_asked_for(chosen: str | None, accepted: str | None, language: str) -> None:
    assert language_of(chosen, accepted, "nl-NL") == language


def test_the_portals_own_pages_run_nothing() -> None:
    policy = own_policy()
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "script-src" not in policy
    assert "unsafe" not in policy
