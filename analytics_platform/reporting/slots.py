"""The slots of a page's numbers: which spans of days each period of a dashboard needs figures for, and where they are.

A slot is one column of a cube. Every period has a slot for each point of its trend and of the trend before; where a
period's figure does not follow from its points (a median, or points that are not published in full), it has slots of
its own. Calendar arithmetic is :mod:`~analytics_platform.reporting.periods`; rows and measures stay out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from analytics_platform.reporting.measures import Published
from analytics_platform.reporting.periods import Period, Span


@dataclass(frozen=True)
class PeriodSlots:
    """Where a period's figures are: points as (from, to); a total that its points add up to is None."""

    buckets: tuple[int, int]
    previous: tuple[int, int]
    total: int | None
    previous_total: int | None

    @property
    def payload(self) -> dict[str, Any]:
        """As pages read it."""
        return {
            "buckets": list(self.buckets),
            "previous": list(self.previous),
            "total": self.total,
            "previous_total": self.previous_total,
        }


@dataclass(frozen=True)
class Layout:
    """The spans of all slots (None: nothing to say), the groups of them without overlap, and each period's slots."""

    spans: tuple[Span | None, ...]
    groups: tuple[range, ...]
    periods: Mapping[str, PeriodSlots]


@dataclass
class _Builder:
    spans: list[Span | None] = field(default_factory=list)
    groups: list[range] = field(default_factory=list)

    def add(self, spans: Sequence[Span | None]) -> tuple[int, int]:
        """Add slots that do not overlap, in the order of their days."""
        start = len(self.spans)
        self.spans += spans
        self.groups.append(range(start, len(self.spans)))
        return start, len(self.spans)

    def add_one(self, span: Span | None) -> int:
        return self.add([span])[0]

    def layout(self, periods: Mapping[str, PeriodSlots]) -> Layout:
        return Layout(tuple(self.spans), tuple(self.groups), periods)


def layout_with_points(
    published: Published, periods: Sequence[Period], *, with_totals: bool, with_previous: bool = True
) -> Layout:
    """The slots of what has a trend; totals where points do not add up to them, or ``with_totals`` in any case.

    Without its points (``with_previous``) the period before has a total in any case. Half a month beside whole ones
    would read as a fall, so a point of a flow is drawn when all its days are published.
    """
    builder = _Builder()
    placed = {}
    for period in periods:
        points = period.previous_buckets if with_previous else ()
        previous = builder.add([published.point(bucket) for bucket in points])
        buckets = builder.add([published.point(bucket) for bucket in period.buckets])
        total = earlier = None
        if with_totals or not published.covers(period.span):
            total = builder.add_one(published.read_for(period.span))
        if (with_totals or not with_previous) and published.covers(period.previous):
            earlier = builder.add_one(published.read_for(period.previous))
        placed[period.key] = PeriodSlots(buckets, previous, total, earlier)
    return builder.layout(placed)


def layout_of_totals(published: Published, periods: Sequence[Period], *, whole: bool) -> Layout:
    """The slots of what has a figure for each period and the one before, and no trend.

    Args:
        published: the days.
        periods: the periods.
        whole: leave a period out that is not published on all its days.
    """
    builder = _Builder()
    placed = {}
    for period in periods:
        total = published.read_for(period.span) if published.covers(period.span) or not whole else None
        earlier = published.read_for(period.previous) if published.covers(period.previous) else None
        placed[period.key] = PeriodSlots((0, 0), (0, 0), builder.add_one(total), builder.add_one(earlier))
    return builder.layout(placed)


def layout_of_one(span: Span, periods: Sequence[Period]) -> Layout:
    """One slot for everything in a span, whichever period is chosen."""
    slots = PeriodSlots((0, 0), (0, 0), 0, None)
    return Layout((span,), (range(1),), {period.key: slots for period in periods})
