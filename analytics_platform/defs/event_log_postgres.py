"""Dagster's event log in PostgreSQL with a batched write, and a connection that is kept.

Belongs here: how events reach the one database that all processes of a deployment share. Stays out: which database that
is (`defs.instance`), and what a batch leaves in it (`defs.event_batches`).

Why it exists: the stock storage writes only materializations alone as a batch, outside of the transaction that makes
assets findable; plans and evaluations go one by one, each on a connection of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from dagster._serdes import ConfigurableClassData
from dagster_postgres.event_log import PostgresEventLogStorage
from dagster_postgres.utils import create_pg_engine, get_token_provider_from_config, pg_url_from_config
from sqlalchemy.engine import Connection

from analytics_platform.defs.event_batches import BatchingEventLogStorage


class BatchingPostgresEventLogStorage(BatchingEventLogStorage, PostgresEventLogStorage):
    """The stock PostgreSQL event log, with batches that are written at once."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # One connection is kept, more are opened as threads need them. A ping finds out that the server was restarted.
        self._engine = create_pg_engine(
            self.postgres_url,
            self._token_provider,
            isolation_level="AUTOCOMMIT",
            pool_size=1,
            max_overflow=-1,
            pool_pre_ping=True,
        )

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> BatchingPostgresEventLogStorage:
        """Build from dagster.yaml. Overridden because the stock one names its own class."""
        return cls(
            inst_data=inst_data,
            postgres_url=pg_url_from_config(config_value),
            should_autocreate_tables=config_value.get("should_autocreate_tables", True),
            token_provider=get_token_provider_from_config(config_value),
        )

    def dispose(self) -> None:
        """Close what is open."""
        super().dispose()
        self._engine.dispose()

    @contextmanager
    def _batch(self, run_id: str, rows: Sequence[dict[str, Any]]) -> Iterator[Connection]:
        """One table holds the log of every run, so there is nothing more to write than what the index takes."""
        del run_id, rows
        with self.index_transaction() as index:
            yield index
