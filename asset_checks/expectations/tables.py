"""What is known of a table that has a suite before its rows are looked at: its asset, columns, days and budget.

KPI tables take their columns from dbt's manifest, extracts from their declaration in `dashboards.yaml`; so neither is
written down a second time in a suite's file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from analytics_platform.catalog import Catalog, Extract
from analytics_platform.catalog.dashboards import ColumnType
from analytics_platform.defs import keys
from analytics_platform.defs.dbt import Manifest, key_of_table
from analytics_platform.insights.anomalies import ANOMALIES_TABLE
from analytics_platform.insights.anomalies import COLUMNS as ANOMALIES_COLUMNS
from analytics_platform.reporting.extracts import ExtractMissingError, extract_paths
from analytics_platform.warehouse.headlines import ALL_TENANTS
from asset_checks.factory import Scope

_READS_AT_ONCE = 8

_KINDS: Mapping[str, ColumnType] = {
    "date": "date",
    "varchar": "string",
    "bigint": "integer",
    "integer": "integer",
    "double": "number",
    "boolean": "boolean",
    "timestamp": "timestamp",
}
"""Kinds of dbt's data types; decimals are numbers too."""


@dataclass(frozen=True)
class Column:
    """A column as declared; values of a personal one are never shown."""

    name: str
    kind: ColumnType
    is_personal: bool


@dataclass(frozen=True)
class Table:
    """A KPI table or an extract.

    Attributes:
        dataset: its name in the dataset registry, and its suite's.
        asset: what its check hangs on.
        columns: what it must have, no less and no more.
        day_column: tells a row's day; None where rows are of no day, so that the table is judged as a whole.
        row_budget: rows allowed a day, None where nobody set a limit.
        tenants: the tenants that a row may be of.
        read: its rows of a scope's days, one batch for all days that have the same columns.
    """

    dataset: str
    asset: dg.AssetKey
    columns: tuple[Column, ...]
    day_column: str | None
    row_budget: int | None
    tenants: tuple[str, ...]
    read: Callable[[Scope], list[pa.Table]]

    @property
    def column_names(self) -> frozenset[str]:
        """The names of its columns."""
        return frozenset(column.name for column in self.columns)


def tables_with_suites(catalog: Catalog, manifest: Manifest) -> dict[str, Table]:
    """Every KPI table and every extract, by dataset."""
    kpis = [_kpi_table(catalog, manifest, name) for name, each in catalog.datasets.items() if each.layer == "kpi"]
    extracts = [
        _extract(catalog, dashboard.name, extract)
        for dashboard in catalog.dashboards.values()
        for extract in dashboard.extracts
    ]
    return {table.dataset: table for table in [*kpis, *extracts]}


def _kpi_table(catalog: Catalog, manifest: Manifest, dataset: str) -> Table:
    is_ours = dataset == ANOMALIES_TABLE
    columns = _anomaly_columns() if is_ours else tuple(_dbt_columns(manifest, dataset))
    day_column = "day" if any(column.name == "day" for column in columns) else None

    def read(scope: Scope) -> list[pa.Table]:
        if day_column is None:
            return [scope.warehouse.query(f"select * from {dataset}")]
        return [scope.warehouse.query(f"select * from {dataset} where {day_column} between ? and ?", scope.days())]

    return Table(
        dataset,
        keys.ANOMALIES if is_ours else key_of_table(manifest, dataset),
        columns,
        day_column,
        None,
        _tenants(catalog, dataset),
        read,
    )


def _extract(catalog: Catalog, dashboard: str, extract: Extract) -> Table:
    def read(scope: Scope) -> list[pa.Table]:
        first, last = scope.days()
        published = extract_paths(scope.store, dashboard, extract.name, first, last)
        days = [date.fromisoformat(day) for day in scope.partition_keys] if scope.partition_keys else list(published)
        if missing := [day for day in days if day not in published]:
            raise ExtractMissingError(f"{missing[0]} of {dashboard}/{extract.name} is not published; build that day")
        paths = [published[day] for day in days]
        with ThreadPoolExecutor(_READS_AT_ONCE) as pool:
            return by_columns(list(pool.map(lambda path: pq.read_table(path, partitioning=None), paths)))

    return Table(
        f"extracts.{dashboard}.{extract.name}",
        keys.extract(dashboard, extract.name),
        tuple(Column(each.name, each.type, each.pii != "none") for each in extract.columns),
        extract.day_column,
        extract.row_budget,
        _tenants(catalog, extract.source),
        read,
    )


def _tenants(catalog: Catalog, table: str | None) -> tuple[str, ...]:
    """The tenants that rows may be of; anomalies are of all together, too."""
    return (*catalog.tenants, ALL_TENANTS) if table == ANOMALIES_TABLE else tuple(catalog.tenants)


def by_columns(tables: Sequence[pa.Table]) -> list[pa.Table]:
    """Tables joined with those of the same columns and types: a day that differs does not spoil the others."""
    alike: dict[tuple[tuple[str, str], ...], list[pa.Table]] = {}
    for table in tables:
        alike.setdefault(tuple((field.name, str(field.type)) for field in table.schema), []).append(table)
    return [pa.concat_tables([each.replace_schema_metadata() for each in group]) for group in alike.values()]


def _dbt_columns(manifest: Manifest, table: str) -> Iterator[Column]:
    for name, each in _node(manifest, table)["columns"].items():
        kind = str(each["data_type"])
        pii = each["config"]["meta"]["pii"]
        yield Column(name, "number" if kind.startswith("decimal") else _KINDS[kind], pii != "none")


def _node(manifest: Manifest, table: str) -> Mapping[str, Any]:
    schema, _, name = table.partition(".")
    nodes: Mapping[str, Mapping[str, Any]] = manifest["nodes"]
    return next(
        node
        for node in nodes.values()
        if node["resource_type"] == "model" and (node["schema"], node["alias"]) == (schema, name)
    )


def _anomaly_columns() -> tuple[Column, ...]:
    kinds: dict[pa.DataType, ColumnType] = {
        pa.date32(): "date",
        pa.string(): "string",
        pa.float64(): "number",
        pa.bool_(): "boolean",
    }
    return tuple(Column(name, kinds[kind], is_personal=False) for name, (kind, _) in ANOMALIES_COLUMNS.items())
