"""What moved a figure: how much of its change each part of a drill-down accounts for. Pure arithmetic.

A sum moves by what its parts move. A ratio moves for two reasons: a part's own rate moved, or its share of the base did
(mix), towards or away from the average. The split is Bennet's, which takes both weeks' weights alike:

    rate_i = (w0_i + w1_i)/2 * (r1_i - r0_i)
    mix_i  = (w1_i - w0_i) * ((r0_i + r1_i)/2 - (R0 + R1)/2)

with w a part's share of the denominator, r its own ratio and R that of the whole. Numbers are fractions, so the parts
add up to the change exactly and not nearly. Medians have no such parts: they are not computed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

_NONE = Fraction(0)


@dataclass(frozen=True)
class Amount:
    """A part's numerator and denominator; the denominator of a sum is not read."""

    numerator: Fraction
    denominator: Fraction = _NONE

    @classmethod
    def of(cls, numerator: float | None, denominator: float | None = None) -> Amount:
        """From floats, exactly; None is a part that is not there."""
        return cls(Fraction(numerator or 0), Fraction(denominator or 0))


Parts: TypeAlias = Mapping[str | None, Amount]
"""The parts of a whole by name; None is what belongs to none."""


@dataclass(frozen=True)
class Contribution:
    """How much a part adds to the change of the whole, in the figure's unit.

    Attributes:
        rate: by its own level.
        mix: by its weight in the whole; 0 for sums.
    """

    rate: Fraction
    mix: Fraction = _NONE

    @property
    def total(self) -> Fraction:
        """Both together."""
        return self.rate + self.mix


def sum_contributions(before: Parts, now: Parts, scale: float = 1.0) -> dict[str | None, Contribution]:
    """Per part, its share in the change of a sum; they add up to the change."""
    factor = Fraction(scale)
    return {
        name: Contribution((_at(now, name).numerator - _at(before, name).numerator) * factor)
        for name in _names(before, now)
    }


def ratio_contributions(before: Parts, now: Parts, scale: float = 1.0) -> dict[str | None, Contribution] | None:
    """Per part, its share in the change of a ratio of sums, split into rate and mix; they add up to the change.

    None where the ratio has no value in one of the two, since then there is no change to explain.
    """
    bases = [sum((amount.denominator for amount in parts.values()), _NONE) for parts in (before, now)]
    if not all(bases):
        return None
    wholes = [
        sum((amount.numerator for amount in parts.values()), _NONE) / base
        for parts, base in zip((before, now), bases, strict=True)
    ]
    middle, factor = (wholes[0] + wholes[1]) / 2, Fraction(scale)
    return {
        name: _split(_at(before, name), _at(now, name), bases[0], bases[1], middle, factor)
        for name in _names(before, now)
    }


def _split(
    before: Amount, now: Amount, base_before: Fraction, base_now: Fraction, middle: Fraction, factor: Fraction
) -> Contribution:
    weights = before.denominator / base_before, now.denominator / base_now
    rates = _rate(before), _rate(now)
    # A part that has come or gone has one rate, and moves the whole by its weight alone.
    first = rates[0] if rates[0] is not None else rates[1]
    last = rates[1] if rates[1] is not None else rates[0]
    if first is None or last is None:
        first = last = _NONE
    rate = (weights[0] + weights[1]) / 2 * (last - first)
    # What is counted above without being counted below (a conversion without a known lead) has no weight at all.
    rate += _unweighted(now) / base_now - _unweighted(before) / base_before
    has_weight = bool(weights[0] or weights[1])
    mix = (weights[1] - weights[0]) * ((first + last) / 2 - middle) if has_weight else _NONE
    return Contribution(rate * factor, mix * factor)


def _rate(amount: Amount) -> Fraction | None:
    return amount.numerator / amount.denominator if amount.denominator else None


def _unweighted(amount: Amount) -> Fraction:
    return _NONE if amount.denominator else amount.numerator


def _at(parts: Parts, name: str | None) -> Amount:
    return parts.get(name, Amount(_NONE))


def _names(before: Parts, now: Parts) -> list[str | None]:
    return list(dict.fromkeys([*now, *before]))
