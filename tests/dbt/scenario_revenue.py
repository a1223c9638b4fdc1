"""Random subscriptions and invoices of small tenants with every hard case of `kpis.md`; the same for the same seed.

Belongs here: drawing billing facts. Stays out: what they amount to (`reference_revenue`), assertions.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fixture import Message, TenantRow
from scenario import Draw

LEAP_DAY = date(2024, 2, 29)
MRR = (0, 0, 1, 3333, 9900, 9900, 25001)
TOTALS = (0, 1, 999, 12100, 12100, 500_000)
BOOKING_VALUES = (None, None, 0, 49_999, 50_000, 249_999, 250_000, 1_000_000, 5_000_000)


def billing(seed: int, tenants: Sequence[TenantRow], first: date, last: date) -> list[Message]:
    """Return every billing fact of the tenants between two days, in no order."""
    facts: list[Message] = []
    for tenant in tenants:
        draw = Draw(random.Random(f"{seed}-{tenant.tenant_id}"), tenant, first, last)
        for subject in (_subscriptions, _invoices):
            facts += subject(draw)
    random.Random(seed).shuffle(facts)
    return facts


def _moment(draw: Draw) -> datetime:
    """Return a moment of the period, often at or just before a local midnight, a month's end or the leap day."""
    at = draw.moment()
    zone = ZoneInfo(draw.tenant.time_zone)
    day = at.astimezone(zone).date()
    day = draw.dice.choice((day, day, day, day.replace(day=1), min(max(draw.first, LEAP_DAY), draw.last)))
    midnight = datetime.combine(day, time(), zone).astimezone(UTC)
    kind = draw.dice.choice(("any", "any", "midnight", "before", "noon"))
    edges = {
        "midnight": midnight,
        "before": midnight - timedelta(microseconds=1),
        "noon": midnight + timedelta(hours=12),
    }
    earliest = datetime.combine(draw.first, time(), UTC) + timedelta(days=2)
    return max(edges.get(kind, at), earliest)


def _told(draw: Draw, each: Message, days: tuple[int, ...]) -> Message:
    """Return the message as told so many days after it took effect, and never outside of the period."""
    at = datetime.fromisoformat(each.at) + timedelta(days=draw.dice.choice(days), minutes=draw.dice.choice((0, 7)))
    first, last = (datetime.combine(day, time(12), UTC) for day in (draw.first, draw.last))
    return replace(each, event_at=min(max(at, first), last).isoformat())


# --- subscriptions ---------------------------------------------------------------------------------------------------


def _subscriptions(draw: Draw) -> Iterator[Message]:
    """Draw subscriptions of few customers: trials, restarts, several facts a day, changing projects and currencies."""
    for number in range(draw.dice.randint(3, 8)):
        own = {
            "subscription_id": f"s{number}",
            "customer_ref": f"c{draw.dice.randrange(4)}",
            "currency": draw.dice.choice((draw.tenant.currency,) * 6 + ("EUR", "GBP", "USD")),
        }
        kinds = [
            "started",
            *draw.dice.choices(("started", "changed", "changed", "cancelled", "again"), k=draw.dice.randrange(7)),
        ]
        at = _moment(draw)
        for kind in kinds:
            yield from _fact(draw, kind, at, own)
            at = draw.dice.choice((at, at + timedelta(hours=1), at + draw.moments(), _moment(draw)))
            if draw.dice.random() < 0.05:
                own = {**own, "currency": draw.dice.choice(("EUR", "GBP"))}


def _fact(draw: Draw, kind: str, at: datetime, own: dict[str, str]) -> Iterator[Message]:
    """Draw one fact of a subscription; a start may be reported again, a cancellation is often announced."""
    project = draw.dice.choice((None, None, "p1", "p1", "p2"))
    plan = {"plan": "basic", "interval": draw.dice.choice(("monthly", "annual", "quarterly", "weekly"))}
    if kind in {"started", "again"}:
        start = draw.tell("subscription.started", at, mrr_minor=draw.dice.choice(MRR), project=project, **plan, **own)
        yield start
        if kind == "again":
            yield replace(_told(draw, start, (0, 1, 9)), message_id=draw.message_id())
    if kind == "changed":
        change = {"from_plan": "a", "to_plan": "b", "change_kind": "x", "mrr_before_minor": draw.dice.choice(MRR)}
        told = draw.tell(
            "subscription.changed", at, mrr_after_minor=draw.dice.choice(MRR), project=project, **change, **own
        )
        yield _told(draw, told, (0, 0, 2, -3))
    if kind == "cancelled":
        at += timedelta(days=draw.dice.choice((0, 0, 0, 30)))
        told = draw.tell("subscription.cancelled", at, mrr_lost_minor=1, voluntary=True, project=project, **own)
        yield _told(draw, told, (0, -20, 5))


# --- invoices --------------------------------------------------------------------------------------------------------


def _invoices(draw: Draw) -> Iterator[Message]:
    """Draw invoices: issued twice or never, due at once or before, and what happens to them before and after."""
    for number in range(draw.dice.randint(2, 9)):
        own = {"invoice_id": f"i{number}", "currency": draw.dice.choice((draw.tenant.currency,) * 5 + ("GBP", "USD"))}
        issued = _moment(draw)
        for _ in range(draw.dice.choice((0, 1, 1, 1, 1, 1, 1, 2))):
            yield _issue(draw, issued, own)
            issued += timedelta(days=draw.dice.choice((0, 3)))
        for event in draw.dice.choices(
            ("paid", "paid", "paid", "credited", "overdue", "written_off"), k=draw.dice.randrange(6)
        ):
            yield _invoice_fact(draw, event, issued, own)
        if draw.dice.random() < 0.15:
            yield _invoice_fact(draw, "voided", issued, own)


def _issue(draw: Draw, at: datetime, own: dict[str, str]) -> Message:
    """Draw the issue of an invoice."""
    due = at + timedelta(days=draw.dice.choice((-2, 0, 0, 1, 14, 30, 60)), hours=draw.dice.choice((0, 11)))
    value = draw.dice.choice(BOOKING_VALUES)
    booking: dict[str, Any] = {} if value is None else {"booking_value_minor": value, "booking_currency": "EUR"}
    return draw.tell(
        "invoice.issued",
        at,
        booking_id="b1",
        customer_ref=f"c{draw.dice.randrange(4)}",
        amount_minor=draw.dice.choice(TOTALS),
        tax_minor=0,
        due_at=due.isoformat(),
        project=draw.dice.choice((None, "p1", "p2")),
        **booking,
        **own,
    )


def _invoice_fact(draw: Draw, event: str, issued: datetime, own: dict[str, str]) -> Message:
    """Draw what happens to an invoice: early, late, reported twice, too much, or in a currency that is not its own."""
    at = issued + timedelta(
        days=draw.dice.choice((-5, 0, 0, 1, 29, 30, 31, 45, 92, 200)), hours=draw.dice.choice((0, 6))
    )
    at = min(max(at, datetime.combine(draw.first, time(), UTC) + timedelta(days=2)), _latest(draw))
    details: dict[str, dict[str, Any]] = {
        "paid": {"payment_id": f"p{draw.dice.randrange(3)}", "fully_paid": False},
        "credited": {"credit_id": f"k{draw.dice.randrange(2)}", "reason": "goodwill"},
        "voided": {"reason": "error"},
        "written_off": {},
        "overdue": {"due_at": issued.isoformat(), "days_overdue": 1, "outstanding_minor": 1},
    }
    amount = {} if event == "overdue" else {"amount_minor": draw.dice.choice((1, 500, 6000, 12100, 13000, 500_000))}
    stray = draw.maybe(0.08, currency="EUR")
    return draw.tell(f"invoice.{event}", at, **{**own, **stray}, **amount, **details[event])


def _latest(draw: Draw) -> datetime:
    """Return a moment after which nothing is told: what is received three days later still lies in the period."""
    return datetime.combine(draw.last, time(), UTC) - timedelta(days=4)
