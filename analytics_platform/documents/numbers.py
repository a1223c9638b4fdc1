"""How a number or a date is written for a reader: the only place, so that every form of a document says the same.

A quantity keeps its value and its unit until here; what is computed stays out. Rounding is half away from zero, as
browsers do, so that a dashboard and a document that show the same figure show the same digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from analytics_platform.documents.words import WORDS, Language

Unit = Literal["count", "number", "percent", "points", "fraction", "score", "minutes", "money", "bytes"]
"""``percent`` and ``fraction`` are both written with a percent sign: 95 and 0.95 are 95%. Money is in minor units."""

MINUS = "\u2212"
_NO_BREAK = "\u00a0"
_SYMBOLS: Mapping[str, str] = {"EUR": "€", "GBP": "£", "USD": "$"}
_SEPARATORS: Mapping[Language, tuple[str, str]] = {"en-GB": (",", "."), "nl-NL": (".", ",")}
_DECIMALS: Mapping[Unit, int] = {"count": 0, "number": 1, "percent": 1, "points": 1, "fraction": 1, "score": 1}
# ISO 4217 currencies whose minor unit is not a hundredth.
_MINOR_DIGITS: Mapping[str, int] = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW"), 0),
    **dict.fromkeys(("PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}
_WHOLE_FROM = 1000  # amounts from here on are read without cents


@dataclass(frozen=True)
class Quantity:
    """A number with its unit; ``value`` None is something that is not known, which is never written as 0.

    Attributes:
        value: in ``unit``; money in minor units of ``currency``.
        unit: what is counted.
        currency: ISO 4217 code, for money alone.
        signed: a plus before what is above 0, for changes.
        decimals: digits after the separator; by default those that the unit is read with.
    """

    value: float | None
    unit: Unit
    currency: str | None = None
    signed: bool = False
    decimals: int | None = None

    def __post_init__(self) -> None:
        """An amount without its currency would be read in the reader's."""
        if (self.unit == "money") != (self.currency is not None):
            raise ValueError(f"a quantity in {self.unit} has the currency {self.currency!r}: only money has one")


def number_text(quantity: Quantity, language: Language) -> str | None:
    """The quantity as text, or None where it has no value."""
    if quantity.value is None:
        return None
    if quantity.unit == "minutes":
        return _sign(quantity, _round(quantity.value, 0)) + _duration(quantity.value, language)
    if quantity.unit == "bytes":
        return _bytes(quantity.value, language)
    scaled, decimals = _scaled(quantity)
    rounded = _round(scaled, decimals)
    return _sign(quantity, rounded) + _with_unit(_digits(abs(rounded), language), quantity, language)


def is_flat(quantity: Quantity) -> bool:
    """Whether a change is less than the last digit that is written of it: what a reader calls unchanged."""
    if quantity.value is None:
        return False
    return _round(quantity.value, 0) == 0 if quantity.unit == "minutes" else _round(*_scaled(quantity)) == 0


def reads_alike(one: Quantity, other: Quantity) -> bool:
    """Whether a reader sees the same figure twice; what is not known is like nothing."""
    written = number_text(one, "en-GB")
    return written is not None and written == number_text(other, "en-GB")


def date_text(day: date, language: Language) -> str:
    """A day, such as 16 Nov 2026."""
    return f"{_day_and_month(day, language)} {day.year}"


def span_text(first: date, last: date, language: Language) -> str:
    """The days from ``first`` to ``last``, without saying a month or a year twice."""
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day}\u2013{date_text(last, language)}"
    start = _day_and_month(first, language) if first.year == last.year else date_text(first, language)
    return f"{start} \u2013 {date_text(last, language)}"


def moment_text(moment: datetime, language: Language) -> str:
    """A moment to the minute, on the clock of its own time zone, which is named.

    Raises:
        ValueError: the moment has no time zone, so nobody could say when it was.
    """
    if moment.tzinfo is None:
        raise ValueError(f"{moment} has no time zone; give the document moments in the reader's zone")
    return f"{date_text(moment, language)} {moment:%H:%M} {moment.tzname()}"


def _scaled(quantity: Quantity) -> tuple[float, int]:
    """The number as it is written, and its decimals."""
    value = quantity.value or 0.0
    if quantity.unit == "fraction":
        return value * 100, _default(quantity.decimals, 1)
    if quantity.unit == "money":
        digits = _MINOR_DIGITS.get(quantity.currency or "", 2)
        major = value / 10**digits
        return major, _default(quantity.decimals, 0 if abs(major) >= _WHOLE_FROM else digits)
    return value, _default(quantity.decimals, _DECIMALS[quantity.unit])


def _default(given: int | None, otherwise: int) -> int:
    return otherwise if given is None else given


def _round(value: float, decimals: int) -> Decimal:
    return Decimal(repr(float(value))).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP)


def _digits(value: Decimal, language: Language) -> str:
    thousands, point = _SEPARATORS[language]
    return f"{value:,f}".translate({ord(","): thousands, ord("."): point})


def _with_unit(digits: str, quantity: Quantity, language: Language) -> str:
    if quantity.unit in ("percent", "fraction"):
        return f"{digits}%"
    if quantity.unit == "points":
        return f"{digits}{_NO_BREAK}{WORDS[language]['points']}"
    if quantity.currency is None:
        return digits
    if language == "en-GB" and quantity.currency in _SYMBOLS:
        return f"{_SYMBOLS[quantity.currency]}{digits}"
    return f"{_SYMBOLS.get(quantity.currency, quantity.currency)}{_NO_BREAK}{digits}"


def _sign(quantity: Quantity, written: Decimal) -> str:
    if written < 0:
        return MINUS
    return "+" if written > 0 and (quantity.signed or quantity.unit == "score") else ""


def _duration(minutes: float, language: Language) -> str:
    """Two units at most: a reader of days does not count minutes."""
    words = WORDS[language]
    whole = int(_round(abs(minutes), 0))
    if whole >= 2 * 24 * 60:
        days, hours = divmod(int(_round(whole / 60, 0)), 24)
        pairs = [(days, words["day_short"]), (hours, words["hour_short"])]
    else:
        pairs = [(whole // 60, words["hour_short"]), (whole % 60, words["minute_short"])]
    shown = [f"{count}{_NO_BREAK}{unit}" for count, unit in pairs if count]
    return _NO_BREAK.join(shown) or f"0{_NO_BREAK}{words['minute_short']}"


def _bytes(value: float, language: Language) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if abs(value) < 1000:
            break
        value, unit = value / 1000, "TB"
    return f"{_digits(_round(value, 0 if unit == 'B' else 1), language)}{_NO_BREAK}{unit}"


def _day_and_month(day: date, language: Language) -> str:
    return f"{day.day} {WORDS[language]['months'].split()[day.month - 1]}"
