"""What happened, as the domains tell it: facts in a tenant's journal, and the world that the domains share.

Belongs here: which facts the platform could have heard of. Stays out: how they look and travel on the wire
(`messages`, `delivery`).

The platform goes live at the opening, the first midnight of the simulation. What is still running then was
imported that night, as a real roll-out does it: those facts are told at the opening, while the times inside them
(`started_at`, `issued_at`) stay the older, true ones. What had ended before the opening is never told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum

from analytics_platform.catalog import Tenant
from analytics_platform.demo.clock import DAY, TenantClock
from analytics_platform.demo.dice import Dice
from analytics_platform.demo.profiles import Plot, Story, TenantProfile

Value = str | int | float | bool | datetime
Properties = Mapping[str, Value]


class Source(StrEnum):
    """Who emits a fact; it decides the form of the message and how fast it travels."""

    BACKEND = "backend"
    SCANNER = "scanner"
    TELEMETRY = "telemetry"
    APP = "app"
    SITE = "site"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that happened: an event of the plan, or (kind `page`, `identify`) one of Segment's own calls."""

    at: datetime
    event: str
    properties: Properties
    source: Source = Source.BACKEND
    user: str | None = None
    visitor: str | None = None
    kind: str = "track"
    campaign: Mapping[str, str] | None = None


@dataclass
class World:
    """What all domains of one tenant share: who it is, its clock, its days, its luck and its journal."""

    seed: int
    profile: TenantProfile
    tenant: Tenant
    first_day: date
    last_day: date
    facts: list[Fact] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.clock = TenantClock(self.tenant)
        self.opening = self.clock.at(self.first_day, 0)
        self.closing = self.clock.at(self.last_day + DAY, 0)
        self._imported: list[Fact] = []

    def dice(self, *path: object) -> Dice:
        """The dice of a domain, or of one thing in it."""
        return Dice(self.seed, self.tenant.tenant_id, *path)

    def days(self, before: int = 0, after: int = 0) -> list[date]:
        """The simulated days, with a run-up and a rest so that nothing starts or ends abruptly."""
        count = (self.last_day - self.first_day).days + 1
        return [self.first_day + DAY * number for number in range(-before, count + after)]

    def effect(self, plot: Plot, moment: datetime | date, where: str = "") -> float | None:
        """The effect of the tenant's story on that day, or None."""
        story = self.story(plot, moment, where)
        return story.effect if story is not None else None

    def story(self, plot: Plot, moment: datetime | date, where: str = "") -> Story | None:
        """The tenant's story of that kind on that day, or None."""
        day = self.clock.day_of(moment) if isinstance(moment, datetime) else moment
        return self.profile.story(plot, (day - self.first_day).days, where)

    def tell(self, facts: Iterable[Fact], *, is_running: bool = False) -> None:
        """Writes one story down: in whole if any of it (or `is_running`: its state) reaches past the opening."""
        told = list(facts)
        if not is_running and all(fact.at < self.opening for fact in told):
            return
        self._imported += [fact for fact in told if fact.at < self.opening]
        self.facts += [fact for fact in told if self.opening <= fact.at < self.closing]

    def all_facts(self) -> list[Fact]:
        """Every fact, those from before the opening told at the opening, a millisecond apart, in their order."""
        imported = sorted(self._imported, key=lambda fact: (fact.at, fact.event))
        step = timedelta(milliseconds=1)
        opening = [_told_at(self.opening + step * place, fact) for place, fact in enumerate(imported)]
        return opening + self.facts


def _told_at(moment: datetime, fact: Fact) -> Fact:
    return Fact(moment, fact.event, fact.properties, fact.source, fact.user, fact.visitor, fact.kind, fact.campaign)
