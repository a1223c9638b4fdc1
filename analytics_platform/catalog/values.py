"""The kinds of values that declarations share: names, texts, days, times, currencies, time zones.

A kind that one model alone uses stands beside that model.
"""

import re
from datetime import date
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator

from analytics_platform.catalog.currencies import ISO_4217_CODES
from analytics_platform.catalog.declared import judged_by, matching, wrong


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


def _as_day(value: object) -> date:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        try:
            return date.fromisoformat(value)
        except ValueError as error:
            raise wrong(f"{value!r} is not a day ({error})", "write a day of the calendar") from error
    raise wrong(f"{value!r} is not a day", "write YYYY-MM-DD, such as 2026-12-25")


Name = Annotated[
    str, matching(r"[a-z][a-z0-9_]{0,62}", "write a name of lower-case letters, digits and _ (snake_case)")
]
Text = Annotated[
    str, judged_by(lambda text: bool(text.strip()), "says nothing", "write a sentence that a newcomer understands")
]
SlackChannel = Annotated[str, matching(r"#[a-z0-9_-]{1,79}", 'write a channel such as "#data-finance"')]
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
SignedColumn = Annotated[
    str, matching(r"-?[a-z][a-z0-9_]*", "write a column's name, with - in front when it is subtracted")
]
Day = Annotated[date, BeforeValidator(_as_day)]
