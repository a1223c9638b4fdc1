"""Plans and approvals as objects that are never changed: who drew a plan, and who else agreed to it, and when."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson

from analytics_platform.errors import AnalyticsError
from analytics_platform.governance.evidence import EvidenceChain
from analytics_platform.governance.retention.plan import Plan, parse_plan
from analytics_platform.lake.layout import governance_key, governance_prefix
from analytics_platform.lake.store import ObjectExistsError, ObjectMissingError, ObjectStore

VALID_FOR = timedelta(days=14)
"""An approval of longer ago says nothing about today."""

_PLANS = "plans"
_APPROVALS = "approvals"


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


class Approvals:
    """The plans of one lake and their approvals."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._chain = EvidenceChain(store)

    def keep(self, plan: Plan, now: datetime) -> None:
        """Keep a plan under its hash; one that is there already says the same."""
        with contextlib.suppress(ObjectExistsError):
            self._store.put(governance_key(_PLANS, plan.hash), plan.as_bytes(), if_none_match=True)
        said = {"as_of": plan.as_of.isoformat(), "targets": len(plan.targets), "units": plan.units}
        self._chain.record_once("plan_drawn", plan.hash, plan.planned_by, said, at=now)

    def plan(self, plan_hash: str) -> Plan:
        """The plan of a hash, or of the beginning of one.

        Raises:
            UnknownPlanError: there is none, or the beginning is that of several.
        """
        found = [hash_ for hash_ in self.plans() if hash_.startswith(plan_hash)]
        if len(found) != 1 or not plan_hash:
            what = f"{len(found)} plans begin with" if found else "there is no plan"
            raise UnknownPlanError(f"{what} {plan_hash!r}; draw one with `analytics retention plan`")
        plan = parse_plan(self._store.get(governance_key(_PLANS, found[0])))
        if plan.hash != found[0]:
            raise UnknownPlanError(f"the plan {found[0]} was changed since it was drawn; draw another")
        return plan

    def plans(self) -> list[str]:
        """The hashes of all plans."""
        found = self._store.list(governance_prefix(_PLANS))
        return [info.key.rpartition("/")[2].removesuffix(".json") for info in found]

    def approve(self, plan: Plan, *, by: str, now: datetime) -> Approval:
        """Agree to a plan; the first approval stays.

        Raises:
            SelfApprovalError: `by` drew the plan.
        """
        if _same_person(by, plan.planned_by):
            raise SelfApprovalError(f"{by} drew this plan; somebody else has to approve it")
        approval = Approval(plan.hash, by, now)
        data = orjson.dumps({"plan": plan.hash, "approved_by": by, "approved_at": now})
        with contextlib.suppress(ObjectExistsError):
            self._store.put(governance_key(_APPROVALS, plan.hash), data, if_none_match=True)
        self._chain.record_once("plan_approved", plan.hash, by, {"units": plan.units}, at=now)
        return self.approval(plan.hash) or approval

    def approval(self, plan_hash: str) -> Approval | None:
        """The approval of a plan; None when there is none."""
        try:
            said = orjson.loads(self._store.get(governance_key(_APPROVALS, plan_hash)))
        except ObjectMissingError:
            return None
        return Approval(said["plan"], said["approved_by"], datetime.fromisoformat(said["approved_at"]))

    def require(self, plan: Plan, now: datetime) -> Approval:
        """The approval of a plan.

        Raises:
            NotApprovedError: there is none, or it is older than `VALID_FOR`.
            SelfApprovalError: it is by who drew the plan, so it was not given through `approve`.
        """
        approval = self.approval(plan.hash)
        if approval is None:
            raise NotApprovedError(f"nobody has approved {plan.hash[:12]}: `analytics retention approve` it first")
        if _same_person(approval.approved_by, plan.planned_by):
            raise SelfApprovalError(f"{approval.approved_by} drew {plan.hash[:12]} and approved it as well")
        if now - approval.approved_at > VALID_FOR:
            raise NotApprovedError(
                f"{plan.hash[:12]} was approved on {approval.approved_at:%Y-%m-%d}, more than {VALID_FOR.days} days "
                "ago; draw a new plan and have it approved"
            )
        return approval


def _same_person(one: str, other: str) -> bool:
    return one.strip().casefold() == other.strip().casefold()
