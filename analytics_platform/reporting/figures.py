"""All figures of one KPI for one audience: cards, trends and drill-downs, for every period that readers may choose.

Everything is computed here, because medians cannot be put together from parts in a browser, and because a page then
holds a few hundred numbers instead of a year of rows. ``measures`` has the arithmetic, ``page`` the looks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from analytics_platform.catalog import Kpi
from analytics_platform.reporting.measures import NOTHING, Label, Measured, Series, change
from analytics_platform.reporting.messages import dimension_name
from analytics_platform.reporting.periods import Period, periods_ending

_MAX_PARTS = 25
_MAX_TENANTS = 1000
_WORD = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)+|[a-z]{4,}")


@dataclass(frozen=True)
class CardNumber:
    """What one card shows for one period, for a check to compare with SQL over the same days.

    ``value`` and ``previous`` are in the KPI's unit (money in minor units of ``currency``); ``previous`` is None where
    the period before is not published in full. A stock's figures are those of ``last`` and ``previous_last``.
    """

    kpi: str
    period: str
    first: date
    last: date
    previous_first: date
    previous_last: date
    numerator: float | None
    denominator: float | None
    value: float | None
    previous: float | None
    currency: str | None


@dataclass(frozen=True)
class KpiFigures:
    """One KPI's card numbers, and the JSON that the page draws from."""

    cards: tuple[CardNumber, ...]
    payload: dict[str, Any]


def kpi_figures(series: Series, day: date, drill_downs: Sequence[str], tenant_names: Mapping[str, str]) -> KpiFigures:
    """Compute every figure that a page shows of one KPI.

    Args:
        series: the KPI's rows that the audience may see.
        day: the dashboard's day; all periods end on it (cohorts end as many days earlier as they need to mature).
        drill_downs: columns of ``series.rows`` to break the figure down by.
        tenant_names: display names by tenant id; only what the audience may know.
    """
    kpi = series.kpi
    as_of = series.as_of(day)
    maturity = days_to_mature(kpi)
    built = [
        _period_figures(series, period, drill_downs, tenant_names)
        for period in periods_ending(day - timedelta(maturity))
    ]
    payload: dict[str, Any] = {
        "name": kpi.name,
        "title": kpi.title,
        "unit": kpi.unit,
        "direction": kpi.direction,
        "currency": series.currency,
        "target": kpi.target if target_applies(kpi, tenant_names) else None,
        "shape": "bar" if kpi.headline.kind == "sum" and not kpi.headline.snapshot else "line",
        "snapshot": kpi.headline.snapshot,
        "additive": kpi.headline.kind == "sum",
        "maturity": maturity,
        "as_of": as_of.isoformat() if as_of else None,
        "periods": {card.period: data for card, data in built},
    }
    return KpiFigures(tuple(card for card, _ in built), payload)


def days_to_mature(kpi: Kpi) -> int:
    """The age at which a KPI's day is shown: a younger cohort's figure would only show how young it is."""
    return kpi.settling_days if kpi.is_cohort else 0


def target_applies(kpi: Kpi, tenant_names: Mapping[str, str]) -> bool:
    """A target for a sum is set for the whole platform; a tenant's page has no tenants to name."""
    return kpi.headline.kind != "sum" or bool(tenant_names)


def _period_figures(
    series: Series, period: Period, drill_downs: Sequence[str], tenant_names: Mapping[str, str]
) -> tuple[CardNumber, dict[str, Any]]:
    measured = series.measure(period.span)
    comparable = series.covers(period.previous)
    previous = series.measure(period.previous).value if comparable else None
    card = _card(series, period, measured, previous)
    return card, {
        "first": period.span.first.isoformat(),
        "last": period.span.last.isoformat(),
        "previous_first": period.previous.first.isoformat(),
        "previous_last": period.previous.last.isoformat(),
        "value": measured.value,
        "previous": previous,
        "change": change(series.kpi, measured.value, previous),
        "days": period.span.days,
        "days_published": series.published_in(period.span),
        "trend": {
            "until": [bucket.last.isoformat() for bucket in period.buckets],
            "days": period.buckets[0].days if period.key != "12m" else 0,
            "value": _rounded(series.trend(period.buckets)),
            "previous": _rounded(series.trend(period.previous_buckets)),
        },
        "parts": {column: _parts(series, period, column, comparable, tenant_names) for column in drill_downs},
    }


def _card(series: Series, period: Period, measured: Measured, previous: float | None) -> CardNumber:
    return CardNumber(
        kpi=series.kpi.name,
        period=period.key,
        first=period.span.first,
        last=period.span.last,
        previous_first=period.previous.first,
        previous_last=period.previous.last,
        numerator=measured.numerator,
        denominator=measured.denominator,
        value=measured.value,
        previous=previous,
        currency=series.currency,
    )


def _parts(
    series: Series, period: Period, column: str, comparable: bool, tenant_names: Mapping[str, str]
) -> dict[str, Any]:
    """The parts of a drill-down as columns, largest first; beyond a limit the rest is one part of its own."""
    now = series.parts(column, period.span)
    before = series.parts(column, period.previous) if comparable else {}
    ranked = sorted(now, key=lambda part: (-abs(_weight(series, now[part])), part or ""))
    limit = _MAX_TENANTS if column == "tenant_id" else _MAX_PARTS
    # A rest of one would hide a name and save nothing.
    shown = ranked if len(ranked) <= limit + 1 else ranked[:limit]
    figures = [(now[part], before.get(part, NOTHING)) for part in shown]
    if len(shown) < len(ranked):
        earlier = series.rest(column, shown, period.previous) if comparable else NOTHING
        figures.append((series.rest(column, shown, period.span), earlier))
    label = labeller(column, tenant_names)
    return {
        "dimension": dimension_name(column),
        "label": [label(part) for part in shown],
        "others": len(ranked) - len(shown),
        "value": _rounded([current.value for current, _ in figures]),
        "previous": _rounded([earlier.value for _, earlier in figures]),
        "weight": _rounded([_weight(series, current) for current, _ in figures]),
    }


def _weight(series: Series, measured: Measured) -> float:
    """What a part contributes to the whole: its sum, or what its ratio is taken of."""
    weight = measured.numerator if series.headline.kind == "sum" else measured.denominator
    return weight or 0.0


def labeller(column: str, tenant_names: Mapping[str, str]) -> Label:
    """How a part is shown: tenants by name, words without underscores, identifiers as they are."""
    if column == "tenant_id":
        return lambda part: tenant_names.get(part, part) if part else part
    if column.endswith(("_id", "_ref")):
        return lambda part: part
    return lambda part: part.replace("_", " ").capitalize() if part and _WORD.fullmatch(part) else part


def _rounded(values: Sequence[float | None]) -> list[float | None]:
    """Four decimals: more than any page shows, and much shorter than a double."""
    return [None if value is None else _compact(round(value, 4)) for value in values]


def _compact(value: float) -> float:
    return int(value) if value.is_integer() else value
