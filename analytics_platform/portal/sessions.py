"""What the portal remembers between requests: sessions of local logins, and when somebody was last here.

One SQLite file, shared by processes of one machine. A session is known by the hash of its token alone: whoever reads
the file cannot sign in with it.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from analytics_platform.errors import AnalyticsError

AGEING = (("sessions", "expires_at", "true"), ("visits", "seen_at", "true"))
"""What of the file grows old: table, its moment, and when."""

SAME_VISIT = timedelta(minutes=30)
"""Whoever comes back sooner is still looking at what was new."""

_BUSY_SECONDS = 10.0
_TABLES = (
    "create table if not exists sessions (token_sha256 text not null unique, user text not null, "
    "password_changed_at real not null, created_at real not null, expires_at real not null)",
    "create table if not exists visits (principal text not null unique, seen_at real not null, since real)",
)


class StateError(AnalyticsError):
    """The portal's state cannot be read or written."""


@dataclass(frozen=True)
class Session:
    """A login that lasts; `password_changed_at` is when the password that it was made with was set."""

    user: str
    password_changed_at: datetime


class PortalState:
    """Sessions and visits of one home."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def begin_session(self, session: Session, now: datetime, lasts: timedelta) -> str:
        """A new session's token, which is kept nowhere; sessions that are over go."""
        token = secrets.token_urlsafe(32)
        row = (_digest(token), session.user, session.password_changed_at.timestamp(), now.timestamp())
        with self._connection() as connection:
            connection.execute("delete from sessions where expires_at <= ?", (now.timestamp(),))
            connection.execute("insert into sessions values (?, ?, ?, ?, ?)", (*row, (now + lasts).timestamp()))
        return token

    def session(self, token: str, now: datetime) -> Session | None:
        """The session of a token, while it lasts."""
        with self._connection() as connection:
            row = connection.execute(
                "select user, password_changed_at from sessions where token_sha256 = ? and expires_at > ?",
                (_digest(token), now.timestamp()),
            ).fetchone()
        return Session(row[0], datetime.fromtimestamp(row[1], UTC)) if row else None

    def end_session(self, token: str) -> None:
        """Forget a session; one that is not there is no error."""
        with self._connection() as connection:
            connection.execute("delete from sessions where token_sha256 = ?", (_digest(token),))

    def visit(self, principal: str, now: datetime) -> datetime | None:
        """Note a visit, and tell when the one before it was; None for the first."""
        with self._connection() as connection:
            row = connection.execute("select seen_at, since from visits where principal = ?", (principal,)).fetchone()
            since = row[1] if row else None
            if row and now.timestamp() - row[0] > SAME_VISIT.total_seconds():
                since = row[0]
            connection.execute("insert or replace into visits values (?, ?, ?)", (principal, now.timestamp(), since))
        return datetime.fromtimestamp(since, UTC) if since is not None else None

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """One transaction.

        Raises:
            StateError: the file cannot be used.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._path.touch(mode=0o600)
            with closing(sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)) as connection:
                connection.execute("begin immediate")
                for table in _TABLES:
                    connection.execute(table)
                yield connection
                connection.execute("commit")
        except (sqlite3.Error, OSError) as error:
            mend = "see that the disk has room and that the file may be written"
            raise StateError(f"{self._path}: {error}; {mend}") from error


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
