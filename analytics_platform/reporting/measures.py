"""The arithmetic of a KPI's headline over any rows of its extract: one span, the points of a trend, the parts of a whole.

One rule for all of them: numerators are summed, denominators are summed, then divided; a median is taken of the rows
themselves; a stock (``snapshot``) is read on a span's last day, a flow over all its days. Dates, HTML and the lake
stay out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from analytics_platform.catalog import Headline, Kpi
from analytics_platform.reporting.periods import Span

REPORTING_CURRENCY = "EUR"

_PARTS = ("num", "den", "value")


@dataclass(frozen=True)
class Measured:
    """A headline over some rows; ``value`` is scaled, and None where there is nothing to say."""

    numerator: float | None
    denominator: float | None
    value: float | None


NOTHING = Measured(None, None, None)


@dataclass(frozen=True)
class Series:
    """One KPI's rows as one audience may see them, reduced to what is drawn.

    ``rows`` has ``day``, the drill-down columns, ``num`` and ``den``; ``days`` are the days that are published, with
    rows or without; ``currency`` is set for money.
    """

    kpi: Kpi
    rows: pl.DataFrame
    days: frozenset[date]
    currency: str | None

    @property
    def headline(self) -> Headline:
        """How the KPI is computed."""
        return self.kpi.headline

    def as_of(self, day: date) -> date | None:
        """The last published day up to ``day``."""
        return max((known for known in self.days if known <= day), default=None)

    def covers(self, span: Span) -> bool:
        """Whether every day that the figure of ``span`` depends on is published."""
        return all(day in self.days for day in self._needed(span))

    def measure(self, span: Span) -> Measured:
        """The headline over a span."""
        if self.rows.is_empty():
            return NOTHING
        row = self._within(span).select(_expressions(self.headline)).row(0, named=True)
        if self.headline.kind == "sum" and self._published_in(span):
            return Measured(row["num"] or 0.0, None, (row["num"] or 0.0) * self.headline.scale)
        return Measured(row["num"], row["den"], row["value"])

    def trend(self, buckets: Sequence[Span]) -> list[float | None]:
        """The headline of each bucket; None where nothing is published or the denominator is zero."""
        wanted = pl.DataFrame(
            [(day, index) for index, bucket in enumerate(buckets) for day in self._needed(bucket)],
            schema={"day": pl.Date, "bucket": pl.Int32},
            orient="row",
        )
        joined = self.rows.join(wanted, on="day")
        grouped = joined.group_by("bucket").agg(_expressions(self.headline))
        values: dict[int, float | None] = dict(grouped.select("bucket", "value").iter_rows())
        is_sum = self.headline.kind == "sum" and not self.rows.is_empty()
        return [
            values.get(index, 0.0 if is_sum and self._published_in(bucket) else None)
            for index, bucket in enumerate(buckets)
        ]

    def parts(self, column: str, span: Span) -> pl.DataFrame:
        """The headline per value of a drill-down column: ``part``, ``num``, ``den``, ``value``."""
        return (
            self._within(span)
            .group_by(pl.col(column).cast(pl.String).alias("part"))
            .agg(_expressions(self.headline))
            .select("part", *_PARTS)
        )

    def rest(self, column: str, named: Iterable[str | None], span: Span) -> Measured:
        """The headline over all parts that are not named."""
        others = self._within(span).filter(~pl.col(column).cast(pl.String).is_in(list(named), nulls_equal=True))
        row = others.select(_expressions(self.headline)).row(0, named=True)
        return Measured(row["num"], row["den"], row["value"])

    def _within(self, span: Span) -> pl.DataFrame:
        days = self._needed(span)
        return self.rows.filter(pl.col("day").is_between(days[0], days[-1]))

    def _needed(self, span: Span) -> list[date]:
        """The days whose rows a figure over ``span`` reads: all of a flow, the last published of a stock."""
        if self.headline.snapshot:
            return [max((day for day in self.days if day in span), default=span.last)]
        return span.all_days()

    def _published_in(self, span: Span) -> bool:
        return any(day in self.days for day in self._needed(span))


def reduce_rows(
    kpi: Kpi, rows: pl.DataFrame, *, day_column: str, drill_downs: Sequence[str], in_reporting: bool
) -> pl.DataFrame:
    """The rows of a KPI's extract as ``day``, drill-down columns, ``num`` and ``den``.

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
    return rows.select(
        pl.col(day_column).alias("day"),
        *[pl.col(column) for column in drill_downs],
        _signed_sum(headline.numerator, rows.columns, in_reporting).alias("num"),
        _signed_sum(headline.denominator, rows.columns, in_reporting).alias("den"),
    )


def money_column(name: str, columns: Sequence[str], *, in_reporting: bool) -> str:
    """The column with an amount in the wanted currency, where the extract has it in both."""
    reporting = name if name.endswith("_reporting_minor") else name.replace("_minor", "_reporting_minor")
    own = name.replace("_reporting_minor", "_minor")
    wanted = reporting if in_reporting else own
    return wanted if wanted in columns else name


def change(kpi: Kpi, value: float | None, previous: float | None) -> float | None:
    """How a figure moved: in points for percentages and scores, else as a fraction of what it was."""
    if value is None or previous is None:
        return None
    if kpi.unit in {"percent", "score"}:
        return value - previous
    return None if previous == 0 else (value - previous) / abs(previous)


def _signed_sum(terms: Sequence[str], columns: Sequence[str], in_reporting: bool) -> pl.Expr:
    total = pl.lit(0.0)
    for term in terms:
        column = money_column(term.removeprefix("-"), columns, in_reporting=in_reporting)
        amount = pl.col(column).cast(pl.Float64).fill_null(0.0)
        total = total - amount if term.startswith("-") else total + amount
    return total


def _expressions(headline: Headline) -> list[pl.Expr]:
    """Aggregations to ``num``, ``den`` and ``value`` (scaled)."""
    num = pl.col("num").sum()
    scale = headline.scale
    if headline.kind == "median":
        return [
            num.alias("num"),
            pl.len().cast(pl.Float64).alias("den"),
            (pl.col("num").median() * scale).alias("value"),
        ]
    if headline.kind == "sum":
        return [num.alias("num"), pl.lit(None, pl.Float64).alias("den"), (num * scale).alias("value")]
    den = pl.col("den").sum()
    value = pl.when(den != 0).then(num / den * scale)
    return [num.alias("num"), den.alias("den"), value.alias("value")]
