"""Which tenant should have sent what by when: the sending pattern of each stream, and the tenants that have gone quiet.

A stream is expected from a tenant on a day when the tenant sends it on such weekdays, by its own history, and the day
is no holiday of the tenant. The history is read from event days in the ledger, never from the time of a build: so
neither a backfill of an old day nor a rewrite of an old partition makes a quiet tenant look fresh.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from analytics_platform.catalog import Catalog, SlaTier, Stream, Tenant
from analytics_platform.insights.deadlines import due
from analytics_platform.warehouse import Warehouse, has_table

WEEKS = 8
"""Weeks of history that a pattern is drawn from; they end with the last day that was sent, however long ago."""

GAP_DAYS = 14
"""After so many days without anything a stream has begun anew: what lies before tells nothing of it."""

ENOUGH = 3
"""Days of a kind that must be known before anything is expected of the next."""

USUALLY = 0.75
"""Share of such days with data from which on a day without is remarkable."""

DAYS_READ = 400
"""A tenant that has been quiet for longer has left; take it out of the registry."""

LEDGER_TABLE = "ops.ledger"
_SENT = f"select stream, tenant_id, day from {LEDGER_TABLE} where accepted + duplicates > 0 and day between ? and ?"

SentDays = Mapping[tuple[str, str], frozenset[date]]
"""Event days with data, by stream and tenant."""


@dataclass(frozen=True)
class StaleTenant:
    """A stream that a tenant should have sent by now and has not.

    Attributes:
        tenant_id: who.
        stream: what is missing.
        dataset: the stream's name in the dataset registry.
        owner: who answers for it.
        severity: of breaking the stream's tier.
        newest_day: the newest event day with data before the gap.
        expected_day: the first day that is missing since.
        promised_at: when that day was due.
        days_missed: expected days without data since, up to the newest that is due.
    """

    tenant_id: str
    stream: str
    dataset: str
    owner: str
    severity: str
    newest_day: date
    expected_day: date
    promised_at: datetime
    days_missed: int


def sent_days(warehouse: Warehouse, last: date) -> SentDays:
    """Event days with data up to a day, from the ledger; empty before the ledger was first drawn up."""
    if not has_table(warehouse, LEDGER_TABLE):
        return {}
    rows = warehouse.query(_SENT, [last - timedelta(days=DAYS_READ), last]).to_pylist()
    found: dict[tuple[str, str], set[date]] = {}
    for row in rows:
        found.setdefault((row["stream"], row["tenant_id"]), set()).add(row["day"])
    return {key: frozenset(days) for key, days in found.items()}


def is_expected(day: date, tenant: Tenant, sent: Iterable[date]) -> bool:
    """Whether a tenant should send a stream on a day, by what it sent on days before.

    Days of the same weekday are compared; while they are too few, all weekdays on which the tenant is open.
    """
    history = frozenset(each for each in sent if each < day)
    if not history or day in tenant.holidays:
        return False
    known = [each for each in _last_period(history) if each not in tenant.holidays]
    alike = [each for each in known if each.weekday() == day.weekday()]
    if len(alike) < ENOUGH:
        if day.isoweekday() not in tenant.business_hours:
            return False
        alike = [each for each in known if each.isoweekday() in tenant.business_hours]
    return len(alike) >= ENOUGH and sum(each in history for each in alike) >= USUALLY * len(alike)


def _last_period(history: frozenset[date]) -> list[date]:
    """The days from the newest one back to a longer gap, or to as many weeks as a pattern is drawn from."""
    newest = max(history)
    days = [newest - timedelta(n) for n in range(7 * WEEKS)]
    last = 0
    for n, day in enumerate(days):
        if day in history:
            last = n
        elif n - last > GAP_DAYS:
            break
    return days[: last + 1]


def stale_tenants(catalog: Catalog, sent: SentDays, reporting_zone: str, now: datetime) -> list[StaleTenant]:
    """Tenants whose newest day that is due and expected has no data, by tenant and stream.

    A day dated ahead (a producer's clock) ends no gap: what counts is the day that was expected.

    Args:
        catalog: declares tenants, streams and tiers.
        sent: event days with data, from ``sent_days``.
        reporting_zone: IANA name.
        now: the moment that is asked about.
    """
    found = [
        _stale(tenant, stream, catalog.sla_tiers[stream.sla_tier], sent, reporting_zone, now)
        for tenant in catalog.tenants.values()
        for stream in catalog.streams.values()
    ]
    return [each for each in found if each is not None]


def _stale(
    tenant: Tenant, stream: Stream, tier: SlaTier, sent: SentDays, zone: str, now: datetime
) -> StaleTenant | None:
    days = sent.get((stream.name, tenant.tenant_id), frozenset())
    if not days:
        return None

    def promised_at(day: date) -> datetime:
        return due(day, tenant.time_zone, zone, tier.deadline).promised_at

    missed: list[date] = []
    day = now.date() + timedelta(days=1)
    while day > min(days):
        if promised_at(day) <= now:
            if day in days:
                break
            if is_expected(day, tenant, days):
                missed.append(day)
        day -= timedelta(days=1)
    if not missed:
        return None
    return StaleTenant(
        tenant_id=tenant.tenant_id,
        stream=stream.name,
        dataset=f"raw.{stream.name}",
        owner=stream.owner,
        severity=tier.severity,
        newest_day=day,
        expected_day=missed[-1],
        promised_at=promised_at(missed[-1]),
        days_missed=len(missed),
    )
