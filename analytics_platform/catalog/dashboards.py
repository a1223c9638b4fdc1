"""Dashboards and the extracts that they read, as promises to consumers: columns, size, owner, PII policy.

How an extract is written or a page drawn is :mod:`analytics_platform.reporting`.
"""

from typing import Annotated, Literal

from pydantic import Field as Constrained
from pydantic import model_validator

from analytics_platform.catalog.declared import Declared, Listed, matching, wrong
from analytics_platform.catalog.plan import PII_CLASSES, PiiClass
from analytics_platform.catalog.values import Name, TableName, Text
from analytics_platform.catalog.views import View

ColumnType = Literal["date", "timestamp", "string", "integer", "number", "boolean"]


class ExtractColumn(Declared):
    """A column of an extract."""

    name: Name
    type: ColumnType
    pii: PiiClass
    description: Text


Consumer = Literal["pages", "power_bi", "looker_studio"]
"""Who reads a dashboard's extracts; ``urls`` says where people open it, once that is known."""

Url = Annotated[str, matching(r"https?://[^\s]+", "write an address such as https://app.powerbi.com/…")]


class SchemaChange(Declared):
    """What a schema version changed for consumers, and why: ``breaking`` when their reports may have to follow."""

    kind: Literal["additive", "breaking"]
    why: Text


class Extract(Declared):
    """One Parquet table that a dashboard reads.

    ``source`` is the warehouse table that it is cut from; None means that reporting computes it from the headlines of
    the dashboard's KPIs. ``row_budget`` counts the rows of a day over all tenants; ``pii_policy`` is the highest class
    that a column may have. Where the source is no KPI's table, ``settling_days`` says how long a day of it may still
    move (null: for ever, as cohorts do). ``schema_version`` rises with every change of the columns; ``changes`` says
    why it did, which a breaking change needs.
    """

    name: Name
    source: TableName | None
    description: Text
    owner: Name
    schema_version: int = Constrained(ge=1)
    changes: dict[int, SchemaChange] = Constrained(default_factory=dict)
    day_column: Name
    columns: Listed[ExtractColumn] = Constrained(min_length=1)
    row_budget: int = Constrained(ge=1)
    settling_days: Annotated[int, Constrained(ge=0)] | None = 0
    pii_policy: Literal["none", "pseudonymous"]

    @model_validator(mode="after")
    def _columns_keep_the_promise(self) -> "Extract":
        names = [column.name for column in self.columns]
        for needed, field in ((self.day_column, "day_column"), ("tenant_id", "columns")):
            if needed not in names:
                raise wrong(
                    f"there is no column {needed!r}", f"declare it under columns: {', '.join(names)}", field=field
                )
        for version in self.changes:
            if not 1 < version <= self.schema_version:
                raise wrong(
                    f"schema_version is {self.schema_version}",
                    "raise it, or name a version between 2 and that one",
                    field=f"changes.{version}",
                )
        allowed = PII_CLASSES.index(self.pii_policy)
        for column in self.columns:
            if PII_CLASSES.index(column.pii) > allowed:
                raise wrong(
                    f"is {column.pii}, but pii_policy is {self.pii_policy}",
                    "leave the column out or raise the policy with its owner's consent",
                    field=f"columns[{column.name}].pii",
                )
        return self


class Dashboard(Declared):
    """A page that shows KPIs: one file for every audience whose role may see the dataset ``dashboard.<name>``."""

    name: Name
    title: Text
    description: Text
    owner: Name
    kpis: Annotated[Listed[Name], Constrained(min_length=1)]
    views: Listed[View] = ()
    extracts: Listed[Extract] = Constrained(min_length=1)
    urls: dict[Consumer, Url] = Constrained(default_factory=dict)

    @model_validator(mode="after")
    def _views_show_what_there_is(self) -> "Dashboard":
        extracts = {extract.name: {column.name for column in extract.columns} for extract in self.extracts}
        for view in self.views:
            at = f"views[{view.name}]"
            if view.kpi not in self.kpis:
                mend = f"write one of {', '.join(self.kpis)}"
                raise wrong(f"{view.kpi!r} is no KPI of the dashboard", mend, field=f"{at}.kpi")
            if view.extract not in extracts:
                mend = f"write one of {', '.join(extracts)}"
                raise wrong(f"{view.extract!r} is no extract of the dashboard", mend, field=f"{at}.extract")
            if missing := sorted(view.columns - extracts[view.extract]):
                what = f"{view.extract} has no column {', '.join(missing)}"
                raise wrong(what, "add it to the extract or take it out of the view", field=at)
        return self
