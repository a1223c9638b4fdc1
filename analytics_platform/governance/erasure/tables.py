"""Tables of the warehouse as a place: rows of the person's tenant, as the class of each table says.

A raw table is a copy of the lake's partitions, so its days are loaded anew after those were rewritten. In every other
table rows are deleted, or each text that mentions the person gives way to the same text with a stand-in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from analytics_platform.catalog import Catalog, Dataset
from analytics_platform.governance.erasure.person import Person
from analytics_platform.governance.erasure.place import Action, Findings, Found, Held, action_of
from analytics_platform.warehouse import Warehouse, WarehouseMissingError

Load = Callable[[str, date], None]
"""Loads a day of a stream from the lake into the warehouse."""

_COLUMNS = """
select c.table_schema || '.' || c.table_name as name, c.column_name as column_name, c.data_type as type
from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
where t.table_type = 'BASE TABLE' order by 1, c.ordinal_position
"""
_TEXT = ("VARCHAR", "JSON", "TEXT", "STRING")
_NOT_SEARCHED = ("tenant_id", "message_id", "payload_hash")


@dataclass(frozen=True)
class _Table:
    """A table of the registry, as it is built."""

    dataset: Dataset
    action: Action
    texts: tuple[str, ...]
    day: str | None

    @property
    def name(self) -> str:
        return self.dataset.name

    @property
    def stream(self) -> str | None:
        """The stream that it is a copy of."""
        schema, _, name = self.name.partition(".")
        return name if schema == "raw" else None


class WarehouseRows:
    """The registry's tables, as far as they are built.

    Args:
        warehouse: the warehouse.
        catalog: classes, streams and datasets.
        load: loads a day of a stream anew.
    """

    name = "warehouse"

    def __init__(self, warehouse: Warehouse, catalog: Catalog, load: Load) -> None:
        self._warehouse = warehouse
        self._catalog = catalog
        self._load = load

    def find(self, person: Person, held: Held) -> Iterator[Found]:
        """See `Place`."""
        findings = Findings(self.name)
        for table, days in self._concerned(person):
            for day, units in days:
                findings.add(table.name, "hold" if held(table.name, day) else table.action, day, units)
        yield from findings.found()

    def erase(self, person: Person, held: Held) -> Iterator[Found]:
        """See `Place`."""
        findings = Findings(self.name)
        for table, days in self._concerned(person):
            due = [(day, units) for day, units in days if not held(table.name, day)]
            for day, units in due:
                findings.add(table.name, table.action, day, units)
            if not due:
                continue
            if table.stream in self._catalog.streams:
                assert table.stream is not None
                for day, _ in due:
                    assert day is not None
                    self._load(table.stream, day)
            else:
                self._take_out(table, person, [day for day, _ in days if held(table.name, day)])
        yield from findings.found()

    def _take_out(self, table: _Table, person: Person, kept: list[date | None]) -> None:
        concerned, parameters = _concerned(table, person)
        unless, days = _unless(table, kept)
        if table.action == "delete":
            self._warehouse.remove_rows(table.name, f"{concerned}{unless}", [*parameters, *days])
            return
        own, tenant = _own(table, person)
        for column in table.texts:
            mentions = f"{own} and regexp_matches(cast({column} as varchar), ?){unless}"
            sql = f"select distinct cast({column} as varchar) as said from {table.name} where {mentions}"
            said = self._warehouse.query(sql, [*tenant, person.pattern, *days])["said"].to_pylist()
            values = {text: person.without(text) for text in said}
            self._warehouse.replace_values(table.name, column, values, f"{own}{unless}", [*tenant, *days])

    def _concerned(self, person: Person) -> Iterator[tuple[_Table, list[tuple[date | None, int]]]]:
        """Tables with rows of the person, and how many of each day; one query for all of them."""
        tables = {table.name: table for table in self._tables()}
        if not tables:
            return
        counted, parameters = [], []
        for table in tables.values():
            concerned, values = _concerned(table, person)
            day = f"cast({table.day} as date)" if table.day else "cast(null as date)"
            counted.append(
                f"select '{table.name}' as name, {day} as day, count(*) as units from {table.name} "
                f"where {concerned} group by 2"
            )
            parameters += values
        days: dict[str, list[tuple[date | None, int]]] = {}
        for row in self._warehouse.query(f"{' union all '.join(counted)} order by 1, 2", parameters).to_pylist():
            days.setdefault(row["name"], []).append((row["day"], row["units"]))
        for name, found in days.items():
            yield tables[name], found

    def _tables(self) -> Iterator[_Table]:
        for name, columns in columns_of(self._warehouse).items():
            dataset = self._catalog.datasets.get(name)
            texts = tuple(c for c, kind in columns.items() if is_text(kind) and c not in _NOT_SEARCHED)
            if dataset is not None and texts:
                day = dataset.clock_column if dataset.clock_column in columns else None
                yield _Table(dataset, action_of(self._catalog, name), texts, day)


def columns_of(warehouse: Warehouse) -> Mapping[str, Mapping[str, str]]:
    """Type by column of every table that is built."""
    try:
        rows = warehouse.query(_COLUMNS).to_pylist()
    except WarehouseMissingError:
        return {}
    found: dict[str, dict[str, str]] = {}
    for row in rows:
        found.setdefault(row["name"], {})[row["column_name"]] = row["type"]
    return found


def is_text(kind: str) -> bool:
    """Whether a column of a type holds text."""
    return kind.upper().startswith(_TEXT)


def _own(table: _Table, person: Person) -> tuple[str, list[Any]]:
    column = table.dataset.tenant_column
    return (f"{column} = ?", [person.tenant]) if column else ("true", [])


def _concerned(table: _Table, person: Person) -> tuple[str, list[Any]]:
    own, parameters = _own(table, person)
    mentions = " or ".join(f"coalesce(regexp_matches(cast({column} as varchar), ?), false)" for column in table.texts)
    return f"{own} and ({mentions})", [*parameters, *(person.pattern for _ in table.texts)]


def _unless(table: _Table, kept: list[date | None]) -> tuple[str, list[Any]]:
    """A condition that leaves out the days that a hold keeps."""
    days = [day for day in kept if day is not None]
    conditions = [f" and (cast({table.day} as date) is null or cast({table.day} as date) <> ?)" for _ in days]
    if None in kept and table.day:
        conditions.append(f" and {table.day} is not null")
    return "".join(conditions), days
