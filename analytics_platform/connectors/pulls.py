"""Pulls through dlt: rows of a table or of an API's resource, from where the last run's cursor stands.

dlt reads: its client retries 429 (by `Retry-After`), 5xx and broken connections, its paginators and incremental cursors
do the rest. It neither loads nor keeps anything: its state comes in and goes out as a value, since only whoever lands
the rows knows when it may advance. Its telemetry is off, and it reads no configuration but the connector's.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analytics_platform.connectors.declared import ApiConnector, DatabaseConnector, SecretReference, TableStream
from analytics_platform.connectors.loading import resolved
from analytics_platform.connectors.mapping import Mapper
from analytics_platform.errors import AnalyticsError
from analytics_platform.settings import temporary_environment

if TYPE_CHECKING:
    from dlt.extract import DltResource, DltSource

Secret = Callable[[SecretReference], str]
"""Gives the secret that a reference names."""

CHUNK_ROWS = 5_000
"""Rows that a database is asked for at a time."""

REQUEST_SECONDS = (10.0, 60.0)
"""To connect, and to wait for an answer."""

_UNAUTHORIZED, _TOO_MANY = (401, 403), 429


class PullError(AnalyticsError):
    """A source could not be read; nothing of this run has landed. The text names the connector and the mend."""


class MissingExtraError(AnalyticsError):
    """The installation has no dlt."""


@dataclass(slots=True)
class Pull:
    """One stream as it is being read: `rows` come as the source has them, `cursor` is dlt's state after the last."""

    rows: Iterator[Mapping[str, Any]]
    cursor: dict[str, Any] = field(default_factory=dict)


@contextmanager
def pulling(
    connector: DatabaseConnector | ApiConnector,
    stream: str,
    mapper: Mapper,
    cursor: Mapping[str, Any],
    *,
    secret: Secret,
    folder: Path,
) -> Iterator[Pull]:
    """Read a stream from where `cursor` stands.

    Args:
        connector: whose it is.
        stream: its name.
        mapper: of the stream; a table is asked for the columns that it reads.
        cursor: dlt's state; empty for everything.
        secret: gives secrets.
        folder: where dlt may keep what it believes it needs.

    Raises:
        MissingExtraError: dlt is not installed.
        PullError: the source cannot be read.
    """
    with temporary_environment(_environment(folder)):
        _require_dlt()
        from dlt.common.configuration.container import Container
        from dlt.common.json import json
        from dlt.common.pipeline import StateInjectableContext

        # The state that a pipeline of dlt's would inject and then keep in its own folder.
        state: Any = copy.deepcopy(json.typed_loads(cursor["dlt"])) if cursor else {}
        pull = Pull(iter(()))

        def rows() -> Iterator[Mapping[str, Any]]:
            with Container().injectable_context(StateInjectableContext(state=state)):
                yield from _resource(connector, stream, mapper, secret)
            pull.cursor = {"dlt": json.typed_dumps(state)}

        pull.rows = rows()
        try:
            yield pull
        except AnalyticsError:
            raise
        except Exception as error:
            if not _is_of_source(error):
                raise
            # The chain is cut: a URL or a statement in it may hold a secret or a person.
            raise PullError(f"{connector.name}: {stream}: {_told(error)}") from None


def _resource(
    connector: DatabaseConnector | ApiConnector, stream: str, mapper: Mapper, secret: Secret
) -> DltResource | DltSource:
    if isinstance(connector, DatabaseConnector):
        return _table(connector, connector.streams[stream], mapper, secret)
    return _api_resource(connector, stream, secret)


def _table(connector: DatabaseConnector, stream: TableStream, mapper: Mapper, secret: Secret) -> DltResource:
    import dlt
    from dlt.sources.sql_database import sql_table

    incremental: Any = None
    if stream.cursor is not None:
        # Rows at the edge come again and are duplicates to the gate: dlt would tell them apart by key alone, and miss
        # one that changed once more within the same tick of its clock.
        incremental = dlt.sources.incremental(
            stream.cursor,
            primary_key=(),
            on_cursor_value_missing="include",
            lag=stream.overlap_seconds or None,
            row_order="asc",
        )
    columns = sorted({*mapper.columns, *([stream.cursor] if stream.cursor else [])})
    return sql_table(
        credentials=secret(connector.credentials),
        schema=connector.database_schema,
        table=stream.table,
        incremental=incremental,
        included_columns=columns,
        chunk_size=CHUNK_ROWS,
        reflection_level="minimal",
    )


def _api_resource(connector: ApiConnector, stream: str, secret: Secret) -> DltSource:
    from dlt.sources.helpers.requests import Client
    from dlt.sources.rest_api import rest_api_source

    config: dict[str, Any] = resolved(copy.deepcopy(connector.config), secret)
    client = config.setdefault("client", {})
    client.setdefault("session", Client(raise_for_status=False, request_timeout=REQUEST_SECONDS).session)
    return rest_api_source(config, name=connector.name).with_resources(stream)  # type: ignore[arg-type]


def _environment(folder: Path) -> dict[str, str]:
    """What keeps dlt to what it is told: no telemetry, no configuration of a user's home or the working directory."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return {
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "CRITICAL",
        "DLT_DATA_DIR": str(folder),
        "DLT_PROJECT_DIR": str(folder),
    }


def _require_dlt() -> None:
    try:
        import dlt  # noqa: F401 - whether it is there is the question
    except ImportError as error:
        raise MissingExtraError("connectors that pull need dlt; install analytics-platform[connectors]") from error


def _is_of_source(error: Exception) -> bool:
    """Whether something went wrong at the source rather than in us."""
    from dlt.common.exceptions import DltException
    from requests import RequestException
    from sqlalchemy.exc import SQLAlchemyError

    return isinstance(error, DltException | RequestException | SQLAlchemyError)


def _told(error: Exception) -> str:
    """What went wrong, without a word of the source's own: those may hold people and secrets."""
    chain = list(_chain(error))
    for each in chain:
        if (status := getattr(getattr(each, "response", None), "status_code", None)) is not None and status != 200:
            return f"the source answered {status}; {_mend(status)}"
    kinds = {type(each).__name__ for each in chain}
    if "JSONDecodeError" in kinds:
        return "the source answered what is no JSON; see what it says to the same request, nothing has landed"
    if kinds & {"ConnectionError", "OperationalError", "ConnectTimeout", "ReadTimeout", "Timeout"}:
        return "the source cannot be reached; see its address, its credentials and the network"
    return f"the source cannot be read ({type(chain[-1]).__name__}); try `analytics connectors check`"


def _mend(status: int) -> str:
    if status in _UNAUTHORIZED:
        return "see that the secret is current and may read this"
    if status == _TOO_MANY:
        return "it stays busy; let the connector run less often (`every_hours`)"
    return "see the provider's status, and the path and parameters of the resource; the next run begins where this did"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
