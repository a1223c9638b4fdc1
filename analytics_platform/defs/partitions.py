"""How assets are cut into partitions, and the translation between Dagster's keys and days and tenants.

A day is the tenant's own business day, fixed when an event lands; so a landing prefix, a raw partition and a day
downstream are the same day. Day x tenant is for raw alone, and within a budget; everything after it is daily.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg

from analytics_platform.errors import AnalyticsError

MAX_RAW_PARTITIONS = 150_000
"""Keys of a raw asset up to which its page in Dagster's UI takes three seconds (`benchmarks.graph`): eight years of
fifty tenants, or four of a hundred."""

_NEARLY = 0.9

_LOG = logging.getLogger(__name__)

TENANT_PARTITIONS = "tenant"
"""Name of the dynamic partitions; `automation.tenants_from_registry` and `runs` add to them, nothing removes."""

PARTITION_TAG = "dagster/partition"
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"

DayTenant = tuple[date, str]
"""A raw partition."""


class GraphTooLargeError(AnalyticsError):
    """There are more raw partitions than Dagster's UI can show in time; the text names the setting and the mend."""


@dataclass(frozen=True)
class Partitions:
    """The partitionings of one deployment.

    Attributes:
        first_day: the first day of history.
        time_zone: decides when a new day begins to exist (an IANA name).
        day: of everything after raw.
        tenant: the registered tenants.
        day_tenant: of raw.
        week: of weekly reports, named by their Mondays; a week has a partition once it is over.
    """

    first_day: date
    time_zone: str
    day: dg.DailyPartitionsDefinition
    tenant: dg.DynamicPartitionsDefinition
    day_tenant: dg.MultiPartitionsDefinition
    week: dg.WeeklyPartitionsDefinition

    def last_day(self, now: datetime) -> date:
        """The running day, which is the last that has a partition."""
        return now.astimezone(ZoneInfo(self.time_zone)).date()


def partitions_from(history_start: date, time_zone: str) -> Partitions:
    """Partitions from the first day of history; the running day is one already, because its events are.

    Args:
        history_start: the first day that can hold events.
        time_zone: IANA name of the reporting time zone.
    """
    day = dg.DailyPartitionsDefinition(start_date=history_start.isoformat(), timezone=time_zone, end_offset=1)
    tenant = dg.DynamicPartitionsDefinition(name=TENANT_PARTITIONS)
    first_monday = history_start + timedelta(days=-history_start.weekday() % 7)
    week = dg.WeeklyPartitionsDefinition(start_date=first_monday.isoformat(), timezone=time_zone, day_offset=1)
    day_tenant = dg.MultiPartitionsDefinition({"day": day, "tenant": tenant})
    return Partitions(history_start, time_zone, day, tenant, day_tenant, week)


def refuse_too_many(partitions: Partitions, tenants: int, now: datetime) -> None:
    """Hold the raw assets to their budget; from nine tenths of it on, a line in the log says so each time.

    Raises:
        GraphTooLargeError: they have more keys.
    """
    days = (partitions.last_day(now) - partitions.first_day).days + 1
    count = days * tenants
    first_within = partitions.last_day(now) - timedelta(days=MAX_RAW_PARTITIONS // max(tenants, 1) - 1)
    span = f"{days:,} days since {partitions.first_day} of {tenants} tenants"
    said = f"history_start: {span} are {count:,} partitions of each raw asset"
    if count > MAX_RAW_PARTITIONS:
        raise GraphTooLargeError(
            f"{said}, more than the {MAX_RAW_PARTITIONS:,} that Dagster's UI shows within seconds; set "
            f"ANALYTICS_HISTORY_START to {first_within} or later: what lies before stays in lake and warehouse as long "
            "as its retention class says, and takes no more events"
        )
    if count > MAX_RAW_PARTITIONS * _NEARLY:
        _LOG.warning("%s, which may have %s (docs/benchmarks.md)", said, f"{MAX_RAW_PARTITIONS:,}")


def raw_key(partition: DayTenant) -> dg.MultiPartitionKey:
    """The key of a raw partition."""
    day, tenant = partition
    return dg.MultiPartitionKey({"day": day.isoformat(), "tenant": tenant})


def parse_raw_key(key: str) -> DayTenant:
    """The day and tenant of a raw partition's key; Dagster sorts the dimensions by name."""
    day, _, tenant = key.partition("|")
    return date.fromisoformat(day), tenant


def parse_day(key: str) -> date:
    """The day of a partition's key, whether there is a tenant in it or not."""
    return date.fromisoformat(key.partition("|")[0])


def days_between(first: date, last: date) -> list[date]:
    """All days from `first` to `last`, both included."""
    return [first + timedelta(n) for n in range((last - first).days + 1)]


def span_of(context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext) -> tuple[date, date]:
    """First and last day that a run over daily partitions covers."""
    keys = context.partition_keys
    return date.fromisoformat(min(keys)), date.fromisoformat(max(keys))


def range_tags(first: str, last: str) -> dict[str, str]:
    """Run tags that select a range of partitions."""
    return {RANGE_START_TAG: first, RANGE_END_TAG: last}


@dataclass(frozen=True)
class Rectangle:
    """Contiguous days x tenants: what one run over day x tenant partitions can cover."""

    first: date
    last: date
    tenants: tuple[str, ...]

    @property
    def tags(self) -> dict[str, str]:
        """Run tags that select exactly these partitions, given tenants that are neighbours."""
        return range_tags(raw_key((self.first, self.tenants[0])), raw_key((self.last, self.tenants[-1])))

    @property
    def partitions(self) -> list[DayTenant]:
        """The partitions within."""
        return [(day, tenant) for day in days_between(self.first, self.last) for tenant in self.tenants]


def rectangles(partitions: Iterable[DayTenant], tenant_order: Sequence[str]) -> list[Rectangle]:
    """Cover exactly the given partitions with rectangles, as few as two sweeps find.

    Dagster reads a range of day x tenant as the product of both ranges, so a range between two arbitrary
    partitions would sweep in tenants that nobody asked for. Runs of days are found per tenant, then joined over
    tenants that are neighbours in `tenant_order` (the order in which Dagster holds them).
    """
    place = {tenant: n for n, tenant in enumerate(tenant_order)}
    tenants_by_run: dict[tuple[date, date], list[int]] = {}
    for tenant, days in _days_by_tenant(partitions).items():
        for run in contiguous(sorted(days)):
            tenants_by_run.setdefault((run[0], run[-1]), []).append(place[tenant])
    return [
        Rectangle(first, last, tuple(tenant_order[n] for n in neighbours))
        for (first, last), places in sorted(tenants_by_run.items())
        for neighbours in _neighbours(sorted(places))
    ]


def _days_by_tenant(partitions: Iterable[DayTenant]) -> dict[str, set[date]]:
    days: dict[str, set[date]] = {}
    for day, tenant in partitions:
        days.setdefault(tenant, set()).add(day)
    return days


def contiguous(days: Sequence[date]) -> list[list[date]]:
    """Ascending days, cut where one is missing."""
    runs: list[list[date]] = []
    for day in days:
        if runs and day - runs[-1][-1] == timedelta(days=1):
            runs[-1].append(day)
        else:
            runs.append([day])
    return runs


def _neighbours(places: Sequence[int]) -> list[list[int]]:
    runs: list[list[int]] = []
    for place in places:
        if runs and place - runs[-1][-1] == 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    return runs
