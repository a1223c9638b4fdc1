"""What is granted against what the policy says. Pure.

A **privilege** shows something, a **restriction** hides something (a mask, a row filter, the definition of a view). A
privilege that the policy does not know is extra, and so is a restriction that is gone from what somebody can read
(an object, or all of its schema).
An extra privilege is critical, a missing one a warning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal, NamedTuple

Severity = Literal["critical", "warning"]


class Privilege(NamedTuple):
    """Somebody may do something with an object of a target."""

    target: str
    audience: str
    object: str
    right: str


class Restriction(NamedTuple):
    """Something that hides: what it is and where; its text is the value that stands beside it."""

    target: str
    audience: str
    object: str
    name: str


@dataclass(frozen=True)
class Access:
    """All that a target grants, or should."""

    privileges: frozenset[Privilege] = frozenset()
    restrictions: Mapping[Restriction, str] = field(default_factory=dict)

    def as_json(self) -> list[list[list[str]]]:
        """Plain lists, in order."""
        hidden = sorted([*place, text] for place, text in self.restrictions.items())
        return [sorted(map(list, self.privileges)), hidden]


def parse_access(told: list[list[list[str]]]) -> Access:
    """What `Access.as_json` gave."""
    privileges, hidden = told
    return Access(
        frozenset(Privilege(*each) for each in privileges), {Restriction(*place): text for *place, text in hidden}
    )


@dataclass(frozen=True)
class Drift:
    """One difference; it names roles, datasets and columns, never a person."""

    severity: Severity
    target: str
    audience: str
    object: str
    what: str

    def as_dict(self) -> dict[str, str]:
        """For JSON."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.target} {self.audience} {self.object}: {self.what}"


def compare(compiled: Access, live: Access) -> list[Drift]:
    """Every difference, the critical ones first."""
    beyond = sorted(live.privileges - compiled.privileges)
    missing = sorted(compiled.privileges - live.privileges)
    drifts = [_drift("critical", each, f"{each.right} is granted, but not by the policy") for each in beyond]
    drifts += [_drift("critical", place, what) for place, what in _uncovered(compiled, live)]
    drifts += [_drift("warning", each, f"{each.right} is missing") for each in missing]
    told = {(each.target, each.object) for each in beyond}
    drifts += [
        _drift("warning", place, f"{place.name} is not in the policy")
        for place in live.restrictions
        if place not in compiled.restrictions and (place.target, place.object) not in told
    ]
    return sorted(drifts, key=lambda each: (each.severity, each.target, each.audience, each.object, each.what))


def extra(drifts: list[Drift]) -> int:
    """How many privileges are beyond the policy."""
    return sum(each.severity == "critical" for each in drifts)


def _uncovered(compiled: Access, live: Access) -> Iterator[tuple[Restriction, str]]:
    """Restrictions that are gone, or are other ones, from what somebody can read."""
    readable = {(each.target, each.object) for each in live.privileges}
    for place, text in compiled.restrictions.items():
        found = live.restrictions.get(place)
        if found != text and readable & {(place.target, place.object), (place.target, place.object.split(".")[0])}:
            yield place, f"{place.name} is gone" if found is None else f"{place.name} is not what the policy says"


def _drift(severity: Severity, where: Privilege | Restriction, what: str) -> Drift:
    return Drift(severity, where.target, where.audience, where.object, what)
