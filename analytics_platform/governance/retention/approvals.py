"""Plans and approvals as objects that are never changed: who drew a plan, and who else agreed to it, and when.

Plans of retention and those of erasure: whatever has a hash, somebody who drew it and a summary (`Approvable`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

import orjson

from analytics_platform.errors import AnalyticsError
from analytics_platform.governance.evidence import EvidenceChain
from analytics_platform.governance.retention.plan import parse_plan
from analytics_platform.lake.layout import governance_key, governance_prefix
from analytics_platform.lake.store import ObjectExistsError, ObjectMissingError, ObjectStore

VALID_FOR = timedelta(days=14)
"""An approval of longer ago says nothing about today."""


class Approvable(Protocol):
    """A plan that somebody else than who drew it has to agree to."""

    @property
    def hash(self) -> str:
        """What is approved."""

    @property
    def planned_by(self) -> str:
        """Who drew it."""

    def as_bytes(self) -> bytes:
        """What the hash is of."""

    def summary(self) -> Mapping[str, Any]:
        """What evidence says of it."""


PlanT = TypeVar("PlanT", bound=Approvable)


@dataclass(frozen=True, slots=True)
class Papers(Generic[PlanT]):
    """How plans of a sort are kept.

    Attributes:
        plans: kind of their records.
        approvals: kind of the records of their approvals.
        prefix: what kinds of evidence begin with.
        parse: reads a plan back.
        draw: the command that draws one.
        approve: the command that approves one.
    """

    plans: str
    approvals: str
    prefix: str
    parse: Callable[[bytes], PlanT]
    draw: str
    approve: str


RETENTION = Papers("plans", "approvals", "plan", parse_plan, "analytics retention plan", "analytics retention approve")


class UnknownPlanError(AnalyticsError):
    """There is no plan of that hash, or more than one that begins so."""


class SelfApprovalError(AnalyticsError):
    """Who drew the plan would approve it."""


class NotApprovedError(AnalyticsError):
    """Nobody has approved the plan, or too long ago."""


@dataclass(frozen=True, slots=True)
class Approval:
    """Who agreed to a plan, and when."""

    plan: str
    approved_by: str
    approved_at: datetime


class Approvals(Generic[PlanT]):
    """The plans of one sort of a lake, and their approvals."""

    def __init__(self, store: ObjectStore, papers: Papers[PlanT]) -> None:
        self._store = store
        self._papers = papers
        self._chain = EvidenceChain(store)

    def keep(self, plan: PlanT, now: datetime) -> None:
        """Keep a plan under its hash; one that is there already says the same."""
        with contextlib.suppress(ObjectExistsError):
            self._store.put(governance_key(self._papers.plans, plan.hash), plan.as_bytes(), if_none_match=True)
        self._chain.record_once(f"{self._papers.prefix}_drawn", plan.hash, plan.planned_by, plan.summary(), at=now)

    def plan(self, plan_hash: str) -> PlanT:
        """The plan of a hash, or of the beginning of one.

        Raises:
            UnknownPlanError: there is none, or the beginning is that of several.
        """
        found = [hash_ for hash_ in self.plans() if hash_.startswith(plan_hash)]
        if len(found) != 1 or not plan_hash:
            what = f"{len(found)} plans begin with" if found else "there is no plan"
            raise UnknownPlanError(f"{what} {plan_hash!r}; draw one with `{self._papers.draw}`")
        plan = self._papers.parse(self._store.get(governance_key(self._papers.plans, found[0])))
        if plan.hash != found[0]:
            raise UnknownPlanError(f"the plan {found[0]} was changed since it was drawn; draw another")
        return plan

    def plans(self) -> list[str]:
        """The hashes of all plans."""
        found = self._store.list(governance_prefix(self._papers.plans))
        return [info.key.rpartition("/")[2].removesuffix(".json") for info in found]

    def approve(self, plan: PlanT, *, by: str, now: datetime) -> Approval:
        """Agree to a plan; the first approval stays.

        Raises:
            SelfApprovalError: `by` drew the plan.
        """
        if _same_person(by, plan.planned_by):
            raise SelfApprovalError(f"{by} drew this plan; somebody else has to approve it")
        approval = Approval(plan.hash, by, now)
        data = orjson.dumps({"plan": plan.hash, "approved_by": by, "approved_at": now})
        with contextlib.suppress(ObjectExistsError):
            self._store.put(governance_key(self._papers.approvals, plan.hash), data, if_none_match=True)
        self._chain.record_once(f"{self._papers.prefix}_approved", plan.hash, by, plan.summary(), at=now)
        return self.approval(plan.hash) or approval

    def approval(self, plan_hash: str) -> Approval | None:
        """The approval of a plan; None when there is none."""
        try:
            said = orjson.loads(self._store.get(governance_key(self._papers.approvals, plan_hash)))
        except ObjectMissingError:
            return None
        return Approval(said["plan"], said["approved_by"], datetime.fromisoformat(said["approved_at"]))

    def require(self, plan: PlanT, now: datetime) -> Approval:
        """The approval of a plan.

        Raises:
            NotApprovedError: there is none, or it is older than `VALID_FOR`.
            SelfApprovalError: it is by who drew the plan, so it was not given through `approve`.
        """
        approval = self.approval(plan.hash)
        if approval is None:
            raise NotApprovedError(f"nobody has approved {plan.hash[:12]}: `{self._papers.approve}` it first")
        if _same_person(approval.approved_by, plan.planned_by):
            raise SelfApprovalError(f"{approval.approved_by} drew {plan.hash[:12]} and approved it as well")
        if now - approval.approved_at > VALID_FOR:
            raise NotApprovedError(
                f"{plan.hash[:12]} was approved on {approval.approved_at:%Y-%m-%d}, more than {VALID_FOR.days} days "
                "ago; draw a new plan and have it approved"
            )
        return approval

    def is_approved(self, plan: PlanT, now: datetime) -> bool:
        """Whether somebody else has agreed to a plan, and not too long ago."""
        try:
            self.require(plan, now)
        except (NotApprovedError, SelfApprovalError):
            return False
        return True


def _same_person(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()
