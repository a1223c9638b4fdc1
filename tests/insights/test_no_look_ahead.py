"""Proof that no score looks ahead: whatever comes later, what was said of a day stays."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics_platform.catalog import AnomalyRules, ChangeRule, LimitsRule
from analytics_platform.insights.rules import DAYS_READ, Verdicts, apply_rules
from analytics_platform.insights.windows import Floats

RULES = AnomalyRules(
    severity="warning", limits=LimitsRule(lower=-50), change=ChangeRule(at_most=60, measure="percent", days=2)
)
DAYS = 210


def verdicts_of(values: Floats, *, counts: bool = True) -> Verdicts:
    return apply_rules(RULES, values, counts=counts)


def assert_same(one: Verdicts, other: Verdicts) -> None:
    for name in Verdicts.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def days_of(verdicts: Verdicts, first: int, last: int) -> Verdicts:
    return Verdicts(**{name: getattr(verdicts, name)[:, first:last] for name in Verdicts.__dataclass_fields__})


@st.composite
def series(draw: st.DrawFn) -> Floats:
    """Counts, amounts, ratios with gaps, outages, shifts and extremes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    rate = draw(st.sampled_from([0.3, 4.0, 60.0, 1e6]))
    values = rng.poisson(rate * (1 + 0.5 * (np.arange(DAYS) % 7 < 5)), (2, DAYS)).astype(np.float64)
    if draw(st.booleans()):
        values = values / rng.uniform(1, 3) - draw(st.sampled_from([0.0, rate]))
    values[rng.random((2, DAYS)) < draw(st.sampled_from([0.0, 0.05, 0.6]))] = np.nan
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, DAYS - 1))
        values[:, start : start + draw(st.integers(1, 30))] = draw(st.sampled_from([0.0, -1e9, 1e9, np.nan, 7.5]))
    return values


later_days = st.integers(1, DAYS - 1)
few_examples = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@few_examples
@given(series(), later_days)
def test_what_is_said_of_the_first_days_is_what_is_said_when_there_are_no_others(values: Floats, cut: int) -> None:
    assert_same(verdicts_of(values[:, :cut]), days_of(verdicts_of(values), 0, cut))


@few_examples
@given(series(), series(), later_days)
def test_another_future_changes_nothing(values: Floats, future: Floats, cut: int) -> None:
    other = np.concatenate([values[:, :cut], future[:, cut:]], axis=1)
    assert_same(days_of(verdicts_of(values), 0, cut), days_of(verdicts_of(other), 0, cut))


@few_examples
@given(series(), later_days, st.randoms(use_true_random=False))
def test_shuffling_later_days_changes_nothing(values: Floats, cut: int, random: object) -> None:
    order = list(range(cut, DAYS))
    random.shuffle(order)  # type: ignore[attr-defined]
    shuffled = np.concatenate([values[:, :cut], values[:, order]], axis=1)
    assert_same(days_of(verdicts_of(values), 0, cut), days_of(verdicts_of(shuffled), 0, cut))


@few_examples
@given(series(), later_days)
def test_the_tested_day_is_not_in_its_own_baseline(values: Floats, day: int) -> None:
    """Whatever its value is, a day is expected to be the same, within the same bounds."""
    other = values.copy()
    other[:, day] = 12.0
    before, after = verdicts_of(values), verdicts_of(other)
    for name in ("expected",):
        np.testing.assert_array_equal(getattr(before, name)[:, day], getattr(after, name)[:, day])


@pytest.mark.parametrize("begin", [1, 40, 299])
def test_a_day_is_judged_alike_wherever_reading_begins(begin: int) -> None:
    rng = np.random.default_rng(5)
    values = rng.poisson(20 * (1 + (np.arange(DAYS_READ + 300) % 7 < 5)), (3, DAYS_READ + 300)).astype(np.float64)
    values[1] = values[1] / 3
    values[2, rng.random(values.shape[1]) < 0.1] = np.nan
    last = values.shape[1]
    whole, part = verdicts_of(values), verdicts_of(values[:, begin:])
    assert_same(days_of(whole, begin + DAYS_READ, last), days_of(part, DAYS_READ, last - begin))


def test_a_series_is_judged_alike_alone_and_among_others() -> None:
    rng = np.random.default_rng(6)
    values = rng.normal(100, 10, (70, 120))
    together, alone = verdicts_of(values), verdicts_of(values[66:67])
    for name in Verdicts.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(together, name)[66:67], getattr(alone, name), err_msg=name)
