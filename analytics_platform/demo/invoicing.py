"""Invoices of bookings and subscriptions, and what becomes of them: paid late, in parts, credited, voided, written off.

Belongs here: money asked for and received, tax included, in minor units. Stays out: what was sold (`revenue`,
`rentals`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from analytics_platform.demo.clock import DAY, add_months
from analytics_platform.demo.customers import Customer
from analytics_platform.demo.dice import Dice
from analytics_platform.demo.journal import Fact, Properties, Value, World
from analytics_platform.demo.profiles import Plot
from analytics_platform.demo.rentals import Booking
from analytics_platform.demo.revenue import Subscription

_HISTORY = 270 * DAY  # open and recent invoices that were imported at the opening
_TERMS_DAYS = {14: 3.0, 30: 7.0}
_VOIDED_SHARE = 0.009
_VOID_REASONS = {"error": 5.0, "duplicate": 3.0, "dispute": 2.0}
_CREDITED_SHARE = 0.035
_CREDIT_REASONS = {"damaged_item": 3.0, "late_delivery": 3.0, "price_agreement": 2.0, "short_delivery": 2.0}
_PARTIAL_SHARE = 0.055
_FORGOTTEN_SHARE = 0.008
_REMINDER_DAYS = (7, 21, 45, 90)
_WRITE_OFF_DAYS = 120
_NEVER = timedelta(days=3650)


@dataclass
class _Invoice:
    """One invoice and what is left of it."""

    invoice_id: str
    customer: Customer
    amount_minor: int
    currency: str
    issued_at: datetime
    due_at: datetime
    context: Properties
    credited_minor: int = 0
    paid_minor: int = 0
    facts: list[Fact] = field(default_factory=list)

    @property
    def outstanding_minor(self) -> int:
        return max(0, self.amount_minor - self.credited_minor - self.paid_minor)

    def note(self, at: datetime, event: str, own: Properties) -> None:
        """Writes down an event of this invoice."""
        properties = {"invoice_id": self.invoice_id, **own, "currency": self.currency, **self.context}
        self.facts.append(Fact(at, event, properties))


def simulate_invoices(world: World, bookings: list[Booking], subscriptions: list[Subscription]) -> None:
    """Tells the invoices of all rentals that took place and of all paid subscriptions."""
    for booking in bookings:
        if booking.returned_at is not None:
            _invoice_booking(world, booking, booking.returned_at)
    for subscription in subscriptions:
        _invoice_subscription(world, subscription)


def _invoice_booking(world: World, booking: Booking, returned_at: datetime) -> None:
    dice = world.dice("invoice", booking.booking_id)
    day = world.clock.next_open_day(world.clock.day_of(returned_at) + DAY * dice.randrange(1, 4))
    issued_at = world.clock.at(day, dice.uniform(560, 1010))
    context: dict[str, Value] = {
        "project_id": booking.customer.project_id,
        "booking_value_minor": booking.value_minor,
        "booking_currency": world.tenant.currency,
    }
    _bill(world, booking.customer, booking.booking_id, booking.value_minor, issued_at, context, dice)


def _invoice_subscription(world: World, subscription: Subscription) -> None:
    """A month or a year in advance, from the first paid day on, on the same day of the month."""
    paid_since = next((phase.since for phase in subscription.phases if phase.mrr_minor), None)
    if paid_since is None:
        return
    months = 12 if subscription.offer.interval == "annual" else 1
    context: dict[str, Value] = {"project_id": subscription.customer.project_id}
    for number in range(0, 600, months):
        issued_at = add_months(paid_since, number) + timedelta(minutes=5)
        if issued_at >= world.closing or subscription.mrr_at(issued_at) == 0:
            return
        if issued_at >= world.opening - _HISTORY:
            dice = world.dice("invoice", subscription.subscription_id, number)
            net = months * subscription.mrr_at(issued_at)
            _bill(world, subscription.customer, subscription.booking_id, net, issued_at, context, dice)


def _bill(
    world: World,
    customer: Customer,
    booking_id: str,
    net_minor: int,
    issued_at: datetime,
    context: Properties,
    dice: Dice,
) -> None:
    tax = round(net_minor * world.profile.tax_rate)
    due_at = issued_at + DAY * dice.pick(_TERMS_DAYS)
    invoice = _Invoice(dice.name("inv"), customer, net_minor + tax, world.tenant.currency, issued_at, due_at, context)
    issued: dict[str, Value] = {
        "booking_id": booking_id,
        "customer_ref": customer.customer_ref,
        "amount_minor": invoice.amount_minor,
        "tax_minor": tax,
        "issued_at": issued_at,
        "due_at": due_at,
    }
    invoice.note(issued_at, "invoice.issued", issued)
    _settle(world, invoice, dice)
    world.tell(invoice.facts, is_running=issued_at >= world.opening - _HISTORY)


def _settle(world: World, invoice: _Invoice, dice: Dice) -> None:
    if dice.chance(_VOIDED_SHARE):
        voided_at = invoice.issued_at + DAY * dice.uniform(0.5, 9)
        reason = dice.pick(_VOID_REASONS)
        own: dict[str, Value] = {"amount_minor": invoice.amount_minor, "reason": reason, "voided_at": voided_at}
        invoice.note(voided_at, "invoice.voided", own)
        return
    if dice.chance(_CREDITED_SHARE):
        _credit(invoice, dice)
    payments = list(_payments(world, invoice, dice))
    settled_at = payments[-1][0] if payments else invoice.due_at + _NEVER
    first_paid_at = payments[0][0] if payments else settled_at
    _remind(world, invoice, first_paid_at, dice)
    for paid_at, amount in payments:
        _pay(invoice, paid_at, amount, dice)
    if not payments:
        _write_off(world, invoice, dice)


def _credit(invoice: _Invoice, dice: Dice) -> None:
    credited_at = invoice.issued_at + DAY * dice.uniform(0.6, 6)
    amount = round(invoice.amount_minor * dice.uniform(0.04, 0.3))
    own: dict[str, Value] = {
        "credit_id": dice.name("crn"),
        "amount_minor": amount,
        "credited_at": credited_at,
        "reason": dice.pick(_CREDIT_REASONS),
    }
    invoice.credited_minor = amount
    invoice.note(credited_at, "invoice.credited", own)


def _payments(world: World, invoice: _Invoice, dice: Dice) -> Iterator[tuple[datetime, int]]:
    """When how much arrives: nothing, all at once, or a part and the rest weeks later."""
    days = _days_after_due(world, invoice, dice)
    if days is None:
        return
    earliest = invoice.issued_at + DAY * (7 if invoice.credited_minor else 0.4)
    paid_at = _banking_time(world, max(invoice.due_at + DAY * days, earliest), dice)
    due = invoice.outstanding_minor
    if invoice.credited_minor and dice.chance(0.1):
        due = invoice.amount_minor  # paid without looking at the credit note
    if not dice.chance(_PARTIAL_SHARE):
        yield paid_at, due
        return
    part = round(due * dice.uniform(0.3, 0.7))
    yield paid_at, part
    yield _banking_time(world, paid_at + DAY * dice.uniform(9, 45), dice), due - part


def _days_after_due(world: World, invoice: _Invoice, dice: Dice) -> float | None:
    """Days between due and paid, negative when early; None when it is never paid."""
    slower = world.effect(Plot.SLOW_PAYERS, invoice.due_at)
    never = {"delinquent": 0.4, "laggard": 0.02}.get(invoice.customer.payer, _FORGOTTEN_SHARE)
    if dice.chance(never + (0.03 if slower else 0.0)):
        return None
    days = {
        "prompt": dice.gauss(-4, 4.5),
        "slow": dice.skewed(7, 0.6),
        "laggard": dice.skewed(26, 0.55),
        "delinquent": dice.skewed(55, 0.4),
    }[invoice.customer.payer]
    return days + (slower or 0.0) * dice.uniform(0.5, 1.6)


def _banking_time(world: World, moment: datetime, dice: Dice) -> datetime:
    day = world.clock.next_open_day(world.clock.day_of(moment))
    return max(world.clock.at(day, dice.uniform(420, 1020)), moment)


def _pay(invoice: _Invoice, at: datetime, amount: int, dice: Dice) -> None:
    invoice.paid_minor += amount
    own: dict[str, Value] = {
        "payment_id": dice.name("pay"),
        "amount_minor": amount,
        "paid_at": at,
        "fully_paid": invoice.outstanding_minor == 0,
    }
    invoice.note(at, "invoice.paid", own)


def _remind(world: World, invoice: _Invoice, until: datetime, dice: Dice) -> None:
    due_on = world.clock.day_of(invoice.due_at)
    for days in _REMINDER_DAYS:
        at = world.clock.at(due_on + DAY * days, 7 * 60 + dice.random() * 9)
        if at >= until:
            return
        own: dict[str, Value] = {
            "outstanding_minor": invoice.outstanding_minor,
            "due_at": invoice.due_at,
            "days_overdue": days,
        }
        invoice.note(at, "invoice.overdue", own)


def _write_off(world: World, invoice: _Invoice, dice: Dice) -> None:
    day = world.clock.next_open_day(world.clock.day_of(invoice.due_at) + DAY * _WRITE_OFF_DAYS)
    at = world.clock.at(day, dice.uniform(560, 980))
    own: dict[str, Value] = {"amount_minor": invoice.outstanding_minor, "written_off_at": at}
    invoice.note(at, "invoice.written_off", own)
