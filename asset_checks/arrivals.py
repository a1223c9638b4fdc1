"""What arrives, per tenant and day: enough of it, from everybody, at all hours, and little of it refused or repeated.

The numbers are the ledger's; only the hours of a day are counted in the loaded rows. Limits are the catalogue's
(`stream_quality.yaml`). Nothing here blocks: odd volumes are true more often than not.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from analytics_platform.catalog.quality import SameWeekday, ShareLimit, VolumeLimit
from asset_checks.factory import Facts
from asset_checks.weekdays import Calendar, Series, Usual, usual

_NOT_JUDGED = "too little history or too few rows to judge by, a holiday, or a day that has not ended"

Rows = Mapping[str, Series]
"""By tenant: rows by day."""


@dataclass(frozen=True)
class Share:
    """Bad ones among all of a tenant's messages of a day."""

    tenant: str
    bad: int
    of: int


def volume_is_as_on_same_weekdays(day: date, rows: Rows, limit: VolumeLimit, calendar: Calendar) -> Facts:
    """Each tenant sent about as much as on the last days of this weekday; who sent nothing is another check's."""
    offenders, judged = [], 0
    for tenant, series in sorted(rows.items()):
        found = _usual(day, tenant, series, limit, calendar)
        sent = series.get(day, 0)
        if found is None or not sent:
            continue
        judged += 1
        allowed = limit.max_deviations * found.deviation
        if abs(sent - found.median) > allowed:
            low, high = max(found.median - allowed, 0), found.median + allowed
            offenders.append(
                f"{day} {tenant}: {sent} rows, {found.median:g} on the last {found.days} {found.weekday}s "
                f"({low:.0f} to {high:.0f} are usual)"
            )
    total = sum(series.get(day, 0) for series in rows.values())
    return _facts(offenders, judged, len(rows), "tenants differ from the same weekdays", {"rows": total})


def expected_tenants_have_sent(day: date, rows: Rows, rule: SameWeekday, calendar: Calendar) -> Facts:
    """No tenant that always sends on this weekday sent nothing."""
    offenders, judged = [], 0
    for tenant, series in sorted(rows.items()):
        found = _usual(day, tenant, series, rule, calendar)
        if found is None:
            continue
        judged += 1
        if not series.get(day, 0):
            offenders.append(f"{day} {tenant}: no rows, {found.median:g} on the last {found.days} {found.weekday}s")
    return _facts(offenders, judged, len(rows), "tenants sent nothing")


def busy_hours_have_events(
    day: date, hours: Mapping[tuple[str, int], Series], rule: SameWeekday, calendar: Calendar
) -> Facts:
    """No hour of a tenant's clock that is busy on this weekday is empty, on a day that has events at all.

    Args:
        day: the day that is judged.
        hours: by tenant and hour of the tenant's clock, rows by day.
        rule: which hours are busy.
        calendar: the tenants' holidays and running days.
    """
    sent = {tenant for (tenant, _), series in hours.items() if series.get(day, 0)}
    offenders, judged = [], 0
    for (tenant, hour), series in sorted(hours.items()):
        found = _usual(day, tenant, series, rule, calendar) if tenant in sent else None
        if found is None:
            continue
        judged += 1
        if not series.get(day, 0):
            offenders.append(
                f"{day} {tenant} {hour:02}:00: no rows, {found.median:g} on the last {found.days} {found.weekday}s"
            )
    return _facts(offenders, judged, len(hours), "busy hours are empty")


def share_is_within_limit(day: date, shares: Iterable[Share], limit: ShareLimit, what: str) -> Facts:
    """No tenant has more bad ones among its messages of the day than the limit allows.

    Args:
        day: the day that is judged.
        shares: of each tenant that sent anything.
        limit: how much is too much.
        what: the bad ones, for people ("were refused").
    """
    judged = [share for share in shares if share.of]
    worst = sorted(judged, key=lambda share: share.bad / share.of, reverse=True)
    offenders = [
        f"{day} {share.tenant}: {share.bad} of {share.of} {what}"
        for share in worst
        if limit.is_exceeded(share.bad, share.of)
    ]
    bad, of = sum(share.bad for share in judged), sum(share.of for share in judged)
    summary = f"{bad:,} of {of:,} messages {what}; {len(offenders)} of {len(judged)} tenants beyond the limit"
    counts = {"tenants": len(judged), "tenants_beyond_limit": len(offenders), "tolerated_rows": limit.tolerated_rows}
    return Facts(not offenders, summary, counts, offenders, of, bad, limit.max_share)


def by_local_hour(
    rows: Iterable[tuple[date, str, datetime, int]], zones: Mapping[str, ZoneInfo]
) -> dict[tuple[str, int], dict[date, int]]:
    """Rows by tenant and hour of its clock, then by day; tenants that are not registered are left out.

    Args:
        rows: day, tenant, the hour in UTC, and how many.
        zones: each tenant's time zone.
    """
    hours: dict[tuple[str, int], dict[date, int]] = defaultdict(lambda: defaultdict(int))
    for day, tenant, hour, count in rows:
        if tenant in zones:
            hours[tenant, hour.astimezone(zones[tenant]).hour][day] += count
    return {key: dict(series) for key, series in hours.items()}


def _usual(day: date, tenant: str, series: Series, rule: SameWeekday, calendar: Calendar) -> Usual | None:
    if not calendar.is_judged(tenant, day):
        return None
    return usual(series, day, rule, calendar.holidays[tenant])


def _facts(
    offenders: Collection[str], judged: int, seen: int, what: str, counts: Mapping[str, int] | None = None
) -> Facts:
    summary = f"{len(offenders)} of {judged} {what}" if judged else f"Not judged: {_NOT_JUDGED}"
    numbers = {**(counts or {}), "judged": judged, "not_judged": seen - judged}
    return Facts(not offenders, summary, numbers, list(offenders), judged, len(offenders))
