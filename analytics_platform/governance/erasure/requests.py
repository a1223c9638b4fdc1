"""Requests, whom they are about, and their plans and approvals, as objects of the lake; and the state that follows.

A request, a plan and an approval never change. Whom a request is about is sealed under the tenant's keys, and thrown
away when the erasure was verified and no legal hold keeps anything: from then on only keyed hashes are left.

    governance/erasure_requests/<id>.json     who asked, when, why; the subject as a keyed hash
    governance/erasure_subjects/<id>.json     sealed: what was given, what was found, the stand-in
    governance/erasure_plans|erasure_approvals/<hash>.json
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal

import orjson

from analytics_platform.errors import AnalyticsError
from analytics_platform.governance.erasure.links import Given
from analytics_platform.governance.erasure.person import Person
from analytics_platform.governance.erasure.plan import ErasurePlan, parse_erasure_plan
from analytics_platform.governance.evidence import Evidence, EvidenceChain
from analytics_platform.governance.retention.approvals import Approvals, Papers
from analytics_platform.identities.keys import TenantKeys
from analytics_platform.identities.sealing import seal, unseal
from analytics_platform.lake.layout import governance_key, governance_prefix
from analytics_platform.lake.store import ObjectMissingError, ObjectStore

State = Literal["draft", "pending", "approved", "running", "verified", "failed"]
"""Of a request: on record, planned, approved, begun, searched for in vain afterwards, or found again."""

PAPERS = Papers(
    "erasure_plans",
    "erasure_approvals",
    "erasure_plan",
    parse_erasure_plan,
    "analytics erase request",
    "analytics erase approve",
)

_REQUESTS = "erasure_requests"
SUBJECTS = "erasure_subjects"
"""Kind of the records that say, sealed, whom a request is about."""


class UnknownRequestError(AnalyticsError):
    """There is no request of that id, or what is asked for of it is not there."""


@dataclass(frozen=True, slots=True)
class ErasureRequest:
    """Who asked for what.

    Attributes:
        request_id: `er-` and sixteen hexadecimal digits.
        tenant: whose data the person is in.
        subject: keyed hash of what was given.
        requested_by: who answers for the request, and may not approve it.
        requested_at: in UTC; the month to answer counts from it.
        reason: such as the article that the person relies on; no personal data.
    """

    request_id: str
    tenant: str
    subject: str
    requested_by: str
    requested_at: datetime
    reason: str


@dataclass(frozen=True)
class Subject:
    """Whom a request is about: what was given, and all that the person was found to be known as."""

    given: Given
    person: Person


class Requests:
    """The requests of one lake."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._chain = EvidenceChain(store)
        self.approvals = Approvals(store, PAPERS)

    def keep(self, request: ErasureRequest) -> None:
        """Put a request, and put it on record."""
        key = governance_key(_REQUESTS, request.request_id)
        self._store.put(key, orjson.dumps(asdict(request)), if_none_match=True)
        said = {"tenant": request.tenant, "subject": request.subject, "reason": request.reason}
        self._chain.record_once(
            "erasure_requested", request.request_id, request.requested_by, said, at=request.requested_at
        )

    def all(self) -> list[ErasureRequest]:
        """Every request, the oldest first."""
        found = [_request(self._store.get(info.key)) for info in self._store.list(governance_prefix(_REQUESTS))]
        return sorted(found, key=lambda each: (each.requested_at, each.request_id))

    def find(self, request_id: str) -> ErasureRequest:
        """The request of an id, or of the beginning of one.

        Raises:
            UnknownRequestError: there is none, or the beginning is that of several.
        """
        found = [each for each in self.all() if each.request_id.startswith(request_id)]
        if len(found) != 1 or not request_id:
            what = f"{len(found)} requests begin with" if found else "there is no request"
            raise UnknownRequestError(f"{what} {request_id!r}; see `analytics erase status`")
        return found[0]

    def seal(self, keys: TenantKeys, request: ErasureRequest, subject: Subject) -> None:
        """Keep whom a request is about, for as long as it takes."""
        sealed = seal(keys, orjson.dumps(_subject_said(subject), option=orjson.OPT_SORT_KEYS))
        self._store.put(governance_key(SUBJECTS, request.request_id), orjson.dumps({"version": 1, "sealed": sealed}))

    def subject(self, keys: TenantKeys, request: ErasureRequest) -> Subject:
        """Whom a request is about.

        Raises:
            UnknownRequestError: it was verified and nobody knows any more.
        """
        try:
            said = orjson.loads(self._store.get(governance_key(SUBJECTS, request.request_id)))
        except ObjectMissingError as error:
            raise UnknownRequestError(
                f"{request.request_id} was verified, and whom it was about is known by keyed hash alone since"
            ) from error
        return _subject(request.tenant, orjson.loads(unseal(keys, said["sealed"])))

    def knows_subject(self, request: ErasureRequest) -> bool:
        """Whether it is still known whom a request is about."""
        return self._store.info(governance_key(SUBJECTS, request.request_id)) is not None

    def forget(self, request: ErasureRequest) -> None:
        """Throw away whom a request was about."""
        self._store.delete(governance_key(SUBJECTS, request.request_id))

    def record(self) -> list[Evidence]:
        """All that is on record, for who asks about many requests."""
        return list(self._chain.entries())

    def plan(self, request: ErasureRequest, record: Sequence[Evidence] | None = None) -> ErasurePlan | None:
        """The newest plan of a request."""
        entries = self.record() if record is None else record
        drawn = [e for e in entries if e.kind == "erasure_plan_drawn"]
        of_request = [e for e in drawn if e.said["request"] == request.request_id]
        return self.approvals.plan(of_request[-1].subject) if of_request else None

    def state(self, request: ErasureRequest, now: datetime, record: Sequence[Evidence] | None = None) -> State:
        """How a request stands."""
        entries = self.record() if record is None else record
        return state_of(self.history(request, entries), self.plan(request, entries), self.approvals, now)

    def history(self, request: ErasureRequest, record: Sequence[Evidence] | None = None) -> list[Evidence]:
        """What is on record about a request itself."""
        entries = self.record() if record is None else record
        return [each for each in entries if each.subject == request.request_id]


def new_request_id() -> str:
    """An id that says nothing."""
    return f"er-{secrets.token_hex(8)}"


def state_of(
    history: Sequence[Evidence], plan: ErasurePlan | None, approvals: Approvals[ErasurePlan], now: datetime
) -> State:
    """The state that follows from what is on record."""
    kinds = [each.kind for each in history]
    judged = [kind for kind in kinds if kind in ("erasure_verified", "erasure_verification_failed")]
    if judged:
        return "verified" if judged[-1] == "erasure_verified" else "failed"
    if "erasure_intended" in kinds:
        return "running"
    if plan is None:
        return "draft"
    return "approved" if approvals.is_approved(plan, now) else "pending"


def _request(data: bytes) -> ErasureRequest:
    said = orjson.loads(data)
    return ErasureRequest(**{**said, "requested_at": datetime.fromisoformat(said["requested_at"])})


def _subject_said(subject: Subject) -> dict[str, Any]:
    given, person = subject.given, subject.person
    return {
        "given": {
            "ids": sorted(given.ids),
            "identifiers": sorted(given.identifiers),
            "excluded": sorted(given.excluded),
        },
        "ids": sorted(person.ids),
        "values": sorted(person.values),
        "stand_in": person.stand_in,
    }


def _subject(tenant: str, said: dict[str, Any]) -> Subject:
    identifiers = frozenset((kind, value) for kind, value in said["given"]["identifiers"])
    given = Given(frozenset(said["given"]["ids"]), identifiers, frozenset(said["given"]["excluded"]))
    return Subject(given, Person(tenant, frozenset(said["ids"]), frozenset(said["values"]), said["stand_in"]))
