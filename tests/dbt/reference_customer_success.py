"""Net promoter score and ticket resolution times once more, in plain Python.

Belongs here: naive readings of `kpis.md` (answers of each day recounted, working time added up day by day). Stays out:
drawing facts, assertions.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from statistics import mean

from fixture import Message, TenantRow
from reference import Registry, days, in_order, moment

# --- net promoter score ----------------------------------------------------------------------------------------------


def nps_rows(
    messages: Sequence[Message], registry: Registry, first: date, last: date
) -> dict[tuple[date, str, str], tuple[int, int, int]]:
    """Return promoters, passives and detractors by day, tenant and touchpoint: the last answers of 90 days."""
    rows: dict[tuple[date, str, str], Counter[str]] = defaultdict(Counter)
    answers = [each for each in in_order(messages) if each.event == "nps.submitted"]
    dated = [(registry.on_day(each), each) for each in answers]
    for day in days(first, last):
        latest = {
            (each.tenant, each.properties["survey_id"], each.properties["respondent_ref"]): (on, each)
            for on, each in dated
            if on <= day
        }
        for on, each in latest.values():
            if day - on < timedelta(days=90):
                score = each.properties["score"]
                group = "promoter" if score >= 9 else "passive" if score >= 7 else "detractor"
                rows[day, each.tenant, each.properties["touchpoint"]][group] += 1
    return {key: (row["promoter"], row["passive"], row["detractor"]) for key, row in rows.items()}


def score_interval(promoters: int, passives: int, detractors: int) -> tuple[float, float]:
    """Return the 95 % adjusted Wald interval of a score: three answers added, 3/4 promoting and 3/4 detracting."""
    answers = promoters + passives + detractors + 3
    up, down = (promoters + 0.75) / answers, (detractors + 0.75) / answers
    margin = 1.959963984540054 * math.sqrt((up + down - (up - down) ** 2) / answers)
    return max(-100.0, 100 * (up - down - margin)), min(100.0, 100 * (up - down + margin))


# --- tickets ---------------------------------------------------------------------------------------------------------


def working_minutes(tenant: TenantRow, zone_of: Registry, first: datetime, last: datetime) -> float | None:
    """Return the minutes between two moments that lie in the tenant's hours; None when it has none."""
    if not tenant.hours:
        return None
    zone = zone_of.zone(tenant.tenant_id)
    total = timedelta()
    for day in days(first.astimezone(zone).date(), last.astimezone(zone).date()):
        for weekday, opens, closes in tenant.hours:
            if weekday == day.isoweekday() and day not in tenant.holidays:
                begin, end = (_wall_clock(day, text).replace(tzinfo=zone).astimezone(UTC) for text in (opens, closes))
                total += max(timedelta(), min(end, last) - max(begin, first))
    return total / timedelta(minutes=1)


def _wall_clock(day: date, text: str) -> datetime:
    """Return a local time of a day; 24:00 is the midnight after it."""
    hours, minutes = map(int, text.split(":"))
    return datetime.combine(day, time()) + timedelta(hours=hours, minutes=minutes)


@dataclass(frozen=True)
class Ticket:
    """What is known of a ticket by a set of facts."""

    tenant: str
    priority: str | None
    category: str | None
    opened: datetime
    resolutions: tuple[Message, ...]
    last: Message | None
    reopenings: int

    @property
    def first_resolved(self) -> datetime | None:
        """Return the first resolution, which stays."""
        return moment(self.resolutions[0]) if self.resolutions else None

    @property
    def final(self) -> Message | None:
        """Return the last resolution, unless a reopening follows it."""
        return self.last if self.last is not None and self.last.event == "ticket.resolved" else None

    @property
    def final_resolved(self) -> datetime | None:
        """Return when it was resolved for good."""
        return moment(self.final) if self.final is not None else None

    @property
    def on_hold_minutes(self) -> float | None:
        """Return how long it waited, as the final resolution tells; nothing told is no waiting."""
        return None if self.final is None else self.final.properties.get("on_hold_ms", 0) / 60_000

    def minutes(self, until: datetime | None) -> float | None:
        """Return calendar minutes since the opening."""
        return None if until is None else (until - self.opened).total_seconds() / 60

    def working(self, until: datetime | None, registry: Registry) -> float | None:
        """Return working minutes since the opening."""
        return None if until is None else working_minutes(registry.tenants[self.tenant], registry, self.opened, until)


def known_tickets(messages: Sequence[Message]) -> dict[tuple[str, str], Ticket]:
    """Return the tickets that the facts tell of."""
    by_ticket: dict[tuple[str, str], list[Message]] = defaultdict(list)
    for each in messages:
        if each.event is not None and each.event.startswith("ticket."):
            by_ticket[each.tenant, each.properties["ticket_id"]].append(each)
    found = {}
    for (tenant, ticket), facts in by_ticket.items():
        opened = in_order(each for each in facts if each.event == "ticket.opened")
        steps = sorted(
            (each for each in facts if each.event != "ticket.opened"),
            key=lambda each: (
                moment(each),
                each.properties["reopen_count"],
                each.event == "ticket.resolved",
                str(each.message_id),
            ),
        )
        resolutions = tuple(each for each in steps if each.event == "ticket.resolved")
        if opened or resolutions:
            found[tenant, ticket] = _ticket(tenant, opened[0] if opened else None, steps, resolutions)
    return found


def _ticket(tenant: str, opening: Message | None, steps: list[Message], resolutions: tuple[Message, ...]) -> Ticket:
    """Return one ticket: opened as its opening tells, else as its resolutions tell."""
    own = opening.properties if opening is not None else {}
    told = [datetime.fromisoformat(each.properties["opened_at"]) for each in resolutions]
    reopened = {moment(each) for each in steps if each.event == "ticket.reopened"}
    return Ticket(
        tenant,
        own.get("priority"),
        own.get("category"),
        moment(opening) if opening is not None else min(told),
        resolutions,
        steps[-1] if steps else None,
        max([len(reopened), *(each.properties["reopen_count"] for each in steps)]),
    )


TicketKey = tuple[date, str, str | None, str | None]


def resolution_rows(
    messages: Sequence[Message], registry: Registry, first: date, last: date
) -> dict[TicketKey, dict[str, float | None]]:
    """Return the rows of `kpi_ticket_resolution`, from the facts up to each day."""
    resolved: dict[TicketKey, list[Ticket]] = defaultdict(list)
    support = [(registry.on_day(each), each) for each in messages if (each.event or "").startswith("ticket.")]
    for day in days(first, last):
        for (tenant, _), ticket in known_tickets([each for on, each in support if on <= day]).items():
            final = ticket.final_resolved
            if final is not None and registry.day(tenant, final) == day:
                resolved[day, tenant, ticket.priority, ticket.category].append(ticket)
    return {key: _statistics(group, registry) for key, group in resolved.items()}


def _statistics(group: list[Ticket], registry: Registry) -> dict[str, float | None]:
    """Return the figures of one group of resolved tickets."""
    final = [each.minutes(each.final_resolved) for each in group]
    measures: dict[str, list[float | None]] = {
        "final_resolution_minutes": final,
        "final_resolution_business_minutes": [each.working(each.final_resolved, registry) for each in group],
        "first_resolution_minutes": [each.minutes(each.first_resolved) for each in group],
        "first_resolution_business_minutes": [each.working(each.first_resolved, registry) for each in group],
        "final_resolution_minutes_without_hold": [
            max(0.0, (whole or 0.0) - (each.on_hold_minutes or 0.0)) for whole, each in zip(final, group, strict=True)
        ],
    }
    figures: dict[str, float | None] = {"resolved": len(group)}
    for name, values in measures.items():
        known = sorted(value for value in values if value is not None)
        figures[f"median_{name}"] = quantile(known, 0.5)
        figures[f"p90_{name}"] = quantile(known, 0.9)
        figures[f"mean_{name}"] = mean(known) if known else None
    figures["mean_on_hold_minutes"] = mean(each.on_hold_minutes or 0 for each in group)
    return figures


def quantile(ordered: list[float], p: float) -> float | None:
    """Return the quantile with linear interpolation."""
    if not ordered:
        return None
    place = p * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])
