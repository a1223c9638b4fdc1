"""What Dagster remembers of runs as a dataset (`run_records`): where it lies, and which of it grows old.

Belongs here: Dagster's names for tables and events. Stays out: how rows are removed and people found in them
(`governance`), and where the database is configured for Dagster (`instance`).
"""

from __future__ import annotations

from dagster._core.events import ASSET_CHECK_EVENTS, ASSET_EVENTS, EVENT_TYPE_TO_PIPELINE_RUN_STATUS
from sqlalchemy import URL

from analytics_platform.defs.instance import database_parameters
from analytics_platform.governance.retention.database import AgeingRows
from analytics_platform.settings import Settings

RUN_RECORDS = "run_records"

_KEPT = ASSET_EVENTS | ASSET_CHECK_EVENTS | set(EVENT_TYPE_TO_PIPELINE_RUN_STATUS)

AGEING_EVENTS = AgeingRows(
    table="event_logs",
    key="id",
    moment="timestamp",
    kind="dagster_event_type",
    kept=tuple(sorted(each.value for each in _KEPT)),
)
"""The log of each run. What SQLite has in its index stays here too: which partitions are built, how runs ended."""


def databases_of(settings: Settings) -> list[tuple[str, URL]]:
    """The database of run records, where it is not files of the home."""
    host = settings.dagster_postgres_host
    if host is None:
        return []
    password = settings.dagster_postgres_password
    url = URL.create(
        "postgresql+psycopg2",
        settings.dagster_postgres_user,
        password.get_secret_value() if password else None,
        None if host.startswith("/") else host,
        settings.dagster_postgres_port,
        settings.dagster_postgres_database,
        query=database_parameters(settings),
    )
    return [(RUN_RECORDS, url)]
