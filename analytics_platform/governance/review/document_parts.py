"""Cells that the sections of the review's document share."""

from __future__ import annotations

from datetime import date, datetime

from analytics_platform.documents import Cell, Language, Quantity, Verdict

LANGUAGE: Language = "en-GB"
NOT_MEASURED = "not measured"


def unmeasured(why: str = "") -> Cell:
    """What was not measured, and why; never a number."""
    return Cell(NOT_MEASURED, "unknown", note=why)


def text(value: str | date | datetime | None, note: str = "") -> Cell:
    """A word or a date; a dash where there is none."""
    return Cell(value, note=note)


def count(value: int | None, verdict: Verdict | None = None) -> Cell:
    """A whole number; a dash where nothing was counted."""
    return Cell(Quantity(value, "count"), verdict)


def money(minor: int | None, currency: str, verdict: Verdict | None = None) -> Cell:
    """An amount to the cent."""
    return (
        Cell(Quantity(minor, "money", currency=currency, decimals=2), verdict)
        if minor is not None
        else unmeasured("no rate")
    )


def share(part: int, whole: int, verdict: Verdict | None = None) -> Cell:
    """A part of a whole in percent, to the hundredth so that one of thousands shows."""
    return Cell(Quantity(part / whole, "fraction", decimals=2), verdict) if whole else text(None)


def points(change: float | None, *, more_is_better: bool) -> Cell:
    """A change in points with its arrow; a dash where nothing can be compared."""
    if change is None:
        return text(None)
    is_good = (change > 0) == more_is_better
    verdict: Verdict = "neutral" if change == 0 else "good" if is_good else "bad"
    return Cell(Quantity(change, "points", signed=True, decimals=2), verdict, is_change=True)


def minutes(value: float | None) -> Cell:
    """A length of time; a dash where it is not known."""
    return Cell(Quantity(value, "minutes"))
