"""Support tickets: asked in waves of the office day, resolved in opening hours by priority, some asked again.

Belongs here: tickets. Stays out: how customers felt about it (`surveys`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from analytics_platform.demo.clock import demand, office_demand
from analytics_platform.demo.customers import Customer, CustomerRegister
from analytics_platform.demo.dice import Dice
from analytics_platform.demo.journal import Fact, Value, World
from analytics_platform.demo.profiles import Plot

_RUN_UP_DAYS = 20
_DAYS_A_MONTH = 365 / 12
_PRIORITIES = {"urgent": 8.0, "high": 22.0, "normal": 52.0, "low": 18.0}
_BUSINESS_MINUTES = {"urgent": 70.0, "high": 180.0, "normal": 340.0, "low": 720.0}
_CATEGORIES = {"equipment": 30.0, "delivery": 22.0, "invoice": 18.0, "booking": 18.0, "access": 12.0}
_SOURCES = {"email": 46.0, "portal": 30.0, "phone": 20.0, "chat": 4.0}
_RESOLUTIONS = {"solved": 82.0, "workaround": 9.0, "duplicate": 4.0, "no_answer": 5.0}
_REOPENED_SHARE = 0.075
_ON_HOLD_SHARE = 0.25


@dataclass(frozen=True)
class Ticket:
    """A ticket that was resolved, for those who ask how it went."""

    ticket_id: str
    customer: Customer
    requester_ref: str
    resolved_at: datetime


@dataclass(frozen=True)
class _Case:
    ticket_id: str
    opened_at: datetime
    priority: str
    agent_ref: str
    project_id: str


def simulate_support(world: World, register: CustomerRegister) -> list[Ticket]:
    """Tells all tickets and answers them."""
    return [
        _tell_ticket(world, register, day, world.dice("ticket", day, number))
        for day in world.days(before=_RUN_UP_DAYS)
        for number in range(_tickets_on(world, day))
    ]


def _tickets_on(world: World, day: date) -> int:
    mean = world.profile.tickets_a_month / _DAYS_A_MONTH * office_demand(day) * (0.4 + 0.6 * demand(day))
    return world.dice("tickets", day).poisson(mean)


def _tell_ticket(world: World, register: CustomerRegister, day: date, dice: Dice) -> Ticket:
    opened_at = world.clock.at(day, dice.triangular(440, 1260, 620))
    known = [customer for customer in register.customers if customer.buys_on(opened_at)]
    customer = dice.choices(known, [customer.weight for customer in known])[0]
    requester_ref = customer.contact(dice)
    case = _Case(
        ticket_id=dice.name("tck"),
        opened_at=opened_at,
        priority=dice.pick(_PRIORITIES),
        agent_ref=f"agt_{dice.randrange(1, 7):02d}",
        project_id=customer.project_id,
    )
    opened: dict[str, Value] = {
        "ticket_id": case.ticket_id,
        "requester_ref": requester_ref,
        "priority": case.priority,
        "category": dice.pick(_CATEGORIES),
        "opened_at": opened_at,
        "source": dice.pick(_SOURCES),
        "project_id": customer.project_id,
    }
    rest = list(_handle(world, case, dice))
    world.tell([Fact(opened_at, "ticket.opened", opened), *rest])
    return Ticket(case.ticket_id, customer, requester_ref, rest[-1].at)


def _handle(world: World, case: _Case, dice: Dice) -> Iterator[Fact]:
    """Resolved, and for some reopened and resolved again; the second time goes faster."""
    level = world.profile.resolution_level * (world.effect(Plot.SLOW_SUPPORT, case.opened_at) or 1.0)
    minutes = dice.skewed(_BUSINESS_MINUTES[case.priority] * level, 0.85)
    resolved = _resolved(world, case, case.opened_at, minutes, 0, dice)
    yield resolved
    if not dice.chance(_REOPENED_SHARE):
        return
    asked_again_at = world.clock.after_business_minutes(resolved.at, dice.skewed(500, 0.8))
    reopened: dict[str, Value] = {
        "ticket_id": case.ticket_id,
        "reopened_at": asked_again_at,
        "reopen_count": 1,
        "project_id": case.project_id,
    }
    yield Fact(asked_again_at, "ticket.reopened", reopened)
    yield _resolved(world, case, asked_again_at, minutes * dice.uniform(0.3, 0.9), 1, dice)


def _resolved(world: World, case: _Case, since: datetime, minutes: float, reopened: int, dice: Dice) -> Fact:
    resolved_at = world.clock.after_business_minutes(since, max(4.0, minutes))
    properties: dict[str, Value] = {
        "ticket_id": case.ticket_id,
        "opened_at": case.opened_at,
        "resolved_at": resolved_at,
        "reopen_count": reopened,
        "resolution": dice.pick(_RESOLUTIONS),
        "agent_ref": case.agent_ref,
        "project_id": case.project_id,
    }
    if dice.chance(_ON_HOLD_SHARE):
        waited = (resolved_at - since) * dice.uniform(0.1, 0.6)
        properties["on_hold_ms"] = int(waited / timedelta(milliseconds=1))
    return Fact(resolved_at, "ticket.resolved", properties)
