"""The seasonal detector: what a day was to be expected to be, how far off it may be, and how far off it was.

For each day the forecasts of a few simple forecasters are at hand (weekday profile or none, plus a level over a short
or a long while, or a trend). Each forecaster has been used on every earlier day, so its errors out of sample are known:
the one with the smallest counts, and their robust spread is the scale. Nothing is fitted to the tested day, nor to
later ones. Small whole numbers are judged by the tail of a negative binomial instead, since no spread describes them.

The scale of a median absolute deviation: Rousseeuw and Croux (1993), doi:10.1080/01621459.1993.10476408. The root that
makes the spread of counts even: Bartlett (1936), doi:10.2307/2983678.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from analytics_platform.insights.windows import Flags, Floats, before, counted, mean, median, quantiles, shifted

_PROFILE_WEEKS = 8
_LEVELS = (28, 7, 3)
_ERROR_DAYS = 56
_SCALE_DAYS = 84
_WANDERING = (2, 6)
"""Places among the forecasts of those that know the last days alone: such levels move by steps, with heavy tails."""

_ADAPTED_DAYS = 7
_ADAPTED_LIMIT = 2.5
_SPARSE_DAYS = 56
_SPARSE_MEAN = 12.0
_WIDEST_TAIL = 1.6
"""Times the scale of the middle: a tail that is wider is made of anomalies, unless the middle stands still."""

_LONGEST_QUIET = 13
_QUIET_CHANCE = 5e-4
_GAP_CHANCE = 1e-3
_SPOTLESS_DAYS = 84

_SMALLEST_SCALE = 2e-3
"""Of the level: what moves by less is no news, however still it stood before."""

WINDOW_DAYS = 7 * _PROFILE_WEEKS + 7 + 28 + _SCALE_DAYS + 2
"""How many days before a day may bear upon it."""


@dataclass(frozen=True)
class Tuning:
    """How the detector judges; tuned on the benchmark's tuning seeds.

    Attributes:
        threshold: robust standard deviations beyond which one day is an anomaly.
        sparse: the same for small counts, as a deviate of their tail.
        repeated: the same for a day whose eve lay as far out in the same direction.
        wandering: the same for a level that wanders.
        zero: the same for a 0 where there never was one.
        zero_again: the same for a 0 where there was one before, or two.
        min_history: days with a value before the first that is judged.
    """

    threshold: float = 3.8
    wandering: float = 5.0
    sparse: float = 3.3
    repeated: float = 2.9
    zero: float = 2.0
    zero_again: float = 2.4
    min_history: int = 28


@dataclass(frozen=True)
class Judged:
    """Per series and day; NaN where there was too little history to say.

    ``score`` is signed, in robust standard deviations; the value is an anomaly outside of ``lower`` to ``upper``.
    """

    expected: Floats
    lower: Floats
    upper: Floats
    score: Floats
    history: Floats

    @property
    def is_judged(self) -> Flags:
        """Whether the day could be judged."""
        return ~np.isnan(self.expected)


DEFAULT = Tuning()


def judge(values: Floats, *, counts: bool = True, tuning: Tuning = DEFAULT) -> Judged:
    """Judge every day of series x days by the days before it.

    Args:
        values: NaN where there is no value.
        counts: whether whole numbers count something; a percentage or an amount does not.
        tuning: thresholds.
    """
    history = counted(before(values, WINDOW_DAYS)).astype(np.float64)
    judged = _by_scale(values, tuning, counts=counts)
    if counts:
        judged = _with_sparse(judged, values, tuning)
    enough = history >= tuning.min_history
    expected, lower, upper, score = (np.where(enough, part, np.nan) for part in judged)
    return Judged(expected, lower, upper, score, history)


Parts = tuple[Floats, Floats, Floats, Floats]
"""Expected, lower, upper, score."""


def _with_sparse(judged: Parts, values: Floats, tuning: Tuning) -> Parts:
    """Small counts judged as such; tails cost more than spreads, so only where a series ever has them."""
    is_sparse = _is_sparse(values)
    rows = np.any(is_sparse, axis=1)
    if not np.any(rows):
        return judged
    combined = _where(is_sparse[rows], _by_count(values[rows], tuning), _rows_of(judged, rows))
    for part, mended in zip(judged, combined, strict=True):
        part[rows] = mended
    return judged


def _rows_of(parts: Parts, rows: Flags) -> Parts:
    expected, lower, upper, score = (part[rows] for part in parts)
    return expected, lower, upper, score


def _where(chosen: Flags, ones: Parts, others: Parts) -> Parts:
    expected, lower, upper, score = (np.where(chosen, one, other) for one, other in zip(ones, others, strict=True))
    return expected, lower, upper, score


def _by_scale(values: Floats, tuning: Tuning, *, counts: bool) -> Parts:
    """In roots where all values are whole and none negative, since their spread grows with their level."""
    plain = _intervals(values, tuning, _zero_episodes(values))
    if not counts:
        return plain
    expected, lower, upper, score = _intervals(_root(values), tuning, _zero_episodes(values))
    return _where(_is_whole(values), (_square(expected), _square(lower), _square(upper), score), plain)


def _root(values: Floats) -> Floats:
    return np.asarray(np.sign(values) * np.sqrt(np.abs(values)))


def _square(roots: Floats) -> Floats:
    return np.asarray(np.sign(roots) * roots**2)


def _intervals(values: Floats, tuning: Tuning, zeros: Floats) -> Parts:
    forecasts = _forecasts(values)
    errors = [values - forecast for forecast in forecasts]
    expected, scale, wanders = _best(values, forecasts, errors)
    with np.errstate(divide="ignore", invalid="ignore"):  # a series of zeros has no scale
        score = (values - expected) / scale
        zero = -expected / scale
    threshold = np.where(wanders, tuning.wandering, tuning.threshold)
    limit_up, limit_down = _limits(score, threshold, np.where(wanders, tuning.wandering, tuning.repeated))
    adapted, slack = _adapted(forecasts, errors)
    upper = np.fmax(expected + limit_up * scale, adapted + slack)
    lower = np.fmin(expected - limit_down * scale, adapted - slack)
    return (
        expected,
        np.where(_zero_is_news(zero, zeros, tuning), np.maximum(lower, _above_zero(values)), lower),
        upper,
        score,
    )


def _forecasts(values: Floats) -> list[Floats]:
    """With the weekday profile and without: a level over a long, a short and a shortest while, and a trend."""
    found = []
    for season in (_profile(values), np.zeros_like(values)):
        level_free = values - season
        levels = [median(before(level_free, days), (days + 1) // 3) for days in _LEVELS]
        half = median(before(level_free, 14), 5)
        drift = (half - shifted(half, 14)) / 14
        found += [season + level for level in (*levels, half + 7.5 * drift)]
    return found


def _profile(values: Floats) -> Floats:
    """How a weekday differs from its week, as the median over the weeks before; 0 until three weeks are known."""
    padded = np.concatenate([values, np.full((values.shape[0], 4), np.nan)], axis=1)
    around = median(before(padded, 7), 4)[:, 4:]  # at a day: from three days before to three after it
    away = values - around
    weeks = np.stack([shifted(away, 7 * week) for week in range(1, _PROFILE_WEEKS + 1)], axis=-1)
    return np.nan_to_num(median(weeks, 3), nan=0.0)


def _best(values: Floats, forecasts: list[Floats], errors: list[Floats]) -> tuple[Floats, Floats, Flags]:
    """Forecast and scale of the forecaster that erred least, and whether it is one that follows a wandering level.

    The earlier in the list wins a near draw.
    """
    loss = np.stack([mean(before(np.sqrt(np.abs(error)), _ERROR_DAYS), 14) for error in errors])
    handicap = 1 + 0.02 * np.arange(len(errors)).reshape(-1, 1, 1)
    known = ~np.all(np.isnan(loss), axis=0)
    chosen = np.argmin(np.where(np.isnan(loss), np.inf, loss * handicap), axis=0)
    expected = np.full(values.shape, np.nan)
    scale = np.full(values.shape, np.nan)
    for place, (forecast, error) in enumerate(zip(forecasts, errors, strict=True)):
        here = known & (chosen == place)
        expected[here] = forecast[here]
        scale[here] = _scale(before(np.abs(error), _SCALE_DAYS)[here], forecast[here])
    return expected, scale, np.isin(chosen, _WANDERING)


def _scale(sizes: Floats, level: Floats) -> Floats:
    """A standard deviation from sizes of errors: of the middle and of the tail, whichever is wider."""
    middle, tail, far = quantiles(sizes, (0.5, 0.95, 0.975), 14)
    centre = 1.4826 * middle
    tails = np.maximum(tail / 1.96, far / 2.24)
    tails = np.where(middle > 0, np.minimum(tails, _WIDEST_TAIL * centre), tails)
    few = 1 + 4 / np.maximum(counted(sizes), 1)
    return np.asarray(np.maximum.reduce([centre, tails, _SMALLEST_SCALE * np.abs(level)]) * few)


def _limits(score: Floats, threshold: Floats | float, repeated: Floats | float) -> tuple[Floats, Floats]:
    """How far a day may be out, up and down: less far after a day that was out in that direction."""
    eve = shifted(score, 1)
    up = np.where(eve > repeated, repeated, threshold)
    down = np.where(eve < -repeated, repeated, threshold)
    return up, down


def _adapted(forecasts: list[Floats], errors: list[Floats]) -> tuple[Floats, Floats]:
    """What a level that has lasted for days makes ordinary, so that a shift does not alarm for ever."""
    place = _LEVELS.index(_ADAPTED_DAYS)
    scale = _scale(before(np.abs(errors[place]), _SCALE_DAYS), forecasts[place])
    return forecasts[place], _ADAPTED_LIMIT * scale


def _zero_episodes(values: Floats) -> Floats:
    """How often the days before went to 0 or below, runs of days counting once; NaN where too few are known."""
    is_zero = np.where(np.isnan(values), 0.0, (values <= 0).astype(np.float64))
    begins = is_zero * (1 - np.nan_to_num(shifted(is_zero, 1)))
    known = counted(before(values, WINDOW_DAYS))
    return np.where(known >= 56, np.sum(np.nan_to_num(before(begins, WINDOW_DAYS)), axis=-1), np.nan)


def _zero_is_news(zero_score: Floats, episodes: Floats, tuning: Tuning) -> Flags:
    """Whether a 0 would be an anomaly, by how far out it lies and how often there was one."""
    limit = np.select([episodes == 0, episodes <= 2], [tuning.zero, tuning.zero_again], np.inf)
    return np.asarray(zero_score < -limit)


def _above_zero(values: Floats) -> Floats:
    """Half the smallest value above 0 of the days before."""
    window = before(values, WINDOW_DAYS)
    return np.asarray(np.min(np.where(window > 0, window, np.inf), axis=-1) / 2)


def _is_sparse(values: Floats) -> Flags:
    """Whether the days before held whole numbers alone, and small ones."""
    return np.asarray(_is_whole(values) & (mean(before(values, _SPARSE_DAYS)) < _SPARSE_MEAN))


def _is_whole(values: Floats) -> Flags:
    """Whether the days before held nothing but whole numbers from 0 on."""
    is_whole = np.isnan(values) | ((values >= 0) & (values == np.round(values)))
    return np.asarray(~np.any(before(np.where(is_whole, 0.0, 1.0), WINDOW_DAYS) > 0, axis=-1))


def _by_count(values: Floats, tuning: Tuning) -> Parts:
    rate, spread = _rate(values)
    score = _tail_score(values, rate, spread)
    limit_up, limit_down = _limits(score, tuning.sparse, tuning.repeated)
    lately = (np.sum(np.nan_to_num(before(values, _ADAPTED_DAYS)), axis=-1) + rate) / (_ADAPTED_DAYS + 1)
    adapted = np.full_like(rate, _ADAPTED_LIMIT)
    upper = np.fmax(_count_beyond(rate, spread, limit_up), _count_beyond(lately, spread, adapted))
    lower = np.fmin(_count_beyond(rate, spread, -limit_down), _count_beyond(lately, spread, -adapted))
    zero_score = special.ndtri(_no_event(rate, spread))
    is_news = _zero_is_news(zero_score, _zero_episodes(values), tuning) | _quiet_for_long(values, rate, spread)
    return rate, np.where(is_news, np.maximum(lower, 1.0), lower), upper, score


def _no_event(rate: Floats, spread: Floats) -> Floats:
    """The chance of a day without an event."""
    return np.asarray(spread ** (-rate / (spread - 1)))


def _quiet_for_long(values: Floats, rate: Floats, spread: Floats) -> Flags:
    """Whether one more day without an event would end a run of them that chance hardly makes."""
    surprise = rate / (spread - 1) * np.log(spread)
    total = surprise.copy()
    quiet = np.ones(values.shape, dtype=bool)
    for ago in range(1, _LONGEST_QUIET + 1):
        quiet &= shifted(values, ago) == 0
        total += np.where(quiet, np.nan_to_num(shifted(surprise, ago)), 0.0)
    return np.asarray(total > -np.log(_QUIET_CHANCE))


def _rate(values: Floats) -> tuple[Floats, Floats]:
    """Events a day by weekday, and their variance as a multiple of it; the highest days are capped."""
    window = before(values, _SPARSE_DAYS)
    present = np.maximum(counted(window), 1)
    cap = quantiles(window, (0.96,))[0] + 1
    capped = np.minimum(window, cap[..., None])
    overall = mean(capped, 14)
    weekday = capped[..., ::7]
    share = (np.sum(np.nan_to_num(weekday), axis=-1) + 4 * overall) / (counted(weekday) + 4)
    variance = np.sum(np.nan_to_num(capped - overall[..., None]) ** 2, axis=-1) / present
    spread = np.clip(variance / np.maximum(overall, 0.05), 1.05, 10.0)
    return np.maximum(share, 0.02), spread


def _tail_score(values: Floats, rate: Floats, spread: Floats) -> Floats:
    """Standard normal deviate of the tail from the value outwards."""
    size, chance = rate / (spread - 1), 1 / spread
    with np.errstate(invalid="ignore"):
        above = special.betainc(np.maximum(values, 1e-9), size, 1 - chance)
        below = special.betainc(size, values + 1, chance)
    up, down = -special.ndtri(np.clip(above, 1e-16, 1)), special.ndtri(np.clip(below, 1e-16, 1))
    return np.asarray(np.where(values > rate, np.maximum(up, 0), np.minimum(down, 0)) + 0 * values)


def _count_beyond(rate: Floats, spread: Floats, deviates: Floats) -> Floats:
    """The count that lies that many standard normal deviates out."""
    from scipy import stats  # half a second, which whoever loads the graph without judging would pay

    return np.asarray(stats.nbinom.ppf(special.ndtr(deviates), rate / (spread - 1), 1 / spread), dtype=np.float64)


def is_unusual_gap(values: Floats) -> Flags:
    """Days without a value where as many in a row are hardly ever seen, going by the days before.

    A weekday on which there mostly is none is not due; a series that has none now and then is not reported for one.
    """
    window = before(values, WINDOW_DAYS)
    due = np.isnan(values) & (np.mean(np.isnan(window[..., ::-1][..., 6:56:7]), axis=-1) < 0.5)
    gap = _run_lengths(due)
    known, absent = counted(window), np.nansum(before(due.astype(np.float64), WINDOW_DAYS), axis=-1) - (gap - 1)
    chance = (absent + 1) / (known + absent + 2)
    is_first = (gap == 1) & (absent == 0) & (known >= _SPOTLESS_DAYS)
    return np.asarray(due & (is_first | ((gap > 1) & (chance**gap < _GAP_CHANCE))) & (known >= DEFAULT.min_history))


def _run_lengths(flags: Flags) -> Floats:
    """How many flagged days in a row there are up to each flagged day."""
    lengths = np.zeros(flags.shape)
    for day in range(flags.shape[1]):
        eve = lengths[:, day - 1] if day else 0.0
        lengths[:, day] = np.where(flags[:, day], eve + 1, 0.0)
    return lengths
