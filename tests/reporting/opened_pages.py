"""Pages as a browser shows them: opened, watched, and compared with what Python computes from the same payload."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page

from analytics_platform.reporting import shown

Payload = Mapping[str, Any]
Filters = Mapping[str, str | None]


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
        self.page.wait_for_selector("html[data-ready]")
        return self.page

    def assert_quiet(self) -> None:
        assert self.complaints == []
        assert [url for url in self.requests if not url.startswith(("file:", "data:"))] == []


def kpi_of(payload: Payload, name: str) -> Payload:
    (found,) = (kpi for kpi in payload["kpis"] if kpi["name"] == name)
    return dict(found)


def card_text(page: Page, kpi: str, part: str = "value") -> str:
    return page.locator(f'[data-card="{kpi}"] [data-slot="{part}"]').inner_text()


def all_card_texts(page: Page) -> dict[str, str]:
    cards = page.locator("[data-card]")
    return {
        str(card.get_attribute("data-card")): card.locator('[data-slot="value"]').inner_text() for card in cards.all()
    }


def view_of(payload: Payload, name: str) -> Payload:
    (found,) = (view for view in payload["views"] if view["name"] == name)
    return dict(found)


def view_figure(
    payload: Payload, view: Payload, measure: str, place: Mapping[str, str | None], filters: Filters | None = None
) -> float | None:
    """A measure of a view over the period of 13 weeks: at a place on its axes, under filters."""
    axes = {axis["column"]: axis["values"] for axis in view["axes"]}
    codes = {name: axes[name].index(value) for name, value in place.items()}
    for name, value in (filters or {}).items():
        codes[name] = payload["dimensions"][name]["values"].index(value)
    slots = view["periods"]["13w"]["slots"]
    slot = slots["buckets"][1] - 1 if slots["total"] is None else slots["total"]
    return shown.added(view["cube"], codes, measure, [slot])


def open_tables(tables: Locator) -> None:
    """Open the tables behind a chart and wait for them: a browser tells the page later that they were opened."""
    tables.locator("summary").click()
    tables.locator("table").first.wait_for()


def open_every_table(page: Page) -> None:
    """Open every table of a page, and wait until the page heard of the last (it hears of them in their order)."""
    page.evaluate("""
        async () => {
          const tables = [...document.querySelectorAll("details.tables")].filter((each) => !each.open);
          if (tables.length === 0) return;
          const told = new Promise((done) => tables.at(-1).addEventListener("toggle", done, { once: true }));
          for (const each of tables) each.open = true;
          await told;
        }
    """)


def table_of(page: Page, view: str) -> dict[str, list[str]]:
    """The rows of a view's table by their name."""
    panel = page.locator(f'[data-view="{view}"]')
    if panel.locator("details.tables").count() and not panel.locator("table").count():
        open_tables(panel.locator("details.tables"))
    panel.locator("table").wait_for()
    rows = panel.locator("tbody tr").all()
    return {row.locator("th").inner_text(): row.locator("td").all_inner_texts() for row in rows}


def expected_texts(
    payload: Payload, period: str, filters: Filters | None = None, language: str = "en"
) -> dict[str, str]:
    """The text of every card, from figures that Python adds up."""
    texts = {}
    for kpi in payload["kpis"]:
        value = shown.figure(payload, kpi, period, filters or {})
        texts[kpi["name"]] = number_text(kpi, value, language)
    return texts


def number_text(of: Payload, value: float | None, language: str = "en") -> str:
    """A figure as the page writes it on a card."""
    if value is None:
        return {"en": "no data", "nl": "geen gegevens"}[language]
    text = {
        "money_minor": lambda: _money_text(of["currency"], value, language),
        "percent": lambda: f"{_half_up(value, 1):,.1f}%",
        "score": lambda: _score_text(value),
        "minutes": lambda: _duration_text(value, language),
        "count": lambda: f"{value:,.0f}" if float(value).is_integer() else f"{_half_up(value, 1):,.1f}",
    }[of["unit"]]()
    swapped = text.translate(str.maketrans({",": ".", ".": ","})) if language == "nl" else text
    return swapped.replace("-", "\u2212")


def _half_up(value: float, digits: int) -> float:
    """Browsers round halves away from zero, Python to even."""
    scaled = abs(value) * 10**digits
    return (1 if value >= 0 else -1) * int(scaled + 0.5) / 10**digits


def _money_text(currency: str, value: float, language: str) -> str:
    symbol = {"EUR": "€", "GBP": "£"}[currency]
    major = abs(value) / 100
    digits = 0 if major >= 1000 or major.is_integer() else 2
    space = "\u00a0" if language == "nl" else ""
    sign = "-" if value < 0 else ""
    return f"{symbol}{space}{sign}{major:,.{digits}f}" if language == "nl" else f"{sign}{symbol}{major:,.{digits}f}"


def _score_text(value: float) -> str:
    rounded = _half_up(value, 1)
    return f"{rounded:+.1f}".removesuffix(".0") if rounded else "0"


def _duration_text(minutes: float, language: str) -> str:
    hour, minute, day = {"en": ("h", "m", "d"), "nl": (" u", " min", " d")}[language]
    whole = int(abs(minutes) + 0.5)
    if whole < 60:
        return f"{whole}{minute}"
    if whole < 2880:
        return f"{whole // 60}{hour}" + (f" {whole % 60}{minute}" if whole % 60 else "")
    hours = int(whole / 60 + 0.5)
    return f"{hours // 24}{day}" + (f" {hours % 24}{hour}" if hours % 24 else "")
