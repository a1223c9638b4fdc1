"""One run of a stream: read, stage, land, and only then advance; whatever kills it, the next run finishes it.

    source ──► staging (whole, or it never was) ──► gate ──► landing ──► state in the lake ──► staging is deleted

Killed before the batch is whole: the next run reads the same again. Killed before the state is put: the next run lands
the same batch again, whose events are duplicates by then. One run of a stream at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
from filelock import FileLock, Timeout

from analytics_platform.catalog import Catalog
from analytics_platform.connectors.declared import DropConnector, SecretReference
from analytics_platform.connectors.drops import Dropped, StuckFileError, copied, put_away, whole_files
from analytics_platform.connectors.landing import Lander, gate_of, sender_of
from analytics_platform.connectors.loading import AnyConnector
from analytics_platform.connectors.mapping import Mapper, Message, Row, Skipped, Unmapped
from analytics_platform.connectors.pulls import pulling
from analytics_platform.connectors.reading import RefusedFileError, Unreadable, rows_of
from analytics_platform.connectors.staging import Batch, Staging
from analytics_platform.connectors.state import Account, put_state, read_state, taken_at
from analytics_platform.errors import AnalyticsError
from analytics_platform.identities.keys import IdentityKeys
from analytics_platform.intake.gate import Gate
from analytics_platform.intake.outcomes import Rejected
from analytics_platform.lake.store import ObjectStore

_UNREADABLE = ""
"""Under this name stands what is no row; no column has it."""

MASK = "***"


class BusyConnectorError(AnalyticsError):
    """Another run of the same stream is under way."""


class RefusedFilesError(AnalyticsError):
    """Files were refused, or taken and cannot be put away, and stay where they are; the others were taken."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """What runs of connectors work on.

    Attributes:
        catalog: the plan and the tenants.
        store: the lake.
        identities: the keys of references and seals.
        secret: gives the secret that a reference names.
        files: the home's folder of connectors' files.
        history_start: the first day that a message may belong to.
    """

    catalog: Catalog
    store: ObjectStore
    identities: IdentityKeys
    secret: Callable[[SecretReference], str]
    files: Path
    history_start: date


@dataclass(frozen=True, slots=True)
class Shown:
    """What a rule would make of a row, for people: personal data is masked."""

    rule: str
    outcome: str
    detail: str
    properties: Mapping[str, Any]


def run_stream(deployment: Deployment, connector: AnyConnector, stream: str, now: datetime) -> Account:
    """Take what is new of a stream.

    Raises:
        BusyConnectorError: another run of it is under way.
        PullError: the source cannot be read.
        RefusedFilesError: a file cannot be read as the connector says, or not be put away; the others were taken.
    """
    with _alone(deployment, connector, stream):
        run = _Run(deployment, connector, stream, now)
        run.finish_what_was_left()
        refused = run.take_drops(connector) if isinstance(connector, DropConnector) else run.pull()
        account = run.close()
    if refused:
        raise RefusedFilesError("\n".join(refused))
    return account


def waiting_files(deployment: Deployment, connector: DropConnector, now: datetime) -> list[Dropped]:
    """The whole files that a connector would look at now."""
    return [
        each for stream in connector.streams.values() for each in whole_files(connector, stream, deployment.files, now)
    ]


def first_rows(deployment: Deployment, connector: AnyConnector, stream: str, count: int, now: datetime) -> list[Shown]:
    """What the first rows of a source would become; nothing is landed and nothing remembered.

    Raises:
        PullError: the source cannot be read.
        RefusedFileError: the first file is not what the connector says.
    """
    mapper = Mapper(connector, stream, deployment.catalog, deployment.identities)
    with _peeked(deployment, connector, stream, mapper, now) as rows:
        gate = gate_of(deployment.catalog, deployment.store, deployment.identities, deployment.history_start)
        shows = _Shows(deployment.catalog, connector, mapper, gate, now)
        return [shown for row in islice(rows, count) for shown in shows.of(row)]


class _Run:
    """One run of a stream, and the account of it."""

    def __init__(self, deployment: Deployment, connector: AnyConnector, stream: str, now: datetime) -> None:
        self._deployment, self._connector, self._stream, self._now = deployment, connector, stream, now
        self._mapper = Mapper(connector, stream, deployment.catalog, deployment.identities)
        self._folder = deployment.files / "staging" / connector.name / stream
        self._staging = Staging(self._folder)
        self._state = read_state(deployment.store, connector.name, stream)
        self._account = Account(rules=len(self._mapper.rules))

    def finish_what_was_left(self) -> None:
        """Land the whole batch of a run that was killed."""
        batch = self._staging.left()
        if batch is not None:
            self._land(batch)

    def pull(self) -> list[str]:
        """Read what is new at the source, and land it."""
        connector = self._connector
        assert not isinstance(connector, DropConnector)
        deployment = self._deployment
        with pulling(
            connector,
            self._stream,
            self._mapper,
            self._state.cursor,
            secret=deployment.secret,
            folder=deployment.files / "dlt",
        ) as pull:
            self._staging.write(self._mapper.flat(row) for row in pull.rows)
            cursor = pull.cursor
        self._land(self._staging.complete(self._now, {"cursor": cursor}))
        return []

    def take_drops(self, connector: DropConnector) -> list[str]:
        """Take each whole file that is not known yet; what is refused or stays is told."""
        refused: list[str] = []
        declared = connector.streams[self._stream]
        for dropped in list(whole_files(connector, declared, self._deployment.files, self._now)):
            copy = self._folder / "file"
            try:
                sha256 = copied(dropped, copy)
                if sha256 is None:
                    continue
                if sha256 not in self._state.files:
                    self._take(dropped, copy, sha256)
                put_away(connector, dropped, sha256, self._deployment.files)
            except (RefusedFileError, StuckFileError) as error:
                refused.append(f"{connector.name}: {error}")
            finally:
                copy.unlink(missing_ok=True)
        return refused

    def close(self) -> Account:
        """Keep the account."""
        self._account.finished_at = taken_at(datetime.now(UTC))
        self._state.last = self._account
        self._put_state()
        return self._account

    def _take(self, dropped: Dropped, copy: Path, sha256: str) -> None:
        assert isinstance(self._connector, DropConnector)
        # Behind the rows of the files before it, so that of rows that contradict each other the first counts.
        received_at = self._now + timedelta(microseconds=self._account.rows + self._account.unreadable)
        rows = rows_of(copy, dropped.path.name, self._connector.streams[self._stream], self._mapper.columns)
        self._staging.write(map(self._staged, rows))
        self._land(self._staging.complete(received_at, {"file": sha256}))
        self._account.files += 1

    def _staged(self, row: Mapping[str, Any] | Unreadable) -> dict[str, Any]:
        if isinstance(row, Unreadable):
            return {_UNREADABLE: [row.detail, row.raw.decode("utf-8", "replace")]}
        return self._mapper.flat(row)

    def _land(self, batch: Batch) -> None:
        """Land a batch, then advance, then forget it."""
        deployment = self._deployment
        lander = Lander(
            self._connector,
            self._mapper,
            self._stream,
            catalog=deployment.catalog,
            store=deployment.store,
            identities=deployment.identities,
            received_at=batch.received_at,
            history_start=deployment.history_start,
        )
        for number, row in enumerate(batch.rows(), start=1):
            if _UNREADABLE in row:
                detail, raw = row[_UNREADABLE]
                lander.refuse_unreadable(number, raw.encode(), detail)
            else:
                lander.take(number, row)
        self._account.add(lander.finish())
        self._advance(batch.state)
        self._staging.clear()

    def _advance(self, reached: Mapping[str, Any]) -> None:
        if "file" in reached:
            self._state.files[reached["file"]] = taken_at(self._now)
        else:
            self._state.cursor = reached["cursor"]
        self._put_state()

    def _put_state(self) -> None:
        put_state(self._deployment.store, self._connector.name, self._stream, self._state)


@contextmanager
def _alone(deployment: Deployment, connector: AnyConnector, stream: str) -> Iterator[None]:
    """Keep a second run of the stream out; of other machines Dagster's pool keeps them."""
    folder = deployment.files / "locks"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = FileLock(folder / f"{connector.name}.{stream}")
    try:
        with lock.acquire(timeout=0):
            yield
    except Timeout:
        raise BusyConnectorError(f"{connector.name}: a run of {stream} is under way; wait until it has ended") from None


@contextmanager
def _peeked(
    deployment: Deployment, connector: AnyConnector, stream: str, mapper: Mapper, now: datetime
) -> Iterator[Iterator[Row | Unreadable]]:
    """The source's rows from its beginning, flat."""
    if isinstance(connector, DropConnector):
        declared = connector.streams[stream]
        dropped = next(iter(whole_files(connector, declared, deployment.files, now)), None)
        rows = rows_of(dropped.path, dropped.path.name, declared, mapper.columns) if dropped else iter(())
        yield (row if isinstance(row, Unreadable) else mapper.flat(row) for row in rows)
        return
    with pulling(connector, stream, mapper, {}, secret=deployment.secret, folder=deployment.files / "dlt") as pull:
        yield (mapper.flat(row) for row in pull.rows)


@dataclass(frozen=True, slots=True)
class _Shows:
    """Shows rows as people may see them."""

    catalog: Catalog
    connector: AnyConnector
    mapper: Mapper
    gate: Gate
    now: datetime

    def of(self, row: Row | Unreadable) -> Iterator[Shown]:
        """What each rule makes of a row."""
        if isinstance(row, Unreadable):
            yield Shown("", "unmapped", row.detail, {})
            return
        for name in self.mapper.rules:
            made = self.mapper.message(name, row)
            if isinstance(made, Skipped):
                yield Shown(name, "skipped", "its `where` leaves the row out", {})
            elif isinstance(made, Unmapped):
                yield Shown(name, "unmapped", made.detail, {})
            else:
                yield self._judged(name, made)

    def _judged(self, name: str, made: Message) -> Shown:
        outcome = self.gate.admit(
            made.raw, received_at=self.now, key=sender_of(self.catalog, self.connector, made.tenant)
        )
        event = self.catalog.events[self.mapper.rules[name].event]
        personal = {field.name for field in event.all_fields if field.pii != "none"}
        properties = orjson.loads(made.raw)["properties"]
        masked = {each: MASK if each in personal else held for each, held in properties.items()}
        if isinstance(outcome, Rejected):
            return Shown(name, str(outcome.reason), outcome.detail, masked)
        return Shown(name, "accepted", "", masked)
