"""Views: what a dashboard shows beside its KPIs' figures, trends and drill-downs, over one of its extracts.

A view is a few measures by up to two axes, with the same filters as KPIs. How it is computed is
:mod:`analytics_platform.reporting.views`, how it is drawn the pages' script.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field as Constrained
from pydantic import model_validator

from analytics_platform.catalog.declared import Declared, Listed, wrong
from analytics_platform.catalog.values import Name, SignedColumn, Text

ViewKind = Literal["bridge", "stack", "heatmap", "funnel", "histogram", "bars"]

_AXES: Mapping[str, tuple[int, int]] = {
    "bridge": (0, 0),
    "stack": (0, 1),
    "heatmap": (2, 2),
    "funnel": (1, 2),
    "histogram": (1, 1),
    "bars": (1, 2),
}


class ViewMeasure(Declared):
    """A number of a view: the sum of columns, one with a leading ``-`` subtracted.

    ``taken`` from all days of a period (``sum``), its ``first`` or its ``last`` alone. ``reporting_only`` marks what
    there is in the reporting currency alone, such as exchange-rate movements; elsewhere it is zero.
    """

    name: Name
    columns: Listed[SignedColumn] = Constrained(min_length=1)
    taken: Literal["sum", "first", "last"] = "sum"
    reporting_only: bool = False


class ViewAxis(Declared):
    """A column that a view is laid out by: ``values`` in that order, else by size, dates and numbers ascending.

    ``newest`` keeps that many of the highest values, ``at_most`` those up to a number.
    """

    name: Name
    values: Listed[Text] = ()
    newest: Annotated[int, Constrained(ge=1)] | None = None
    at_most: Annotated[int, Constrained(ge=0)] | None = None


class View(Declared):
    """A picture of its own on a dashboard, of what a KPI is made of.

    ``filters`` are the columns that the page's filters apply to; ``filter`` keeps the rows whose columns equal the
    values. A ``bridge`` leads from its first measure (the first day's) over sums to its last (the last day's); of a
    ``heatmap`` the axes are a cohort's month and the number of months since, and a month that is not over is left out.
    """

    name: Name
    title: Text
    description: Text
    kind: ViewKind
    kpi: Name
    extract: Name
    unit: Literal["money_minor", "count"]
    measures: Listed[ViewMeasure] = Constrained(min_length=1)
    axes: Listed[ViewAxis] = ()
    filters: Listed[Name] = ()
    filter: Mapping[Name, str] = {}

    @model_validator(mode="after")
    def _parts_fit_the_kind(self) -> "View":
        least, most = _AXES[self.kind]
        if not least <= len(self.axes) <= most:
            wanted = f"{least}" if least == most else f"{least} or {most}"
            raise wrong(f"a {self.kind} was given {len(self.axes)} axes", f"write {wanted}", field="axes")
        taken = [measure.taken for measure in self.measures]
        if self.kind == "bridge" and (len(taken) < 3 or taken != ["first", *["sum"] * (len(taken) - 2), "last"]):
            raise wrong(
                f"a bridge takes its measures as {', '.join(taken)}",
                "write one taken first, movements as sums, and one taken last",
                field="measures",
            )
        if self.kind != "bridge" and ("first" in taken or len(set(taken)) > 1):
            raise wrong(
                f"takes its measures as {', '.join(taken)}",
                "take all as sums (a flow) or all from the last day (a stock)",
                field="measures",
            )
        return self

    @property
    def is_stock(self) -> bool:
        """Whether it shows how things stand on a day, rather than what happened over days."""
        return all(measure.taken == "last" for measure in self.measures)

    @property
    def columns(self) -> frozenset[str]:
        """The columns of its extract that it reads."""
        signed = (column.removeprefix("-") for measure in self.measures for column in measure.columns)
        return frozenset({*signed, *(axis.name for axis in self.axes), *self.filters, *self.filter})
