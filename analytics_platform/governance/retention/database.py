"""Rows of a PostgreSQL database as a sink, dated by a moment in UTC that each row has.

The database belongs to another room, which says which of its rows grow old (`AgeingRows`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import URL, Connection, create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from analytics_platform.governance.retention.sink import CannotCountError, Tallies, Tally, Waiting
from analytics_platform.governance.retention.terms import NO_TENANT, Term, Terms


@dataclass(frozen=True)
class AgeingRows:
    """Rows of a table that grow old.

    Attributes:
        table: its name.
        key: the column that tells rows apart, a number.
        moment: the column with the row's moment in UTC, without a time zone.
        kind: the column with what a row is; it may be null.
        kept: kinds that do not grow old.
    """

    table: str
    key: str
    moment: str
    kind: str
    kept: tuple[str, ...]


class DatabaseRows:
    """Rows of one dataset.

    Args:
        dataset: its name in the registry.
        url: the database.
        rows: what in it grows old.
        time_zone: decides on which day a moment lies.
    """

    def __init__(self, dataset: str, url: URL, rows: AgeingRows, time_zone: str) -> None:
        self.name = f"table {rows.table}"
        self._dataset, self._rows, self._zone = dataset, rows, ZoneInfo(time_zone)
        self._engine = create_engine(url, poolclass=NullPool)

    def datasets(self) -> set[str]:
        """See `Sink`."""
        return {self._dataset}

    def tallies(self, terms: Terms) -> Iterator[Tally | Waiting]:
        """See `Sink`."""
        newest = terms.newest(self._dataset)
        if newest is None:
            return
        rows, tallies = self._rows, Tallies(self.name, self._dataset, terms)
        sql = (
            f"select {self._day} as day, count(*) as rows, sum({rows.key}) as mark from {rows.table} "
            f"where {self._grows_old} and {self._day} <= :newest group by 1 order by 1"
        )
        for day, count, mark in self._asked(sql, {**self._named, "newest": newest}):
            if due := tallies.due(NO_TENANT, day):
                due.add(day, f"{rows.table} {day} {count} {mark}\n", units=count)
        yield from tallies.done()

    def remove(self, term: Term) -> None:
        """See `Sink`."""
        if term.tenant != NO_TENANT:
            return
        held = "".join(f" and {self._day} not between :first{n} and :last{n}" for n in range(len(term.held)))
        days = {f"first{n}": span.first for n, span in enumerate(term.held)}
        days |= {f"last{n}": span.last for n, span in enumerate(term.held)}
        sql = f"delete from {self._rows.table} where {self._grows_old} and {self._day} <= :through{held}"
        with self._engine.begin() as connection:
            if self._is_there(connection):
                connection.execute(text(sql), {**self._named, **days, "through": term.through})

    def survivors(self, term: Term) -> int:
        """Count what lies between the moments of the term by kind, and judge the kinds here."""
        if term.tenant != NO_TENANT:
            return 0
        rows = self._rows
        held = "".join(
            f" and not ({rows.moment} >= :from{n} and {rows.moment} < :to{n})" for n in range(len(term.held))
        )
        moments = {"end": self._midnight(term.through + timedelta(days=1))}
        for n, span in enumerate(term.held):
            moments |= {f"from{n}": self._midnight(span.first), f"to{n}": self._midnight(span.last + timedelta(days=1))}
        sql = f"select {rows.kind}, count(*) from {rows.table} where {rows.moment} < :end{held} group by 1"
        try:
            counted = self._asked(sql, moments)
        except SQLAlchemyError as error:
            raise CannotCountError(f"the rows of {rows.table} cannot be counted: {error}") from error
        return sum(count for kind, count in counted if kind not in rows.kept)

    @property
    def _named(self) -> dict[str, object]:
        return {"zone": self._zone.key, "kept": list(self._rows.kept)}

    @property
    def _day(self) -> str:
        return f"cast({self._rows.moment} at time zone 'UTC' at time zone :zone as date)"

    @property
    def _grows_old(self) -> str:
        return f"({self._rows.kind} is null or {self._rows.kind} <> all(:kept))"

    def _midnight(self, day: date) -> datetime:
        """When a day begins, as the table writes moments."""
        return datetime.combine(day, time(), self._zone).astimezone(UTC).replace(tzinfo=None)

    def _asked(self, sql: str, parameters: Mapping[str, object]) -> Sequence[Any]:
        with self._engine.connect() as connection:
            return connection.execute(text(sql), parameters).all() if self._is_there(connection) else []

    def _is_there(self, connection: Connection) -> bool:
        """Whether the table has been made; a deployment that has not begun has none."""
        return bool(
            connection.execute(text("select to_regclass(:name) is not null"), {"name": self._rows.table}).scalar()
        )
