"""SQLite files of the home folder as a place: alerts, and what Dagster remembers of its runs.

Their rows are about builds, not about people; where one mentions the person all the same, a stand-in takes its place.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from analytics_platform.governance.erasure.person import Person
from analytics_platform.governance.erasure.place import Findings, Found, Held, OneWalk

_BUSY_SECONDS = 30.0
SUFFIXES = (".sqlite", ".db")


class SqliteFiles(OneWalk):
    """All SQLite files below a folder.

    Args:
        home: the folder.
        datasets: the dataset of the files whose path matches a pattern, the first that fits.
    """

    name = "records"

    def __init__(self, home: Path, datasets: Sequence[tuple[str, str]]) -> None:
        self._home = home
        self._datasets = datasets

    def _changed(self, person: Person, held: Held, *, carry_out: bool) -> Iterator[Found]:
        findings = Findings(self.name)
        for path in sqlite_files(self._home):
            dataset = dataset_of(path, self._home, self._datasets)
            is_held = held(dataset, None)
            with closing(sqlite3.connect(path, timeout=_BUSY_SECONDS)) as connection:
                units = _take_out(connection, person, carry_out=carry_out and not is_held)
            if not (is_held and carry_out):
                findings.add(dataset, "hold" if is_held else "sever", units=units)
        yield from findings.found()


def dataset_of(path: Path, home: Path, datasets: Sequence[tuple[str, str]]) -> str:
    """The dataset of a SQLite file: that of the first pattern that its path begins with."""
    where = path.relative_to(home).as_posix()
    return next(dataset for pattern, dataset in datasets if re.match(pattern, where))


def sqlite_files(home: Path) -> list[Path]:
    """Every SQLite file of a home folder, in order."""
    found = (path for suffix in SUFFIXES for path in home.rglob(f"*{suffix}"))
    return sorted(path for path in found if path.is_file())


def _take_out(connection: sqlite3.Connection, person: Person, *, carry_out: bool) -> int:
    connection.create_function("mentions", 1, lambda said: isinstance(said, str) and person.is_in(said))
    connection.create_function("without", 1, person.without)
    connection.execute("pragma secure_delete = on")
    units = 0
    for table, column in _columns(connection):
        where = f'where mentions("{column}")'
        (count,) = connection.execute(f'select count(*) from "{table}" {where}').fetchone()
        units += count
        if carry_out and count:
            with connection:
                connection.execute(f'update "{table}" set "{column}" = without("{column}") {where}')
    if carry_out and units:
        connection.execute("pragma wal_checkpoint(truncate)")
    return units


def _columns(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    tables = connection.execute("select name from sqlite_master where type = 'table' and name not like 'sqlite_%'")
    return [
        (table, column)
        for (table,) in tables.fetchall()
        for _, column, *_ in connection.execute(f'pragma table_info("{table}")')
    ]
