"""Every renderer with every hostile string: what comes out is that string, in one piece, and nothing that runs.

Each sink gives what a reader of it sees, by a parser of that reader's kind. How the strings get there end to end, and
what a browser does with them, is `test_hostile_home`.
"""

from __future__ import annotations

import base64
import csv
import gzip
import io
import json
import unicodedata
from datetime import date
from html.parser import HTMLParser

import duckdb
import polars as pl
import pytest
import sqlglot
from hostile_strings import HOSTILE
from sqlglot import exp

from analytics_platform.alerting.block_kit import link, literal
from analytics_platform.documents import Cell, Column, Document, Notice, Section, Table, render_html, render_pdf
from analytics_platform.documents.words import plain
from analytics_platform.governance.access import duckdb as access_sql
from analytics_platform.intake.collector.logs import _as_bytes
from analytics_platform.lake.extract_csv import csv_bytes
from analytics_platform.portal.html import render
from analytics_platform.reporting.page import embedded_element
from analytics_platform.reporting.power_bi import dax, sources, tmdl

every_string = pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
RUNS = {"script", "svg", "img", "iframe", "object", "embed", "textarea", "base", "form", "meta", "link"}


class Reader(HTMLParser):
    """What a browser would see: its text, and elements and attributes that do something."""

    def __init__(self, page: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.text, self.alive = "", list[str]()
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs if name.startswith("on")]
        addresses = [value or "" for name, value in attrs if name in ("href", "src", "action")]
        self.alive += names + [each for each in addresses if "script:" in each or "evil.test" in each]
        self.alive += [tag] if tag in RUNS - {"meta", "link", "form", "svg", "img"} else []

    def handle_data(self, data: str) -> None:
        self.text += data


def document(text: str) -> Document:
    table = Table(text, [Column(text)], [[Cell(text, note=text)]], text, note=text)
    sections = [Section(text, [table, Notice("warning", text)])]
    return Document("t", text, "en-GB", text, date(2026, 1, 1), [(text, text)], sections)


def squeezed(text: str) -> str:
    return "".join(text.split())


@every_string
def test_a_documents_page_shows_it_and_runs_nothing(text: str) -> None:
    page = Reader(render_html(document(text)))
    assert squeezed(page.text).count(squeezed(plain(text))) >= 5
    assert page.alive == []


def test_a_document_is_set_with_all_of_them() -> None:
    """Typst would stop at the first that it took for a word of its own."""
    rows = [[Cell(text, note=text)] for text in HOSTILE.values()]
    section = Section("\n".join(HOSTILE.values()), [Table("t", [Column("c")], rows, "x")])
    made = Document("t", "s", "en-GB", "a", date(2026, 1, 1), [], [section])
    assert render_pdf(made).startswith(b"%PDF-")


@every_string
def test_the_portals_own_pages_show_it_and_run_nothing(text: str) -> None:
    page = Reader(render("notice.html.j2", "en-GB", title=text, lede=text))
    assert text.replace("\r", "").strip() in page.text.replace("\r", "")
    assert page.alive == []


@every_string
def test_a_dashboards_payload_is_packed_beyond_any_reading(text: str) -> None:
    element = str(embedded_element({text: [text]}))
    head, _, rest = element.partition(">")
    packed, _, tail = rest.partition("<")
    assert (head, tail) == ('<script type="application/octet-stream" id="figures"', "/script>")
    assert json.loads(gzip.decompress(base64.b64decode(packed, validate=True))) == {text: [text]}


@every_string
def test_slack_shows_one_line_that_calls_nobody(text: str) -> None:
    shown = literal(text)
    assert not set(shown) & set("<>\r\n")
    assert shown.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "").count("&") == 0
    assert {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Zl", "Zp", "Cs"} == set()
    assert link("https://ours.example/x", text).count("<") == 1


@every_string
def test_a_sheet_runs_it_in_no_cell(text: str) -> None:
    for separator in (",", ";"):
        data = csv_bytes(pl.DataFrame({"n": [1], "text": [text], "more": [text]})).decode()
        cells = [cell for row in csv.reader(io.StringIO(data, newline=""), delimiter=separator) for cell in row]
        assert not [cell for cell in cells if cell.startswith(("=", "+", "@", "\t", "\r"))]
        assert not [cell for cell in cells if cell.startswith("-") and not cell.strip("-").isdigit()]


@every_string
def test_power_bis_languages_read_it_back_as_one_name_or_text(text: str) -> None:
    try:
        assert tmdl.unquoted(tmdl.quoted(text)) == text
    except tmdl.TmdlError:
        assert not text.isprintable()
    for written in (dax.text(text), sources.m_text(text)):
        inner = written.removeprefix('"').removesuffix('"')
        assert len(written) == len(inner) + 2
        assert '"' not in inner.replace('""', "")
    assert dax.bracketed(text).endswith("]")
    assert "]" not in dax.bracketed(text)[1:-1].replace("]]", "")


@every_string
def test_a_log_is_one_line_of_json(text: str) -> None:
    line = _as_bytes({"event": text, text: 1}, str)
    assert json.loads(line) == {"event": text, text: 1}
    assert not set(line) & set(range(32))


@every_string
def test_sql_has_it_as_one_literal_and_a_parameter_comes_back(text: str) -> None:
    connection = duckdb.connect()
    assert connection.execute("select ?", [text]).fetchall() == [(text,)]
    assert "\x00" in text or connection.execute(f"select {access_sql.literal(text)}").fetchall() == [(text,)]


@every_string
@pytest.mark.parametrize("dialect", ["snowflake", "bigquery", "duckdb"])
def test_what_is_written_into_a_policy_is_one_literal_in_every_dialect_or_refused(dialect: str, text: str) -> None:
    try:
        written = access_sql.plain_literal(text)
    except access_sql.UnquotableNameError:
        assert not (text.isascii() and text.isidentifier())
        return
    (statement,) = sqlglot.parse(f"select 1 where tenant_id = {written}", read=dialect)
    assert statement is not None
    assert [each.this for each in statement.find_all(exp.Literal) if each.is_string] == [text]


def test_the_strings_fit_where_a_client_may_write_them() -> None:
    assert all(0 < len(text) <= 128 for text in HOSTILE.values())
