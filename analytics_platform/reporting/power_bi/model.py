"""What is in the semantic model: a table per extract, the dimensions that extracts share, and the KPIs. No text yet.

A star: extracts hold facts, `Date` and `Tenant` and every shared drill-down stand around them. A drill-down is shared
when two extracts have it: an id (`warehouse_id`) means the same thing everywhere, another column (`category`) only
within a dashboard. Only columns of class none are shared: a dimension is nobody's extract, so nothing could mask it.
The same value may belong to two tenants, so both ends of a relationship carry the tenant in their key.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from analytics_platform.catalog import Catalog, Dashboard, Extract, ExtractColumn, Kpi
from analytics_platform.reporting.headlines import kpi_source
from analytics_platform.reporting.power_bi import names
from analytics_platform.reporting.power_bi.sources import Source

TENANT = "Tenant"
TENANT_COLUMN = "tenant_id"
_ID = "_id"


@dataclass(frozen=True)
class Fact:
    """An extract as a table of the model."""

    dashboard: str
    extract: Extract

    @property
    def name(self) -> str:
        """The table's name."""
        return names.fact_table(self.dashboard, self.extract.name)

    @property
    def dataset(self) -> str:
        """The extract's name in the dataset registry, by which the access policy grants it."""
        return f"extracts.{self.dashboard}.{self.extract.name}"

    def has(self, column: str) -> bool:
        """Whether the extract has a column."""
        return any(each.name == column for each in self.extract.columns)


@dataclass(frozen=True)
class Dimension:
    """A drill-down that several extracts share; a row per tenant and value."""

    name: str
    column: str
    facts: tuple[Fact, ...]

    @property
    def key(self) -> str:
        """The column of the facts that meets the dimension's key."""
        return names.key_of(self.column)


@dataclass(frozen=True)
class Model:
    """The semantic model of a deployment over one kind of source."""

    catalog: Catalog
    source: Source
    facts: tuple[Fact, ...]
    dimensions: tuple[Dimension, ...]

    @cached_property
    def kpis(self) -> Mapping[str, Fact]:
        """Each KPI's extract, by the KPI's name."""
        by_extract = {(fact.dashboard, fact.extract.name): fact for fact in self.facts}
        found = {}
        for kpi in self.catalog.kpis.values():
            source = kpi_source(self.catalog, kpi)
            found[kpi.name] = by_extract[source.dashboard, source.extract.name]
        return found

    def dimensions_of(self, fact: Fact) -> list[Dimension]:
        """The dimensions that a fact meets, beside date and tenant."""
        return [each for each in self.dimensions if fact in each.facts]

    def place_of(self, fact: Fact, column: str) -> tuple[str, str]:
        """Table and column by which a fact's rows are broken down: the shared dimension's, or its own."""
        if column == TENANT_COLUMN:
            return TENANT, TENANT
        for dimension in self.dimensions_of(fact):
            if dimension.column == column:
                return dimension.name, dimension.name
        return fact.name, column

    def drill_downs(self, kpi: Kpi) -> list[str]:
        """The KPI's drill-downs that every role may see: those of class none."""
        return [name for name in kpi.drill_downs if any(_is_open(c, name) for c in self.kpis[kpi.name].extract.columns)]

    @property
    def shared(self) -> dict[str, tuple[str, tuple[str, ...]]]:
        """Tables that hold values of several extracts: their tenant column and those extracts' datasets, by table."""
        everywhere = tuple(fact.dataset for fact in self.facts)
        dimensions = {each.name: (TENANT_COLUMN, tuple(f.dataset for f in each.facts)) for each in self.dimensions}
        return {TENANT: (TENANT, everywhere)} | dimensions


def model_of(catalog: Catalog, source: Source) -> Model:
    """The model over a kind of source.

    A warehouse has no table of the extracts that reporting computes itself (`source: null`), so they are left out.

    Raises:
        KpiSourceError: a KPI's headline is in no extract.
    """
    facts = tuple(
        Fact(dashboard.name, extract)
        for dashboard in catalog.dashboards.values()
        for extract in dashboard.extracts
        if extract.source is not None or not source.is_warehouse
    )
    return Model(catalog, source, facts, _dimensions(catalog, facts))


def _dimensions(catalog: Catalog, facts: Sequence[Fact]) -> tuple[Dimension, ...]:
    found = [
        (column, scope, chosen)
        for column in _drill_down_columns(catalog)
        for scope, chosen in _scopes(column, catalog.dashboards.values(), facts)
        if len(chosen) > 1
    ]
    times = Counter(column for column, _, _ in found)
    return tuple(
        Dimension(names.title_of(f"{scope}_{column}" if times[column] > 1 else column), column, chosen)
        for column, scope, chosen in found
    )


def _drill_down_columns(catalog: Catalog) -> list[str]:
    filters = {column for kpi in catalog.kpis.values() for column in kpi.headline.filter}
    declared = dict.fromkeys(column for kpi in catalog.kpis.values() for column in kpi.drill_downs)
    return [column for column in declared if column != TENANT_COLUMN and column not in filters]


def _scopes(column: str, dashboards: Iterable[Dashboard], facts: Sequence[Fact]) -> list[tuple[str, tuple[Fact, ...]]]:
    """Facts within which a column means the same thing."""
    having = [fact for fact in facts if any(_is_open(each, column) for each in fact.extract.columns)]
    if column.endswith(_ID):
        return [("", tuple(having))]
    return [(board.name, tuple(f for f in having if f.dashboard == board.name)) for board in dashboards]


def _is_open(column: ExtractColumn, name: str) -> bool:
    return column.name == name and column.pii == "none" and column.type == "string"
