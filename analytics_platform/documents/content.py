"""What a document is made of: content alone, as frozen values that say nothing about how they look.

Every string is text and never markup, whoever wrote it. Numbers are quantities with a unit, so that each form writes
them alike; a value that is None is not known and is written as such, never as 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, TypeAlias

from analytics_platform.documents.numbers import Quantity
from analytics_platform.documents.words import Language

Verdict = Literal["good", "bad", "warning", "unknown", "neutral"]


@dataclass(frozen=True)
class Picture:
    """A drawing in the forms that readers need.

    Attributes:
        alt: what the picture shows, for who does not see it.
        svg: for paper and bright screens.
        dark_svg: the same for dark screens.
        png: the same for who takes no SVG, such as Slack; None where nobody asked for it.
        width: natural width in CSS pixels.
        height: natural height in CSS pixels.
    """

    alt: str
    svg: bytes
    dark_svg: bytes
    png: bytes | None
    width: int
    height: int


Value: TypeAlias = str | Quantity | date | datetime | Picture | None


@dataclass(frozen=True)
class Cell:
    """A value of a table with its verdict.

    Attributes:
        value: what is written; None is not known.
        verdict: drawn as a mark beside the colour.
        is_change: the mark is an arrow that says which way it went, the verdict whether that is good.
        note: small print after the value; where there is no value, why.
    """

    value: Value
    verdict: Verdict | None = None
    is_change: bool = False
    note: str = ""


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: its heading.
        align: ``end`` for numbers.
        unit: what its numbers count, where the numbers do not say it.
        width: its share of the width on paper; 0 takes what its content needs.
    """

    title: str
    align: Literal["start", "end"] = "start"
    unit: str = ""
    width: int = 0


@dataclass(frozen=True)
class Table:
    """Rows of cells; the first cell of a row names it.

    Attributes:
        caption: what the table shows.
        columns: headings, repeated on each page.
        rows: one cell per column.
        empty: what is said where there are no rows.
        note: small print below.
    """

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    empty: str
    note: str = ""

    def __post_init__(self) -> None:
        """A row that is too short would shift all that follow."""
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"table {self.caption!r}: a row has {len(row)} cells for {len(self.columns)} columns")


@dataclass(frozen=True)
class Figure:
    """A number that is read from afar.

    Attributes:
        label: what it is.
        value: the number or a word.
        change: how it moved, with its verdict.
        note: one short sentence.
    """

    label: str
    value: Cell
    change: Cell | None = None
    note: str = ""


@dataclass(frozen=True)
class Figures:
    """Cards side by side."""

    cards: Sequence[Figure]


@dataclass(frozen=True)
class Paragraph:
    """Running text."""

    text: str


@dataclass(frozen=True)
class Points:
    """Short sentences, most important first, each with its verdict where it has one."""

    items: Sequence[Cell]


@dataclass(frozen=True)
class Notice:
    """What a reader must not overlook."""

    kind: Literal["info", "warning", "error"]
    text: str


@dataclass(frozen=True)
class Chart:
    """A picture under its title."""

    title: str
    picture: Picture
    note: str = ""


@dataclass(frozen=True)
class Row:
    """Blocks beside each other where there is room, else below each other."""

    blocks: Sequence[Block]


@dataclass(frozen=True)
class PageBreak:
    """What follows begins a page on paper."""


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it; sections within are one level lower."""

    title: str
    blocks: Sequence[Block]


Block: TypeAlias = Section | Paragraph | Points | Figures | Table | Chart | Notice | Row | PageBreak


@dataclass(frozen=True)
class Document:
    """A whole document.

    Attributes:
        title: what it is.
        subtitle: for whom, or about when.
        language: decides words and how numbers are written.
        author: who answers for it.
        dated: the day it speaks as of; the only date within its bytes.
        meta: pairs of a name and a value, such as ("Data as of", …).
        sections: the contents.
    """

    title: str
    subtitle: str
    language: Language
    author: str
    dated: date
    meta: Sequence[tuple[str, str]]
    sections: Sequence[Section | PageBreak]
