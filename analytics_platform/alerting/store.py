"""Where incidents, mutes and the outbox are kept: the port, and its SQLite file in the home folder.

All that belongs together is written in one transaction. Of people, the file
holds only who muted or noted.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from analytics_platform.alerting.incidents import Incident, Mute
from analytics_platform.alerting.outbox import UNSENT, Message, State, Waiting
from analytics_platform.errors import AnalyticsError

_BUSY_SECONDS = 30.0

_TABLES = (
    """create table if not exists incidents (
        id text primary key, status text not null, opened_at real not null, recovered_at real, document text not null
    ) strict""",
    "create table if not exists mutes (until real not null, document text not null) strict",
    "create table if not exists marks (name text primary key, at real not null) strict",
    "create table if not exists positions (name text primary key, position text not null) strict",
    "create table if not exists uploads (sha256 text primary key, file_id text not null) strict",
    """create table if not exists outbox (
        number integer primary key autoincrement, key text not null unique, incident text, kind text not null,
        channel text not null, document text not null, state text not null, written_at real not null,
        attempts integer not null default 0, first_attempt_at real, next_at real not null, error text, ts text,
        channel_id text, is_plain integer not null default 0
    ) strict""",
    "create index if not exists outbox_states on outbox (state, incident)",
)

_PENDING = f"({', '.join(repr(state) for state in UNSENT)})"

_CLAIMABLE = f"""
    select * from outbox
    where state in {_PENDING} and next_at <= :now and not exists (
        select 1 from outbox earlier
        where earlier.incident = outbox.incident and earlier.number < outbox.number and earlier.state in {_PENDING}
    )
    order by number limit 1
"""
"""The next message that may go; an incident's messages go in the order in which they were written."""

AGEING = (
    ("incidents", "recovered_at", "status = 'recovered'"),
    ("mutes", "until", "true"),
    (
        "outbox",
        "written_at",
        f"state not in {_PENDING} and (incident is null or incident not in (select id from incidents))",
    ),
)
"""What of the file grows old: table, its moment, and when. Messages stay as long as their incident does."""

_OUTDATED = """
    update outbox set state = 'outdated'
    where state = 'waiting' and attempts = 0 and kind != 'report' and written_at < :before and (
        incident is null or incident in (select id from incidents where status = 'recovered')
    )
"""


class AlertStoreError(AnalyticsError):
    """The alerts' file cannot be read or written."""


class Session(Protocol):
    """What can be done within one transaction."""

    def incidents(self, since: datetime | None = None) -> list[Incident]:
        """Incidents that are not over, and those over at or after `since`, or ever when None; oldest first."""

    def save(self, incident: Incident) -> None:
        """Keep an incident as it is now."""

    def mutes(self, at: datetime) -> list[Mute]:
        """Mutes that hold at that time."""

    def mute(self, mute: Mute) -> None:
        """Keep a mute."""

    def mark(self, name: str, at: datetime) -> None:
        """Note when something was last done."""

    def marks(self) -> dict[str, datetime]:
        """When each thing was last done."""

    def position(self, name: str) -> str | None:
        """How far a record has been read; None where it never was."""

    def move(self, name: str, position: str) -> None:
        """Note how far a record has been read."""

    def write(self, message: Message, at: datetime) -> None:
        """Put a message into the outbox, once for its key; an edit takes the place of those that wait."""

    def renew(self, message: Message) -> None:
        """Put newer words into a message that waits and was never tried; one that was tried stays as it is."""

    def outdate_reports(self, before: datetime) -> None:
        """Give up untried reports from before then: a newer one says more."""

    def file_id(self, sha256: str) -> str | None:
        """Slack's id of the file with those bytes, where it was uploaded."""

    def keep_file_id(self, sha256: str, file_id: str | None) -> None:
        """Note that bytes were uploaded; None forgets them."""

    def outbox(self, states: tuple[State, ...] = ()) -> list[Waiting]:
        """Messages in those states, or all, in order."""

    def claim(self, at: datetime, lease: timedelta) -> Waiting | None:
        """Take the next message to send, as it was; nobody else gets it before the lease is over."""

    def settle(self, sent: Waiting) -> None:
        """Keep what came of a claimed message."""

    def parent(self, incident: str) -> Waiting | None:
        """An incident's parent message."""

    def channel_id(self, channel: str) -> str | None:
        """Slack's id of a channel, where a message has told it."""

    def drop_outdated(self, before: datetime) -> None:
        """Give up untried messages from before then, but for those of incidents that are not over."""


class AlertStore(Protocol):
    """Keeps what the alerts know."""

    def transaction(self) -> AbstractContextManager[Session]:
        """A session whose writes are all kept, or none; one at a time."""


class SqliteStore:
    """One SQLite file, shared by processes of one machine."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A session that holds the file's only writer lock from the start, so that what it read stays true.

        Raises:
            AlertStoreError: the file cannot be used.
        """
        try:
            connection = self._open()
            try:
                connection.execute("begin immediate")
                yield SqliteSession(connection)
                connection.execute("commit")
            finally:
                connection.close()  # what is not committed is rolled back
        except sqlite3.Error as error:
            mend = "see that the disk has room and that no other process holds the file"
            raise AlertStoreError(f"{self._path}: {error}; {mend}") from error

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)
        connection.row_factory = sqlite3.Row
        connection.execute("pragma journal_mode = wal")
        for table in _TABLES:
            connection.execute(table)
        return connection


class SqliteSession:
    """One transaction on the file."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def incidents(self, since: datetime | None = None) -> list[Incident]:
        """Incidents that are not over, and those over since then, or ever; oldest first."""
        rows = self._connection.execute(
            "select document from incidents where recovered_at is null or recovered_at >= ? order by opened_at, id",
            (since.timestamp() if since else 0.0,),
        )
        return [Incident.model_validate_json(row["document"]) for row in rows]

    def save(self, incident: Incident) -> None:
        """Keep an incident as it is now."""
        self._connection.execute(
            "insert or replace into incidents values (?, ?, ?, ?, ?)",
            (
                incident.id,
                incident.status,
                incident.opened_at.timestamp(),
                incident.recovered_at.timestamp() if incident.recovered_at else None,
                incident.model_dump_json(),
            ),
        )

    def mutes(self, at: datetime) -> list[Mute]:
        """Mutes that hold at that time."""
        rows = self._connection.execute("select document from mutes where until > ?", (at.timestamp(),))
        return [Mute.model_validate_json(row["document"]) for row in rows]

    def mute(self, mute: Mute) -> None:
        """Keep a mute."""
        self._connection.execute("insert into mutes values (?, ?)", (mute.until.timestamp(), mute.model_dump_json()))

    def mark(self, name: str, at: datetime) -> None:
        """Note when something was last done."""
        self._connection.execute("insert or replace into marks values (?, ?)", (name, at.timestamp()))

    def marks(self) -> dict[str, datetime]:
        """When each thing was last done."""
        rows = self._connection.execute("select name, at from marks order by name")
        return {row["name"]: _time(row["at"]) for row in rows}

    def position(self, name: str) -> str | None:
        """How far a record has been read; None where it never was."""
        row = self._connection.execute("select position from positions where name = ?", (name,)).fetchone()
        return str(row["position"]) if row else None

    def move(self, name: str, position: str) -> None:
        """Note how far a record has been read."""
        self._connection.execute("insert or replace into positions values (?, ?)", (name, position))

    def write(self, message: Message, at: datetime) -> None:
        """Put a message into the outbox, once for its key; an edit takes the place of those that wait."""
        if message.kind == "edit":
            self._connection.execute(
                "update outbox set state = 'superseded' where incident = ? and kind = 'edit' and state = 'waiting'",
                (message.incident,),
            )
        self._connection.execute(
            "insert or ignore into outbox (key, incident, kind, channel, document, state, written_at, next_at)"
            " values (?, ?, ?, ?, ?, 'waiting', ?, ?)",
            (
                message.key,
                message.incident,
                message.kind,
                message.channel,
                message.model_dump_json(),
                at.timestamp(),
                at.timestamp(),
            ),
        )

    def renew(self, message: Message) -> None:
        """Put newer words into a message that waits and was never tried; one that was tried stays as it is."""
        self._connection.execute(
            "update outbox set document = ?, channel = ? where key = ? and state = 'waiting' and attempts = 0",
            (message.model_dump_json(), message.channel, message.key),
        )

    def outdate_reports(self, before: datetime) -> None:
        """Give up untried reports from before then: a newer one says more."""
        self._connection.execute(
            "update outbox set state = 'outdated'"
            " where kind = 'report' and state = 'waiting' and attempts = 0 and written_at < ?",
            (before.timestamp(),),
        )

    def file_id(self, sha256: str) -> str | None:
        """Slack's id of the file with those bytes, where it was uploaded."""
        row = self._connection.execute("select file_id from uploads where sha256 = ?", (sha256,)).fetchone()
        return str(row["file_id"]) if row else None

    def keep_file_id(self, sha256: str, file_id: str | None) -> None:
        """Note that bytes were uploaded; None forgets them."""
        if file_id is None:
            self._connection.execute("delete from uploads where sha256 = ?", (sha256,))
        else:
            self._connection.execute("insert or replace into uploads values (?, ?)", (sha256, file_id))

    def outbox(self, states: tuple[State, ...] = ()) -> list[Waiting]:
        """Messages in those states, or all, in order."""
        rows = self._connection.execute("select * from outbox order by number")
        return [_waiting(row) for row in rows if not states or row["state"] in states]

    def claim(self, at: datetime, lease: timedelta) -> Waiting | None:
        """Take the next message to send, as it was; nobody else gets it before the lease is over."""
        row = self._connection.execute(_CLAIMABLE, {"now": at.timestamp()}).fetchone()
        if row is None:
            return None
        self._connection.execute(
            "update outbox set state = 'sending', attempts = attempts + 1, next_at = ?,"
            " first_attempt_at = coalesce(first_attempt_at, ?) where number = ?",
            ((at + lease).timestamp(), at.timestamp(), row["number"]),
        )
        return _waiting(row)

    def settle(self, sent: Waiting) -> None:
        """Keep what came of a claimed message."""
        self._connection.execute(
            "update outbox set state = ?, next_at = ?, error = ?, ts = ?, channel_id = ?, is_plain = ?"
            " where number = ?",
            (
                sent.state,
                sent.next_at.timestamp(),
                sent.error,
                sent.ts,
                sent.channel_id,
                int(sent.is_plain),
                sent.number,
            ),
        )

    def parent(self, incident: str) -> Waiting | None:
        """An incident's parent message."""
        row = self._connection.execute(
            "select * from outbox where incident = ? and kind = 'parent'", (incident,)
        ).fetchone()
        return _waiting(row) if row else None

    def channel_id(self, channel: str) -> str | None:
        """Slack's id of a channel, where a message has told it."""
        row = self._connection.execute(
            "select channel_id from outbox where channel = ? and channel_id is not null order by number desc limit 1",
            (channel,),
        ).fetchone()
        return str(row["channel_id"]) if row else None

    def drop_outdated(self, before: datetime) -> None:
        """Give up untried messages from before then, but for those of incidents that are not over."""
        self._connection.execute(_OUTDATED, {"before": before.timestamp()})


def _waiting(row: sqlite3.Row) -> Waiting:
    return Waiting(
        number=row["number"],
        message=Message.model_validate(json.loads(row["document"])),
        state=row["state"],
        written_at=_time(row["written_at"]),
        attempts=row["attempts"],
        first_attempt_at=None if row["first_attempt_at"] is None else _time(row["first_attempt_at"]),
        next_at=_time(row["next_at"]),
        error=row["error"],
        ts=row["ts"],
        channel_id=row["channel_id"],
        is_plain=bool(row["is_plain"]),
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
