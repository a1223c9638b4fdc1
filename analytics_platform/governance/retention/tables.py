"""Tables of the warehouse as a sink: rows by tenant and business date, in any warehouse behind the port."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date

from analytics_platform.catalog import Catalog, Dataset
from analytics_platform.governance.retention.sink import CannotCountError, Tally, Waiting
from analytics_platform.governance.retention.terms import NO_TENANT, Term, Terms
from analytics_platform.warehouse import QueryError, Warehouse, WarehouseMissingError, row_text, table_columns

SCHEMAS = ("raw", "staging", "marts", "kpi", "ops")


class WarehouseTables:
    """The registry's tables, as far as they are built."""

    name = "warehouse"

    def __init__(self, warehouse: Warehouse, catalog: Catalog) -> None:
        self._warehouse = warehouse
        self._tables = {
            name: dataset
            for name, dataset in catalog.datasets.items()
            if name.count(".") == 1 and name.split(".")[0] in SCHEMAS and dataset.standing is None
        }

    def datasets(self) -> set[str]:
        """See `Sink`."""
        return set(self._tables)

    def tallies(self, terms: Terms) -> Iterator[Tally | Waiting]:
        """See `Sink`; all at once, since others wait for the warehouse while it is being read."""
        with self._warehouse.reading():
            return iter(list(self._found(terms)))

    def _found(self, terms: Terms) -> Iterator[Tally | Waiting]:
        columns = table_columns(self._warehouse)
        for name, dataset in self._tables.items():
            if name not in columns:
                continue
            if dataset.clock_column not in columns[name]:
                yield self._undated(dataset, terms.today)
            elif terms.newest(name) is not None:
                yield from self._of(dataset, terms, columns[name])

    def remove(self, term: Term) -> None:
        """See `Sink`."""
        tenant, day = _tenant(self._tables[term.dataset]), _day(self._tables[term.dataset])
        condition, parameters = f"{tenant} = ? and {day} <= ?", [term.tenant, term.through]
        for span in term.held:
            condition += f" and not {day} between ? and ?"
            parameters += [span.first, span.last]
        self._warehouse.remove_rows(term.dataset, condition, parameters)

    def survivors(self, term: Term) -> int:
        """Count all rows of the tenant by day, and judge the days here rather than in the warehouse."""
        dataset = self._tables[term.dataset]
        counted_by = f"select {_day(dataset)} as day, count(*) as rows from {term.dataset}"
        sql = f"{counted_by} where {_tenant(dataset)} = ? group by 1"
        try:
            counted = self._warehouse.query(sql, [term.tenant]).to_pylist()
        except (QueryError, WarehouseMissingError) as error:
            raise CannotCountError(f"the rows of {term.dataset} cannot be counted: {error}") from error
        return sum(row["rows"] for row in counted if row["day"] is not None and term.covers(row["day"]))

    def _of(self, dataset: Dataset, terms: Terms, columns: set[str]) -> Iterator[Tally]:
        tenant, day = _tenant(dataset), _day(dataset)
        present = self._warehouse.query(f"select distinct {tenant} as tenant from {dataset.name}")
        due = [term for name in present["tenant"].to_pylist() if (term := terms.term(dataset.name, name))]
        if not due:
            return
        sql = (
            f"with due as ({_listed(_DUE, len(due))}){_held(due)} "
            f"select due.tenant, due.through, min({day}) as first, max({day}) as last, count(*) as rows, "
            f"cast(bit_xor(hash({row_text(columns)})) as varchar) as mark "
            f"from {dataset.name} join due on due.tenant = {tenant} and {day} <= due.through "
            f"{_unless_held(due, day)} group by all order by 1"
        )
        by_tenant = {term.tenant: term for term in due}
        for row in self._warehouse.query(sql, _parameters(due)).to_pylist():
            term = by_tenant[row["tenant"]]
            held = tuple((span.first, span.last) for span in term.held)
            counted = (row["first"], row["last"], row["rows"], 0, f"{row['rows']}-{row['mark']}")
            yield Tally(dataset.name, self.name, term.tenant, term.through, *counted, held)

    def _undated(self, dataset: Dataset, today: date) -> Waiting:
        (row,) = self._warehouse.query(f"select count(*) as rows from {dataset.name}").to_pylist()
        why = (
            f"has no column {dataset.clock_column}: name the business date as clock_column in datasets.yaml, "
            "or say there why it does not grow old (standing)"
        )
        return Waiting(dataset.name, NO_TENANT, today, today, row["rows"], why)


def _tenant(dataset: Dataset) -> str:
    return f"coalesce({dataset.tenant_column}, '{NO_TENANT}')" if dataset.tenant_column else f"'{NO_TENANT}'"


def _day(dataset: Dataset) -> str:
    """The last day that a row speaks about."""
    day = f"cast({dataset.clock_column} as date)"
    return f"last_day({day})" if dataset.clock_unit == "month" else day


_DUE = {"tenant": "varchar", "through": "date"}
_HELD = {"tenant": "varchar", "first": "date", "last": "date"}


def _listed(columns: Mapping[str, str], rows: int) -> str:
    """Rows of bound values as a query: not all products can name the columns of `values`."""
    row = "select " + ", ".join(f"cast(? as {kind}) as {name}" for name, kind in columns.items())
    return " union all ".join([row] * rows)


def _held(due: Sequence[Term]) -> str:
    spans = sum(len(term.held) for term in due)
    return f", held as ({_listed(_HELD, spans)})" if spans else ""


def _unless_held(due: Sequence[Term], day: str) -> str:
    if not any(term.held for term in due):
        return ""
    return f"where not exists (select 1 from held where held.tenant = due.tenant and {day} between first and last)"


def _parameters(due: Sequence[Term]) -> list[object]:
    pairs: list[object] = [value for term in due for value in (term.tenant, term.through)]
    return pairs + [value for term in due for span in term.held for value in (term.tenant, span.first, span.last)]
