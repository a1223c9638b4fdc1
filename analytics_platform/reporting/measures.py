"""The arithmetic of a KPI's headline over any rows of its extract: a span, the points of a trend, the parts of a whole.

One rule for all of them: numerators are summed, denominators are summed, then divided; a median is taken of the rows
themselves; a stock (``snapshot``) is read on a span's last day, a flow over all its days. Rows are kept as arrays in
the order of their days, so that a span is a slice and a drill-down one pass: a page takes hundreds of figures, a night
thousands of pages. Dates as readers choose them, HTML and the lake stay out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from analytics_platform.catalog import Headline, Kpi
from analytics_platform.reporting.periods import Span
from analytics_platform.warehouse.headlines import money_column

REPORTING_CURRENCY = "EUR"

_POINT_UNITS = {"percent", "score"}

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Measured:
    """A headline over some rows; ``value`` is scaled, and None where there is nothing to say."""

    numerator: float | None
    denominator: float | None
    value: float | None


NOTHING = Measured(None, None, None)


@dataclass(frozen=True)
class Column:
    """A drill-down column: per row the position of its value among ``values``."""

    codes: Codes
    values: tuple[str | None, ...]


@dataclass(frozen=True)
class Rows:
    """What one audience may see of a KPI's extract, as arrays in the order of ``days`` (ordinals)."""

    days: Codes
    numerators: Floats
    denominators: Floats
    columns: Mapping[str, Column]

    def between(self, first: date, last: date) -> slice:
        """The rows of the days ``first`` to ``last``."""
        start, end = np.searchsorted(self.days, [first.toordinal(), last.toordinal() + 1])
        return slice(int(start), int(end))


@dataclass(frozen=True)
class Published:
    """The days that something is published for, and whether it is a stock, whose figure is that of its last day."""

    days: frozenset[date]
    is_stock: bool

    @cached_property
    def _ordinals(self) -> Codes:
        return np.array(sorted(day.toordinal() for day in self.days), dtype=np.int64)

    def as_of(self, day: date) -> date | None:
        """The last published day up to ``day``."""
        position = int(np.searchsorted(self._ordinals, day.toordinal(), side="right"))
        return date.fromordinal(int(self._ordinals[position - 1])) if position else None

    def count_in(self, span: Span) -> int:
        """How many days of a span are published."""
        start, end = np.searchsorted(self._ordinals, [span.first.toordinal(), span.last.toordinal() + 1])
        return int(end - start)

    def covers(self, span: Span) -> bool:
        """Whether every day is published that the figure of ``span`` depends on."""
        return span.last in self.days if self.is_stock else self.count_in(span) == span.days

    def read_for(self, span: Span) -> Span | None:
        """What a figure over ``span`` reads: of a stock its last published day; None where nothing is published."""
        if not self.is_stock:
            return span if self.count_in(span) else None
        day = self.as_of(span.last)
        return Span(day, day) if day and day >= span.first else None

    def point(self, span: Span) -> Span | None:
        """What a point of a trend reads; None for a flow that is not published on all its days."""
        return self.read_for(span) if self.is_stock or self.covers(span) else None


@dataclass(frozen=True)
class Series:
    """One KPI's rows, the days that are published (with rows or without), and the currency of money."""

    kpi: Kpi
    rows: Rows
    days: frozenset[date]
    currency: str | None

    @property
    def headline(self) -> Headline:
        """How the KPI is computed."""
        return self.kpi.headline

    @cached_property
    def published(self) -> Published:
        """The days that figures may rest on."""
        return Published(self.days, self.headline.snapshot)

    def as_of(self, day: date) -> date | None:
        """The last published day up to ``day``."""
        return self.published.as_of(day)

    def published_in(self, span: Span) -> int:
        """How many days of a span are published."""
        return self.published.count_in(span)

    def covers(self, span: Span) -> bool:
        """Whether every day is published that the figure of ``span`` depends on."""
        return self.published.covers(span)

    def measure(self, span: Span) -> Measured:
        """The headline over a span.

        A sum over published days without rows is 0; for an audience that never had a row it is nothing.
        """
        return self._over(self._slice(span), is_zero=self._zero_where_empty(span))

    def trend(self, buckets: Sequence[Span]) -> list[float | None]:
        """The value of each bucket; None where the denominator is zero, or a flow is not published on all its days.

        Half a month beside whole ones would read as a fall.
        """
        return [self.measure(bucket).value if self._is_drawn(bucket) else None for bucket in buckets]

    def parts(self, column: str, span: Span) -> dict[str | None, Measured]:
        """The headline per value of a drill-down column, for values that have rows in the span."""
        chosen, coded = self._slice(span), self.rows.columns[column]
        return dict(zip(*self._grouped(coded.codes[chosen], coded.values, chosen), strict=True))

    def rest(self, column: str, named: Sequence[str | None], span: Span) -> Measured:
        """The headline over all parts that are not named."""
        chosen, coded = self._slice(span), self.rows.columns[column]
        others = np.array([value not in set(named) for value in coded.values])
        return self._over(np.flatnonzero(others[coded.codes[chosen]]) + chosen.start)

    def _slice(self, span: Span) -> slice:
        """The rows that a figure over ``span`` reads: of a stock those of its last published day."""
        if not self.headline.snapshot:
            return self.rows.between(span.first, span.last)
        day = self.as_of(span.last)
        return self.rows.between(day, day) if day and day >= span.first else slice(0, 0)

    def _is_drawn(self, bucket: Span) -> bool:
        return self.headline.snapshot or self.covers(bucket)

    def _zero_where_empty(self, span: Span) -> bool:
        return self.headline.kind == "sum" and self.rows.days.size > 0 and self.published_in(span) > 0

    def _over(self, chosen: slice | Codes, *, is_zero: bool = False) -> Measured:
        amounts = self.rows.numerators[chosen]
        if amounts.size == 0:
            return Measured(0.0, None, 0.0) if is_zero else NOTHING
        if self.headline.kind == "median":
            return self._measured(float(amounts.sum()), float(amounts.size), float(np.median(amounts)))
        return self._divided(float(amounts.sum()), float(self.rows.denominators[chosen].sum()))

    def _divided(self, numerator: float, denominator: float) -> Measured:
        if self.headline.kind == "sum":
            return self._measured(numerator, None, numerator)
        return self._measured(numerator, denominator, numerator / denominator if denominator else None)

    def _measured(self, numerator: float, denominator: float | None, value: float | None) -> Measured:
        return Measured(numerator, denominator, None if value is None else value * self.headline.scale)

    def _grouped(
        self, codes: Codes, values: Sequence[str | None], chosen: slice
    ) -> tuple[list[str | None], list[Measured]]:
        counts = np.bincount(codes, minlength=len(values))
        present = [int(code) for code in np.flatnonzero(counts)]
        if self.headline.kind == "median":
            order = np.argsort(codes, kind="stable") + chosen.start
            groups = np.split(order, np.cumsum(counts[present])[:-1]) if present else []
            measured = [self._over(group) for group in groups]
        else:
            numerators = np.bincount(codes, self.rows.numerators[chosen], len(values))
            denominators = np.bincount(codes, self.rows.denominators[chosen], len(values))
            measured = [self._divided(float(numerators[code]), float(denominators[code])) for code in present]
        return [values[code] for code in present], measured


def reduce_rows(
    kpi: Kpi, rows: pl.DataFrame, *, day_column: str, drill_downs: Sequence[str], in_reporting: bool
) -> Rows:
    """Reduce the rows of a KPI's extract to its headline's terms.

    Args:
        kpi: its headline names the columns and the filter.
        rows: the extract's rows that one audience may see.
        day_column: the extract's day.
        drill_downs: columns to keep.
        in_reporting: money in the reporting currency, or in the rows' own.
    """
    headline = kpi.headline
    for column, text in headline.filter.items():
        rows = rows.filter(pl.col(column) == text)
    if headline.kind == "median":
        rows = rows.filter(pl.col(headline.numerator[0]).is_not_null())
    rows = rows.sort(day_column, maintain_order=True)
    return Rows(
        days=rows[day_column].cast(pl.Int32).to_numpy().astype(np.int64) + date(1970, 1, 1).toordinal(),
        numerators=signed_sum(headline.numerator, rows, in_reporting),
        denominators=signed_sum(headline.denominator, rows, in_reporting),
        columns={name: coded(rows[name]) for name in drill_downs},
    )


def change(kpi: Kpi, value: float | None, previous: float | None) -> float | None:
    """How a figure moved: in points for percentages and scores, else as a fraction of what it was."""
    if value is None or previous is None:
        return None
    if kpi.unit in _POINT_UNITS:
        return value - previous
    return None if previous == 0 else (value - previous) / abs(previous)


def signed_sum(terms: Sequence[str], rows: pl.DataFrame, in_reporting: bool) -> Floats:
    """Per row the sum of columns; a leading minus subtracts one, null counts as nothing.

    Money is taken in the reporting currency, or in the rows' own.
    """
    total = np.zeros(rows.height)
    for term in terms:
        name = money_column(term.removeprefix("-"), rows.columns, in_reporting=in_reporting)
        amounts = rows[name].cast(pl.Float64).fill_null(0.0).to_numpy()
        total = total - amounts if term.startswith("-") else total + amounts
    return total


def coded(values: pl.Series) -> Column:
    """A column of text as codes and their values; null is a value."""
    encoded = values.cast(pl.String).to_arrow().dictionary_encode(null_encoding="encode")
    return Column(
        encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64), tuple(encoded.dictionary.to_pylist())
    )


Label = Callable[[str | None], str | None]
"""How a part of a drill-down is shown; None is shown as not assigned."""
