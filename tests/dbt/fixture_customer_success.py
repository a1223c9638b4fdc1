"""The customer success definitions once more, in plain Python: what the SQL models are compared with.

Belongs here: naive readings of `kpis.md` (answers of each day recounted, working time counted minute by minute), and
the strategies that draw facts for both. Stays out: assertions.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from statistics import mean
from zoneinfo import ZoneInfo

from fixture import Message, TenantRow, message
from fixture_operations import days, identified, moment
from hypothesis import strategies as st

TENANTS = (
    TenantRow("office", holidays=(date(2026, 3, 31), date(2026, 10, 26))),
    TenantRow("weekend", hours=tuple((day, "01:00", "04:00") for day in (6, 7))),
    TenantRow("always", "Europe/London", "GBP", "GB", hours=tuple((day, "00:00", "24:00") for day in range(1, 8))),
    TenantRow("unscheduled", hours=()),
)
"""A holiday; hours that hold the one which the clock change skips or repeats; hours without pause; no hours."""

CLOCK_CHANGES = (date(2026, 3, 27), date(2026, 10, 23))
"""The Fridays before the clocks of Amsterdam and London change: drawn tickets begin here."""

ZONES = {tenant.tenant_id: ZoneInfo(tenant.time_zone) for tenant in TENANTS}
HOURS = {tenant.tenant_id: {day: (opens, closes) for day, opens, closes in tenant.hours} for tenant in TENANTS}
HOLIDAYS = {tenant.tenant_id: set(tenant.holidays) for tenant in TENANTS}


def on_day(each: Message) -> date:
    """Return the business day of a message's business time."""
    return moment(each).astimezone(ZONES[each.tenant]).date()


# --- drawing ---------------------------------------------------------------------------------------------------------


@st.composite
def answers(draw: st.DrawFn) -> list[Message]:
    """Draw answers of a few people to two surveys over half a year, some of them given again."""
    drawn = st.builds(
        lambda tenant, day, hour, survey, person, score, touchpoint: message(
            "nps.submitted",
            f"{date(2026, 1, 1) + timedelta(days=day)}T{hour:02d}:30:00Z",
            tenant=tenant,
            survey_id=survey,
            response_id="r",
            respondent_ref=person,
            score=score,
            touchpoint=touchpoint,
        ),
        st.sampled_from(("office", "always")),
        st.integers(0, 185),
        st.sampled_from((0, 12, 22, 23)),
        st.sampled_from(("s1", "s2")),
        st.sampled_from(("p1", "p2", "p3")),
        st.integers(0, 10),
        st.sampled_from(("onboarding", "after_event")),
    )
    return identified(draw(st.lists(drawn, min_size=1, max_size=20)))


@st.composite
def tickets(draw: st.DrawFn) -> list[Message]:
    """Draw tickets over a weekend on which the clocks change: resolved, reopened, resolved again, or never."""
    facts: list[Message] = []
    epoch = datetime.combine(draw(st.sampled_from(CLOCK_CHANGES)), time(), UTC)
    for number in range(draw(st.integers(1, 5))):
        own = {"tenant": draw(st.sampled_from([each.tenant_id for each in TENANTS])), "ticket_id": f"k{number}"}
        at = epoch + timedelta(minutes=draw(st.integers(0, 3 * 24 * 60)))
        opened = at.isoformat()
        if draw(st.integers(0, 5)):
            facts.append(
                message(
                    "ticket.opened",
                    opened,
                    requester_ref="p",
                    source="mail",
                    priority=draw(st.sampled_from("ab")),
                    category="c",
                    **own,
                )
            )
        for step in range(draw(st.integers(0, 4))):
            at += timedelta(minutes=draw(st.sampled_from((0, 1, 59, 61, 400, 1441, 2000))))
            facts.append(_step(at, opened, step, draw(st.sampled_from((0, 90_000))), own))
    return identified(facts)


def _step(at: datetime, opened: str, step: int, on_hold_ms: int, own: dict[str, str]) -> Message:
    """Return the next fact of a ticket: resolved and reopened take turns."""
    count = (step + 1) // 2
    if step % 2:
        return message("ticket.reopened", at.isoformat(), reopen_count=count, **own)
    return message(
        "ticket.resolved",
        at.isoformat(),
        opened_at=opened,
        reopen_count=count,
        resolution="solved",
        on_hold_ms=on_hold_ms,
        **own,
    )


# --- net promoter score ----------------------------------------------------------------------------------------------


def nps_rows(messages: Sequence[Message], first: date, last: date) -> dict[tuple[date, str, str], tuple[int, int, int]]:
    """Return promoters, passives and detractors by day, tenant and touchpoint: the last answers of 90 days."""
    rows: dict[tuple[date, str, str], Counter[str]] = defaultdict(Counter)
    ordered = sorted(messages, key=lambda each: (moment(each), str(each.message_id)))
    for day in days(first, last):
        latest = {
            (each.tenant, each.properties["survey_id"], each.properties["respondent_ref"]): each
            for each in ordered
            if on_day(each) <= day
        }
        for each in latest.values():
            if day - on_day(each) < timedelta(days=90):
                score = each.properties["score"]
                group = "promoter" if score >= 9 else "passive" if score >= 7 else "detractor"
                rows[day, each.tenant, each.properties["touchpoint"]][group] += 1
    return {key: (row["promoter"], row["passive"], row["detractor"]) for key, row in rows.items()}


# --- tickets ---------------------------------------------------------------------------------------------------------


def working_minutes(tenant: str, first: datetime, last: datetime) -> float | None:
    """Return the minutes between two whole minutes that lie in the tenant's hours, counted one by one."""
    if not HOURS[tenant]:
        return None
    count = 0
    while first < last:
        count += _is_open(tenant, first.astimezone(ZONES[tenant]))
        first += timedelta(minutes=1)
    return float(count)


def _is_open(tenant: str, local: datetime) -> bool:
    """Return whether a local minute lies in the tenant's hours."""
    hours = HOURS[tenant].get(local.isoweekday())
    if hours is None or local.date() in HOLIDAYS[tenant]:
        return False
    return hours[0] <= f"{local:%H:%M}" < hours[1]


@dataclass(frozen=True)
class Ticket:
    """What is known of a ticket by a set of facts."""

    tenant: str
    priority: str | None
    opened: datetime
    resolutions: tuple[Message, ...]
    last: Message | None

    @property
    def first_resolved(self) -> datetime | None:
        """Return the first resolution, which stays."""
        return moment(self.resolutions[0]) if self.resolutions else None

    @property
    def final_resolved(self) -> datetime | None:
        """Return the last resolution, unless a reopening follows it."""
        return moment(self.last) if self.last is not None and self.last.event == "ticket.resolved" else None

    def minutes(self, until: datetime | None) -> float | None:
        """Return calendar minutes since the opening."""
        return None if until is None else (until - self.opened).total_seconds() / 60

    def working(self, until: datetime | None) -> float | None:
        """Return working minutes since the opening."""
        return None if until is None else working_minutes(self.tenant, self.opened, until)


def known_tickets(messages: Sequence[Message]) -> dict[tuple[str, str], Ticket]:
    """Return the tickets that the facts tell of."""
    by_ticket: dict[tuple[str, str], list[Message]] = defaultdict(list)
    for each in messages:
        by_ticket[each.tenant, each.properties["ticket_id"]].append(each)
    found = {}
    for (tenant, ticket), facts in by_ticket.items():
        opened = [each for each in facts if each.event == "ticket.opened"]
        steps = sorted(
            (each for each in facts if each.event != "ticket.opened"),
            key=lambda each: (moment(each), each.properties["reopen_count"], each.event == "ticket.resolved"),
        )
        resolutions = tuple(each for each in steps if each.event == "ticket.resolved")
        if not opened and not resolutions:
            continue
        begun = opened[0].at if opened else resolutions[0].properties["opened_at"]
        priority = opened[0].properties["priority"] if opened else None
        last = steps[-1] if steps else None
        found[tenant, ticket] = Ticket(tenant, priority, datetime.fromisoformat(begun), resolutions, last)
    return found


TicketKey = tuple[date, str, str | None]


def resolution_rows(messages: Sequence[Message], first: date, last: date) -> dict[TicketKey, dict[str, float | None]]:
    """Return the rows of `kpi_ticket_resolution`, from the facts up to each day."""
    resolved: dict[TicketKey, list[Ticket]] = defaultdict(list)
    for day in days(first, last):
        for (tenant, _), ticket in known_tickets([each for each in messages if on_day(each) <= day]).items():
            final = ticket.final_resolved
            if final is not None and final.astimezone(ZONES[tenant]).date() == day:
                resolved[day, tenant, ticket.priority].append(ticket)
    return {key: _statistics(group) for key, group in resolved.items()}


def _statistics(group: list[Ticket]) -> dict[str, float | None]:
    """Return the figures of one group of resolved tickets."""
    measures = {
        "final_resolution_minutes": [each.minutes(each.final_resolved) for each in group],
        "final_resolution_business_minutes": [each.working(each.final_resolved) for each in group],
        "first_resolution_minutes": [each.minutes(each.first_resolved) for each in group],
        "first_resolution_business_minutes": [each.working(each.first_resolved) for each in group],
    }
    figures: dict[str, float | None] = {"resolved": len(group)}
    for name, values in measures.items():
        known = sorted(value for value in values if value is not None)
        figures[f"median_{name}"] = quantile(known, 0.5)
        figures[f"p90_{name}"] = quantile(known, 0.9)
        figures[f"mean_{name}"] = mean(known) if known else None
    return figures


def quantile(ordered: list[float], p: float) -> float | None:
    """Return the quantile with linear interpolation."""
    if not ordered:
        return None
    place = p * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])
