"""The ground that all declarations stand on: a frozen, strict base model and the kinds of text they share.

A rule that one value can be judged by alone belongs here or in its model; rules between declarations are in
:mod:`~analytics_platform.catalog.cross_references`.
"""

import difflib
import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Strict, model_validator
from pydantic_core import PydanticCustomError

from analytics_platform.catalog.currencies import ISO_4217_CODES

T = TypeVar("T")

# YAML has lists where the models have tuples; the items keep the strictness of the model.
Listed = Annotated[tuple[T, ...], Strict(False)]


def wrong(what: str, mend: str, *, field: str = "") -> PydanticCustomError:
    """Build the error that a validator raises: what is wrong, how to mend it, and the field below its own, if any."""
    return PydanticCustomError("declaration", "{what}", {"what": what, "mend": mend, "field": field})


class Declared(BaseModel):
    """Base of everything that is declared in YAML: frozen, strictly typed, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for key in data:
                if key not in cls.model_fields:
                    raise wrong("is not a key that is known here", _mend_of_key(str(key), cls), field=str(key))
        return data


def _mend_of_key(key: str, model: type[BaseModel]) -> str:
    known = list(model.model_fields)
    close = difflib.get_close_matches(key, known, n=1)
    if close:
        return f"write `{close[0]}` instead"
    return f"remove it; known keys are {', '.join(known)}"


def matching(pattern: str, mend: str) -> AfterValidator:
    """Validate that a text matches the pattern from its first to its last character (a trailing newline included)."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if compiled.fullmatch(value) is None:
            raise wrong(f"{value!r} does not match {pattern}", mend)
        return value

    return AfterValidator(check)


def judged_by(is_good: Callable[[str], bool], what: str, mend: str) -> AfterValidator:
    """Validate a text with a predicate; the message starts with the text itself."""

    def check(value: str) -> str:
        if not is_good(value):
            raise wrong(f"{value!r} {what}", mend)
        return value

    return AfterValidator(check)


def is_time_zone(name: str) -> bool:
    """Whether the IANA database knows the name."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; not a relative path; a folder of the database
        return False
    return True


_MONTH_DAYS = {1: 31, 2: 28, 3: 31, 4: 30, 5: 31, 6: 30, 7: 31, 8: 31, 9: 30, 10: 31, 11: 30, 12: 31}


def _is_month_day(text: str) -> bool:
    if re.fullmatch(r"[0-9]{2}-[0-9]{2}", text) is None:
        return False
    month, day = int(text[:2]), int(text[3:])
    return 1 <= day <= _MONTH_DAYS.get(month, 0)


Name = Annotated[
    str, matching(r"[a-z][a-z0-9_]{0,62}", "write a name of lower-case letters, digits and _ (snake_case)")
]
Text = Annotated[
    str, judged_by(lambda text: bool(text.strip()), "says nothing", "write a sentence that a newcomer understands")
]
TenantId = Annotated[
    str,
    matching(r"[a-z0-9][a-z0-9_-]{0,62}", "write 1 to 63 lower-case letters, digits, - and _"),
    judged_by(lambda text: text != "all", "is reserved for the sum over tenants", "choose another tenant id"),
]
CurrencyCode = Annotated[
    str,
    judged_by(lambda code: code in ISO_4217_CODES, "is not a currency", "write an ISO 4217 code such as EUR or GBP"),
]
TimeZoneName = Annotated[
    str, judged_by(is_time_zone, "is not a time zone", "write an IANA name such as Europe/Amsterdam")
]
MonthDay = Annotated[
    str,
    judged_by(
        _is_month_day, "is not a day of every year", 'write "MM-DD" such as "12-31" (for the end of February "02-28")'
    ),
]
ClockTime = Annotated[
    str, matching(r"([01][0-9]|2[0-3]):[0-5][0-9]", 'write a time of day between quotes, such as "09:00"')
]
TableName = Annotated[str, matching(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*", "write schema.table, such as kpi.kpi_mrr")]
