"""The types of the fields of typed events: what Python code may give, and what goes over the wire.

Each takes exactly the JSON that the published schema takes (:mod:`analytics_platform.tracking.plan`); Python code may
besides give a `datetime` or a `date` where the wire has text. A value is held in its wire form, so that an event that
was made can always be sent.
"""

import re
from datetime import UTC, date, datetime
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainValidator, ValidationInfo
from pydantic_core import PydanticCustomError

from analytics_platform.tracking.plan import CURRENCY_PATTERN, DATE_PATTERN, ID_PATTERN, TIMESTAMP_PATTERN

_TIMESTAMP = re.compile(TIMESTAMP_PATTERN, re.ASCII)
_DATE = re.compile(DATE_PATTERN, re.ASCII)

Identifier = Annotated[str, Field(pattern=ID_PATTERN)]
"""An id or a pseudonym: letters, digits, `_` and `-`, at most 64 of them."""

CurrencyCode = Annotated[str, Field(pattern=CURRENCY_PATTERN)]
"""An ISO 4217 code such as EUR."""


def _whole_number(value: object, info: ValidationInfo) -> object:
    # JSON has one kind of number: 12.0 is an integer there. In Python a float is not, money least of all.
    if info.mode == "json" and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _timestamp(value: object) -> str:
    """The RFC 3339 text of a moment; refuses one without an offset, or beyond the plan's calendar."""
    if isinstance(value, datetime):
        value = _text_of(value)
    if isinstance(value, str) and _TIMESTAMP.fullmatch(value) and _on_calendar(value):
        return value
    raise _wrong("is no moment; give an aware datetime, or RFC 3339 text with an offset as 2026-01-31T09:30:00Z")


def _timestamp_or_date(value: object) -> str:
    """The text of a moment or of a plain date."""
    if isinstance(value, date) and not isinstance(value, datetime):
        value = value.isoformat()
    if isinstance(value, str) and _DATE.fullmatch(value) and _on_calendar(value):
        return value
    return _timestamp(value)


def _text_of(moment: datetime) -> str:
    offset = moment.utcoffset()
    if offset is None:
        raise _wrong("has no time zone; give an aware datetime, such as datetime.now(UTC)")
    # Offsets of local mean times have seconds, which RFC 3339 has no place for.
    whole_minutes = offset.total_seconds() % 60 == 0
    return (moment if whole_minutes else moment.astimezone(UTC)).isoformat()


def _on_calendar(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    # Python takes an offset of 01:60 for two hours; the published schema does not.
    return not re.search(r"[+-][0-9]{2}:[6-9][0-9]$", text)


def _wrong(text: str) -> PydanticCustomError:
    return PydanticCustomError("wrong_time", "{text}", {"text": text})


WholeNumber = Annotated[int, BeforeValidator(_whole_number)]
"""A number without a fraction; money is in minor units."""

Timestamp = Annotated[datetime | str, PlainValidator(_timestamp)]
"""A moment: an aware `datetime`, or RFC 3339 text with an offset; held as text."""

TimestampOrDate = Annotated[datetime | date | str, PlainValidator(_timestamp_or_date)]
"""A moment, or a day as `date` or YYYY-MM-DD; held as text."""
