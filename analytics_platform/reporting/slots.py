"""The slots of a page's numbers: which spans of days each period of a dashboard needs figures for, and where they are.

A slot is one column of a cube. Every period has a slot for each point of its trend and of the trend before; where a
period's figure does not follow from its points (a median, or points that are not published in full), it has slots of
its own. Calendar arithmetic is :mod:`~analytics_platform.reporting.periods`; rows and measures stay out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from analytics_platform.reporting.measures import Series
from analytics_platform.reporting.periods import Period, Span


@dataclass(frozen=True)
class PeriodSlots:
    """Where a period's figures are: points as (from, to), a total that follows from its points None."""

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
    """The spans of all slots (None: nothing to say), the groups of them that do not overlap, and each period's slots."""

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


def kpi_layout(series: Series, periods: Sequence[Period]) -> Layout:
    """The slots of a KPI: points where they are drawn, and totals where points do not add up to them.

    A point of a flow is drawn when all its days are published: half a month beside whole ones would read as a fall. A
    stock's point is its last published day.
    """
    builder = _Builder()
    placed = {}
    for period in periods:
        previous = builder.add([_drawn(series, bucket) for bucket in period.previous_buckets])
        buckets = builder.add([_drawn(series, bucket) for bucket in period.buckets])
        total = builder.add_one(_whole(series, period.span)) if _needs_total(series, period) else None
        earlier = None
        if series.headline.kind == "median" and series.covers(period.previous):
            earlier = builder.add_one(_whole(series, period.previous))
        placed[period.key] = PeriodSlots(buckets, previous, total, earlier)
    return Layout(tuple(builder.spans), tuple(builder.groups), placed)


def stock_layout(days: frozenset[date], periods: Sequence[Period]) -> Layout:
    """The slots of a view that shows how things stand at the end of a period and of the one before."""
    builder = _Builder()
    placed = {}
    for period in periods:
        total = builder.add_one(_newest(days, period.span))
        earlier = builder.add_one(_newest(days, period.previous))
        placed[period.key] = PeriodSlots((0, 0), (0, 0), total, earlier)
    return Layout(tuple(builder.spans), tuple(builder.groups), placed)


def flow_layout(days: frozenset[date], periods: Sequence[Period]) -> Layout:
    """The slots of a view that adds up the days of a period and of the one before, where all of that is published."""
    builder = _Builder()
    placed = {}
    for period in periods:
        total = builder.add_one(period.span)
        whole = all(date.fromordinal(n) in days for n in _ordinals(period.previous))
        earlier = builder.add_one(period.previous if whole else None)
        placed[period.key] = PeriodSlots((0, 0), (0, 0), total, earlier)
    return Layout(tuple(builder.spans), tuple(builder.groups), placed)


def _needs_total(series: Series, period: Period) -> bool:
    return series.headline.kind == "median" or not series.covers(period.span)


def _drawn(series: Series, bucket: Span) -> Span | None:
    if series.headline.snapshot:
        return _whole(series, bucket)
    return bucket if series.covers(bucket) else None


def _whole(series: Series, span: Span) -> Span | None:
    """What a figure over ``span`` reads: of a stock its last published day; None where nothing is published."""
    if not series.headline.snapshot:
        return span if series.published_in(span) else None
    day = series.as_of(span.last)
    return Span(day, day) if day and day >= span.first else None


def _newest(days: frozenset[date], span: Span) -> Span | None:
    day = max((day for day in days if span.first <= day <= span.last), default=None)
    return Span(day, day) if day else None


def _ordinals(span: Span) -> range:
    return range(span.first.toordinal(), span.last.toordinal() + 1)
