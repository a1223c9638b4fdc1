"""The dimensions of a page: the values that its cubes are cut by, once for all of them, so that filters are linked.

A dimension with very many values is folded: those with the largest share stay, the rest of each tenant is one value,
so that totals stay exact and a page stays small. Which columns an audience may see is decided before (``sources``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from analytics_platform.reporting.measures import Codes, Column, Floats, Label

OTHERS = "…others"
"""The value that stands for all that are folded away; no id of the platform's may have an ellipsis."""

MOST_VALUES = 120
"""Values of a dimension that a page has; more would be a list that nobody scrolls through."""

_NEVER_FOLDED = {"tenant_id", "currency"}


@dataclass(frozen=True)
class Dimension:
    """Values in the order of their share, each with its label; ``others`` is the code of the folded rest, if any."""

    values: tuple[str | None, ...]
    labels: tuple[str | None, ...]
    others: int | None

    @property
    def payload(self) -> dict[str, Any]:
        """As pages read it."""
        said: dict[str, Any] = {"values": list(self.values), "labels": list(self.labels)}
        return said if self.others is None else {**said, "others": self.others}

    def codes(self, column: Column) -> Codes:
        """The dimension's code of each row of a column."""
        rest = -1 if self.others is None else self.others
        table = np.array([self._code_of.get(value, rest) for value in column.values], dtype=np.int64)
        return table[column.codes] if column.codes.size else column.codes

    @cached_property
    def _code_of(self) -> dict[str | None, int]:
        return {value: code for code, value in enumerate(self.values)}


Shares = Mapping[str | None, float]
"""What each value of a column contributes to a whole of one."""


def shares(column: Column, weights: Floats) -> Shares:
    """The share of each value of a column; a value with nothing to its name still has its place."""
    sizes = np.bincount(column.codes, np.abs(weights), len(column.values)) if weights.size else np.zeros(0)
    present = np.bincount(column.codes, minlength=len(column.values)) > 0 if weights.size else sizes > 0
    whole = float(sizes.sum()) or 1.0
    return {
        value: float(size) / whole
        for value, size, is_there in zip(column.values, sizes, present, strict=True)
        if is_there
    }


def page_dimensions(seen: Iterable[tuple[str, Shares]], label_of: Mapping[str, Label]) -> dict[str, Dimension]:
    """The dimensions of a page.

    Args:
        seen: each cube's columns with the shares of their values; one name may come from several cubes.
        label_of: how the values of each dimension are shown.
    """
    added: dict[str, dict[str | None, float]] = {}
    for name, parts in seen:
        into = added.setdefault(name, defaultdict(float))
        for value, share in parts.items():
            into[value] += share
    return {name: _dimension(name, parts, label_of[name]) for name, parts in added.items()}


def _dimension(name: str, parts: Mapping[str | None, float], label: Label) -> Dimension:
    ranked = sorted(parts, key=lambda value: (-parts[value], value is None, value or ""))
    # A rest of one would hide a name and save nothing.
    if name in _NEVER_FOLDED or len(ranked) <= MOST_VALUES + 1:
        return Dimension(tuple(ranked), _labels(ranked, label), None)
    kept = ranked[:MOST_VALUES]
    return Dimension((*kept, OTHERS), (*_labels(kept, label), None), len(kept))


def _labels(values: Sequence[str | None], label: Label) -> tuple[str | None, ...]:
    return tuple(label(value) for value in values)
