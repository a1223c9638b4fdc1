"""Sealed identifiers on their way from landing to their keeper: a raw build hands them over before it puts its object.

The lake does not know who keeps them; it knows that they must not be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from analytics_platform.errors import AnalyticsError
from analytics_platform.lake.merge import PartitionKey


class LandedIdentifiers(NamedTuple):
    """Sealed identifiers that landed, with the ids that their lines name the person by; `lines` say this."""

    user_id: str | None
    anonymous_id: str | None
    sealed: str
    lines: int = 1


@dataclass(frozen=True, slots=True)
class Landed:
    """The identifiers of a partition's landing objects that raw did not hold yet.

    Attributes:
        names: the landing objects.
        together: what they say.
        apart: what each of them says, for a keeper that has taken some of them in already.
    """

    names: frozenset[str]
    together: Sequence[LandedIdentifiers]
    apart: Callable[[], Mapping[str, Sequence[LandedIdentifiers]]]

    def but(self, names: Collection[str]) -> Sequence[LandedIdentifiers]:
        """What is said by all but some landing objects."""
        if self.names.isdisjoint(names):
            return self.together
        return [each for name, found in self.apart().items() if name not in names for each in found]


TakeIdentifiers = Callable[[PartitionKey, Landed], None]
"""Given the identifiers of landing objects that a partition did not hold yet, before its raw object is put; it may be
given the same ones again by a build that repeats one that was cut short."""


class UnclaimedIdentifiersError(AnalyticsError):
    """Landing holds sealed identifiers, and the build was not told who keeps them: they would be lost."""


def nobody_takes(key: PartitionKey, identifiers: Landed) -> None:
    """What a build does that was told of no keeper: it fails rather than losing identifiers."""
    stream, day, tenant = key
    lines = sum(each.lines for each in identifiers.together)
    raise UnclaimedIdentifiersError(
        f"{lines} lines of {stream}, {day}, {tenant} have sealed identifiers; "
        "build with `identifiers=`, such as `identities.table.IdentitiesTable(…).take`"
    )
