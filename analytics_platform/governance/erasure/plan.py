"""The plan of an erasure: whom by keyed hash, what in which place, and what is kept; its SHA-256 is what gets approved.

It says no id. It is of the moment at which it was drawn, so that one that is drawn again is another, for somebody to
approve: an approval lapses, and a hold may come and go. What makes it stale is what somebody agreed to: other ids,
another stream or another fate of its rows, a legal hold, a changed class. More rows of the same kind do not: people go
on until the day.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

import orjson

from analytics_platform.governance.erasure.lake import RawObjects
from analytics_platform.governance.erasure.place import Found


@dataclass(frozen=True)
class ErasurePlan:
    """What is to be erased.

    Attributes:
        request: id of the request.
        tenant: whose data it is.
        planned_by: who asked, and may not approve.
        subjects: keyed hashes of all ids of the person, in order.
        policy: hash of the classes and datasets that it goes by.
        holds: ids of the legal holds that it respects.
        found: what there is of the person.
        drawn_at: when it was drawn; None in plans from before that was said.
    """

    request: str
    tenant: str
    planned_by: str
    subjects: tuple[str, ...]
    policy: str
    holds: tuple[str, ...]
    found: tuple[Found, ...]
    drawn_at: datetime | None = None

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical plan."""
        return hashlib.sha256(self.as_bytes()).hexdigest()

    def as_bytes(self) -> bytes:
        """The canonical plan: JSON with sorted keys, without white space."""
        return orjson.dumps({"version": 1, **self.as_dict()}, option=orjson.OPT_SORT_KEYS)

    def as_dict(self) -> dict[str, Any]:
        """The plan as plain values; what an older plan does not say stays out, or its hash would be another."""
        said = {**asdict(self), "found": [asdict(each) for each in self.found]}
        if self.drawn_at is None:
            del said["drawn_at"]
        return said

    def summary(self) -> dict[str, Any]:
        """What evidence says of it."""
        return {"request": self.request, "tenant": self.tenant, "places": len(self.found), "units": self.units}

    @property
    def units(self) -> int:
        """Everything that will change."""
        return sum(each.units for each in self.found if each.action != "hold")


def parse_erasure_plan(data: bytes) -> ErasurePlan:
    """The plan that `ErasurePlan.as_bytes` wrote."""
    said = orjson.loads(data)
    return ErasurePlan(
        said["request"],
        said["tenant"],
        said["planned_by"],
        tuple(said["subjects"]),
        said["policy"],
        tuple(said["holds"]),
        tuple(parse_found(each) for each in said["found"]),
        datetime.fromisoformat(said["drawn_at"]) if "drawn_at" in said else None,
    )


def parse_found(said: Mapping[str, Any]) -> Found:
    """A finding as it stands in plans and evidence."""
    days = {name: date.fromisoformat(said[name]) if said[name] else None for name in ("first", "last")}
    return Found(**{**said, **days})


def changes(planned: ErasurePlan, now: ErasurePlan) -> list[str]:
    """What is not as it was agreed to, for people."""
    before, after = (_fates(each) for each in (planned, now))
    lines = [f"{sink} {dataset} ({action})" for sink, dataset, action in sorted(after - before)]
    if set(planned.subjects) != set(now.subjects):
        lines.append("the ids that belong to the person")
    if planned.holds != now.holds:
        lines.append("the legal holds")
    if planned.policy != now.policy:
        lines.append("the retention classes, datasets or tenants of the catalogue")
    return lines


def _fates(plan: ErasurePlan) -> set[tuple[str, str, str]]:
    """What becomes of rows in raw, which everything else follows from, and what a hold keeps anywhere."""
    return {
        (each.sink, each.dataset, each.action)
        for each in plan.found
        if each.sink == RawObjects.name or each.action == "hold"
    }
