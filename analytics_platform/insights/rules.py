"""The declared rules over the series of a KPI: what each says of each day, and which of them speaks for the day.

The gravest speaks: a day without a figure where one was due, a figure that cannot be right, a figure that its own
history does not explain, a figure that moved too fast. Where none has anything to report, the seasonal detector says
what was expected. Like the detector, no rule looks at later days.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from analytics_platform.catalog import AnomalyRules, ChangeRule, LimitsRule, SeasonalRule
from analytics_platform.insights.seasonal import DEFAULT, WINDOW_DAYS, Judged, Tuning, is_unusual_gap, judge
from analytics_platform.insights.windows import Flags, Floats, shifted

DAYS_READ = 2 * WINDOW_DAYS + 1
"""How many days before a day have to be at hand, so that its verdict is the same wherever reading begins."""

_SERIES_AT_ONCE = 64
"""Keeps the windows of all days within a few dozen megabytes."""

SETTLING, MISSING, LIMITS, SEASONAL, CHANGE = "settling", "missing", "limits", "seasonal", "change"


@dataclass(frozen=True)
class Verdicts:
    """Per series and day: what was expected, how far off it was, by which rule, and whether it is an anomaly.

    ``is_scored`` is false where there was too little history to say anything; numbers there are NaN.
    """

    expected: Floats
    lower: Floats
    upper: Floats
    score: Floats
    rule: npt.NDArray[np.str_]
    is_anomaly: Flags
    is_scored: Flags


def apply_rules(rules: AnomalyRules, values: Floats, *, counts: bool) -> Verdicts:
    """Judge each day of series x days (NaN: no value) by the rules of a KPI.

    Args:
        rules: as the catalogue declares them.
        values: the figures.
        counts: whether whole numbers count something.
    """
    parts = [
        _applied(rules, values[start : start + _SERIES_AT_ONCE], counts=counts)
        for start in range(0, max(len(values), 1), _SERIES_AT_ONCE)
    ]
    names = Verdicts.__dataclass_fields__
    return Verdicts(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def _applied(rules: AnomalyRules, values: Floats, *, counts: bool) -> Verdicts:
    judged = judge(values, counts=counts, tuning=_tuning(rules.seasonal))
    verdicts = _seasonal(judged, values, is_applied=rules.seasonal is not None)
    if rules.change:
        verdicts = _with_change(verdicts, rules.change, values)
    if rules.limits:
        verdicts = _with_limits(verdicts, rules.limits, values)
    if rules.missing:
        gaps = is_unusual_gap(values)
        verdicts = _overruled(verdicts, gaps, MISSING, judged.lower, judged.upper)
        verdicts = replace(verdicts, is_scored=verdicts.is_scored | gaps)
    return verdicts


def _tuning(rule: SeasonalRule | None) -> Tuning:
    """The detector's limits, drawn in or out together by the declared threshold."""
    if rule is None:
        return DEFAULT
    by = rule.threshold / DEFAULT.threshold
    names = ("threshold", "wandering", "sparse", "repeated", "zero", "zero_again")
    scaled = {name: getattr(DEFAULT, name) * by for name in names}
    return Tuning(**scaled, min_history=rule.min_history_days)


def _seasonal(judged: Judged, values: Floats, *, is_applied: bool) -> Verdicts:
    outside = (values < judged.lower) | (values > judged.upper)
    return Verdicts(
        judged.expected,
        judged.lower,
        judged.upper,
        judged.score,
        np.full(values.shape, SEASONAL),
        outside & is_applied,
        judged.is_judged & ~np.isnan(values),
    )


def _with_change(verdicts: Verdicts, rule: ChangeRule, values: Floats) -> Verdicts:
    """Report what the seasonal detector does not, once it has enough history; nothing is a percentage of 0."""
    then = shifted(values, rule.days)
    room = np.abs(then) * rule.at_most / 100 if rule.measure == "percent" else np.full(values.shape, rule.at_most)
    room = np.where(room > 0, room, np.nan)
    moved = (np.abs(values - then) > room) & verdicts.is_scored & ~verdicts.is_anomaly
    return _overruled(verdicts, moved, CHANGE, then - room, then + room)


def _with_limits(verdicts: Verdicts, rule: LimitsRule, values: Floats) -> Verdicts:
    """Report what cannot be right, from the first day: that takes no history."""
    lower = np.full(values.shape, -np.inf if rule.lower is None else rule.lower)
    upper = np.full(values.shape, np.inf if rule.upper is None else rule.upper)
    outside = (values < lower) | (values > upper)
    limited = _overruled(verdicts, outside, LIMITS, lower, upper)
    inner = np.fmax(limited.lower, lower), np.fmin(limited.upper, upper)
    narrowed = replace(
        limited,
        lower=np.where(np.isnan(limited.lower), np.nan, inner[0]),
        upper=np.where(np.isnan(limited.upper), np.nan, inner[1]),
    )
    return replace(narrowed, is_scored=narrowed.is_scored | outside)


def _overruled(verdicts: Verdicts, where: Flags, rule: str, lower: Floats, upper: Floats) -> Verdicts:
    return replace(
        verdicts,
        lower=np.where(where, lower, verdicts.lower),
        upper=np.where(where, upper, verdicts.upper),
        rule=np.where(where, rule, verdicts.rule),
        is_anomaly=verdicts.is_anomaly | where,
    )
