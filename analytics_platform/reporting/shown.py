"""What readers see of a payload: the arithmetic that a page's script does, for those who compare it with something.

Filters choose one value per dimension. The cells that they leave are added up, then divided; of a median the one cell
is looked up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from analytics_platform.reporting.cubes import ALL

Filters = Mapping[str, str | None]
"""The chosen value by dimension."""


def figure(
    payload: Mapping[str, Any], kpi: Mapping[str, Any], period: str, filters: Filters | None = None
) -> float | None:
    """The figure of a KPI's card for a period, in the KPI's unit; None where there is nothing to say."""
    slots = kpi["periods"][period]["slots"]
    if slots["total"] is not None:
        return _value(payload, kpi, [slots["total"]], filters or {})
    first, last = slots["buckets"]
    return _value(payload, kpi, [last - 1] if kpi["snapshot"] else range(first, last), filters or {})


def trend(
    payload: Mapping[str, Any], kpi: Mapping[str, Any], period: str, filters: Filters | None = None
) -> list[float | None]:
    """The points of a KPI's trend."""
    first, last = kpi["periods"][period]["slots"]["buckets"]
    return [_value(payload, kpi, [slot], filters or {}) for slot in range(first, last)]


def previous(
    payload: Mapping[str, Any], kpi: Mapping[str, Any], period: str, filters: Filters | None = None
) -> float | None:
    """The figure of the period before; None where the two cannot be compared."""
    told = kpi["periods"][period]
    if not told["comparable"]:
        return None
    if told["slots"]["previous_total"] is not None:
        return _value(payload, kpi, [told["slots"]["previous_total"]], filters or {})
    first, last = told["slots"]["previous"]
    return _value(payload, kpi, [last - 1] if kpi["snapshot"] else range(first, last), filters or {})


def added(cube: Mapping[str, Any], codes: Mapping[str, int], measure: str, slots: Sequence[int]) -> float | None:
    """A measure over the cells that have these codes, added up over slots; None where no cell says anything."""
    amounts = [
        amount
        for cell in _cells(cube, codes)
        for slot in slots
        if (amount := cube["data"][measure][cell * cube["slots"] + slot]) is not None
    ]
    return sum(amounts) if amounts else None


def _value(payload: Mapping[str, Any], kpi: Mapping[str, Any], slots: Sequence[int], filters: Filters) -> float | None:
    cube = kpi["cube"]
    chosen = {
        name: payload["dimensions"][name]["values"].index(value)
        for name, value in filters.items()
        if name in cube["dims"]
    }
    if kpi["kind"] == "median":
        codes = {name: chosen.get(name, ALL) for name in cube["dims"]}
        value = added(cube, codes, "values", slots)
    else:
        value = added(cube, chosen, "numerator", slots)
    if kpi["kind"] == "ratio":
        whole = added(cube, chosen, "denominator", slots)
        value = value / whole if value is not None and whole else None
    return None if value is None else value * kpi["scale"]


def _cells(cube: Mapping[str, Any], codes: Mapping[str, int]) -> Iterator[int]:
    """The cells that have these codes."""
    chosen = [(cube["codes"][cube["dims"].index(name)], code) for name, code in codes.items()]
    count = len(next(iter(cube["data"].values()))) // cube["slots"] if cube["slots"] else 0
    return (cell for cell in range(count) if all(column[cell] == code for column, code in chosen))
