"""What Dagster remembers, from the SQLite files of a home into the PostgreSQL that settings name.

Dagster has no tool for it, and reporting materializations anew would lose which run built a partition and when, what
checks said of it, what data it was made from, and where schedules and sensors stand. Both databases have the same
tables, so rows are copied as they are, under their ids, since cursors, tags and evaluations name events by them.

SQLite keeps each run's log in a file and, once more, events of assets and checks and the ends of runs in an index;
PostgreSQL keeps one table. So the index comes over under its ids, and of the logs what it has not, under ids below
zero that depend on run and event alone. What was forgotten in the index (`forgetting`) does not come back by it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as db
from dagster._core.storage.dagster_run import IN_PROGRESS_RUN_STATUSES, DagsterRunStatus
from dagster._core.storage.event_log import schema as events
from dagster._core.storage.runs import schema as runs
from dagster._core.storage.schedules import schema as schedules
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Connection, Engine

from analytics_platform.defs.run_records import AGEING_EVENTS
from analytics_platform.migration.parts import (
    Compared,
    Difference,
    Item,
    Moved,
    OtherDataError,
    Progress,
    Step,
)
from analytics_platform.migration.state import MigrationState

PART = "dagster"

ROWS_AT_ONCE = 2_000
"""Rows of a transaction; an event of an asset has some 2 kB."""

_INDEX, _RUNS, _SCHEDULES = "history/runs/index.db", "history/runs.db", "schedules/schedules.db"
_COPIED: Sequence[tuple[str, db.Table]] = (
    (_RUNS, runs.SnapshotsTable),
    (_RUNS, runs.RunsTable),
    (_RUNS, runs.RunTagsTable),
    (_RUNS, runs.BulkActionsTable),
    (_RUNS, runs.BackfillTagsTable),
    (_RUNS, runs.KeyValueStoreTable),
    (_INDEX, events.SqlEventLogStorageTable),
    (_INDEX, events.AssetKeyTable),
    (_INDEX, events.AssetEventTagsTable),
    (_INDEX, events.DynamicPartitionsTable),
    (_INDEX, events.AssetCheckExecutionsTable),
    (_SCHEDULES, schedules.JobTable),
    (_SCHEDULES, schedules.InstigatorsTable),
    (_SCHEDULES, schedules.JobTickTable),
    (_SCHEDULES, schedules.AssetDaemonAssetEvaluationsTable),
)
"""What refers to a table comes after it."""

_LEFT = {
    "daemon_heartbeats": "of the source's own processes",
    "concurrency_limits": "made anew from the settings",
    "concurrency_slots": "of runs under way; there are none",
    "pending_steps": "of runs under way; there are none",
    "secondary_indexes": "says which migrations of Dagster's a database has had",
    "instance_info": "the database's own name",
    "logs that steps printed": "stay in the home until their term (dataset run_records)",
}

_LOGS = "logs of runs"
_EVENTS = events.SqlEventLogStorageTable
_OF_LOGS_ALONE = db.or_(_EVENTS.c.dagster_event_type.is_(None), _EVENTS.c.dagster_event_type.not_in(AGEING_EVENTS.kept))
_ALL: db.ColumnElement[bool] = db.true()
_LOG_IDS_FROM, _LOG_IDS_PER_RUN = -(10**15), 10**8
"""Ids of events of logs: all below zero, in the order of runs and their events, and whole numbers to a browser too."""

_BEGUN = "begun"
_UNDER_WAY = [status.value for status in (*IN_PROGRESS_RUN_STATUSES, DagsterRunStatus.QUEUED)]

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of one file that go into a table, in the order of their ids.

    Attributes:
        name: how answers call them.
        path: the SQLite file.
        table: where they come from and go to.
        shift: what is added to their ids.
        only: of which rows.
    """

    name: str
    path: Path
    table: db.Table
    shift: int = 0
    only: db.ColumnElement[bool] = _ALL

    @property
    def reach(self) -> tuple[int, int]:
        """Between which ids all of these rows lie in the target."""
        return (self.shift, self.shift + _LOG_IDS_PER_RUN) if self.shift else (0, 2**62)


class RecordsMove:
    """Rows of Dagster's tables on their way from SQLite into PostgreSQL.

    Args:
        source: the folder of Dagster's instance that is left.
        target: an engine of the database.
        state: what was begun already.
        step: told each step.
        make_tables: has Dagster make its tables there.
    """

    name = PART

    def __init__(
        self,
        source: Path,
        target: Engine,
        state: MigrationState,
        step: Step = lambda _: None,
        make_tables: Callable[[], None] = lambda: None,
    ) -> None:
        self._source, self._target, self._state, self._step = source, target, state, step
        self._make_tables = make_tables
        url = target.url
        self._place = f"postgresql {url.host or url.query.get('host')}:{url.port}/{url.database}"

    def plan(self) -> list[Item]:
        """By table; see `Part`."""
        found: dict[str, int] = {}
        for rows in self._all():
            with _opened(rows.path) as connection:
                found[rows.name] = found.get(rows.name, 0) + _count(connection, rows)
        done = self._state.marks(self._place)
        items = [Item(PART, name, "copied", n, None, int(done.get(name, 0))) for name, n in found.items()]
        return items + [Item(PART, name, "left", reason=reason) for name, reason in _LEFT.items()]

    def run(self, progress: Progress) -> Moved:
        """See `Part`."""
        self._make_tables()
        self._refuse_other_data()
        self._state.mark(self._place, _BEGUN, "")
        total, done, copied, removed = sum(item.units for item in self.plan()), 0, 0, 0
        brought: dict[str, int] = {}
        for rows in self._all():
            self._step(f"dagster: {rows.name} of {rows.path.name}")
            for ours, theirs in self._pairs(rows):
                changed, gone = self._bring(rows.table, ours, theirs)
                copied, removed, done = copied + changed, removed + gone, done + len(ours)
                progress(done, total)
            brought[rows.name] = brought.get(rows.name, 0) + self._number_of(rows)
        removed += self._drop_logs_of_gone_runs()
        self._step("dagster: set the sequences")
        self._set_sequences()
        for name, number in {**brought, **self._newest()}.items():
            self._state.mark(self._place, name, str(number))
        return Moved(PART, copied, removed, total)

    def verify(self, progress: Progress) -> Compared:
        """Every row of both sides is read; see `Part`."""
        self._make_tables()
        found: list[Difference] = []
        digest, total, done = hashlib.sha256(), sum(item.units for item in self.plan()), 0
        for rows in self._all():
            for ours, theirs in self._pairs(rows):
                digest.update(repr(sorted(ours.items())).encode())
                found += _differences(rows, ours, theirs)
                done += len(ours)
                progress(done, total)
        found += [Difference(PART, _LOGS, f"has {n:,} events of a run that the source has not") for n in self._strays()]
        return Compared(PART, total, tuple(found), digest.hexdigest())

    def _all(self) -> Iterator[_Rows]:
        for file, table in _COPIED:
            if (path := self._source / file).exists():
                yield _Rows(table.name, path, table)
        for number, run_id in self._run_numbers().items():
            if (path := self._source / "history" / "runs" / f"{run_id}.db").exists():
                shift = _LOG_IDS_FROM + number * _LOG_IDS_PER_RUN
                yield _Rows(_LOGS, path, _EVENTS, shift, _OF_LOGS_ALONE)

    def _run_numbers(self) -> dict[int, str]:
        table = runs.RunsTable
        if not (self._source / _RUNS).exists():
            return {}
        with _opened(self._source / _RUNS) as connection:
            found = connection.execute(db.select(table.c.id, table.c.run_id)).all()
        return {row.id: row.run_id for row in found}

    def _refuse_other_data(self) -> None:
        marks = self._state.marks(self._place)
        for name, number in self._newest().items():
            table = name.removeprefix("newest ")
            if _BEGUN not in marks and number:
                raise OtherDataError(
                    f"{self._place} has rows in {table} that this migration has not brought; "
                    "name an empty database in dagster_postgres_database"
                )
            if name in marks and number > int(marks[name]):
                raise OtherDataError(
                    f"{self._place} has been used since: {table} has newer rows than were brought. Stay with it, or "
                    "name an empty database in dagster_postgres_database"
                )

    def _newest(self) -> dict[str, int]:
        """The highest id of each table of the target; what Dagster writes there gets higher ones."""
        with self._target.connect() as connection:
            return {
                f"newest {table.name}": connection.execute(db.select(db.func.max(table.c.id))).scalar() or 0
                for _, table in _COPIED
            }

    def _pairs(self, rows: _Rows) -> Iterator[tuple[dict[int, Row], dict[int, Row]]]:
        """Rows of both sides by id, piece by piece; a piece reaches from where the last one ended."""
        after, end = rows.reach
        with ExitStack() as stack:
            source = stack.enter_context(_opened(rows.path))
            target = stack.enter_context(self._target.connect())
            while True:
                ours = _ours(source, rows, after)
                through = max(ours) if len(ours) == ROWS_AT_ONCE else end
                yield ours, _between(target, rows.table, after, through)
                if through == end:
                    return
                after = through

    def _bring(self, table: db.Table, ours: Mapping[int, Row], theirs: Mapping[int, Row]) -> tuple[int, int]:
        """Make a piece of the target what the source has, in one transaction."""
        changed = [row for key, row in ours.items() if theirs.get(key) != row]
        gone = [key for key in theirs if key not in ours]
        if not changed and not gone:
            return 0, 0
        names = [column.name for column in table.columns]
        insert = postgresql.insert(table)
        upsert = insert.on_conflict_do_update(
            index_elements=["id"], set_={name: insert.excluded[name] for name in names if name != "id"}
        )
        with self._target.begin() as connection:
            if gone:
                connection.execute(table.delete().where(table.c.id.in_(gone)))
            if changed:
                connection.execute(upsert, [dict(zip(names, row, strict=True)) for row in changed])
        return len(changed), len(gone)

    def _drop_logs_of_gone_runs(self) -> int:
        """Logs of runs that the source has deleted since."""
        known = list(self._run_numbers().values())
        condition = db.and_(_EVENTS.c.id < 0, _EVENTS.c.run_id.not_in(known))
        with self._target.begin() as connection:
            return int(connection.execute(_EVENTS.delete().where(condition)).rowcount)

    def _strays(self) -> list[int]:
        known = list(self._run_numbers().values())
        asked = (
            db.select(db.func.count())
            .where(_EVENTS.c.id < 0, _EVENTS.c.run_id.not_in(known))
            .group_by(_EVENTS.c.run_id)
        )
        with self._target.connect() as connection:
            return list(connection.execute(asked).scalars())

    def _set_sequences(self) -> None:
        with self._target.begin() as connection:
            for _, table in _COPIED:
                sequence = f"pg_get_serial_sequence('{table.name}', 'id')"
                highest = f"(select greatest(max(id), 1) from {table.name})"
                connection.execute(db.text(f"select setval({sequence}, coalesce({highest}, 1))"))

    def _number_of(self, rows: _Rows) -> int:
        with _opened(rows.path) as connection:
            return _count(connection, rows)


def runs_under_way(source: Path) -> list[str]:
    """Ids of runs of an instance's SQLite files that have not ended."""
    if not (source / _RUNS).exists():
        return []
    asked = db.select(runs.RunsTable.c.run_id).where(runs.RunsTable.c.status.in_(_UNDER_WAY))
    with _opened(source / _RUNS) as connection:
        return list(connection.execute(asked).scalars())


def newest_heartbeat(source: Path) -> Any | None:
    """When a daemon of the instance was last alive, in UTC without a zone; None when there never was one."""
    if not (source / _RUNS).exists():
        return None
    with _opened(source / _RUNS) as connection:
        return connection.execute(db.select(db.func.max(runs.DaemonHeartbeatsTable.c.timestamp))).scalar()


class _opened:  # noqa: N801 - reads like a function
    """A connection that reads one SQLite file and cannot write it."""

    def __init__(self, path: Path) -> None:
        self._engine = db.create_engine(f"sqlite:///file:{path}?mode=ro&uri=true")

    def __enter__(self) -> Connection:
        self._connection = self._engine.connect()
        return self._connection

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._engine.dispose()


def _count(connection: Connection, rows: _Rows) -> int:
    asked = db.select(db.func.count()).select_from(rows.table).where(rows.only)
    return int(connection.execute(asked).scalar_one())


def _ours(source: Connection, rows: _Rows, after: int) -> dict[int, Row]:
    table = rows.table
    asked = db.select(table).where(table.c.id > after - rows.shift, rows.only).order_by(table.c.id).limit(ROWS_AT_ONCE)
    found = ((row.id + rows.shift, tuple(row)) for row in source.execute(asked))
    return {key: (key, *row[1:]) for key, row in found}


def _between(target: Connection, table: db.Table, after: int, through: int) -> dict[int, Row]:
    asked = db.select(table).where(table.c.id > after, table.c.id <= through)
    return {row[0]: tuple(row) for row in target.execute(asked)}


def _differences(rows: _Rows, ours: Mapping[int, Row], theirs: Mapping[int, Row]) -> Iterator[Difference]:
    kinds = {
        "are missing in the target": [key for key in ours if key not in theirs],
        "are not in the source": [key for key in theirs if key not in ours],
        "differ": [key for key, row in ours.items() if key in theirs and theirs[key] != row],
    }
    for what, ids in kinds.items():
        if ids:
            yield Difference(PART, rows.name, f"{len(ids):,} rows {what}, the first with id {min(ids)}")
