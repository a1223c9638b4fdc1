"""A document as plain values: every string as it is read, every number both as it is read and as it is.

All forms are made from this one tree, so none can say what another does not. It holds no markup and no place of a file;
pictures stand beside it and are referred to by their position.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from analytics_platform.documents.content import (
    Block,
    Cell,
    Chart,
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
from analytics_platform.documents.numbers import Quantity, date_text, is_flat, moment_text, number_text
from analytics_platform.documents.words import WORDS, Language, plain

ABSENT = "\u2013"
"""Stands where a value is not known; never 0."""

_MARKS: Mapping[Verdict, str] = {"good": "✔", "bad": "✘", "warning": "!", "unknown": "?", "neutral": ""}
_UP, _DOWN, _FLAT = "▲", "▼", "▸"

Tree = dict[str, Any]


def arrow(change: Quantity) -> str:
    """Which way a change went; one that shows in no digit went nowhere."""
    if change.value is None or is_flat(change):
        return _FLAT
    return _UP if change.value > 0 else _DOWN


@dataclass(frozen=True)
class Written:
    """The tree of a document, and the pictures that it refers to by position."""

    tree: Tree
    pictures: Sequence[Picture]


def written(document: Document) -> Written:
    """All of a document as strings, numbers, lists and mappings."""
    writer = _Writer(document.language)
    sections = [writer.block(section, level=2) for section in document.sections]
    tree = {
        "title": plain(document.title),
        "subtitle": plain(document.subtitle),
        "language": document.language,
        "author": plain(document.author),
        "dated": document.dated.isoformat(),
        "meta": [{"name": plain(name), "text": plain(text)} for name, text in document.meta],
        "sections": sections,
    }
    return Written(tree, writer.pictures)


@dataclass
class _Writer:
    """Writes blocks in one language and collects their pictures."""

    language: Language
    pictures: list[Picture] = field(default_factory=list)

    def block(self, block: Block, level: int) -> Tree:
        match block:
            case Section():
                blocks = [self.block(inner, level + 1) for inner in block.blocks]
                return {"kind": "section", "level": level, "title": plain(block.title), "blocks": blocks}
            case Row():
                return {"kind": "row", "blocks": [self.block(inner, level) for inner in block.blocks]}
            case Paragraph():
                return {"kind": "paragraph", "text": plain(block.text)}
            case Points():
                return {"kind": "points", "items": [self._cell(item) for item in block.items]}
            case Figures():
                return {"kind": "figures", "cards": [self._card(card) for card in block.cards]}
            case Table():
                return self._table(block)
            case Chart():
                picture = self._picture(block.picture)
                return {"kind": "chart", "title": plain(block.title), "picture": picture, "note": plain(block.note)}
            case Notice():
                word = WORDS[self.language][block.kind]
                return {"kind": "notice", "tone": block.kind, "word": word, "text": plain(block.text)}
            case PageBreak():
                return {"kind": "page_break"}

    def _card(self, card: Figure) -> Tree:
        return {
            "label": plain(card.label),
            "value": self._cell(card.value),
            "change": self._cell(card.change) if card.change else None,
            "note": plain(card.note),
        }

    def _table(self, table: Table) -> Tree:
        columns = [
            {"title": plain(column.title), "align": column.align, "unit": plain(column.unit), "width": column.width}
            for column in table.columns
        ]
        return {
            "kind": "table",
            "caption": plain(table.caption),
            "columns": columns,
            "rows": [[self._cell(cell) for cell in row] for row in table.rows],
            "empty": plain(table.empty),
            "note": plain(table.note),
        }

    def _cell(self, cell: Cell) -> Tree:
        text, raw = self._value(cell.value)
        mark, word = self._mark(cell)
        return {
            "text": text,
            "note": plain(cell.note),
            "verdict": cell.verdict or "",
            "mark": mark,
            "mark_word": word,
            "picture": self._picture(cell.value) if isinstance(cell.value, Picture) else None,
            **raw,
        }

    def _value(self, value: Value) -> tuple[str, Tree]:
        """How a value is read, and what it is for who reads it with a program."""
        match value:
            case None | Picture():
                return ("" if value else ABSENT), {}
            case str():
                return plain(value), {}
            case datetime():
                return moment_text(value, self.language), {"value": value.isoformat()}
            case date():
                return date_text(value, self.language), {"value": value.isoformat()}
            case Quantity():
                currency = {"currency": value.currency} if value.currency else {}
                text = number_text(value, self.language)
                return (text or ABSENT), {"value": value.value, "unit": value.unit, **currency}

    def _mark(self, cell: Cell) -> tuple[str, str]:
        """The sign beside a colour, and the word that says the same."""
        words = WORDS[self.language]
        if not cell.is_change or not isinstance(cell.value, Quantity) or cell.value.value is None:
            verdict = cell.verdict or "neutral"
            mark = _MARKS[verdict]
            return mark, words[verdict] if mark else ""
        mark = arrow(cell.value)
        if mark == _FLAT:
            return mark, words["flat"]
        judged = {"good": f", {words['better']}", "bad": f", {words['worse']}"}.get(cell.verdict or "", "")
        return mark, words["up" if mark == _UP else "down"] + judged

    def _picture(self, picture: Picture) -> Tree:
        self.pictures.append(picture)
        place = len(self.pictures) - 1
        return {"number": place, "alt": plain(picture.alt), "width": picture.width, "height": picture.height}
