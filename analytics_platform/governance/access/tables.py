"""What can be seen: every table and extract with the PII class of each column, from what is declared alone.

The class of a column comes from the plan (a field of that name), the dataset's `pii_columns`, dashboards.yaml and dbt's
documentation; where several speak, the most protected counts. A column that `pii_columns` lists and nothing classes is
sensitive. A column that nothing describes has no class (None), and is masked for everybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from analytics_platform.catalog import PII_CLASSES, Catalog, Dashboard, Dataset, Extract, PiiClass
from analytics_platform.lake.schema import RAW_SCHEMA
from analytics_platform.warehouse.headlines import headlines_query
from analytics_platform.warehouse.staging_models import KEY_COLUMNS

_EVER = ("date '1970-01-01'", "date '9999-12-31'")
_SQL_TYPES = {
    "date": "date",
    "string": "varchar",
    "integer": "bigint",
    "number": "double",
    "boolean": "boolean",
    "timestamp": "timestamp with time zone",
}


@dataclass(frozen=True)
class DbtTable:
    """What dbt's manifest says of a table.

    Attributes:
        path: the model's place in the project, package first; None of what is no model.
        columns: its documented columns, with the PII class where one is noted and the type where one is declared.
    """

    path: tuple[str, ...] | None
    columns: Mapping[str, tuple[PiiClass | None, str | None]]


@dataclass(frozen=True)
class Column:
    """A column with its class; None where nothing declares one."""

    name: str
    pii: PiiClass | None
    type: str = "varchar"


@dataclass(frozen=True)
class Table:
    """A table of the warehouse, or an extract that is cut from it.

    Attributes:
        dataset: name in the registry.
        columns: all that are declared.
        tenant_column: says whose a row is; None where rows are nobody's.
        source: SQL that can stand after `from`.
        reads: tables of the warehouse that the source reads.
        dbt_path: of a table that dbt builds.
    """

    dataset: str
    columns: tuple[Column, ...]
    tenant_column: str | None
    source: str
    reads: tuple[str, ...]
    dbt_path: tuple[str, ...] | None = None

    @property
    def is_extract(self) -> bool:
        """Whether it is an extract: in the lake, and in audiences' files, but no table of the warehouse."""
        return self.dataset.startswith("extracts.")

    @property
    def place(self) -> tuple[str, str]:
        """Schema and name under which an audience's file has it."""
        return place_of(self.dataset)


def place_of(dataset: str) -> tuple[str, str]:
    """Schema and name of a dataset in an audience's file."""
    schema, _, name = dataset.partition(".")
    return schema, name.replace(".", "__")


def tables_of(catalog: Catalog, dbt: Mapping[str, DbtTable]) -> dict[str, Table]:
    """Every table and extract of the registry by dataset.

    Args:
        catalog: what is declared.
        dbt: models and seeds by `schema.name`.
    """
    planned = _planned_classes(catalog)
    found = [_warehouse_table(catalog, dataset, dbt, planned) for dataset in _warehouse_datasets(catalog)]
    found += [_extract(catalog, board, each) for board in catalog.dashboards.values() for each in board.extracts]
    return {table.dataset: table for table in found}


def is_shown(pii: PiiClass | None, max_pii: PiiClass) -> bool:
    """Whether a column of that class is in clear for a role; what has no class is not."""
    return pii is not None and PII_CLASSES.index(pii) <= PII_CLASSES.index(max_pii)


def _warehouse_datasets(catalog: Catalog) -> Iterator[Dataset]:
    layers = ("raw", "staging", "marts", "kpi", "ops")
    return (each for name, each in catalog.datasets.items() if name.count(".") == 1 and name.split(".")[0] in layers)


def _warehouse_table(
    catalog: Catalog, dataset: Dataset, dbt: Mapping[str, DbtTable], planned: Mapping[str, PiiClass]
) -> Table:
    documented = dbt[dataset.name].columns if dataset.name in dbt else {}
    own = _event_classes(catalog, dataset)
    known = {
        name: [pii for pii in (own.get(name), documented.get(name, (None, None))[0]) if pii] for name in documented
    }
    for name, pii in own.items():
        known.setdefault(name, [pii])
    for name in _described(catalog, dataset):
        known.setdefault(name, []).append("none")
    for name in dataset.pii_columns:
        classes: list[PiiClass] = [pii for pii in known.get(name, []) if pii != "none"]
        classes += [planned[name]] if name in planned else []
        known[name] = [_most_protected(classes or ["sensitive"])]
    columns = tuple(
        Column(name, _most_protected(classes) if classes else None, _type(documented.get(name)))
        for name, classes in known.items()
    )
    path = dbt[dataset.name].path if dataset.name in dbt else None
    return Table(dataset.name, columns, dataset.tenant_column, dataset.name, (dataset.name,), path)


def _extract(catalog: Catalog, dashboard: Dashboard, extract: Extract) -> Table:
    """An extract is what its source has of the declared columns, in their types."""
    if extract.source is not None:
        inner, reads = extract.source, [extract.source]
    else:
        kpis = [catalog.kpis[name] for name in dashboard.kpis]
        sql, spans = headlines_query(kpis)
        for bound in _EVER * spans:
            sql = sql.replace("?", bound, 1)
        inner, reads = f"({sql})", [*dict.fromkeys(kpi.headline_table for kpi in kpis)]
    typed = ", ".join(f"cast({each.name} as {_SQL_TYPES[each.type]}) as {each.name}" for each in extract.columns)
    columns = tuple(Column(each.name, each.pii, _SQL_TYPES[each.type]) for each in extract.columns)
    name = f"extracts.{dashboard.name}.{extract.name}"
    return Table(name, columns, "tenant_id", f"(select {typed} from {inner})", tuple(reads))


def _event_classes(catalog: Catalog, dataset: Dataset) -> dict[str, PiiClass]:
    """Columns of an event's staging table, by the plan."""
    for event in catalog.events.values():
        if dataset.name == f"staging.stg_{event.stream}__{event.table_name}":
            keys: dict[str, PiiClass] = {name: "none" for name, _, _ in KEY_COLUMNS}
            return {**keys, **{field.name: field.pii for field in event.all_fields}}
    return {}


def _described(catalog: Catalog, dataset: Dataset) -> Iterable[str]:
    """Columns that are known to be of class none unless `pii_columns` has them."""
    is_stream = dataset.name.removeprefix("raw.") in catalog.streams and dataset.layer == "raw"
    return (*dataset.columns, *(RAW_SCHEMA.names if is_stream else ()))


def _planned_classes(catalog: Catalog) -> dict[str, PiiClass]:
    """The most protected class that the plan gives to any field of a name."""
    classes: dict[str, PiiClass] = {}
    for event in catalog.events.values():
        for field in event.pii_fields:
            classes[field.name] = _most_protected([classes.get(field.name, "none"), field.pii])
    return classes


def _most_protected(classes: Iterable[PiiClass]) -> PiiClass:
    return max(classes, key=PII_CLASSES.index)


def _type(documented: tuple[PiiClass | None, str | None] | None) -> str:
    return (documented[1] if documented else None) or "varchar"
