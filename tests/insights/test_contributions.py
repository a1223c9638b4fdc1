"""Contributions add up to the change, whatever comes and goes; the split is checked on cases done by hand."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from analytics_platform.insights.contributions import Amount, Contribution, ratio_contributions, sum_contributions

amounts = st.builds(
    Amount.of, st.floats(-1e9, 1e9, allow_nan=False), st.just(0.0) | st.floats(0.1, 1e9, allow_nan=False)
)
parts = st.dictionaries(st.none() | st.sampled_from("abcdefgh"), amounts, max_size=8)


def whole(of: dict[str | None, Amount]) -> Fraction | None:
    base = sum((amount.denominator for amount in of.values()), Fraction(0))
    return sum((amount.numerator for amount in of.values()), Fraction(0)) / base if base else None


def total(contributions: dict[str | None, Contribution]) -> Fraction:
    return sum((each.total for each in contributions.values()), Fraction(0))


@given(parts, parts, st.sampled_from([1.0, 100.0]))
def test_contributions_to_a_ratio_add_up_to_its_change_exactly(
    before: dict[str | None, Amount], now: dict[str | None, Amount], scale: float
) -> None:
    contributions = ratio_contributions(before, now, scale)
    first, last = whole(before), whole(now)
    if first is None or last is None:
        assert contributions is None
    else:
        assert contributions is not None
        assert total(contributions) == (last - first) * Fraction(scale)
        assert contributions.keys() == before.keys() | now.keys()


@given(parts, parts)
def test_contributions_to_a_sum_add_up_to_its_change_exactly(
    before: dict[str | None, Amount], now: dict[str | None, Amount]
) -> None:
    change = sum(amount.numerator for amount in now.values()) - sum(amount.numerator for amount in before.values())
    assert total(sum_contributions(before, now)) == change


@given(parts)
def test_what_does_not_move_moves_nothing(same: dict[str | None, Amount]) -> None:
    contributions = ratio_contributions(same, same)
    if contributions is not None:
        assert all(each == Contribution(Fraction(0)) for each in contributions.values())


def test_a_rate_that_moves_at_equal_weights_is_all_rate() -> None:
    before = {"a": Amount.of(50, 100), "b": Amount.of(50, 100)}
    now = {"a": Amount.of(70, 100), "b": Amount.of(50, 100)}
    assert ratio_contributions(before, now, 100) == {
        "a": Contribution(Fraction(10), Fraction(0)),
        "b": Contribution(Fraction(0), Fraction(0)),
    }


def test_weight_that_moves_to_the_better_part_is_all_mix() -> None:
    """90% and 50% at even weights are 70%; at three to one they are 80%."""
    before = {"a": Amount.of(90, 100), "b": Amount.of(50, 100)}
    now = {"a": Amount.of(135, 150), "b": Amount.of(25, 50)}
    contributions = ratio_contributions(before, now, 100)
    assert contributions is not None
    assert [each.rate for each in contributions.values()] == [0, 0]
    assert {name: float(each.mix) for name, each in contributions.items()} == {"a": 3.75, "b": 6.25}


def test_a_part_that_comes_moves_the_whole_by_its_weight_alone() -> None:
    contributions = ratio_contributions({"a": Amount.of(50, 100)}, {"a": Amount.of(50, 100), "new": Amount.of(90, 100)})
    assert contributions is not None
    assert contributions["new"].rate == 0
    assert contributions["new"].mix > 0
    assert total(contributions) == Fraction(1, 5)  # from 50% to 70%


def test_what_is_counted_above_alone_counts_in_full() -> None:
    before, now = {"a": Amount.of(10, 100)}, {"a": Amount.of(10, 100), "unattributed": Amount.of(5, 0)}
    contributions = ratio_contributions(before, now, 100)
    assert contributions is not None
    assert contributions["unattributed"] == Contribution(Fraction(5), Fraction(0))


def test_a_ratio_without_a_base_has_no_change_to_explain() -> None:
    assert ratio_contributions({}, {"a": Amount.of(1, 2)}) is None
    assert ratio_contributions({"a": Amount.of(1, 0)}, {"a": Amount.of(1, 2)}) is None
