"""Plan, dry run, apply, verify: the steps of a removal over all sinks, each on record.

A removal that was begun is finished by whoever applies the plan again, with one effect:

    removal_intended  on record, then the statement that keeps the days away, and only then the first deletion
    …                 deletions, which may be repeated
    removal_done      on record once, with what was planned
    verified          or `verification_failed`, counted anew each time
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from analytics_platform.catalog import Catalog
from analytics_platform.errors import AnalyticsError
from analytics_platform.governance.evidence import EvidenceChain
from analytics_platform.governance.retention.approvals import RETENTION, Approvals
from analytics_platform.governance.retention.holds import Hold, Holds
from analytics_platform.governance.retention.lock import removing
from analytics_platform.governance.retention.plan import Plan, differences, draw_plan
from analytics_platform.governance.retention.sink import CannotCountError, Sink
from analytics_platform.governance.retention.terms import Term, Terms
from analytics_platform.lake.removals import Removals, read_removals, state_removals
from analytics_platform.lake.store import ObjectStore

_NAMED = 10

Step = Callable[[str], None]
"""Told each step before it is taken; what it raises ends the removal there, as a crash would."""


class StalePlanError(AnalyticsError):
    """What was planned is not what is there any more."""


class SurvivorsError(AnalyticsError):
    """Something that was to be removed is still there, or could not be counted."""


@dataclass(frozen=True, slots=True)
class Survivors:
    """What is left of a target: `units` is None where it could not be counted, and `problem` says why."""

    sink: str
    dataset: str
    tenant: str
    units: int | None
    problem: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What applying or verifying a plan came to."""

    plan: str
    targets: int
    units: int
    survivors: tuple[Survivors, ...] = ()
    already_done: bool = False
    held_back: tuple[str, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether nothing survived and everything could be counted."""
        return not self.survivors

    def as_dict(self) -> dict[str, Any]:
        """The outcome as plain values."""
        return {
            "ok": self.ok,
            "plan": self.plan,
            "targets": self.targets,
            "units": self.units,
            "already_done": self.already_done,
            "held_back": list(self.held_back),
            "survivors": [
                {"sink": s.sink, "dataset": s.dataset, "tenant": s.tenant, "units": s.units, "problem": s.problem}
                for s in self.survivors
            ],
        }


class RetentionDesk:
    """Retention of one deployment.

    Args:
        catalog: what is declared.
        store: the lake, which also keeps plans, approvals, holds and evidence.
        sinks: every place that holds data.
        settle: told all removals after one was carried out: what follows from them elsewhere (accounts, partition
            status, the warehouse's file); may be repeated.
        step: told each step; tests end a removal there.
    """

    def __init__(
        self,
        catalog: Catalog,
        store: ObjectStore,
        sinks: Sequence[Sink],
        *,
        settle: Callable[[Removals], None] = lambda _: None,
        step: Step = lambda _: None,
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._sinks = {sink.name: sink for sink in sinks}
        self._settle = settle
        self._step = step
        self.approvals = Approvals(store, RETENTION)
        self.holds = Holds(store)
        self.chain = EvidenceChain(store)

    @property
    def sinks(self) -> Sequence[Sink]:
        """Every place that holds data."""
        return list(self._sinks.values())

    def plan(self, as_of: date, *, by: str, now: datetime | None = None) -> Plan:
        """Draw a plan, and keep it when it would remove anything."""
        plan = self._draw(as_of, by, as_of)
        if plan.targets:
            self.approvals.keep(plan, now or datetime.now(UTC))
        return plan

    def foresee(self, as_of: date, *, by: str) -> Plan:
        """What a plan of another day would say as things stand; it is not kept, so it cannot be approved."""
        return self._draw(as_of, by, as_of)

    def waiting_for_approval(self, now: datetime) -> list[Plan]:
        """Plans that were neither approved nor carried out, the latest day first."""
        open_plans = [plan for plan in self._undone() if self.approvals.approval(plan.hash) is None]
        return [plan for plan in open_plans if (now.date() - plan.as_of).days <= _STALE_DAYS]

    def approved(self, now: datetime) -> list[Plan]:
        """Plans that somebody else has approved or that were begun, and that nobody has carried out to the end."""
        return [plan for plan in self._undone() if self._intended(plan) or self.approvals.is_approved(plan, now)]

    def dry_run(self, plan: Plan, today: date) -> list[str]:
        """What has changed since the plan was drawn; empty when applying it would remove exactly what it says."""
        if self._intended(plan):
            return []
        now = self._draw(plan.as_of, plan.planned_by, today)
        return [] if now.hash == plan.hash else differences(plan, now)

    def apply(self, plan: Plan, *, by: str, now: datetime | None = None) -> Outcome:
        """Carry out an approved plan, or finish one that was begun, then verify it.

        Raises:
            NotApprovedError, SelfApprovalError: nobody else agreed to it.
            StalePlanError: the data, the holds or the declarations have changed since.
            RemovalUnderWayError: something is being removed already.
            SurvivorsError: something is still there afterwards.
        """
        now = now or datetime.now(UTC)
        if self.chain.find("removal_done", plan.hash) is not None:
            return self.verify(plan, by=by, now=now, already_done=True)
        if not self._intended(plan):
            self.approvals.require(plan, now)
        if plan.as_of > now.date() + timedelta(days=1):
            raise StalePlanError(f"{plan.hash[:12]} is of {plan.as_of}, a day to come; apply it then")
        with removing(self._store, f"retention plan {plan.hash[:12]}", plan.newest or plan.as_of):
            self._begin(plan, by, now)
            held_back = self._remove(plan, now)
            self._settle(read_removals(self._store))
            self._step("record")
            said = {"targets": len(plan.targets), "units": plan.units, "held_back": held_back}
            self.chain.record_once("removal_done", plan.hash, by, said, at=now)
        return self.verify(plan, by=by, now=now)

    def verify(self, plan: Plan, *, by: str, now: datetime | None = None, already_done: bool = False) -> Outcome:
        """Count what is left of a plan's targets, put that on record, and raise when it is anything.

        Raises:
            SurvivorsError: naming what is there, and what could not be counted.
        """
        now = now or datetime.now(UTC)
        terms = [(sink, self._unless_held_since(term, now)) for sink, term in plan.terms()]
        survivors = tuple(found for sink, term in terms if (found := self._survivors(sink, term)) is not None)
        held_back = tuple(
            f"{sink} {term.dataset} {term.tenant}"
            for (sink, term), (_, planned) in zip(terms, plan.terms(), strict=True)
            if term != planned
        )
        outcome = Outcome(plan.hash, len(plan.targets), plan.units, survivors, already_done, held_back)
        kind = "verified" if outcome.ok else "verification_failed"
        said = {"targets": outcome.targets, "survivors": outcome.as_dict()["survivors"], "held_back": list(held_back)}
        if outcome.ok:
            self.chain.record_once(kind, plan.hash, by, said, at=now)
            return outcome
        self.chain.record(kind, plan.hash, by, said, at=now)
        raise SurvivorsError(_told(outcome))

    def _draw(self, as_of: date, by: str, today: date) -> Plan:
        return draw_plan(self._catalog, list(self._sinks.values()), self.holds.in_force(today), as_of, by)

    def _begin(self, plan: Plan, by: str, now: datetime) -> None:
        """Put on record what will happen, unless an attempt before has; from here on it is finished, not refused."""
        if not self._intended(plan):
            changed = self.dry_run(plan, now.date())
            if changed:
                names = ", ".join(changed[:_NAMED]) + (f" and {len(changed) - _NAMED} more" if changed[_NAMED:] else "")
                raise StalePlanError(f"changed since {plan.hash[:12]} was drawn: {names}; draw and approve a new plan")
            self._step("intend")
            said = {"as_of": plan.as_of.isoformat(), "targets": len(plan.targets), "units": plan.units}
            self.chain.record_once("removal_intended", plan.hash, by, said, at=now)
        self._step("state")
        terms = Terms(self._catalog, plan.as_of, self._kept_by(plan, now.date()))
        state_removals(self._store, plan.hash, plan.removed(terms))

    def _kept_by(self, plan: Plan, today: date) -> list[Hold]:
        """Holds in force, and those of the plan though they have ended since: what they kept nobody has approved."""
        in_force = self.holds.in_force(today)
        return [hold for hold in self.holds.all() if hold.hold_id in plan.holds or hold in in_force]

    def _remove(self, plan: Plan, now: datetime) -> list[str]:
        """Remove every target; days that came under a hold since an attempt broke off stay."""
        held_back = []
        for sink, planned in plan.terms():
            term = self._unless_held_since(planned, now)
            if term != planned:
                held_back.append(f"{sink} {term.dataset} {term.tenant}")
            self._step(f"remove {sink} {term.dataset} {term.tenant}")
            self._sinks[sink].remove(term)
        return held_back

    def _unless_held_since(self, term: Term, now: datetime) -> Term:
        spans = [hold.span(term.dataset, term.tenant) for hold in self.holds.in_force(now.date())]
        fresh = {span for span in spans if span is not None and span.first <= term.through}
        return Term(term.dataset, term.tenant, term.through, tuple(sorted({*term.held, *fresh})))

    def _survivors(self, sink: str, term: Term) -> Survivors | None:
        try:
            units = self._sinks[sink].survivors(term)
        except (CannotCountError, OSError) as error:
            return Survivors(sink, term.dataset, term.tenant, None, f"{type(error).__name__}: {error}")
        return Survivors(sink, term.dataset, term.tenant, units) if units else None

    def _intended(self, plan: Plan) -> bool:
        return self.chain.find("removal_intended", plan.hash) is not None

    def _undone(self) -> list[Plan]:
        done = {each.subject for each in self.chain.entries() if each.kind == "removal_done"}
        plans = [self.approvals.plan(each) for each in self.approvals.plans() if each not in done]
        return sorted(plans, key=lambda plan: (plan.as_of, plan.hash))


_STALE_DAYS = 2
"""A plan of longer ago that nobody approved has been followed by others."""


def _told(outcome: Outcome) -> str:
    lines = [
        f"{each.sink} {each.dataset} {each.tenant}: "
        + (f"could not be counted ({each.problem})" if each.units is None else f"{each.units} left")
        for each in outcome.survivors[:_NAMED]
    ]
    rest = f"; and {len(outcome.survivors) - _NAMED} more" if outcome.survivors[_NAMED:] else ""
    return f"{len(outcome.survivors)} of {outcome.targets} targets survive: {'; '.join(lines)}{rest}"
