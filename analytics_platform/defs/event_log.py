"""Dagster's SQLite event log with a batched write.

Belongs here: how run and asset events reach the SQLite files of a local instance, and nothing else about Dagster.
Stays out: which events are sent (Dagster decides) and where the files lie (`defs.instance` decides).

Why it exists: a run over a range of days sends two events per (asset, day), planned and materialized, and one per
(check, day). The stock storage builds a new engine and opens a new connection for each of them, about 15 ms together: a
hundred assets over one year take nine minutes for bookkeeping alone. Dagster can hand events over in batches
(`DAGSTER_EVENT_BATCH_SIZE`), but its own storage writes them one by one.

A commit is synced when its run ends and not for each event, some 2 ms times 3,000 in a night's run. A process that is
killed loses nothing by it; where the power fails, the run that was under way may lack its last events, and no run is
said to have ended before all of its events are on disk.

What holds as in the stock storage: every event lies in the run's shard, asset events lie in the index shard
too, and the asset and tag tables follow. A batch is one transaction per shard; the index commits first
and both roll back when either write fails, so the retry one by one that Dagster falls back to finds
no half-written batch.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as db
from dagster._core.events import DagsterEventType
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import INDEX_SHARD_NAME, SqliteEventLogStorage
from dagster._core.storage.sqlite import SQLITE_BUSY_TIMEOUT_SECONDS
from dagster._serdes import ConfigurableClassData
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.pool import QueuePool

from analytics_platform.defs.event_batches import BatchingEventLogStorage

_ENDS = frozenset({DagsterEventType.RUN_SUCCESS, DagsterEventType.RUN_FAILURE, DagsterEventType.RUN_CANCELED})

ENGINES_KEPT = 8
"""Engines kept open at once: the index, and the shards of the runs that a process looks at together."""


class BatchingSqliteEventLogStorage(BatchingEventLogStorage, SqliteEventLogStorage):
    """The stock SQLite event log, with engines that are kept and batches that are written at once."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: OrderedDict[str, Engine] = OrderedDict()
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> BatchingSqliteEventLogStorage:
        """Build from dagster.yaml. Overridden because the stock one names its own class."""
        return cls(inst_data=inst_data, **config_value)

    def store_event(self, event: EventLogEntry) -> None:
        """Write one event; with the last one of a run, see to it that all of them are on disk."""
        super().store_event(event)
        if event.is_dagster_event and event.dagster_event_type in _ENDS:
            for shard in (event.run_id, INDEX_SHARD_NAME):
                self._sync(shard)

    def dispose(self) -> None:
        """Close what is open."""
        while self._engines:
            self._engines.popitem()[1].dispose()
        super().dispose()

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Connection]:
        with self._db_lock, self._engine(shard).connect() as connection, connection.begin():
            yield connection

    def _sync(self, shard: str) -> None:
        """Have the journal of a shard written to disk, which a checkpoint begins with."""
        with self._db_lock, self._engine(shard).connect() as connection:
            connection.exec_driver_sql("pragma wal_checkpoint(passive)")

    @contextmanager
    def _batch(self, run_id: str, rows: Sequence[dict[str, Any]]) -> Iterator[Connection]:
        """One transaction per shard; the run's takes the rows here, the index's is handed on."""
        with (
            self._db_lock,
            self._engine(run_id).connect() as run,
            self._engine(INDEX_SHARD_NAME).connect() as index,
            run.begin(),
            index.begin(),
        ):
            run.execute(SqlEventLogStorageTable.insert(), rows)
            yield index

    def _engine(self, shard: str) -> Engine:
        """The engine of a shard, its tables made on first use; the one used longest ago is let go.

        It keeps a connection: closing the last one of a file makes SQLite write its journal back, which costs more than
        the event. A file that `dagster run delete` has removed must not live on in it, so that is looked at each time.
        """
        engine = self._engines.get(shard)
        if engine is not None and not os.path.exists(self.path_for_shard(shard)):  # noqa: PTH110 - for each event
            self._engines.pop(shard).dispose()
            self._initialized_dbs.discard(shard)
            engine = None
        if engine is None:
            engine = db.create_engine(
                self.conn_string_for_shard(shard),
                poolclass=QueuePool,
                pool_size=1,
                connect_args={"timeout": SQLITE_BUSY_TIMEOUT_SECONDS},
            )
            db.event.listen(engine, "connect", _sync_at_checkpoints)
            self._engines[shard] = engine
        self._engines.move_to_end(shard)
        if shard not in self._initialized_dbs:
            self._initdb(engine)
            self._initialized_dbs.add(shard)
        while len(self._engines) > ENGINES_KEPT:
            self._engines.popitem(last=False)[1].dispose()
        return engine


def _sync_at_checkpoints(connection: Any, _record: object) -> None:
    """Leave a commit in the journal, from where the system writes it in its own time."""
    connection.execute("pragma synchronous = normal")
