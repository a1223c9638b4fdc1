"""Rows of a SQLite file of the home folder as a sink, dated by a moment that each row has.

The file belongs to another room, which says which of its rows grow old (`Ageing`); a row without the moment does not.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from analytics_platform.governance.retention.sink import CannotCountError, Tallies, Tally, Waiting
from analytics_platform.governance.retention.terms import NO_TENANT, Term, Terms

Ageing = tuple[str, str, str]
"""A table, its column with seconds since 1970, and the condition under which a row grows old."""

_BUSY_SECONDS = 30.0


class SqliteRows:
    """Rows of one dataset.

    Args:
        dataset: its name in the registry.
        path: the file; one that is not there holds nothing.
        tables: what in it grows old.
        time_zone: decides on which day a moment lies.
    """

    def __init__(self, dataset: str, path: Path, tables: Sequence[Ageing], time_zone: str) -> None:
        self.name = f"file {path.name}"
        self._dataset = dataset
        self._path = path
        self._tables = tables
        self._zone = ZoneInfo(time_zone)

    def datasets(self) -> set[str]:
        """See `Sink`."""
        return {self._dataset}

    def tallies(self, terms: Terms) -> Iterator[Tally | Waiting]:
        """See `Sink`."""
        tallies = Tallies(self.name, self._dataset, terms)
        for table, row, day in self._rows():
            if due := tallies.due(NO_TENANT, day):
                due.add(day, f"{table} {row} {day}\n")
        yield from tallies.done()

    def remove(self, term: Term) -> None:
        """See `Sink`."""
        due = [(table, row) for table, row, day in self._rows() if term.tenant == NO_TENANT and term.covers(day)]
        if not due:
            return
        with closing(self._open()) as connection, connection:
            connection.execute("pragma secure_delete = on")
            for table, row in due:
                connection.execute(f"delete from {table} where rowid = ?", [row])

    def survivors(self, term: Term) -> int:
        """Ask SQLite for what is older than the first moment kept, whatever row it is in."""
        if not self._path.exists() or term.tenant != NO_TENANT:
            return 0
        end = datetime.combine(term.through + timedelta(days=1), time(), self._zone).timestamp()
        try:
            with closing(self._open()) as connection:
                moments = [
                    moment
                    for table, column, condition in self._tables
                    for (moment,) in connection.execute(
                        f"select {column} from {table} where {column} < ? and ({condition})", [end]
                    )
                ]
        except sqlite3.Error as error:
            raise CannotCountError(f"{self._path} cannot be counted: {error}") from error
        return sum(term.covers(self._day(moment)) for moment in moments)

    def _rows(self) -> list[tuple[str, int, date]]:
        if not self._path.exists():
            return []
        found = []
        with closing(self._open()) as connection:
            present = {name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")}
            for table, column, condition in self._tables:
                if table in present:
                    sql = f"select rowid, {column} from {table} where {column} is not null and ({condition}) order by 1"
                    found += [(table, row, self._day(at)) for row, at in connection.execute(sql)]
        return found

    def _day(self, at: float) -> date:
        return datetime.fromtimestamp(at, UTC).astimezone(self._zone).date()

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=_BUSY_SECONDS)
