"""Each KPI's measures in DAX, from the catalogue's headline: the same rule as everywhere (`reporting.measures`).

Numerators are summed, denominators are summed, then divided; a median is taken over the rows; a stock is read on the
last day of the chosen period that has rows; a cohort counts once it has had time to mature. Money is in the reporting
currency and in whole units of it, since Power BI knows no minor units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from analytics_platform.catalog import Catalog, Kpi
from analytics_platform.reporting.power_bi import dax
from analytics_platform.reporting.power_bi.model import Fact, Model
from analytics_platform.reporting.power_bi.names import DATE, DATE_KEY
from analytics_platform.warehouse.headlines import money_column

_DATES = dax.column(DATE, DATE_KEY)
_FORMATS = {
    "money_minor": r"\€ #,##0",
    "percent": r"0.0\%",
    "score": "0.0",
    "minutes": "#,##0",
    "count": "#,##0",
}
_IN_POINTS = {"percent", "score"}
_MINOR_UNITS = 100
"""Of the reporting currency, in one whole unit."""


@dataclass(frozen=True)
class Measure:
    """A measure of the model."""

    name: str
    expression: str
    format: str
    folder: str
    description: str
    is_hidden: bool = False


def kpi_measures(model: Model, kpi: Kpi) -> list[Measure]:
    """A KPI's figure, what it is divided from, its target, and how it moved."""
    fact, folder = model.kpis[kpi.name], _folder(model.catalog, kpi)
    parts = [
        Measure(_part(kpi, name), expression, "#,##0.00", folder, f"The {name} of {kpi.title}.", is_hidden=True)
        for name, expression in _parts(kpi, fact).items()
    ]
    shown = _FORMATS[kpi.unit]
    told = f"{kpi.description} {kpi.definition}"
    found = [*parts, Measure(kpi.title, _value(kpi, fact), shown, folder, told)]
    if kpi.target is not None:
        target = _number(kpi.target * _unit(kpi))
        found.append(Measure(target_of(kpi), target, shown, folder, f"Target. {kpi.target_reason}"))
    before = "The same over the period of equal length just before the chosen one; blank where that is not all there."
    found.append(Measure(previous_of(kpi), _previous(kpi), shown, folder, before))
    found.append(Measure(change_of(kpi), _change(kpi), _change_format(kpi), folder, _change_told(kpi)))
    return found


def target_of(kpi: Kpi) -> str:
    """Name of the measure with the target."""
    return f"{kpi.title} (target)"


def previous_of(kpi: Kpi) -> str:
    """Name of the measure with the figure of the period before."""
    return f"{kpi.title} (previous period)"


def change_of(kpi: Kpi) -> str:
    """Name of the measure that says how the figure moved."""
    return f"{kpi.title} (change)"


def _part(kpi: Kpi, name: str) -> str:
    return f"{kpi.title} ({name})"


def _folder(catalog: Catalog, kpi: Kpi) -> str:
    return f"{catalog.dashboards[kpi.dashboard].title}\\{kpi.title}"


def _parts(kpi: Kpi, fact: Fact) -> dict[str, str]:
    headline = kpi.headline
    if headline.kind == "median":
        median = f"MEDIAN({dax.column(fact.name, headline.numerator[0])})"
        return {"median": _filtered(kpi, fact, median)}
    parts = {"numerator": _filtered(kpi, fact, _sum(headline.numerator, fact))}
    if headline.kind == "ratio":
        parts["denominator"] = _filtered(kpi, fact, _sum(headline.denominator, fact))
    return parts


def _value(kpi: Kpi, fact: Fact) -> str:
    scale = kpi.headline.scale * _unit(kpi)
    if kpi.headline.kind == "ratio":
        # Nothing in the numerator is 0 of the denominator, and not blank as it is.
        figure = f"DIVIDE({_of(kpi, 'numerator')} + 0, {_of(kpi, 'denominator')})"
    else:
        figure = _of(kpi, "median" if kpi.headline.kind == "median" else "numerator")
    scaled = figure if scale == 1 else f"{figure} * {_number(scale)}"
    if kpi.headline.kind != "sum":
        return scaled
    has_rows = f"CALCULATETABLE({dax.table(fact.name)}, REMOVEFILTERS({dax.table(DATE)}))"
    return (
        "// Days without rows count as 0, unless there never was a row.\n"
        f"IF(ISEMPTY({has_rows}), BLANK(), COALESCE({scaled}, 0))"
    )


def _filtered(kpi: Kpi, fact: Fact, figure: str) -> str:
    """A figure over the rows that the headline is about."""
    day = dax.column(fact.name, fact.extract.day_column)
    conditions = [
        f"KEEPFILTERS({dax.column(fact.name, name)} = {dax.text(value)})" for name, value in kpi.headline.filter.items()
    ]
    variables = []
    if kpi.is_cohort:
        variables.append(f"VAR _LastMature = CALCULATE(MAX({day}), REMOVEFILTERS({dax.table(fact.name)}))")
        variables[-1] += f" - {kpi.settling_days}"
        conditions.append(f"KEEPFILTERS({day} <= _LastMature)")
    if kpi.headline.snapshot:
        last = f"CALCULATE(MAX({day}), REMOVEFILTERS({dax.table(fact.name)}), VALUES({_DATES}))"
        variables.append(f"VAR _LastDay = {last}")
        conditions.append(f"{_DATES} = _LastDay")
    if not conditions:
        return figure
    chosen = f"CALCULATE({', '.join([figure, *conditions])})"
    return "\n".join([*variables, f"RETURN {chosen}"]) if variables else chosen


def _sum(terms: Sequence[str], fact: Fact) -> str:
    columns = [each.name for each in fact.extract.columns]
    text = ""
    for term in terms:
        name = money_column(term.removeprefix("-"), columns, in_reporting=True)
        sign = "- " if term.startswith("-") else "+ "
        text += f" {sign}SUM({dax.column(fact.name, name)})"
    return text.strip().removeprefix("+ ")


def _previous(kpi: Kpi) -> str:
    return (
        f"VAR _Days = COUNTROWS({dax.table(DATE)})\n"
        f"VAR _First = MIN({_DATES})\n"
        f"VAR _Oldest = CALCULATE(MIN({_DATES}), REMOVEFILTERS({dax.table(DATE)}))\n"
        "RETURN\n"
        "    IF(\n"
        "        _First - _Days >= _Oldest,\n"
        f"        CALCULATE({dax.bracketed(kpi.title)}, DATESBETWEEN({_DATES}, _First - _Days, _First - 1))\n"
        "    )"
    )


def _change(kpi: Kpi) -> str:
    moved = "_Value - _Before" if kpi.unit in _IN_POINTS else "DIVIDE(_Value - _Before, ABS(_Before))"
    return (
        f"VAR _Value = {dax.bracketed(kpi.title)}\n"
        f"VAR _Before = {dax.bracketed(previous_of(kpi))}\n"
        f"RETURN IF(ISBLANK(_Value) || ISBLANK(_Before), BLANK(), {moved})"
    )


def _change_format(kpi: Kpi) -> str:
    return "+0.0;-0.0;0.0" if kpi.unit in _IN_POINTS else "+0.0%;-0.0%;0.0%"


def _change_told(kpi: Kpi) -> str:
    measured = "in points" if kpi.unit in _IN_POINTS else "as a share of it"
    good = "a rise" if kpi.direction == "up" else "a fall"
    return f"Change on the period of equal length before, {measured}; {good} is good."


def _unit(kpi: Kpi) -> float:
    """What a figure in the KPI's unit is multiplied by to be shown."""
    return 1 / _MINOR_UNITS if kpi.unit == "money_minor" else 1.0


def _of(kpi: Kpi, name: str) -> str:
    return dax.bracketed(_part(kpi, name))


def _number(value: float) -> str:
    return f"{value:.10f}".rstrip("0").rstrip(".")
