"""The KPIs as they are declared: what a number means, who answers for it, and how its headline is read.

How a KPI is computed is SQL (``dbt/models/kpi``); this room only names the table and its columns.
"""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field as Constrained
from pydantic import model_validator

from analytics_platform.catalog.declared import Declared, Listed, wrong
from analytics_platform.catalog.kpi_rules import AlertRule, AnomalyRules
from analytics_platform.catalog.values import Name, SignedColumn, TableName, Text

Domain = Literal["revenue", "operations", "customer_success", "growth"]


class Headline(Declared):
    """How one figure is read from a table for any selection of rows.

    ``sum``: the sum of the numerator's columns. ``ratio``: that sum over the sum of the denominator's columns, NULL
    when the latter is 0. ``median``: the median of the one numerator column over the rows of ``table``. A leading ``-``
    subtracts a column; ``filter`` keeps the rows whose columns equal the values; the result is multiplied by ``scale``.
    ``snapshot`` marks a stock at the day's end, whose figure for a period is that of its last day; otherwise the days
    of the period are summed before dividing. ``table`` and ``day_column`` stand where they are not the KPI table's.
    """

    kind: Literal["sum", "ratio", "median"]
    numerator: Listed[SignedColumn] = Constrained(min_length=1)
    denominator: Listed[SignedColumn] = ()
    filter: Mapping[Name, str] = {}
    scale: Annotated[float, Constrained(gt=0)]
    snapshot: bool
    table: TableName | None = None
    day_column: Name = "day"

    @model_validator(mode="after")
    def _parts_fit_the_kind(self) -> "Headline":
        if (self.kind == "ratio") != bool(self.denominator):
            raise wrong(
                f"a {self.kind} was given {len(self.denominator)} columns to divide by",
                "name the columns of the denominator for a ratio, none for a sum or a median",
                field="denominator",
            )
        if self.kind == "median" and (len(self.numerator) != 1 or self.table is None):
            raise wrong("a median is taken over one column of a fact table", "write one numerator and the table")
        return self


class Detail(Declared):
    """A table with the same figure in a finer grain: pages read it, for drill-downs that the KPI's own has not."""

    table: TableName
    drill_downs: Listed[Name] = Constrained(min_length=1)


class Kpi(Declared):
    """A number that the business is steered by.

    ``definition`` is the text that finance signs; ``target`` is in ``unit`` (None: no level is a target, and
    ``target_reason`` says why); ``dashboard`` is the one that it is at home on. A day's row stands at the day's close,
    or only ``settling_days`` later; where ``is_cohort``, a day is the cohort of that day and is shown once it settled.
    Drill-downs of one name share a filter on a page; ``filtered_as`` renames those that mean something of their own.
    """

    name: Name
    title: Text
    domain: Domain
    owner: Name
    dashboard: Name
    description: Text
    definition: Text
    unit: Literal["money_minor", "percent", "score", "minutes", "count"]
    direction: Literal["up", "down"]
    table: TableName
    headline: Headline
    settling_days: Annotated[int, Constrained(ge=0)] = 0
    is_cohort: bool = False
    drill_downs: Listed[Name] = Constrained(min_length=1)
    detail: Detail | None = None
    filtered_as: Mapping[Name, Name] = {}
    target: float | None
    target_reason: Text
    anomalies: AnomalyRules
    alerts: Listed[AlertRule] = ()

    @model_validator(mode="after")
    def _rules_fit_the_kpi(self) -> "Kpi":
        for alert in self.alerts:
            if alert.kind == "target" and self.target is None:
                raise wrong(
                    "there is no target to miss", "write a target or another kind", field=f"alerts[{alert.name}]"
                )
        for column in self.filtered_as.keys() - set(self.page_drill_downs):
            raise wrong(
                f"{column!r} is not a drill-down of the KPI",
                f"write one of {', '.join(self.page_drill_downs)}",
                field="filtered_as",
            )
        for column in self.anomalies.sub_series:
            if column not in self.drill_downs or column == "tenant_id":
                others = ", ".join(name for name in self.drill_downs if name != "tenant_id")
                mend = f"write one of {others}"
                raise wrong(f"{column!r} is not a drill-down of the KPI", mend, field="anomalies.sub_series")
        return self

    @property
    def page_drill_downs(self) -> tuple[str, ...]:
        """What a page breaks the figure down by: the KPI's drill-downs, and those of its finer table."""
        return (*self.drill_downs, *(self.detail.drill_downs if self.detail else ()))

    @property
    def headline_table(self) -> str:
        """The table that the headline is read from: the KPI's own unless the headline names another."""
        return self.headline.table or self.table

    @property
    def columns(self) -> frozenset[str]:
        """The columns of the headline's table that the headline and its drill-downs read."""
        terms = (*self.headline.numerator, *self.headline.denominator)
        signed = (term.removeprefix("-") for term in terms)
        return frozenset({*signed, *self.headline.filter, *self.drill_downs, self.headline.day_column})
