"""The bar of the KPI definitions, on seeds that nothing was tuned on. `make bench` has the whole table."""

import numpy as np
import pytest

from benchmarks.anomalies import (
    DETECTORS,
    HELD_OUT,
    MAX_FALSE_ALERTS,
    MIN_F1,
    MIN_ZERO_RECALL,
    TUNED_ON,
    held_out_series,
    measured,
    scored,
)
from benchmarks.anomaly_series import DAYS, VARIANTS, Labelled, Variant, labelled_series


def test_no_seed_is_used_both_for_tuning_and_for_judging() -> None:
    assert not set(TUNED_ON) & set(HELD_OUT)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_bar_holds_on_the_series_that_were_held_out(variant: Variant) -> None:
    series = held_out_series(variant)  # all of them: of the few windows of one seed, two make a tenth of a recall
    ours = measured(DETECTORS["ours"], series)

    assert ours.overall.f1 >= MIN_F1
    assert ours.overall.false_alerts_a_year <= MAX_FALSE_ALERTS
    assert ours.drops_to_zero.recall >= MIN_ZERO_RECALL
    for name in ("day-of-week z-score", "rolling z-score"):
        assert ours.overall.f1 > measured(DETECTORS[name], series).overall.f1


def test_the_same_seed_gives_the_same_series() -> None:
    one, other = (labelled_series(7, 1) for _ in range(2))
    assert [each.windows for each in one] == [each.windows for each in other]
    assert all(np.array_equal(a.values, b.values, equal_nan=True) for a, b in zip(one, other, strict=True))


def test_hits_echoes_and_false_alerts_are_counted_as_the_definitions_say() -> None:
    labelled = Labelled("spike", "count", np.zeros(DAYS), ((200, 204), (300, 300), (400, 400)))
    clean = Labelled("spike", "count", np.zeros(DAYS), ())
    flags = np.zeros((2, DAYS), dtype=bool)
    flags[0, [201, 203, 206]] = True  # a hit a day late, and its echoes
    flags[0, [302]] = True  # two days after the start: no hit, and no false alert either
    flags[0, [500, 502, 510]] = True  # two false alerts
    flags[1, [130, 133, 137]] = True  # two more, of a clean series
    score = scored([labelled, clean], flags)

    assert (score.hits, score.windows, score.false_alerts, score.clean_alerts) == (1, 3, 2, 2)
    assert score.precision == pytest.approx(1 / 3)
    assert score.recall == pytest.approx(1 / 3)
    assert score.false_alerts_a_year == pytest.approx(2 / ((DAYS - 120) / 365.25))
