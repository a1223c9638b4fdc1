"""The plan: what is to be removed, in a canonical form whose SHA-256 is what gets approved.

The same data, declarations and holds as of the same day give the same plan of the same person, so drawing it again
tells whether anything has changed since.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import orjson

from analytics_platform.catalog import Catalog
from analytics_platform.governance.retention.holds import Hold
from analytics_platform.governance.retention.sink import Sink, Tally, Waiting
from analytics_platform.governance.retention.terms import Term, Terms
from analytics_platform.lake.removals import Removed, Span

_OPTIONS = orjson.OPT_SORT_KEYS


@dataclass(frozen=True)
class Plan:
    """What is to be removed as of a day.

    Attributes:
        as_of: the day; terms that end before it are due.
        planned_by: who drew the plan, and may not approve it.
        policy: hash of the classes, datasets and financial years that it goes by.
        holds: ids of the legal holds that it respects.
        targets: what is due, by sink, dataset and tenant.
        waiting: what is due and has to stay for now.
        tenants: everybody for whom the removed days of these datasets stay away.
    """

    as_of: date
    planned_by: str
    policy: str
    holds: tuple[str, ...]
    targets: tuple[Tally, ...]
    waiting: tuple[Waiting, ...]
    tenants: tuple[str, ...]

    @property
    def hash(self) -> str:
        """SHA-256 of the canonical plan."""
        return hashlib.sha256(self.as_bytes()).hexdigest()

    def as_bytes(self) -> bytes:
        """The canonical plan: JSON with sorted keys, without white space."""
        return orjson.dumps(self.as_dict(), option=_OPTIONS)

    def as_dict(self) -> dict[str, Any]:
        """The plan as plain values."""
        return {
            "version": 1,
            "as_of": self.as_of,
            "planned_by": self.planned_by,
            "policy": self.policy,
            "holds": list(self.holds),
            "targets": [asdict(target) for target in self.targets],
            "waiting": [asdict(each) for each in self.waiting],
            "tenants": list(self.tenants),
        }

    def summary(self) -> dict[str, Any]:
        """What evidence says of it."""
        return {"as_of": self.as_of.isoformat(), "targets": len(self.targets), "units": self.units}

    @property
    def units(self) -> int:
        """Rows and objects in all."""
        return sum(target.units for target in self.targets)

    @property
    def newest(self) -> date | None:
        """The newest day that it removes anything of."""
        return max((target.last for target in self.targets), default=None)

    def terms(self) -> list[tuple[str, Term]]:
        """Sink and term of each target."""
        return [(target.sink, _term(target)) for target in self.targets]

    def removed(self, terms: Terms) -> list[Removed]:
        """What stays away from now on: every tenant's due days of the datasets that the plan removes anything of.

        A tenant of whom nothing was found is named as well: what it sends late is as old as the others'.
        """
        datasets = sorted({target.dataset for target in self.targets})
        found = [terms.term(dataset, tenant) for dataset in datasets for tenant in self.tenants]
        return [Removed(term.dataset, term.tenant, term.through, term.held) for term in found if term is not None]


def draw_plan(catalog: Catalog, sinks: Sequence[Sink], holds: Sequence[Hold], as_of: date, planned_by: str) -> Plan:
    """Look into every sink for what is due as of a day."""
    terms = Terms(catalog, as_of, holds)
    found = [each for sink in sinks for each in sink.tallies(terms)]
    targets = tuple(sorted((each for each in found if isinstance(each, Tally)), key=_order))
    waiting = tuple(sorted((each for each in found if isinstance(each, Waiting)), key=_waiting_order))
    tenants = tuple(terms.tenants(target.tenant for target in targets))
    held = tuple(sorted(hold.hold_id for hold in holds))
    return Plan(as_of, planned_by, policy_hash(catalog), held, targets, waiting, tenants)


def parse_plan(data: bytes) -> Plan:
    """The plan that `Plan.as_bytes` wrote."""
    said = orjson.loads(data)
    return Plan(
        date.fromisoformat(said["as_of"]),
        said["planned_by"],
        said["policy"],
        tuple(said["holds"]),
        tuple(_tally(each) for each in said["targets"]),
        tuple(_waiting(each) for each in said["waiting"]),
        tuple(said["tenants"]),
    )


def differences(planned: Plan, now: Plan) -> list[str]:
    """What is no longer as it was planned, for people."""
    before, after = _by_place(planned.targets), _by_place(now.targets)
    lines = [
        f"{sink} {dataset} {tenant}"
        for sink, dataset, tenant in sorted(before.keys() | after.keys())
        if before.get((sink, dataset, tenant)) != after.get((sink, dataset, tenant))
    ]
    if planned.policy != now.policy:
        lines.append("the retention classes, datasets or tenants of the catalogue")
    if planned.holds != now.holds:
        lines.append("the legal holds")
    return lines or ["what waits for something else"]


def policy_hash(catalog: Catalog) -> str:
    """SHA-256 of the declarations that decide what is due."""
    said = {
        "classes": [each.model_dump(mode="json") for each in catalog.retention_classes.values()],
        "datasets": {
            name: [each.retention_class, each.clock_column, each.clock_unit, each.standing, each.tenant_column]
            for name, each in catalog.datasets.items()
        },
        "financial_years": {name: tenant.financial_year_end for name, tenant in catalog.tenants.items()},
    }
    return hashlib.sha256(orjson.dumps(said, option=_OPTIONS)).hexdigest()


def _by_place(targets: Iterable[Tally]) -> Mapping[tuple[str, str, str], Tally]:
    return {(target.sink, target.dataset, target.tenant): target for target in targets}


def _term(target: Tally) -> Term:
    return Term(target.dataset, target.tenant, target.through, tuple(Span(*span) for span in target.held))


def _order(target: Tally) -> tuple[str, str, str]:
    return target.sink, target.dataset, target.tenant


def _waiting_order(waiting: Waiting) -> tuple[str, str, str]:
    return waiting.dataset, waiting.tenant, waiting.why


def _tally(said: Mapping[str, Any]) -> Tally:
    days = {name: date.fromisoformat(said[name]) for name in ("through", "first", "last")}
    held = tuple((date.fromisoformat(first), date.fromisoformat(last)) for first, last in said["held"])
    return Tally(**{**said, **days, "held": held})


def _waiting(said: Mapping[str, Any]) -> Waiting:
    return Waiting(**{**said, **{name: date.fromisoformat(said[name]) for name in ("first", "last")}})
