"""The rows of ``kpi.kpi_anomalies``: each KPI series on each day, judged by the rules that the catalogue declares.

A row is a function of the KPI tables up to its day, or up to the day on which the KPI has settled; so days may be
built alone and in any order. How a day is judged is in :mod:`~analytics_platform.insights.rules`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import numpy as np
import polars as pl
import pyarrow as pa

from analytics_platform.catalog import Catalog, Kpi
from analytics_platform.insights.rules import (
    CHANGE,
    DAYS_READ,
    LIMITS,
    MISSING,
    SEASONAL,
    SETTLING,
    Verdicts,
    apply_rules,
)
from analytics_platform.insights.series import SeriesGroup, read_series
from analytics_platform.warehouse import Warehouse, has_table

ANOMALIES_TABLE = "kpi.kpi_anomalies"

COLUMNS: dict[str, tuple[pa.DataType, str]] = {
    "day": (pa.date32(), "The business day that is judged."),
    "tenant_id": (pa.string(), "The tenant; `all` for the figure of all tenants together."),
    "kpi": (pa.string(), "The KPI's name in the catalogue."),
    "series": (pa.string(), "`headline`, or the part of it that the series is of, as `column=value`."),
    "observed": (pa.float64(), "The figure, in the KPI's unit; null where there is none."),
    "expected": (pa.float64(), "What the days before let expect; null where they are too few."),
    "lower": (pa.float64(), "Smallest figure that is no anomaly; null where nothing is known or any is."),
    "upper": (pa.float64(), "Largest figure that is no anomaly; null where nothing is known or any is."),
    "score": (pa.float64(), "Robust standard deviations from what was expected; null where it is not judged."),
    "rule": (pa.string(), "The rule that speaks for the day: settling, missing, limits, seasonal or change."),
    "is_anomaly": (pa.bool_(), "Whether the rule reports the day."),
    "reason": (pa.string(), "Why, in words."),
}
"""Names, types and descriptions of the table's columns, in their order."""

SCHEMA = pa.schema([(name, kind) for name, (kind, _) in COLUMNS.items()])
_NUMBERS = ("observed", "expected", "lower", "upper", "score")
_DIGITS = 9
"""Significant ones: what the order of additions changes lies beyond them."""


def anomaly_rows(warehouse: Warehouse, catalog: Catalog, first: date, last: date) -> pa.Table:
    """The rows of the days ``first`` to ``last`` for all KPIs."""
    as_of = max(last, newest_day(warehouse, catalog))
    with warehouse.reading():
        frames = [
            frame
            for kpi in catalog.kpis.values()
            for group in read_series(warehouse, kpi, _days_before(first, DAYS_READ), last)
            for frame in _judged(group, first, as_of)
        ]
    return _table(frames)


def days_to_write(warehouse: Warehouse, catalog: Catalog, first: date, last: date) -> tuple[date, date]:
    """The days whose rows a run over ``first`` to ``last`` may change: with a day, older ones settle.

    Older days are written again only where they are there already.
    """
    oldest = _days_before(first, max(kpi.settling_days for kpi in catalog.kpis.values()))
    if not has_table(warehouse, ANOMALIES_TABLE):
        return first, last
    rows = warehouse.query(f"select min(day) as day from {ANOMALIES_TABLE} where day >= ?", [oldest]).to_pylist()
    return min(first, rows[0]["day"] or first), last


def newest_day(warehouse: Warehouse, catalog: Catalog) -> date:
    """The newest day of any KPI table: what had to settle by then has settled."""
    tables = sorted({kpi.table for kpi in catalog.kpis.values()})
    newest = " union all ".join(f"select cast(max(day) as date) as day from {table}" for table in tables)
    return max((row["day"] for row in warehouse.query(newest).to_pylist() if row["day"]), default=date.min)


def _judged(group: SeriesGroup, first: date, as_of: date) -> Iterator[pl.DataFrame]:
    """The rows of a group of series from ``first`` on, each from the day that it was born."""
    if not group.names:
        return
    kpi, values = group.kpi, group.values
    days = [group.first + timedelta(n) for n in range(values.shape[1])]
    settled = np.array([day + timedelta(kpi.settling_days) <= as_of for day in days])
    judged = np.where(settled, values, np.nan)
    verdicts = apply_rules(kpi.anomalies, judged, counts=kpi.unit == "count")
    start = (first - group.first).days
    for row, ((tenant, series), birth) in enumerate(zip(group.names, group.births, strict=True)):
        begin = max(start, (birth - group.first).days)
        if begin < len(days):
            chosen = slice(begin, len(days))
            frame = _frame(verdicts, row, chosen, values[row, chosen], settled[chosen], days[chosen])
            yield _worded(frame.filter(pl.Series(group.is_told[row, chosen])), kpi).with_columns(
                tenant_id=pl.lit(tenant), kpi=pl.lit(kpi.name), series=pl.lit(series)
            )


def _frame(
    verdicts: Verdicts, row: int, chosen: slice, observed: np.ndarray, settled: np.ndarray, days: list[date]
) -> pl.DataFrame:
    parts = {name: getattr(verdicts, name)[row, chosen] for name in ("expected", "lower", "upper", "score")}
    flags = {name: getattr(verdicts, name)[row, chosen] for name in ("is_anomaly", "is_scored")}
    rule = np.where(settled, verdicts.rule[row, chosen], SETTLING)
    return pl.DataFrame({"day": days, "observed": observed, **parts, **flags, "rule": rule, "settled": settled})


def _worded(frame: pl.DataFrame, kpi: Kpi) -> pl.DataFrame:
    """Numbers as they are stored, nothing where nothing was judged, and the reason in words."""
    number = pl.col(*_NUMBERS)
    finite = pl.when(number.is_finite()).then(number.round_sig_figs(_DIGITS))
    judged = pl.col("settled") & pl.col("is_scored")
    frame = frame.with_columns(finite).with_columns(
        pl.when(pl.col("settled")).then(pl.col("expected", "lower", "upper")),
        pl.when(judged).then(pl.col("score")),
        is_anomaly=pl.col("is_anomaly") & pl.col("settled"),
    )
    observed, lower, upper = (_told(name) for name in ("observed", "lower", "upper"))
    span = pl.format("{} to {}", lower, upper)
    rule, kept = pl.col("rule"), pl.col("is_anomaly")
    reason = (
        pl.when(~pl.col("settled"))
        .then(pl.lit(f"not final until {kpi.settling_days} days later"))
        .when(kept & (rule == MISSING))
        .then(pl.lit("no figure, where the days before had one"))
        .when(kept & (rule == LIMITS))
        .then(pl.format("{} cannot be right: {}", observed, span))
        .when(kept & (rule == CHANGE))
        .then(pl.format("{} moved too far in {} days: {}", observed, pl.lit(_change_days(kpi)), span))
        .when(kept & (rule == SEASONAL))
        .then(pl.format("{} is outside of the expected {}", observed, span))
        .when(pl.col("observed").is_null())
        .then(pl.lit("no figure, which is not unusual for the series"))
        .when(~pl.col("is_scored"))
        .then(pl.lit("too little history to say"))
        .otherwise(pl.lit("as expected"))
    )
    return frame.with_columns(reason=reason)


def _told(name: str) -> pl.Expr:
    """A number as people read it; a side without a bound is any."""
    return pl.col(name).round_sig_figs(5).cast(pl.String).str.strip_suffix(".0").fill_null("any")


def _change_days(kpi: Kpi) -> int:
    return kpi.anomalies.change.days if kpi.anomalies.change else 0


def _table(frames: list[pl.DataFrame]) -> pa.Table:
    if not frames:
        return SCHEMA.empty_table()
    rows = pl.concat(frames).select(SCHEMA.names).sort("day", "kpi", "series", "tenant_id")
    return rows.to_arrow().cast(SCHEMA)


def _days_before(day: date, days: int) -> date:
    return date.fromordinal(max(day.toordinal() - days, 1))
