"""What the parts of a migration have in common: how they speak of what they hold, and why they refuse."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

from analytics_platform.errors import AnalyticsError

Fate = Literal["copied", "stays", "rebuilt", "left"]
"""Copied: it is brought to the target. Stays: source and target are one place. Rebuilt: the first builds make it anew.
Left: it is of no use there, or of its own machine."""

Progress = Callable[[int, int], None]
"""Told the units that are done and all of them."""

Step = Callable[[str], None]
"""Told each step before it is taken."""

_AT_ONCE = 8

T = TypeVar("T")
R = TypeVar("R")


class OtherDataError(AnalyticsError):
    """The target holds what this migration has not brought, or has been used since; the text names some of it."""


class SourceInUseError(AnalyticsError):
    """Something writes to the source, or has written to it meanwhile; the text says what, and what to do."""


@dataclass(frozen=True, slots=True)
class Item:
    """A share of a part, as the plan shows it.

    Attributes:
        part: lake, warehouse, dagster or home.
        name: a prefix, a schema, a table or a file.
        fate: what becomes of it.
        units: objects, rows or files.
        size: bytes, where they can be told without reading.
        done: units of these that an earlier attempt has brought.
        reason: why it is not copied.
    """

    part: str
    name: str
    fate: Fate
    units: int = 0
    size: int | None = None
    done: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Moved:
    """What a run of a part has done: units brought, units taken away since the source has lost them, and all."""

    part: str
    copied: int
    removed: int
    total: int
    size: int | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """Something in which source and target are not alike."""

    part: str
    name: str
    what: str


@dataclass(frozen=True, slots=True)
class Compared:
    """What a comparison came to; `digest` stands for all that both sides hold when there is no difference."""

    part: str
    units: int
    differences: tuple[Difference, ...]
    digest: str = ""
    size: int | None = None


class Part(Protocol):
    """A part of a deployment that is moved."""

    @property
    def name(self) -> str:
        """How plans and answers call it."""

    def plan(self) -> list[Item]:
        """What there is, and what becomes of it; nothing is changed."""

    def run(self, progress: Progress) -> Moved:
        """Bring the target to what the source is, from wherever an earlier attempt has left it.

        Raises:
            OtherDataError: the target holds anything else.
            SourceInUseError: the source has changed meanwhile.
        """

    def verify(self, progress: Progress) -> Compared:
        """Compare all that both sides hold; nothing is changed."""


def some(names: list[str], limit: int = 3) -> str:
    """The first few of many names."""
    more = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + more


def at_once(items: Iterable[T], ask: Callable[[T], R]) -> Iterator[tuple[T, R]]:
    """Ask about some things at once, since a bucket takes its time for each; answers come in order."""
    asked = list(items)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield from zip(asked, pool.map(ask, asked), strict=True)


def batches(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Some after the other, so many at a time."""
    return (items[start : start + size] for start in range(0, len(items), size))
