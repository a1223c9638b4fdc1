"""What a migration has brought where: one SQLite file in the home that it comes from.

It makes a second attempt cheap and a mistake visible: what a target holds beyond this was not brought by us. It is no
proof; `verify` compares the places themselves. Names and hashes alone, so it holds no personal data.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

STATE_FILE = "migration.sqlite"

_TABLES = """
create table if not exists objects (
    target text not null, key text not null, size integer not null, written integer not null, sha256 text not null,
    put_at integer, primary key (target, key)
);
create table if not exists spans (
    target text not null, name text not null, first text not null, last text not null, rows integer not null,
    print text not null, primary key (target, name, first)
);
create table if not exists marks (
    target text not null, name text not null, value text not null, primary key (target, name)
);
"""


@dataclass(frozen=True, slots=True)
class Brought:
    """An object that was brought.

    Attributes:
        key: of the object.
        size: of the source's object, in bytes.
        written: when that was written, in microseconds since 1970.
        sha256: of the bytes.
        put_at: the second in which the target says that it was put; None until the target was asked.
    """

    key: str
    size: int
    written: int
    sha256: str
    put_at: int | None = None


@dataclass(frozen=True, slots=True)
class Span:
    """Rows of a table that were brought together.

    Attributes:
        first: first day; empty where the table is brought whole.
        last: last day.
        rows: how many.
        print: what the source said of them.
    """

    first: str
    last: str
    rows: int
    print: str


class MigrationState:
    """The file, for one process at a time; every call is a transaction that is on disk when it returns."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.executescript(_TABLES)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def objects(self, target: str) -> dict[str, Brought]:
        """What was brought to a place, by key."""
        asked = "select key, size, written, sha256, put_at from objects where target = ?"
        return {row[0]: Brought(*row) for row in self._connection.execute(asked, [target])}

    def brought(self, target: str, objects: Iterable[Brought]) -> None:
        """Note objects that were put."""
        rows = [(target, each.key, each.size, each.written, each.sha256, each.put_at) for each in objects]
        self._all("insert or replace into objects values (?, ?, ?, ?, ?, ?)", rows)

    def forget(self, target: str, keys: Iterable[str]) -> None:
        """Note objects that were taken away."""
        self._all("delete from objects where target = ? and key = ?", [(target, key) for key in keys])

    def spans(self, target: str) -> dict[str, dict[str, Span]]:
        """What was brought of the tables of a warehouse, by table and first day."""
        found: dict[str, dict[str, Span]] = {}
        asked = "select name, first, last, rows, print from spans where target = ?"
        for name, *span in self._connection.execute(asked, [target]):
            found.setdefault(name, {})[span[0]] = Span(*span)
        return found

    def replace_spans(self, target: str, table: str, spans: Iterable[Span]) -> None:
        """Note what is brought of a table, in the place of what was noted."""
        with self._transaction():
            self._connection.execute("delete from spans where target = ? and name = ?", [target, table])
            rows = [(target, table, each.first, each.last, each.rows, each.print) for each in spans]
            self._connection.executemany("insert into spans values (?, ?, ?, ?, ?, ?)", rows)

    def marks(self, target: str) -> Mapping[str, str]:
        """What else is noted of a target."""
        return dict(self._connection.execute("select name, value from marks where target = ?", [target]).fetchall())

    def mark(self, target: str, name: str, value: str) -> None:
        """Note something of a target."""
        self._all("insert or replace into marks values (?, ?, ?)", [(target, name, value)])

    def unmark(self, target: str, name: str) -> None:
        """Take back what is noted."""
        self._all("delete from marks where target = ? and name = ?", [(target, name)])

    def _all(self, statement: str, rows: Sequence[tuple[object, ...]]) -> None:
        with self._transaction():
            self._connection.executemany(statement, rows)

    def _transaction(self) -> _Transaction:
        return _Transaction(self._connection)


class _Transaction:
    """Begin, then commit or roll back."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        self._connection.execute("begin immediate")

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._connection.execute("commit" if kind is None else "rollback")
