"""Statistics of the days before each day, over many series at once.

All functions take and give arrays of series x days with NaN for days without a value. What stands at a day is made of
the days before it and never of the day itself, of a fixed number of them, and in the same order of operations wherever
the array begins, so that a day computed alone is equal to the last bit.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


def before(values: Floats, days: int) -> Floats:
    """The ``days`` values before each day, as series x days x values; NaN before the array begins."""
    padded = np.concatenate([np.full((values.shape[0], days), np.nan), values[:, :-1]], axis=1)
    return np.lib.stride_tricks.sliding_window_view(padded, days, axis=1)


def shifted(values: Floats, days: int) -> Floats:
    """Each day's value of ``days`` earlier."""
    moved = np.full_like(values, np.nan)
    moved[:, days:] = values[:, : max(values.shape[1] - days, 0)]
    return moved


def counted(window: Floats) -> npt.NDArray[np.int64]:
    """How many values there are along the last axis."""
    return np.asarray(np.sum(~np.isnan(window), axis=-1), dtype=np.int64)


def mean(window: Floats, at_least: int = 1) -> Floats:
    """The mean along the last axis, NaN where fewer than ``at_least`` values are."""
    present = counted(window)
    total = np.sum(np.where(np.isnan(window), 0.0, window), axis=-1)
    return np.where(present >= at_least, total / np.maximum(present, 1), np.nan)


def median(window: Floats, at_least: int = 1) -> Floats:
    """The median along the last axis, NaN where fewer than ``at_least`` values are."""
    return quantiles(window, (0.5,), at_least)[0]


def quantiles(window: Floats, shares: tuple[float, ...], at_least: int = 1) -> list[Floats]:
    """Quantiles along the last axis, linearly between neighbours, NaN where fewer than ``at_least`` values are."""
    ordered = np.sort(window, axis=-1)  # NaN last
    present = counted(window)
    last = np.maximum(present - 1, 0)
    return [np.where(present >= at_least, _ranked(ordered, share * last), np.nan) for share in shares]


def _ranked(ordered: Floats, rank: Floats) -> Floats:
    lower = np.floor(rank).astype(np.int64)
    upper = np.ceil(rank).astype(np.int64)
    low = np.take_along_axis(ordered, lower[..., None], axis=-1)[..., 0]
    high = np.take_along_axis(ordered, upper[..., None], axis=-1)[..., 0]
    return np.asarray(low + (high - low) * (rank - lower), dtype=np.float64)
