"""The figures of a weekly report: each KPI's week beside other weeks and the target, and what moved it.

A week is measured as every period of a dashboard is (``measures``). It is compared only with a week that is published
in full, and explained only where it is comparable. Words and looks stay out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median

from analytics_platform.catalog import Catalog, Kpi
from analytics_platform.documents.numbers import reads_alike
from analytics_platform.insights.contributions import Amount, Contribution, ratio_contributions, sum_contributions
from analytics_platform.lake.store import ObjectStore
from analytics_platform.reporting.figures import days_to_mature, labeller, target_applies
from analytics_platform.reporting.measures import NOTHING, Measured, Series, change
from analytics_platform.reporting.periods import Span, Week, week_of
from analytics_platform.reporting.sources import KpiRows, Seen, load_rows, seen_series, tenant_names
from analytics_platform.reporting.weekly_quantities import quantity

_POINT_UNITS = {"percent", "score"}


@dataclass(frozen=True)
class Moved:
    """A part of a KPI in both weeks.

    Attributes:
        name: how it is shown; None is not assigned.
        now: its own figure this week.
        before: its own figure in the week before.
        contribution: what it adds to the change of the whole; None for medians, whose parts do not add up.
    """

    name: str | None
    now: float | None
    before: float | None
    contribution: Contribution | None


@dataclass(frozen=True)
class Drill:
    """A KPI's change by the values of one column, the largest movers first."""

    column: str
    parts: tuple[Moved, ...]


@dataclass(frozen=True)
class KpiWeek:
    """One KPI's week for one audience; values are in its unit, money in minor units of ``currency``.

    Attributes:
        kpi: the declaration.
        currency: of money.
        week: the days; a cohort's are those that have had time to mature.
        days_published: days of the week that are published.
        is_whole: whether all is published that the figure depends on.
        value: this week.
        previous: the week before; None where one of the two is not published in full.
        year_before: the same week of last year, likewise.
        target: None where no level is a target for this audience.
        trend: thirteen weeks, this one last.
        drills: what moved it, by column.
    """

    kpi: Kpi
    currency: str | None
    week: Week
    days_published: int
    is_whole: bool
    value: float | None
    previous: float | None
    year_before: float | None
    target: float | None
    trend: tuple[float | None, ...]
    drills: tuple[Drill, ...]

    @property
    def change(self) -> float | None:
        """Against the week before, in points or as a fraction."""
        return change(self.kpi, self.value, self.previous)

    @property
    def change_in_a_year(self) -> float | None:
        """Against the same week of last year."""
        return change(self.kpi, self.value, self.year_before)

    @property
    def is_in_points(self) -> bool:
        """Whether a change is written in points."""
        return self.kpi.unit in _POINT_UNITS

    @property
    def meets_target(self) -> bool | None:
        """Judged as written, so that no figure that reads like its target is called short of it.

        None where there is no target or no figure.
        """
        if self.target is None or self.value is None:
            return None
        if reads_alike(*(quantity(self.kpi, figure, self.currency) for figure in (self.value, self.target))):
            return True
        return self.value >= self.target if self.kpi.direction == "up" else self.value <= self.target

    @property
    def unusualness(self) -> float:
        """How large the change is beside the usual one of the last weeks; what executives should read first."""
        if self.value is None or self.previous is None:
            return 0.0
        steps = [
            abs(last - first)
            for first, last in zip(self.trend[:-2], self.trend[1:-1], strict=True)
            if first is not None and last is not None
        ]
        moved = abs(self.value - self.previous)
        usual = median(steps) if steps else 0.0
        return moved / usual if usual else (1.0 if moved else 0.0)


def kpi_spans(kpi: Kpi, monday: date) -> Week:
    """The week that is reported of a KPI: the newest in which its cohorts, if it has any, are old enough."""
    return week_of(monday, weeks_ago=-(-days_to_mature(kpi) // 7))


def load_week(store: ObjectStore, catalog: Catalog, kpi: Kpi, monday: date) -> KpiRows:
    """The published rows that a week's report needs of a KPI, over all tenants."""
    week = kpi_spans(kpi, monday)
    return load_rows(store, catalog, kpi, [week.year_before, Span(week.trend[0].first, week.span.last)])


def kpi_week(rows: KpiRows, catalog: Catalog, audience: str, monday: date) -> KpiWeek:
    """A KPI's week as one audience sees it."""
    seen, names = seen_series(rows, catalog, audience), tenant_names(catalog, audience)
    series, week = seen.series, kpi_spans(rows.kpi, monday)
    is_whole = series.covers(week.span)
    previous = _comparable(series, week.previous, is_whole=is_whole)
    return KpiWeek(
        kpi=rows.kpi,
        currency=series.currency,
        week=week,
        days_published=series.published_in(week.span),
        is_whole=is_whole,
        value=series.measure(week.span).value,
        previous=previous,
        year_before=_comparable(series, week.year_before, is_whole=is_whole),
        target=rows.kpi.target if target_applies(rows.kpi, names) else None,
        trend=tuple(series.trend(week.trend)),
        drills=_drills(seen, week, names) if previous is not None else (),
    )


def _comparable(series: Series, span: Span, *, is_whole: bool) -> float | None:
    return series.measure(span).value if is_whole and series.covers(span) else None


def _drills(seen: Seen, week: Week, names: Mapping[str, str]) -> tuple[Drill, ...]:
    return tuple(Drill(column, _moved(seen.series, column, week, names)) for column in seen.drill_downs)


def _moved(series: Series, column: str, week: Week, names: Mapping[str, str]) -> tuple[Moved, ...]:
    now, before = series.parts(column, week.span), series.parts(column, week.previous)
    contributions = _contributions(series, before, now)
    label = labeller(column, names)
    moved = [
        Moved(
            label(part),
            now.get(part, NOTHING).value,
            before.get(part, NOTHING).value,
            contributions[part] if contributions else None,
        )
        for part in dict.fromkeys([*now, *before])
    ]
    return tuple(sorted(moved, key=_size, reverse=True))


def _contributions(
    series: Series, before: Mapping[str | None, Measured], now: Mapping[str | None, Measured]
) -> Mapping[str | None, Contribution] | None:
    if series.headline.kind == "median":
        return None
    amounts = [
        {part: Amount.of(measured.numerator, measured.denominator) for part, measured in parts.items()}
        for parts in (before, now)
    ]
    explain = ratio_contributions if series.headline.kind == "ratio" else sum_contributions
    return explain(amounts[0], amounts[1], series.headline.scale)


def _size(part: Moved) -> tuple[float, str]:
    own = abs((part.now or 0.0) - (part.before or 0.0))
    return (own if part.contribution is None else abs(float(part.contribution.total))), part.name or ""


def most_telling(drills: Sequence[Drill]) -> Drill | None:
    """The drill-down in which the fewest parts explain the most: the largest mover's share of all movement.

    One with a single part says nothing; where no other is left there is none.
    """
    telling = [drill for drill in drills if len(drill.parts) > 1]
    return max(telling, key=_concentration, default=None)


def _concentration(drill: Drill) -> float:
    sizes = [_size(part)[0] for part in drill.parts]
    whole = sum(sizes)
    # Among few parts one is large by itself: what counts is how far it is above an even share.
    return max(sizes) / whole - 1 / len(sizes) if whole else 0.0
