"""A document with every kind of part, strings that mean harm, and ways to read its forms back."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from typing import Any

import pypdf

from analytics_platform.documents import (
    Cell,
    Chart,
    Column,
    Document,
    Figure,
    Figures,
    Language,
    Notice,
    PageBreak,
    Paragraph,
    Points,
    Quantity,
    Row,
    Section,
    Table,
)
from analytics_platform.documents.charts import Bar, Line, bar_chart, line_chart, sparkline

HOSTILE = '</script><img src=x onerror=alert(1)> #panic() *b* $x$ \\u{41} [c] @ref // <!-- "q" \' {{ 7*7 }}'


def money(minor: float | None, currency: str = "EUR", **how: Any) -> Quantity:
    return Quantity(minor, "money", currency, **how)


def example(language: Language = "en-GB", *, name: str = HOSTILE, long_rows: int = 0) -> Document:
    trend = sparkline([1, 2, None, 3], alt=f"trend of {name}", target=2)
    line = line_chart(
        Line(["2 Nov", "9 Nov", "16 Nov"], [3.0, None, 5.0], target=4, marked=[2]), lambda v: f"{v:g}", alt=name
    )
    bars = bar_chart([Bar(name, 5, "+5", "good"), Bar("Noord", -3, "-3", "bad")], alt=name)
    up, down = Quantity(0.034, "fraction", signed=True), Quantity(-3.25, "points", signed=True)
    kpis = Table(
        f"KPIs of {name}",
        [Column("KPI", width=3), Column("Value", "end", "a week"), Column("Change", "end"), Column("Trend", "end")],
        [
            [Cell(name), Cell(money(123456789)), Cell(up, "good", True), Cell(trend)],
            [Cell("On time"), Cell(Quantity(None, "percent"), note=name), Cell(down, "bad", True), Cell(None)],
        ],
        "nothing",
        note=name,
    )
    cards = Figures(
        [
            Figure(name, Cell(money(98765)), Cell(down, "bad", True, "on last week"), name),
            Figure("Tickets", Cell(Quantity(1501, "minutes"), "warning")),
        ]
    )
    moments = Table(
        "When",
        [Column("What"), Column("Day"), Column("Moment")],
        [[Cell("x", "unknown"), Cell(date(2026, 11, 22)), Cell(datetime(2026, 11, 22, 6, 30, tzinfo=UTC))]],
        "nothing",
    )
    deeper = Section("Deeper", [Paragraph(name), moments])
    rows = [[Cell(f"row {n}"), Cell(Quantity(n * 1000, "count"))] for n in range(long_rows)]
    return Document(
        title="Weekly report",
        subtitle=name,
        language=language,
        author="Data platform",
        dated=date(2026, 11, 22),
        meta=[("Audience", name)],
        sections=[
            Section("In short", [Points([Cell(name, "good"), Cell("Plain")]), cards, Notice("warning", name)]),
            Section(name, [kpis, Row([Chart(name, line), Chart("Moved", bars, name)]), deeper]),
            PageBreak(),
            Section("Long", [Table("Long table", [Column("Row"), Column("Thousands", "end")], rows, f"No {name}")]),
        ],
    )


class _Reader(HTMLParser):
    """Text of a page as a reader sees it, its elements, and what a screen reader is told."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.text: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._hidden += tag in {"style", "script"}
        self.text.append(" " if tag not in {"span", "strong"} else "")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in {"style", "script"}

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.text.append(data)


def read_html(page: bytes) -> tuple[str, list[tuple[str, dict[str, str | None]]]]:
    """The page's text without white space of layout, and its elements with their attributes."""
    reader = _Reader()
    reader.feed(page.decode())
    return squeezed("".join(reader.text)), reader.elements


def read_pdf(pdf: bytes) -> str:
    """The text of all pages; places to break at, which nobody sees, are left out."""
    return squeezed(" ".join(page.extract_text() for page in pypdf.PdfReader(io.BytesIO(pdf)).pages))


def squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("\u200b", "")).strip()


def packed(text: str) -> str:
    """Text without any white space: where a line breaks depends on the form."""
    return re.sub(r"\s+", "", text.replace("\u200b", ""))


def number_texts(tree: Any) -> Iterator[str]:
    """Every written value of a document's tree that has a number or a date behind it."""
    if isinstance(tree, dict):
        if "text" in tree and "value" in tree:
            yield tree["text"]
        for inner in tree.values():
            yield from number_texts(inner)
    elif isinstance(tree, list):
        for inner in tree:
            yield from number_texts(inner)
