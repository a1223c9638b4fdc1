"""What people read away from the graph: a document as content, rendered as HTML that opens offline and as PDF.

Belongs here: the parts that a document is made of, and their rendering; the same content gives the same numbers in
every form. Stays out: what a document says (`reporting.weekly`, `governance.review`) and dashboards, which are pages of
their own.

    content   ──► writing (words, numbers) ──► html | pdf | machine
    charts    ──► pictures within content
"""

from analytics_platform.documents.content import (
    Block,
    Cell,
    Chart,
    Column,
    Document,
    Figure,
    Figures,
    Notice,
    PageBreak,
    Paragraph,
    Picture,
    Points,
    Row,
    Section,
    Table,
    Value,
    Verdict,
)
from analytics_platform.documents.html import render_html
from analytics_platform.documents.machine import render_json
from analytics_platform.documents.numbers import Quantity, Unit, date_text, moment_text, number_text, span_text
from analytics_platform.documents.pdf import DocumentNotSetError, render_pdf
from analytics_platform.documents.words import Language

__all__ = [
    "Block",
    "Cell",
    "Chart",
    "Column",
    "Document",
    "DocumentNotSetError",
    "Figure",
    "Figures",
    "Language",
    "Notice",
    "PageBreak",
    "Paragraph",
    "Picture",
    "Points",
    "Quantity",
    "Row",
    "Section",
    "Table",
    "Unit",
    "Value",
    "Verdict",
    "date_text",
    "moment_text",
    "number_text",
    "render_html",
    "render_json",
    "render_pdf",
    "span_text",
]
