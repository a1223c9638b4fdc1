"""Subscriptions: trials, plans, upgrades, downgrades, seats, price rises, cancellations and returns.

Belongs here: what a subscription is worth at each moment. Stays out: its invoices (`invoicing`), which follow from the
phases that this module answers. All amounts are a month's, without tax, in minor units.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from analytics_platform.demo.clock import add_months
from analytics_platform.demo.customers import Customer, CustomerRegister
from analytics_platform.demo.dice import Dice
from analytics_platform.demo.growth import Conversion
from analytics_platform.demo.journal import Fact, Value, World
from analytics_platform.demo.prices import LADDER, Offer, draw_offer
from analytics_platform.demo.profiles import Plot

_TRIAL = timedelta(days=14)
_TRIAL_SHARE = 0.6
_TRIAL_KEPT_SHARE = 0.82
_RETURN_SHARE = 0.2
_SECOND_SHARE = 0.06
_LAPSED_SHARE = 0.12
_LAPSED_RETURN_SHARE = 0.4
_UPGRADE, _DOWNGRADE, _MORE_SEATS, _FEWER_SEATS = 0.007, 0.006, 0.012, 0.007
_PRICE_RISE = 1.035
_MAX_MONTHS = 60
# A cancellation within the simulated days may take effect this much after them.
_LONGEST_NOTICE = timedelta(days=25)


@dataclass(frozen=True)
class Phase:
    """From when a subscription is worth how much a month."""

    since: datetime
    mrr_minor: int


@dataclass
class Subscription:
    """One subscription and how it went; `ended_at` is None while it runs."""

    subscription_id: str
    booking_id: str
    customer: Customer
    offer: Offer
    started_at: datetime
    phases: list[Phase] = field(default_factory=list)
    ended_at: datetime | None = None
    facts: list[Fact] = field(default_factory=list)

    @property
    def mrr_minor(self) -> int:
        """What it is worth a month after the last change."""
        return self.phases[-1].mrr_minor

    def mrr_at(self, moment: datetime) -> int:
        """What it is worth a month at a moment; 0 in a trial and after its end."""
        if self.ended_at is not None and moment >= self.ended_at:
            return 0
        return next((phase.mrr_minor for phase in reversed(self.phases) if phase.since <= moment), 0)


def simulate_revenue(world: World, register: CustomerRegister, conversions: list[Conversion]) -> list[Subscription]:
    """Tells every subscription of the tenant and answers them all."""
    desk = _Desk(world)
    opening = [customer for customer in register.customers if customer.lead is None]
    for customer in opening:
        desk.open_with(customer)
    for conversion in conversions:
        if conversion.subscription_id is not None and conversion.offer is not None:
            desk.sell(conversion, conversion.subscription_id, conversion.offer)
    return desk.subscriptions


class _Desk:
    """Lives through the subscriptions of one tenant, each with dice of its own."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.subscriptions: list[Subscription] = []

    def open_with(self, customer: Customer) -> None:
        """A customer of the time before the opening: most have a subscription, some had one."""
        dice = self._world.dice("subscription", customer.customer_ref)
        subscription = self._buy(customer, customer.since, dice)
        # How far a life is lived depends on the last day, so nothing else may be drawn from the same dice after it.
        self._maybe_buy_second(customer, dice.child("second"))
        if dice.chance(_LAPSED_SHARE):
            self._lapse_before_opening(subscription, dice)
        else:
            self._live(subscription, dice)

    def _maybe_buy_second(self, customer: Customer, dice: Dice) -> None:
        bought_at = self._world.opening + timedelta(days=dice.uniform(-90, 300))
        if dice.chance(_SECOND_SHARE) and bought_at > customer.since:
            self._live(self._buy(customer, bought_at, dice), dice)

    def sell(self, conversion: Conversion, subscription_id: str, offer: Offer) -> None:
        """The subscription that a lead became, often with a trial first."""
        dice = self._world.dice("subscription", conversion.customer.customer_ref)
        trial = dice.chance(_TRIAL_SHARE)
        subscription = Subscription(
            subscription_id, dice.name("bkg"), conversion.customer, offer, conversion.converted_at
        )
        self._start(subscription, 0 if trial else self._list_price(offer))
        if not trial or self._keep_after_trial(subscription, dice):
            self._live(subscription, dice)

    def _buy(self, customer: Customer, started_at: datetime, dice: Dice) -> Subscription:
        """A customer who needs no trial subscribes."""
        subscription = Subscription(dice.name("sub"), dice.name("bkg"), customer, draw_offer(dice), started_at)
        self._start(subscription, self._list_price(subscription.offer))
        return subscription

    def _start(self, subscription: Subscription, mrr_minor: int) -> None:
        subscription.phases.append(Phase(subscription.started_at, mrr_minor))
        subscription.facts.append(_started(self._world, subscription))
        if mrr_minor:
            subscription.facts.append(_call_off(self._world, subscription, subscription.started_at))
        self.subscriptions.append(subscription)

    def _list_price(self, offer: Offer) -> int:
        return offer.mrr_minor(self._world.profile.price_level)

    def _keep_after_trial(self, subscription: Subscription, dice: Dice) -> bool:
        ends_at = subscription.started_at + _TRIAL
        if dice.chance(_TRIAL_KEPT_SHARE):
            self._change(subscription, ends_at, "trial_converted", self._list_price(subscription.offer), "trial")
            subscription.facts.append(_call_off(self._world, subscription, ends_at))
            return True
        self._end(subscription, ends_at, ends_at, "trial_not_kept", voluntary=True)
        return False

    def _lapse_before_opening(self, subscription: Subscription, dice: Dice) -> None:
        age = self._world.opening - subscription.started_at
        ended_at = subscription.started_at + age * dice.uniform(0.3, 0.95)
        self._end(subscription, ended_at, ended_at, "too_little_use", voluntary=True)
        if dice.chance(_LAPSED_RETURN_SHARE):
            self._return(subscription.customer, self._world.opening + timedelta(days=dice.uniform(15, 330)), dice)

    def _live(self, subscription: Subscription, dice: Dice) -> None:
        """Month by month from the start (or from the opening) until it ends or the simulation does."""
        start = subscription.phases[-1].since
        for month in range(1, _MAX_MONTHS):
            renews_at = add_months(start, month)
            if renews_at < self._world.opening:
                continue
            if renews_at >= self._world.closing + _LONGEST_NOTICE:
                break
            if dice.chance(self._churn(subscription, renews_at, month)):
                self._cancel(subscription, renews_at, dice)
                return
            self._maybe_change(subscription, renews_at, month, dice)
        self._tell(subscription)

    def _churn(self, subscription: Subscription, at: datetime, month: int) -> float:
        hazard = self._world.profile.churn_a_month * (self._world.effect(Plot.CHURN_WAVE, at) or 1.0)
        if subscription.offer.interval == "annual":
            return min(0.6, 8 * hazard) if month % 12 == 0 else 0.0
        return min(0.5, hazard * (1.6 if month <= 4 else 1.0))

    def _maybe_change(self, subscription: Subscription, at: datetime, month: int, dice: Dice) -> None:
        offer, step, chance = subscription.offer, LADDER.index(subscription.offer.plan), dice.random()
        if chance < _UPGRADE and step + 1 < len(LADDER):
            self._reprice(subscription, at, "upgrade", replace(offer, plan=LADDER[step + 1]))
        elif _UPGRADE <= chance < _UPGRADE + _DOWNGRADE and step > 0:
            self._reprice(subscription, at, "downgrade", replace(offer, plan=LADDER[step - 1]))
        elif 0.1 <= chance < 0.1 + _MORE_SEATS:
            self._reprice(subscription, at, "seats_added", replace(offer, seats=offer.seats + dice.choice((1, 2))))
        elif 0.2 <= chance < 0.2 + _FEWER_SEATS and offer.seats > 1:
            self._reprice(subscription, at, "seats_removed", replace(offer, seats=offer.seats - 1))
        elif month % 12 == 0:
            raised = round(subscription.mrr_minor * _PRICE_RISE)
            self._change(subscription, at, "price_rise", raised, offer.plan)

    def _reprice(self, subscription: Subscription, at: datetime, kind: str, offer: Offer) -> None:
        """Keeps what past price rises added: the new list price times what is paid of the old one."""
        before = subscription.offer
        paid_of_list = subscription.mrr_minor / self._list_price(before)
        subscription.offer = offer
        self._change(subscription, at, kind, round(self._list_price(offer) * paid_of_list), before.plan)

    def _change(self, subscription: Subscription, at: datetime, kind: str, mrr_minor: int, from_plan: str) -> None:
        properties: dict[str, Value] = {
            "subscription_id": subscription.subscription_id,
            "customer_ref": subscription.customer.customer_ref,
            "from_plan": from_plan,
            "to_plan": subscription.offer.plan,
            "mrr_before_minor": subscription.mrr_minor,
            "mrr_after_minor": mrr_minor,
            "currency": self._world.tenant.currency,
            "changed_at": at,
            "change_kind": kind,
            "project_id": subscription.customer.project_id,
        }
        subscription.phases.append(Phase(at, mrr_minor))
        subscription.facts.append(Fact(at, "subscription.changed", properties))

    def _cancel(self, subscription: Subscription, ends_at: datetime, dice: Dice) -> None:
        in_wave = self._world.effect(Plot.CHURN_WAVE, ends_at) is not None
        voluntary = in_wave or dice.chance(0.85)
        reason = dice.pick(_reasons(in_wave)) if voluntary else "payment_failed"
        notice = timedelta(days=dice.randrange(1, 25)) if voluntary and dice.chance(0.45) else timedelta()
        said_at = max(ends_at - notice, subscription.phases[-1].since + timedelta(minutes=1))
        self._end(subscription, said_at, ends_at, reason, voluntary)
        if dice.chance(_RETURN_SHARE):
            self._return(subscription.customer, ends_at + timedelta(days=dice.uniform(28, 150)), dice)

    def _return(self, customer: Customer, at: datetime, dice: Dice) -> None:
        if at < self._world.closing:
            self._live(self._buy(customer, at, dice.child("return")), dice.child("returned"))

    def _end(
        self, subscription: Subscription, said_at: datetime, ends_at: datetime, reason: str, voluntary: bool
    ) -> None:
        properties: dict[str, Value] = {
            "subscription_id": subscription.subscription_id,
            "customer_ref": subscription.customer.customer_ref,
            "mrr_lost_minor": subscription.mrr_minor,
            "currency": self._world.tenant.currency,
            "effective_at": ends_at,
            "voluntary": voluntary,
            "reason": reason,
            "project_id": subscription.customer.project_id,
        }
        subscription.ended_at = ends_at
        subscription.facts.append(Fact(said_at, "subscription.cancelled", properties))
        self._tell(subscription)

    def _tell(self, subscription: Subscription) -> None:
        self._world.tell(subscription.facts, is_running=True)


def _reasons(in_wave: bool) -> dict[str, float]:
    ordinary = {"too_little_use": 4.0, "price": 3.0, "competitor": 2.0, "out_of_business": 1.0}
    return {**ordinary, "price": 40.0, "competitor": 8.0} if in_wave else ordinary


def _started(world: World, subscription: Subscription) -> Fact:
    properties: dict[str, Value] = {
        "subscription_id": subscription.subscription_id,
        "customer_ref": subscription.customer.customer_ref,
        "plan": subscription.offer.plan if subscription.mrr_minor else "trial",
        "mrr_minor": subscription.mrr_minor,
        "currency": world.tenant.currency,
        "interval": subscription.offer.interval,
        "started_at": subscription.started_at,
        "project_id": subscription.customer.project_id,
    }
    lead = subscription.customer.lead
    if lead is not None and subscription.started_at == subscription.customer.since:
        properties |= {"lead_id": lead.lead_id, "acquisition_channel": lead.channel}
    return Fact(subscription.started_at, "subscription.started", properties)


def _call_off(world: World, subscription: Subscription, at: datetime) -> Fact:
    """The call-off contract behind a paid subscription: the booking that its invoices charge."""
    properties: dict[str, Value] = {
        "booking_id": subscription.booking_id,
        "customer_ref": subscription.customer.customer_ref,
        "rental_start": at,
        "rental_end": add_months(at, 12),
        "line_count": subscription.offer.seats,
        "booking_value_minor": 12 * subscription.mrr_minor,
        "booking_currency": world.tenant.currency,
        "project_id": subscription.customer.project_id,
    }
    return Fact(at, "booking.confirmed", properties)
