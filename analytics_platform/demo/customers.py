"""Who the customers of a tenant are: pseudonyms, the project they work on, how they pay and since when they buy.

Belongs here: the register that growth fills and that all other domains draw from. Stays out: what customers do.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from analytics_platform.demo.dice import Dice, spread_evenly
from analytics_platform.demo.journal import World


@dataclass(frozen=True)
class Lead:
    """Where a customer came from: the lead and its first-touch channel."""

    lead_id: str
    channel: str


@dataclass(frozen=True)
class Customer:
    """One customer: `since` is when it became one, `weight` how often it books compared with others."""

    customer_ref: str
    project_id: str
    since: datetime
    weight: float
    payer: str
    lead: Lead | None = None

    def contact(self, dice: Dice) -> str:
        """The pseudonym of one of the two or three people whom the tenant deals with there."""
        return f"{self.customer_ref.replace('cst_', 'psn_')}{dice.choice('aab')}"

    def buys_on(self, moment: datetime) -> bool:
        """Whether it is a customer by then."""
        return self.since <= moment


class CustomerRegister:
    """All customers of a tenant, in the order in which they came."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._projects = [f"prj_{number:02d}" for number in range(1, world.profile.projects + 1)]
        self.customers: list[Customer] = []
        self._enrol_opening_customers()

    def enrol(self, since: datetime, dice: Dice, lead: Lead | None = None, payer: str | None = None) -> Customer:
        """A new customer; a lead's luck (`dice`) decides about the customer that it becomes."""
        profile = self._world.profile
        # Square root: some projects are several times as large as others, as they are in real life.
        project = self._projects[int(len(self._projects) * dice.random() ** 1.6)]
        customer = Customer(
            customer_ref=dice.name("cst"),
            project_id=project,
            since=since,
            weight=dice.skewed(1.0, 0.8),
            payer=payer or dice.pick(profile.payers),
            lead=lead,
        )
        self.customers.append(customer)
        return customer

    def _enrol_opening_customers(self) -> None:
        world = self._world
        payers = spread_evenly(range(world.profile.opening_customers), world.profile.payers)
        for number, payer in payers:
            dice = world.dice("customer", number)
            age = timedelta(days=20 + 880 * dice.random() ** 1.3, minutes=dice.randrange(1440))
            self.enrol(world.opening - age, dice, payer=payer)
