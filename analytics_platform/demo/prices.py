"""What things cost: subscription plans and what a lead is offered. Amounts in minor units, without tax."""

from __future__ import annotations

from dataclasses import dataclass

from analytics_platform.demo.dice import Dice

PLANS = {"essential": 14_900, "professional": 34_900, "fleet": 79_000, "enterprise": 189_000}
LADDER = tuple(PLANS)

_PLAN_MIX = {"essential": 44.0, "professional": 36.0, "fleet": 15.0, "enterprise": 5.0}
_ANNUAL_SHARE = 0.24
_ANNUAL_FACTOR = 0.9


@dataclass(frozen=True)
class Offer:
    """A plan, how many seats, and whether it is paid by the month or by the year."""

    plan: str
    seats: int
    interval: str

    def mrr_minor(self, price_level: float) -> int:
        """The list price of a month: later seats cost a third of the first, a year in advance is a tenth cheaper."""
        amount = PLANS[self.plan] * price_level * (1 + (self.seats - 1) / 3)
        return round(amount * (_ANNUAL_FACTOR if self.interval == "annual" else 1.0))


def draw_offer(dice: Dice) -> Offer:
    """What a new customer chooses."""
    return Offer(
        plan=dice.pick(_PLAN_MIX),
        seats=1 + int(dice.expovariate(0.9)),
        interval="annual" if dice.chance(_ANNUAL_SHARE) else "monthly",
    )
