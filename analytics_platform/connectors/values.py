"""From what a cell or a field holds to what the plan wants: text, numbers, money, days and moments.

Nothing is guessed. A number as text needs its decimal sign declared where it has one, since 1.234 is a thousand in
Amsterdam and not much in London; a time without offset needs a time zone, and one that its zone skips or has twice is
told so. What cannot be read raises `UnreadableError`, whose text never repeats the value.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from analytics_platform.connectors.declared import Ambiguous

AT = "$at"
"""Marks a time that its source had as one, in rows that are kept as JSON: how texts of times are written is not its
matter."""

_WHOLE = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_IN_THOUSANDTHS = "BHD IQD JOD KWD LYD OMR TND"
_DIGITS_OF_CURRENCY = {**dict.fromkeys(_WHOLE.split(), 0), **dict.fromkeys(_IN_THOUSANDTHS.split(), 3)}
"""ISO 4217's currencies whose minor unit is not a hundredth."""

_NUMBER = {
    None: re.compile(r"[+-]?\d+"),
    ",": re.compile(r"[+-]?(?:\d{1,3}(?:\.\d{3})+|\d+)(?:,\d+)?"),
    ".": re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?"),
}
_SIGN_BEHIND = re.compile(r"(.*\d)-")
_MONEY_SIGNS = re.compile(r"(?:EUR|€|[$£])")
_ODATA = re.compile(r"/Date\((-?\d+)(?:[+-]\d{4})?\)/")
_TRUE = frozenset({"true", "1", "yes", "y", "ja", "j", "waar"})
_FALSE = frozenset({"false", "0", "no", "n", "nee", "onwaar"})
_NOISE = Decimal("0.000001")
"""What a spreadsheet's binary fractions may differ from the number that it shows."""

_ENOUGH = 30
"""Characters of a number beyond which it is none."""


class UnreadableError(Exception):
    """A value is not what the mapping says of its column; the text says what was expected, never what was there."""


def kept(value: object) -> object:
    """A value as rows keep it: a time is marked as one."""
    return {AT: value.isoformat()} if isinstance(value, date) else value


def is_time(value: object) -> bool:
    """Whether a kept value was a time at its source."""
    return isinstance(value, dict) and value.keys() == {AT}


def text(value: object) -> str | None:
    """A value as text; empty is nothing, and a whole number of a spreadsheet has no fraction."""
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if is_time(value):
        return str(value[AT])  # type: ignore[index]
    if isinstance(value, dict | list):
        raise UnreadableError("holds several values; name one of them by its path")
    return str(value).strip() or None


def number(value: object, decimal: str | None) -> Decimal | None:
    """A number; text goes by its decimal sign, with the other sign before groups of three alone."""
    if isinstance(value, bool):
        raise UnreadableError("is no number")
    if isinstance(value, int | Decimal):
        return Decimal(value)
    if isinstance(value, float):
        return _finite(Decimal(repr(value)))
    said = text(value)
    if said is None:
        return None
    plain = _MONEY_SIGNS.sub("", said).replace("\u00a0", " ").replace("\u202f", " ").strip()
    if (behind := _SIGN_BEHIND.fullmatch(plain)) is not None:
        plain = f"-{behind[1]}"
    plain = plain.replace("- ", "-")
    if len(plain) > _ENOUGH or _NUMBER[decimal].fullmatch(plain) is None:
        expected = "digits alone; say its `decimal` where it has a fraction" if decimal is None else f"as 12{decimal}34"
        raise UnreadableError(f"is no number written {expected}")
    if decimal == ",":
        return Decimal(plain.replace(".", "").replace(",", "."))
    return Decimal(plain.replace(",", ""))


def minor(value: object, decimal: str | None, currency: object, *, is_minor: bool) -> int | None:
    """Money in whole minor units of its currency; what does not fit into them is refused, never rounded."""
    found = number(value, decimal)
    if found is None:
        return None
    digits = 0 if is_minor else _DIGITS_OF_CURRENCY.get(str(currency), 2)
    units = found.scaleb(digits)
    whole = units.to_integral_value()
    if abs(units - whole) > _NOISE:
        raise UnreadableError("has more digits than its currency; round it at its source")
    return int(whole)


def integer(value: object, decimal: str | None) -> int | None:
    """A whole number."""
    found = number(value, decimal)
    if found is None:
        return None
    if found != found.to_integral_value():
        raise UnreadableError("is no whole number")
    return int(found)


def boolean(value: object) -> bool | None:
    """Yes or no, in English, Dutch or digits."""
    said = text(value)
    if said is None:
        return None
    if said.lower() in _TRUE | _FALSE:
        return said.lower() in _TRUE
    raise UnreadableError("is neither yes nor no; translate it with `values`")


def moment(value: object, form: str, zone: str | None, ambiguous: Ambiguous) -> datetime | None:
    """A moment with its offset; a day alone is its midnight."""
    found = _written(value, form)
    if found is None:
        return None
    return _with_offset(found if isinstance(found, datetime) else datetime.combine(found, time()), zone, ambiguous)


def day_or_moment(value: object, form: str, zone: str | None, ambiguous: Ambiguous) -> date | datetime | None:
    """A day where the source has days, else a moment."""
    found = _written(value, form)
    return _with_offset(found, zone, ambiguous) if isinstance(found, datetime) else found


def localized(naive: datetime, zone: str | None, ambiguous: Ambiguous) -> datetime:
    """A time of a wall clock as a moment.

    Raises:
        UnreadableError: its zone is not said, has no such time, or has it twice and nobody says which is meant.
    """
    if zone is None:
        raise UnreadableError("has no offset from UTC; say its time_zone")
    first, second = (naive.replace(tzinfo=ZoneInfo(zone), fold=fold) for fold in (0, 1))
    if first.utcoffset() == second.utcoffset():
        return first
    if first.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) != naive:
        raise UnreadableError(f"is a time that {zone} skips at the start of summer time; mend it at its source")
    if ambiguous == "refuse":
        raise UnreadableError(
            f"is a time that {zone} has twice at the end of summer time; say `ambiguous: earlier` or `later`"
        )
    return first if ambiguous == "earlier" else second


def _with_offset(found: datetime, zone: str | None, ambiguous: Ambiguous) -> datetime:
    return found if found.tzinfo is not None else localized(found, zone, ambiguous)


def _written(value: object, form: str) -> date | datetime | None:
    """A day or a moment as it is written, with an offset if it has one."""
    if value is None:
        return None
    if is_time(value):
        form = "iso"
    if form == "odata":
        return _odata(value)
    if form in ("epoch_seconds", "epoch_milliseconds"):
        return _since_1970(value, 1 if form == "epoch_seconds" else 1000)
    said = text(value)
    if said is None:
        return None
    try:
        if form != "iso":
            found = datetime.strptime(said, form)  # noqa: DTZ007 - a wall clock's time is what this is about
            return found if "%H" in form or "%I" in form else found.date()
        return date.fromisoformat(said) if len(said) <= len("2026-01-31") else datetime.fromisoformat(said)
    except ValueError:
        raise UnreadableError(f"is no time written as {form}") from None


def _odata(value: object) -> datetime | None:
    """Microsoft's way to write a moment in JSON; without one it is nothing."""
    said = text(value)
    if said is None:
        return None
    if (found := _ODATA.fullmatch(said)) is None:
        raise UnreadableError("is no time written as /Date(milliseconds)/")
    return _since_1970(int(found[1]), 1000)


def _since_1970(value: object, per_second: int) -> datetime | None:
    found = number(value, ".")
    if found is None:
        return None
    try:
        return datetime.fromtimestamp(0, UTC) + timedelta(microseconds=int(found * 1_000_000 / per_second))
    except (OverflowError, InvalidOperation):
        raise UnreadableError("is no time since 1970") from None


def _finite(found: Decimal) -> Decimal:
    if not found.is_finite():
        raise UnreadableError("is no finite number")
    return found
