"""Request, approve, run, verify: the steps of an erasure over all places, each on record.

An erasure that was begun is finished by whoever runs it again, with one effect:

    erasure_intended  on record with what was found; then the statement that keeps the person away, and only then the
                      first change
    …                 changes, place by place, which may be repeated
    erasure_done      on record with what legal holds keep; once more for each time that a hold's end changed that
    erasure_verified  or `erasure_verification_failed`, searched anew each time; then whom it was about is thrown away
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from analytics_platform.catalog import Catalog
from analytics_platform.governance.erasure.course import held_in, last_of
from analytics_platform.governance.erasure.links import Given, known_as
from analytics_platform.governance.erasure.person import Person
from analytics_platform.governance.erasure.place import ErasureRefusedError, Found, Held, Place
from analytics_platform.governance.erasure.plan import ErasurePlan, changes, parse_found
from analytics_platform.governance.erasure.requests import ErasureRequest, Requests, Subject, new_request_id
from analytics_platform.governance.erasure.survivors import Search, Survivors
from analytics_platform.governance.evidence import Evidence, EvidenceChain
from analytics_platform.governance.retention.desk import StalePlanError, SurvivorsError
from analytics_platform.governance.retention.holds import Hold, Holds
from analytics_platform.governance.retention.lock import removing
from analytics_platform.governance.retention.plan import policy_hash
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.identities.severing import new_stand_in
from analytics_platform.identities.suppression import Suppression, state_suppression, subject_hash
from analytics_platform.lake.store import ObjectStore

_A_DAY = timedelta(days=1)
"""The running day is further on in the east: no day that anybody builds is newer."""

_ENDS = ("erasure_done", "erasure_verified", "erasure_verification_failed")
"""Kinds of entries of which a run leaves the last as `erasure_verified`."""

_NOTHING_FOUND = "nothing of this person is found; look at the spelling, and at which tenant it is"


@dataclass(frozen=True)
class Asked:
    """A request as its requester sees it: the only answer that tells whom it is about."""

    request: ErasureRequest
    plan: ErasurePlan
    person: Person


@dataclass(frozen=True)
class ErasureOutcome:
    """What running or verifying an erasure came to."""

    request: ErasureRequest
    found: tuple[Found, ...]
    held: tuple[Found, ...]
    searched: tuple[Survivors, ...]
    already_done: bool = False

    @property
    def ok(self) -> bool:
        """Whether nothing survived and everything could be searched."""
        return all(each.units == 0 for each in self.searched)

    def as_dict(self) -> dict[str, Any]:
        """The outcome as plain values."""
        return {
            "ok": self.ok,
            "request": self.request.request_id,
            "tenant": self.request.tenant,
            "found": [asdict(each) for each in self.found],
            "held": [asdict(each) for each in self.held],
            "searched": [asdict(each) for each in self.searched],
            "already_done": self.already_done,
        }


class ErasureDesk:
    """Erasure of one deployment.

    Args:
        catalog: what is declared.
        store: the lake, which also keeps requests, plans, approvals and evidence.
        keys: of the tenants.
        places: every place that holds data, in the order in which they are erased.
        search: the search afterwards.
        fresh: brings raw up to what has landed of a tenant, so that everybody is found in it.
        ready: raises `ErasureRefusedError` while messages of a person are on their way.
        settle: told the first and the last day that changed: what follows elsewhere (accounts, the warehouse's file);
            may be repeated.
    """

    def __init__(
        self,
        catalog: Catalog,
        store: ObjectStore,
        keys: IdentityKeys,
        places: Sequence[Place],
        search: Search,
        *,
        fresh: Callable[[str], None],
        ready: Callable[[Person], None],
        settle: Callable[[date, date], None],
    ) -> None:
        self._catalog, self._store, self._keys = catalog, store, keys
        self._places, self.search = places, search
        self._fresh, self._ready, self._settle = fresh, ready, settle
        self.requests = Requests(store)
        self.holds = Holds(store)
        self.chain = EvidenceChain(store)

    def request(self, tenant: str, given: Given, *, by: str, reason: str, now: datetime | None = None) -> Asked:
        """Put a request on record, find the person in every place, and draw the plan.

        Raises:
            ErasureRefusedError: the tenant is none, the reason names the person, or nothing is found.
        """
        now = now or datetime.now(UTC)
        if tenant not in self._catalog.tenants:
            raise ErasureRefusedError(
                f"tenant {tenant!r} is not registered; write one of {', '.join(self._catalog.tenants)}"
            )
        self._fresh(tenant)
        known = known_as(self._store, self._catalog, self._keys, tenant, given)
        if not known.terms:
            raise ErasureRefusedError(
                "nobody is given: name the person with --id, --email, --phone or another identifier"
            )
        if known.is_in(reason) or known.is_in(by):
            raise ErasureRefusedError("the reason goes on record and names the person; write why, not who")
        person = replace(known, stand_in=new_stand_in())
        subject = subject_hash(
            self._keys.of(tenant), "\0".join(sorted({*given.ids, *(v for _, v in given.identifiers)}))
        )
        request = ErasureRequest(new_request_id(), tenant, subject, by, now, reason)
        plan = self._draw(request, person, now)
        if not plan.found:
            raise ErasureRefusedError(_NOTHING_FOUND)
        self.requests.keep(request)
        self.requests.seal(self._keys.of(tenant), request, Subject(given, person))
        self.requests.approvals.keep(plan, now)
        return Asked(request, plan, person)

    def plan_again(self, request: ErasureRequest, now: datetime | None = None) -> Asked:
        """Find the person anew and draw another plan, which has to be approved anew.

        Raises:
            ErasureRefusedError: the erasure has begun.
        """
        now = now or datetime.now(UTC)
        if self._entry("erasure_intended", request) is not None:
            raise ErasureRefusedError(f"{request.request_id} has begun; finish it with `analytics erase run`")
        self._fresh(request.tenant)
        subject = self._found_anew(request)
        plan = self._draw(request, subject.person, now)
        self.requests.seal(self._keys.of(request.tenant), request, subject)
        self.requests.approvals.keep(plan, now)
        return Asked(request, plan, subject.person)

    def approve(self, request: ErasureRequest, plan_hash: str, *, by: str, now: datetime | None = None) -> ErasurePlan:
        """Agree to the newest plan of a request.

        Raises:
            ErasureRefusedError: there is none, or it is another one than was looked at.
            SelfApprovalError: `by` made the request.
        """
        plan = self._plan_of(request)
        if not plan.hash.startswith(plan_hash) or not plan_hash:
            raise ErasureRefusedError(
                f"the plan of {request.request_id} is {plan.hash[:12]} by now; look at that one first"
            )
        self.requests.approvals.approve(plan, by=by, now=now or datetime.now(UTC))
        return plan

    def approved(self, now: datetime) -> list[ErasureRequest]:
        """Requests that are to be run: approved, begun, or kept back by a hold that has ended."""
        record = self.requests.record()
        return [each for each in self.requests.all() if self._is_due(each, now, record)]

    def run(self, request: ErasureRequest, *, by: str, now: datetime | None = None) -> ErasureOutcome:
        """Carry out an approved erasure, or finish one that was begun, then search for what is left.

        Raises:
            NotApprovedError, SelfApprovalError: nobody else agreed to its plan.
            StalePlanError: what was agreed to is not what is there any more.
            RemovalUnderWayError: something is being removed already.
            ErasureRefusedError: messages of the tenant are still on their way.
            SurvivorsError: something is still there afterwards.
        """
        now = now or datetime.now(UTC)
        if not self.requests.knows_subject(request):
            return self._told_again(request)
        if self._entry("erasure_intended", request) is None:
            self.requests.approvals.require(self._plan_of(request), now)
        self._ready(self.requests.subject(self._keys.of(request.tenant), request).person)
        self._fresh(request.tenant)
        with removing(self._store, f"erasure {request.request_id}", now.date() + _A_DAY):
            person = self._begin(request, by, now)
            held = self.held(request.tenant, now.date())
            changed = [found for place in self._places for found in place.erase(person, held)]
            self._settle(*_days([*changed, *self._intended(request)]))
            self._record_done(request, by, self._kept(person, now.date()))
        return self.verify(request, by=by, now=now)

    def verify(self, request: ErasureRequest, *, by: str, now: datetime | None = None) -> ErasureOutcome:
        """Search every place anew, put what was found on record, and raise when it is anything.

        Raises:
            UnknownRequestError: it was verified before, and nobody knows any more whom it was about.
            SurvivorsError: naming the places.
        """
        now = now or datetime.now(UTC)
        person = self.requests.subject(self._keys.of(request.tenant), request).person
        held = self.held(request.tenant, now.date())
        searched = tuple(self.search.survivors(person, held))
        kept = tuple(self._kept(person, now.date()))
        outcome = ErasureOutcome(request, tuple(self._intended(request)), kept, searched)
        said = {"tenant": request.tenant, "searched": outcome.as_dict()["searched"], "held": len(kept)}
        if not outcome.ok:
            self.chain.record("erasure_verification_failed", request.request_id, by, said, at=now)
            raise SurvivorsError(_told(outcome))
        newest = last_of(self.requests.history(request), *_ENDS)
        if newest is None or newest.kind != "erasure_verified":
            self.chain.record("erasure_verified", request.request_id, by, said, at=now)
        if not kept:
            self.requests.forget(request)
        return outcome

    def held(self, tenant: str, today: date) -> Held:
        """What legal holds keep of a tenant."""
        return held_by(self.holds, tenant, today)

    def _begin(self, request: ErasureRequest, by: str, now: datetime) -> Person:
        """Put on record what will happen, unless an attempt before has; from here on it is finished, not refused."""
        entry = self._entry("erasure_intended", request)
        person = self.requests.subject(self._keys.of(request.tenant), request).person
        if entry is None:
            plan = self._plan_of(request)
            fresh = self._draw(request, self._found_anew(request).person, now)
            changed = changes(plan, fresh)
            if changed:
                raise StalePlanError(
                    f"changed since {plan.hash[:12]} was drawn: {', '.join(changed)}; "
                    f"draw another with `analytics erase plan {request.request_id}` and have it approved"
                )
            said = {"tenant": request.tenant, "plan": plan.hash, "found": fresh.as_dict()["found"]}
            entry = self.chain.record_once("erasure_intended", request.request_id, by, said, at=now)
        suppression = Suppression(request.request_id, entry.at, person.hashes(self._keys.of(request.tenant)))
        state_suppression(self._store, request.tenant, suppression)
        return person

    def _found_anew(self, request: ErasureRequest) -> Subject:
        known = self.requests.subject(self._keys.of(request.tenant), request)
        person = known_as(self._store, self._catalog, self._keys, request.tenant, known.given)
        return Subject(known.given, replace(person, stand_in=known.person.stand_in))

    def _draw(self, request: ErasureRequest, person: Person, now: datetime) -> ErasurePlan:
        hashes, today = tuple(sorted(person.hashes(self._keys.of(request.tenant)))), now.date()
        holds = tuple(sorted(hold.hold_id for hold in self.holds.in_force(today)))
        found = tuple(self._find(person, self.held(request.tenant, today)))
        policy = policy_hash(self._catalog)
        return ErasurePlan(request.request_id, request.tenant, request.requested_by, hashes, policy, holds, found, now)

    def _find(self, person: Person, held: Held) -> list[Found]:
        return [found for place in self._places for found in place.find(person, held)]

    def _kept(self, person: Person, today: date) -> list[Found]:
        """What legal holds keep of a person."""
        if not self.holds.in_force(today):
            return []
        return [each for each in self._find(person, self.held(person.tenant, today)) if each.action == "hold"]

    def _record_done(self, request: ErasureRequest, by: str, kept: Sequence[Found]) -> None:
        """Put on record that everything went but what holds keep, unless the newest entry says just that."""
        done = last_of(self.requests.history(request), "erasure_done")
        if done is None or held_in(done) != kept:
            said = {"tenant": request.tenant, "held": [asdict(each) for each in kept]}
            self.chain.record("erasure_done", request.request_id, by, said, at=datetime.now(UTC))

    def _plan_of(self, request: ErasureRequest) -> ErasurePlan:
        plan = self.requests.plan(request)
        if plan is None:
            raise ErasureRefusedError(
                f"{request.request_id} has no plan: it broke off; "
                f"draw one with `analytics erase plan {request.request_id}`"
            )
        return plan

    def _entry(self, kind: str, request: ErasureRequest) -> Evidence | None:
        return self.chain.find(kind, request.request_id)

    def _intended(self, request: ErasureRequest) -> list[Found]:
        entry = self._entry("erasure_intended", request)
        return [parse_found(each) for each in entry.said["found"]] if entry else []

    def _told_again(self, request: ErasureRequest) -> ErasureOutcome:
        """What was found at the time: whom it was about is not known any more."""
        entry = next(e for e in reversed(self.requests.history(request)) if e.kind == "erasure_verified")
        searched = tuple(Survivors(**each) for each in entry.said["searched"])
        return ErasureOutcome(request, tuple(self._intended(request)), (), searched, already_done=True)

    def _is_due(self, request: ErasureRequest, now: datetime, record: Sequence[Evidence]) -> bool:
        state = self.requests.state(request, now, record)
        if state != "verified":
            return state in ("approved", "running", "failed")
        if not self.requests.knows_subject(request):
            return False
        person = self.requests.subject(self._keys.of(request.tenant), request).person
        found = self._find(person, self.held(request.tenant, now.date()))
        # Where nothing is left of somebody who is still known, the run that removed the last of it died before its end.
        return not found or any(each.action != "hold" for each in found)


def held_by(holds: Holds, tenant: str, today: date) -> Held:
    """What the legal holds that are in force keep of a tenant."""
    in_force = holds.in_force(today)
    return lambda dataset, day: any(_keeps(hold, dataset, tenant, day) for hold in in_force)


def _keeps(hold: Hold, dataset: str, tenant: str, day: date | None) -> bool:
    span = hold.span(dataset, tenant)
    return span is not None and (day is None or span.holds(day))


def _days(found: Sequence[Found]) -> tuple[date, date]:
    days = [day for each in found for day in (each.first, each.last) if day is not None]
    return (min(days), max(days)) if days else (date.max, date.min)


def _told(outcome: ErasureOutcome) -> str:
    lines = [
        f"{each.sink}: " + (each.problem or "") if each.units is None else f"{each.sink}: {each.units} left"
        for each in outcome.searched
        if each.units != 0
    ]
    return f"{outcome.request.request_id} survives: {'; '.join(lines)}"
