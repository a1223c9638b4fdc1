from __future__ import annotations

import io
import json
import re
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pypdf
import pytest
from document_examples import HOSTILE, example, number_texts, packed, read_html, read_pdf
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics_platform.documents import (
    Cell,
    Chart,
    Column,
    DocumentNotSetError,
    Language,
    Picture,
    Section,
    Table,
    render_html,
    render_json,
    render_pdf,
)

LANGUAGES: tuple[Language, ...] = ("en-GB", "nl-NL")


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_number_stands_in_html_pdf_and_json_alike(language: Language) -> None:
    document = example(language, long_rows=3)
    texts = Counter(packed(text) for text in number_texts(json.loads(render_json(document))))
    html, pdf = packed(read_html(render_html(document))[0]), packed(read_pdf(render_pdf(document)))
    assert len(texts) > 8
    for text, count in texts.items():
        assert html.count(text) >= count, text
        assert pdf.count(text) >= count, text


def test_a_number_that_only_one_form_has_would_be_seen() -> None:
    document = example()
    (text,) = {text for text in number_texts(json.loads(render_json(document))) if "1,234,568" in text}
    other = replace(document, sections=document.sections[:1])
    assert packed(text) not in packed(read_pdf(render_pdf(other)))


def test_hostile_text_comes_out_as_text_in_html_and_pdf() -> None:
    document = example()
    text, elements = read_html(render_html(document))
    assert HOSTILE in text
    assert not [tag for tag, _ in elements if tag == "script"]
    assert not [attributes for _, attributes in elements if any(name.startswith("on") for name in attributes)]
    assert packed(HOSTILE) in packed(read_pdf(render_pdf(document)))


printable = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x17E, exclude_categories=["C"]), max_size=40)


@settings(max_examples=25, deadline=None)
@given(printable)
def test_any_text_comes_out_as_itself(text: str) -> None:
    document = replace(example(name="x"), subtitle=f"({text})", sections=[Section(f"<{text}>", [])])
    wanted = packed(f"<{text}>")
    assert wanted in packed(read_html(render_html(document))[0])
    assert wanted in packed(read_pdf(render_pdf(document)))


@pytest.mark.parametrize("hidden", ["\x00", "\x1b[31m", "\ud800", "\u202e", "\uffff"])
def test_what_no_reader_sees_is_replaced_in_every_form(hidden: str) -> None:
    document = example(name=f"a{hidden}b")
    for form in (render_html(document), render_json(document), render_pdf(document)):
        assert form
    assert "a\ufffd" in read_html(render_html(document))[0]


def test_the_same_content_gives_the_same_bytes() -> None:
    for render in (render_html, render_pdf, render_json):
        assert render(example()) == render(example())


def test_the_page_may_load_nothing_and_run_nothing() -> None:
    page = render_html(example()).decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy
    assert policy[1].startswith("default-src &#39;none&#39;; style-src &#39;sha256-")
    assert "unsafe" not in policy[1]
    _, elements = read_html(page.encode())
    assert {tag for tag, _ in elements}.isdisjoint({"script", "iframe", "object", "form"})
    sources = [attributes.get("src") or attributes.get("srcset") or "" for _, attributes in elements]
    assert all(source.startswith("data:image/svg+xml;base64,") for source in sources if source)
    assert not [attributes for _, attributes in elements if "style" in attributes]


def test_headings_are_in_order_and_tables_and_pictures_speak_to_screen_readers() -> None:
    page = render_html(example("nl-NL", long_rows=2))
    _, elements = read_html(page)
    levels = [int(tag[1]) for tag, _ in elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    tags = Counter(tag for tag, _ in elements)
    assert tags["caption"] == tags["table"] == 3
    assert all(attributes.get("scope") in {"col", "row"} for tag, attributes in elements if tag == "th")
    assert all((attributes.get("alt") or "").strip() for tag, attributes in elements if tag == "img")
    assert ("html", {"lang": "nl-NL"}) in elements
    marks = [attributes for _, attributes in elements if attributes.get("class") == "mark"]
    assert {"role": "img", "class": "mark", "aria-label": "omhoog, beter"} in marks
    assert all(attributes.get("aria-label") for attributes in marks)


def test_the_pdf_is_a4_tagged_and_names_title_author_and_language() -> None:
    reader = pypdf.PdfReader(io.BytesIO(render_pdf(example("nl-NL", name="Noord"))))
    assert [round(float(side)) for side in reader.pages[0].mediabox[2:]] == [595, 842]
    assert reader.metadata is not None
    assert reader.metadata.title == "Weekly report · Noord"
    assert reader.metadata.author == "Data platform"
    assert str(reader.metadata.creation_date_raw).startswith("D:20261122")
    root = reader.trailer["/Root"]
    assert root["/Lang"] == "nl-NL"
    assert root["/MarkInfo"]["/Marked"]
    assert {name for page in reader.pages for name in _fonts(page)} <= {"DejaVuSans", "DejaVuSerif", "DejaVuSans-Bold"}


def _fonts(page: pypdf.PageObject) -> set[str]:
    return {str(font.get_object()["/BaseFont"]).split("+")[-1] for font in page["/Resources"]["/Font"].values()}


def test_a_long_table_goes_over_pages_and_repeats_its_header() -> None:
    pages = pypdf.PdfReader(io.BytesIO(render_pdf(example(long_rows=150)))).pages
    with_rows = [page.extract_text() for page in pages if "row " in page.extract_text()]
    assert len(with_rows) >= 3
    assert all("Thousands" in text for text in with_rows)
    assert "149,000" in with_rows[-1]


def test_what_is_not_known_is_never_a_zero() -> None:
    table = Table("T", [Column("a"), Column("b")], [[Cell("x"), Cell(None, note="not measured")]], "none")
    document = replace(example(), sections=[Section("S", [table, Table("U", [Column("a")], [], "none this week")])])
    html = read_html(render_html(document))[0]
    for text in (html, read_pdf(render_pdf(document))):
        assert "\u2013 not measured" in text
        assert "none this week" in text


def test_a_row_that_is_too_short_is_refused() -> None:
    with pytest.raises(ValueError, match="a row has 1 cells for 2 columns"):
        Table("T", [Column("a"), Column("b")], [[Cell("x")]], "none")


def test_a_picture_that_is_none_fails_by_name() -> None:
    broken = Chart("C", Picture("alt", b"no svg", b"", None, 10, 10))
    with pytest.raises(DocumentNotSetError, match="typst could not set the document"):
        render_pdf(replace(example(), sections=[Section("S", [broken])]))
