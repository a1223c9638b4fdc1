"""A random business of many small tenants with every hard case of `kpis.md` in it, the same for the same seed.

Each message carries all that the plan requires, so that the same business can be imported through the gate. Belongs
here: drawing tenants and facts. Stays out: what they amount to (`reference_*`), assertions.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from fixture import OCCURRED_AT, Message, TenantRow, message

ZONES = (
    "Europe/Amsterdam",
    "Europe/London",
    "America/New_York",
    "Pacific/Auckland",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "America/Los_Angeles",
    "UTC",
)
HOURS: tuple[tuple[tuple[int, str, str], ...], ...] = (
    tuple((day, "09:00", "17:30") for day in range(1, 6)),
    tuple((day, "08:00", "12:15") for day in range(1, 7)),
    tuple((day, "00:00", "24:00") for day in range(1, 8)),
    ((6, "01:00", "04:00"), (7, "01:00", "04:00")),
    (),
)
STATUSES = (
    "available", "reserved", "picked", "checked_out", "in_transit", "on_site", "returned", "in_inspection",
    "in_repair", "lost", "retired",
)  # fmt: skip
MEDIA = ("cpc", "newsletter", "partner", "organic_social")


@dataclass
class Draw:
    """Draws the facts of one tenant between two days."""

    dice: random.Random
    tenant: TenantRow
    first: date
    last: date
    number: int = 0

    def moment(self) -> datetime:
        """Return a moment of the period, often on a full quarter of an hour and sometimes to the microsecond."""
        start = datetime.combine(self.first, time(), UTC) + timedelta(days=1)
        minutes = self.dice.randrange((self.last - self.first).days * 24 * 4 - 8 * 24 * 4) * 15
        return start + timedelta(minutes=minutes) + self.dice.choice((timedelta(), self.moments()))

    def moments(self) -> timedelta:
        """Return less than a quarter of an hour."""
        return timedelta(microseconds=self.dice.randrange(900_000_000))

    def some(self, most: int) -> range:
        """Return a range of up to so many numbers."""
        return range(self.dice.randint(0, most))

    def maybe(self, chance: float, **properties: Any) -> dict[str, Any]:
        """Return the properties, or none."""
        return properties if self.dice.random() < chance else {}

    def tell(self, event: str, at: datetime, **arguments: Any) -> Message:
        """Return a message of this tenant; one that carries its business time may be sent up to three days later."""
        delay = self.dice.choice((timedelta(), timedelta(), timedelta(hours=self.dice.randrange(72))))
        received = at + (delay if event in OCCURRED_AT else timedelta())
        return replace(
            message(event, at.isoformat(), tenant=self.tenant.tenant_id, event_at=received.isoformat(), **arguments),
            message_id=self.message_id(),
        )

    def message_id(self) -> str:
        """Return an id that says nothing about when the message was made."""
        self.number += 1
        return f"{self.dice.randrange(10**6):06d}-{self.tenant.tenant_id}-{self.number}"


def tenants(seed: int, count: int) -> tuple[TenantRow, ...]:
    """Return tenants with their own zones, schedules, currencies and thresholds."""
    dice = random.Random(seed)
    return tuple(
        TenantRow(
            f"tenant-{number:02d}",
            time_zone=ZONES[number % len(ZONES)],
            currency=dice.choice(("EUR", "GBP")),
            on_time_threshold_minutes=dice.choice((15, 15, 0, 5, 60)),
            hours=dice.choice(HOURS),
            holidays=tuple(date(2026, dice.randint(2, 6), dice.randint(1, 28)) for _ in range(3)),
        )
        for number in range(count)
    )


def business(seed: int, rows: tuple[TenantRow, ...], first: date, last: date) -> list[Message]:
    """Return every fact of the tenants between two days, in no order."""
    facts: list[Message] = []
    for tenant in rows:
        draw = Draw(random.Random(f"{seed}-{tenant.tenant_id}"), tenant, first, last)
        for subject in (_equipment, _transports, _answers, _tickets, _leads, _flows):
            facts += subject(draw)
    random.Random(seed).shuffle(facts)
    return facts


# --- operations ------------------------------------------------------------------------------------------------------


def _equipment(draw: Draw) -> Iterator[Message]:
    """Draw items: registered late, twice or never, with numbers that repeat, clash and come out of order."""
    for number in range(4):
        own = {"equipment_id": f"e{number}"}
        for _ in range(draw.dice.choice((0, 1, 1, 1, 2))):
            yield draw.tell(
                "equipment.registered",
                draw.moment(),
                sku="sku",
                category=draw.dice.choice(("light", "sound")),
                status=draw.dice.choice(("available", "available", "in_repair", "on_site")),
                home_warehouse_id=draw.dice.choice(("w1", "w2")),
                **draw.maybe(0.7, acquisition_cost_minor=draw.dice.randrange(10_000_000)),
                **draw.maybe(0.5, currency=draw.dice.choice(("EUR", "GBP"))),
                **own,
            )
        times = sorted(draw.moment() for _ in draw.some(24))
        for seq, at in enumerate(times):
            yield from _change(draw, draw.dice.choice((seq, seq, seq, max(0, seq - 1))), at, own)


def _change(draw: Draw, seq: int, at: datetime, own: dict[str, str]) -> Iterator[Message]:
    """Draw a change of status: by the backend, a scanner, both, both in conflict, or an exception beside it."""
    moved = {"from_status": "available", "to_status": draw.dice.choice(STATUSES), "status_seq": seq}
    scanned = {"scan_id": draw.message_id(), "warehouse_id": "w1", "device_id": "d1", "operator_ref": "o1"}
    kind = draw.dice.choice(("backend", "scan", "both", "conflict", "exception"))
    if kind != "scan":
        yield draw.tell("equipment.status_changed", at, cause="scan", **moved, **own)
    if kind == "conflict":
        moved |= {"to_status": draw.dice.choice(("on_site", "in_repair", "checked_out", "available"))}
    if kind in {"scan", "both", "conflict"}:
        at += draw.dice.choice((timedelta(), draw.moments()))
        yield draw.tell("scan.completed", at, direction="out", scan_source="rfid", **scanned, **moved, **own)
    if kind == "exception":
        yield draw.tell(
            "scan.exception",
            at + draw.dice.choice((timedelta(), draw.moments(), timedelta(days=2))),
            code=draw.dice.choice(("damaged", "status_conflict", "duplicate_scan")),
            scan_source="rfid",
            resolved=True,
            **scanned,
            **draw.maybe(0.8, to_status=draw.dice.choice(("on_site", "in_repair", "available"))),
            **own,
        )


def _transports(draw: Draw) -> Iterator[Message]:
    """Draw transports: moved, cancelled, revived, unplanned, told twice, around the threshold and the 24 hours."""
    limit = timedelta(minutes=draw.tenant.on_time_threshold_minutes)
    lateness: tuple[Callable[[], timedelta], ...] = (
        lambda: timedelta(), lambda: limit, lambda: limit - timedelta(microseconds=1), lambda: -draw.moments(),
        draw.moments, lambda: timedelta(hours=24), lambda: timedelta(hours=24, microseconds=1),
        lambda: timedelta(hours=draw.dice.randrange(-30, 60)),
    )  # fmt: skip
    for number in draw.some(22):
        planned = draw.moment() + timedelta(days=2)
        own = {"transport_id": f"x{number}"}
        for _ in range(draw.dice.choice((0, 1, 1, 1, 2, 3))):
            yield draw.tell(
                "transport.scheduled",
                planned - timedelta(hours=draw.dice.choice((0, 1, 5, 20, 30, -2, -26))),
                planned_departure_at=planned.isoformat(),
                warehouse_id=draw.dice.choice(("w1", "w2")),
                vehicle_ref=draw.dice.choice(("v1", "v2")),
                direction="outbound",
                **own,
            )
            planned += timedelta(hours=draw.dice.choice((0, 1, 12, 24, 40)))
        for _ in range(draw.dice.choice((0, 0, 1, 2))):
            yield draw.tell(
                "transport.cancelled",
                planned + timedelta(hours=draw.dice.choice((-40, -3, 0, 2, 24, 30))),
                planned_departure_at=planned.isoformat(),
                reason="weather",
                **own,
            )
        for _ in range(draw.dice.choice((0, 1, 1, 1, 2))):
            yield draw.tell(
                "transport.departed",
                planned + draw.dice.choice(lateness)(),
                planned_departure_at=planned.isoformat(),
                warehouse_id=draw.dice.choice(("w1", "w2")),
                loaded_items=1,
                expected_items=1,
                **draw.maybe(0.5, delay_reason=draw.dice.choice(("traffic", "loading"))),
                **own,
            )
        arrives = planned + timedelta(hours=6)
        for _ in range(draw.dice.choice((0, 1, 2))):
            yield draw.tell(
                "transport.arrived",
                arrives + draw.dice.choice(lateness)(),
                planned_arrival_at=arrives.isoformat(),
                **own,
            )


# --- customer success ------------------------------------------------------------------------------------------------


def _answers(draw: Draw) -> Iterator[Message]:
    """Draw answers of a few people to two surveys, given again at other touchpoints."""
    for _ in draw.some(24):
        yield draw.tell(
            "nps.submitted",
            draw.moment(),
            survey_id=draw.dice.choice(("s1", "s2")),
            response_id=draw.message_id(),
            respondent_ref=f"p{draw.dice.randrange(5)}",
            score=draw.dice.randrange(11),
            touchpoint=draw.dice.choice(("onboarding", "after_event")),
        )


def _tickets(draw: Draw) -> Iterator[Message]:
    """Draw tickets: resolved and reopened in turn within minutes or weeks, resolved twice, never opened or resolved."""
    for number in draw.some(14):
        opened = at = draw.moment()
        own = {"ticket_id": f"k{number}"}
        for _ in range(draw.dice.choice((0, 1, 1, 1, 1, 2))):
            yield draw.tell(
                "ticket.opened",
                opened,
                requester_ref="p",
                priority=draw.dice.choice(("high", "low")),
                category=draw.dice.choice(("billing", "scanner")),
                source="email",
                **own,
            )
        for step in draw.some(5):
            hours = draw.dice.choice((0, 1, 7, 30, 100))
            at = min(at + timedelta(hours=hours) + draw.moments(), _end(draw))
            count = (step + 1) // 2
            if step % 2 and draw.dice.random() < 0.9:
                yield draw.tell("ticket.reopened", at, reopen_count=count, **own)
            else:
                yield draw.tell(
                    "ticket.resolved",
                    at,
                    opened_at=opened.isoformat(),
                    reopen_count=count,
                    resolution="solved",
                    **draw.maybe(0.5, on_hold_ms=draw.dice.randrange(9_000_000)),
                    **own,
                )


def _end(draw: Draw) -> datetime:
    """Return a moment after which nothing is told: what is received three days later still lies in the period."""
    return datetime.combine(draw.last, time(), UTC) - timedelta(days=4)


# --- growth and product ----------------------------------------------------------------------------------------------


def _leads(draw: Draw) -> Iterator[Message]:
    """Draw leads of few people: created or not, qualified twice, converted around the 90th day, with page views."""
    for number in draw.some(9):
        created = draw.moment()
        own = {"lead_id": f"l{number}", "channel": draw.dice.choice(("email", "referral", "outbound"))}
        person = {"anonymous_id": f"a{draw.dice.randrange(4)}", "user_id": draw.dice.choice((None, "u1"))}
        for _ in range(draw.dice.choice((0, 1, 1, 1, 2))):
            yield draw.tell("lead.created", created, **draw.maybe(0.6, campaign="spring"), **own, **person)
        for _ in draw.some(2):
            at = min(created + timedelta(days=draw.dice.randrange(-1, 100)), _end(draw))
            yield draw.tell(
                "lead.qualified", at, score=draw.dice.randrange(400) / 4, qualified_by="rule", **own, **_estimate(draw)
            )
        for _ in draw.some(2):
            at = created + timedelta(days=draw.dice.choice((0, 1, 29, 30, 31, 60, 89, 90, 91)))
            if at <= _end(draw):
                yield from _conversion(draw, at, own)
        for _ in draw.some(8):
            yield _page(draw, created + timedelta(hours=draw.dice.randrange(-31 * 24, 24)))
    for _ in draw.some(3):
        anonymous, user = f"a{draw.dice.randrange(5)}", draw.dice.choice(("l0", "u1", "u2"))
        yield replace(
            Message(None, draw.moment().isoformat(), draw.tenant.tenant_id, type="identify"),
            anonymous_id=anonymous, user_id=user, message_id=draw.message_id(),
        )  # fmt: skip


def _estimate(draw: Draw) -> dict[str, Any]:
    """Draw an estimate with, without, or of an own currency."""
    return draw.maybe(0.7, est_value_minor=draw.dice.randrange(999_999), **draw.maybe(0.5, currency="GBP"))


def _conversion(draw: Draw, at: datetime, own: dict[str, str]) -> Iterator[Message]:
    """Draw a conversion that states its value, names a booking or a subscription, or neither."""
    deal = draw.message_id()
    kind = draw.dice.choice(("stated", "booking", "subscription", "nothing"))
    named = {"booking": {"booking_id": deal}, "subscription": {"subscription_id": deal}}.get(kind, {})
    if kind == "stated":
        named = {"booking_value_minor": draw.dice.randrange(99_999), "booking_currency": "GBP"}  # type: ignore[dict-item]
    yield draw.tell("lead.converted", at, converted_to="customer", **named, **own)
    if kind == "booking":
        yield draw.tell(
            "booking.confirmed", at, booking_id=deal, customer_ref="c", rental_start="2026-03-01",
            rental_end="2026-03-02", line_count=1, booking_value_minor=draw.dice.randrange(99_999),
            booking_currency=draw.dice.choice(("EUR", "GBP")),
        )  # fmt: skip
    if kind == "subscription":
        yield draw.tell(
            "subscription.started", at, subscription_id=deal, customer_ref="c", plan="pro",
            mrr_minor=draw.dice.randrange(99_999), currency="EUR", interval="month", started_at=at.isoformat(),
        )  # fmt: skip


def _page(draw: Draw, at: datetime) -> Message:
    """Draw a page view, with campaign tags more often than not."""
    start = datetime.combine(draw.first, time(), UTC) + timedelta(days=1)
    tagged = {"campaign": {"source": "s", "medium": draw.dice.choice(MEDIA), "name": "n"}}
    return Message(
        None,
        min(max(at, start), _end(draw)).isoformat(),
        tenant=draw.tenant.tenant_id,
        type="page",
        message_id=draw.message_id(),
        anonymous_id=f"a{draw.dice.randrange(5)}",
        user_id=draw.dice.choice((None, None, "u1")),
        context=draw.dice.choice((tagged, tagged, {})),
    )


def _flows(draw: Draw) -> Iterator[Message]:
    """Draw runs of two flows: tried again, completed after midnight, left."""
    for run in draw.some(14):
        at = draw.moment()
        for step in ("cart", "pay")[: draw.dice.randint(1, 2)]:
            for outcome in draw.dice.sample(("started", "completed", "failed", "abandoned"), draw.dice.randint(1, 3)):
                at += timedelta(minutes=draw.dice.randrange(90))
                yield draw.tell(
                    "ui.flow_step", at, flow=draw.dice.choice(("booking", "booking", "quote")), step=step,
                    outcome=outcome, flow_run_id=f"f{run}", project=draw.dice.choice((None, "p1")),
                )  # fmt: skip
