"""Cubes: the numbers of a page, as cells (a combination of values of dimensions) by slots (a span of days).

Sums and the two sides of ratios are kept apart per cell, so that a browser may add any selection of cells and divide
afterwards; what it shows is then exact. Medians cannot be put together from parts, so their cells are a lattice with a
cell for every selection. How days become slots is ``slots``, which rows an audience may see ``sources``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from analytics_platform.reporting.measures import Codes, Floats
from analytics_platform.reporting.slots import Layout

ALL = -1
"""Stands in a median's cell for any value of a dimension."""

MOST_NUMBERS = 200_000
"""Numbers of a cube; with more, it does without the trend of the period before, then without its last dimensions."""

_LOOKED_UP = 20_000_000
"""Combinations up to which those that occur are looked up in a table rather than sorted."""

_DIGITS = 9
_MEDIAN_DIGITS = 4
_FIXED_AT_ONCE = 2
"""How many dimensions of a median readers may choose at once where there are more: every further one multiplies."""


@dataclass(frozen=True)
class Cube:
    """``codes`` has a row per dimension and a column per cell; ``data`` per measure cells x slots, NaN for nothing."""

    dims: tuple[str, ...]
    codes: Codes
    slots: int
    data: Mapping[str, Floats]

    @property
    def payload(self) -> dict[str, Any]:
        """As pages read it."""
        return {
            "dims": list(self.dims),
            "codes": self.codes.tolist(),
            "slots": self.slots,
            "data": {name: _numbers(values) for name, values in self.data.items()},
        }


@dataclass(frozen=True)
class Amounts:
    """A measure of each row, and from which days of a slot it is taken: all of them, the first or the last."""

    values: Floats
    taken: Literal["sum", "first", "last"] = "sum"


def additive_cube(dims: Mapping[str, Codes], days: Codes, measures: Mapping[str, Amounts], layout: Layout) -> Cube:
    """Add up measures per cell and slot.

    A cell has zero where nothing happened in a slot that is published, and nothing where the slot is not.

    Args:
        dims: per dimension the code of each row.
        days: of each row, as ordinals.
        measures: of each row.
        layout: the slots.
    """
    slots = len(layout.spans)
    used = np.flatnonzero(_in_any(days, layout))
    codes, cell_of = _cells([each[used] for each in dims.values()], used.size)
    cells = codes.shape[1]
    covered = np.array([span is not None for span in layout.spans])
    data = {}
    for name, amounts in measures.items():
        whole = np.where(covered, 0.0, np.nan)[None, :].repeat(cells, axis=0)
        for group in layout.groups:
            rows, slot = _placed(days[used], group, layout)
            if amounts.taken != "sum":
                edge = _edges(layout, amounts.taken)
                kept = days[used][rows] == edge[slot]
                rows, slot = rows[kept], slot[kept]
            sums = np.bincount(cell_of[rows] * slots + slot, amounts.values[used][rows], cells * slots)
            whole += sums.reshape(cells, slots)
        data[name] = whole
    return Cube(tuple(dims), codes, slots, data)


def cells_of(dims: Mapping[str, Codes]) -> int:
    """How many combinations of values occur."""
    codes = list(dims.values())
    return _cells(codes, codes[0].size)[0].shape[1] if codes else 1


def within(dims: Mapping[str, Codes], fixed: Mapping[str, Codes], most: int) -> dict[str, Codes]:
    """The dimensions, without as many of the last ones as make more cells than ``most``; ``fixed`` ones multiply too.

    A page that is small and says that a figure is not split by something is better than one that does not open.
    """
    kept = dict(dims)
    while kept and cells_of({**kept, **fixed}) > most:
        kept.popitem()
    return kept


def median_cube(dims: Mapping[str, Codes], days: Codes, amounts: Floats, layout: Layout) -> Cube:
    """The median of each slot for every selection of values, as a lattice: a code of -1 stands for any value."""
    slots, names = len(layout.spans), tuple(dims)
    most = len(names) if len(names) <= _FIXED_AT_ONCE else _FIXED_AT_ONCE
    parts = [
        _medians([dims[names[n]] for n in fixed], fixed, len(names), days, amounts, layout)
        for count in range(most + 1)
        for fixed in combinations(range(len(names)), count)
    ]
    codes = np.concatenate([codes for codes, _ in parts], axis=1)
    values = np.concatenate([values for _, values in parts])
    return Cube(names, codes, slots, {"values": values.round(_MEDIAN_DIGITS)})


def _medians(
    fixed: Sequence[Codes], places: Sequence[int], width: int, days: Codes, amounts: Floats, layout: Layout
) -> tuple[Codes, Floats]:
    """The cells of one selection of dimensions, and the median of each in each slot."""
    slots = len(layout.spans)
    used = np.flatnonzero(_in_any(days, layout))
    found, cell_of = _cells([each[used] for each in fixed], used.size)
    cells = found.shape[1]
    values = np.full(cells * slots, np.nan)
    for group in layout.groups:
        rows, slot = _placed(days[used], group, layout)
        where, medians = _group_medians(cell_of[rows] * slots + slot, amounts[used][rows])
        values[where] = medians
    codes = np.full((width, cells), ALL, dtype=np.int64)
    codes[list(places)] = found
    return codes, values.reshape(cells, slots)


def _group_medians(keys: Codes, amounts: Floats) -> tuple[Codes, Floats]:
    """Each key once, and the median of its amounts."""
    order = np.lexsort((amounts, keys))
    keys, amounts = keys[order], amounts[order]
    unique, starts, counts = np.unique(keys, return_index=True, return_counts=True)
    lower, upper = amounts[starts + (counts - 1) // 2], amounts[starts + counts // 2]
    return unique, (lower + upper) / 2 if unique.size else np.zeros(0)


def _cells(codes: Sequence[Codes], rows: int) -> tuple[Codes, Codes]:
    """The combinations that occur, sorted, as dimensions x cells, and the cell of each row; one cell without any."""
    if not codes:
        return np.zeros((0, min(rows, 1)), dtype=np.int64), np.zeros(rows, dtype=np.int64)
    sizes = [int(each.max(initial=0)) + 1 for each in codes]
    keys = np.ravel_multi_index(list(codes), sizes) if rows else np.zeros(0, dtype=np.int64)
    space = int(np.prod(sizes, dtype=np.int64))
    if space <= _LOOKED_UP:
        occurs = np.zeros(space, dtype=bool)
        occurs[keys] = True
        unique, cell_of = np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[keys]
    else:
        unique, cell_of = np.unique(keys, return_inverse=True)
    return np.array(np.unravel_index(unique, sizes), dtype=np.int64), cell_of.reshape(-1)


def _placed(days: Codes, group: range, layout: Layout) -> tuple[Codes, Codes]:
    """The rows that fall into a slot of a group, and that slot; the group's spans ascend and do not overlap."""
    spans = [(slot, span) for slot in group if (span := layout.spans[slot]) is not None]
    if not spans:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    first, last = spans[0][1].first.toordinal(), spans[-1][1].last.toordinal()
    slot_on = np.full(last - first + 1, -1, dtype=np.int64)
    for slot, span in spans:
        slot_on[span.first.toordinal() - first : span.last.toordinal() - first + 1] = slot
    rows = np.flatnonzero((days >= first) & (days <= last))
    slots = slot_on[days[rows] - first]
    return rows[slots >= 0], slots[slots >= 0]


def _edges(layout: Layout, edge: Literal["first", "last"]) -> Codes:
    """The first or the last day of each slot, as ordinals; 0 where there is none."""
    return np.array([getattr(span, edge).toordinal() if span else 0 for span in layout.spans], dtype=np.int64)


def _in_any(days: Codes, layout: Layout) -> npt.NDArray[np.bool_]:
    found = np.zeros(days.size, dtype=bool)
    for group in layout.groups:
        found[_placed(days, group, layout)[0]] = True
    return found


def _numbers(values: Floats) -> list[float | int | None]:
    """Row by row, whole numbers without a point: they are most of a page's bytes."""
    return [_number(value) for value in values.round(_DIGITS).ravel().tolist()]


def _number(value: float) -> float | int | None:
    if value != value:
        return None
    return int(value) if value.is_integer() else value
