"""What the plain Python readings of `kpis.md` share: the tenants' calendars, exchange rates and rounding.

The readings (`reference_operations`, `reference_customer_success`, `reference_growth`, `reference_product`) recompute
the KPI tables cell by cell without SQL and without the models: per day, over all facts of that day, as slowly as it
takes to be obvious. Belongs here: what more than one of them needs. Stays out: drawing facts, assertions.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cache
from zoneinfo import ZoneInfo

from fixture import PROJECT, Message, TenantRow


def moment(each: Message) -> datetime:
    """Return the business time of a message."""
    return datetime.fromisoformat(each.at)


def in_order(messages: Iterable[Message]) -> list[Message]:
    """Return messages by business time; of equal times, by when they were received and by their id."""
    return sorted(messages, key=lambda each: (moment(each), each.event_at or each.at, str(each.message_id)))


def of(messages: Iterable[Message], event: str) -> list[Message]:
    """Return the messages of one event in order."""
    return in_order(each for each in messages if each.event == event)


def days(first: date, last: date) -> Iterator[date]:
    """Yield the days first..last."""
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)


@cache
def rates() -> dict[tuple[str, date], Decimal]:
    """Return the rate to the reporting currency by currency and first day of the month."""
    with (PROJECT / "seeds" / "fx_rates.csv").open(encoding="utf-8") as lines:
        return {
            (row["currency"], date.fromisoformat(row["month"])): Decimal(row["rate_to_reporting"])
            for row in csv.DictReader(lines)
        }


def whole_minor(amount: Decimal) -> int:
    """Return an amount rounded half up to whole minor units."""
    return int(amount.quantize(Decimal(1), ROUND_HALF_UP))


@dataclass(frozen=True)
class Registry:
    """The tenants by id, and their calendars."""

    tenants: Mapping[str, TenantRow]

    @classmethod
    def of(cls, tenants: Sequence[TenantRow]) -> "Registry":
        """Return the registry of these tenants."""
        return cls({each.tenant_id: each for each in tenants})

    def zone(self, tenant: str) -> ZoneInfo:
        """Return a tenant's time zone."""
        return ZoneInfo(self.tenants[tenant].time_zone)

    def day(self, tenant: str, at: datetime) -> date:
        """Return the tenant's date of a moment."""
        return at.astimezone(self.zone(tenant)).date()

    def on_day(self, each: Message) -> date:
        """Return the business day of a message's business time."""
        return self.day(each.tenant, moment(each))
