"""What erasure needs of a place that holds data: what it holds of a person, and taking the person out of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal, Protocol

from analytics_platform.catalog import Catalog
from analytics_platform.errors import AnalyticsError
from analytics_platform.governance.erasure.person import Person

Action = Literal["delete", "sever", "hold"]
"""Delete: units go. Sever: they stay without the person. Hold: a legal hold keeps them as they are."""

Held = Callable[[str, date | None], bool]
"""Whether a legal hold keeps a dataset's units of a day; None is a unit without a day, which any hold keeps."""


class ErasureRefusedError(AnalyticsError):
    """An erasure cannot begin or go on; the text says what to do first."""


@dataclass(frozen=True, slots=True, order=True)
class Found:
    """What a place holds of a person, by dataset and what becomes of it.

    Attributes:
        sink: name of the place.
        dataset: its name in the registry.
        action: what becomes of the units.
        units: rows, letters, objects or files.
        first: the oldest business day; None where units have none.
        last: the newest.
    """

    sink: str
    dataset: str
    action: Action
    units: int
    first: date | None = None
    last: date | None = None


class Place(Protocol):
    """A place that holds data of registered datasets."""

    @property
    def name(self) -> str:
        """How plans, evidence and receipts call it."""

    def find(self, person: Person, held: Held) -> Iterator[Found]:
        """What it holds of a person."""

    def erase(self, person: Person, held: Held) -> Iterator[Found]:
        """Take the person out, and say what was done; what was done before is done again without effect."""


class OneWalk(ABC):
    """A place in which one walk finds the person, and takes the person out where it is carried out."""

    def find(self, person: Person, held: Held) -> Iterator[Found]:
        """See `Place`."""
        yield from self._changed(person, held, carry_out=False)

    def erase(self, person: Person, held: Held) -> Iterator[Found]:
        """See `Place`."""
        yield from self._changed(person, held, carry_out=True)

    @abstractmethod
    def _changed(self, person: Person, held: Held, *, carry_out: bool) -> Iterator[Found]:
        """What changes or would; what a hold keeps is found and never changed."""


class Findings:
    """Units of a place as they are found."""

    def __init__(self, sink: str) -> None:
        self._sink = sink
        self._found: dict[tuple[str, Action], Found] = {}

    def add(self, dataset: str, action: Action, day: date | None = None, units: int = 1) -> None:
        """Count some units."""
        if not units:
            return
        known = self._found.get((dataset, action), Found(self._sink, dataset, action, 0))
        days = [each for each in (known.first, known.last, day) if each is not None]
        first, last = min(days, default=None), max(days, default=None)
        self._found[dataset, action] = replace(known, units=known.units + units, first=first, last=last)

    def found(self) -> Iterator[Found]:
        """All of them, in order."""
        yield from sorted(self._found.values(), key=lambda each: (each.dataset, each.action))


def action_of(catalog: Catalog, dataset: str) -> Action:
    """What the class of a dataset asks for."""
    return catalog.retention_classes[catalog.datasets[dataset].retention_class].on_erasure
