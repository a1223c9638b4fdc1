"""What retention needs of a place that holds data: what of it is due, removing that, and counting what survived.

`tallies` and `survivors` are two ways to the same answer: the first walks or sums up with a mark of what it saw, the
second counts anew and knows nothing of the first, so that a fault of one shows against the other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from analytics_platform.errors import AnalyticsError
from analytics_platform.governance.retention.terms import Term, Terms


class CannotCountError(AnalyticsError):
    """Survivors could not be counted: that is a failure of its own, never a count of nothing."""


@dataclass(frozen=True, slots=True)
class Tally:
    """What a sink holds of a dataset and tenant that is due.

    Attributes:
        dataset: its name in the registry.
        sink: the sink's name.
        tenant: whose it is, or a placeholder.
        through: the newest day that is due.
        first: the oldest day that was found.
        last: the newest day that was found.
        units: rows or objects.
        bytes: of objects; 0 for rows.
        mark: changes whenever what was found does.
        held: days up to `through` that a hold keeps.
    """

    dataset: str
    sink: str
    tenant: str
    through: date
    first: date
    last: date
    units: int
    bytes: int
    mark: str
    held: tuple[tuple[date, date], ...] = ()


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is due and cannot be removed yet, and why."""

    dataset: str
    tenant: str
    first: date
    last: date
    units: int
    why: str


class Sink(Protocol):
    """A place that holds data of registered datasets."""

    @property
    def name(self) -> str:
        """How plans and evidence call it."""

    def datasets(self) -> set[str]:
        """Names of the datasets that it may hold data of."""

    def tallies(self, terms: Terms) -> Iterator[Tally | Waiting]:
        """What it holds that is due, by dataset and tenant."""

    def remove(self, term: Term) -> None:
        """Remove what is due of a dataset and tenant; what is gone already is no error."""

    def survivors(self, term: Term) -> int:
        """Count what is still there of it.

        Raises:
            CannotCountError: it cannot be counted.
        """


class Tallying:
    """One tally while it is counted: units in order, each with what marks it."""

    def __init__(self, sink: str, term: Term) -> None:
        self._sink, self._term = sink, term
        self._digest = hashlib.sha256()
        self._first, self._last = date.max, date.min
        self._units = self._bytes = 0

    def add(self, day: date, mark: str, size: int = 0, units: int = 1) -> None:
        """Count some units of a day."""
        self._digest.update(mark.encode())
        self._first, self._last = min(self._first, day), max(self._last, day)
        self._units += units
        self._bytes += size

    def tally(self) -> Tally:
        """What was counted."""
        term = self._term
        return Tally(
            term.dataset,
            self._sink,
            term.tenant,
            term.through,
            self._first,
            self._last,
            self._units,
            self._bytes,
            self._digest.hexdigest(),
            tuple((span.first, span.last) for span in term.held),
        )


class Tallies:
    """The tallies of one dataset by tenant, while its units are walked through."""

    def __init__(self, sink: str, dataset: str, terms: Terms) -> None:
        self._sink, self._dataset, self._terms = sink, dataset, terms
        self._by_tenant: dict[str, tuple[Term, Tallying] | None] = {}

    def due(self, tenant: str, day: date) -> Tallying | None:
        """Where to count a unit of a tenant and day; None when it is not due."""
        if tenant not in self._by_tenant:
            term = self._terms.term(self._dataset, tenant)
            self._by_tenant[tenant] = None if term is None else (term, Tallying(self._sink, term))
        found = self._by_tenant[tenant]
        return found[1] if found is not None and found[0].covers(day) else None

    def done(self) -> Iterator[Tally]:
        """Those that counted something, in the order of tenants."""
        for tenant in sorted(self._by_tenant):
            found = self._by_tenant[tenant]
            if found is not None and (tally := found[1].tally()).units:
                yield tally
