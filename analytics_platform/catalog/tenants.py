"""Tenants: whose data it is, when their day, week and financial year run, and the hashes of their write keys."""

import hashlib
import re
from collections.abc import Mapping
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, model_validator
from pydantic import Field as Constrained

from analytics_platform.catalog.declared import Declared, Listed, matching, wrong
from analytics_platform.catalog.values import (
    ClockTime,
    CurrencyCode,
    Day,
    MonthDay,
    Name,
    SlackChannel,
    TenantId,
    Text,
    TimeZoneName,
)

KeyKind = Literal["server", "browser", "scanner", "import"]
Site = Literal["product", "marketing"]


def _is_a_hash(value: str) -> str:
    if re.fullmatch(r"[0-9a-f]{64}", value) is None:
        # The value is not repeated: what was written by mistake may be the key itself.
        raise wrong("is not a SHA-256", "write the key's SHA-256 in 64 lower-case hex digits, never the key itself")
    return value


Sha256 = Annotated[str, AfterValidator(_is_a_hash)]


def hash_write_key(plain: str) -> str:
    """The form in which a write key is registered: SHA-256 of its UTF-8 bytes, in lower-case hex."""
    return hashlib.sha256(plain.encode("utf-8", "surrogatepass")).hexdigest()


class HolidayCalendar(Declared):
    """Public holidays that tenants share."""

    name: Name
    title: Text
    source: Text
    days: Mapping[Day, Text]


class WriteKey(Declared):
    """A key that producers send with. ``site`` decides the stream of page, identify and group calls."""

    name: Name
    sha256: Sha256
    kind: KeyKind
    site: Site


class OpeningHours(NamedTuple):
    """Opening and closing time of a weekday, ``HH:MM`` in the tenant's time zone."""

    opens: ClockTime
    closes: ClockTime


class Tenant(Declared):
    """An organisation whose data is kept apart from all others'.

    ``financial_year_end`` is ``MM-DD``; ``business_hours`` go by ISO weekday (1 is Monday; absent is closed);
    ``holidays`` are the calendar's days and the tenant's own, in order. ``report_channel`` is a Slack channel that the
    tenant's own people read: its weekly report goes there and nowhere else, and without one it is a file alone.
    """

    tenant_id: TenantId
    name: Text
    country: Annotated[str, matching(r"[A-Z]{2}", "write an ISO 3166-1 alpha-2 code such as NL")]
    time_zone: TimeZoneName
    currency: CurrencyCode
    financial_year_end: MonthDay
    on_time_threshold_minutes: int = Constrained(default=15, ge=0)
    business_hours: Mapping[Annotated[int, Constrained(ge=1, le=7)], OpeningHours]
    holiday_calendar: Name | None = None
    holidays: Listed[Day] = ()
    report_channel: SlackChannel | None = None
    write_keys: Listed[WriteKey] = ()

    @model_validator(mode="after")
    def _opens_before_it_closes(self) -> "Tenant":
        for weekday, hours in self.business_hours.items():
            if hours.opens >= hours.closes:
                raise wrong(
                    f"opens at {hours.opens} but closes at {hours.closes}",
                    "write a closing time after the opening time of the same day",
                    field=f"business_hours.{weekday}",
                )
        return self
