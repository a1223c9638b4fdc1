"""The detector and the rules, shape by shape."""

import numpy as np
import pytest

from analytics_platform.catalog import AnomalyRules, ChangeRule, LimitsRule, SeasonalRule
from analytics_platform.insights.rules import Verdicts, apply_rules
from analytics_platform.insights.windows import Floats

RULES = AnomalyRules(severity="warning")
DAYS = 200


def weekly(level: float = 100.0, noise: float = 4.0, seed: int = 1) -> Floats:
    """A working week: weekends at less than half."""
    rng = np.random.default_rng(seed)
    return np.where(np.arange(DAYS) % 7 < 5, level, 0.4 * level) + rng.normal(0, noise, DAYS)


def judged(values: Floats, rules: AnomalyRules = RULES, *, counts: bool = True) -> Verdicts:
    return apply_rules(rules, values[None, :], counts=counts)


def flagged(values: Floats, rules: AnomalyRules = RULES, *, counts: bool = True) -> list[int]:
    return [int(day) for day in np.flatnonzero(judged(values, rules, counts=counts).is_anomaly[0])]


def test_a_weekend_is_no_anomaly_and_a_workday_like_a_weekend_is() -> None:
    values = weekly()
    assert flagged(values) == []
    values[150] = 40.0  # a Thursday
    assert flagged(values) == [150]


def test_a_trend_is_expected_to_go_on() -> None:
    values = weekly() + np.linspace(0, 200, DAYS)
    assert flagged(values) == []


def test_a_spike_is_reported_and_the_days_after_it_are_not() -> None:
    values = weekly()
    values[120] += 80
    assert flagged(values) == [120]


def test_a_second_anomaly_of_the_same_kind_is_found_although_the_first_is_in_its_past() -> None:
    values = weekly()
    values[[120, 134]] += 60
    assert flagged(values) == [120, 134]


def test_a_drop_to_zero_is_reported_on_its_first_day() -> None:
    values = np.round(weekly(level=30.0, noise=3.0))
    values[141:144] = 0.0
    assert flagged(values)[0] == 141


def test_a_new_level_is_reported_at_once_and_becomes_ordinary_within_two_weeks() -> None:
    values = weekly()
    values[120:] += 60
    found = flagged(values)
    assert found[0] == 120
    assert max(found) < 134


def test_small_counts_go_up_and_down_between_0_and_2_without_an_alarm() -> None:
    values = np.random.default_rng(3).poisson(0.6, DAYS).astype(np.float64)
    assert flagged(values) == []
    values[150] = 9.0
    assert flagged(values) == [150]


def test_a_few_a_day_that_stop_coming_are_reported_though_one_day_without_is_not() -> None:
    values = np.random.default_rng(4).poisson(2.5, DAYS).astype(np.float64)
    values[150:160] = 0.0
    found = [day for day in flagged(values) if day >= 150]
    assert found
    assert min(found) > 150


def test_a_constant_series_is_expected_to_stay_and_any_real_move_is_reported() -> None:
    values = np.full(DAYS, 42.0)
    values[150] = 47.0
    verdicts = judged(values)
    assert flagged(values) == [150]
    assert verdicts.expected[0, 149] == pytest.approx(42.0)


def test_a_series_of_zeros_has_no_anomalies() -> None:
    assert flagged(np.zeros(DAYS)) == []


def test_a_ratio_is_judged_without_the_days_that_have_none() -> None:
    values = np.clip(90 + np.random.default_rng(2).normal(0, 2, DAYS), 0, 100)
    values[np.arange(DAYS) % 7 >= 5] = np.nan
    assert flagged(values, counts=False) == []
    values[150] = 60.0
    assert flagged(values, counts=False) == [150]


def test_scores_that_may_be_negative_are_judged_around_zero() -> None:
    values = np.random.default_rng(8).normal(-3, 3, DAYS)
    assert flagged(values, counts=False) == []
    values[150] = 40.0
    assert flagged(values, counts=False) == [150]


def test_too_little_history_is_said_and_nothing_is_scored() -> None:
    values = weekly()
    values[20] = 10_000.0
    verdicts = judged(values)
    assert not verdicts.is_scored[0, :28].any()
    assert not verdicts.is_anomaly[0, :28].any()
    assert np.isnan(verdicts.score[0, :28]).all()
    assert verdicts.is_scored[0, 60:].all()


def test_days_without_a_value_are_reported_where_there_always_was_one() -> None:
    values = weekly()
    values[150:153] = np.nan
    verdicts = judged(values)
    assert flagged(values)[0] == 150
    assert verdicts.rule[0, 150] == "missing"
    assert flagged(values, AnomalyRules(severity="info", missing=False)) == []


def test_days_without_a_value_are_ordinary_where_they_come_now_and_then_or_on_weekends() -> None:
    values = weekly()
    values[np.arange(DAYS) % 7 >= 5] = np.nan
    values[[40, 71, 95, 124]] = np.nan
    assert [day for day in flagged(values) if day > 95] == []


def test_what_cannot_be_right_is_reported_from_the_first_day() -> None:
    rules = AnomalyRules(severity="critical", limits=LimitsRule(lower=0, upper=100))
    values = np.full(30, 50.0)
    values[3] = 101.0
    verdicts = judged(values, rules)
    assert (verdicts.rule[0, 3], bool(verdicts.is_scored[0, 3])) == ("limits", True)
    assert flagged(values, rules) == [3]


def test_a_change_beyond_its_limit_is_reported_where_the_detector_is_not_asked() -> None:
    rules = AnomalyRules(severity="info", seasonal=None, change=ChangeRule(at_most=30, measure="percent"))
    values = np.full(DAYS, 100.0) + np.random.default_rng(1).normal(0, 1, DAYS)
    values[150] = 136.0
    verdicts = judged(values, rules)
    assert flagged(values, rules) == [150]
    assert verdicts.rule[0, 150] == "change"


def test_a_higher_threshold_reports_less() -> None:
    values = weekly()
    values[120] += 22
    assert flagged(values, AnomalyRules(severity="info", seasonal=SeasonalRule(threshold=3.0)))
    assert not flagged(values, AnomalyRules(severity="info", seasonal=SeasonalRule(threshold=9.0)))


def test_the_interval_tells_what_is_reported_by_the_detector() -> None:
    rng = np.random.default_rng(11)
    values = rng.poisson(40, (20, DAYS)).astype(np.float64)
    values[rng.random(values.shape) < 0.01] *= 3
    verdicts = apply_rules(RULES, values, counts=True)
    outside = (values < verdicts.lower) | (values > verdicts.upper)
    assert verdicts.is_anomaly.any()
    assert (outside == verdicts.is_anomaly).all()
