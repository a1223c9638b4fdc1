"""Labelled daily series for the benchmark of anomaly detection: what KPIs look like on ordinary and on bad days.

A series is a business (weekly season, trend, holidays, noise that is correlated, overdispersed and heavy-tailed) of one
kind (count, ratio, money level), cut into one shape, with labelled windows or clean. Everything hangs on the seed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

Variant = Literal["rough", "plain"]
VARIANTS: tuple[Variant, ...] = ("rough", "plain")
Business = Callable[[np.random.Generator, str], tuple[Floats, Floats]]
"""Makes values and the spread that they have by themselves."""

DAYS = 730
QUIET_DAYS = 120
"""Nothing is planted before: a detector may learn."""

SHAPES = ("weekly_season", "trend", "sparse_counts", "level_shift", "spike", "drop_to_zero", "missing_days")
KINDS = ("count", "ratio", "level")
_HOLIDAYS = (1, 96, 117, 125, 136, 145, 359, 360)
_APART = 60


@dataclass(frozen=True)
class Labelled:
    """A series (NaN: no value) and its labelled windows as first and last day; without any it is clean."""

    shape: str
    kind: str
    values: Floats
    windows: tuple[tuple[int, int], ...]


def labelled_series(seed: int, copies: int = 4, variant: Variant = "rough") -> list[Labelled]:
    """Per shape, kind and copy one series with anomalies and a clean one.

    ``rough`` businesses are as above; ``plain`` ones have no holidays and noise as text books have it.
    """
    return list(_series(np.random.default_rng(seed), copies, variant))


def _series(rng: np.random.Generator, copies: int, variant: Variant) -> Iterator[Labelled]:
    business = _ROUGH if variant == "rough" else _PLAIN
    for shape in SHAPES:
        for kind in ("count",) if shape == "sparse_counts" else KINDS:
            for _ in range(copies):
                yield _labelled(rng, shape, kind, business[kind], is_clean=False)
                yield _labelled(rng, shape, kind, business[kind], is_clean=True)


def _labelled(rng: np.random.Generator, shape: str, kind: str, business: Business, *, is_clean: bool) -> Labelled:
    values, spread = business(rng, shape)
    if shape == "missing_days":
        values[rng.random(DAYS) < rng.uniform(0.005, 0.03)] = np.nan
    starts = [] if is_clean else _starts(rng, 1 if shape == "level_shift" else int(rng.integers(2, 6)))
    windows = [_plant(rng, shape, kind, values, spread, first) for first in starts]
    return Labelled(shape, kind, values, tuple(windows))


def _starts(rng: np.random.Generator, wanted: int) -> list[int]:
    """First days of windows that stand well apart."""
    starts: list[int] = []
    while len(starts) < wanted:
        first = int(rng.integers(QUIET_DAYS, DAYS - 40))
        if all(abs(first - other) >= _APART for other in starts):
            starts.append(first)
    return sorted(starts)


def _plant(
    rng: np.random.Generator, shape: str, kind: str, values: Floats, spread: Floats, first: int
) -> tuple[int, int]:
    """Put an anomaly of the shape's sort at ``first`` into ``values``."""
    if shape == "level_shift":
        change = rng.uniform(4, 9) * np.nanmedian(spread[first : first + 28]) / np.nanmedian(values[first - 28 : first])
        factor = 1 + change if kind != "ratio" and rng.random() < 0.5 else max(1 - change, 0.15)
        values[first:] = _allowed(values[first:] * factor, kind)
        return first, first + 13
    first = _day_without_zeros(values, spread, first) if shape == "drop_to_zero" else first
    if shape == "drop_to_zero":
        last = first + int(rng.integers(0, 6))
        values[first : last + 1] = 0.0
        return first, last
    if shape == "missing_days" and rng.random() < 0.3:
        last = first + int(rng.integers(1, 4))
        values[first : last + 1] = np.nan
        return first, last
    last = first + int(rng.integers(0, 2))
    level = np.nanmedian(values[first - 56 : first : 7])
    room_above = 100 - level if kind == "ratio" else np.inf
    has_room = min(level, room_above) > 6 * spread[first]
    up = bool(rng.random() < 0.6) if has_room else bool(room_above > level)
    for day in range(first, last + 1):
        size = rng.uniform(5, 11) * max(spread[day], np.median(spread) * 0.5)
        values[day] = _allowed(np.nan_to_num(values[day], nan=0.0) + (size if up else -size), kind)
    return first, last


def _day_without_zeros(values: Floats, spread: Floats, first: int) -> int:
    """The first day from ``first`` on whose weekday does not come near 0 by itself: there a 0 would be no anomaly."""
    for day in range(first, first + 7):
        if np.nanmedian(values[day - 56 : day : 7]) > 3 * spread[day]:
            return day
    return first


def _allowed(values: Floats | float, kind: str) -> Floats:
    """Values that the kind can have: counts are whole, nothing is below 0, ratios stay within 100."""
    kept = np.maximum(values, 0.0)
    if kind == "count":
        return np.asarray(np.round(kept))
    return np.asarray(np.minimum(kept, 100.0) if kind == "ratio" else kept)


def _season(rng: np.random.Generator, shape: str, depth: float) -> Floats:
    """A weekly profile around 1 with a weekend, a trend, and quiet holidays."""
    profile = 1 + rng.normal(0, 0.08, 7)
    profile[5:] *= 1 - depth * rng.uniform(0.5, 1.0, 2)
    weekly = profile[np.arange(DAYS) % 7]
    growth = rng.uniform(0.3, 1.2) * rng.choice([-0.5, 1]) if shape == "trend" else rng.normal(0, 0.1)
    trend = np.linspace(1, 1 + growth, DAYS)
    yearly = 1 + rng.uniform(0, 0.15) * np.sin(2 * np.pi * (np.arange(DAYS) / 365 + rng.random()))
    return np.asarray(weekly * trend * yearly)


def _autocorrelated(rng: np.random.Generator, spread: float) -> Floats:
    """AR(1) noise with now and then a heavy shock."""
    shocks = rng.standard_t(5, DAYS) * spread / np.sqrt(5 / 3)
    memory, noise = rng.uniform(0, 0.5), np.zeros(DAYS)
    for day in range(1, DAYS):
        noise[day] = memory * noise[day - 1] + shocks[day] * np.sqrt(1 - memory**2)
    return noise


def _counts(rng: np.random.Generator, shape: str) -> tuple[Floats, Floats]:
    """Overdispersed counts; their spread grows with their level."""
    if shape == "sparse_counts":
        rate = np.full(DAYS, rng.uniform(0.15, 1.5)) * _season(rng, "weekly_season", 0.6)
    else:
        rate = rng.choice([8, 25, 80, 400]) * _season(rng, shape, 0.7)
        rate = rate * np.exp(_autocorrelated(rng, rng.uniform(0.03, 0.12)))
        if rng.random() < 0.5:
            rate[[day + year for year in (0, 365) for day in _HOLIDAYS]] *= rng.uniform(0.3, 0.9)
    overdispersion = rng.uniform(1.0, 2.0)
    shape_of = rate / max(overdispersion - 1, 1e-3)
    values = rng.poisson(rng.gamma(shape_of, max(overdispersion - 1, 1e-3))).astype(np.float64)
    return values, np.sqrt(rate * overdispersion + (0.08 * rate) ** 2)


def _ratios(rng: np.random.Generator, shape: str) -> tuple[Floats, Floats]:
    """Percentages of counts: the fewer are counted, the wider they scatter; none counted is no value."""
    level = rng.uniform(0.1, 0.95) * _season(rng, shape, 0.1)
    share = np.clip(level * (1 + _autocorrelated(rng, 0.03)), 0.02, 0.98)
    of = rng.poisson(rng.choice([15, 60, 300]) * _season(rng, "weekly_season", 0.5))
    values = np.where(of > 0, 100 * rng.binomial(of, share) / np.maximum(of, 1), np.nan)
    return values, 100 * np.sqrt(share * (1 - share) / np.maximum(of, 1) + (0.03 * share) ** 2)


def _levels(rng: np.random.Generator, shape: str) -> tuple[Floats, Floats]:
    """Amounts at the day's end: they wander, move on working days, and step by what a customer is worth."""
    start = 10 ** rng.uniform(5, 8)
    steps = rng.standard_t(4, DAYS) * rng.uniform(0.001, 0.004) * start
    steps[rng.random(DAYS) < rng.uniform(0, 0.5)] = 0.0
    growth = start * (rng.uniform(0.3, 1.2) if shape == "trend" else rng.normal(0, 0.1)) / DAYS
    weekly = rng.uniform(0, 0.01) * start * np.where(np.arange(DAYS) % 7 >= 5, -1.0, 1.0)
    values = np.maximum(start + np.cumsum(steps + growth) + weekly, 0.1 * start)
    return np.round(values), np.full(DAYS, float(np.std(steps)) + 1e-3 * start)


def _plain_counts(rng: np.random.Generator, shape: str) -> tuple[Floats, Floats]:
    """Poisson counts."""
    level = rng.uniform(0.2, 1.5) if shape == "sparse_counts" else rng.uniform(10, 200)
    rate = level * _season(rng, shape, 0.6)
    return rng.poisson(rate).astype(np.float64), np.sqrt(rate)


def _plain_ratios(rng: np.random.Generator, shape: str) -> tuple[Floats, Floats]:
    """Percentages with even Gaussian noise."""
    spread = rng.uniform(1, 4)
    values = rng.uniform(30, 80) * _season(rng, shape, 0.1) + rng.normal(0, spread, DAYS)
    return np.clip(values, 0, 100), np.full(DAYS, spread)


def _plain_levels(rng: np.random.Generator, shape: str) -> tuple[Floats, Floats]:
    """Amounts with even Gaussian noise around season and trend."""
    level = 10 ** rng.uniform(4, 7)
    spread = level * rng.uniform(0.02, 0.08)
    return level * _season(rng, shape, 0.4) + rng.normal(0, spread, DAYS), np.full(DAYS, spread)


_ROUGH: dict[str, Business] = {"count": _counts, "ratio": _ratios, "level": _levels}
_PLAIN: dict[str, Business] = {"count": _plain_counts, "ratio": _plain_ratios, "level": _plain_levels}
