"""A KPI's figures as quantities of a document, and whether a reader should be glad of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from analytics_platform.catalog import Kpi
from analytics_platform.documents import Cell, Language, Quantity, Verdict, number_text
from analytics_platform.documents.numbers import is_flat
from analytics_platform.reporting.measures import REPORTING_CURRENCY

if TYPE_CHECKING:
    from analytics_platform.reporting.weekly_figures import KpiWeek


def quantity(kpi: Kpi, value: float | None, currency: str | None, *, signed: bool = False) -> Quantity:
    """A figure of a KPI in its unit."""
    if kpi.unit == "money_minor":
        return Quantity(value, "money", currency or REPORTING_CURRENCY, signed=signed)
    return Quantity(value, kpi.unit, signed=signed)


def contributed(shown: KpiWeek, value: float | None) -> Quantity:
    """What a part adds to a change: in points for percentages and scores, else in the KPI's unit."""
    if shown.is_in_points:
        # A change of a tenth has parts of hundredths.
        return Quantity(value, "points", signed=True, decimals=2 if abs(shown.change or 0.0) < 1 else 1)
    return replace(quantity(shown.kpi, value, shown.currency, signed=True), decimals=0)


def changed(shown: KpiWeek, value: float | None) -> Quantity:
    """A change against another week."""
    return Quantity(value, "points" if shown.is_in_points else "fraction", signed=True)


def verdict_on(kpi: Kpi, moved: Quantity) -> Verdict:
    """Whether a movement is wanted; one that shows in no digit is neither."""
    if moved.value is None or is_flat(moved):
        return "neutral"
    return "good" if (moved.value > 0) == (kpi.direction == "up") else "bad"


def change_cell(shown: KpiWeek, value: float | None, otherwise: str) -> Cell:
    """A change with its arrow; where there is none, why."""
    moved = changed(shown, value)
    if value is None:
        return Cell(moved, note=otherwise)
    return Cell(moved, verdict_on(shown.kpi, moved), is_change=True)


def text(of: Quantity, language: Language) -> str:
    """The quantity in a sentence; a dash where it is not known."""
    return number_text(of, language) or "\u2013"


def size_text(of: Quantity, language: Language) -> str:
    """How large a change is, without its sign: the sentence says the direction."""
    return text(replace(of, value=None if of.value is None else abs(of.value), signed=False), language)
