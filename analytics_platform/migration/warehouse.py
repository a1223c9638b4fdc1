"""The warehouse's tables, from a DuckDB file into the warehouse behind the port.

Every table is copied, also those that a build would make again: figures of days whose events are gone, or whose tables
never are built anew as a whole, can come from nowhere else. A table with a column ``day`` is read and written by spans
of days, so that memory is bounded; one without is one piece, as it is to every build. Stays out: views and grants,
which the target's own builds make.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import duckdb
import pyarrow as pa

from analytics_platform.migration.parts import (
    Compared,
    Difference,
    Item,
    Moved,
    OtherDataError,
    Progress,
    Step,
    some,
)
from analytics_platform.migration.state import MigrationState, Span
from analytics_platform.warehouse import DuckDBWarehouse, Warehouse, WarehouseMissingError, table_columns
from analytics_platform.warehouse.port import SCHEMAS

PART = "warehouse"

ROWS_AT_ONCE = 200_000
"""Rows of a span of days; a day that has more is a span of its own."""

_A_DAY = timedelta(days=1)
_BEGUN = "begun "

_DIFFERENT = """
select {day} as day, sum(greatest(side, 0)) as missing, sum(greatest(-side, 0)) as added
from (
    select {columns}, sum(side) as side
    from (select {columns}, 1 as side from ours union all select {columns}, -1 as side from theirs) as both_sides
    group by {columns}
    having sum(side) <> 0
) as unequal
group by 1 order by 1
"""
"""Rows as a multiset: what one side has more often than the other, by day. Nothing of it depends on their order."""


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of the source: its columns, and the days by which it is read; none where it is read whole."""

    name: str
    columns: tuple[str, ...]
    days: tuple[tuple[date, int], ...]
    rows: int

    @property
    def spans(self) -> Iterator[tuple[date, date] | None]:
        """Days that are read together, without a gap between them."""
        if not self.days:
            yield None
            return
        first, rows = self.days[0][0], 0
        for day, count in self.days:
            if rows and rows + count > ROWS_AT_ONCE:
                yield first, day - _A_DAY
                first, rows = day, 0
            rows += count
        yield first, self.days[-1][0]


class WarehouseMove:
    """Tables on their way from a DuckDB file into a warehouse.

    Args:
        source: the file; nobody may write to it meanwhile.
        target: the warehouse that is moved into.
        state: what was brought already.
        step: told each step.
        prefix: what the names of the target's schemas begin with.
    """

    name = PART

    def __init__(
        self,
        source: DuckDBWarehouse,
        target: Warehouse,
        state: MigrationState,
        step: Step = lambda _: None,
        prefix: str = "",
    ) -> None:
        self._source, self._target, self._state, self._step = source, target, state, step
        self._place = f"{target.address} {prefix}".strip()

    def plan(self) -> list[Item]:
        """By table; see `Part`."""
        noted = self._state.spans(self._place)
        return [
            Item(PART, table.name, "copied", table.rows, None, sum(s.rows for s in noted.get(table.name, {}).values()))
            for table in self._tables()
        ]

    def run(self, progress: Progress) -> Moved:
        """See `Part`."""
        with self._source.reading():
            return self._run(progress)

    def _run(self, progress: Progress) -> Moved:
        tables = self._tables()
        removed = self._refuse_other_data({table.name: table for table in tables})
        total, done, copied = sum(table.rows for table in tables), 0, 0
        for table in tables:
            for rows, is_new in self._copy(table):
                done, copied = done + rows, copied + rows * is_new
                progress(done, total)
        return Moved(PART, copied, removed, total)

    def verify(self, progress: Progress) -> Compared:
        """Every row of both sides is read; see `Part`."""
        with self._source.reading(), self._target.reading():
            return self._compared(progress)

    def _compared(self, progress: Progress) -> Compared:
        tables = self._tables()
        columns = table_columns(self._target)
        theirs = {name for name in columns if name.partition(".")[0] in SCHEMAS}
        names = {table.name for table in tables}
        found = [
            Difference(PART, name, "is not in the source")
            for name in sorted(theirs - names)
            if self._rows(name, columns[name])
        ]
        digest, done, total = hashlib.sha256(), 0, sum(table.rows for table in tables)
        for table in tables:
            if problem := _shape(table, columns.get(table.name)):
                found.append(Difference(PART, table.name, problem))
                continue
            for span in table.spans:
                brought = self._seen(table, span)
                digest.update(f"{table.name} {brought}\n".encode())
                found += self._differences(table, span)
                done += brought.rows
                progress(done, total)
            found += self._outside(table)
        return Compared(PART, total, tuple(found), digest.hexdigest())

    def _tables(self) -> list[_Table]:
        asked = (
            "select table_schema || '.' || table_name as name, list(column_name order by ordinal_position) as columns, "
            "bool_or(column_name = 'day' and data_type = 'DATE') as by_day from information_schema.columns "
            "join information_schema.tables using (table_schema, table_name) "
            "where table_type = 'BASE TABLE' group by all order by 1"
        )
        try:
            found = self._source.query(asked).to_pylist()
        except WarehouseMissingError:
            return []
        return [
            self._table(each["name"], tuple(each["columns"]), bool(each["by_day"]))
            for each in found
            if each["name"].partition(".")[0] in SCHEMAS
        ]

    def _table(self, name: str, columns: tuple[str, ...], by_day: bool) -> _Table:
        if by_day:
            found = self._source.query(f"select day, count(*) as n from {name} group by day order by day").to_pylist()
            if all(each["day"] is not None for each in found):
                days = tuple((each["day"], each["n"]) for each in found)
                return _Table(name, columns, days, sum(count for _, count in days))
        (rows,) = self._source.query(f"select count(*) as n from {name}").to_pylist()
        return _Table(name, columns, (), rows["n"])

    def _refuse_other_data(self, tables: Mapping[str, _Table]) -> int:
        """Refuse what we have not brought; empty what we brought and the source has lost; how many rows that were."""
        noted, marks = self._state.spans(self._place), self._state.marks(self._place)
        removed = 0
        for name, columns in sorted(table_columns(self._target).items()):
            if name.partition(".")[0] not in SCHEMAS or _BEGUN + name in marks:
                continue
            rows = self._rows(name, columns)
            if name not in noted and rows:
                self._adopt(name, tables.get(name), columns, rows)
            elif rows != sum(span.rows for span in noted.get(name, {}).values()):
                raise OtherDataError(
                    f"{self._place} has been used since: {name} has {rows:,} rows, and other ones were brought. Stay "
                    "with it, or name an empty warehouse"
                )
            elif name in noted and name not in tables:
                removed += self._empty(name)
        return removed

    def _adopt(self, name: str, table: _Table | None, columns: set[str], rows: int) -> None:
        """Take rows that nobody noted for ours when they are the source's."""
        if (
            table is None
            or table.rows != rows
            or _shape(table, columns)
            or any(self._differences(table, span) for span in table.spans)
        ):
            raise OtherDataError(
                f"{self._place} holds {rows:,} rows of {name} that this migration has not brought; "
                "name an empty warehouse"
            )
        self._state.replace_spans(self._place, name, [self._seen(table, span) for span in table.spans])

    def _copy(self, table: _Table) -> Iterator[tuple[int, bool]]:
        """Bring a table span by span; yields the rows of each, and whether they had to be brought."""
        noted = self._state.spans(self._place).get(table.name, {})
        wanted = [self._seen(table, span) for span in table.spans]
        there = {span.first: span for span in wanted if noted.get(span.first) == span}
        if len(there) == len(wanted) == len(noted) and _BEGUN + table.name not in self._state.marks(self._place):
            yield table.rows, False
            return
        self._step(f"warehouse: begin {table.name}")
        self._state.mark(self._place, _BEGUN + table.name, "")
        for span, brought in zip(table.spans, wanted, strict=True):
            if brought.first not in there:
                self._step(f"warehouse: write {table.name} {brought.first}")
                self._write(table, span)
                there[brought.first] = brought
                self._step(f"warehouse: note {table.name} {brought.first}")
                self._state.replace_spans(self._place, table.name, there.values())
                yield brought.rows, True
            else:
                yield brought.rows, False
        self._step(f"warehouse: end {table.name}")
        if table.days:
            self._target.remove_rows(table.name, "day < ? or day > ?", [table.days[0][0], table.days[-1][0]])
        self._state.replace_spans(self._place, table.name, wanted)
        self._state.unmark(self._place, _BEGUN + table.name)

    def _write(self, table: _Table, span: tuple[date, date] | None) -> None:
        rows = self._read(self._source, table, span)
        if span is None:
            self._target.replace_table(table.name, rows)
        else:
            self._target.replace_days(table.name, rows, *span)

    def _empty(self, name: str) -> int:
        removed = self._target.remove_rows(name, "1 = 1", [])
        self._state.replace_spans(self._place, name, [])
        return removed

    def _rows(self, name: str, columns: set[str]) -> int:
        # A table that wants a filter on its days gets one that all rows pass.
        condition, days = (" where day is null or day >= ?", [date.min]) if "day" in columns else ("", [])
        (found,) = self._target.query(f"select count(*) as n from {name}{condition}", days).to_pylist()
        return int(found["n"])

    def _seen(self, table: _Table, span: tuple[date, date] | None) -> Span:
        """What the source says of the rows of a span: their number, and a sum over their hashes."""
        condition, days = _within(span)
        asked = (
            f"select count(*) as n, sum(hash(seen)::hugeint)::varchar as hashes from {table.name} as seen{condition}"
        )
        (found,) = self._source.query(asked, days).to_pylist()
        shape = hashlib.sha256(" ".join(table.columns).encode()).hexdigest()[:16]
        first, last = ("", "") if span is None else (span[0].isoformat(), span[1].isoformat())
        return Span(first, last, found["n"], f"{shape}-{found['hashes']}")

    def _read(self, warehouse: Warehouse, table: _Table, span: tuple[date, date] | None) -> pa.Table:
        condition, days = _within(span)
        rows = warehouse.query(f"select * from {table.name}{condition}", days)
        return rows.rename_columns([name.lower() for name in rows.column_names]).select(
            [name.lower() for name in table.columns]
        )

    def _differences(self, table: _Table, span: tuple[date, date] | None) -> list[Difference]:
        ours, theirs = self._read(self._source, table, span), self._read(self._target, table, span)
        try:
            theirs = theirs.cast(ours.schema)
        except pa.ArrowInvalid as error:
            return [Difference(PART, table.name, f"has columns of other types in the target: {error}")]
        return [
            Difference(PART, table.name, _told(day, int(missing), int(added)))
            for day, missing, added in _unequal(ours, theirs, by_day=bool(table.days))
        ]

    def _outside(self, table: _Table) -> list[Difference]:
        """Rows of the target that lie on no day of the source's."""
        if not table.days:
            return []
        first, last = table.days[0][0], table.days[-1][0]
        asked = f"select count(*) as n from {table.name} where day is null or day < ? or day > ?"
        (found,) = self._target.query(asked, [first, last]).to_pylist()
        told = f"has {found['n']:,} rows before {first}, after {last} or without a day that the source has not"
        return [Difference(PART, table.name, told)] if found["n"] else []


def _shape(table: _Table, known: set[str] | None) -> str:
    """What the target's table lacks of the source's columns, in words."""
    if known is None:
        return "is missing in the target"
    lacking = sorted({each.lower() for each in table.columns} - {each.lower() for each in known})
    return f"lacks columns in the target: {some(lacking)}" if lacking else ""


def _within(span: tuple[date, date] | None) -> tuple[str, list[date]]:
    return ("", []) if span is None else (" where day between ? and ?", list(span))


def _names(columns: Sequence[str]) -> str:
    return ", ".join(f'"{name}"' for name in columns)


def _unequal(ours: pa.Table, theirs: pa.Table, *, by_day: bool) -> list[tuple[date | None, int, int]]:
    """By day, how many rows the second side lacks and how many it has beyond the first; none when they are alike."""
    asked = _DIFFERENT.format(columns=_names(ours.column_names), day="day" if by_day else "null")
    with duckdb.connect() as connection:
        connection.register("ours", ours)
        connection.register("theirs", theirs)
        return connection.execute(asked).fetchall()


def _told(day: date | None, missing: int, added: int) -> str:
    on = "" if day is None else f" on {day}"
    return f"lacks {missing:,} rows of the source{on} and has {added:,} others"
